/* Structs with a size: older callers, newer callers, and invalid sizes. */
#include "check.h"

/* A struct as a later header might declare it. */
struct later_runtime_options {
    berth_runtime_options known;
    uint64_t added[2];
};
struct later_process_options {
    berth_process_options known;
    const char *added;
};
struct later_stats {
    berth_stats known;
    uint64_t added;
};

static void init_writes_the_size_and_zeros(void) {
    unsigned char bytes[sizeof(berth_process_options) + 8];
    berth_process_options options, zeros;
    memset(&zeros, 0, sizeof zeros);
    zeros.size = sizeof zeros;
    memset(&options, 0xaa, sizeof options);
    berth_process_options_init(&options, sizeof options);
    CHECK(memcmp(&options, &zeros, sizeof zeros) == 0);

    /* The library never writes beyond the given size. */
    memset(bytes, 0xaa, sizeof bytes);
    berth_runtime_options_init((berth_runtime_options *)(void *)bytes, 16);
    CHECK(bytes[0] == 16 && bytes[8] == 0 && bytes[15] == 0 && bytes[16] == 0xaa);
    berth_process_options_init((berth_process_options *)(void *)bytes, 3);
    CHECK(bytes[0] == 16);
    berth_runtime_options_init(NULL, sizeof(berth_runtime_options));
    berth_process_options_init(NULL, sizeof(berth_process_options));
}

static void an_invalid_size_is_refused(void) {
    const size_t wrong[] = {0, 1, 4, sizeof(void *), offsetof(berth_runtime_options, cgroup_timeout_ms),
                            sizeof(berth_runtime_options) + 1, (size_t)1 << 40, SIZE_MAX};
    size_t i;
    for (i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        berth_runtime_options options;
        berth_runtime *made = (berth_runtime *)1;
        berth_runtime_options_init(&options, sizeof options);
        options.size = wrong[i];
        FAILS(BERTH_E_INVALID_ARGUMENT, "berth_runtime_options.size", berth_runtime_new(&options, &made, &error));
        CHECK(!made);
    }
}

static void a_newer_caller_may_use_what_this_version_knows(void) {
    struct later_runtime_options options;
    berth_runtime *made;
    char message[80];
    memset(&options, 0, sizeof options);
    options.known.size = sizeof options;
    options.known.state_root = state_root;
    OK(berth_runtime_new(&options.known, &made, &error));
    berth_runtime_free(made);
    options.added[1] = 1;
    snprintf(message, sizeof message, "berth_runtime_options has a value at byte %zu",
             offsetof(struct later_runtime_options, added) + sizeof *options.added);
    FAILS(BERTH_E_UNSUPPORTED, message, berth_runtime_new(&options.known, &made, &error));
    CHECK(!made);
}

static void the_same_holds_for_processes(void) {
    struct later_process_options options;
    berth_config *config = new_config("true", 0);
    berth_container *container;
    memset(&options, 0, sizeof options);
    options.known = streams(BERTH_STDIO_NULL, BERTH_STDIO_NULL, BERTH_STDIO_NULL);
    options.known.size = sizeof options;
    OK(berth_container_run(runtime, new_id(), config, &options.known, &container, &error));
    OK(berth_container_wait(container, LONG_MS, NULL, &error));
    remove_container(container);
    options.added = "";
    FAILS(BERTH_E_UNSUPPORTED, "berth_process_options has a value at byte",
          berth_container_run(runtime, new_id(), config, &options.known, &container, &error));
    CHECK(!container);
    options.added = NULL;
    options.known.size = 8;
    FAILS(BERTH_E_INVALID_ARGUMENT, "berth_process_options.size is 8",
          berth_container_run(runtime, new_id(), config, &options.known, &container, &error));
    options.known.size = sizeof options.known;
    options.known.flags = 1u << 31;
    FAILS(BERTH_E_UNSUPPORTED, "flags has unknown bits",
          berth_container_run(runtime, new_id(), config, &options.known, &container, &error));
    berth_config_free(config);
}

static void stats_fill_what_the_caller_has(void) {
    berth_container *container = run("sleep 1000", 0, NULL);
    struct later_stats stats;
    memset(&stats, 0, sizeof stats);
    stats.known.size = sizeof stats;
    OK(berth_container_stats(container, &stats.known, &error));
    CHECK(stats.known.size == sizeof stats && stats.added == UINT64_MAX && stats.known.cpu_usage_ns > 0);
    stats.added = 7;
    stats.known.size = sizeof stats.known;
    OK(berth_container_stats(container, &stats.known, &error));
    CHECK(stats.known.size == sizeof stats.known && stats.added == 7);
    stats.known.size = 0;
    FAILS(BERTH_E_INVALID_ARGUMENT, "berth_stats.size is 0", berth_container_stats(container, &stats.known, &error));
    remove_container(container);
}

