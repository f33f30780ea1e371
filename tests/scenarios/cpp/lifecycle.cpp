// Scenarios of create, start, exec and bundles.
#include "driver.hpp"

#include <fstream>

using berth::Status, berth::Stream;

static void lifecycle(Place &place) {
    const auto container = place.runtime.create(place.new_id(), config("read line; exit 7"),
                                                streams(Stream::pipe(), Stream::null(), Stream::null()));
    CHECK(container.status() == Status::created);
    container.start();
    CHECK(container.status() == Status::running);
    container.init_process().take_stdio()[0].reset();
    CHECK(container.wait(long_time).code == 7);
    CHECK(container.status() == Status::stopped);
    container.remove();
    fails<berth::NotFoundError>(container.id(), [&] { container.status(); });
    fails<berth::NotFoundError>(container.id(), [&] { place.runtime.load(container.id()); });
}

static void run(Place &place) { CHECK(place.run("sleep 1000").status() == Status::running); }

static void exec(Place &place) {
    const auto container = place.run("exec sleep 1000");
    const auto process = container.exec(process_json("cat /proc/1/comm; read line; exit 9"),
                                        streams(Stream::pipe(), Stream::pipe(), Stream::null()));
    CHECK(process.pid() > 1 && process.pid() != getpid());
    const auto pidfd = process.pidfd();
    CHECK(!is_readable(pidfd.get(), 0ms));
    auto [in, out, err] = process.take_stdio();
    in.reset();
    CHECK(read_all(std::move(out)) == "sleep\n");
    CHECK(process.wait(long_time).code == 9);
    CHECK(is_readable(pidfd.get(), 0ms));
}

static void exec_in_created(Place &place) {
    const auto container = place.runtime.create(place.new_id(), config("exit 3"), quiet());
    CHECK(container.exec(process_json("exit 4"), quiet()).wait(long_time).code == 4);
    CHECK(container.status() == Status::created);
    container.start();
    CHECK(container.wait(long_time).code == 3);
}

static void bundle(Place &place) {
    const auto folder = place.folder / "bundle";
    std::filesystem::create_directory(folder);
    std::filesystem::create_symlink(rootfs(), folder / "rootfs");
    std::ofstream(folder / "config.json") << config_json("exit 5");
    const auto config = berth::Config::from_bundle(folder);
    config.validate();
    CHECK(place.runtime.run(place.new_id(), config, quiet()).wait(long_time).code == 5);
}

const Scenarios life_scenarios{
    {"lifecycle", lifecycle}, {"run", run}, {"exec", exec}, {"exec-in-created", exec_in_created}, {"bundle", bundle},
};
