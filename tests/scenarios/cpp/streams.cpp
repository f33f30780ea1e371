// Scenarios of standard streams and terminals.
#include "driver.hpp"

#include <sys/socket.h>
#include <sys/un.h>

using berth::Stream;

static void stdio_pipes(Place &place) {
    const auto container = place.run("read line; echo got $line; echo failed >&2",
                                     streams(Stream::pipe(), Stream::pipe(), Stream::pipe()));
    const auto init = container.init_process();
    auto [in, out, err] = init.take_stdio();
    CHECK(is_cloexec(in.get()) && is_cloexec(out.get()) && is_cloexec(err.get()));
    for (const auto &again : init.take_stdio()) CHECK(!again);
    write_all(in.get(), "word\n");
    CHECK(read_all(std::move(out)) == "got word\n");
    CHECK(read_all(std::move(err)) == "failed\n");
    CHECK(container.wait(long_time).success());
}

static void stdio_null(Place &place) {
    const auto container = place.run("echo lost; echo lost >&2; read line || exit 4");
    for (const auto &end : container.init_process().take_stdio()) CHECK(!end);
    CHECK(container.wait(long_time).code == 4);
}

static void stdio_descriptors(Place &place) {
    auto [in, our_in] = new_pipe();
    auto [our_out, out] = new_pipe();
    auto [our_extra, extra] = new_pipe();
    auto options = streams(Stream::fd(in.get()), Stream::fd(out.get()), Stream::null());
    options.extra_fds = {extra.get()};
    const auto container = place.run("cat; echo extra >&3", options);
    in.reset();
    out.reset();
    extra.reset();
    write_all(our_in.get(), "through\n");
    our_in.reset();
    CHECK(read_all(std::move(our_out)) == "through\n");
    CHECK(read_all(std::move(our_extra)) == "extra\n");
    CHECK(container.wait(long_time).success());
}

static void terminal(Place &place) {
    const auto container = place.runtime.run(place.new_id(), config("tty; read line; echo got $line; exit 6", true));
    const auto master = container.init_process().terminal();
    CHECK(is_cloexec(master.get()));
    CHECK(expect(master.get(), "/dev/pts/0"));
    write_all(master.get(), "word\n");
    CHECK(expect(master.get(), "got word"));
    CHECK(container.wait(long_time).code == 6);
}

static void terminal_newlines(Place &place) {
    for (const bool plain : {false, true}) {
        berth::ProcessOptions options;
        options.plain_newlines = plain;
        const auto container =
            place.runtime.run(place.new_id(), config("echo one; echo two; read line", true), options);
        const auto master = container.init_process().terminal();
        CHECK(expect(master.get(), plain ? "one\ntwo\n" : "one\r\ntwo\r\n"));
    }
}

static berth::Fd receive_descriptor(int listener) {
    const berth::Fd connection(accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    char name[64];
    iovec part{name, sizeof name};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    CHECK(connection && recvmsg(connection.get(), &message, MSG_CMSG_CLOEXEC) > 0);
    CHECK(CMSG_FIRSTHDR(&message) && CMSG_FIRSTHDR(&message)->cmsg_type == SCM_RIGHTS);
    int fd;
    std::copy_n(CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd, reinterpret_cast<unsigned char *>(&fd));
    return berth::Fd(fd);
}

static void console_socket(Place &place) {
    berth::ProcessOptions options;
    options.console_socket = place.folder / "console";
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    CHECK(options.console_socket.size() < sizeof address.sun_path);
    options.console_socket.copy(address.sun_path, sizeof address.sun_path);
    const berth::Fd listener(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    CHECK(bind(listener.get(), reinterpret_cast<sockaddr *>(&address), sizeof address) == 0);
    CHECK(listen(listener.get(), 1) == 0);
    const auto container = place.runtime.run(place.new_id(), config("echo ready; sleep 1000", true), options);
    const auto master = receive_descriptor(listener.get());
    CHECK(isatty(master.get()) && expect(master.get(), "ready"));
    CHECK(!container.init_process().terminal());
}

static void console_resize(Place &place) {
    const auto container = place.runtime.run(place.new_id(), config("echo ready; read line; stty size", true));
    const auto init = container.init_process();
    const auto master = init.terminal();
    CHECK(expect(master.get(), "ready"));
    init.resize_terminal(24, 80);
    write_all(master.get(), "\n");
    CHECK(expect(master.get(), "24 80"));
}

const Scenarios stream_scenarios{
    {"stdio-pipes", stdio_pipes}, {"stdio-null", stdio_null},         {"stdio-descriptors", stdio_descriptors},
    {"terminal", terminal},       {"terminal-newlines", terminal_newlines},
    {"console-socket", console_socket}, {"console-resize", console_resize},
};
