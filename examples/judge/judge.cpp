/*
 * A judge of programs, as in a programming contest: runs each job of a folder in a container of its own, several at a
 * time, and prints a verdict with the CPU time and the peak memory that the job took.
 *
 *   judge ROOTFS STATE JOBS [THREADS]
 *
 * ROOTFS is a root filesystem with /bin/sh, STATE the directory for the state of the containers. Each folder in JOBS is a
 * job with four files: `script` (for sh), `input`, `expected` (what it must print), and `limits`:
 *
 *   cpu_ms 1000
 *   wall_ms 5000
 *   memory_mib 32
 */
#include <berth.hpp>

#include <poll.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

struct Limits {
    milliseconds cpu, wall;
    std::uint64_t memory;
};

static std::string contents(const fs::path &path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) throw std::runtime_error("cannot read " + path.string());
    return {std::istreambuf_iterator<char>(file), {}};
}

static Limits limits_of(const fs::path &job) {
    std::map<std::string, std::uint64_t> numbers;
    std::istringstream file(contents(job / "limits"));
    std::string name;
    for (std::uint64_t value; file >> name >> value;) numbers[name] = value;
    const auto number = [&](const char *wanted) {
        if (numbers.count(wanted) == 0) throw std::runtime_error(std::string("its limits lack ") + wanted);
        return numbers[wanted];
    };
    return {milliseconds(number("cpu_ms")), milliseconds(number("wall_ms")), number("memory_mib") << 20};
}

/** A text as a JSON string. The script is not trusted: unescaped, it could add members to the configuration. */
static std::string quoted(const std::string &text) {
    std::string result = "\"";
    for (const char c : text) {
        char escape[8];
        std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(c));
        if (static_cast<unsigned char>(c) < ' ' || c == '"' || c == '\\')
            result += escape;
        else
            result += c;
    }
    return result + '"';
}

/**
 * The configuration of a job: an unprivileged user, a read-only root, no network. `swap` is memory and swap together, so
 * that the job does not move to swap what exceeds its limit. RLIMIT_FSIZE bounds the output, which goes to a file.
 */
