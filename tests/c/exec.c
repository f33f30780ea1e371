/* Executing processes in a running container. */
#include "check.h"

static berth_process *execute(berth_container *container, const char *json, const berth_process_options *options) {
    berth_process *process = NULL;
    OK(berth_container_exec(container, json, options, &process, &error));
    CHECK(process);
    return process;
}

static int32_t code_of(berth_process *process) {
    berth_exit_status ended;
    OK(berth_process_wait(process, LONG_MS, &ended, &error));
    CHECK(ended.kind == BERTH_EXIT_EXITED);
    return ended.code;
}

static void it_is_in_the_container(berth_container *container) {
    berth_process_options options = streams(BERTH_STDIO_NULL, BERTH_STDIO_PIPE, BERTH_STDIO_NULL);
    berth_process *process = execute(
        container, process_json("cat /proc/1/cmdline; readlink /proc/self/ns/pid; readlink /proc/1/ns/pid; exit 9", 0), &options);
    char one[64], other[64];
    const char *text;
    int32_t pid = 0, fds[3];
    int pidfd;
    OK(berth_process_pid(process, &pid, &error));
    CHECK(pid > 0 && pid != (int32_t)getpid());
    OK(berth_process_pidfd(process, &pidfd, &error));
    check_cloexec(pidfd);
    OK(berth_process_take_stdio(process, fds, &error));
    CHECK(fds[0] == -1 && fds[2] == -1);
    text = read_all(fds[1]);
    CHECK(strcmp(text, "/bin/sh") == 0); /* the arguments are separated by NUL */
    CHECK(sscanf(text + strlen(text) + 1 + 3 + strlen("sleep 1000; true") + 1, "%63s %63s", one, other) == 2);
    CHECK(strcmp(one, other) == 0 && strncmp(one, "pid:[", 5) == 0);
    CHECK(code_of(process) == 9);
    {
        struct pollfd ready = {pidfd, POLLIN, 0};
        CHECK(poll(&ready, 1, 0) == 1);
    }
    close(pidfd);
    berth_process_free(process);
}

static void it_is_counted_among_the_pids(berth_container *container) {
    berth_process_options quiet = streams(BERTH_STDIO_NULL, BERTH_STDIO_NULL, BERTH_STDIO_NULL);
    berth_process *process = execute(container, process_json("exec sleep 1000", 0), &quiet);
    int32_t pid, *pids;
    size_t count, i, found = 0;
    OK(berth_process_pid(process, &pid, &error));
    OK(berth_container_pids(container, &pids, &count, &error));
    for (i = 0; i < count; i++) {
        found += pids[i] == pid;
        CHECK(i == 0 || pids[i] > pids[i - 1]);
    }
    CHECK(found == 1 && count >= 2);
    berth_pids_free(pids);
    OK(berth_process_signal(process, SIGKILL, &error));
    OK(berth_process_wait(process, LONG_MS, NULL, &error));
    berth_process_free(process);
}

static void what_cannot_be_executed_is_said(berth_container *container) {
    berth_process *process = (berth_process *)1;
    FAILS(BERTH_E_SYSTEM, "/bin/nothing-here",
          berth_container_exec(container, "{\"user\":{\"uid\":0,\"gid\":0},\"args\":[\"/bin/nothing-here\"],\"cwd\":\"/\"}",
                               NULL, &process, &error));
    CHECK(!process);
    {
        berth_error *error;
        CHECK(berth_container_exec(container, "{\"user\":{\"uid\":0,\"gid\":0},\"args\":[\"/etc\"],\"cwd\":\"/\"}", NULL,
                                   &process, &error) == BERTH_E_SYSTEM);
        CHECK(berth_error_errno(error) == EISDIR && berth_error_stage(error) == BERTH_STAGE_INIT);
        CHECK(strstr(berth_error_detail_json(error), "\"step\""));
        berth_error_free(error);
    }
    FAILS(BERTH_E_CONFIG_INVALID, "args", berth_container_exec(container, "{\"cwd\":\"/\"}", NULL, &process, &error));
    FAILS(BERTH_E_CONFIG_INVALID, "JSON", berth_container_exec(container, "{", NULL, &process, &error));
    FAILS(BERTH_E_CONFIG_INVALID, "cwd",
          berth_container_exec(container, "{\"user\":{\"uid\":0,\"gid\":0},\"args\":[\"true\"],\"cwd\":\"x\"}", NULL, &process,
                               &error));
}

static void a_paused_container_takes_none(berth_container *container) {
    berth_process *process;
    OK(berth_container_pause(container, &error));
    FAILS(BERTH_E_PAUSED, "paused", berth_container_exec(container, process_json("true", 0), NULL, &process, &error));
    OK(berth_container_resume(container, &error));
}

static void a_created_container_takes_one(void) {
    berth_process_options quiet = streams(BERTH_STDIO_NULL, BERTH_STDIO_NULL, BERTH_STDIO_NULL);
    berth_config *config = new_config("exit 3", 0);
    berth_container *container;
    berth_process *process;
    berth_exit_status ended;
    OK(berth_container_create(runtime, new_id(), config, &quiet, &container, &error));
    berth_config_free(config);
    process = execute(container, process_json("exit 4", 0), &quiet);
    CHECK(code_of(process) == 4);
    berth_process_free(process);
    OK(berth_container_start(container, &error));
    OK(berth_container_wait(container, LONG_MS, &ended, &error));
    CHECK(ended.code == 3);
    FAILS(BERTH_E_NOT_RUNNING, "stopped", berth_container_exec(container, process_json("true", 0), NULL, &process, &error));
    remove_container(container);
    CHECK(!process);
}

int main(int argc, char **argv) {
    berth_container *container;
    begin(argc, argv);
    container = run("sleep 1000; true", 0, NULL);
    it_is_in_the_container(container);
    it_is_counted_among_the_pids(container);
    what_cannot_be_executed_is_said(container);
    a_paused_container_takes_none(container);
    remove_container(container);
    a_created_container_takes_one();
    return 0;
}
