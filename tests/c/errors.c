/* Bad input, its errors, and output parameters after a failure. */
#include "check.h"

#include <pthread.h>

#define NULLED(name, call) FAILS(BERTH_E_INVALID_ARGUMENT, name " is NULL", call)
/* A pointer that is not NULL and must not be dereferenced. */
#define JUNK ((void *)1)

static void freeing_nothing_is_fine(void) {
    berth_error_free(NULL);
    berth_string_free(NULL);
    berth_pids_free(NULL);
    berth_runtime_free(NULL);
    berth_config_free(NULL);
    berth_container_free(NULL);
    berth_process_free(NULL);
}

static void an_error_that_is_not_there_has_answers(void) {
    CHECK(berth_error_code(NULL) == 0 && berth_error_errno(NULL) == 0 && berth_error_stage(NULL) == BERTH_STAGE_HOST);
    CHECK(strcmp(berth_error_message(NULL), "") == 0 && strcmp(berth_error_detail_json(NULL), "{}") == 0);
    CHECK(berth_container_id(NULL) == NULL);
}

static void each_code_has_words(void) {
    int32_t code;
    for (code = BERTH_E_INTERNAL; code < 0; code++)
        CHECK(strlen(berth_strerror(code)) > 5 && !strstr(berth_strerror(code), "unknown error code"));
    CHECK(strcmp(berth_error_name(BERTH_E_ID_IN_USE), "BERTH_E_ID_IN_USE") == 0);
    CHECK(strcmp(berth_error_name(BERTH_E_CRIU), "BERTH_E_CRIU") == 0 && strcmp(berth_error_name(0), "success") == 0);
    CHECK(strcmp(berth_error_name(1), "unknown") == 0 && strcmp(berth_status_name(99), "unknown") == 0);
    CHECK(strcmp(berth_status_name(BERTH_STATUS_CREATING), "creating") == 0);
    CHECK(strcmp(berth_strerror(0), "success") == 0);
    CHECK(strcmp(berth_strerror(BERTH_E_INTERNAL - 1), "unknown error code") == 0);
    CHECK(strcmp(berth_strerror(12345), "unknown error code") == 0);
    CHECK(strcmp(berth_strerror(BERTH_E_NOT_FOUND), "container does not exist") == 0);
}

