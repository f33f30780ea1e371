// Runs the scenarios of ../list in its order.
#include "driver.hpp"

#include <iostream>

void fail(const char *file, int line, const std::string &what) {
    throw std::runtime_error(std::string(file) + ":" + std::to_string(line) + ": " + what);
}

bool contains(const std::string &text, const std::string &part) { return text.find(part) != std::string::npos; }

static berth::Runtime runtime_in(const std::filesystem::path &folder) {
    std::filesystem::create_directories(folder);
    berth::RuntimeOptions options;
    options.state_root = folder / "state";
    return berth::Runtime::open(options);
}

static std::filesystem::path folder_of(const std::string &name) {
    const char *work = std::getenv("BERTH_DRIVER_WORK");
    return std::filesystem::path(work ? work : "/tmp") / ("berth-cpp-" + name);
}

Place::Place(const std::string &name) : runtime(runtime_in(folder_of(name))), folder(folder_of(name)), name_(name) {}

Place::~Place() {
    for (int number = 0; number < next_; number++) {
        try {
            runtime.load(id(number)).remove(berth::Force::kill);
        } catch (const berth::NotFoundError &) {
        } catch (const berth::Error &error) {
            std::cerr << name_ << ": " << error.what() << "\n";
        }
    }
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
}

std::string Place::new_id() { return id(next_++); }

std::string Place::id(int number) const {
    const char *run = std::getenv("BERTH_TEST_RUN");
    return "test-cpp-" + std::string(run ? run : "run") + "-" + name_ + "-" + std::to_string(getpid()) + "-" + std::to_string(number);
}

berth::Container Place::run(const std::string &script, const berth::ProcessOptions &options) {
    return runtime.run(new_id(), config(script), options);
}

berth::Container Place::run(const std::string &script) { return run(script, quiet()); }

std::string rootfs() {
    const char *path = std::getenv("BERTH_TEST_ROOTFS");
    if (!path) throw std::runtime_error("BERTH_TEST_ROOTFS is not set");
    return path;
}

static void replace(std::string &text, const std::string &part, const std::string &by) {
    const auto at = text.find(part);
    CHECK(at != std::string::npos);
    text.replace(at, part.size(), by);
}

std::string config_json(const std::string &script, bool terminal) {
    std::string json = berth::Config::default_json();
    replace(json, "\"sh\"", "\"/bin/sh\", \"-c\", \"" + script + "\"");
    if (!terminal) replace(json, "\"terminal\": true", "\"terminal\": false");
    return json;
}

berth::Config config(const std::string &script, bool terminal) {
    return berth::Config::from_json(config_json(script, terminal), rootfs());
}

berth::Config limited(const std::string &script, const std::string &resources) {
    std::string json = config_json(script);
    replace(json, "\"resources\": {", "\"resources\": {" + resources + ",");
    return berth::Config::from_json(json, rootfs());
}

std::string process_json(const std::string &script) {
    return R"({"user":{"uid":0,"gid":0},"args":["/bin/sh","-c",")" + script + R"("],"env":["PATH=/bin"],"cwd":"/"})";
}

berth::ProcessOptions streams(berth::Stream in, berth::Stream out, berth::Stream err) {
    berth::ProcessOptions options;
    options.stdio = {in, out, err};
    return options;
}

berth::ProcessOptions quiet() { return streams(berth::Stream::null(), berth::Stream::null(), berth::Stream::null()); }

std::string read_all(berth::Fd fd) {
    std::string text;
    char part[4096];
    for (ssize_t count; (count = read(fd.get(), part, sizeof part)) > 0;) text.append(part, static_cast<size_t>(count));
    return text;
}

bool expect(int fd, const std::string &text) {
    std::string seen;
    while (!contains(seen, text)) {
        char part[512];
        const ssize_t count = is_readable(fd, long_time) ? read(fd, part, sizeof part) : 0;
        if (count <= 0) {
            std::cerr << "seen: " << seen << "\n";
            return false;
        }
        seen.append(part, static_cast<size_t>(count));
    }
    return true;
}

void write_all(int fd, const std::string &text) { CHECK(write(fd, text.data(), text.size()) == ssize_t(text.size())); }

std::pair<berth::Fd, berth::Fd> new_pipe() {
    int fds[2];
    CHECK(pipe2(fds, O_CLOEXEC) == 0);
    return {berth::Fd(fds[0]), berth::Fd(fds[1])};
}

bool is_readable(int fd, std::chrono::milliseconds time) {
    pollfd ready{fd, POLLIN, 0};
    return poll(&ready, 1, static_cast<int>(time.count())) == 1;
}

bool is_cloexec(int fd) { return fd > 2 && (fcntl(fd, F_GETFD) & FD_CLOEXEC); }

int main() {
    bool failed = false;
    for (const auto *scenarios : {&life_scenarios, &stream_scenarios, &running_scenarios, &fact_scenarios, &checkpoint_scenarios,
                                  &error_scenarios}) {
        for (const auto &[name, scenario] : *scenarios) {
            try {
                Place place(name);
                scenario(place);
                std::cout << "ok " << name << std::endl;
            } catch (const Skip &skip) {
                std::cout << "skip " << name << ": " << skip.why << std::endl;
            } catch (const std::exception &error) {
                failed = true;
                std::cout << "not ok " << name << ": " << error.what() << std::endl;
            }
        }
    }
    return failed;
}
