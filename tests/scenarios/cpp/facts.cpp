// Scenarios of queries: containers, runtimes, configurations and the library.
#include "driver.hpp"

using berth::Interfaces, berth::Pressure, berth::Status;

static std::chrono::nanoseconds cpu_time(const berth::Container &container) {
    const auto stats = container.stats();
    CHECK(!stats.memory_limit && !stats.pids_limit && stats.cpu_usage);
    return *stats.cpu_usage;
}

static void stats(Place &place) {
    const auto container = place.run("while :; do :; done");
    const auto before = cpu_time(container);
    const auto end = std::chrono::steady_clock::now() + long_time;
    while (cpu_time(container) <= before) CHECK(std::chrono::steady_clock::now() < end);
}

static void stats_json(Place &place) {
    const auto json = place.run("sleep 1000").stats_json();
    for (const auto *part : {R"("cpu":{)", R"("memory":{)", R"("pids":{)", R"("network_interfaces":[{"Name":"lo")"})
        CHECK(contains(json, part));
}

static void set_limits(Place &place) {
    const auto container = place.run("sleep 1000");
    try {
        container.set(R"({"pids":{"limit":77}})");
    } catch (const berth::UnsupportedError &) {
        throw Skip{"no pids controller"};
    }
    CHECK(container.stats().pids_limit == 77U);
    CHECK(contains(container.config_json(), R"("limit":77)"));
}

static berth::Container hungry(Place &place) {
    const auto config = limited("exec tail /dev/zero", R"("memory": {"limit": 25165824, "swap": 25165824})");
    try {
        return place.runtime.create(place.new_id(), config, quiet());
    } catch (const berth::UnsupportedError &) {
        throw Skip{"no memory controller"};
    }
}

static void oom_event(Place &place) {
    const auto container = hungry(place);
    const auto events = container.notify_oom();
    const auto descriptor = events.descriptor();
    CHECK(is_cloexec(descriptor.get()));
    fails<berth::TimeoutError>("", [&] { events.read(0ms); });
    container.start();
    CHECK(is_readable(descriptor.get(), long_time));
    std::uint64_t count = 0;
    berth::Occurred occurred;
    while (!occurred.ended) {
        occurred = events.read(long_time);
        count += occurred.count;
    }
    CHECK(count > 0);
    CHECK(container.wait(long_time).signal == SIGKILL);
    CHECK(container.oom_killed());
}

static void pressure_event(Place &place) {
    const auto container = place.run("sleep 1000");
    std::vector<berth::Events> all;
    for (const auto level : {Pressure::low, Pressure::medium, Pressure::critical}) {
        try {
            all.push_back(container.notify_memory_pressure(level));
        } catch (const berth::UnsupportedError &) {
            throw Skip{"memory pressure is not measured"};
        }
        fails<berth::TimeoutError>("", [&] { all.back().read(0ms); });
    }
    container.signal(SIGKILL);
    for (const auto &events : all) {
        while (!events.read(long_time).ended) {}
    }
}

static void list(Place &place) {
    CHECK(place.runtime.list_json() == "[]");
    const auto config = ::config("sleep 1000");
    const auto first = place.new_id(), second = place.new_id();
    const auto created = place.runtime.create(second, config, quiet());
    const auto running = place.runtime.run(first, config, quiet());
    const std::string json = place.runtime.list_json();
    CHECK(contains(json, first) && contains(json, second) && json.find(first) < json.find(second));
    running.remove(berth::Force::kill);
    created.remove(berth::Force::kill);
    CHECK(place.runtime.list_json() == "[]");
}

static void load_from_another_handle(Place &place) {
    const auto container = place.runtime.create(place.new_id(), config("sleep 1000"), quiet());
    berth::RuntimeOptions options;
    options.state_root = place.state_root();
    const auto other = berth::Runtime::open(options);
    const auto loaded = other.load(container.id());
    CHECK(loaded.status() == Status::created);
    loaded.start();
    CHECK(loaded.status() == Status::running && container.status() == Status::running);
}

static void force_delete(Place &place) {
    const auto config = ::config("sleep 1000");
    const auto container = place.runtime.run(place.new_id(), config, quiet());
    fails<berth::NotStoppedError>(container.id(), [&] { container.remove(); });
    container.remove(berth::Force::kill);
    CHECK(place.runtime.run(container.id(), config, quiet()).status() == Status::running);
}

static void recover(Place &place) {
    const auto container = place.run("sleep 1000");
    CHECK(place.runtime.recover() == "[]");
    CHECK(container.status() == Status::running);
}

static void interfaces(Place &place) {
    CHECK(contains(place.run("sleep 1000").interfaces_json(Interfaces::inside), R"("interfaces":[{"name":"lo")"));
}