static void null_is_named(berth_container *container, berth_process *process, berth_config *config) {
    berth_config *c;
    berth_container *k;
    berth_process *p;
    char *json;
    int32_t number, *pids, fds[3];
    size_t count;
    berth_stats stats;
    const char *id = "never-made";

    NULLED("runtime", berth_runtime_new(NULL, NULL, &error));
    NULLED("runtime", berth_runtime_list_json(NULL, &json, &error));
    NULLED("json", berth_runtime_list_json(runtime, NULL, &error));
    NULLED("runtime", berth_runtime_explain_json(NULL, config, NULL, &json, &error));
    NULLED("config", berth_runtime_explain_json(runtime, NULL, NULL, &json, &error));
    NULLED("json", berth_runtime_explain_json(runtime, config, NULL, NULL, &error));
    NULLED("runtime", berth_runtime_recover(NULL, &json, &error));

    NULLED("bundle", berth_config_from_bundle(NULL, &c, &error));
    NULLED("config", berth_config_from_bundle("/", NULL, &error));
    NULLED("json", berth_config_from_json(NULL, NULL, &c, &error));
    NULLED("config", berth_config_from_json("{}", NULL, NULL, &error));
    NULLED("json", berth_config_default_json(NULL, &error));
    NULLED("json", berth_features_json(NULL, &error));
    NULLED("config", berth_config_validate(NULL, &error));
    NULLED("config", berth_config_explain_json(NULL, &json, &error));
    NULLED("json", berth_config_explain_json(config, NULL, &error));
    NULLED("config", berth_config_to_json(NULL, &json, &error));
    NULLED("json", berth_config_to_json(config, NULL, &error));

    k = JUNK;
    NULLED("runtime", berth_container_create(NULL, id, config, NULL, &k, &error));
    CHECK(!k);
    NULLED("id", berth_container_create(runtime, NULL, config, NULL, &k, &error));
    NULLED("config", berth_container_create(runtime, id, NULL, NULL, &k, &error));
    NULLED("container", berth_container_create(runtime, id, config, NULL, NULL, &error));
    k = JUNK;
    NULLED("runtime", berth_container_run(NULL, id, config, NULL, &k, &error));
    CHECK(!k);
    NULLED("id", berth_container_run(runtime, NULL, config, NULL, &k, &error));
    NULLED("config", berth_container_run(runtime, id, NULL, NULL, &k, &error));
    NULLED("container", berth_container_run(runtime, id, config, NULL, NULL, &error));
    k = JUNK;
    NULLED("runtime", berth_container_load(NULL, id, &k, &error));
    CHECK(!k);
    NULLED("id", berth_container_load(runtime, NULL, &k, &error));
    NULLED("container", berth_container_load(runtime, id, NULL, &error));

    NULLED("container", berth_container_start(NULL, &error));
    p = JUNK;
    NULLED("container", berth_container_exec(NULL, "{}", NULL, &p, &error));
    CHECK(!p);
    NULLED("process_json", berth_container_exec(container, NULL, NULL, &p, &error));
    NULLED("process", berth_container_exec(container, "{}", NULL, NULL, &error));
    NULLED("container", berth_container_signal(NULL, 9, 0, &error));
    NULLED("container", berth_container_pause(NULL, &error));
    NULLED("container", berth_container_resume(NULL, &error));
    NULLED("container", berth_container_delete(NULL, 0, &error));

    number = 77;
    NULLED("container", berth_container_status(NULL, &number, &error));
    CHECK(number == 77);
    NULLED("status", berth_container_status(container, NULL, &error));
    json = JUNK;
    NULLED("container", berth_container_state_json(NULL, &json, &error));
    CHECK(!json);
    NULLED("json", berth_container_state_json(container, NULL, &error));
    NULLED("container", berth_container_config_json(NULL, &json, &error));
    NULLED("json", berth_container_config_json(container, NULL, &error));
    pids = JUNK;
    NULLED("container", berth_container_pids(NULL, &pids, &count, &error));
    CHECK(!pids);
    NULLED("pids", berth_container_pids(container, NULL, &count, &error));
    NULLED("count", berth_container_pids(container, &pids, NULL, &error));
    stats.size = sizeof stats;
    NULLED("container", berth_container_stats(NULL, &stats, &error));
    NULLED("stats", berth_container_stats(container, NULL, &error));
    NULLED("container", berth_container_wait(NULL, 0, NULL, &error));
    NULLED("container", berth_container_pidfd(NULL, &number, &error));
    CHECK(number == -1);
    NULLED("fd", berth_container_pidfd(container, NULL, &error));
    p = JUNK;
    NULLED("container", berth_container_init_process(NULL, &p, &error));
    CHECK(!p);
    NULLED("process", berth_container_init_process(container, NULL, &error));

    NULLED("process", berth_process_pid(NULL, &number, &error));
    NULLED("pid", berth_process_pid(process, NULL, &error));
    NULLED("process", berth_process_pidfd(NULL, &number, &error));
    NULLED("fd", berth_process_pidfd(process, NULL, &error));
    NULLED("process", berth_process_wait(NULL, 0, NULL, &error));
    NULLED("process", berth_process_signal(NULL, 0, &error));
    memset(fds, 0, sizeof fds);
    NULLED("process", berth_process_take_stdio(NULL, fds, &error));
    CHECK(fds[0] == -1 && fds[1] == -1 && fds[2] == -1);
    NULLED("fds", berth_process_take_stdio(process, NULL, &error));
    NULLED("process", berth_process_terminal(NULL, &number, &error));
    NULLED("fd", berth_process_terminal(process, NULL, &error));
    NULLED("process", berth_process_resize_terminal(NULL, 1, 1, &error));

    /* The error parameter is optional. */
    CHECK(berth_container_start(NULL, NULL) == BERTH_E_INVALID_ARGUMENT);
    CHECK(berth_runtime_new(NULL, NULL, NULL) == BERTH_E_INVALID_ARGUMENT);
}

