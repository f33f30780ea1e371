//! Measures reading a container's statistics, compared with the libcgroups crate in the same run.
//!
//!     cargo bench --bench stats
//!     tools/v2view cargo bench --bench stats      and tools/v1view
//!
//! As root. The container's processes are shells that count, so that the numbers change.

use std::hint::black_box;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use berth::cgroup;
use libcgroups::common::CgroupManager;

const ROUNDS: usize = 2000;

fn main() {
    // cargo test runs this, too, and must not wait for it.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let name = format!("/berth-bench-{}", std::process::id());
    let layout = cgroup::plan(Some(name.as_ref()), "unused").expect("a place for the cgroup");
    let group = cgroup::open(&layout).expect("a handle");
    group.create().expect("the cgroup (root is needed)");
    let mut children: Vec<Child> = (0..4).map(|_| spawn(group.as_ref())).collect();

    let mut meter = group.meter().expect("the files");
    report("berth: open files read again", ROUNDS, || {
        black_box(meter.read().expect("numbers"));
    });
    report("berth: opened, read, closed", ROUNDS, || {
        black_box(group.stats().expect("numbers"));
    });
    let theirs = libcgroups::common::create_cgroup_manager(libcgroups::common::CgroupConfig {
        cgroup_path: PathBuf::from(&name),
        systemd_cgroup: false,
        container_name: "bench".into(),
    });
    match theirs {
        Ok(manager) => match manager.stats() {
            Ok(_) => report("libcgroups: stats", ROUNDS / 4, || drop(black_box(manager.stats().map(drop)))),
            Err(error) => println!("{:<32} fails here: {error}", "libcgroups: stats"),
        },
        Err(error) => println!("{:<32} fails here: {error}", "libcgroups"),
    }

    let deadline = Instant::now() + Duration::from_secs(10);
    group.kill_all(deadline).expect("they die");
    children.iter_mut().for_each(|child| drop(child.wait()));
    group.remove(deadline).expect("the cgroup goes");
}

fn spawn(group: &dyn cgroup::Cgroup) -> Child {
    let child = Command::new("sh").args(["-c", "while sleep 0.01; do :; done"]).spawn().expect("sh");
    group.attach(child.id() as i32).expect("attached");
    child
}

fn report(what: &str, rounds: usize, mut body: impl FnMut()) {
    (0..rounds / 10).for_each(|_| body());
    let mut times: Vec<Duration> = (0..rounds)
        .map(|_| {
            let begin = Instant::now();
            body();
            begin.elapsed()
        })
        .collect();
    times.sort_unstable();
    let at = |part: usize| times[(times.len() - 1) * part / 100].as_nanos() as f64 / 1000.0;
    println!("{what:<32} median {:8.1} µs   p95 {:8.1} µs   fastest {:8.1} µs", at(50), at(95), at(0));
}
