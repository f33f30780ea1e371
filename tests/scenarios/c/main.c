/*
 * Runs the scenarios of ../list in its order, with the helpers of the C tests (../../c/check.h). Each scenario runs in a
 * child process, so that one that fails or crashes does not affect the others; its containers are removed.
 */
#include "check.h"

/* Skips a scenario; names what the machine lacks. */
static void skip(const char *why) {
    fprintf(stderr, "%s\n", why);
    exit(77);
}

static void has_ended(berth_container *container, int32_t code) {
    berth_exit_status ended;
    OK(berth_container_wait(container, LONG_MS, &ended, &error));
    CHECK(ended.kind == BERTH_EXIT_EXITED && ended.code == code);
}

static berth_process *execute(berth_container *container, const char *script, const berth_process_options *options) {
    berth_process_options quiet = streams(BERTH_STDIO_NULL, BERTH_STDIO_NULL, BERTH_STDIO_NULL);
    berth_process *process = NULL;
    OK(berth_container_exec(container, process_json(script, 0), options ? options : &quiet, &process, &error));
    return process;
}

static berth_exit_status end_of(berth_process *process) {
    berth_exit_status ended;
    OK(berth_process_wait(process, LONG_MS, &ended, &error));
    return ended;
}

static int is_readable(int fd, int timeout_ms) {
    struct pollfd ready = {fd, POLLIN, 0};
    return poll(&ready, 1, timeout_ms) == 1;
}

#include "lifecycle.c"
#include "streams.c"
#include "running.c"
#include "facts.c"
#include "checkpoint.c"
#include "errors.c"

static const struct {
    const char *name;
    void (*scenario)(void);
} scenarios[] = {
    {"lifecycle", lifecycle},
    {"run", run_at_once},
    {"exec", exec_further},
    {"exec-in-created", exec_in_created},
    {"bundle", bundle},
    {"stdio-pipes", stdio_pipes},
    {"stdio-null", stdio_null},
    {"stdio-descriptors", stdio_descriptors},
    {"terminal", terminal},
    {"terminal-newlines", terminal_newlines},
    {"console-socket", console_socket},
    {"console-resize", console_resize},
    {"pause-resume", pause_resume},
    {"kill", kill_init},
    {"kill-all", kill_all},
    {"process-signal", process_signal},
    {"exit-code", exit_code},
    {"exit-signal", exit_signal},
    {"wait-elsewhere", wait_elsewhere},
    {"pids", pids},
    {"stats", stats},
    {"stats-json", stats_json},
    {"set-limits", set_limits},
    {"oom-event", oom_event},
    {"pressure-event", pressure_event},
    {"list", list},
    {"load-from-another-handle", load_from_another_handle},
    {"force-delete", force_delete},
    {"recover", recover},
    {"hook-fails", hook_fails},
    {"interfaces", interfaces},
    {"networks", networks},
    {"state-json", state_json},
    {"config-json", config_json},
    {"explain", explain},
    {"explain-runtime", explain_runtime},
    {"library", library},
    {"log", log_lines},
    {"checkpoint-restore", checkpoint_restore},
    {"bad-config", bad_config},
    {"bad-resources", bad_resources},
    {"bad-process", bad_process},
    {"bad-id", bad_id},
    {"bad-argument", bad_argument},
    {"id-in-use", id_in_use},
    {"not-found", not_found},
    {"wrong-state", wrong_state},
    {"error-facts", error_facts},
    {"timeout", timeout},
};

/* Returns the last line that the child wrote to its standard error. */
static const char *last_line(FILE *file) {
    static char line[1024], last[1024];
    last[0] = 0;
    rewind(file);
    while (fgets(line, sizeof line, file)) {
        fputs(line, stderr);
        line[strcspn(line, "\n")] = 0;
        strcpy(last, line);
    }
    return last;
}

int main(int argc, char **argv) {
    size_t i;
    int failed = 0;
    for (i = 0; i < sizeof scenarios / sizeof *scenarios; i++) {
        FILE *output = tmpfile();
        int raw;
        pid_t child = fork();
        CHECK(output && child >= 0);
        if (child == 0) {
            CHECK(dup2(fileno(output), 2) == 2);
            begin(argc, argv);
            scenarios[i].scenario();
            exit(0);
        }
        CHECK(waitpid(child, &raw, 0) == child);
        if (WIFEXITED(raw) && WEXITSTATUS(raw) == 0) {
            printf("ok %s\n", scenarios[i].name);
        } else if (WIFEXITED(raw) && WEXITSTATUS(raw) == 77) {
            printf("skip %s: %s\n", scenarios[i].name, last_line(output));
        } else {
            failed = 1;
            printf("not ok %s: %s%s\n", scenarios[i].name, WIFSIGNALED(raw) ? strsignal(WTERMSIG(raw)) : "", last_line(output));
        }
        fflush(stdout);
        fclose(output);
    }
    return failed;
}
