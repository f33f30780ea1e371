/*
 * Helpers shared by the C tests: checks that print where they failed, a runtime with a state root of its own, containers
 * that run a script.
 *
 *   PROGRAM [ROOTFS [STATE_ROOT]]
 *
 * ROOTFS is a directory that tools/rootfs has made (else: BERTH_TEST_ROOTFS). Without STATE_ROOT a temporary directory
 * is made and removed. Exit status: 0 passed, 77 skipped, else failed.
 */
#ifndef CHECK_H
#define CHECK_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <berth.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* A timeout for calls that take milliseconds on an idle machine. */
#define LONG_MS 120000

static berth_runtime *runtime;
static const char *rootfs;
static char state_root[256];
static int made_root;

/* Ends the test and removes its containers. */
static inline void fail(const char *file, int line, const char *what, berth_error *error) {
    fprintf(stderr, "%s:%d: %s", file, line, what);
    if (error)
        fprintf(stderr, ": %s (code %d, errno %d, stage %d, %s)", berth_error_message(error), berth_error_code(error),
                berth_error_errno(error), berth_error_stage(error), berth_error_detail_json(error));
    fputc('\n', stderr);
    exit(1);
}

#define CHECK(condition) ((condition) ? (void)0 : fail(__FILE__, __LINE__, #condition, NULL))

