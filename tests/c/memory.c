/*
 * Calls that return memory and descriptors, all of which the test releases; to be run under valgrind. The container belongs
 * to another process (check.h, "elsewhere"), so this also tests handles in a process that did not create the container.
 */
#include "check.h"

static void configurations(void) {
    berth_config *config = new_config("true", 0), *none;
    char *json;
    OK(berth_config_validate(config, &error));
    OK(berth_config_to_json(config, &json, &error));
    berth_string_free(json);
    OK(berth_config_explain_json(config, &json, &error));
    berth_string_free(json);
    OK(berth_config_default_json(&json, &error));
    berth_string_free(json);
    berth_config_free(config);
    FAILS(BERTH_E_CONFIG_INVALID, "JSON", berth_config_from_json("[", NULL, &none, &error));
    FAILS(BERTH_E_SYSTEM, "config.json", berth_config_from_bundle("/nothing/here", &none, &error));
    CHECK(berth_config_from_json("[", NULL, &none, NULL) == BERTH_E_CONFIG_INVALID && !none);
}

static void a_container_of_another_process(const char *id) {
    berth_container *container, *none;
    berth_stats stats;
    int32_t *pids;
    size_t count;
    char *json;
    FAILS(BERTH_E_NOT_FOUND, "not-there", berth_container_load(runtime, "not-there", &none, &error));
    OK(berth_container_load(runtime, id, &container, &error));
    CHECK(status_of(container) == BERTH_STATUS_RUNNING);
    FAILS(BERTH_E_ALREADY_RUNNING, id, berth_container_start(container, &error));
    OK(berth_container_pause(container, &error));
    CHECK(status_of(container) == BERTH_STATUS_PAUSED);
    OK(berth_container_resume(container, &error));
    OK(berth_container_state_json(container, &json, &error));
    berth_string_free(json);
    OK(berth_container_config_json(container, &json, &error));
    berth_string_free(json);
    OK(berth_runtime_list_json(runtime, &json, &error));
    berth_string_free(json);
    OK(berth_runtime_recover(runtime, &json, &error));
    berth_string_free(json);
    OK(berth_container_pids(container, &pids, &count, &error));
    CHECK(count == 1 && pids[0] > 1);
    berth_pids_free(pids);
    stats.size = sizeof stats;
    OK(berth_container_stats(container, &stats, &error));
    FAILS(BERTH_E_NOT_STOPPED, id, berth_container_delete(container, 0, &error));
    FAILS(BERTH_E_UNSUPPORTED, "flags", berth_container_delete(container, 2, &error));
    berth_container_free(container);
}

int main(int argc, char **argv) {
    const char *id = new_id();
    begin(argc, argv);
    act_elsewhere(argc, argv);
    configurations();
    elsewhere(argv[0], "create", id);
    a_container_of_another_process(id);
    elsewhere(argv[0], "delete", id);
    OK(berth_log_set_fd(2, &error));
    OK(berth_log_set_fd(-1, &error));
    return 0;
}
