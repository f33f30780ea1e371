//! A runtime: the state root and the settings that hold for all containers in it.

use std::ffi::c_char;
use std::mem::MaybeUninit;
use std::time::Duration;

use super::boundary::{call, infallible};
use super::error::berth_error;
use super::sized::{self, Grows};
use super::{args, memory};
use crate::cgroup::Manager;
use crate::error::{Error, Result};
use crate::plan::RootOptions;
use crate::runtime::{Rootless, Runtime, Settings};

/// A state root with containers. Released with berth_runtime_free.
pub struct berth_runtime(pub(super) Runtime);

/// How a runtime is to work. Fill with berth_runtime_options_init, or with zeros and the size.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct berth_runtime_options {
    /// sizeof(berth_runtime_options).
    pub size: usize,
    /// Where the state of the containers is kept, an absolute path of a directory for the caller alone; made if missing.
    /// NULL: "/run/berth".
    /// It should not outlive a reboot, because the containers do not.
    pub state_root: *const c_char,
    /// How long init may take to set a container up, without the time of hooks. 0: 60 s.
    pub setup_timeout_ms: i64,
    /// How long a call waits for another thread or process that is at work on the same container, before it fails with
    /// BERTH_E_BUSY. 0: 30 s.
    pub lock_timeout_ms: i64,
    /// How long a hook may run that has no timeout of its own. 0: 60 s.
    pub hook_timeout_ms: i64,
    /// How long freezing, killing and removing may take. 0: 30 s.
    pub cgroup_timeout_ms: i64,
    /// Who makes the cgroups of containers that are created: a BERTH_CGROUP_MANAGER_... constant. 0: this library.
    pub cgroup_manager: i32,
    /// BERTH_RUNTIME_... flags.
    pub flags: u32,
    /// CRIU's program, for checkpoint and restore. NULL: "criu" in the usual directories of the host (/usr/local/sbin,
    /// /usr/local/bin, /usr/sbin, /usr/bin, /sbin, /bin).
    pub criu: *const c_char,
}

/// Who makes the cgroups of containers.
#[repr(i32)]
pub enum berth_cgroup_manager {
    /// This library, in the cgroup filesystems. linux.cgroupsPath is a path.
    Files = 0,
    /// systemd: each container is a transient scope (systemd.scope(5)), delegated to this library, with its limits as
    /// properties. linux.cgroupsPath is "slice:prefix:name"; without it, "berth-<id>.scope" in system.slice. Needs a host
    /// with cgroup v2 alone, and systemd's or D-Bus's socket below /run (else BERTH_E_UNSUPPORTED from create).
    Systemd = 1,
    /// Nobody: containers stay in the caller's cgroups. They need a new pid namespace, and may have no linux.resources,
    /// device rules included (BERTH_E_UNSUPPORTED); pausing, listing and signalling all of their processes, statistics and
    /// events are BERTH_E_UNSUPPORTED.
    Disabled = 2,
}

/// For berth_runtime_options.flags, with BERTH_CGROUP_MANAGER_SYSTEMD: annotations of a configuration whose names begin
/// with "org.systemd.property." become properties of its scope, like "org.systemd.property.TimeoutStopUSec":
/// "uint64 5000000" (values are in GVariant's text form). Leave it out if configurations come from others: properties of a
/// scope can reach beyond the container.
pub const BERTH_RUNTIME_SYSTEMD_ANNOTATIONS: u32 = 1;

/// For berth_runtime_options.flags: containers that are created get their root by moving its mount onto "/" and chroot(2),
/// not by pivot_root(2), as runc's --no-pivot. For hosts whose root is the initial RAM filesystem, where pivot_root is
/// impossible. Weaker: the host's mounts stay in the namespace beneath the root, and who may unmount that (CAP_SYS_ADMIN)
/// reaches them. The host's procfs and sysfs are taken away before.
pub const BERTH_RUNTIME_NO_PIVOT: u32 = 2;

