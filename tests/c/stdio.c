/* Scenarios of standard streams and terminals. */
#include "check.h"

#include <sys/ioctl.h>

static void stop(berth_container *container, int32_t code) {
    berth_exit_status ended;
    OK(berth_container_wait(container, LONG_MS, &ended, &error));
    CHECK(ended.kind == BERTH_EXIT_EXITED && ended.code == code);
    OK(berth_container_delete(container, 0, &error));
    berth_container_free(container);
}

static void pipes(void) {
    berth_process_options options = streams(BERTH_STDIO_PIPE, BERTH_STDIO_PIPE, BERTH_STDIO_PIPE);
    berth_container *container = run("read line; echo got $line; echo failed >&2; exit 3", 0, &options);
    berth_process *init = init_of(container);
    int master;
    check_pipes(init);
    OK(berth_process_terminal(init, &master, &error));
    CHECK(master == -1);
    FAILS(BERTH_E_INVALID_ARGUMENT, "no terminal", berth_process_resize_terminal(init, 1, 1, &error));
    berth_process_free(init);
    stop(container, 3);
}

/* The caller keeps its descriptors, and may close them at once. */
static void descriptors(void) {
    berth_process_options options = streams(BERTH_STDIO_FD, BERTH_STDIO_FD, BERTH_STDIO_FD);
    berth_container *container;
    int in[2], out[2];
    CHECK(pipe(in) == 0 && pipe(out) == 0);
    options.stdio[0].fd = in[0];
    options.stdio[1].fd = out[1];
    options.stdio[2].fd = out[1];
    container = run("cat; echo end >&2", 0, &options);
    CHECK(fcntl(in[0], F_GETFD) == 0 && fcntl(out[1], F_GETFD) == 0);
    close(in[0]);
    close(out[1]);
    CHECK(write(in[1], "through\n", 8) == 8);
    close(in[1]);
    CHECK(strcmp(read_all(out[0]), "through\nend\n") == 0);
    stop(container, 0);
}

static void extra_descriptors(void) {
    berth_process_options options = streams(BERTH_STDIO_NULL, BERTH_STDIO_NULL, BERTH_STDIO_NULL);
    berth_container *container;
    int out[2], other[2];
    int32_t extra[2];
    CHECK(pipe2(out, O_CLOEXEC) == 0 && pipe2(other, O_CLOEXEC) == 0);
    extra[0] = other[0];
    extra[1] = out[1];
    options.extra_fds = extra;
    options.extra_fd_count = 2;
    container = run("cat <&3 >&4; ls /proc/self/fd >&4", 0, &options);
    close(out[1]);
    close(other[0]);
    CHECK(write(other[1], "three\n", 6) == 6);
    close(other[1]);
    /* No descriptor of the caller is open; 5 is the directory that ls reads. */
    CHECK(strcmp(read_all(out[0]), "three\n0\n1\n2\n3\n4\n5\n") == 0);
    stop(container, 0);
}

static void inherited(void) {
    berth_process_options options = streams(BERTH_STDIO_NULL, BERTH_STDIO_INHERIT, BERTH_STDIO_NULL);
    int out[2], saved = dup(1);
    berth_container *container;
    CHECK(pipe2(out, O_CLOEXEC) == 0);
    CHECK(dup2(out[1], 1) == 1);
    container = run("echo inherited", 0, &options);
    CHECK(dup2(saved, 1) == 1);
    close(saved);
    close(out[1]);
    CHECK(strcmp(read_all(out[0]), "inherited\n") == 0);
    stop(container, 0);
}

