/* A container from create to delete, with queries in between. */
#include "check.h"

static void the_library_names_itself(void) {
    CHECK(strchr(berth_version(), '.'));
    CHECK(berth_abi_version() >= BERTH_ABI_VERSION);
    CHECK(berth_has_feature("create") == 1 && berth_has_feature("exec") == 1 && berth_has_feature("terminal") == 1);
    CHECK(berth_has_feature("seccomp") == 1 && berth_has_feature("no such thing") == 0 && berth_has_feature(NULL) == 0);
}

static void a_configuration_can_be_read_back_and_explained(void) {
    berth_config *config = new_config("true", 0);
    char *json;
    OK(berth_config_validate(config, &error));
    OK(berth_config_to_json(config, &json, &error));
    CHECK(strstr(json, "\"ociVersion\":\"1.0.2\""));
    berth_string_free(json);
    OK(berth_config_explain_json(config, &json, &error));
    CHECK(json[0] == '{' && strstr(json, "\"steps\":[") && strstr(json, "/proc"));
    berth_string_free(json);
    berth_config_free(config);
    OK(berth_config_default_json(&json, &error));
    CHECK(strstr(json, "\"terminal\": true"));
    berth_string_free(json);
}

static void each_step_has_its_state(void) {
    berth_config *config = new_config("sleep 1000", 0);
    berth_process_options options = streams(BERTH_STDIO_NULL, BERTH_STDIO_NULL, BERTH_STDIO_NULL);
    berth_container *container, *second;
    berth_exit_status ended;
    const char *id = new_id();
    char *json;
    int32_t *pids;
    size_t count = 99;
    int fd = -1;

    OK(berth_container_create(runtime, id, config, &options, &container, &error));
    CHECK(strcmp(berth_container_id(container), id) == 0);
    CHECK(status_of(container) == BERTH_STATUS_CREATED);
    OK(berth_container_start(container, &error));
    CHECK(status_of(container) == BERTH_STATUS_RUNNING);
    FAILS(BERTH_E_ALREADY_RUNNING, id, berth_container_start(container, &error));
    FAILS(BERTH_E_NOT_PAUSED, id, berth_container_resume(container, &error));
    FAILS(BERTH_E_NOT_STOPPED, id, berth_container_delete(container, 0, &error));
    FAILS(BERTH_E_ID_IN_USE, id, berth_container_create(runtime, id, config, &options, &second, &error));
    CHECK(!second);

    OK(berth_container_pause(container, &error));
    OK(berth_container_load(runtime, id, &second, &error));
    CHECK(status_of(second) == BERTH_STATUS_PAUSED);
    FAILS(BERTH_E_PAUSED, id, berth_container_pause(second, &error));
    FAILS(BERTH_E_PAUSED, id, berth_container_start(second, &error));
    OK(berth_container_resume(second, &error));
    CHECK(status_of(container) == BERTH_STATUS_RUNNING);

    OK(berth_container_state_json(container, &json, &error));
    CHECK(strstr(json, id) && strstr(json, "\"status\":\"running\""));
    berth_string_free(json);
    OK(berth_container_config_json(second, &json, &error));
    CHECK(strstr(json, "sleep 1000"));
    berth_string_free(json);
    OK(berth_runtime_list_json(runtime, &json, &error));
    CHECK(json[0] == '[' && strstr(json, id));
    berth_string_free(json);
    OK(berth_container_pids(container, &pids, &count, &error));
    CHECK(count >= 1 && pids[0] > 0);
    berth_pids_free(pids);

    OK(berth_container_pidfd(container, &fd, &error));
    check_cloexec(fd);
    OK(berth_container_signal(second, SIGTERM, BERTH_SIGNAL_ALL, &error));
    OK(berth_container_signal(second, SIGKILL, 0, &error));
    OK(berth_container_wait(container, LONG_MS, &ended, &error));
    CHECK(ended.kind == BERTH_EXIT_SIGNALED && ended.signal == SIGKILL && ended.code == 0);
    {
        struct pollfd ready = {fd, POLLIN, 0};
        CHECK(poll(&ready, 1, 0) == 1);
    }
    close(fd);
    CHECK(status_of(container) == BERTH_STATUS_STOPPED);
    FAILS(BERTH_E_NOT_RUNNING, id, berth_container_pause(container, &error));
    FAILS(BERTH_E_NOT_RUNNING, id, berth_container_signal(container, SIGTERM, 0, &error));
    OK(berth_container_delete(second, 0, &error));
    FAILS(BERTH_E_NOT_FOUND, id, berth_container_status(container, &fd, &error));
    FAILS(BERTH_E_NOT_FOUND, id, berth_container_delete(container, BERTH_DELETE_FORCE, &error));
    OK(berth_container_wait(container, 0, NULL, &error));
    berth_container_free(second);
    berth_container_free(container);

    /* The id can be used again, also with run. */
    OK(berth_container_run(runtime, id, config, &options, &container, &error));
    berth_config_free(config);
    remove_container(container);
}

static void a_bundle_is_read_from_its_directory(void) {
    char bundle[512], path[600], link[600];
    berth_config *config;
    FILE *file;
    snprintf(bundle, sizeof bundle, "%s-bundle", state_root);
    CHECK(mkdir(bundle, 0700) == 0);
    snprintf(link, sizeof link, "%s/rootfs", bundle);
    CHECK(symlink(rootfs, link) == 0);
    snprintf(path, sizeof path, "%s/config.json", bundle);
    CHECK((file = fopen(path, "w")) != NULL);
    fprintf(file, "{\"ociVersion\":\"1.0.2\",\"process\":%s,\"root\":{\"path\":\"rootfs\"},\"linux\":{\"namespaces\":"
                  "[{\"type\":\"mount\"}]}}", process_json("true", 0));
    CHECK(fclose(file) == 0);
    OK(berth_config_from_bundle(bundle, &config, &error));
    OK(berth_config_validate(config, &error));
    berth_config_free(config);
    CHECK(unlink(path) == 0 && unlink(link) == 0);
    FAILS(BERTH_E_SYSTEM, "config.json", berth_config_from_bundle(bundle, &config, &error));
    CHECK(!config && rmdir(bundle) == 0);
}

static void stats_are_numbers_or_all_ones(void) {
    berth_container *container = run("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; sleep 1000", 0, NULL);
    berth_stats stats;
    memset(&stats, 0, sizeof stats);
    stats.size = sizeof stats;
    OK(berth_container_stats(container, &stats, &error));
    CHECK(stats.size == sizeof stats);
    CHECK(stats.cpu_usage_ns > 0);
    CHECK(stats.pids_current == UINT64_MAX || stats.pids_current >= 1);
    CHECK(stats.memory_limit == UINT64_MAX || stats.memory_limit > 0);
    remove_container(container);
}

static void nothing_is_there_to_recover(void) {
    char *ids;
    OK(berth_runtime_recover(runtime, &ids, &error));
    CHECK(strcmp(ids, "[]") == 0);
    berth_string_free(ids);
    OK(berth_runtime_recover(runtime, NULL, &error));
    OK(berth_runtime_list_json(runtime, &ids, &error));
    CHECK(strcmp(ids, "[]") == 0);
    berth_string_free(ids);
}

int main(int argc, char **argv) {
    begin(argc, argv);
    the_library_names_itself();
    a_configuration_can_be_read_back_and_explained();
    each_step_has_its_state();
    a_bundle_is_read_from_its_directory();
    stats_are_numbers_or_all_ones();
    nothing_is_there_to_recover();
    return 0;
}
