/*
 * Dumps a container that counts to images on disk, deletes it, and restores it from the images: it continues counting.
 *
 *   checkpoint BUNDLE IMAGES [CRIU [STATE_ROOT]]
 *
 * BUNDLE is an OCI bundle whose program writes one number after the other, IMAGES a directory to create, CRIU the path of CRIU's
 * program if it is not in the usual directories.
 *
 *   cc checkpoint.c $(pkg-config --cflags --libs berth) -o checkpoint
 */
#define _POSIX_C_SOURCE 200809L
#include <berth.h>
#include <stdio.h>
#include <unistd.h>

/* Prints the library's error message, if any, and releases the error. Returns 0 for success, -1 for failure. */
static int check(const char *what, int32_t code, berth_error **error) {
    if (code == 0)
        return 0;
    fprintf(stderr, "%s failed: %s\n", what, berth_error_message(*error));
    berth_error_free(*error);
    *error = NULL;
    return -1;
}

/* Returns the read end of the container's standard output, or NULL. */
static FILE *output_of(const berth_container *container) {
    berth_process *init = NULL;
    berth_error *error = NULL;
    int32_t fds[3];
    FILE *output = NULL;

    if (check("asking for init", berth_container_init_process(container, &init, &error), &error))
        return NULL;
    if (check("taking the pipe", berth_process_take_stdio(init, fds, &error), &error) == 0)
        output = fdopen(fds[1], "r");
    berth_process_free(init);
    return output;
}

/* Reads `lines` numbers; returns the last one, or -1. */
static int listen_to(FILE *output, int lines) {
    char line[32];
    int number = -1;

    while (output && lines-- > 0 && fgets(line, sizeof line, output) && sscanf(line, "%d", &number) == 1)
        printf("    the container counts: %d\n", number);
    return number;
}

/* Dumps the container and deletes it; only the images remain. */
static int leave(berth_container *container, const char *images) {
    berth_checkpoint_options options;
    berth_error *error = NULL;
    int32_t status = -1;

    berth_checkpoint_options_init(&options, sizeof options);
    options.images = images;
    if (check("checkpoint", berth_container_checkpoint(container, &options, &error), &error))
        return -1;
    if (check("asking for the status", berth_container_status(container, &status, &error), &error))
        return -1;
    printf("* it is in %s now, and its processes are gone (%s)\n", images,
           status == BERTH_STATUS_STOPPED ? "stopped" : "not stopped!");
    if (check("delete", berth_container_delete(container, 0, &error), &error))
        return -1;
    printf("* it is deleted\n");
    return status == BERTH_STATUS_STOPPED ? 0 : -1;
}

static int there_and_back(const berth_runtime *runtime, const berth_config *config, const char *images) {
    berth_process_options streams;
    berth_restore_options options;
    berth_container *container = NULL;
    berth_error *error = NULL;
    FILE *output;
    int before, after, left;

    /* A pipe, because CRIU cannot dump an open file of the host, and because restore can connect a pipe to a new one. */
    berth_process_options_init(&streams, sizeof streams);
    streams.stdio[0].kind = BERTH_STDIO_NULL;
    streams.stdio[1].kind = BERTH_STDIO_PIPE;
    streams.stdio[2].kind = BERTH_STDIO_NULL;
    if (check("run", berth_container_run(runtime, "counter", config, &streams, &container, &error), &error))
        return -1;
    output = output_of(container);
    before = listen_to(output, 3);
    left = leave(container, images);
    if (output)
        fclose(output);
    if (left)
        berth_container_delete(container, BERTH_DELETE_FORCE, NULL);
    berth_container_free(container);
    if (left)
        return -1;

    berth_restore_options_init(&options, sizeof options);
    options.images = images;
    options.process = &streams;
    if (check("restore", berth_container_restore(runtime, "counter", config, &options, &container, &error), &error))
        return -1;
    printf("* it is restored\n");
    output = output_of(container);
    after = listen_to(output, 3);
    if (output)
        fclose(output);
    check("delete", berth_container_delete(container, BERTH_DELETE_FORCE, &error), &error);
    berth_container_free(container);
    printf(before > 0 && after > before ? "* it continued where it was\n" : "* it did NOT continue where it was\n");
    return before > 0 && after > before ? 0 : -1;
}

int main(int argc, char **argv) {
    berth_runtime_options options;
    berth_runtime *runtime = NULL;
    berth_config *config = NULL;
    berth_error *error = NULL;
    int result = -1;

    if (argc < 3 || argc > 5) {
        fprintf(stderr, "usage: %s BUNDLE IMAGES [CRIU [STATE_ROOT]]\n", argv[0]);
        return 2;
    }
    berth_runtime_options_init(&options, sizeof options);
    options.criu = argc > 3 ? argv[3] : NULL;
    options.state_root = argc > 4 ? argv[4] : NULL;
    if (check("opening the runtime", berth_runtime_new(&options, &runtime, &error), &error))
        return 1;
    if (check("reading the bundle", berth_config_from_bundle(argv[1], &config, &error), &error) == 0)
        result = there_and_back(runtime, config, argv[2]);
    berth_config_free(config);
    berth_runtime_free(runtime);
    return result == 0 ? 0 : 1;
}
