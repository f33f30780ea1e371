// Scenarios of checkpoint and restore.
#include "driver.hpp"

using berth::Stream;

/// Writes a line to the init's pipe and reads the answer; the pipes stay open.
static std::array<berth::Fd, 3> counts(const berth::Container &container, const std::string &expected) {
    auto stdio = container.init_process().take_stdio();
    write_all(stdio[0].get(), "line\n");
    CHECK(expect(stdio[1].get(), expected + "\n"));
    return stdio;
}

static void checkpoint_restore(Place &place) {
    const char *criu = std::getenv("BERTH_TEST_CRIU");
    if (!criu) throw Skip{"no CRIU"};
    berth::RuntimeOptions options;
    options.state_root = place.state_root();
    options.criu = criu;
    const auto runtime = berth::Runtime::open(options);
    CHECK(contains(runtime.criu_check(), R"("usable":true)"));

    const auto config = ::config("n=0; while read line; do n=$((n+1)); echo $n; done");
    const auto images = (place.folder / "images").string();
    berth::CheckpointOptions checkpoint;
    checkpoint.images = images;
    berth::RestoreOptions restore;
    restore.images = images;
    restore.process = streams(Stream::pipe(), Stream::pipe(), Stream::null());
    const auto container = runtime.run(place.new_id(), config, restore.process);
    {
        const auto kept = counts(container, "1");
        container.checkpoint(checkpoint);
    }
    CHECK(container.status() == berth::Status::stopped);
    container.remove();
    const auto restored = runtime.restore(container.id(), config, restore);
    CHECK(restored.status() == berth::Status::running);
    auto kept = counts(restored, "2");
    kept[0].reset();
    CHECK(restored.wait(long_time).success());
}

const Scenarios checkpoint_scenarios{{"checkpoint-restore", checkpoint_restore}};
