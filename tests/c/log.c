/* The log: to a function, to a descriptor, and disabled. */
#include "check.h"

static int warnings, inside;
static int32_t refused;
static char target[128], message[512];

static void note(void *userdata, int32_t level, const char *from, const char *text) {
    CHECK(userdata == &warnings && level >= BERTH_LOG_LEVEL_ERROR && level <= BERTH_LOG_LEVEL_TRACE);
    CHECK(!inside);
    /* The library may also report what it meets on the machine, such as a busy cgroup. */
    if (level != BERTH_LOG_LEVEL_WARN || !strstr(text, "sorry"))
        return;
    inside = 1;
    warnings++;
    snprintf(target, sizeof target, "%s", from);
    snprintf(message, sizeof message, "%s", text);
    refused = berth_log_set_callback(NULL, NULL, NULL);
    CHECK(berth_has_feature("log") == 1);
    inside = 0;
}

/* A failing poststop hook is only logged. */
static void warn(void) {
    berth_process_options quiet = streams(BERTH_STDIO_NULL, BERTH_STDIO_NULL, BERTH_STDIO_NULL);
    berth_config *config;
    berth_container *container;
    char json[1024];
    snprintf(json, sizeof json,
             "{\"ociVersion\":\"1.0.2\",\"process\":%s,\"root\":{\"path\":\"/\"},"
             "\"hooks\":{\"poststop\":[{\"path\":\"%s/bin/busybox\",\"args\":[\"sh\",\"-c\",\"echo sorry; exit 3\"]}]},"
             "\"linux\":{\"namespaces\":[{\"type\":\"mount\"},{\"type\":\"pid\"}]}}",
             process_json("true", 0), rootfs);
    OK(berth_config_from_json(json, rootfs, &config, &error));
    OK(berth_container_run(runtime, new_id(), config, &quiet, &container, &error));
    OK(berth_container_wait(container, LONG_MS, NULL, &error));
    OK(berth_container_delete(container, 0, &error));
    berth_container_free(container);
    berth_config_free(config);
}

static void to_a_function(void) {
    OK(berth_log_set_callback(note, &warnings, &error));
    warn();
    CHECK(warnings == 1 && strncmp(target, "berth::", 7) == 0);
    CHECK(strstr(message, "poststop") && strstr(message, "sorry") && !strchr(message, '\n'));
    CHECK(refused == BERTH_E_BUSY);
    OK(berth_log_set_callback(NULL, &warnings, &error));
    warn();
    CHECK(warnings == 1);
}

static int points;
static long long last_ns;

static void note_point(void *userdata, int32_t level, const char *from, const char *text) {
    char name[64];
    long long ns;
    (void)userdata;
    if (level != BERTH_LOG_LEVEL_TRACE || strcmp(from, "berth::point"))
        return;
    CHECK(sscanf(text, "%63s %lld", name, &ns) == 2 && ns >= last_ns);
    last_ns = ns;
    points++;
}

/* At level trace the log has the stages of each call with their times. */
static void traces(void) {
    OK(berth_log_set_callback(note_point, NULL, &error));
    warn();
    CHECK(points == 0);
    OK(berth_log_set_level(BERTH_LOG_LEVEL_TRACE, &error));
    warn();
    CHECK(points > 10);
    points = 0;
    OK(berth_log_set_level(BERTH_LOG_LEVEL_DEBUG, &error));
    warn();
    CHECK(points == 0);
    FAILS(BERTH_E_INVALID_ARGUMENT, "level is 0", berth_log_set_level(0, &error));
    FAILS(BERTH_E_INVALID_ARGUMENT, "level is 6", berth_log_set_level(6, &error));
    OK(berth_log_set_callback(NULL, NULL, &error));
}

static void to_a_descriptor(void) {
    int out[2];
    const char *text;
    CHECK(pipe2(out, O_CLOEXEC) == 0);
    OK(berth_log_set_callback(note, &warnings, &error));
    OK(berth_log_set_fd(out[1], &error));
    close(out[1]);
    warn();
    CHECK(warnings == 1);
    OK(berth_log_set_fd(-1, &error));
    warn();
    text = read_all(out[0]);
    CHECK(text[0] == '{' && strstr(text, "\"level\":\"warn\"") && strstr(text, "\"target\":\"berth::"));
    CHECK(strstr(text, "poststop") && text[strlen(text) - 1] == '\n');
    CHECK(strstr(strstr(text, "sorry") + 1, "sorry") == NULL);
    FAILS(BERTH_E_INVALID_ARGUMENT, "fd is 987", berth_log_set_fd(987, &error));
    FAILS(BERTH_E_INVALID_ARGUMENT, "fd is -2", berth_log_set_fd(-2, &error));
}

/* A pipe without a reader, and a full one: no call blocks, and SIGPIPE kills nothing. */
static void log_without_a_reader(void) {
    int out[2];
    signal(SIGPIPE, SIG_DFL);
    CHECK(pipe2(out, O_CLOEXEC | O_NONBLOCK) == 0);
    while (write(out[1], "full", 4) > 0)
        ;
    CHECK(fcntl(out[1], F_SETFL, 0) == 0);
    OK(berth_log_set_fd(out[1], &error));
    close(out[1]);
    warn();
    close(out[0]);
    warn();
    OK(berth_log_set_fd(-1, &error));
}

int main(int argc, char **argv) {
    begin(argc, argv);
    to_a_function();
    traces();
    to_a_descriptor();
    log_without_a_reader();
    return 0;
}
