//! Statistics of many containers at once. A separate test program, because the limit of descriptors belongs to the
//! process.

mod common;

use common::{TestRuntime, quiet, shell};

#[test]
fn descriptors_of_the_host_are_not_used_up() {
    let test = TestRuntime::new();
    let container = test.run(&shell("sleep 1000"), &quiet()).unwrap();
    let quarter = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE).unwrap().0 / 4;
    // Enough handles to use up the library's share (a quarter) of the descriptors, but not more than a test should
    // have.
    let handles: Vec<_> = (0..(quarter / 5).min(400)).map(|_| test.runtime.load(container.id()).unwrap()).collect();
    for handle in &handles {
        assert!(handle.stats().unwrap().cpu_usage_ns.is_some());
    }
    let mine = format!("berth-{}", container.id());
    let open = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    let open = open.filter_map(|link| std::fs::read_link(link.path()).ok());
    let open =
        open.filter(|path| path.display().to_string().contains(&mine) && path.starts_with("/sys/fs/cgroup")).count();
    assert!(open as u64 <= quarter && open > 0, "{open} of {quarter}");
}
