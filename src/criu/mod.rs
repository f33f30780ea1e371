//! CRIU: the program that dumps the processes of a container into images, and restores them from images.
//!
//! CRIU is started as `criu swrk`, isolated from the caller like every helper, and exchanges protobuf messages
//! (`proto/criu.proto`) through a socket: `rpc`. `container::checkpoint` and `container::restore` decide the content
//! of the requests; this module has what both need.

mod check;
mod command;
pub(crate) mod criu_log;
mod externals;
mod ghosts;
pub(crate) mod hints;
pub(crate) mod image;
mod image_access;
pub(crate) mod image_dir;
mod image_filters;
mod image_mounts;
mod options;
pub(crate) mod propagation;
mod root;
pub(crate) mod rpc;
mod version;

use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};

pub use check::check_json;
pub(crate) use criu_log::CriuLog;
pub(crate) use externals::{ExternalSource, Externals, check_namespaces, joined_again, left_out, namespace_dumped};
pub(crate) use ghosts::{GhostPlaces, check_ghosts};
pub(crate) use image::mismatch;
pub(crate) use image_access::Owner;
pub(crate) use image_dir::{CRIU_WORK_DIR, ImageDir, remove_tree};
pub(crate) use image_filters::replaced_filters;
pub(crate) use image_mounts::{Explained, HARMLESS};
pub use options::{CgroupMode, CgroupRoot, CheckpointOptions, NetworkLock, PageServer, RestoreOptions, VethPair};
pub(crate) use propagation::Propagation;
pub(crate) use root::Root;
pub(crate) use rpc::{FIRST_INHERITED, Notice, Start, Swrk};
pub(crate) use version::Version;

use crate::deadline::Deadline;
use crate::error::{Code, Error, Result};

/// CRIU's messages, compiled from proto/criu.proto.
pub(crate) mod message {
    include!(concat!(env!("OUT_DIR"), "/criu.rs"));
}

/// The directories searched for CRIU; also CRIU's own PATH for the programs that it runs (tar, iptables-restore …).
const SEARCH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The oldest version whose RPC protocol this library knows; earlier ones do not freeze v2 cgroups.
const OLDEST: Version = Version::new(3, 15, 0);

/// CRIU's most verbose log level, which includes the messages that explain an error.
pub(crate) const LOG_LEVEL: i32 = 4;

/// Kernel features that some options need.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    pub memory_tracking: bool,
    pub lazy_pages: bool,
}

/// Checks that CRIU is new enough, and that the kernel has the features of `needs`.
pub(crate) fn check_usable(program: &Path, needs: Needs, deadline: Deadline) -> Result<()> {
    Version::of(program, deadline)?.at_least(OLDEST)?;
    if needs == Needs::default() {
        return Ok(());
    }
    let found = check::kernel_features(program, deadline)?;
    let missing = [
        ("memory tracking (CONFIG_MEM_SOFT_DIRTY)", needs.memory_tracking, found.memory_tracking),
        ("lazy pages (userfaultfd)", needs.lazy_pages, found.lazy_pages),
    ];
    match missing.into_iter().find(|(_, needed, found)| *needed && *found != Some(true)) {
        Some((feature, ..)) => Err(Error::new(Code::Unsupported, format!("this kernel has no {feature} for CRIU"))),
        None => Ok(()),
    }
}

/// Finds CRIU: the program that the caller has named, or the host's.
pub(crate) fn program(named: Option<&Path>) -> Result<PathBuf> {
    let executable = |path: &Path| path.is_file() && access(path, AccessFlags::X_OK).is_ok();
    match named {
        Some(path) if executable(path) => Ok(path.to_owned()),
        Some(path) => {
            let message = format!("{} is not CRIU: there is no such executable program", path.display());
            Err(Error::new(Code::Unsupported, message).with_errno(Errno::ENOENT))
        }
        None => SEARCH
            .split(':')
            .map(|directory| Path::new(directory).join("criu"))
            .find(|path| executable(path))
            .ok_or_else(|| {
                let message =
                    format!("CRIU is not installed: there is no criu in {SEARCH}; install it, or name its path");
                Error::new(Code::Unsupported, message).with_errno(Errno::ENOENT)
            }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = program(Some(Path::new("/nowhere/criu"))).unwrap_err();
        assert_eq!(error.code, Code::Unsupported);
        assert!(error.message.starts_with("/nowhere/criu is not CRIU"), "{error}");
        assert_eq!(program(Some(Path::new("/bin/sh"))).unwrap(), Path::new("/bin/sh"));
    }
}
