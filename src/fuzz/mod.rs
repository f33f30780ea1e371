//! Targets for fuzzers: what reads documents of callers, files of the kernel, images of checkpoints, and messages of
//! other processes. A target runs the library's own code on any bytes and changes nothing on the host. It fails by a
//! panic, also by that of an `assert!` on what must hold for every input.
//!
//! Unit tests run the targets on mutated seeds (`fuzz/driver.rs`); the package in `fuzz/` runs them under libFuzzer. No
//! other build has this module.

#[path = "../../fuzz/driver.rs"]
#[cfg_attr(fuzzing, allow(dead_code))] // the fuzzer takes its part
mod driver;

mod documents;
mod kernel;
mod messages;
mod plans;

pub use driver::Target;
#[cfg(fuzzing)]
pub use driver::write_seeds;

/// Makes the list of targets, and a test of each.
macro_rules! targets {
    ($($module:ident: $($name:ident = $seeds:ident),*;)*) => {
        /// All targets of this crate.
        pub const TARGETS: &[Target] = &[$($((stringify!($name), $module::$name, $module::$seeds),)*)*];

        #[cfg(test)]
        mod tests {
            use super::{driver, $($module),*};

            $($(
                #[test]
                fn $name() {
                    driver::drive((stringify!($name), $module::$name, $module::$seeds));
                }
            )*)*
        }
    };
}

targets! {
    documents: config = configurations, mounts = mount_lists, seccomp = filters, networks = network_documents,
        resources = limit_documents, process = processes, record = records, features = field_names;
    plans: plan_bytes = encoded_plans;
    kernel: mountinfo = mount_tables, proc_files = files_of_proc, cgroup_v2 = files_of_v2, cgroup_v1 = files_of_v1,
        rdt = schemata_files;
    messages: netlink = datagrams, dbus = bus_messages, systemd = unit_properties, init = init_messages,
        criu_mounts = mount_images, criu_response = responses, criu_texts = logs, descriptors = descriptor_lists;
}

/// Returns the input as text; None if it is none.
fn text(data: &[u8]) -> Option<&str> {
    std::str::from_utf8(data).ok()
}

/// Returns seeds of texts.
fn texts<const N: usize>(texts: [&str; N]) -> Vec<Vec<u8>> {
    texts.map(|text| text.as_bytes().to_vec()).to_vec()
}
