/*
 * Helpers of the program that generate-nulls writes: handles, valid options, and checks of NULL and of sizes.
 *
 * With BERTH_TEST_VALGRIND set the container is another process's (check.h, "elsewhere"), and there may be no handle on a
 * process or an event: their functions are left out then.
 */
#include "check.h"

#include <stdlib.h>
#include <sys/mman.h>

/* A pointer that is not NULL and must not be dereferenced. */
#define JUNK ((void *)(uintptr_t)1)

static berth_runtime *handle_runtime;
static berth_config *handle_config;
static berth_container *handle_container;
static berth_process *handle_process;
static berth_event *handle_event;
static berth_error *handle_error;
static int counted;

/* The runtime has no CRIU, so it is never started. */
static berth_runtime_options *valid_berth_runtime_options(void) {
    static berth_runtime_options options;
    berth_runtime_options_init(&options, sizeof options);
    options.state_root = state_root;
    options.criu = "/nothing/criu";
    return &options;
}

static berth_process_options *valid_berth_process_options(void) {
    static berth_process_options options;
    options = streams(BERTH_STDIO_NULL, BERTH_STDIO_NULL, BERTH_STDIO_NULL);
    return &options;
}

static berth_checkpoint_options *valid_berth_checkpoint_options(void) {
    static berth_checkpoint_options options;
    berth_checkpoint_options_init(&options, sizeof options);
    options.images = "/nothing/images";
    return &options;
}

static berth_restore_options *valid_berth_restore_options(void) {
    static berth_restore_options options;
    berth_restore_options_init(&options, sizeof options);
    options.images = "/nothing/images";
    return &options;
}

