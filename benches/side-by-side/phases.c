/*
 * Measures the time of each stage from create to delete, by the library's own log (level "trace").
 *
 *   phases ROUNDS BUNDLE STATE
 */
#include "bench.h"

#define MOST_STAGES 64

static struct {
    char name[40];
    double ns;
} passed[MOST_STAGES];
static int count;

/* A log line has the stage's name and CLOCK_MONOTONIC in nanoseconds. */
static void take(void *unused, int32_t level, const char *target, const char *message) {
    (void)unused, (void)level;
    if (strcmp(target, "berth::point") == 0 && count < MOST_STAGES &&
        sscanf(message, "%39s %lf", passed[count].name, &passed[count].ns) == 2)
        count++;
}

static void live(berth_runtime *runtime, berth_config *config, int round) {
    berth_process_options options = quiet();
    berth_container *container;
    char id[64];
    snprintf(id, sizeof id, "bench-%d-%d", (int)getpid(), round);
    DO(berth_container_create(runtime, id, config, &options, &container, &error));
    DO(berth_container_start(container, &error));
    DO(berth_container_wait(container, -1, NULL, &error));
    DO(berth_container_delete(container, 0, &error));
    berth_container_free(container);
}

int main(int argc, char **argv) {
    if (argc < 4)
        return 2;
    berth_runtime *runtime = runtime_at(argv[3]);
    berth_config *config;
    series *stages[MOST_STAGES + 1] = {named("  create to delete")};
    DO(berth_config_from_bundle(argv[2], &config, &error));
    DO(berth_log_set_callback(take, NULL, &error));
    DO(berth_log_set_level(BERTH_LOG_LEVEL_TRACE, &error));
    for (int round = 0; round < atoi(argv[1]); round++) {
        double begin = now_us(), before = begin;
        count = 0;
        live(runtime, config, round);
        note(stages[0], now_us() - begin);
        for (int stage = 0; stage < count; stage++) {
            if (!stages[stage + 1])
                stages[stage + 1] = named(passed[stage].name);
            note(stages[stage + 1], passed[stage].ns / 1e3 - before);
            before = passed[stage].ns / 1e3;
        }
    }
    DO(berth_log_set_callback(NULL, NULL, &error));
    table("create to delete, until a stage from the one before, us", stages, count + 1, stages[0]);
    berth_config_free(config);
    berth_runtime_free(runtime);
    return 0;
}
