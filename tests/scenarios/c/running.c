/* Scenarios of running containers: signals, pause, statistics, limits, exit status. Part of main.c. */

static void pause_resume(void) {
    berth_container *container = run("sleep 1000", 0, NULL);
    berth_process *process;
    OK(berth_container_pause(container, &error));
    CHECK(status_of(container) == BERTH_STATUS_PAUSED);
    FAILS(BERTH_E_PAUSED, "paused", berth_container_exec(container, process_json("true", 0), NULL, &process, &error));
    OK(berth_container_resume(container, &error));
    CHECK(status_of(container) == BERTH_STATUS_RUNNING);
    process = execute(container, "exit 3", NULL);
    CHECK(end_of(process).code == 3);
    berth_process_free(process);
    remove_container(container);
}

static void is_killed(berth_container *container) {
    berth_exit_status ended;
    OK(berth_container_wait(container, LONG_MS, &ended, &error));
    CHECK(ended.kind == BERTH_EXIT_SIGNALED && ended.signal == SIGKILL && ended.code == 0);
}

static void kill_init(void) {
    berth_container *container = run("sleep 1000", 0, NULL);
    OK(berth_container_signal(container, SIGKILL, 0, &error));
    is_killed(container);
    CHECK(status_of(container) == BERTH_STATUS_STOPPED);
    OK(berth_container_delete(container, 0, &error));
    berth_container_free(container);
}

static void kill_all(void) {
    berth_container *container = run("sleep 1000", 0, NULL);
    berth_process *process = execute(container, "exec sleep 1000", NULL);
    OK(berth_container_signal(container, SIGKILL, BERTH_SIGNAL_ALL, &error));
    CHECK(end_of(process).signal == SIGKILL);
    is_killed(container);
    berth_process_free(process);
    remove_container(container);
}

static void process_signal(void) {
    berth_container *container = run("sleep 1000", 0, NULL);
    berth_process *process = execute(container, "exec sleep 1000", NULL);
    OK(berth_process_signal(process, 0, &error));
    OK(berth_process_signal(process, SIGKILL, &error));
    CHECK(end_of(process).signal == SIGKILL);
    FAILS(BERTH_E_NOT_RUNNING, "ended", berth_process_signal(process, SIGKILL, &error));
    CHECK(status_of(container) == BERTH_STATUS_RUNNING);
    berth_process_free(process);
    remove_container(container);
}

static void exit_code(void) {
    const int32_t codes[] = {0, 7};
    size_t i;
    for (i = 0; i < 2; i++) {
        char script[16];
        berth_container *container;
        snprintf(script, sizeof script, "exit %d", (int)codes[i]);
        container = run(script, 0, NULL);
        has_ended(container, codes[i]);
        has_ended(container, codes[i]);
        remove_container(container);
    }
}

static void exit_signal(void) {
    berth_container *container = run("sleep 1000", 0, NULL);
    berth_process *process = execute(container, "kill $$", NULL);
    berth_exit_status ended = end_of(process);
    CHECK(ended.kind == BERTH_EXIT_SIGNALED && ended.signal == 15 && ended.code == 0);
    berth_process_free(process);
    remove_container(container);
}

static void wait_elsewhere(void) {
    berth_container *container = run("sleep 1000", 0, NULL);
    int fd;
    OK(berth_container_pidfd(container, &fd, &error));
    check_cloexec(fd);
    CHECK(!is_readable(fd, 0));
    OK(berth_container_signal(container, SIGKILL, 0, &error));
    CHECK(is_readable(fd, LONG_MS));
    close(fd);
    is_killed(container);
    remove_container(container);
}

static void pids(void) {
    berth_container *container = run("exec sleep 1000", 0, NULL);
    berth_process *process = execute(container, "exec sleep 1000", NULL), *init;
    int32_t first, second, *found;
    size_t count;
    OK(berth_container_init_process(container, &init, &error));
    OK(berth_process_pid(init, &first, &error));
    OK(berth_process_pid(process, &second, &error));
    OK(berth_container_pids(container, &found, &count, &error));
    CHECK(count == 2 && found[0] < found[1]);
    CHECK((found[0] == first && found[1] == second) || (found[0] == second && found[1] == first));
    berth_pids_free(found);
    berth_process_free(init);
    berth_process_free(process);
    remove_container(container);
}
