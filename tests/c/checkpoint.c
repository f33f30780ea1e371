/*
 * Checkpoint and restore through the C ABI, with the CRIU that BERTH_TEST_CRIU names (tools/install-criu brings one).
 */
#include "check.h"

#include <dirent.h>

static berth_runtime *with_criu;
static char images[300];

static void begin_with_criu(const char *criu) {
    berth_runtime_options options;
    berth_runtime_options_init(&options, sizeof options);
    options.state_root = state_root;
    options.criu = criu;
    OK(berth_runtime_new(&options, &with_criu, &error));
}

static void remove_images(void) {
    DIR *directory = opendir(images);
    struct dirent *entry;
    char path[700];
    while (directory && (entry = readdir(directory)) != NULL) {
        snprintf(path, sizeof path, "%s/%s", images, entry->d_name);
        unlink(path);
    }
    if (directory)
        closedir(directory);
    rmdir(images);
}

/* Runs a container that answers each line with its number. */
static void talks(berth_container *container, int number, int keep[3]) {
    berth_process *init = NULL;
    char line[64], expected[64];
    size_t length = 0;
    OK(berth_container_init_process(container, &init, &error));
    OK(berth_process_take_stdio(init, keep, &error));
    berth_process_free(init);
    CHECK(write(keep[0], "hello\n", 6) == 6);
    while (length < sizeof line - 1 && read(keep[1], line + length, 1) == 1 && line[length++] != '\n') {
    }
    line[length] = 0;
    snprintf(expected, sizeof expected, "%d hello\n", number);
    CHECK(strcmp(line, expected) == 0);
}

static void hang_up(int fds[3]) {
    int i;
    for (i = 0; i < 3; i++) {
        if (fds[i] >= 0)
            close(fds[i]);
    }
}

static void features_of_criu_are_reported(void) {
    char *json = NULL;
    OK(berth_criu_check(with_criu, &json, &error));
    CHECK(strstr(json, "\"version\":\"") && strstr(json, "\"usable\":true") && strstr(json, "\"memoryTracking\":"));
    berth_string_free(json);
    FAILS(BERTH_E_INVALID_ARGUMENT, "runtime is NULL", berth_criu_check(NULL, &json, &error));
    CHECK(json == NULL);
    FAILS(BERTH_E_INVALID_ARGUMENT, "json is NULL", berth_criu_check(with_criu, NULL, &error));
}

static void a_container_continues_where_it_was(void) {
    berth_process_options pipes = streams(BERTH_STDIO_PIPE, BERTH_STDIO_PIPE, BERTH_STDIO_NULL);
    berth_config *config = new_config("n=0; while read line; do n=$((n+1)); echo $n $line; done", 0);
    berth_checkpoint_options checkpoint;
    berth_restore_options restore;
    berth_container *container = NULL, *restored = NULL;
    berth_exit_status exit_status;
    char id[64];
    int first[3], second[3];

    snprintf(id, sizeof id, "%s", new_id());
    OK(berth_container_run(with_criu, id, config, &pipes, &container, &error));
    talks(container, 1, first);

    berth_checkpoint_options_init(&checkpoint, sizeof checkpoint);
    checkpoint.images = images;
    checkpoint.flags = BERTH_CHECKPOINT_LEAVE_RUNNING;
    OK(berth_container_checkpoint(container, &checkpoint, &error));
    CHECK(status_of(container) == BERTH_STATUS_RUNNING);
    remove_images();
    checkpoint.flags = BERTH_CHECKPOINT_FILE_LOCKS | BERTH_CHECKPOINT_TCP_ESTABLISHED | BERTH_CHECKPOINT_TCP_SKIP_IN_FLIGHT |
                       BERTH_CHECKPOINT_EXTERNAL_UNIX_SOCKETS | BERTH_CHECKPOINT_LINK_REMAP;
    checkpoint.cgroup_mode = BERTH_CGROUP_MODE_SOFT;
    checkpoint.network_lock = BERTH_NETWORK_LOCK_NFTABLES;
    checkpoint.timeout_ms = LONG_MS;
    OK(berth_container_checkpoint(container, &checkpoint, &error));
    CHECK(status_of(container) == BERTH_STATUS_STOPPED);
    hang_up(first);
    berth_restore_options_init(&restore, sizeof restore);
    restore.images = images;
    restore.process = &pipes;
    FAILS(BERTH_E_ID_IN_USE, id, berth_container_restore(with_criu, id, config, &restore, &restored, &error));
    OK(berth_container_delete(container, 0, &error));
    berth_container_free(container);

    restore.flags = BERTH_RESTORE_FILE_LOCKS | BERTH_RESTORE_TCP_ESTABLISHED | BERTH_RESTORE_EXTERNAL_UNIX_SOCKETS;
    OK(berth_container_restore(with_criu, id, config, &restore, &restored, &error));
    CHECK(status_of(restored) == BERTH_STATUS_RUNNING);
    talks(restored, 2, second);
    hang_up(second);
    OK(berth_container_wait(restored, LONG_MS, &exit_status, &error));
    OK(berth_container_delete(restored, 0, &error));
    berth_container_free(restored);
    berth_config_free(config);
    remove_images();
}

