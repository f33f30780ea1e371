/* Scenarios of queries: containers, runtimes, configurations and the library. Part of main.c. */

static uint64_t cpu_time(berth_container *container) {
    berth_stats stats;
    stats.size = sizeof stats;
    OK(berth_container_stats(container, &stats, &error));
    CHECK(stats.memory_limit == UINT64_MAX && stats.pids_limit == UINT64_MAX);
    CHECK(stats.cpu_usage_ns != UINT64_MAX);
    return stats.cpu_usage_ns;
}

static void stats(void) {
    berth_container *container = run("while :; do :; done", 0, NULL);
    uint64_t before = cpu_time(container);
    time_t end = time(NULL) + LONG_MS / 1000;
    while (cpu_time(container) <= before)
        CHECK(time(NULL) < end);
    remove_container(container);
}

static void stats_json(void) {
    berth_container *container = run("sleep 1000", 0, NULL);
    char *json;
    OK(berth_container_stats_json(container, &json, &error));
    CHECK(strstr(json, "\"cpu\":{") && strstr(json, "\"memory\":{") && strstr(json, "\"pids\":{"));
    CHECK(strstr(json, "\"network_interfaces\":[{\"Name\":\"lo\""));
    berth_string_free(json);
    remove_container(container);
}

/* Skips the scenario if the machine does not have the controller. */
static void set_or_skip(berth_container *container, const char *resources, const char *controller) {
    int32_t code = berth_container_set(container, resources, NULL);
    if (code == BERTH_E_UNSUPPORTED) {
        char why[64];
        snprintf(why, sizeof why, "no %s controller", controller);
        remove_container(container);
        skip(why);
    }
    CHECK(code == 0);
}

static void set_limits(void) {
    berth_container *container = run("sleep 1000", 0, NULL);
    berth_stats stats;
    char *json;
    set_or_skip(container, "{\"pids\":{\"limit\":77}}", "pids");
    stats.size = sizeof stats;
    OK(berth_container_stats(container, &stats, &error));
    CHECK(stats.pids_limit == 77);
    OK(berth_container_config_json(container, &json, &error));
    CHECK(strstr(json, "\"limit\":77"));
    berth_string_free(json);
    remove_container(container);
}

static void oom_event(void) {
    berth_config *config = new_config("exec tail /dev/zero", 0);
    berth_process_options quiet = streams(BERTH_STDIO_NULL, BERTH_STDIO_NULL, BERTH_STDIO_NULL);
    berth_container *container;
    berth_event *event;
    berth_occurred occurred = {0, 0, 0};
    uint64_t count = 0;
    int32_t killed;
    int fd;
    OK(berth_container_create(runtime, new_id(), config, &quiet, &container, &error));
    berth_config_free(config);
    set_or_skip(container, "{\"memory\":{\"limit\":25165824,\"swap\":25165824}}", "memory");
    OK(berth_container_notify_oom(container, &event, &error));
    OK(berth_event_fd(event, &fd, &error));
    check_cloexec(fd);
    FAILS(BERTH_E_TIMEOUT, "", berth_event_read(event, 0, &occurred, &error));
    OK(berth_container_start(container, &error));
    CHECK(is_readable(fd, LONG_MS));
    while (!occurred.ended) {
        OK(berth_event_read(event, LONG_MS, &occurred, &error));
        count += occurred.count;
    }
    CHECK(count > 0);
    is_killed(container);
    OK(berth_container_oom_killed(container, &killed, &error));
    CHECK(killed == 1);
    close(fd);
    berth_event_free(event);
    remove_container(container);
}

static void pressure_event(void) {
    berth_container *container = run("sleep 1000", 0, NULL);
    berth_event *events[3];
    berth_occurred occurred;
    int32_t level, code;
    for (level = BERTH_PRESSURE_LOW; level <= BERTH_PRESSURE_CRITICAL; level++) {
        code = berth_container_notify_memory_pressure(container, level, &events[level - 1], NULL);
        if (code == BERTH_E_UNSUPPORTED) {
            remove_container(container);
            skip("memory pressure is not measured");
        }
        CHECK(code == 0);
        FAILS(BERTH_E_TIMEOUT, "", berth_event_read(events[level - 1], 0, &occurred, &error));
    }
    OK(berth_container_signal(container, SIGKILL, 0, &error));
    for (level = 0; level < 3; level++) {
        do {
            OK(berth_event_read(events[level], LONG_MS, &occurred, &error));
        } while (!occurred.ended);
        berth_event_free(events[level]);
    }
    remove_container(container);
}

