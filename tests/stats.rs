//! Statistics as numbers and as JSON.

mod common;

use berth::{Code, Force};
use common::{TestRuntime, eventually, quiet, shell};
use serde_json::Value;

/// Counts the allocations of the current thread.
struct Counting;

thread_local! {
    static ALLOCATIONS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

// SAFETY: all calls are forwarded to the system's allocator.
unsafe impl std::alloc::GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: std::alloc::Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promises.
        unsafe { std::alloc::System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: std::alloc::Layout) {
        // SAFETY: the caller's promises.
        unsafe { std::alloc::System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const BUSY: &str = "i=0; while :; do i=$((i+1)); done";

fn json(container: &berth::Container) -> Value {
    serde_json::from_str(&container.stats_json().unwrap()).unwrap()
}

#[test]
fn numbers_grow_and_agree_with_the_json() {
    let test = TestRuntime::new();
    let container = test.run(&shell(BUSY), &quiet()).unwrap();
    let first = container.stats().unwrap();
    eventually("more time used", || {
        container.stats().unwrap().cpu_usage_ns > first.cpu_usage_ns.map(|ns| ns + 1_000_000)
    });
    let (before, report, after) = (container.stats().unwrap(), json(&container), container.stats().unwrap());
    let total = report["cpu"]["usage"]["total"].as_u64();
    assert!(before.cpu_usage_ns <= total && total <= after.cpu_usage_ns, "{before:?} {report}");
    assert_eq!(report["pids"]["current"].as_u64(), after.pids_current);
    if let Some(usage) = after.memory_usage {
        assert!(report["memory"]["usage"]["usage"].as_u64() > Some(0) && usage > 0);
        assert!(report["memory"]["raw"].as_object().unwrap().len() > 20);
        assert!(after.memory_anon.is_some() && after.memory_file.is_some(), "{after:?}");
        // The kernel updates these counters every two seconds.
        eventually("faults are counted", || container.stats().unwrap().page_faults > Some(0));
    }
    if let Some(percpu) = report["cpu"]["usage"].get("percpu") {
        let sum: u64 = percpu.as_array().unwrap().iter().filter_map(Value::as_u64).sum();
        assert!(sum > 0 && Some(sum) <= after.cpu_usage_ns, "{report}");
    }
    // A loopback interface without traffic.
    assert_eq!(report["network_interfaces"][0]["Name"], "lo", "{report}");
    assert_eq!(report["network_interfaces"][0]["RxBytes"], 0);
}

#[test]
fn interfaces_of_the_host_are_not_the_containers() {
    let test = TestRuntime::new();
    let mut config = shell("sleep 1000");
    common::without_namespace(&mut config, "network");
    let container = test.run(&config, &quiet()).unwrap();
    assert_eq!(json(&container)["network_interfaces"], serde_json::json!([]));
}

#[test]
fn a_handle_that_has_measured_learns_of_the_end() {
    let test = TestRuntime::new();
    let container = test.run(&shell("exit 0"), &quiet()).unwrap();
    let other = test.runtime.load(container.id()).unwrap();
    container.wait(common::LONG).unwrap();
    // The counters of a stopped container stay until it is deleted.
    assert!(other.stats().unwrap().cpu_usage_ns > Some(0));
    assert_eq!(json(&other)["network_interfaces"], serde_json::json!([]));
    container.delete(Force::No).unwrap();
    assert_eq!(other.stats().unwrap_err().code, Code::NotFound);
    assert_eq!(other.stats_json().unwrap_err().code, Code::NotFound);
}

#[test]
fn descriptors_are_kept_for_the_next_question_and_closed_with_the_handle() {
    let test = TestRuntime::new();
    let container = test.run(&shell("sleep 1000"), &quiet()).unwrap();
    let cgroup_files = || {
        let links = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
        let mine = format!("berth-{}", container.id());
        links
            .filter_map(|link| std::fs::read_link(link.path()).ok())
            .filter(|path| path.display().to_string().contains(&mine) && path.starts_with("/sys/fs/cgroup"))
            .count()
    };
    assert_eq!(cgroup_files(), 0);
    let other = test.runtime.load(container.id()).unwrap();
    other.stats().unwrap();
    let open = cgroup_files();
    assert!((1..=25).contains(&open), "{open}");
    for _ in 0..10 {
        other.stats().unwrap();
    }
    assert_eq!(cgroup_files(), open);
    let before = ALLOCATIONS.get();
    for _ in 0..10 {
        other.stats().unwrap();
    }
    assert_eq!(ALLOCATIONS.get(), before, "nothing is allocated");
    drop(other);
    assert_eq!(cgroup_files(), 0);
}