static void wrong_options_are_refused(void) {
    berth_config *config = new_config("sleep 1000", 0);
    berth_process_options quiet = streams(BERTH_STDIO_NULL, BERTH_STDIO_NULL, BERTH_STDIO_NULL);
    berth_container *container = NULL, *none = (berth_container *)1;
    berth_checkpoint_options checkpoint;
    berth_restore_options restore;

    OK(berth_container_run(with_criu, new_id(), config, &quiet, &container, &error));
    FAILS(BERTH_E_INVALID_ARGUMENT, "options is NULL", berth_container_checkpoint(container, NULL, &error));
    berth_checkpoint_options_init(&checkpoint, sizeof checkpoint);
    checkpoint.images = images;
    FAILS(BERTH_E_INVALID_ARGUMENT, "container is NULL", berth_container_checkpoint(NULL, &checkpoint, &error));
    checkpoint.flags = 1u << 20;
    FAILS(BERTH_E_UNSUPPORTED, "0x100000", berth_container_checkpoint(container, &checkpoint, &error));
    checkpoint.flags = 0;
    checkpoint.cgroup_mode = 99;
    FAILS(BERTH_E_INVALID_ARGUMENT, "cgroup_mode is 99", berth_container_checkpoint(container, &checkpoint, &error));
    checkpoint.cgroup_mode = 0;
    checkpoint.page_server_port = 70000;
    FAILS(BERTH_E_INVALID_ARGUMENT, "without page_server_address", berth_container_checkpoint(container, &checkpoint, &error));
    checkpoint.page_server_address = "127.0.0.1";
    FAILS(BERTH_E_INVALID_ARGUMENT, "page_server_port is 70000", berth_container_checkpoint(container, &checkpoint, &error));
    checkpoint.page_server_port = 1;
    checkpoint.page_server_address = "host";
    FAILS(BERTH_E_INVALID_ARGUMENT, "is not an IP address", berth_container_checkpoint(container, &checkpoint, &error));
    checkpoint.page_server_address = NULL;
    checkpoint.page_server_port = 0;
    checkpoint.status.kind = BERTH_STDIO_PIPE;
    FAILS(BERTH_E_INVALID_ARGUMENT, "status is kind 3", berth_container_checkpoint(container, &checkpoint, &error));
    checkpoint.status.kind = 0;
    checkpoint.timeout_ms = -1;
    FAILS(BERTH_E_INVALID_ARGUMENT, "timeout_ms is -1", berth_container_checkpoint(container, &checkpoint, &error));
    checkpoint.timeout_ms = 0;
    checkpoint.network_lock = 99;
    FAILS(BERTH_E_INVALID_ARGUMENT, "network_lock is 99", berth_container_checkpoint(container, &checkpoint, &error));
    CHECK(access(images, F_OK) != 0);
    CHECK(status_of(container) == BERTH_STATUS_RUNNING);

    FAILS(BERTH_E_INVALID_ARGUMENT, "options is NULL", berth_container_restore(with_criu, new_id(), config, NULL, &none, &error));
    CHECK(none == NULL);
    berth_restore_options_init(&restore, sizeof restore);
    restore.images = images;
    restore.veth_pair_count = 1;
    FAILS(BERTH_E_INVALID_ARGUMENT, "veth_pairs is NULL",
          berth_container_restore(with_criu, new_id(), config, &restore, &none, &error));
    restore.veth_pair_count = 0;
    restore.cgroup_root_count = 1;
    FAILS(BERTH_E_INVALID_ARGUMENT, "cgroup_roots is NULL",
          berth_container_restore(with_criu, new_id(), config, &restore, &none, &error));
    restore.cgroup_root_count = 0;
    FAILS(BERTH_E_SYSTEM, "opening the image directory",
          berth_container_restore(with_criu, new_id(), config, &restore, &none, &error));
    remove_container(container);
    berth_config_free(config);
}

int main(int argc, char **argv) {
    const char *criu = getenv("BERTH_TEST_CRIU");
    if (!criu || !*criu) {
        fprintf(stderr, "skipped: BERTH_TEST_CRIU does not name a CRIU (tools/install-criu brings one)\n");
        return 77;
    }
    begin(argc, argv);
    begin_with_criu(criu);
    snprintf(images, sizeof images, "%s-images", state_root);
    CHECK(berth_has_feature("checkpoint"));
    features_of_criu_are_reported();
    a_container_continues_where_it_was();
    wrong_options_are_refused();
    berth_runtime_free(with_criu);
    return 0;
}
