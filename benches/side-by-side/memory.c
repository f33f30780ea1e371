/*
 * Measures creating containers in a caller that has touched much memory, and in one that has touched little. Two processes of this
 * program take turns.
 *
 *   memory ROUNDS BUNDLE STATE MEGABYTES
 */
#include "bench.h"

typedef struct {
    FILE *order, *answer;
    pid_t pid;
    series *times;
} host;

/* In the caller process: for each line on standard input, prints the time of one create. */
static int serve(const char *bundle, const char *state, size_t megabytes) {
    char *touched = malloc(megabytes << 20), line[64], id[64];
    berth_process_options options = quiet();
    berth_runtime *runtime = runtime_at(state);
    berth_config *config;
    DO(berth_config_from_bundle(bundle, &config, &error));
    if (!touched)
        die("touching memory");
    memset(touched, 1, megabytes << 20);
    for (int round = 0; fgets(line, sizeof line, stdin); round++) {
        berth_container *container;
        snprintf(id, sizeof id, "bench-memory-%d-%d", (int)getpid(), round);
        double begin = now_us();
        DO(berth_container_create(runtime, id, config, &options, &container, &error));
        printf("%f\n", now_us() - begin);
        fflush(stdout);
        DO(berth_container_delete(container, BERTH_DELETE_FORCE, &error));
        berth_container_free(container);
    }
    return touched[megabytes << 19] - 1;
}

static host start(char **argv, const char *megabytes) {
    int order[2], answer[2];
    host made = {0};
    posix_spawn_file_actions_t actions;
    char *child[] = {argv[0], "--caller", argv[2], argv[3], (char *)megabytes, NULL};
    if (pipe2(order, O_CLOEXEC) < 0 || pipe2(answer, O_CLOEXEC) < 0)
        die("pipe");
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, order[0], 0);
    posix_spawn_file_actions_adddup2(&actions, answer[1], 1);
    errno = posix_spawn(&made.pid, "/proc/self/exe", &actions, NULL, child, environ);
    if (errno)
        die("starting a host");
    close(order[0]);
    close(answer[1]);
    made.order = fdopen(order[1], "w");
    made.answer = fdopen(answer[0], "r");
    char name[64];
    snprintf(name, sizeof name, "create, %s MB touched", megabytes);
    made.times = named(name);
    return made;
}

int main(int argc, char **argv) {
    if (argc == 5 && strcmp(argv[1], "--caller") == 0)
        return serve(argv[2], argv[3], strtoul(argv[4], NULL, 10));
    if (argc < 5)
        return 2;
    int rounds = atoi(argv[1]);
    host hosts[] = {start(argv, "16"), start(argv, argv[4])};
    for (int round = 0; round < rounds; round++)
        for (int i = 0; i < 2; i++) {
            double us;
            fputs("create\n", hosts[i].order);
            fflush(hosts[i].order);
            if (fscanf(hosts[i].answer, "%lf", &us) != 1)
                die("a host has ended");
            note(hosts[i].times, us);
        }
    for (int i = 0; i < 2; i++) {
        fclose(hosts[i].order);
        waitpid(hosts[i].pid, NULL, 0);
    }
    series *all[] = {hosts[0].times, hosts[1].times};
    table("create and the host's memory, us", all, 2, all[0]);
    return 0;
}
