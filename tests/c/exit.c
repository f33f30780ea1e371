/* Exit statuses of processes, and which handles can read them. */
#include "check.h"

static berth_exit_status wait_for(berth_container *container) {
    berth_exit_status ended;
    memset(&ended, 0xaa, sizeof ended);
    OK(berth_container_wait(container, LONG_MS, &ended, &error));
    return ended;
}

static void exit_codes_come_back(void) {
    const int codes[] = {0, 1, 7, 127, 255};
    size_t i;
    for (i = 0; i < sizeof codes / sizeof *codes; i++) {
        char script[32];
        berth_container *container;
        berth_exit_status ended;
        snprintf(script, sizeof script, "exit %d", codes[i]);
        container = run(script, 0, NULL);
        ended = wait_for(container);
        CHECK(ended.kind == BERTH_EXIT_EXITED && ended.code == codes[i] && !ended.signal && !ended.core_dumped);
        ended = wait_for(container);
        CHECK(ended.kind == BERTH_EXIT_EXITED && ended.code == codes[i]);
        OK(berth_container_delete(container, 0, &error));
        berth_container_free(container);
    }
}

static void signals_come_back(void) {
    const int signals[] = {SIGKILL, SIGTERM, 40};
    size_t i;
    for (i = 0; i < sizeof signals / sizeof *signals; i++) {
        /* PID 1 of a pid namespace ignores signals without a handler; sleep is not PID 1, so the signal kills it. */
        berth_container *container = run("sleep 1000", 0, NULL);
        berth_process *process;
        berth_process_options quiet = streams(BERTH_STDIO_NULL, BERTH_STDIO_NULL, BERTH_STDIO_NULL);
        berth_exit_status ended;
        OK(berth_container_exec(container, process_json("exec sleep 1000", 0), &quiet, &process, &error));
        OK(berth_process_signal(process, 0, &error));
        OK(berth_process_signal(process, signals[i], &error));
        OK(berth_process_wait(process, LONG_MS, &ended, &error));
        CHECK(ended.kind == BERTH_EXIT_SIGNALED && ended.signal == signals[i] && !ended.code);
        FAILS(BERTH_E_NOT_RUNNING, "has ended", berth_process_signal(process, SIGTERM, &error));
        berth_process_free(process);
        OK(berth_container_signal(container, SIGKILL, 0, &error));
        ended = wait_for(container);
        CHECK(ended.kind == BERTH_EXIT_SIGNALED && ended.signal == SIGKILL);
        remove_container(container);
    }
}

static void a_paused_container_can_be_killed(void) {
    berth_container *container = run("sleep 1000", 0, NULL);
    OK(berth_container_pause(container, &error));
    OK(berth_container_signal(container, SIGKILL, BERTH_SIGNAL_ALL, &error));
    CHECK(wait_for(container).signal == SIGKILL);
    OK(berth_container_delete(container, 0, &error));
    berth_container_free(container);
}

static void a_wait_ends_in_time(void) {
    berth_container *container = run("sleep 1000", 0, NULL);
    berth_exit_status ended = {-1, -1, -1, -1};
    struct timespec before, after;
    long ms;
    FAILS(BERTH_E_TIMEOUT, "in time", berth_container_wait(container, 0, &ended, &error));
    CHECK(ended.kind == -1 && ended.core_dumped == -1);
    clock_gettime(CLOCK_MONOTONIC, &before);
    FAILS(BERTH_E_TIMEOUT, "in time", berth_container_wait(container, 200, NULL, &error));
    clock_gettime(CLOCK_MONOTONIC, &after);
    ms = (after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000;
    CHECK(ms >= 199 && ms < 60000);
    remove_container(container);
}

/* The caller's own loop reaps every child. From Linux 6.15 on the kernel still reports the status; before, it is unknown. */
static void a_status_that_was_taken_is_not_made_up(void) {
    berth_container *container = run("exit 7", 0, NULL);
    berth_exit_status ended = {-1, -1, -1, -1};
    berth_error *error = NULL;
    int32_t code;
    int raw;
    while (waitpid(-1, &raw, __WALL) < 0)
        CHECK(errno == EINTR);
    CHECK(WIFEXITED(raw) && WEXITSTATUS(raw) == 7);
    code = berth_container_wait(container, LONG_MS, &ended, &error);
    if (code == 0)
        CHECK(ended.kind == BERTH_EXIT_EXITED && ended.code == 7);
    else
        CHECK(code == BERTH_E_STATUS_UNKNOWN && berth_error_code(error) == code && ended.kind == -1);
    berth_error_free(error);
    CHECK(status_of(container) == BERTH_STATUS_STOPPED);
    OK(berth_container_delete(container, 0, &error));
    berth_container_free(container);
}

/* The library does not reap children that are not its own. */
static void other_children_are_left_alone(void) {
    pid_t child = fork();
    berth_container *container;
    int raw;
    CHECK(child >= 0);
    if (child == 0)
        _exit(3);
    container = run("exit 4", 0, NULL);
    CHECK(wait_for(container).code == 4);
    CHECK(waitpid(child, &raw, 0) == child && WEXITSTATUS(raw) == 3);
    remove_container(container);
}

static void a_host_that_ignores_sigchld_can_wait(void) {
    berth_container *container;
    berth_exit_status ended = {-1, -1, -1, -1};
    int32_t code;
    signal(SIGCHLD, SIG_IGN);
    container = run("exit 5", 0, NULL);
    code = berth_container_wait(container, LONG_MS, &ended, NULL);
    CHECK((code == 0 && ended.code == 5) || code == BERTH_E_STATUS_UNKNOWN);
    signal(SIGCHLD, SIG_DFL);
    remove_container(container);
}

/* A handle that did not create the container. */
static void a_loaded_container_can_be_waited_for(void) {
    berth_container *container = run("sleep 1000", 0, NULL), *loaded;
    berth_process *init;
    berth_exit_status ended;
    OK(berth_container_load(runtime, berth_container_id(container), &loaded, &error));
    FAILS(BERTH_E_TIMEOUT, "in time", berth_container_wait(loaded, 0, NULL, &error));
    OK(berth_container_init_process(loaded, &init, &error));
    OK(berth_container_signal(container, SIGKILL, 0, &error));
    OK(berth_process_wait(init, LONG_MS, &ended, &error));
    CHECK(ended.signal == SIGKILL);
    berth_process_free(init);
    berth_container_free(loaded);
    remove_container(container);
}

int main(int argc, char **argv) {
    begin(argc, argv);
    exit_codes_come_back();
    signals_come_back();
    a_paused_container_can_be_killed();
    a_wait_ends_in_time();
    a_status_that_was_taken_is_not_made_up();
    other_children_are_left_alone();
    a_host_that_ignores_sigchld_can_wait();
    a_loaded_container_can_be_waited_for();
    return 0;
}