static void is_listed(const char *expected_first, const char *expected_second) {
    char *json;
    const char *first, *second;
    OK(berth_runtime_list_json(runtime, &json, &error));
    if (!expected_first) {
        CHECK(strcmp(json, "[]") == 0);
    } else {
        first = strstr(json, expected_first);
        second = strstr(json, expected_second);
        CHECK(first && second && first < second);
    }
    berth_string_free(json);
}

static void list(void) {
    berth_process_options quiet = streams(BERTH_STDIO_NULL, BERTH_STDIO_NULL, BERTH_STDIO_NULL);
    berth_config *config = new_config("sleep 1000", 0);
    berth_container *b, *a;
    char first[160], second[160], quoted[2][164];
    const char *id = new_id();
    snprintf(first, sizeof first, "%s-a", id);
    snprintf(second, sizeof second, "%s-b", id);
    snprintf(quoted[0], sizeof quoted[0], "\"%s\"", first);
    snprintf(quoted[1], sizeof quoted[1], "\"%s\"", second);
    is_listed(NULL, NULL);
    OK(berth_container_create(runtime, second, config, &quiet, &b, &error));
    OK(berth_container_run(runtime, first, config, &quiet, &a, &error));
    is_listed(quoted[0], quoted[1]);
    berth_config_free(config);
    remove_container(a);
    remove_container(b);
    is_listed(NULL, NULL);
}

static void load_from_another_handle(void) {
    berth_process_options quiet = streams(BERTH_STDIO_NULL, BERTH_STDIO_NULL, BERTH_STDIO_NULL);
    berth_config *config = new_config("sleep 1000", 0);
    berth_runtime_options options;
    berth_runtime *other;
    berth_container *container, *loaded;
    OK(berth_container_create(runtime, new_id(), config, &quiet, &container, &error));
    berth_config_free(config);
    berth_runtime_options_init(&options, sizeof options);
    options.state_root = state_root;
    OK(berth_runtime_new(&options, &other, &error));
    OK(berth_container_load(other, berth_container_id(container), &loaded, &error));
    CHECK(status_of(loaded) == BERTH_STATUS_CREATED);
    OK(berth_container_start(loaded, &error));
    CHECK(status_of(loaded) == BERTH_STATUS_RUNNING && status_of(container) == BERTH_STATUS_RUNNING);
    berth_container_free(loaded);
    berth_runtime_free(other);
    remove_container(container);
}

static void force_delete(void) {
    berth_process_options quiet = streams(BERTH_STDIO_NULL, BERTH_STDIO_NULL, BERTH_STDIO_NULL);
    berth_config *config = new_config("sleep 1000", 0);
    const char *id = new_id();
    berth_container *container;
    OK(berth_container_run(runtime, id, config, &quiet, &container, &error));
    FAILS(BERTH_E_NOT_STOPPED, id, berth_container_delete(container, 0, &error));
    OK(berth_container_delete(container, BERTH_DELETE_FORCE, &error));
    berth_container_free(container);
    OK(berth_container_run(runtime, id, config, &quiet, &container, &error));
    berth_config_free(config);
    remove_container(container);
}

static void recover(void) {
    berth_container *container = run("sleep 1000", 0, NULL);
    char *ids;
    OK(berth_runtime_recover(runtime, &ids, &error));
    CHECK(strcmp(ids, "[]") == 0);
    berth_string_free(ids);
    CHECK(status_of(container) == BERTH_STATUS_RUNNING);
    remove_container(container);
}

static void has_interface(berth_container *container, const char *part) {
    char *json;
    OK(berth_container_interfaces_json(container, BERTH_INTERFACES_INSIDE, &json, &error));
    CHECK(strstr(json, part));
    berth_string_free(json);
}

static void interfaces(void) {
    berth_container *container = run("sleep 1000", 0, NULL);
    has_interface(container, "\"interfaces\":[{\"name\":\"lo\"");
    remove_container(container);
}

