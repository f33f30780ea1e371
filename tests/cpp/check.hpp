// Helpers shared by the C++ tests, with and without exceptions.
#ifndef CHECK_HPP
#define CHECK_HPP

#include <berth.hpp>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>

#include <unistd.h>

using namespace std::chrono_literals;

/// A timeout for calls that take milliseconds on an idle machine.
constexpr auto long_time = 120s;

[[noreturn]] inline void fail(const char *file, int line, const std::string &what) {
    std::fprintf(stderr, "%s:%d: %s\n", file, line, what.c_str());
    std::exit(1);
}
#define CHECK(condition) ((condition) ? (void)0 : fail(__FILE__, __LINE__, #condition))

inline bool contains(const std::string &text, const std::string &part) { return text.find(part) != std::string::npos; }

/// Exits with 77 ("skipped") if containers cannot be created here.
inline std::string rootfs() {
    const char *path = std::getenv("BERTH_TEST_ROOTFS");
    if (path && geteuid() == 0) return path;
    std::fprintf(stderr, "skipped: needs root, and BERTH_TEST_ROOTFS\n");
    std::exit(77);
}

/// Creates a directory for state roots, removed at exit if it is empty, as it should be.
inline std::string state_root() {
    static const char *parent = std::getenv("TMPDIR");
    static std::string path = std::string(parent ? parent : "/tmp") + "/berth-cpp-XXXXXX";
    static const bool made = mkdtemp(path.data()) && std::atexit([] { rmdir(path.c_str()); }) == 0;
    CHECK(made);
    return path;
}

/// Returns an id with the name of this run of the tests, by which tools/leftovers recognizes what it made.
inline std::string id_of(const std::string &what) {
    const char *run = std::getenv("BERTH_TEST_RUN");
    return "test-cpp-" + std::string(run ? run : "run") + "-" + std::to_string(getpid()) + "-" + what;
}

inline std::string new_id() {
    static int next = 0;
    return id_of(std::to_string(next++));
}

/// `script` may not contain quotation marks or backslashes.
inline std::string config_json(const std::string &script) {
    return R"({"ociVersion":"1.0.2","root":{"path":"/","readonly":true},"mounts":[{"destination":"/proc","type":"proc","source":"proc"}],)"
           R"("process":{"user":{"uid":0,"gid":0},"args":["/bin/sh","-c",")" + script +
           R"("],"env":["PATH=/bin"],"cwd":"/"},)"
           R"("linux":{"namespaces":[{"type":"pid"},{"type":"mount"},{"type":"ipc"},{"type":"uts"},{"type":"network"}]}})";
}

inline std::string process_json(const std::string &script) {
    return R"({"user":{"uid":0,"gid":0},"args":["/bin/sh","-c",")" + script + R"("],"env":["PATH=/bin"],"cwd":"/"})";
}

inline berth::ProcessOptions quiet() {
    berth::ProcessOptions options;
    options.stdio = {berth::Stream::null(), berth::Stream::null(), berth::Stream::null()};
    return options;
}

#endif