/// For berth_runtime_options.flags: containers that are created with a new user namespace see the files of their root
/// filesystem with its mappings, so that a root filesystem that belongs to the host's root belongs to theirs, and need not
/// be changed. An id-mapped mount (Linux 5.12); create fails where the filesystem cannot have one.
pub const BERTH_RUNTIME_IDMAPPED_ROOT: u32 = 4;

/// For berth_runtime_options.flags, with BERTH_CGROUP_MANAGER_FILES: for callers without privileges, as runc's --rootless.
/// A container without linux.cgroupsPath has cgroups of its own in those hierarchies in which the caller may make them, and
/// if there are none, stays in the caller's cgroups, as with BERTH_CGROUP_MANAGER_DISABLED; limits that would need one are
/// BERTH_E_UNSUPPORTED then. In a user namespace, where no device can be made, device rules that the caller may not set are
/// left out, with a warning in the log.
pub const BERTH_RUNTIME_ROOTLESS: u32 = 8;

/// For berth_runtime_options.flags: BERTH_RUNTIME_ROOTLESS if the caller, when the first container is created, is not root, or
/// is the root of a user namespace, whose cgroups may be somebody else's.
pub const BERTH_RUNTIME_ROOTLESS_AUTO: u32 = 16;

// SAFETY: repr(C), begins with its size, a pointer and numbers without padding.
unsafe impl Grows for berth_runtime_options {
    const NAME: &'static str = "berth_runtime_options";
    const FIRST: usize = 48;
}

const _: () = assert!(size_of::<berth_runtime_options>() == 64, "members are only added, at the end");

fn settings(options: &berth_runtime_options) -> Result<Settings> {
    let default = Settings::default();
    let flags = args::flags(
        options.flags,
        BERTH_RUNTIME_SYSTEMD_ANNOTATIONS
            | BERTH_RUNTIME_NO_PIVOT
            | BERTH_RUNTIME_IDMAPPED_ROOT
            | BERTH_RUNTIME_ROOTLESS
            | BERTH_RUNTIME_ROOTLESS_AUTO,
    )?;
    let timeout = |given: i64, default: Duration, name: &str| match u64::try_from(given) {
        Ok(0) => Ok(default),
        Ok(ms) => Ok(Duration::from_millis(ms)),
        Err(_) => {
            let message = format!("{name} is {given}; expected milliseconds, or 0 for the default");
            Err(Error::invalid_argument(message).detail("parameter", name))
        }
    };
    Ok(Settings {
        root: args::optional_path(options.state_root, "state_root")?.map_or(default.root, ToOwned::to_owned),
        setup_timeout: timeout(options.setup_timeout_ms, default.setup_timeout, "setup_timeout_ms")?,
        lock_timeout: timeout(options.lock_timeout_ms, default.lock_timeout, "lock_timeout_ms")?,
        hook_timeout: timeout(options.hook_timeout_ms, default.hook_timeout, "hook_timeout_ms")?,
        cgroup_timeout: timeout(options.cgroup_timeout_ms, default.cgroup_timeout, "cgroup_timeout_ms")?,
        cgroup_manager: manager(options)?,
        rootless: match flags {
            _ if flags & BERTH_RUNTIME_ROOTLESS != 0 => Rootless::Yes,
            _ if flags & BERTH_RUNTIME_ROOTLESS_AUTO != 0 => Rootless::Auto,
            _ => Rootless::No,
        },
        root_options: RootOptions {
            id_mapped: flags & BERTH_RUNTIME_IDMAPPED_ROOT != 0,
            no_pivot: flags & BERTH_RUNTIME_NO_PIVOT != 0,
        },
        criu: args::optional_path(options.criu, "criu")?.map(ToOwned::to_owned),
    })
}

