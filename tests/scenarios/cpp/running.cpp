// Scenarios of running containers: signals, pause, statistics, limits, exit status.
#include "driver.hpp"

using berth::Recipients, berth::Status;

static void pause_resume(Place &place) {
    const auto container = place.run("sleep 1000");
    container.pause();
    CHECK(container.status() == Status::paused);
    fails<berth::PausedError>("paused", [&] { container.exec(process_json("true")); });
    container.resume();
    CHECK(container.status() == Status::running);
    CHECK(container.exec(process_json("exit 3"), quiet()).wait(long_time).code == 3);
}

static void is_killed(const berth::ExitStatus &status) { CHECK(status.signal == SIGKILL && !status.code); }

static void kill_init(Place &place) {
    const auto container = place.run("sleep 1000");
    container.signal(SIGKILL);
    is_killed(container.wait(long_time));
    CHECK(container.status() == Status::stopped);
    container.remove();
}

static void kill_all(Place &place) {
    const auto container = place.run("sleep 1000");
    const auto process = container.exec(process_json("exec sleep 1000"), quiet());
    container.signal(SIGKILL, Recipients::all);
    is_killed(process.wait(long_time));
    is_killed(container.wait(long_time));
}

static void process_signal(Place &place) {
    const auto container = place.run("sleep 1000");
    const auto process = container.exec(process_json("exec sleep 1000"), quiet());
    process.signal(0);
    process.signal(SIGKILL);
    is_killed(process.wait(long_time));
    fails<berth::NotRunningError>("ended", [&] { process.signal(SIGKILL); });
    CHECK(container.status() == Status::running);
}

static void exit_code(Place &place) {
    for (const int code : {0, 7}) {
        const auto container = place.run("exit " + std::to_string(code));
        for (int times = 0; times < 2; times++) {
            const auto status = container.wait(long_time);
            CHECK(status.code == code && !status.signal && status.success() == (code == 0));
        }
    }
}

static void exit_signal(Place &place) {
    const auto container = place.run("sleep 1000");
    const auto status = container.exec(process_json("kill $$"), quiet()).wait(long_time);
    CHECK(status.signal == SIGTERM && !status.code && !status.success());
}

static void wait_elsewhere(Place &place) {
    const auto container = place.run("sleep 1000");
    const auto pidfd = container.pidfd();
    CHECK(is_cloexec(pidfd.get()) && !is_readable(pidfd.get(), 0ms));
    container.signal(SIGKILL);
    CHECK(is_readable(pidfd.get(), long_time));
    is_killed(container.wait(long_time));
}

static void pids(Place &place) {
    const auto container = place.run("exec sleep 1000");
    const auto process = container.exec(process_json("exec sleep 1000"), quiet());
    std::vector<std::int32_t> expected{container.init_process().pid(), process.pid()};
    std::sort(expected.begin(), expected.end());
    CHECK(container.pids() == expected);
}

const Scenarios running_scenarios{
    {"pause-resume", pause_resume}, {"kill", kill_init},          {"kill-all", kill_all},
    {"process-signal", process_signal}, {"exit-code", exit_code}, {"exit-signal", exit_signal},
    {"wait-elsewhere", wait_elsewhere}, {"pids", pids},
};