/* Checks that a call succeeds. The call must pass &error. */
#define OK(call)                                      \
    do {                                              \
        berth_error *error = NULL;                    \
        int32_t code_ = (call);                       \
        if (code_ != 0)                               \
            fail(__FILE__, __LINE__, #call, error);   \
        CHECK(error == NULL);                         \
    } while (0)

/* Checks that a call fails with this code and message part. */
#define FAILS(code, part, call)                                                                           \
    do {                                                                                                  \
        berth_error *error = NULL;                                                                        \
        int32_t code_ = (call);                                                                           \
        if (code_ != (code) || berth_error_code(error) != (code) ||                                       \
            !strstr(berth_error_message(error), part) || strchr(berth_error_message(error), '\n') != NULL) { \
            fprintf(stderr, "expected code %d and \"%s\", got code %d\n", (int)(code), part, (int)code_); \
            fail(__FILE__, __LINE__, #call, error);                                                       \
        }                                                                                                 \
        berth_error_free(error);                                                                          \
    } while (0)

/* Deletes leftover containers of a failed test, and the state root. */
static inline void end(void) {
    if (runtime) {
        char *ids = NULL;
        if (berth_runtime_list_json(runtime, &ids, NULL) == 0) {
            const char *at = ids;
            while ((at = strstr(at, "\"id\":\"")) != NULL) {
                char id[256];
                berth_container *container;
                if (sscanf(at, "\"id\":\"%255[^\"]", id) == 1 && berth_container_load(runtime, id, &container, NULL) == 0) {
                    berth_container_delete(container, BERTH_DELETE_FORCE, NULL);
                    berth_container_free(container);
                }
                at += 6;
            }
        }
        berth_string_free(ids);
        berth_runtime_free(runtime);
        runtime = NULL;
    }
    if (made_root)
        rmdir(state_root);
}

static inline void begin(int argc, char **argv) {
    struct stat found;
    berth_runtime_options options;
    if (geteuid() != 0) {
        fprintf(stderr, "skipped: needs root\n");
        exit(77);
    }
    rootfs = argc > 1 ? argv[1] : getenv("BERTH_TEST_ROOTFS");
    if (!rootfs || stat(rootfs, &found) != 0) {
        fprintf(stderr, "skipped: BERTH_TEST_ROOTFS does not name a root filesystem (tools/rootfs makes one)\n");
        exit(77);
    }
    if (argc > 2) {
        snprintf(state_root, sizeof state_root, "%s", argv[2]);
    } else {
        const char *parent = getenv("TMPDIR");
        snprintf(state_root, sizeof state_root, "%s/berth-c-state.XXXXXX", parent ? parent : "/tmp");
        CHECK(mkdtemp(state_root));
        made_root = 1;
    }
    atexit(end);
    berth_runtime_options_init(&options, sizeof options);
    options.state_root = state_root;
    OK(berth_runtime_new(&options, &runtime, &error));
}

/* Returns an id that is unique among all tests. */
static inline const char *new_id(void) {
    static char id[128];
    static int next;
    const char *run = getenv("BERTH_TEST_RUN");
    snprintf(id, sizeof id, "test-c-%s-%d-%d", run ? run : "run", (int)getpid(), next++);
    return id;
}

/* Returns the process object that runs a script; `script` may not contain quotation marks or backslashes. */
static inline const char *process_json(const char *script, int terminal) {
    static char json[4096];
    CHECK(!strpbrk(script, "\"\\") && strlen(script) < 3000);
    snprintf(json, sizeof json,
             "{\"terminal\":%s,\"user\":{\"uid\":0,\"gid\":0},\"args\":[\"/bin/sh\",\"-c\",\"%s\"],"
             "\"env\":[\"PATH=/bin\"],\"cwd\":\"/\"}",
             terminal ? "true" : "false", script);
    return json;
}

static inline berth_config *new_config(const char *script, int terminal) {
    static char json[8192];
    berth_config *config = NULL;
    snprintf(json, sizeof json,
             "{\"ociVersion\":\"1.0.2\",\"process\":%s,\"root\":{\"path\":\"/\",\"readonly\":true},"
             "\"mounts\":[{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\"},"
             "{\"destination\":\"/dev\",\"type\":\"tmpfs\",\"source\":\"tmpfs\",\"options\":[\"nosuid\",\"mode=755\"]},"
             "{\"destination\":\"/dev/pts\",\"type\":\"devpts\",\"source\":\"devpts\","
             "\"options\":[\"nosuid\",\"noexec\",\"newinstance\",\"ptmxmode=0666\",\"mode=0620\"]}],"
             "\"linux\":{\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"mount\"},{\"type\":\"ipc\"},{\"type\":\"uts\"},"
             "{\"type\":\"network\"},{\"type\":\"cgroup\"}]}}",
             process_json(script, terminal));
    OK(berth_config_from_json(json, rootfs, &config, &error));
    return config;
}

static inline berth_process_options streams(int32_t in, int32_t out, int32_t err) {
    berth_process_options options;
    berth_process_options_init(&options, sizeof options);
    options.stdio[0].kind = in;
    options.stdio[1].kind = out;
    options.stdio[2].kind = err;
    return options;
}

/* Runs a container; its streams are those of `options`, or /dev/null. */
static inline berth_container *run(const char *script, int terminal, const berth_process_options *options) {
    berth_process_options quiet = streams(BERTH_STDIO_NULL, BERTH_STDIO_NULL, BERTH_STDIO_NULL);
    berth_config *config = new_config(script, terminal);
    berth_container *container = NULL;
    OK(berth_container_run(runtime, new_id(), config, options ? options : &quiet, &container, &error));
    CHECK(container);
    berth_config_free(config);
    return container;
}

static inline void remove_container(berth_container *container) {
    OK(berth_container_delete(container, BERTH_DELETE_FORCE, &error));
    berth_container_free(container);
}

static inline int32_t status_of(berth_container *container) {
    int32_t status = -1;
    OK(berth_container_status(container, &status, &error));
    return status;
}

/* Reads to end of file (EIO from a terminal) and closes the descriptor. */
static inline const char *read_all(int fd) {
    static char text[65536];
    size_t length = 0;
    ssize_t got;
    while (length < sizeof text - 1) {
        got = read(fd, text + length, sizeof text - 1 - length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        length += (size_t)got;
    }
    text[length] = 0;
    close(fd);
    return text;
}

/* Checks that the descriptor is close-on-exec. */
static inline void check_cloexec(int fd) {
    CHECK(fd > 2 && (fcntl(fd, F_GETFD) & FD_CLOEXEC));
}

static inline berth_process *init_of(berth_container *container) {
    berth_process *init = NULL;
    OK(berth_container_init_process(container, &init, &error));
    return init;
}

/* Checks the three pipes of a process that answers "got LINE" to a line, and fails with "failed". */
static inline void check_pipes(berth_process *process) {
    int32_t fds[3], again[3];
    OK(berth_process_take_stdio(process, fds, &error));
    check_cloexec(fds[0]);
    check_cloexec(fds[1]);
    check_cloexec(fds[2]);
    OK(berth_process_take_stdio(process, again, &error));
    CHECK(again[0] == -1 && again[1] == -1 && again[2] == -1);
    CHECK(write(fds[0], "word\n", 5) == 5);
    close(fds[0]);
    CHECK(strcmp(read_all(fds[1]), "got word\n") == 0);
    CHECK(strcmp(read_all(fds[2]), "failed\n") == 0);
}

/* Reads until the text appears, or the terminal is hung up. */
static inline int expect(int master, const char *text) {
    char seen[4096] = "";
    size_t length = 0;
    while (length < sizeof seen - 1) {
        struct pollfd ready = {master, POLLIN, 0};
        ssize_t got;
        if (poll(&ready, 1, LONG_MS) != 1) {
            fprintf(stderr, "seen: %s\n", seen);
            fail(__FILE__, __LINE__, text, NULL);
        }
        got = read(master, seen + length, sizeof seen - 1 - length);
        if (got <= 0)
            return 0;
        length += (size_t)got;
        seen[length] = 0;
        if (strstr(seen, text))
            return 1;
    }
    return 0;
}

/* Creates a listening unix socket that receives the masters of terminals. */
static inline int listen_for_consoles(struct sockaddr_un *address) {
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    snprintf(address->sun_path, sizeof address->sun_path, "%.90s-console", state_root);
    unlink(address->sun_path);
    CHECK(listener >= 0 && bind(listener, (struct sockaddr *)address, sizeof *address) == 0 && listen(listener, 2) == 0);
    return listener;
}

/* Accepts one connection and returns the descriptor that it sends. */
static inline int receive_descriptor(int listener) {
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    char name[64];
    struct iovec part = {name, sizeof name};
    struct msghdr message;
    int connection = accept(listener, NULL, NULL), fd;
    memset(&message, 0, sizeof message);
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = &control;
    message.msg_controllen = sizeof control;
    CHECK(connection >= 0 && recvmsg(connection, &message, MSG_CMSG_CLOEXEC) > 0);
    close(connection);
    CHECK(CMSG_FIRSTHDR(&message) && CMSG_FIRSTHDR(&message)->cmsg_type == SCM_RIGHTS);
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
    return fd;
}

/*
 * Valgrind does not know clone3(2) and pidfd_open(2). So a test under valgrind executes its own program once more, which
 * valgrind does not follow, to create and to delete a container: elsewhere() executes it, and main() begins with
 * act_elsewhere(), which does the work there.
 */
static inline void elsewhere(const char *program, const char *what, const char *id) {
    pid_t child = fork();
    int raw;
    CHECK(child >= 0);
    if (child == 0) {
        execl(program, program, rootfs, state_root, what, id, (char *)NULL);
        _exit(127);
    }
    CHECK(waitpid(child, &raw, 0) == child && WIFEXITED(raw) && WEXITSTATUS(raw) == 0);
}

static inline void act_elsewhere(int argc, char **argv) {
    berth_process_options quiet = streams(BERTH_STDIO_NULL, BERTH_STDIO_NULL, BERTH_STDIO_NULL);
    berth_container *container;
    if (argc <= 4)
        return;
    if (strcmp(argv[3], "create") == 0) {
        berth_config *config = new_config("sleep 1000", 0);
        OK(berth_container_run(runtime, argv[4], config, &quiet, &container, &error));
        berth_container_free(container);
        berth_config_free(config);
    } else {
        OK(berth_container_load(runtime, argv[4], &container, &error));
        remove_container(container);
    }
    berth_runtime_free(runtime);
    _exit(0);
}

#endif
