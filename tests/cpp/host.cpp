// A caller with 8 GB of memory in use and many threads runs 200 containers, 25 at once, and then 200 more: the second
// round leaves no descriptor, thread, zombie or memory behind.
#include "check.hpp"

#include <atomic>
#include <cstring>
#include <fstream>
#include <iostream>
#include <sstream>
#include <thread>

#include <dirent.h>
#include <malloc.h>

constexpr int containers_per_round = 200, at_once = 25;
constexpr std::size_t touched = std::size_t(8) << 30, spare = std::size_t(2) << 30;

static int entries(const char *path) {
    DIR *folder = opendir(path);
    CHECK(folder);
    int count = 0;
    while (const dirent *entry = readdir(folder)) count += entry->d_name[0] != '.';
    closedir(folder);
    return count;
}

/// Counts the zombie children of this process.
static int zombies() {
    DIR *folder = opendir("/proc");
    CHECK(folder);
    int count = 0;
    while (const dirent *entry = readdir(folder)) {
        std::ifstream file(std::string("/proc/") + entry->d_name + "/stat");
        std::string line;
        if (!std::getline(file, line)) continue;
        // State and parent follow the name, which may contain any character.
        std::istringstream facts(line.substr(line.rfind(')') + 1));
        char state = 0;
        int parent = 0;
        facts >> state >> parent;
        count += state == 'Z' && parent == getpid();
    }
    closedir(folder);
    return count;
}

static std::size_t available_memory() {
    std::ifstream file("/proc/meminfo");
    for (std::string name, rest; file >> name && std::getline(file, rest);) {
        if (name == "MemAvailable:") return std::stoull(rest) << 10;
    }
    return 0;
}

struct Belongings {
    int descriptors = entries("/proc/self/fd"), threads = entries("/proc/self/task"), zombies = ::zombies();
    std::size_t allocated = mallinfo2().uordblks + mallinfo2().hblkhd;
};

static std::ostream &operator<<(std::ostream &out, const Belongings &b) {
    return out << b.descriptors << " descriptors, " << b.threads << " threads, " << b.zombies << " zombies, "
               << (b.allocated >> 10) << " KiB allocated";
}

static void life_cycle(const berth::Runtime &runtime, const berth::Config &config, const std::string &id) {
    auto options = quiet();
    options.stdio[0] = options.stdio[1] = berth::Stream::pipe();
    const auto container = runtime.create(id, config, options);
    container.start();
    auto stdio = container.init_process().take_stdio();
    std::optional<berth::Events> events;
    try {
        events = container.notify_memory_pressure(berth::Pressure::critical);
    } catch (const berth::UnsupportedError &) {
        // Then without.
    }
    CHECK(container.exec(process_json("exit 3"), quiet()).wait(long_time).code == 3);
    CHECK(container.stats().cpu_usage > 0ns);
    CHECK(write(stdio[0].get(), "word\n", 5) == 5);
    stdio[0].reset();
    char text[32];
    CHECK(read(stdio[1].get(), text, sizeof text) == 9 && std::memcmp(text, "got word\n", 9) == 0);
    CHECK(container.wait(long_time).code == 7);
    while (events && !events->read(long_time).ended) {}
    container.remove();
}

static void a_round(const berth::Runtime &runtime, const berth::Config &config) {
    std::atomic<int> next{0};
    std::vector<std::thread> threads;
    for (int thread = 0; thread < at_once; thread++) {
        threads.emplace_back([&] {
            for (int number; (number = next++) < containers_per_round;) {
                try {
                    life_cycle(runtime, config, id_of("host-" + std::to_string(number)));
                } catch (const berth::Error &error) {
                    fail(__FILE__, __LINE__, error.what());
                }
            }
        });
    }
    for (auto &thread : threads) thread.join();
}

int main() {
    const auto rootfs = ::rootfs();
    if (available_memory() < touched + spare) {
        std::cerr << "skipped: " << (available_memory() >> 20) << " MiB of memory are available, fewer than "
                  << ((touched + spare) >> 20) << "\n";
        return 77;
    }
    const std::unique_ptr<char[]> memory(new char[touched]);
    for (std::size_t page = 0; page < touched; page += 4096) memory[page] = static_cast<char>(page >> 12);

    berth::RuntimeOptions options;
    options.state_root = state_root();
    const auto runtime = berth::Runtime::open(options);
    const auto config = berth::Config::from_json(config_json("read line; echo got $line; exit 7"), rootfs);
    a_round(runtime, config);
    const Belongings first;
    a_round(runtime, config);
    const Belongings second;
    std::cout << "after " << containers_per_round << " containers: " << first << "\n"
              << "after " << 2 * containers_per_round << " containers: " << second << "\n";
    CHECK(second.descriptors == first.descriptors);
    CHECK(second.threads == 1 && second.zombies == 0);
    // A few tables may grow once more.
    CHECK(second.allocated <= first.allocated + (64 << 10));
    CHECK(runtime.list_json() == "[]");
    for (std::size_t page = 0; page < touched; page += 4096) CHECK(memory[page] == static_cast<char>(page >> 12));
}