static berth::Config config_of(const std::string &script, const Limits &limits, const std::string &rootfs) {
    const auto memory = std::to_string(limits.memory);
    return berth::Config::from_json(R"({ "ociVersion": "1.2.0", "root": {"path": "/", "readonly": true},
        "process": { "user": {"uid": 65534, "gid": 65534}, "cwd": "/", "env": ["PATH=/bin"], "noNewPrivileges": true,
                     "rlimits": [ {"type": "RLIMIT_FSIZE", "soft": 1048576, "hard": 1048576} ],
                     "args": ["sh", "-c", )" + quoted(script) + R"(] },
        "mounts": [ {"destination": "/proc", "type": "proc", "source": "proc"},
                    {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"} ],
        "linux": { "resources": { "memory": {"limit": )" + memory + R"(, "swap": )" + memory + R"(}, "pids": {"limit": 64} },
                   "namespaces": [ {"type": "pid"}, {"type": "mount"}, {"type": "ipc"}, {"type": "uts"},
                                   {"type": "network"} ] } })", rootfs);
}

/** A file without a name, which disappears when it is closed. */
using File = std::unique_ptr<std::FILE, int (*)(std::FILE *)>;

static File temporary(const std::string &text = {}) {
    File file(std::tmpfile(), std::fclose);
    if (!file || std::fwrite(text.data(), 1, text.size(), file.get()) != text.size() || std::fflush(file.get()) != 0)
        throw std::runtime_error("cannot write a temporary file");
    std::rewind(file.get());
    return file;
}

/** Waits until the job has ended, or kills it when it has used up one of its times. Returns whether it was killed. */
static bool out_of_time(const berth::Container &job, const Limits &limits) {
    const auto end = Clock::now() + limits.wall;
    const berth::Fd pidfd = job.pidfd();
    pollfd ended{pidfd.get(), POLLIN, 0};
    // No descriptor tells that CPU time is used up; statistics are cheap enough to be read a hundred times a second.
    while (poll(&ended, 1, 10) == 0) {
        if (Clock::now() < end && job.stats().cpu_usage.value_or(milliseconds(0)) <= limits.cpu) continue;
        try {
            job.signal(SIGKILL, berth::Recipients::all);
        } catch (const berth::NotRunningError &) {
            // It has ended at this moment: too late all the same.
        }
        return true;
    }
    return false;
}

static std::string verdict(const berth::Container &job, const berth::Stats &used, const Limits &limits, bool killed,
                           const berth::ExitStatus &status, const std::string &output, const std::string &expected) {
    // The order matters: what exceeds a limit usually has the wrong output as well.
    if (killed || used.cpu_usage.value_or(milliseconds(0)) > limits.cpu) return "time limit";
    // oom_killed is about the first process; the statistics count its children, too.
    if (job.oom_killed() || used.oom_kills.value_or(0) > 0) return "memory limit";
    if (status.signal) return "runtime error (signal " + std::to_string(*status.signal) + ")";
    if (!status.success()) return "runtime error (exit status " + std::to_string(*status.code) + ")";
    return output == expected ? "accepted" : "wrong answer";
}

static std::string judge(const berth::Runtime &runtime, const std::string &rootfs, const fs::path &folder) {
    const Limits limits = limits_of(folder);
    const auto config = config_of(contents(folder / "script"), limits, rootfs);
    // The job's user becomes the owner of files that are its streams, so it gets a copy of the input.
    const File input = temporary(contents(folder / "input")), output = temporary();
    berth::ProcessOptions options;
    options.stdio = {berth::Stream::fd(fileno(input.get())), berth::Stream::fd(fileno(output.get())), berth::Stream::null()};
    // Nobody would enforce the limits of time if this program were killed: then its jobs end, too.
    options.parent_death_signal = SIGKILL;

    const auto job = runtime.run(folder.filename().string(), config, options);
    std::string line;
    try {
        const bool killed = out_of_time(job, limits);
        const auto status = job.wait();
        // All processes have ended with the first one, which is init of a pid namespace: the numbers are final. They
        // are gone when the container is deleted.
        const auto used = job.stats();
        const auto written = contents("/proc/self/fd/" + std::to_string(fileno(output.get())));
        line = verdict(job, used, limits, killed, status, written, contents(folder / "expected"));
        const auto cpu = std::chrono::duration_cast<milliseconds>(used.cpu_usage.value_or(milliseconds(0)));
        line += ", " + std::to_string(cpu.count()) + " ms, " + std::to_string(used.memory_peak.value_or(0) >> 10) + " KiB";
    } catch (...) {
        job.remove(berth::Force::kill);
        throw;
    }
    job.remove();
    return line;
}

int main(int argc, char **argv) try {
    if (argc < 4) {
        std::cerr << "usage: judge ROOTFS STATE JOBS [THREADS]" << std::endl;
        return 2;
    }
    berth::RuntimeOptions options;
    options.state_root = argv[2];
    const auto runtime = berth::Runtime::open(options);
    std::vector<fs::path> jobs{fs::directory_iterator(argv[3]), {}};
    std::sort(jobs.begin(), jobs.end());

    // Every thread takes the next job until there is none. All use one runtime: objects of libberth may be shared.
    std::vector<std::string> lines(jobs.size());
    std::atomic<std::size_t> next{0};
    const auto work = [&] {
        for (std::size_t i; (i = next++) < jobs.size();) {
            try {
                lines[i] = judge(runtime, argv[1], jobs[i]);
            } catch (const std::exception &error) {
                lines[i] = std::string("not judged: ") + error.what();
            }
        }
    };
    std::vector<std::thread> threads;
    for (int count = argc > 4 ? std::stoi(argv[4]) : 2; count > 0; --count) threads.emplace_back(work);
    for (auto &thread : threads) thread.join();

    for (std::size_t i = 0; i < jobs.size(); ++i) std::cout << jobs[i].filename().string() << ": " << lines[i] << std::endl;
} catch (const std::exception &error) {
    std::cerr << "judge: " << error.what() << std::endl;
    return 1;
}
