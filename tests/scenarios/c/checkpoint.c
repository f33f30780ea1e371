/* Scenarios of checkpoint and restore. Part of main.c. */

#include <dirent.h>

/* Writes a line to the init's pipe and reads the answer; the pipes stay open. */
static void counts(berth_container *container, int keep[2], const char *expected) {
    berth_process *init;
    char line[32];
    size_t length = 0;
    int32_t fds[3];
    OK(berth_container_init_process(container, &init, &error));
    OK(berth_process_take_stdio(init, fds, &error));
    berth_process_free(init);
    CHECK(write(fds[0], "line\n", 5) == 5);
    while (length < sizeof line - 1 && is_readable(fds[1], LONG_MS) && read(fds[1], line + length, 1) == 1 && line[length] != '\n')
        length++;
    line[length] = 0;
    CHECK(strcmp(line, expected) == 0);
    keep[0] = fds[0];
    keep[1] = fds[1];
}

static void remove_folder(const char *folder) {
    char path[700];
    DIR *entries = opendir(folder);
    struct dirent *entry;
    while (entries && (entry = readdir(entries))) {
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        unlink(path);
    }
    if (entries)
        closedir(entries);
    rmdir(folder);
}

static void checkpoint_restore(void) {
    berth_process_options pipes = streams(BERTH_STDIO_PIPE, BERTH_STDIO_PIPE, BERTH_STDIO_NULL);
    berth_config *config = new_config("n=0; while read line; do n=$((n+1)); echo $n; done", 0);
    berth_runtime_options with_criu;
    berth_checkpoint_options checkpoint;
    berth_restore_options restore;
    berth_runtime *other;
    berth_container *container;
    const char *id = new_id();
    char images[300], *json;
    int keep[2];
    berth_runtime_options_init(&with_criu, sizeof with_criu);
    with_criu.state_root = state_root;
    with_criu.criu = getenv("BERTH_TEST_CRIU");
    if (!with_criu.criu)
        skip("no CRIU");
    OK(berth_runtime_new(&with_criu, &other, &error));
    OK(berth_criu_check(other, &json, &error));
    CHECK(strstr(json, "\"usable\":true"));
    berth_string_free(json);

    snprintf(images, sizeof images, "%s-images", state_root);
    OK(berth_container_run(other, id, config, &pipes, &container, &error));
    counts(container, keep, "1");
    berth_checkpoint_options_init(&checkpoint, sizeof checkpoint);
    checkpoint.images = images;
    OK(berth_container_checkpoint(container, &checkpoint, &error));
    CHECK(status_of(container) == BERTH_STATUS_STOPPED);
    OK(berth_container_delete(container, 0, &error));
    berth_container_free(container);
    close(keep[0]);
    close(keep[1]);

    berth_restore_options_init(&restore, sizeof restore);
    restore.images = images;
    restore.process = &pipes;
    OK(berth_container_restore(other, id, config, &restore, &container, &error));
    CHECK(status_of(container) == BERTH_STATUS_RUNNING);
    counts(container, keep, "2");
    close(keep[0]);
    has_ended(container, 0);
    close(keep[1]);
    OK(berth_container_delete(container, 0, &error));
    berth_container_free(container);
    berth_config_free(config);
    berth_runtime_free(other);
    remove_folder(images);
}
