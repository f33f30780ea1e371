/*
 * Measures a container with the default configuration and /bin/true from create to delete: the kernel baseline, the library
 * in this one process, and the command lines of runtimes, which take turns.
 *
 *   create_to_delete ROUNDS BUNDLE ROOTFS STATE BASELINE_INIT CGROUPS [NAME=RUNTIME]...
 */
#include "kernel_baseline.h"

static series *phases[5];

static void library_run(berth_runtime *runtime, berth_config *config, series *whole, int round) {
    berth_process_options options = quiet();
    berth_container *container;
    char id[64];
    double moments[5];
    snprintf(id, sizeof id, "bench-%d-%d", (int)getpid(), round);
    moments[0] = now_us();
    DO(berth_container_create(runtime, id, config, &options, &container, &error));
    moments[1] = now_us();
    DO(berth_container_start(container, &error));
    moments[2] = now_us();
    DO(berth_container_wait(container, -1, NULL, &error));
    moments[3] = now_us();
    DO(berth_container_delete(container, 0, &error));
    berth_container_free(container);
    moments[4] = now_us();
    note(whole, moments[4] - moments[0]);
    for (int phase = 0; phase < 4; phase++)
        note(phases[phase], moments[phase + 1] - moments[phase]);
}

int main(int argc, char **argv) {
    if (argc < 7)
        return 2;
    int rounds = atoi(argv[1]), commands = argc - 7;
    char *bundle = argv[2], *rootfs = argv[3], *state = argv[4], *cgroups = argv[6];
    series *baseline = named("kernel baseline"), *whole = named("libberth, through C");
    const char *names[] = {"  create", "  start", "  wait", "  delete"};
    for (int phase = 0; phase < 4; phase++)
        phases[phase] = named(names[phase]);
    command *others = calloc(commands + 1, sizeof *others);
    for (int i = 0; i < commands; i++)
        others[i] = command_of(argv[7 + i], state);
    berth_runtime *runtime = runtime_at(state);
    berth_config *config;
    DO(berth_config_from_bundle(bundle, &config, &error));
    baseline_open(argv[5]);

    for (int round = 0; round < rounds; round++) {
        double begin = now_us();
        baseline_run(rootfs, cgroups);
        note(baseline, now_us() - begin);
        library_run(runtime, config, whole, round);
        for (int i = 0; i < commands; i++) {
            char id[64];
            snprintf(id, sizeof id, "bench-%d-%d", (int)getpid(), round);
            char *run[] = {others[i].path, "--root", others[i].root, "run", "--bundle", bundle, id, NULL};
            begin = now_us();
            run_program(run);
            note(others[i].times, now_us() - begin);
        }
    }
    series *all[32] = {baseline, whole, phases[0], phases[1], phases[2], phases[3]};
    for (int i = 0; i < commands && i < 26; i++)
        all[6 + i] = others[i].times;
    char title[64];
    snprintf(title, sizeof title, "create to delete, /bin/true, us, %d rounds", rounds);
    table(title, all, 6 + commands, baseline);
    berth_config_free(config);
    berth_runtime_free(runtime);
    return 0;
}
