// Results instead of exceptions, compiled with -fno-exceptions. Linked as a program of its own, and into that of
// exceptions.cpp.
#define BERTH_NO_EXCEPTIONS
#include "check.hpp"

berth::Code code_without_exceptions(const std::string &state_root) {
    berth::RuntimeOptions options;
    options.state_root = state_root;
    const auto runtime = berth::Runtime::open(options);
    CHECK(runtime);
    return runtime.value().load("not-there").error().code();
}

#ifdef RESULTS_MAIN
static void life_cycle(const berth::Runtime &runtime) {
    const auto config = berth::Config::from_json(config_json("read line; exit 7"), rootfs());
    CHECK(config);
    auto options = quiet();
    options.stdio[0] = berth::Stream::pipe();
    const auto created = runtime.create(new_id(), config.value(), options);
    CHECK(created.has_value());
    const auto &container = created.value();
    CHECK(container.status().value() == berth::Status::created);
    CHECK(container.start());
    CHECK(!container.start() && container.start().error().code() == berth::Code::already_running);
    auto stdio = container.init_process()->take_stdio();
    CHECK(stdio && stdio.value()[0] && !stdio.value()[1]);
    CHECK(container.wait(0s).error().code() == berth::Code::timeout);
    CHECK(container.exec(process_json("exit 3"), quiet())->wait(long_time)->code == 3);
    CHECK(container.stats()->cpu_usage > 0ns);
    (*stdio)[0].reset();
    CHECK(container.wait(long_time).value().code == 7);
    CHECK(container.remove());
    CHECK(runtime.list_json().value() == "[]");
}

static void errors_are_values(const berth::Runtime &runtime) {
    const auto none = runtime.load(std::string("a\0b", 3));
    CHECK(!none && none.error().code() == berth::Code::invalid_argument && contains(none.error().what(), "id has a NUL"));
    const auto wrong = berth::Config::from_json("{", rootfs());
    CHECK(!wrong && wrong.error().code() == berth::Code::config_invalid);
    const berth::Error copy = berth::Config::from_bundle("/nothing/here").error();
    CHECK(copy.code() == berth::Code::system && copy.system_errno() == ENOENT && copy.stage() == berth::Stage::host);
    CHECK(berth::log_to_fd(987).error().code() == berth::Code::invalid_argument);
    int lines = 0;
    CHECK(berth::log_to([&](berth::LogLevel, std::string_view, std::string_view) { lines++; }));
    CHECK(berth::log_to(nullptr));
}

int main() {
    berth::RuntimeOptions options;
    options.state_root = state_root();
    const auto runtime = berth::Runtime::open(options);
    CHECK(runtime);
    life_cycle(runtime.value());
    errors_are_values(runtime.value());
    CHECK(code_without_exceptions(options.state_root) == berth::Code::not_found);
}
#endif
