/*
 * Runs one container from create to delete, and prints each step.
 *
 *   supervisor BUNDLE [ID [STATE_ROOT]]
 *
 * BUNDLE is an OCI bundle: a directory with config.json and the root filesystem that it names.
 *
 *   cc supervisor.c $(pkg-config --cflags --libs berth) -o supervisor
 */
#define _POSIX_C_SOURCE 200809L
#include <berth.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

/* Prints the library's error message, if any, and releases the error. Returns 0 for success, -1 for failure. */
static int check(const char *what, int32_t code, berth_error **error) {
    static const char *const stages[] = {"the calling process", "the container's init", "a hook", "CRIU"};

    if (code == 0)
        return 0;
    fprintf(stderr, "%s failed: %s (code %d)\n", what, berth_strerror(code), code);
    fprintf(stderr, "  in %s: %s\n", stages[berth_error_stage(*error)], berth_error_message(*error));
    berth_error_free(*error);
    *error = NULL;
    return -1;
}

static const char *status_name(int32_t status) {
    switch (status) {
    case BERTH_STATUS_CREATING: return "being created";
    case BERTH_STATUS_CREATED: return "created; its program waits to be started";
    case BERTH_STATUS_RUNNING: return "running";
    case BERTH_STATUS_PAUSED: return "paused; its processes are frozen";
    case BERTH_STATUS_STOPPED: return "stopped";
    default: return "in a state that this program does not know";
    }
}

/* Prints the status. The library asks the kernel each time and caches nothing. */
static int tell_status(const berth_container *container) {
    berth_error *error = NULL;
    int32_t status;

    if (check("asking for the status", berth_container_status(container, &status, &error), &error))
        return -1;
    printf("* the container \"%s\" is %s\n", berth_container_id(container), status_name(status));
    return 0;
}

/* Executes a command in the container and prints its output line by line. */
static int execute(const berth_container *container) {
    static const char command[] =
        "{\"user\":{\"uid\":0,\"gid\":0},\"cwd\":\"/\",\"env\":[\"PATH=/usr/sbin:/usr/bin:/sbin:/bin\"],"
        "\"args\":[\"ps\",\"-o\",\"pid,user,args\"]}";
    berth_process_options options;
    berth_process *process = NULL;
    berth_exit_status ended;
    berth_error *error = NULL;
    int32_t fds[3];
    char line[256];
    FILE *output;
    int result;

    berth_process_options_init(&options, sizeof options);
    options.stdio[0].kind = BERTH_STDIO_NULL;
    options.stdio[1].kind = BERTH_STDIO_PIPE;
    if (check("exec", berth_container_exec(container, command, &options, &process, &error), &error))
        return -1;

    result = check("taking the pipe", berth_process_take_stdio(process, fds, &error), &error);
    if (result == 0 && (output = fdopen(fds[1], "r")) != NULL) {
        printf("* ps, executed in the container, says:\n");
        while (fgets(line, sizeof line, output))
            printf("    %s", line);
        fclose(output);
    }
    if (result == 0)
        result = check("waiting for ps", berth_process_wait(process, 10000, &ended, &error), &error);
    if (result == 0)
        printf("* ps has ended with status %d\n", ended.code);
    berth_process_free(process);
    return result;
}

static int freeze_and_thaw(const berth_container *container) {
    berth_error *error = NULL;

    if (check("pause", berth_container_pause(container, &error), &error) || tell_status(container))
        return -1;
    if (check("resume", berth_container_resume(container, &error), &error) || tell_status(container))
        return -1;
    return 0;
}

/* UINT64_MAX means that the host does not provide the value. */
static void tell_number(const char *name, uint64_t number, uint64_t unit, const char *unit_name) {
    if (number == UINT64_MAX)
        printf("    %s: not known here\n", name);
    else
        printf("    %s: %llu %s\n", name, (unsigned long long)(number / unit), unit_name);
}

static int tell_stats(const berth_container *container) {
    berth_stats stats;
    berth_error *error = NULL;

    stats.size = sizeof stats;
    if (check("reading the statistics", berth_container_stats(container, &stats, &error), &error))
        return -1;
    printf("* it has used:\n");
    tell_number("processor time", stats.cpu_usage_ns, 1000, "microseconds");
    tell_number("memory", stats.memory_usage, 1024, "KiB");
    tell_number("threads", stats.pids_current, 1, "at this moment");
    return 0;
}

/* Waits as a program with an event loop does: the pidfd becomes readable when the container's init has ended. */
static int wait_for_end(const berth_container *container) {
    struct pollfd exits = {-1, POLLIN, 0};
    berth_exit_status ended;
    berth_error *error = NULL;

    if (check("asking for a pidfd", berth_container_pidfd(container, &exits.fd, &error), &error))
        return -1;
    printf("* waiting for its end\n");
    fflush(stdout); /* the container writes to the same terminal */
    while (poll(&exits, 1, -1) < 0)
        ; /* a signal */
    close(exits.fd);
    if (check("taking the exit status", berth_container_wait(container, 0, &ended, &error), &error))
        return -1;
    if (ended.kind == BERTH_EXIT_EXITED)
        printf("* it has exited with status %d\n", ended.code);
    else
        printf("* it was killed by signal %d%s\n", ended.signal, ended.core_dumped ? " and left a core dump" : "");
    return 0;
}

static int live(const berth_container *container) {
    berth_error *error = NULL;

    if (tell_status(container))
        return -1;
    fflush(stdout);
    if (check("start", berth_container_start(container, &error), &error) || tell_status(container))
        return -1;
    if (execute(container) || freeze_and_thaw(container) || tell_stats(container) || wait_for_end(container))
        return -1;
    return tell_status(container);
}

static int supervise(const berth_runtime *runtime, const char *bundle, const char *id) {
    berth_config *config = NULL;
    berth_container *container = NULL;
    berth_error *error = NULL;
    int result;

    if (check("reading the bundle", berth_config_from_bundle(bundle, &config, &error), &error))
        return -1;
    result = check("create", berth_container_create(runtime, id, config, NULL, &container, &error), &error);
    berth_config_free(config);
    if (result)
        return result;

    result = live(container);

    /* Forced, because after a failed step the container may still run. */
    if (check("delete", berth_container_delete(container, BERTH_DELETE_FORCE, &error), &error))
        result = -1;
    else
        printf("* it is deleted\n");
    berth_container_free(container);
    return result;
}

int main(int argc, char **argv) {
    berth_runtime_options options;
    berth_runtime *runtime = NULL;
    berth_error *error = NULL;
    int result;

    if (argc < 2 || argc > 4) {
        fprintf(stderr, "usage: %s BUNDLE [ID [STATE_ROOT]]\n", argv[0]);
        return 2;
    }
    printf("* libberth %s\n", berth_version());
    berth_runtime_options_init(&options, sizeof options);
    options.state_root = argc > 3 ? argv[3] : NULL; /* NULL is /run/berth */
    if (check("opening the runtime", berth_runtime_new(&options, &runtime, &error), &error))
        return 1;
    result = supervise(runtime, argv[1], argc > 2 ? argv[2] : "supervised");
    berth_runtime_free(runtime);
    return result == 0 ? 0 : 1;
}
