/* Scenarios of errors: bad input, and calls in the wrong state. Part of main.c. */

static const char *config_with(const char *member) {
    static char json[1024];
    snprintf(json, sizeof json, "{\"ociVersion\":\"1.0.2\",\"process\":%s,\"root\":{\"path\":\"/\"},%s}",
             process_json("true", 0), member);
    return json;
}

static void bad_config(void) {
    const char *colour = "\"linux\":{\"namespaces\":[{\"type\":\"mount\"},{\"type\":\"colour\"}]}";
    berth_config *none;
    FAILS(BERTH_E_CONFIG_INVALID, "hostname", berth_config_from_json(config_with("\"hostname\":7"), rootfs, &none, &error));
    CHECK(!none);
    FAILS(BERTH_E_CONFIG_INVALID, "linux.namespaces[1].type",
          berth_config_from_json(config_with(colour), rootfs, &none, &error));
    FAILS(BERTH_E_CONFIG_INVALID, "JSON", berth_config_from_json("{\"ociVersion\":", rootfs, &none, &error));
}

static void bad_resources(void) {
    berth_container *container = run("sleep 1000", 0, NULL);
    char *before, *after;
    OK(berth_container_config_json(container, &before, &error));
    FAILS(BERTH_E_CONFIG_INVALID, "memory.limit", berth_container_set(container, "{\"memory\":{\"limit\":-5}}", &error));
    OK(berth_container_config_json(container, &after, &error));
    CHECK(strcmp(before, after) == 0);
    berth_string_free(before);
    berth_string_free(after);
    remove_container(container);
}

static void bad_process(void) {
    berth_config *config;
    berth_container *container;
    berth_error *error;
    OK(berth_config_from_json("{\"ociVersion\":\"1.0.2\",\"process\":{\"user\":{\"uid\":0,\"gid\":0},\"args\":"
                              "[\"/bin/nothing-here\"],\"cwd\":\"/\"},\"root\":{\"path\":\"/\"},\"linux\":{\"namespaces\":"
                              "[{\"type\":\"mount\"},{\"type\":\"pid\"}]}}", rootfs, &config, &error));
    CHECK(berth_container_run(runtime, new_id(), config, NULL, &container, &error) == BERTH_E_SYSTEM);
    CHECK(!container && berth_error_errno(error) == ENOENT && berth_error_stage(error) == BERTH_STAGE_INIT);
    CHECK(strstr(berth_error_message(error), "/bin/nothing-here"));
    berth_error_free(error);
    berth_config_free(config);
    is_listed(NULL, NULL);
}

static void bad_id(void) {
    char letters[202];
    const char *ids[] = {"", "../up", letters};
    berth_config *config = new_config("true", 0);
    berth_container *none;
    size_t i;
    memset(letters, 'x', sizeof letters - 1);
    letters[sizeof letters - 1] = 0;
    for (i = 0; i < 3; i++) {
        FAILS(BERTH_E_ID_INVALID, "id", berth_container_create(runtime, ids[i], config, NULL, &none, &error));
        FAILS(BERTH_E_ID_INVALID, "id", berth_container_load(runtime, ids[i], &none, &error));
    }
    berth_config_free(config);
}

static void bad_argument(void) {
    berth_container *container = run("sleep 1000", 0, NULL), *none;
    FAILS(BERTH_E_INVALID_ARGUMENT, "id is NULL", berth_container_load(runtime, NULL, &none, &error));
    FAILS(BERTH_E_INVALID_ARGUMENT, "999", berth_container_signal(container, 999, 0, &error));
    CHECK(status_of(container) == BERTH_STATUS_RUNNING);
    remove_container(container);
}

static void id_in_use(void) {
    berth_container *container = run("sleep 1000", 0, NULL), *none;
    berth_config *config = new_config("true", 0);
    const char *id = berth_container_id(container);
    FAILS(BERTH_E_ID_IN_USE, id, berth_container_create(runtime, id, config, NULL, &none, &error));
    CHECK(!none && status_of(container) == BERTH_STATUS_RUNNING);
    berth_config_free(config);
    remove_container(container);
}

static void not_found(void) {
    berth_container *none;
    FAILS(BERTH_E_NOT_FOUND, "not-there", berth_container_load(runtime, "not-there", &none, &error));
    CHECK(!none);
}

static void wrong_state(void) {
    berth_container *container = run("sleep 1000", 0, NULL);
    FAILS(BERTH_E_ALREADY_RUNNING, "running", berth_container_start(container, &error));
    FAILS(BERTH_E_NOT_PAUSED, "running", berth_container_resume(container, &error));
    FAILS(BERTH_E_NOT_STOPPED, "running", berth_container_delete(container, 0, &error));
    OK(berth_container_pause(container, &error));
    FAILS(BERTH_E_PAUSED, "paused", berth_container_pause(container, &error));
    OK(berth_container_resume(container, &error));
    OK(berth_container_signal(container, SIGKILL, 0, &error));
    is_killed(container);
    FAILS(BERTH_E_NOT_RUNNING, "stopped", berth_container_signal(container, SIGKILL, 0, &error));
    remove_container(container);
}

static void error_facts(void) {
    berth_config *none;
    berth_error *error;
    int32_t code;
    CHECK(berth_config_from_json(config_with("\"hostname\":7"), rootfs, &none, &error) == BERTH_E_CONFIG_INVALID);
    CHECK(berth_error_code(error) == BERTH_E_CONFIG_INVALID && berth_error_errno(error) == 0);
    CHECK(berth_error_stage(error) == BERTH_STAGE_HOST && !strchr(berth_error_message(error), '\n'));
    CHECK(strstr(berth_error_detail_json(error), "\"json_path\":\"hostname\""));
    berth_error_free(error);
    CHECK(berth_config_from_bundle("/nothing/here", &none, &error) == BERTH_E_SYSTEM);
    CHECK(berth_error_errno(error) == ENOENT && strstr(berth_error_message(error), "/nothing/here"));
    berth_error_free(error);
    for (code = BERTH_E_INTERNAL; code < 0; code++)
        CHECK(strlen(berth_strerror(code)) > 5 && !strncmp(berth_error_name(code), "BERTH_E_", 8));
    CHECK(!strcmp(berth_error_name(BERTH_E_NOT_FOUND), "BERTH_E_NOT_FOUND") && !strcmp(berth_status_name(BERTH_STATUS_PAUSED), "paused"));
}

static void timeout(void) {
    berth_container *container = run("sleep 1000", 0, NULL);
    struct timespec before, after;
    FAILS(BERTH_E_TIMEOUT, "in time", berth_container_wait(container, 0, NULL, &error));
    clock_gettime(CLOCK_MONOTONIC, &before);
    FAILS(BERTH_E_TIMEOUT, "in time", berth_container_wait(container, 200, NULL, &error));
    clock_gettime(CLOCK_MONOTONIC, &after);
    CHECK((after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000 >= 199);
    remove_container(container);
}