fn manager(options: &berth_runtime_options) -> Result<Manager> {
    const FILES: i32 = berth_cgroup_manager::Files as i32;
    const SYSTEMD: i32 = berth_cgroup_manager::Systemd as i32;
    const DISABLED: i32 = berth_cgroup_manager::Disabled as i32;
    match options.cgroup_manager {
        FILES => Ok(Manager::Files),
        DISABLED => Ok(Manager::Disabled),
        SYSTEMD => Ok(Manager::Systemd { annotations: options.flags & BERTH_RUNTIME_SYSTEMD_ANNOTATIONS != 0 }),
        other => {
            let message = format!("cgroup_manager is {other}; expected a BERTH_CGROUP_MANAGER constant");
            Err(Error::invalid_argument(message).detail("parameter", "cgroup_manager"))
        }
    }
}

/// Makes the options the default: zeros, and the size. `size` is sizeof(berth_runtime_options); nothing beyond it is
/// written. NULL is left alone.
#[unsafe(no_mangle)]
pub extern "C" fn berth_runtime_options_init(options: *mut berth_runtime_options, size: usize) {
    infallible((), || sized::init(options, size));
}

/// Opens a runtime. `options` is optional: NULL is the default. Several runtimes, also of several processes, may share
/// one state root. Makes the state root if it is missing, and nothing else; containers that are there can be
/// loaded.
///
/// Errors: BERTH_E_SYSTEM with EACCES if the state root belongs to somebody else or others may write to it;
/// BERTH_E_UNSUPPORTED if the options have a member that this version does not know.
#[unsafe(no_mangle)]
pub extern "C" fn berth_runtime_new(
    options: *const berth_runtime_options,
    runtime: Option<&mut MaybeUninit<*mut berth_runtime>>,
    error: Option<&mut MaybeUninit<*mut berth_error>>,
) -> i32 {
    call(error, || {
        let slot = args::out_pointer(runtime, "runtime")?;
        let made = Runtime::new(settings(&sized::read(options)?)?)?;
        args::give(slot, berth_runtime(made));
        Ok(())
    })
}

/// Releases a runtime. Its containers, and the handles on them, live on. NULL is fine.
#[unsafe(no_mangle)]
pub extern "C" fn berth_runtime_free(runtime: Option<Box<berth_runtime>>) {
    infallible((), || drop(runtime));
}

/// The states of all containers below the state root, sorted by id, as a JSON array of what
/// berth_container_state_json gives. A container that is deleted meanwhile is left out.
///
/// `json` is released with berth_string_free. Does not wait for others at work on a container.
#[unsafe(no_mangle)]
pub extern "C" fn berth_runtime_list_json(
    runtime: Option<&berth_runtime>,
    json: Option<&mut MaybeUninit<*mut c_char>>,
    error: Option<&mut MaybeUninit<*mut berth_error>>,
) -> i32 {
    call(error, || {
        let slot = args::out_pointer(json, "json")?;
        memory::give_text(slot, &args::handle(runtime, "runtime")?.0.states_json()?)
    })
}

/// Takes back what processes have left behind that were killed while they created or deleted a container: processes,
/// cgroups, and state. Containers that are whole, and those somebody is at work on, stay. To be called when a supervisor
/// starts; without it, berth_container_delete with BERTH_DELETE_FORCE does the same for one id.
///
/// `ids_json` is optional; it gets the removed ids as a JSON array of strings, released with berth_string_free.
///
/// Blocks until they are removed, at most the cgroup timeout for each. Errors: BERTH_E_TIMEOUT if a process could
/// not be killed in time; what was removed before stays removed.
#[unsafe(no_mangle)]
pub extern "C" fn berth_runtime_recover(
    runtime: Option<&berth_runtime>,
    ids_json: Option<&mut MaybeUninit<*mut c_char>>,
    error: Option<&mut MaybeUninit<*mut berth_error>>,
) -> i32 {
    call(error, || {
        let slot = ids_json.map(|slot| args::out_pointer(Some(slot), "ids_json")).transpose()?;
        let ids = args::handle(runtime, "runtime")?.0.recover()?;
        slot.map_or(Ok(()), |slot| memory::give_text(slot, &serde_json::Value::from(ids).to_string()))
    })
}
