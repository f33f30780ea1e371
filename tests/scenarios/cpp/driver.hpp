// Helpers shared by the scenarios: a runtime with a state root of its own, containers that run a script, and checks.
#ifndef DRIVER_HPP
#define DRIVER_HPP

#include <berth.hpp>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

using namespace std::chrono_literals;

/// A timeout for calls that take milliseconds on an idle machine.
constexpr auto long_time = 120s;

/// Thrown to skip a scenario; names what the machine lacks.
struct Skip {
    std::string why;
};

[[noreturn]] void fail(const char *file, int line, const std::string &what);
#define CHECK(condition) ((condition) ? (void)0 : fail(__FILE__, __LINE__, #condition))

bool contains(const std::string &text, const std::string &part);

/// Checks that the call throws this class with this message part.
template <class Expected, class Call>
void fails(const std::string &part, Call call, const char *file = __builtin_FILE(), int line = __builtin_LINE()) {
    try {
        call();
    } catch (const Expected &error) {
        const std::string message = error.what();
        if (!contains(message, part) || contains(message, "\n")) fail(file, line, "the message is: " + message);
        return;
    } catch (const berth::Error &error) {
        fail(file, line, "another error: " + std::string(to_string(error.code())) + ": " + error.what());
    }
    fail(file, line, "no error");
}

/// The state root and runtime of one scenario. Removes leftover containers when destroyed.
class Place {
public:
    explicit Place(const std::string &name);
    ~Place();

    berth::Runtime runtime;
    std::string new_id();
    std::string id(int number) const;
    berth::Container run(const std::string &script, const berth::ProcessOptions &options);
    berth::Container run(const std::string &script);
    std::filesystem::path folder;
    std::string state_root() const { return (folder / "state").string(); }

private:
    std::string name_;
    int next_ = 0;
};

std::string rootfs();
/// Returns the default configuration with a shell script, which may not contain quotation marks or backslashes.
std::string config_json(const std::string &script, bool terminal = false);
berth::Config config(const std::string &script, bool terminal = false);
/// Returns such a configuration with additional members of linux.resources.
berth::Config limited(const std::string &script, const std::string &resources);
std::string process_json(const std::string &script);

berth::ProcessOptions streams(berth::Stream in, berth::Stream out, berth::Stream err);
berth::ProcessOptions quiet();
/// Reads to end of file.
std::string read_all(berth::Fd fd);
/// Reads until the text appears.
bool expect(int fd, const std::string &text);
void write_all(int fd, const std::string &text);
std::pair<berth::Fd, berth::Fd> new_pipe();
bool is_readable(int fd, std::chrono::milliseconds time);
bool is_cloexec(int fd);

using Scenarios = std::vector<std::pair<const char *, void (*)(Place &)>>;
extern const Scenarios life_scenarios, stream_scenarios, running_scenarios, fact_scenarios, checkpoint_scenarios, error_scenarios;

#endif