static void networks(void) {
    berth_process_options quiet = streams(BERTH_STDIO_NULL, BERTH_STDIO_NULL, BERTH_STDIO_NULL);
    berth_config *config = new_config("sleep 1000", 0), *connected;
    berth_container *container;
    OK(berth_config_with_networks(config, "{\"networks\":[{\"type\":\"veth\",\"name\":\"net0\"}]}", &connected, &error));
    berth_config_free(config);
    OK(berth_container_run(runtime, new_id(), connected, &quiet, &container, &error));
    berth_config_free(connected);
    has_interface(container, "\"networks\":[{\"name\":\"net0\",\"hostInterfaceName\":\"berth");
    has_interface(container, "{\"name\":\"net0\",\"up\":true");
    remove_container(container);
}

static void state_json(void) {
    berth_process_options quiet = streams(BERTH_STDIO_NULL, BERTH_STDIO_NULL, BERTH_STDIO_NULL);
    berth_config *config;
    berth_container *container;
    berth_process *init;
    char text[1024], *json;
    int32_t pid;
    snprintf(text, sizeof text,
             "{\"ociVersion\":\"1.0.2\",\"process\":%s,\"root\":{\"path\":\"/\"},\"annotations\":{\"org.example\":\"mine\"},"
             "\"linux\":{\"namespaces\":[{\"type\":\"mount\"},{\"type\":\"pid\"}]}}", process_json("sleep 1000", 0));
    OK(berth_config_from_json(text, rootfs, &config, &error));
    OK(berth_container_run(runtime, new_id(), config, &quiet, &container, &error));
    berth_config_free(config);
    OK(berth_container_init_process(container, &init, &error));
    OK(berth_process_pid(init, &pid, &error));
    berth_process_free(init);
    OK(berth_container_state_json(container, &json, &error));
    snprintf(text, sizeof text, "\"id\":\"%s\",\"status\":\"running\",\"pid\":%d,", berth_container_id(container), (int)pid);
    CHECK(strstr(json, text) && strstr(json, "\"annotations\":{\"org.example\":\"mine\"}"));
    berth_string_free(json);
    remove_container(container);
}

static void config_json(void) {
    berth_process_options quiet = streams(BERTH_STDIO_NULL, BERTH_STDIO_NULL, BERTH_STDIO_NULL);
    berth_config *config = new_config("sleep 1000", 0);
    berth_container *container;
    char *written, *read;
    OK(berth_config_default_json(&written, &error));
    CHECK(strstr(written, "\"ociVersion\""));
    berth_string_free(written);
    OK(berth_config_to_json(config, &written, &error));
    CHECK(strstr(written, "sleep 1000"));
    OK(berth_container_run(runtime, new_id(), config, &quiet, &container, &error));
    berth_config_free(config);
    OK(berth_container_config_json(container, &read, &error));
    CHECK(strcmp(written, read) == 0);
    berth_string_free(written);
    berth_string_free(read);
    remove_container(container);
}

static void explain(void) {
    berth_config *config = new_config("true", 0);
    char *json;
    OK(berth_config_explain_json(config, &json, &error));
    CHECK(strstr(json, "\"steps\":[") && strstr(json, "\"/proc\""));
    berth_string_free(json);
    berth_config_free(config);
    is_listed(NULL, NULL);
}

static void hook_fails(void) {
    static const char *const env[] = {"WHO=the caller", "PATH=/bin"};
    berth_process_options quiet = streams(BERTH_STDIO_NULL, BERTH_STDIO_NULL, BERTH_STDIO_NULL);
    berth_runtime_options options;
    berth_runtime *other;
    berth_config *config;
    berth_container *container, *none;
    const char *id = new_id();
    char json[2048];
    berth_runtime_options_init(&options, sizeof options);
    options.state_root = state_root;
    options.hook_env = env;
    options.hook_env_count = 2;
    OK(berth_runtime_new(&options, &other, &error));
    snprintf(json, sizeof json,
             "{\"ociVersion\":\"1.0.2\",\"process\":%s,\"root\":{\"path\":\"/\"},\"hooks\":{\"poststart\":[{\"path\":"
             "\"%s/bin/busybox\",\"args\":[\"sh\",\"-c\",\"echo it is $WHO; exit 3\"]}]},\"linux\":{\"namespaces\":"
             "[{\"type\":\"mount\"},{\"type\":\"pid\"}]}}", process_json("sleep 1000", 0), rootfs);
    OK(berth_config_from_json(json, rootfs, &config, &error));
    OK(berth_container_create(other, id, config, &quiet, &container, &error));
    FAILS(BERTH_E_HOOK, "it is the caller", berth_container_start(container, &error));
    FAILS(BERTH_E_NOT_FOUND, id, berth_container_delete(container, BERTH_DELETE_FORCE, &error));
    FAILS(BERTH_E_NOT_FOUND, id, berth_container_load(other, id, &none, &error));
    berth_container_free(container);
    berth_config_free(config);
    berth_runtime_free(other);
}

