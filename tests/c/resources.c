/* Changing limits, statistics, and memory events. */
#include "check.h"

static int has_memory = 1;

/* Creates a container with a memory limit of 24 MiB; NULL if the host cannot limit memory. */
static berth_container *limited(const char *script) {
    berth_process_options options = streams(BERTH_STDIO_NULL, BERTH_STDIO_NULL, BERTH_STDIO_NULL);
    berth_config *config = new_config(script, 0);
    berth_container *container;
    int32_t code;
    OK(berth_container_create(runtime, new_id(), config, &options, &container, &error));
    berth_config_free(config);
    code = berth_container_set(container, "{\"memory\":{\"limit\":25165824,\"swap\":25165824}}", NULL);
    if (code == BERTH_E_UNSUPPORTED) {
        has_memory = 0;
        remove_container(container);
        return NULL;
    }
    CHECK(code == 0);
    return container;
}

static void limits_are_changed_and_saved(void) {
    berth_container *container = run("sleep 1000", 0, NULL);
    char *json;
    OK(berth_container_set(container, "{}", &error));
    FAILS(BERTH_E_CONFIG_INVALID, "memory.limit", berth_container_set(container, "{\"memory\":{\"limit\":-5}}", &error));
    FAILS(BERTH_E_CONFIG_INVALID, "JSON", berth_container_set(container, "{", &error));
    FAILS(BERTH_E_INVALID_ARGUMENT, "resources_json", berth_container_set(container, NULL, &error));
    FAILS(BERTH_E_INVALID_ARGUMENT, "container", berth_container_set(NULL, "{}", &error));
    if (berth_container_set(container, "{\"pids\":{\"limit\":77}}", NULL) == 0) {
        OK(berth_container_config_json(container, &json, &error));
        CHECK(strstr(json, "\"limit\":77"));
        berth_string_free(json);
    }
    remove_container(container);
}

static void statistics_are_json_too(void) {
    berth_container *container = run("sleep 1000", 0, NULL);
    char *json;
    OK(berth_container_stats_json(container, &json, &error));
    CHECK(strstr(json, "{\"cpu\":{\"usage\":{") == json);
    CHECK(strstr(json, "\"memory\":{") && strstr(json, "\"pids\":{") && strstr(json, "\"network_interfaces\":["));
    berth_string_free(json);
    FAILS(BERTH_E_INVALID_ARGUMENT, "json", berth_container_stats_json(container, NULL, &error));
    remove_container(container);
}

/* A caller compiled before the struct grew. */
static void an_older_struct_is_filled_as_far_as_it_goes(void) {
    berth_container *container = run("sleep 1000", 0, NULL);
    berth_stats stats;
    memset(&stats, 0xa5, sizeof stats);
    stats.size = offsetof(berth_stats, memory_limit_hits);
    OK(berth_container_stats(container, &stats, &error));
    CHECK(stats.cpu_usage_ns > 0 && stats.cpu_usage_ns != UINT64_MAX);
    CHECK(stats.memory_limit_hits == 0xa5a5a5a5a5a5a5a5u && stats.io_pressure_full_ns == 0xa5a5a5a5a5a5a5a5u);
    remove_container(container);
}

static void running_out_of_memory_is_an_event(void) {
    berth_container *container = limited("exec tail /dev/zero");
    berth_exit_status ended;
    berth_occurred occurred;
    berth_event *event;
    int fd = -1;
    int32_t killed = -1;
    if (!container) return;
    OK(berth_container_notify_oom(container, &event, &error));
    OK(berth_event_fd(event, &fd, &error));
    check_cloexec(fd);
    FAILS(BERTH_E_TIMEOUT, "no event", berth_event_read(event, 0, &occurred, &error));
    FAILS(BERTH_E_TIMEOUT, "", berth_container_oom_killed(container, &killed, &error));
    OK(berth_container_start(container, &error));
    {
        struct pollfd ready = {fd, POLLIN, 0};
        CHECK(poll(&ready, 1, LONG_MS) == 1);
    }
    OK(berth_container_wait(container, LONG_MS, &ended, &error));
    CHECK(ended.kind == BERTH_EXIT_SIGNALED && ended.signal == SIGKILL);
    OK(berth_event_read(event, LONG_MS, &occurred, &error));
    CHECK(occurred.count > 0 && occurred.ended == 1 && occurred.reserved == 0);
    OK(berth_container_oom_killed(container, &killed, &error));
    CHECK(killed == 1);
    close(fd);
    berth_event_free(event);
    berth_event_free(NULL);
    remove_container(container);
}

static void pressure_has_three_levels(void) {
    berth_container *container = run("sleep 1000", 0, NULL);
    berth_event *event;
    berth_occurred occurred;
    int32_t level;
    for (level = BERTH_PRESSURE_LOW; level <= BERTH_PRESSURE_CRITICAL; level++) {
        int32_t code = berth_container_notify_memory_pressure(container, level, &event, NULL);
        if (code == BERTH_E_UNSUPPORTED) continue;
        CHECK(code == 0);
        FAILS(BERTH_E_TIMEOUT, "", berth_event_read(event, 1, &occurred, &error));
        berth_event_free(event);
    }
    FAILS(BERTH_E_INVALID_ARGUMENT, "level", berth_container_notify_memory_pressure(container, 4, &event, &error));
    CHECK(!event);
    FAILS(BERTH_E_INVALID_ARGUMENT, "event", berth_event_read(NULL, 0, &occurred, &error));
    remove_container(container);
}

static void the_manager_is_an_option(void) {
    berth_runtime_options options;
    berth_runtime *other;
    berth_runtime_options_init(&options, sizeof options);
    options.state_root = state_root;
    options.cgroup_manager = 7;
    FAILS(BERTH_E_INVALID_ARGUMENT, "cgroup_manager", berth_runtime_new(&options, &other, &error));
    options.cgroup_manager = BERTH_CGROUP_MANAGER_SYSTEMD;
    options.flags = 1u << 31;
    FAILS(BERTH_E_UNSUPPORTED, "flags", berth_runtime_new(&options, &other, &error));
    options.flags = BERTH_RUNTIME_SYSTEMD_ANNOTATIONS;
    OK(berth_runtime_new(&options, &other, &error));
    berth_runtime_free(other);
}

int main(int argc, char **argv) {
    begin(argc, argv);
    CHECK(berth_has_feature("set") && berth_has_feature("events") && berth_has_feature("systemd"));
    limits_are_changed_and_saved();
    statistics_are_json_too();
    an_older_struct_is_filled_as_far_as_it_goes();
    running_out_of_memory_is_an_event();
    pressure_has_three_levels();
    the_manager_is_an_option();
    if (!has_memory) printf("no memory controller: part of it was skipped\n");
    return 0;
}
