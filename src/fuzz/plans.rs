//! Plans: what the planner writes, init reads.

use std::cell::RefCell;
use std::path::Path;

use berth_init::fields::Words;
use berth_init::plan::Plan as Read;
use berth_init::steps::{LAYOUT, read_next};
use berth_init::wire::{Header, MAGIC};

use crate::cgroup::Layout;
use crate::error::Result;
use crate::plan::{Create, Plan, RootOptions, create};
use crate::spec::Config;

/// A root filesystem that does not exist: nothing of it is found on the host.
pub const ROOTFS: &str = "/nonexistent/rootfs";

/// Returns the plan of a container with this configuration.
pub fn plan_of(config: &Config) -> Result<Plan> {
    let layout = Layout { paths: [(String::new(), "/sys/fs/cgroup/berth-a".into())].into(), ..Layout::default() };
    create(&Create {
        config,
        rootfs: Path::new(ROOTFS),
        layout: &layout,
        into_cgroup: true,
        attached_by_host: false,
        resctrl: None,
        networks: !config.networks().veths.is_empty(),
        parent_death_signal: 0,
        keyring: true,
        find_program: true,
        plain_newlines: false,
        root: RootOptions::default(),
        device_dir: Path::new("/nonexistent/devices"),
    })
}

fn encoded(plan: &Plan) -> Result<Vec<u8>> {
    Ok(plan.encode([3, 4, -1, -1], &[0, 1, 2], |_| 5)?.bytes)
}

/// Checks that a plan can be explained, and that init reads each of its steps.
pub fn check(plan: &Plan) {
    assert!(plan.explain().is_object());
    // A plan may be too large.
    let Ok(bytes) = encoded(plan) else { return };
    with_block(&bytes, |read| {
        let read = read.expect("a plan of this build");
        assert_eq!(read.header().step_count as usize, plan.steps.len());
        let (keep, low, slots) = (read.keep(), read.low(), read.slots());
        assert_eq!(low.expect("the low descriptors"), [0, 1, 2]);
        assert!(slots.expect("the slots").len() >= 4 && !keep.expect("the descriptors").is_empty());
        let mut words = Words::new(read);
        for step in &plan.steps {
            read_next(&mut words).unwrap_or_else(|_| panic!("init cannot read: {}", step.describe()));
        }
    });
}

/// Shows bytes to init's reader, in memory that is used again by the next call.
fn with_block(bytes: &[u8], f: impl FnOnce(std::result::Result<Read, berth_init::plan::Refusal>)) {
    thread_local!(static BLOCK: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) });
    BLOCK.with_borrow_mut(|block| {
        block.clear();
        block.extend(bytes.chunks(8).map(|chunk| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            u64::from_ne_bytes(word)
        }));
        // SAFETY: aligned and writable; nothing that is read of the plan is kept after this.
        f(unsafe { Read::new(block.as_mut_ptr().cast(), block.len() * 8) });
    });
}

/// Reads a damaged plan as init does. It has the length and the layout of a real one, since otherwise nothing is read.
pub fn plan_bytes(data: &[u8]) {
    if data.len() < size_of::<Header>() {
        return;
    }
    let mut bytes = data[..data.len() / 8 * 8].to_vec();
    bytes[..4].copy_from_slice(&MAGIC.to_ne_bytes());
    let len = (bytes.len() as u32).to_ne_bytes();
    bytes[4..8].copy_from_slice(&len);
    bytes[8..16].copy_from_slice(&LAYOUT.to_ne_bytes());
    with_block(&bytes, |read| {
        let Ok(read) = read else { return };
        let mut words = Words::new(read);
        for _ in 0..read.header().step_count.min(10_000) {
            if read_next(&mut words).is_err() {
                return;
            }
        }
    });
}

/// Plans of the seeds of configurations.
pub fn encoded_plans() -> Vec<Vec<u8>> {
    let configs = super::documents::configurations().into_iter().filter_map(|json| {
        let json = String::from_utf8(json).ok()?;
        Config::from_json(&json, Some(Path::new(ROOTFS))).ok()
    });
    let plans: Vec<Vec<u8>> = configs.map(|config| encoded(&plan_of(&config).unwrap()).unwrap()).collect();
    assert!(plans.len() >= 2, "the seeds are configurations");
    plans
}
