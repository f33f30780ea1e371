// Scenarios of errors: bad input, and calls in the wrong state.
#include "driver.hpp"

#include <cerrno>

using berth::Code, berth::Config;

static std::string with(const std::string &from, const std::string &to) {
    auto json = config_json("true");
    const auto at = json.find(from);
    CHECK(at != std::string::npos);
    return json.replace(at, from.size(), to);
}

static void bad_config(Place &) {
    fails<berth::ConfigInvalidError>("hostname", [] { Config::from_json(with("\"hostname\": \"berth\"", "\"hostname\": 7"), rootfs()); });
    fails<berth::ConfigInvalidError>("linux.namespaces[2].type",
                                     [] { Config::from_json(with("\"type\": \"ipc\"", "\"type\": \"colour\""), rootfs()); });
    fails<berth::ConfigInvalidError>("JSON", [] { Config::from_json("{\"ociVersion\":", rootfs()); });
}

static void bad_resources(Place &place) {
    const auto container = place.run("sleep 1000");
    const auto before = container.config_json();
    fails<berth::ConfigInvalidError>("memory.limit", [&] { container.set(R"({"memory":{"limit":-5}})"); });
    CHECK(container.config_json() == before);
}

static void bad_process(Place &place) {
    const auto config = Config::from_json(with("\"/bin/sh\"", "\"/bin/nothing-here\""), rootfs());
    try {
        place.runtime.run(place.new_id(), config, quiet());
        fail(__FILE__, __LINE__, "it runs");
    } catch (const berth::SystemError &error) {
        CHECK(error.system_errno() == ENOENT && error.stage() == berth::Stage::init);
        CHECK(contains(error.what(), "/bin/nothing-here"));
    }
    CHECK(place.runtime.list_json() == "[]");
}

static void bad_id(Place &place) {
    const auto config = ::config("true");
    for (const auto &id : {std::string(), std::string("../up"), std::string(201, 'x')}) {
        fails<berth::IdInvalidError>("id", [&] { place.runtime.create(id, config, quiet()); });
        fails<berth::IdInvalidError>("id", [&] { place.runtime.load(id); });
    }
}

static void bad_argument(Place &place) {
    const auto container = place.run("sleep 1000");
    const std::string nul("a\0b", 3);
    fails<berth::InvalidArgumentError>("id has a NUL", [&] { place.runtime.load(nul); });
    fails<berth::InvalidArgumentError>("json has a NUL", [&] { Config::from_json(nul); });
    fails<berth::InvalidArgumentError>("999", [&] { container.signal(999); });
    auto moved = place.runtime.load(container.id());
    const auto target = std::move(moved);
    fails<berth::InvalidArgumentError>("container is NULL", [&] { moved.status(); });
    CHECK(target.status() == berth::Status::running);
}

static void id_in_use(Place &place) {
    const auto container = place.run("sleep 1000");
    fails<berth::IdInUseError>(container.id(), [&] { place.runtime.create(container.id(), config("true"), quiet()); });
    CHECK(container.status() == berth::Status::running);
}

static void not_found(Place &place) {
    fails<berth::NotFoundError>("not-there", [&] { place.runtime.load("not-there"); });
}

static void wrong_state(Place &place) {
    const auto container = place.run("sleep 1000");
    fails<berth::AlreadyRunningError>("running", [&] { container.start(); });
    fails<berth::NotPausedError>("running", [&] { container.resume(); });
    fails<berth::NotStoppedError>("running", [&] { container.remove(); });
    container.pause();
    fails<berth::PausedError>("paused", [&] { container.pause(); });
    container.resume();
    container.signal(SIGKILL);
    container.wait(long_time);
    fails<berth::NotRunningError>("stopped", [&] { container.signal(SIGKILL); });
}

static void error_facts(Place &) {
    try {
        Config::from_json(with("\"hostname\": \"berth\"", "\"hostname\": 7"), rootfs());
        fail(__FILE__, __LINE__, "no error");
    } catch (const berth::Error &error) {
        CHECK(error.code() == Code::config_invalid && error.system_errno() == 0 && error.stage() == berth::Stage::host);
        CHECK(!contains(error.what(), "\n") && contains(error.detail_json(), R"("json_path":"hostname")"));
    }
    try {
        Config::from_bundle("/nothing/here");
        fail(__FILE__, __LINE__, "no error");
    } catch (const berth::SystemError &error) {
        CHECK(error.system_errno() == ENOENT && contains(error.what(), "/nothing/here"));
    }
    for (auto code = BERTH_E_INTERNAL; code < 0; code = berth_e(code + 1)) {
        CHECK(std::string(to_string(Code(code))).size() > 5);
        CHECK(std::string(error_name(Code(code))).rfind("BERTH_E_", 0) == 0);
    }
    CHECK(std::string(to_string(berth::Status::paused)) == "paused");
}

static void timeout(Place &place) {
    const auto container = place.run("sleep 1000");
    fails<berth::TimeoutError>("in time", [&] { container.wait(0s); });
    const auto before = std::chrono::steady_clock::now();
    fails<berth::TimeoutError>("in time", [&] { container.wait(200ms); });
    CHECK(std::chrono::steady_clock::now() - before >= 199ms);
}

const Scenarios error_scenarios{
    {"bad-config", bad_config},   {"bad-resources", bad_resources}, {"bad-process", bad_process}, {"bad-id", bad_id},
    {"bad-argument", bad_argument}, {"id-in-use", id_in_use},       {"not-found", not_found},     {"wrong-state", wrong_state},
    {"error-facts", error_facts}, {"timeout", timeout},
};