static void explain_runtime(void) {
    berth_config *config = new_config("true", 0);
    berth_process_options options;
    char *json;
    berth_process_options_init(&options, sizeof options);
    options.flags = BERTH_PROCESS_FIND_PROGRAM;
    OK(berth_runtime_explain_json(runtime, config, &options, &json, &error));
    CHECK(strstr(json, "\"FindProgram\""));
    berth_string_free(json);
    OK(berth_runtime_explain_json(runtime, config, NULL, &json, &error));
    CHECK(strstr(json, "\"/proc\"") && !strstr(json, "\"FindProgram\""));
    berth_string_free(json);
    berth_config_free(config);
    is_listed(NULL, NULL);
}

static void library(void) {
    CHECK(strchr(berth_version(), '.'));
    CHECK(berth_abi_version() >= BERTH_ABI_VERSION);
    char *features;
    OK(berth_features_json(&features, &error));
    CHECK(strstr(features, "\"ociVersionMax\":\"1.3.0\"") && strstr(features, "\"rbind\""));
    berth_string_free(features);
    CHECK(berth_has_feature("create") && berth_has_feature("exec") && !berth_has_feature("no such thing"));
}

static int warnings;

static void note(void *userdata, int32_t level, const char *target, const char *message) {
    CHECK(userdata == &warnings && !strchr(message, '\n'));
    if (level == BERTH_LOG_LEVEL_WARN && strncmp(target, "berth::", 7) == 0 && strstr(message, "sorry"))
        warnings++;
}

/* A failing poststop hook is only logged. */
static void warn(void) {
    berth_process_options quiet = streams(BERTH_STDIO_NULL, BERTH_STDIO_NULL, BERTH_STDIO_NULL);
    berth_config *config;
    berth_container *container;
    char json[2048];
    snprintf(json, sizeof json,
             "{\"ociVersion\":\"1.0.2\",\"process\":%s,\"root\":{\"path\":\"/\"},\"hooks\":{\"poststop\":[{\"path\":"
             "\"%s/bin/busybox\",\"args\":[\"sh\",\"-c\",\"echo sorry; exit 3\"]}]},\"linux\":{\"namespaces\":"
             "[{\"type\":\"mount\"},{\"type\":\"pid\"}]}}", process_json("true", 0), rootfs);
    OK(berth_config_from_json(json, rootfs, &config, &error));
    OK(berth_container_run(runtime, new_id(), config, &quiet, &container, &error));
    berth_config_free(config);
    remove_container(container);
}

static void log_lines(void) {
    int out[2];
    const char *text;
    CHECK(pipe2(out, O_CLOEXEC) == 0);
    OK(berth_log_set_callback(note, &warnings, &error));
    warn();
    CHECK(warnings == 1);
    OK(berth_log_set_level(BERTH_LOG_LEVEL_ERROR, &error));
    warn();
    CHECK(warnings == 1);
    OK(berth_log_set_level(BERTH_LOG_LEVEL_DEBUG, &error));
    OK(berth_log_set_fd(out[1], &error));
    close(out[1]);
    warn();
    OK(berth_log_set_fd(-1, &error));
    warn();
    CHECK(warnings == 1);
    text = read_all(out[0]);
    CHECK(text[0] == '{' && strstr(text, "\"level\":\"warn\"") && strstr(text, "sorry"));
    CHECK(!strstr(strstr(text, "sorry") + 1, "sorry"));
}
