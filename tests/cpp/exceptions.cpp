// Tests of what is specific to C++: ownership, exceptions, durations, options, the log. ../scenarios/cpp has the rest.
#include "check.hpp"

#include <thread>

static_assert(!std::is_copy_constructible_v<berth::Container> && std::is_nothrow_move_constructible_v<berth::Container>);
static_assert(!std::is_copy_assignable_v<berth::Fd> && std::is_nothrow_move_assignable_v<berth::Fd>);
static_assert(berth::for_ever.milliseconds() == -1);
static_assert(berth::WaitTime(1ns).milliseconds() == 1 && berth::WaitTime(3s).milliseconds() == 3000);
static_assert(berth::WaitTime(0s).milliseconds() == 0 && berth::WaitTime(-5h).milliseconds() == 0);
static_assert(berth::WaitTime(std::chrono::duration<double>(0.0015)).milliseconds() == 2);
static_assert(berth::WaitTime(std::chrono::hours::max()).milliseconds() == std::numeric_limits<std::int64_t>::max());

/// Defined in results.cpp.
berth::Code code_without_exceptions(const std::string &state_root);

static berth::Runtime open_runtime() {
    berth::RuntimeOptions options;
    options.state_root = state_root();
    return berth::Runtime::open(options);
}

static berth::Container run(const berth::Runtime &runtime, const std::string &script) {
    return runtime.run(new_id(), berth::Config::from_json(config_json(script), rootfs()), quiet());
}

template <class Expected, class Call>
static void fails(const std::string &part, Call call, int line = __builtin_LINE()) {
    try {
        call();
    } catch (const Expected &error) {
        if (contains(error.what(), part)) return;
        fail(__FILE__, line, error.what());
    } catch (const std::exception &error) {
        fail(__FILE__, line, std::string("another class: ") + error.what());
    }
    fail(__FILE__, line, "no error");
}

static void handles_are_moved_and_never_touch_what_they_name(const berth::Runtime &runtime) {
    auto container = run(runtime, "sleep 1000");
    const auto id = container.id();
    {
        auto second = runtime.load(id);
        auto third = std::move(second);
        CHECK(third.id() == id && second.id().empty() && !second.get());
        fails<berth::InvalidArgumentError>("container is NULL", [&] { second.start(); });
        second = std::move(third);
        CHECK(second.status() == berth::Status::running);
    }
    CHECK(container.status() == berth::Status::running);
    container.remove(berth::Force::kill);
    try {
        container.status();
        CHECK(false);
    } catch (const berth::Error &error) {
        CHECK(error.code() == berth::Code::not_found && dynamic_cast<const berth::NotFoundError *>(&error));
    }
}

static void options_arrive(const berth::Runtime &runtime) {
    const auto container = run(runtime, "sleep 1000");
    auto options = quiet();
    options.cgroups = {"", "../up"};
    fails<berth::Error>("../up", [&] { container.exec(process_json("true"), options); });
    options.cgroups = {std::string("a\0b", 3)};
    fails<berth::InvalidArgumentError>("cgroups has a NUL", [&] { container.exec(process_json("true"), options); });
    options.cgroups.clear();
    options.console_socket = std::string("a\0b", 3);
    fails<berth::InvalidArgumentError>("console_socket has a NUL", [&] { container.exec(process_json("true"), options); });
    options.console_socket.clear();
    options.parent_death_signal = 65;
    fails<berth::InvalidArgumentError>("65", [&] { container.exec(process_json("true"), options); });
    options.parent_death_signal = 0;
    options.extra_fds = {987};
    fails<berth::InvalidArgumentError>("987", [&] { container.exec(process_json("true"), options); });
    options.extra_fds.clear();

    auto json = config_json("true");
    json.replace(json.find("/bin/sh"), 7, "/bin/nothing-here");
    const auto missing = berth::Config::from_json(json, rootfs());
    runtime.create(new_id(), missing, options).remove(berth::Force::kill);
    options.find_program = true;
    fails<berth::SystemError>("/bin/nothing-here", [&] { runtime.create(new_id(), missing, options); });
    options.find_program = false;

    container.pause();
    fails<berth::PausedError>("paused", [&] { container.exec(process_json("true"), options); });
    options.wait_while_paused = true;
    std::thread waiting([&] { CHECK(container.exec(process_json("exit 3"), options).wait(long_time).code == 3); });
    // The process is frozen as soon as it exists.
    while (container.pids().size() < 2) std::this_thread::yield();
    container.resume();
    waiting.join();
    container.remove(berth::Force::kill);

    berth::RuntimeOptions wrong;
    wrong.state_root = state_root();
    wrong.lock_timeout = -1ms;
    fails<berth::InvalidArgumentError>("lock_timeout_ms is -1", [&] { berth::Runtime::open(wrong); });
    wrong.lock_timeout = 0ms;
    wrong.state_root = "relative";
    fails<berth::InvalidArgumentError>("relative", [&] { berth::Runtime::open(wrong); });
}