static void values_out_of_range_are_named(void) {
    berth_config *config = new_config("true", 0);
    berth_process_options options;
    berth_runtime_options settings;
    berth_container *container;
    berth_runtime *made;
    int32_t fds[2] = {0, 987};

    berth_runtime_options_init(&settings, sizeof settings);
    settings.state_root = "";
    FAILS(BERTH_E_INVALID_ARGUMENT, "state_root", berth_runtime_new(&settings, &made, &error));
    settings.state_root = "relative/path";
    FAILS(BERTH_E_INVALID_ARGUMENT, "relative/path", berth_runtime_new(&settings, &made, &error));
    settings.state_root = state_root;
    settings.lock_timeout_ms = -1;
    FAILS(BERTH_E_INVALID_ARGUMENT, "lock_timeout_ms is -1", berth_runtime_new(&settings, &made, &error));
    /* The longest one. */
    settings.lock_timeout_ms = settings.setup_timeout_ms = settings.hook_timeout_ms = INT64_MAX;
    settings.cgroup_timeout_ms = INT64_MAX;
    OK(berth_runtime_new(&settings, &made, &error));
    options = streams(BERTH_STDIO_NULL, BERTH_STDIO_NULL, BERTH_STDIO_NULL);
    OK(berth_container_run(made, new_id(), config, &options, &container, &error));
    OK(berth_container_wait(container, INT64_MAX, NULL, &error));
    OK(berth_container_delete(container, 0, &error));
    berth_container_free(container);
    berth_runtime_free(made);

    options = streams(BERTH_STDIO_NULL, 99, BERTH_STDIO_NULL);
    FAILS(BERTH_E_INVALID_ARGUMENT, "stdio[1].kind is 99",
          berth_container_create(runtime, new_id(), config, &options, &container, &error));
    options = streams(BERTH_STDIO_NULL, BERTH_STDIO_NULL, BERTH_STDIO_PIPE);
    options.stdio[2].fd = 5;
    FAILS(BERTH_E_INVALID_ARGUMENT, "stdio[2].fd is 5",
          berth_container_create(runtime, new_id(), config, &options, &container, &error));
    options = streams(BERTH_STDIO_FD, BERTH_STDIO_NULL, BERTH_STDIO_NULL);
    options.stdio[0].fd = 987;
    FAILS(BERTH_E_INVALID_ARGUMENT, "stdin is 987",
          berth_container_create(runtime, new_id(), config, &options, &container, &error));
    options = streams(BERTH_STDIO_NULL, BERTH_STDIO_NULL, BERTH_STDIO_NULL);
    options.extra_fds = fds;
    options.extra_fd_count = 2;
    FAILS(BERTH_E_INVALID_ARGUMENT, "extra_fds[1] is 987",
          berth_container_create(runtime, new_id(), config, &options, &container, &error));
    options.extra_fds = NULL;
    FAILS(BERTH_E_INVALID_ARGUMENT, "extra_fds is NULL",
          berth_container_create(runtime, new_id(), config, &options, &container, &error));
    options.extra_fds = fds;
    options.extra_fd_count = SIZE_MAX;
    FAILS(BERTH_E_INVALID_ARGUMENT, "extra_fds cannot have",
          berth_container_create(runtime, new_id(), config, &options, &container, &error));
    options = streams(BERTH_STDIO_NULL, BERTH_STDIO_NULL, BERTH_STDIO_NULL);
    options.parent_death_signal = 65;
    FAILS(BERTH_E_INVALID_ARGUMENT, "parent_death_signal 65",
          berth_container_create(runtime, new_id(), config, &options, &container, &error));
    options.parent_death_signal = 0;
    options.console_socket = "/nowhere";
    FAILS(BERTH_E_INVALID_ARGUMENT, "console socket",
          berth_container_create(runtime, new_id(), config, &options, &container, &error));
    berth_config_free(config);
}

int main(int argc, char **argv) {
    begin(argc, argv);
    init_writes_the_size_and_zeros();
    an_invalid_size_is_refused();
    a_newer_caller_may_use_what_this_version_knows();
    the_same_holds_for_processes();
    stats_fill_what_the_caller_has();
    values_out_of_range_are_named();
    return 0;
}
