/* Scenarios of standard streams and terminals. Part of main.c. */
#include <sys/ioctl.h>

static void stdio_pipes(void) {
    berth_process_options options = streams(BERTH_STDIO_PIPE, BERTH_STDIO_PIPE, BERTH_STDIO_PIPE);
    berth_container *container = run("read line; echo got $line; echo failed >&2", 0, &options);
    berth_process *init = init_of(container);
    check_pipes(init);
    berth_process_free(init);
    has_ended(container, 0);
    remove_container(container);
}

static void stdio_null(void) {
    berth_process_options options = streams(BERTH_STDIO_NULL, BERTH_STDIO_NULL, BERTH_STDIO_NULL);
    berth_container *container = run("echo lost; echo lost >&2; read line || exit 4", 0, &options);
    berth_process *init = init_of(container);
    int32_t fds[3];
    OK(berth_process_take_stdio(init, fds, &error));
    CHECK(fds[0] == -1 && fds[1] == -1 && fds[2] == -1);
    berth_process_free(init);
    has_ended(container, 4);
    remove_container(container);
}

static void stdio_descriptors(void) {
    berth_process_options options = streams(BERTH_STDIO_FD, BERTH_STDIO_FD, BERTH_STDIO_NULL);
    berth_container *container;
    int in[2], out[2], extra[2];
    int32_t third;
    CHECK(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0 && pipe2(extra, O_CLOEXEC) == 0);
    options.stdio[0].fd = in[0];
    options.stdio[1].fd = out[1];
    third = extra[1];
    options.extra_fds = &third;
    options.extra_fd_count = 1;
    container = run("cat; echo extra >&3", 0, &options);
    close(in[0]);
    close(out[1]);
    close(extra[1]);
    CHECK(write(in[1], "through\n", 8) == 8);
    close(in[1]);
    CHECK(strcmp(read_all(out[0]), "through\n") == 0);
    CHECK(strcmp(read_all(extra[0]), "extra\n") == 0);
    has_ended(container, 0);
    remove_container(container);
}

static void terminal(void) {
    berth_process_options options = streams(0, 0, 0);
    berth_container *container = run("tty; read line; echo got $line; exit 6", 1, &options);
    berth_process *init = init_of(container);
    int master;
    OK(berth_process_terminal(init, &master, &error));
    check_cloexec(master);
    CHECK(expect(master, "/dev/pts/0"));
    CHECK(write(master, "word\n", 5) == 5);
    CHECK(expect(master, "got word"));
    close(master);
    berth_process_free(init);
    has_ended(container, 6);
    remove_container(container);
}

static void terminal_newlines(void) {
    for (int plain = 0; plain < 2; plain++) {
        berth_process_options options = streams(0, 0, 0);
        options.flags = plain ? BERTH_PROCESS_PLAIN_NEWLINES : 0;
        berth_container *container = run("echo one; echo two; read line", 1, &options);
        berth_process *init = init_of(container);
        int master;
        OK(berth_process_terminal(init, &master, &error));
        CHECK(expect(master, plain ? "one\ntwo\n" : "one\r\ntwo\r\n"));
        close(master);
        berth_process_free(init);
        remove_container(container);
    }
}

static void console_socket(void) {
    berth_process_options options = streams(0, 0, 0);
    berth_container *container;
    berth_process *init;
    struct sockaddr_un address;
    int listener = listen_for_consoles(&address), master, none;
    options.console_socket = address.sun_path;
    container = run("echo ready; sleep 1000", 1, &options);
    master = receive_descriptor(listener);
    CHECK(isatty(master) && expect(master, "ready"));
    init = init_of(container);
    OK(berth_process_terminal(init, &none, &error));
    CHECK(none == -1);
    berth_process_free(init);
    close(master);
    close(listener);
    CHECK(unlink(address.sun_path) == 0);
    remove_container(container);
}

static void console_resize(void) {
    berth_process_options options = streams(0, 0, 0);
    berth_container *container = run("echo ready; read line; stty size", 1, &options);
    berth_process *init = init_of(container);
    int master;
    OK(berth_process_terminal(init, &master, &error));
    CHECK(expect(master, "ready"));
    OK(berth_process_resize_terminal(init, 24, 80, &error));
    CHECK(write(master, "\n", 1) == 1);
    CHECK(expect(master, "24 80"));
    close(master);
    berth_process_free(init);
    remove_container(container);
}
