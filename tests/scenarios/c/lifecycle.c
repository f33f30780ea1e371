/* Scenarios of create, start, exec and bundles. Part of main.c. */

static void lifecycle(void) {
    berth_config *config = new_config("read line; exit 7", 0);
    berth_process_options options = streams(BERTH_STDIO_PIPE, BERTH_STDIO_NULL, BERTH_STDIO_NULL);
    const char *id = new_id();
    berth_container *container, *none;
    berth_process *init;
    int32_t fds[3], status;
    OK(berth_container_create(runtime, id, config, &options, &container, &error));
    CHECK(strcmp(berth_container_id(container), id) == 0);
    CHECK(status_of(container) == BERTH_STATUS_CREATED);
    OK(berth_container_start(container, &error));
    CHECK(status_of(container) == BERTH_STATUS_RUNNING);

    OK(berth_container_init_process(container, &init, &error));
    OK(berth_process_take_stdio(init, fds, &error));
    berth_process_free(init);
    close(fds[0]);
    has_ended(container, 7);
    CHECK(status_of(container) == BERTH_STATUS_STOPPED);
    OK(berth_container_delete(container, 0, &error));
    FAILS(BERTH_E_NOT_FOUND, id, berth_container_status(container, &status, &error));
    FAILS(BERTH_E_NOT_FOUND, id, berth_container_load(runtime, id, &none, &error));
    berth_container_free(container);
    berth_config_free(config);
}

static void run_at_once(void) {
    berth_container *container = run("sleep 1000", 0, NULL);
    CHECK(status_of(container) == BERTH_STATUS_RUNNING);
    remove_container(container);
}

static void exec_further(void) {
    berth_container *container = run("exec sleep 1000", 0, NULL);
    berth_process_options options = streams(BERTH_STDIO_PIPE, BERTH_STDIO_PIPE, BERTH_STDIO_NULL);
    berth_process *process = execute(container, "cat /proc/1/comm; read line; exit 9", &options);
    berth_exit_status ended;
    int32_t pid, fds[3];
    int pidfd;
    OK(berth_process_pid(process, &pid, &error));
    CHECK(pid > 1 && pid != (int32_t)getpid());
    OK(berth_process_pidfd(process, &pidfd, &error));
    CHECK(!is_readable(pidfd, 0));
    OK(berth_process_take_stdio(process, fds, &error));
    close(fds[0]);
    CHECK(strcmp(read_all(fds[1]), "sleep\n") == 0);
    ended = end_of(process);
    CHECK(ended.kind == BERTH_EXIT_EXITED && ended.code == 9);
    CHECK(is_readable(pidfd, 0));
    close(pidfd);
    berth_process_free(process);
    remove_container(container);
}

static void exec_in_created(void) {
    berth_config *config = new_config("exit 3", 0);
    berth_process_options quiet = streams(BERTH_STDIO_NULL, BERTH_STDIO_NULL, BERTH_STDIO_NULL);
    berth_container *container;
    berth_process *process;
    OK(berth_container_create(runtime, new_id(), config, &quiet, &container, &error));
    berth_config_free(config);
    process = execute(container, "exit 4", NULL);
    CHECK(end_of(process).code == 4);
    berth_process_free(process);
    CHECK(status_of(container) == BERTH_STATUS_CREATED);
    OK(berth_container_start(container, &error));
    has_ended(container, 3);
    remove_container(container);
}

static void bundle(void) {
    berth_process_options quiet = streams(BERTH_STDIO_NULL, BERTH_STDIO_NULL, BERTH_STDIO_NULL);
    char folder[300], link[320], path[320];
    berth_config *config;
    berth_container *container;
    FILE *file;
    snprintf(folder, sizeof folder, "%s-bundle", state_root);
    snprintf(link, sizeof link, "%s/rootfs", folder);
    snprintf(path, sizeof path, "%s/config.json", folder);
    CHECK(mkdir(folder, 0700) == 0 && symlink(rootfs, link) == 0 && (file = fopen(path, "w")));
    fprintf(file, "{\"ociVersion\":\"1.0.2\",\"process\":%s,\"root\":{\"path\":\"rootfs\"},"
                  "\"linux\":{\"namespaces\":[{\"type\":\"mount\"},{\"type\":\"pid\"}]}}", process_json("exit 5", 0));
    CHECK(fclose(file) == 0);
    OK(berth_config_from_bundle(folder, &config, &error));
    OK(berth_config_validate(config, &error));
    OK(berth_container_run(runtime, new_id(), config, &quiet, &container, &error));
    has_ended(container, 5);
    remove_container(container);
    berth_config_free(config);
    CHECK(unlink(path) == 0 && unlink(link) == 0 && rmdir(folder) == 0);
}