static void arguments_are_checked(berth_container *container, berth_process *process, berth_config *config) {
    char long_id[300];
    const char *ids[] = {"", ".", "..", "a/b", "../up", "with space", "-dash", "\xc3\xa4", long_id};
    berth_container *k;
    berth_config *c;
    berth_process *p;
    size_t i;
    memset(long_id, 'x', sizeof long_id - 1);
    long_id[sizeof long_id - 1] = 0;
    for (i = 0; i < sizeof ids / sizeof *ids; i++) {
        FAILS(BERTH_E_ID_INVALID, "container id", berth_container_create(runtime, ids[i], config, NULL, &k, &error));
        FAILS(BERTH_E_ID_INVALID, "container id", berth_container_load(runtime, ids[i], &k, &error));
        CHECK(!k);
    }
    FAILS(BERTH_E_INVALID_ARGUMENT, "id is not UTF-8 at byte 2", berth_container_load(runtime, "ab\xff", &k, &error));
    FAILS(BERTH_E_INVALID_ARGUMENT, "json is not UTF-8", berth_config_from_json("{\"\xff\":1}", NULL, &c, &error));
    FAILS(BERTH_E_INVALID_ARGUMENT, "process_json is not UTF-8", berth_container_exec(container, "\xff", NULL, &p, &error));
    FAILS(BERTH_E_INVALID_ARGUMENT, "bundle is an empty path", berth_config_from_bundle("", &c, &error));
    FAILS(BERTH_E_INVALID_ARGUMENT, "rootfs is an empty path", berth_config_from_json("{}", "", &c, &error));
    FAILS(BERTH_E_NOT_FOUND, "\"not-there\"", berth_container_load(runtime, "not-there", &k, &error));
    FAILS(BERTH_E_UNSUPPORTED, "0xfe", berth_container_delete(container, 0xff, &error));
    FAILS(BERTH_E_UNSUPPORTED, "0x80000000", berth_container_signal(container, 9, 0x80000001u, &error));
    FAILS(BERTH_E_INVALID_ARGUMENT, "65", berth_container_signal(container, 65, 0, &error));
    FAILS(BERTH_E_INVALID_ARGUMENT, "-1", berth_container_signal(container, -1, BERTH_SIGNAL_ALL, &error));
    FAILS(BERTH_E_INVALID_ARGUMENT, "-5", berth_process_signal(process, -5, &error));
    FAILS(BERTH_E_INVALID_ARGUMENT, "999", berth_process_signal(process, 999, &error));
    CHECK(status_of(container) == BERTH_STATUS_RUNNING);
}

static void a_configuration_that_is_wrong_says_where(void) {
    berth_config *c = JUNK;
    berth_error *error;
    char json[1024];
    FAILS(BERTH_E_CONFIG_INVALID, "JSON", berth_config_from_json("", NULL, &c, &error));
    CHECK(!c);
    FAILS(BERTH_E_CONFIG_INVALID, "JSON", berth_config_from_json("{\"ociVersion\":", rootfs, &c, &error));
    FAILS(BERTH_E_CONFIG_INVALID, "ociVersion", berth_config_from_json("{}", rootfs, &c, &error));
    snprintf(json, sizeof json, "{\"ociVersion\":\"1.0.0\",\"process\":%s,\"root\":{\"path\":\"/\"},\"hostname\":7}",
             process_json("true", 0));
    CHECK(berth_config_from_json(json, rootfs, &c, &error) == BERTH_E_CONFIG_INVALID);
    CHECK(strncmp(berth_error_message(error), "hostname: ", 10) == 0 && berth_error_errno(error) == 0);
    CHECK(strstr(berth_error_detail_json(error), "\"json_path\":\"hostname\""));
    berth_error_free(error);
}