static void options_of_checkpoints_arrive(const berth::Runtime &runtime) {
    const auto config = berth::Config::from_json(config_json("sleep 1000"), rootfs());
    const auto container = run(runtime, "sleep 1000");
    const std::string nul("a\0b", 3);
    const auto refused = [&](const std::string &why, auto change) {
        berth::CheckpointOptions options;
        options.images = "/nothing/images";
        change(options);
        fails<berth::InvalidArgumentError>(why, [&] { container.checkpoint(options); });
    };
    refused("images has a NUL", [&](auto &options) { options.images = nul; });
    refused("images is NULL", [](auto &options) { options.images.clear(); });
    refused("page_server_address", [](auto &options) { options.page_server_port = 1; });
    refused("not an IP address", [](auto &options) { options.page_server_address = "host", options.page_server_port = 1; });
    refused("cgroup_mode is 99", [](auto &options) { options.cgroup_mode = berth::CgroupMode(99); });
    refused("network_lock is 99", [](auto &options) { options.network_lock = berth::NetworkLock(99); });
    refused("timeout_ms is -1", [](auto &options) { options.timeout = -1ms; });

    const auto no_restore = [&](const std::string &why, auto change) {
        berth::RestoreOptions options;
        options.images = "/nothing/images";
        change(options);
        fails<berth::InvalidArgumentError>(why, [&] { runtime.restore(new_id(), config, options); });
    };
    no_restore("veth_pairs has a NUL", [&](auto &options) { options.veth_pairs = {{nul, "b"}}; });
    no_restore("cgroup_roots has a NUL", [&](auto &options) { options.cgroup_roots = {{"", nul}}; });
    no_restore("cgroups has a NUL", [&](auto &options) { options.process.cgroups = {nul}; });
    no_restore("cgroup_mode is 99", [](auto &options) { options.cgroup_mode = berth::CgroupMode(99); });
    container.remove(berth::Force::kill);

    berth::RuntimeOptions options;
    options.state_root = state_root();
    options.criu = "/nothing/criu";
    const auto without = berth::Runtime::open(options);
    fails<berth::UnsupportedError>("/nothing/criu", [&] { without.criu_check(); });
}

static void configurations_come_from_files_and_for_others() {
    fails<berth::SystemError>("other.json", [] { berth::Config::from_file("/", "/nothing/other.json"); });
    const std::string rootless = berth::Config::default_rootless_json(1234, 5678);
    CHECK(contains(rootless, "1234") && contains(rootless, "5678"));
}

static void the_log_function_may_throw_and_may_not_set_itself(const berth::Runtime &runtime) {
    int busy = 0;
    auto json = config_json("true");
    json.insert(1, R"("hooks":{"poststop":[{"path":")" + rootfs() + R"(/bin/busybox","args":["sh","-c","exit 3"]}]},)");
    const auto config = berth::Config::from_json(json, rootfs());
    auto held = std::make_shared<int>(0);
    berth::log_to([&busy, held](berth::LogLevel, std::string_view, std::string_view) {
        try {
            berth::log_to(nullptr);
        } catch (const berth::BusyError &) {
            busy++;
        }
        throw std::runtime_error("in the log");
    });
    runtime.run(new_id(), config, quiet()).remove(berth::Force::kill);
    CHECK(busy > 0 && held.use_count() == 2);
    const int before = busy;
    berth::log_level(berth::LogLevel::error);
    runtime.run(new_id(), config, quiet()).remove(berth::Force::kill);
    CHECK(busy == before);
    berth::log_level(berth::LogLevel::debug);
    berth::log_to(nullptr);
    CHECK(held.use_count() == 1);
}

int main() {
    const auto runtime = open_runtime();
    handles_are_moved_and_never_touch_what_they_name(runtime);
    options_arrive(runtime);
    options_of_checkpoints_arrive(runtime);
    configurations_come_from_files_and_for_others();
    the_log_function_may_throw_and_may_not_set_itself(runtime);
    CHECK(code_without_exceptions(state_root()) == berth::Code::not_found);
}
