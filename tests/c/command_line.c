/* Functions that only the command line needs: other files, defaults without privileges, options of exec. */
#include "check.h"

static void another_file_is_the_configuration_of_a_bundle(void) {
    berth_config *config;
    char *json;
    FILE *file;
    char path[4200];
    snprintf(path, sizeof path, "%s/other.json", state_root);
    file = fopen(path, "w");
    CHECK(file != NULL);
    OK(berth_config_default_json(&json, &error));
    CHECK(file && fputs(json, file) >= 0 && fclose(file) == 0);
    OK(berth_config_from_file(state_root, path, &config, &error));
    berth_string_free(json);
    OK(berth_config_to_json(config, &json, &error));
    CHECK(strstr(json, "\"ociVersion\"") != NULL);
    berth_string_free(json);
    berth_config_free(config);
    FAILS(BERTH_E_SYSTEM, "/nonexistent", berth_config_from_file(state_root, "/nonexistent", &config, &error));
    CHECK(!config);
    FAILS(BERTH_E_INVALID_ARGUMENT, "file is NULL", berth_config_from_file(state_root, NULL, &config, &error));
    remove(path);
}

static void the_default_without_privileges_maps_the_caller(void) {
    char *json;
    OK(berth_config_default_rootless_json(1000, 1001, &json, &error));
    CHECK(strstr(json, "\"hostID\": 1000") && strstr(json, "\"hostID\": 1001") && strstr(json, "\"user\""));
    CHECK(!strstr(json, "\"network\"") && !strstr(json, "\"resources\""));
    berth_string_free(json);
}

static void options_of_exec_are_for_exec(void) {
    berth_process_options options = streams(BERTH_STDIO_NULL, BERTH_STDIO_NULL, BERTH_STDIO_NULL);
    berth_config *config = new_config("exec sleep 1000", 0);
    const char *cgroups[] = {"../other"};
    const char *process = "{\"user\":{\"uid\":0,\"gid\":0},\"args\":[\"true\"],\"env\":[\"PATH=/bin\"],\"cwd\":\"/\"}";
    berth_container *container;
    berth_process *made;
    options.flags = BERTH_PROCESS_WAIT_WHILE_PAUSED;
    FAILS(BERTH_E_INVALID_ARGUMENT, "exec", berth_container_run(runtime, new_id(), config, &options, &container, &error));
    options.flags = 1u << 30;
    FAILS(BERTH_E_UNSUPPORTED, "flags", berth_container_run(runtime, new_id(), config, &options, &container, &error));
    options.flags = BERTH_PROCESS_INHERIT_KEYRING;
    OK(berth_container_run(runtime, new_id(), config, &options, &container, &error));
    options.cgroup_count = 1;
    FAILS(BERTH_E_INVALID_ARGUMENT, "cgroups is NULL", berth_container_exec(container, process, &options, &made, &error));
    options.cgroups = cgroups;
    FAILS(BERTH_E_INVALID_ARGUMENT, "../other", berth_container_exec(container, process, &options, &made, &error));
    cgroups[0] = "missing";
    FAILS(BERTH_E_SYSTEM, "/missing", berth_container_exec(container, process, &options, &made, &error));
    CHECK(!made);
    remove_container(container);
    berth_config_free(config);
}

int main(int argc, char **argv) {
    begin(argc, argv);
    another_file_is_the_configuration_of_a_bundle();
    the_default_without_privileges_maps_the_caller();
    options_of_exec_are_for_exec();
    return 0;
}
