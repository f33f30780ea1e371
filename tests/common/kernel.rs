//! What a kernel older than the newest lacks. A test that needs such a feature is skipped there, with a line that names the
//! feature; docs/kernel-features.md has the table of these lines (tools/kernel-features).

use std::io::Write;

/// A feature of the kernel: its name, and the first version of Linux that has it.
#[derive(Clone, Copy)]
pub struct Feature(pub &'static str, pub u32, pub u32);

pub const OVERLAY_IN_USER_NAMESPACES: Feature = Feature("overlay in user namespaces", 5, 11);
pub const MOUNT_SETATTR: Feature = Feature("mount_setattr", 5, 12);
pub const SECCOMP_WAIT_KILLABLE_RECV: Feature = Feature("seccomp's WAIT_KILLABLE_RECV", 5, 19);
pub const IDMAPPED_MOUNTS: Feature = Feature("id-mapped mounts", 5, 12);

/// Returns whether this kernel is older than the feature, and says so.
pub fn lacks(feature: Feature) -> bool {
    let Feature(name, major, minor) = feature;
    if version() >= (major, minor) {
        return false;
    }
    // Rust's test harness names each thread after its test; programs with a `main` of their own have none of its threads.
    let test = match std::thread::current().name() {
        None | Some("main") => program(),
        Some(test) => format!("{}::{test}", program()),
    };
    let line = format!("SKIPPED on this kernel: {name} (Linux {major}.{minor}): {test}\n");
    // Rust's test harness shows nothing of a test that passes.
    if let Some(file) = std::env::var_os("BERTH_TEST_SKIPPED") {
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(file).unwrap();
        file.write_all(line.as_bytes()).unwrap();
    }
    eprint!("{line}");
    true
}

/// The version of the running kernel, like (6, 12).
fn version() -> (u32, u32) {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(|byte: char| !byte.is_ascii_digit()).map(|number| number.parse().unwrap());
    (numbers.next().unwrap(), numbers.next().unwrap())
}

/// The name of the test program, without the hash that cargo adds.
fn program() -> String {
    let path = std::env::current_exe().unwrap();
    let name = path.file_name().unwrap().to_string_lossy();
    name.rsplit_once('-').map_or(name.as_ref(), |(name, _)| name).to_owned()
}