static void networks(Place &place) {
    const auto connected = config("sleep 1000").with_networks(R"({"networks":[{"type":"veth","name":"net0"}]})");
    const auto container = place.runtime.run(place.new_id(), connected, quiet());
    CHECK(contains(container.interfaces_json(), R"("networks":[{"name":"net0","hostInterfaceName":"berth)"));
    CHECK(contains(container.interfaces_json(Interfaces::inside), R"({"name":"net0","up":true)"));
}

static void state_json(Place &place) {
    auto json = config_json("sleep 1000");
    json.insert(json.find('{') + 1, R"("annotations":{"org.example":"mine"},)");
    const auto container = place.runtime.run(place.new_id(), berth::Config::from_json(json, rootfs()), quiet());
    const auto state = container.state_json();
    const auto pid = std::to_string(container.init_process().pid());
    CHECK(contains(state, R"("id":")" + container.id() + R"(","status":"running","pid":)" + pid + ","));
    CHECK(contains(state, R"("annotations":{"org.example":"mine"})"));
}

static void config_is_kept(Place &place) {
    CHECK(contains(berth::Config::default_json(), "\"ociVersion\""));
    const auto json = config_json("sleep 1000");
    const auto config = berth::Config::from_json(json, rootfs());
    CHECK(config.to_json() == json);
    CHECK(place.runtime.run(place.new_id(), config, quiet()).config_json() == json);
}

static void explain(Place &place) {
    const auto json = config("true").explain_json();
    CHECK(contains(json, R"("steps":[)") && contains(json, R"("/proc")"));
    CHECK(place.runtime.list_json() == "[]");
}

static void hook_fails(Place &place) {
    berth::RuntimeOptions options;
    options.state_root = place.state_root();
    options.hook_env = {"WHO=the caller", "PATH=/bin"};
    const auto other = berth::Runtime::open(options);
    auto json = config_json("sleep 1000");
    json.insert(json.find('{') + 1, R"("hooks":{"poststart":[{"path":")" + rootfs() +
                                        R"(/bin/busybox","args":["sh","-c","echo it is $WHO; exit 3"]}]},)");
    const auto container = other.create(place.new_id(), berth::Config::from_json(json, rootfs()), quiet());
    fails<berth::HookError>("it is the caller", [&] { container.start(); });
    fails<berth::NotFoundError>(container.id(), [&] { container.remove(berth::Force::kill); });
    fails<berth::NotFoundError>(container.id(), [&] { other.load(container.id()); });
}

static void explain_runtime(Place &place) {
    berth::ProcessOptions options;
    options.find_program = true;
    CHECK(contains(place.runtime.explain_json(config("true"), options), R"("FindProgram")"));
    CHECK(!contains(place.runtime.explain_json(config("true")), R"("FindProgram")"));
    CHECK(place.runtime.list_json() == "[]");
}

static void library(Place &) {
    CHECK(contains(berth::version(), "."));
    CHECK(berth::abi_version() >= berth::header_abi_version);
    CHECK(contains(berth::features_json(), R"("ociVersionMax":"1.3.0")"));
    CHECK(berth::has_feature("create") && berth::has_feature("exec") && !berth::has_feature("no such thing"));
}

/// A failing poststop hook is only logged.
static void warn(Place &place) {
    auto json = config_json("true");
    json.insert(json.find('{') + 1, R"("hooks":{"poststop":[{"path":")" + rootfs() +
                                        R"(/bin/busybox","args":["sh","-c","echo sorry; exit 3"]}]},)");
    place.runtime.run(place.new_id(), berth::Config::from_json(json, rootfs()), quiet()).remove(berth::Force::kill);
}

static void log(Place &place) {
    int warnings = 0;
    berth::log_to([&](berth::LogLevel level, std::string_view target, std::string_view message) {
        warnings += level == berth::LogLevel::warn && target.substr(0, 7) == "berth::" && contains(std::string(message), "sorry");
    });
    warn(place);
    CHECK(warnings == 1);
    berth::log_level(berth::LogLevel::error);
    warn(place);
    CHECK(warnings == 1);
    berth::log_level(berth::LogLevel::debug);
    auto [in, out] = new_pipe();
    berth::log_to_fd(out.get());
    out.reset();
    warn(place);
    berth::log_to(nullptr);
    warn(place);
    CHECK(warnings == 1);
    const auto text = read_all(std::move(in));
    CHECK(text[0] == '{' && contains(text, R"("level":"warn")") && contains(text, "sorry"));
    CHECK(text.find("sorry") == text.rfind("sorry"));
}

const Scenarios fact_scenarios{
    {"stats", stats},
    {"stats-json", stats_json},
    {"set-limits", set_limits},
    {"oom-event", oom_event},
    {"pressure-event", pressure_event},
    {"list", list},
    {"load-from-another-handle", load_from_another_handle},
    {"force-delete", force_delete},
    {"recover", recover},
    {"hook-fails", hook_fails},
    {"interfaces", interfaces},
    {"networks", networks},
    {"state-json", state_json},
    {"config-json", config_is_kept},
    {"explain", explain},
    {"explain-runtime", explain_runtime},
    {"library", library},
    {"log", log},
};