static void a_kernel_error_has_its_errno(void) {
    berth_config *c;
    berth_error *error;
    CHECK(berth_config_from_bundle("/nothing/here", &c, &error) == BERTH_E_SYSTEM);
    CHECK(berth_error_code(error) == BERTH_E_SYSTEM && berth_error_errno(error) == ENOENT);
    CHECK(berth_error_stage(error) == BERTH_STAGE_HOST);
    CHECK(strstr(berth_error_message(error), "/nothing/here/config.json") != NULL);
    berth_error_free(error);
}

static void a_program_that_is_missing_leaves_nothing(void) {
    berth_config *config;
    berth_container *container = JUNK;
    berth_error *error;
    char json[1024], *list;
    const char *id = new_id();
    snprintf(json, sizeof json,
             "{\"ociVersion\":\"1.0.2\",\"process\":{\"user\":{\"uid\":0,\"gid\":0},\"args\":[\"/bin/nothing-here\"],"
             "\"cwd\":\"/\"},\"root\":{\"path\":\"/\"},\"linux\":{\"namespaces\":[{\"type\":\"mount\"},{\"type\":\"pid\"}]}}");
    OK(berth_config_from_json(json, rootfs, &config, &error));
    CHECK(berth_container_run(runtime, id, config, NULL, &container, &error) == BERTH_E_SYSTEM);
    CHECK(!container && berth_error_errno(error) == ENOENT && berth_error_stage(error) == BERTH_STAGE_INIT);
    CHECK(strstr(berth_error_message(error), "\"/bin/nothing-here\": no such file"));
    berth_error_free(error);
    berth_config_free(config);
    OK(berth_runtime_list_json(runtime, &list, &error));
    CHECK(!strstr(list, id));
    berth_string_free(list);
}

static berth_error *made_elsewhere;

static void *fail_and_read(void *container) {
    CHECK(berth_container_resume(container, &made_elsewhere) == BERTH_E_NOT_PAUSED);
    return NULL;
}

static void *hammer(void *container) {
    int i;
    for (i = 0; i < 50; i++) {
        char *json;
        CHECK(status_of(container) == BERTH_STATUS_RUNNING);
        OK(berth_container_state_json(container, &json, &error));
        berth_string_free(json);
        FAILS(BERTH_E_TIMEOUT, "in time", berth_container_wait(container, 0, NULL, &error));
    }
    return NULL;
}

/* An error from another thread, and one handle used by many threads. */
static void threads_share_everything(berth_container *container) {
    pthread_t threads[8];
    size_t i;
    CHECK(pthread_create(&threads[0], NULL, fail_and_read, container) == 0);
    CHECK(pthread_join(threads[0], NULL) == 0);
    CHECK(berth_error_code(made_elsewhere) == BERTH_E_NOT_PAUSED && strstr(berth_error_message(made_elsewhere), "running"));
    berth_error_free(made_elsewhere);
    for (i = 0; i < 8; i++)
        CHECK(pthread_create(&threads[i], NULL, hammer, container) == 0);
    for (i = 0; i < 8; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
}

int main(int argc, char **argv) {
    berth_config *config;
    berth_container *container;
    berth_process *process;
    begin(argc, argv);
    freeing_nothing_is_fine();
    an_error_that_is_not_there_has_answers();
    each_code_has_words();
    config = new_config("true", 0);
    container = run("sleep 1000", 0, NULL);
    OK(berth_container_init_process(container, &process, &error));
    null_is_named(container, process, config);
    arguments_are_checked(container, process, config);
    a_configuration_that_is_wrong_says_where();
    a_kernel_error_has_its_errno();
    a_program_that_is_missing_leaves_nothing();
    threads_share_everything(container);
    berth_process_free(process);
    berth_config_free(config);
    remove_container(container);
    return 0;
}
