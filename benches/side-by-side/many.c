/*
 * Measures many running containers in one process: the cost of the last one compared with the first ones.
 *
 *   many COUNT BUNDLE STATE
 */
#include "bench.h"
#include <dirent.h>

static long own_kib(const char *field) {
    char *text = contents("/proc/self/status"), *line = strstr(text, field);
    long kib = line ? atol(line + strlen(field) + 1) : -1;
    free(text);
    return kib;
}

static int descriptors(void) {
    DIR *list = opendir("/proc/self/fd");
    int count = 0;
    while (readdir(list))
        count++;
    closedir(list);
    return count - 3;
}

int main(int argc, char **argv) {
    if (argc < 4)
        return 2;
    int count = atoi(argv[1]), part = count / 10;
    berth_process_options options = quiet();
    berth_runtime *runtime = runtime_at(argv[3]);
    berth_config *config;
    berth_container **all = calloc(count, sizeof *all);
    series *first = named("create, the first tenth"), *last = named("create, the last tenth");
    char id[64];
    DO(berth_config_from_bundle(argv[2], &config, &error));
    /* Initializes what the library creates once per process. */
    for (int i = 0; i < 3; i++) {
        snprintf(id, sizeof id, "bench-warm-%d-%d", (int)getpid(), i);
        DO(berth_container_create(runtime, id, config, &options, &all[0], &error));
        DO(berth_container_delete(all[0], BERTH_DELETE_FORCE, &error));
        berth_container_free(all[0]);
    }
    long kib = own_kib("VmRSS:");
    int open_before = descriptors();
    for (int i = 0; i < count; i++) {
        snprintf(id, sizeof id, "bench-many-%d-%d", (int)getpid(), i);
        double begin = now_us();
        DO(berth_container_create(runtime, id, config, &options, &all[i], &error));
        double us = now_us() - begin;
        if (i < part)
            note(first, us);
        if (i >= count - part)
            note(last, us);
        DO(berth_container_start(all[i], &error));
    }
    printf("%d containers alive: %.1f KiB and %.2f descriptors each\n", count, (double)(own_kib("VmRSS:") - kib) / count,
           (double)(descriptors() - open_before) / count);
    series *both[] = {first, last};
    table("create among many, us", both, 2, first);
    for (int i = 0; i < count; i++) {
        DO(berth_container_delete(all[i], BERTH_DELETE_FORCE, &error));
        berth_container_free(all[i]);
    }
    berth_config_free(config);
    berth_runtime_free(runtime);
    return 0;
}
