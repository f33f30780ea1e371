/*
 * Helpers shared by the side-by-side benchmarks: time, series of measurements, their table, and starting programs.
 * Contestants take turns in each round, so that a slow moment of the machine hits all alike.
 */
#ifndef BENCH_H
#define BENCH_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <berth.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static inline void die(const char *what) {
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

/* Exits if a call of the library fails. */
#define DO(call)                                                                 \
    do {                                                                         \
        berth_error *error = NULL;                                               \
        if ((call) != 0) {                                                       \
            fprintf(stderr, "%s: %s\n", #call, berth_error_message(error));      \
            exit(1);                                                             \
        }                                                                        \
    } while (0)

static inline double now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1e6 + now.tv_nsec / 1e3;
}

#define MOST_ROUNDS 5000

typedef struct {
    char name[64];
    int count;
    double us[MOST_ROUNDS];
} series;

static inline void note(series *of, double us) {
    if (of->count < MOST_ROUNDS)
        of->us[of->count++] = us;
}

static inline int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static inline double at(series *of, int percent) {
    qsort(of->us, of->count, sizeof *of->us, ascending);
    return of->count ? of->us[(of->count - 1) * percent / 100] : 0;
}

/* Prints a line for each series: median, 10th and 90th percentile in microseconds, and the ratio of its median to another's. */
static inline void table(const char *title, series **all, int count, series *measure) {
    printf("%-42s %9s %9s %9s   %s\n", title, "median", "p10", "p90", "ratio");
    for (int i = 0; i < count; i++)
        printf("  %-40s %9.1f %9.1f %9.1f   %.2f\n", all[i]->name, at(all[i], 50), at(all[i], 10), at(all[i], 90),
               at(all[i], 50) / at(measure, 50));
    printf("\n");
    fflush(stdout);
}

/* Runs a program with /dev/null as its standard streams; exits unless it succeeds. */
static inline void run_program(char *const argv[]) {
    posix_spawn_file_actions_t actions;
    pid_t pid;
    int status;
    posix_spawn_file_actions_init(&actions);
    for (int fd = 0; fd < 3; fd++)
        posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_RDWR, 0);
    errno = posix_spawn(&pid, argv[0], &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (errno != 0)
        die(argv[0]);
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            die("waitpid");
    if (status != 0) {
        fprintf(stderr, "%s %s %s: status %d\n", argv[0], argv[3], argv[4], status);
        exit(1);
    }
}

/* A runtime's command line: NAME=PATH, with a state root of its own below the benchmark's. */
typedef struct {
    series *times;
    char path[512], root[512];
} command;

static inline command command_of(const char *argument, const char *state) {
    command made = {0};
    const char *equals = strchr(argument, '=');
    if (!equals) {
        fprintf(stderr, "%s is not NAME=PATH\n", argument);
        exit(2);
    }
    made.times = calloc(1, sizeof(series));
    snprintf(made.times->name, sizeof made.times->name, "%.*s", (int)(equals - argument), argument);
    snprintf(made.path, sizeof made.path, "%s", equals + 1);
    snprintf(made.root, sizeof made.root, "%s/%.*s", state, (int)(equals - argument), argument);
    mkdir(made.root, 0700);
    return made;
}

static inline series *named(const char *name) {
    series *made = calloc(1, sizeof *made);
    snprintf(made->name, sizeof made->name, "%.63s", name);
    return made;
}

static inline char *contents(const char *path) {
    FILE *file = fopen(path, "r");
    char *text = calloc(1, 1 << 16);
    if (!file || !text || fread(text, 1, (1 << 16) - 1, file) == 0)
        die(path);
    fclose(file);
    return text;
}

static inline berth_runtime *runtime_at(const char *state) {
    berth_runtime_options options;
    berth_runtime *runtime;
    char root[512];
    berth_runtime_options_init(&options, sizeof options);
    snprintf(root, sizeof root, "%s/library", state);
    options.state_root = root;
    DO(berth_runtime_new(&options, &runtime, &error));
    return runtime;
}

static inline berth_process_options quiet(void) {
    berth_process_options options;
    berth_process_options_init(&options, sizeof options);
    for (int stream = 0; stream < 3; stream++)
        options.stdio[stream].kind = BERTH_STDIO_NULL;
    return options;
}

#endif
