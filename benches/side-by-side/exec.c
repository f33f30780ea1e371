/*
 * Measures executing /bin/true in a running container: by the library in this one process, and by the command lines of runtimes,
 * each in a container of its own, which take turns.
 *
 *   exec ROUNDS BUNDLE STATE [NAME=RUNTIME]...        the bundle's program must keep running
 */
#include "bench.h"

static const char PROCESS[] = "{\"cwd\":\"/\",\"args\":[\"/bin/true\"],\"env\":[\"PATH=/bin\"],\"user\":{\"uid\":0,\"gid\":0},"
                              "\"noNewPrivileges\":true}";

static void library_exec(berth_container *container) {
    berth_process_options options = quiet();
    berth_process *process;
    DO(berth_container_exec(container, PROCESS, &options, &process, &error));
    DO(berth_process_wait(process, -1, NULL, &error));
    berth_process_free(process);
}

int main(int argc, char **argv) {
    if (argc < 4)
        return 2;
    int rounds = atoi(argv[1]), commands = argc - 4;
    char *bundle = argv[2], *state = argv[3], id[64];
    snprintf(id, sizeof id, "bench-exec-%d", (int)getpid());
    series *library = named("libberth, through C");
    command *others = calloc(commands + 1, sizeof *others);
    berth_process_options options = quiet();
    berth_runtime *runtime = runtime_at(state);
    berth_config *config;
    berth_container *container;
    DO(berth_config_from_bundle(bundle, &config, &error));
    DO(berth_container_run(runtime, id, config, &options, &container, &error));
    for (int i = 0; i < commands; i++) {
        char other[128];
        others[i] = command_of(argv[4 + i], state);
        snprintf(other, sizeof other, "%s-%s", id, others[i].times->name);
        char *run[] = {others[i].path, "--root", others[i].root, "run", "--detach", "--bundle", bundle, other, NULL};
        run_program(run);
    }
    for (int round = 0; round < rounds; round++) {
        double begin = now_us();
        library_exec(container);
        note(library, now_us() - begin);
        for (int i = 0; i < commands; i++) {
            char other[128];
            snprintf(other, sizeof other, "%s-%s", id, others[i].times->name);
            char *exec[] = {others[i].path, "--root", others[i].root, "exec", other, "/bin/true", NULL};
            begin = now_us();
            run_program(exec);
            note(others[i].times, now_us() - begin);
        }
    }
    for (int i = 0; i < commands; i++) {
        char other[128];
        snprintf(other, sizeof other, "%s-%s", id, others[i].times->name);
        char *delete[] = {others[i].path, "--root", others[i].root, "delete", "--force", other, NULL};
        run_program(delete);
    }
    DO(berth_container_delete(container, BERTH_DELETE_FORCE, &error));
    series *all[32] = {library};
    for (int i = 0; i < commands && i < 31; i++)
        all[1 + i] = others[i].times;
    char title[64];
    snprintf(title, sizeof title, "exec of /bin/true, us, %d rounds", rounds);
    table(title, all, 1 + commands, library);
    berth_container_free(container);
    berth_config_free(config);
    berth_runtime_free(runtime);
    return 0;
}
