/*
 * Measures queries of a running container, each beside C code that reads or writes the same files without parsing them.
 *
 *   queries ROUNDS BUNDLE STATE      the bundle's program must keep running; cgroup v2
 */
#include "bench.h"

static char cgroup[512];
static int32_t pid;

static int slurp(const char *folder, const char *name) {
    static char text[1 << 16];
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int file = open(path, O_RDONLY | O_CLOEXEC), length = 0, got;
    if (file < 0)
        return -1;
    while ((got = read(file, text + length, sizeof text - length)) > 0)
        length += got;
    close(file);
    return length;
}

static void put(const char *name, const char *value) {
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", cgroup, name);
    int file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0 || write(file, value, strlen(value)) < 0)
        die(path);
    close(file);
}

static void await_frozen(char wanted) {
    char path[1024], text[128] = {0};
    snprintf(path, sizeof path, "%s/cgroup.events", cgroup);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    for (;;) {
        if (pread(file, text, sizeof text - 1, 0) <= 0)
            die(path);
        if (strstr(text, "frozen ")[7] == wanted)
            break;
        struct pollfd change = {file, POLLPRI, 0};
        poll(&change, 1, 1000);
    }
    close(file);
}

static void plain_freezing(void) {
    put("cgroup.freeze", "1");
    await_frozen('1');
    put("cgroup.freeze", "0");
    await_frozen('0');
}

static const char *const STATS[] = {"cpu.stat", "cpu.pressure", "memory.current", "memory.stat", "memory.events", "memory.peak",
                                    "memory.swap.current", "memory.max", "memory.pressure", "pids.current", "pids.max",
                                    "io.stat", "io.pressure", "cgroup.events"};

static void plain_stats(void) {
    for (size_t i = 0; i < sizeof STATS / sizeof *STATS; i++)
        slurp(cgroup, STATS[i]);
}

static void plain_pids(void) {
    slurp(cgroup, "cgroup.procs");
}

static void plain_state(const char *folder) {
    char process[64], exe[64];
    struct stat found;
    slurp(folder, "state.json");
    snprintf(process, sizeof process, "/proc/%d", pid);
    slurp(process, "stat");
    snprintf(exe, sizeof exe, "/proc/%d/exe", pid);
    stat(exe, &found);
    slurp(cgroup, "cgroup.freeze");
}

/* Returns the path of the container's v2 cgroup, from /proc/PID/cgroup and the v2 mount point. */
static void find_cgroup(void) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/cgroup", pid);
    char *text = contents(path), *line = strstr(text, "0::");
    if (!line)
        die("no cgroup v2");
    line[strcspn(line, "\n")] = 0;
    snprintf(cgroup, sizeof cgroup, "/sys/fs/cgroup%s", line + 3);
    free(text);
}

#define MEASURE(series, work)                     \
    do {                                          \
        double begin_ = now_us();                 \
        work;                                     \
        note(series, now_us() - begin_);          \
    } while (0)

int main(int argc, char **argv) {
    if (argc < 4)
        return 2;
    int rounds = atoi(argv[1]);
    char id[64], folder[512];
    berth_process_options options = quiet();
    berth_runtime *runtime = runtime_at(argv[3]);
    berth_config *config;
    berth_container *container;
    berth_process *init;
    berth_stats stats = {.size = sizeof stats};
    snprintf(id, sizeof id, "bench-queries-%d", (int)getpid());
    snprintf(folder, sizeof folder, "%s/library/%s", argv[3], id);
    DO(berth_config_from_bundle(argv[2], &config, &error));
    DO(berth_container_run(runtime, id, config, &options, &container, &error));
    DO(berth_container_init_process(container, &init, &error));
    DO(berth_process_pid(init, &pid, &error));
    find_cgroup();

    series *all[] = {named("pause and resume"), named("  the same files"), named("statistics"),     named("  the same files"),
                     named("pids"),             named("  the same file"),  named("state as JSON"), named("  the same files")};
    for (int round = 0; round < rounds; round++) {
        int32_t *pids;
        size_t count;
        char *json;
        MEASURE(all[0], {
            DO(berth_container_pause(container, &error));
            DO(berth_container_resume(container, &error));
        });
        MEASURE(all[1], plain_freezing());
        MEASURE(all[2], DO(berth_container_stats(container, &stats, &error)));
        MEASURE(all[3], plain_stats());
        MEASURE(all[4], {
            DO(berth_container_pids(container, &pids, &count, &error));
            berth_pids_free(pids);
        });
        MEASURE(all[5], plain_pids());
        MEASURE(all[6], {
            DO(berth_container_state_json(container, &json, &error));
            berth_string_free(json);
        });
        MEASURE(all[7], plain_state(folder));
    }
    for (int pair = 0; pair < 8; pair += 2)
        table(pair ? "" : "a look at a running container, us", all + pair, 2, all[pair + 1]);
    DO(berth_container_delete(container, BERTH_DELETE_FORCE, &error));
    berth_process_free(init);
    berth_container_free(container);
    berth_config_free(config);
    berth_runtime_free(runtime);
    return 0;
}