/* Releases what a call returned, if it did. */
#define GIVE_BACK(noun)                                                    \
    static inline void give_back_##noun(berth_##noun *given) {             \
        if (given && given != (berth_##noun *)JUNK) berth_##noun##_free(given); \
    }
GIVE_BACK(runtime)
GIVE_BACK(config)
GIVE_BACK(process)
GIVE_BACK(event)
static inline void give_back_string(char *given) {
    if (given && given != (char *)JUNK) berth_string_free(given);
}
static inline void give_back_pids(int32_t *given) {
    if (given && given != (int32_t *)JUNK) berth_pids_free(given);
}
static inline void give_back_container(berth_container *given) {
    if (given && given != (berth_container *)JUNK) remove_container(given);
}

/* Returns the message of a failure, or "", and releases the error. */
static const char *why(int32_t code, berth_error *failure) {
    static char message[512];
    message[0] = 0;
    if (code != 0) {
        snprintf(message, sizeof message, "%s", berth_error_message(failure));
        CHECK(berth_error_code(failure) == code);
        berth_error_free(failure);
    } else {
        CHECK(failure == NULL || failure == JUNK);
    }
    return message;
}

static void is_refused(const char *function, const char *parameter, int32_t code, berth_error *failure) {
    const char *message = why(code, failure);
    char expected[128];
    snprintf(expected, sizeof expected, "%s is NULL", parameter);
    counted++;
    if (code == BERTH_E_INVALID_ARGUMENT && strcmp(message, expected) == 0) return;
    fprintf(stderr, "%s(%s = NULL): code %d, \"%s\"\n", function, parameter, (int)code, message);
    exit(1);
}

/* Checks that the call succeeds, or fails for another reason. */
static void is_optional(const char *function, const char *parameter, int32_t code, berth_error *failure) {
    const char *message = why(code, failure);
    counted++;
    if (!strstr(message, " is NULL")) return;
    fprintf(stderr, "%s(%s = NULL), which is optional: code %d, \"%s\"\n", function, parameter, (int)code, message);
    exit(1);
}

/* Returns `size` bytes that end at an unmapped page: an access beyond them crashes. */
static void *at_the_end_of_a_page(size_t size) {
    static unsigned char *pages;
    const size_t page = 16384;
    if (!pages) {
        pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        CHECK(pages != MAP_FAILED && mprotect(pages + page, page, PROT_NONE) == 0);
    }
    CHECK(size <= page);
    return pages + page - size;
}

typedef int32_t (*taker)(void *given, berth_error **failure);

/* Returns the message of a call with a struct of this size. */
static const char *with_size(taker call, void *given, size_t size) {
    berth_error *failure = NULL;
    int32_t code;
    memcpy(given, &size, sizeof size);
    code = call(given, &failure);
    return why(code, failure);
}

/* Prints the message if it is not `expected`. */
static int is_about_the_size(const char *message, const char *name, size_t size, int expected) {
    char beginning[128];
    snprintf(beginning, sizeof beginning, "%s.size is ", name);
    if ((strncmp(message, beginning, strlen(beginning)) == 0) == expected) return 1;
    fprintf(stderr, "%s of %zu bytes: \"%s\"\n", name, size, message);
    return 0;
}

/* Option structs of older and newer callers: the library reads the members that it knows, and no byte beyond the size. */
static void sizes_of_options(taker call, const void *valid, size_t known, const char *name) {
    const size_t never[] = {0, 1, 7, 8, 4097, (size_t)1 << 40, SIZE_MAX};
    size_t i, size;
    for (i = 0; i < sizeof never / sizeof *never; i++) {
        void *given = at_the_end_of_a_page(known);
        memcpy(given, valid, known);
        CHECK(is_about_the_size(with_size(call, given, never[i]), name, never[i], 1));
    }
    for (size = sizeof(size_t); size <= known + 64; size++) {
        /* Structs are aligned, so a size that is not a multiple of the alignment ends a little before the page. */
        unsigned char *given = at_the_end_of_a_page((size + 7) / 8 * 8);
        const char *message;
        memset(given, 0, size);
        memcpy(given, valid, size < known ? size : known);
        message = with_size(call, given, size);
        CHECK(!strstr(message, "has a value at byte"));
        if (size >= known) CHECK(is_about_the_size(message, name, size, size % 8 != 0));
        if (size > known && size % 8 == 0) {
            given[size - 1] = 1;
            CHECK(strstr(with_size(call, given, size), "has a value at byte"));
        }
    }
}

/* The library fills only the caller's size, and sets members that it does not know to all ones. */
static void sizes_of_output(taker call, size_t known, const char *name) {
    const size_t never[] = {0, 1, 7, 8, 4097, (size_t)1 << 40, SIZE_MAX};
    size_t i, size;
    for (i = 0; i < sizeof never / sizeof *never; i++)
        CHECK(is_about_the_size(with_size(call, at_the_end_of_a_page(known), never[i]), name, never[i], 1));
    for (size = sizeof(size_t); size <= known + 64; size++) {
        unsigned char *given = at_the_end_of_a_page((size + 7) / 8 * 8);
        const char *message = with_size(call, memset(given, 0, (size + 7) / 8 * 8), size);
        if (size >= known) CHECK(is_about_the_size(message, name, size, size % 8 != 0));
        if (size > known && size % 8 == 0) CHECK(!message[0] && given[size - 1] == 0xff && given[known] == 0xff);
    }
}

static void sizes_of_init(void (*init)(void *, size_t), size_t known) {
    size_t size;
    for (size = 0; size <= known + 64; size++)
        init(at_the_end_of_a_page((size + 7) / 8 * 8), size);
}

static int run_nulls(int argc, char **argv, void (*nulls)(void), void (*sizes)(void), int all) {
    const int watched = getenv("BERTH_TEST_VALGRIND") != NULL;
    int had_event;
    char id[64];
    begin(argc, argv);
    act_elsewhere(argc, argv);
    snprintf(id, sizeof id, "%s", new_id());
    OK(berth_runtime_new(valid_berth_runtime_options(), &handle_runtime, &error));
    handle_config = new_config("sleep 1000", 0);
    CHECK(berth_config_from_bundle("/nothing/here", (berth_config **)&(void *){NULL}, &handle_error) == BERTH_E_SYSTEM);
    if (watched) {
        elsewhere(argv[0], "create", id);
        OK(berth_container_load(handle_runtime, id, &handle_container, &error));
    } else {
        OK(berth_container_run(handle_runtime, id, handle_config, valid_berth_process_options(), &handle_container, &error));
        OK(berth_container_init_process(handle_container, &handle_process, &error));
        berth_container_notify_memory_pressure(handle_container, BERTH_PRESSURE_LOW, &handle_event, NULL);
    }
    nulls();
    sizes();
    CHECK(status_of(handle_container) == BERTH_STATUS_RUNNING);
    had_event = handle_event != NULL;
    berth_event_free(handle_event);
    berth_process_free(handle_process);
    berth_error_free(handle_error);
    berth_config_free(handle_config);
    berth_container_free(handle_container);
    berth_runtime_free(handle_runtime);
    printf("%d of %d calls with NULL say what is wrong, or do without\n", counted, all);
    if (watched)
        elsewhere(argv[0], "delete", id);
    else if (had_event)
        CHECK(counted == all);
    return 0;
}