static void a_terminal_with_its_master(void) {
    berth_process_options options = streams(0, 0, 0);
    berth_container *container = run("echo ready; read line; stty size; tty; echo got $line; exit 6", 1, &options);
    berth_process *init = init_of(container);
    struct winsize size;
    int master, second;
    OK(berth_process_terminal(init, &master, &error));
    OK(berth_process_terminal(init, &second, &error));
    check_cloexec(master);
    check_cloexec(second);
    close(second);
    CHECK(expect(master, "ready"));
    OK(berth_process_resize_terminal(init, 24, 80, &error));
    CHECK(ioctl(master, TIOCGWINSZ, &size) == 0 && size.ws_row == 24 && size.ws_col == 80);
    CHECK(write(master, "word\n", 5) == 5);
    CHECK(expect(master, "24 80\r\n/dev/pts/0\r\ngot word"));
    close(master);
    berth_process_free(init);
    stop(container, 6);

    options = streams(0, BERTH_STDIO_PIPE, 0);
    {
        berth_config *config = new_config("true", 1);
        FAILS(BERTH_E_CONSOLE_EXISTS, "terminal",
              berth_container_run(runtime, new_id(), config, &options, &container, &error));
        berth_config_free(config);
    }
}

/* For init and for an executed process. */
static void a_terminal_through_a_console_socket(void) {
    berth_process_options options = streams(0, 0, 0);
    berth_container *container;
    berth_process *process;
    struct sockaddr_un address;
    int listener = listen_for_consoles(&address), master, none;
    options.console_socket = address.sun_path;
    container = run("echo from init; sleep 1000", 1, &options);
    master = receive_descriptor(listener);
    CHECK(isatty(master) && expect(master, "from init"));
    close(master);
    process = init_of(container);
    OK(berth_process_terminal(process, &none, &error));
    CHECK(none == -1);
    berth_process_free(process);

    OK(berth_container_exec(container, process_json("echo from exec; read line; exit 2", 1), &options, &process, &error));
    master = receive_descriptor(listener);
    CHECK(expect(master, "from exec"));
    OK(berth_process_terminal(process, &none, &error));
    CHECK(none == -1);
    FAILS(BERTH_E_INVALID_ARGUMENT, "no terminal", berth_process_resize_terminal(process, 1, 1, &error));
    OK(berth_process_signal(process, SIGKILL, &error));
    OK(berth_process_wait(process, LONG_MS, NULL, &error));
    berth_process_free(process);
    close(master);
    close(listener);
    CHECK(unlink(address.sun_path) == 0);
    FAILS(BERTH_E_SYSTEM, "console socket",
          berth_container_exec(container, process_json("sleep 1000", 1), &options, &process, &error));
    remove_container(container);
}

static void an_executed_process_has_its_own(void) {
    berth_process_options options = streams(0, 0, 0);
    berth_container *container = run("sleep 1000", 0, NULL);
    berth_process *process;
    int32_t fds[3];
    int master;
    OK(berth_container_exec(container, process_json("trap true WINCH; echo ready; read line; stty size", 1), &options,
                            &process, &error));
    OK(berth_process_terminal(process, &master, &error));
    CHECK(expect(master, "ready"));
    OK(berth_process_resize_terminal(process, 10, 20, &error));
    CHECK(write(master, "\n", 1) == 1 && expect(master, "10 20"));
    OK(berth_process_wait(process, LONG_MS, NULL, &error));
    close(master);
    berth_process_free(process);

    options = streams(BERTH_STDIO_PIPE, BERTH_STDIO_PIPE, BERTH_STDIO_PIPE);
    OK(berth_container_exec(container, process_json("cat", 0), &options, &process, &error));
    OK(berth_process_take_stdio(process, fds, &error));
    berth_process_free(process); /* the descriptors stay */
    CHECK(write(fds[0], "x", 1) == 1);
    close(fds[0]);
    close(fds[2]);
    CHECK(strcmp(read_all(fds[1]), "x") == 0);
    while (waitpid(-1, NULL, WNOHANG) == 0)
        poll(NULL, 0, 10);
    remove_container(container);
}

int main(int argc, char **argv) {
    begin(argc, argv);
    pipes();
    descriptors();
    extra_descriptors();
    inherited();
    a_terminal_with_its_master();
    a_terminal_through_a_console_socket();
    an_executed_process_has_its_own();
    return 0;
}
