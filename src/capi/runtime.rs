//! A runtime: the state root and the settings that hold for all containers in it.

use std::ffi::c_char;
use std::mem::MaybeUninit;
use std::time::Duration;

use super::boundary::{call, infallible};
use super::config::berth_config;
use super::error::berth_error;
use super::process_options::{self, berth_process_options};
use super::sized::{self, Grows};
use super::{args, memory};
use crate::cgroup::Manager;
use crate::error::{Error, Result};
use crate::plan::RootOptions;
use crate::rootless::Rootless;
use crate::runtime::{Runtime, Settings};

/// A state root with its containers. Release with berth_runtime_free.
pub struct berth_runtime(pub(super) Runtime);

/// Options of a runtime. Initialise with berth_runtime_options_init, or with zeros and the size.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct berth_runtime_options {
    /// sizeof(berth_runtime_options).
    pub size: usize,
    /// Directory for the state of the containers, an absolute path; created with mode 0700 if missing. It must belong
    /// to the caller. NULL: "/run/berth". It should not survive a reboot, because containers do not.
    pub state_root: *const c_char,
    /// Time that init may take for setup, in milliseconds, without the time of hooks. 0: 60 s.
    pub setup_timeout_ms: i64,
    /// Time that a call waits for the container's lock, in milliseconds, before it fails with BERTH_E_BUSY. 0: 30 s.
    pub lock_timeout_ms: i64,
    /// Timeout of hooks that have none of their own, in milliseconds. 0: 60 s.
    pub hook_timeout_ms: i64,
    /// Time that freezing, killing and removing cgroups may take, in milliseconds. 0: 30 s.
    pub cgroup_timeout_ms: i64,
    /// Cgroup manager for new containers: a BERTH_CGROUP_MANAGER_... constant. 0: BERTH_CGROUP_MANAGER_FILES.
    pub cgroup_manager: i32,
    /// BERTH_RUNTIME_... flags.
    pub flags: u32,
    /// CRIU program for checkpoint and restore. NULL: "criu" in the usual directories of the host (/usr/local/sbin,
    /// /usr/local/bin, /usr/sbin, /usr/bin, /sbin, /bin).
    pub criu: *const c_char,
    /// `hook_env_count` strings NAME=VALUE: the environment of hooks that run on the host (prestart, createRuntime,
    /// poststart, poststop) and have none of their own. NULL: an empty environment. Passing on the caller's own
    /// environment gives its secrets to programs that a configuration names.
    pub hook_env: *const *const c_char,
    pub hook_env_count: usize,
}

/// The manager of containers' cgroups.
#[repr(i32)]
pub enum berth_cgroup_manager {
    /// libberth writes to the cgroup filesystems (cgroupfs). linux.cgroupsPath is a path.
    Files = 0,
    /// systemd: each container is a transient scope (systemd.scope(5)), delegated to libberth, with its limits as
    /// properties. linux.cgroupsPath is "slice:prefix:name"; the default is "berth-<id>.scope" in system.slice. Needs a
    /// host with cgroup v2 only, and systemd's or D-Bus's socket below /run (else create fails with
    /// BERTH_E_UNSUPPORTED).
    Systemd = 1,
    /// No cgroups: containers stay in the caller's cgroups. They need a new pid namespace and may have no
    /// linux.resources, including device rules (BERTH_E_UNSUPPORTED). Pausing, listing and signalling all processes,
    /// statistics and events are BERTH_E_UNSUPPORTED.
    Disabled = 2,
}

/// For berth_runtime_options.flags, with BERTH_CGROUP_MANAGER_SYSTEMD: annotations whose names begin with
/// "org.systemd.property." become properties of the container's scope, like "org.systemd.property.TimeoutStopUSec":
/// "uint64 5000000" (values in GVariant's text format). Do not set it for untrusted configurations: a scope's
/// properties can affect more than the container.
pub const BERTH_RUNTIME_SYSTEMD_ANNOTATIONS: u32 = 1;

/// For berth_runtime_options.flags: change the root of new containers by moving its mount onto "/" and chroot(2)
/// instead of pivot_root(2), as runc's --no-pivot. For hosts whose root is the initial RAM filesystem, where pivot_root
/// is impossible. Less secure: the host's mounts stay in the mount namespace beneath the root, and a process that can
/// unmount it (CAP_SYS_ADMIN) reaches them. The host's procfs and sysfs are removed before.
pub const BERTH_RUNTIME_NO_PIVOT: u32 = 2;

/// For berth_runtime_options.flags: mount the root filesystem of new containers with a new user namespace id-mapped
/// (Linux 5.12). Files that belong to the host's root then belong to the container's root without being changed. create
/// fails if the filesystem does not support id-mapped mounts.
pub const BERTH_RUNTIME_IDMAPPED_ROOT: u32 = 4;

/// For berth_runtime_options.flags, with BERTH_CGROUP_MANAGER_FILES: support unprivileged callers, as runc's
/// --rootless. A container without linux.cgroupsPath gets cgroups in those hierarchies where the caller may create
/// them. If there are none, it stays in the caller's cgroups, as with BERTH_CGROUP_MANAGER_DISABLED, and limits that
/// need a cgroup are BERTH_E_UNSUPPORTED. In a user namespace, where no device node can be created, device rules that
/// the caller may not set are omitted with a warning in the log.
pub const BERTH_RUNTIME_ROOTLESS: u32 = 8;

/// For berth_runtime_options.flags: as BERTH_RUNTIME_ROOTLESS if the caller is not root, or is root in a user namespace
/// other than the initial one, when the first container is created.
pub const BERTH_RUNTIME_ROOTLESS_AUTO: u32 = 16;

/// For berth_runtime_options.flags: return the devices of `linux.netDevices` to the host when their container is deleted,
/// with the addresses and the state that they had. Without it they stay in the network namespace, as the specification
/// wants; when a namespace ends the kernel destroys a virtual device and renames others.
pub const BERTH_RUNTIME_RETURN_DEVICES: u32 = 32;

// SAFETY: repr(C), begins with its size, a pointer and numbers without padding.
unsafe impl Grows for berth_runtime_options {
    const NAME: &'static str = "berth_runtime_options";
    const FIRST: usize = 48;
}

const _: () = assert!(size_of::<berth_runtime_options>() == 80, "members are only added, at the end");

/// Converts the options.
///
/// # Safety
///
/// The strings of `options` are as berth.h requires, and are not changed during the call.
unsafe fn settings(options: &berth_runtime_options) -> Result<Settings> {
    let default = Settings::default();
    // SAFETY: NULL or a string by the contract.
    let root = unsafe { args::optional_path(options.state_root, "state_root") }?;
    // SAFETY: NULL or a string by the contract.
    let criu = unsafe { args::optional_path(options.criu, "criu") }?;
    // SAFETY: an array of `hook_env_count` strings by the contract.
    let hook_env = unsafe { args::texts(options.hook_env, options.hook_env_count, "hook_env") }?;
    let flags = args::flags(
        options.flags,
        BERTH_RUNTIME_SYSTEMD_ANNOTATIONS
            | BERTH_RUNTIME_NO_PIVOT
            | BERTH_RUNTIME_IDMAPPED_ROOT
            | BERTH_RUNTIME_ROOTLESS
            | BERTH_RUNTIME_ROOTLESS_AUTO
            | BERTH_RUNTIME_RETURN_DEVICES,
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
        root: root.map_or(default.root, ToOwned::to_owned),
        setup_timeout: timeout(options.setup_timeout_ms, default.setup_timeout, "setup_timeout_ms")?,
        lock_timeout: timeout(options.lock_timeout_ms, default.lock_timeout, "lock_timeout_ms")?,
        hook_timeout: timeout(options.hook_timeout_ms, default.hook_timeout, "hook_timeout_ms")?,
        hook_env,
        cgroup_timeout: timeout(options.cgroup_timeout_ms, default.cgroup_timeout, "cgroup_timeout_ms")?,
        cgroup_manager: manager(options)?,
        rootless: match flags {
            _ if flags & BERTH_RUNTIME_ROOTLESS != 0 => Rootless::Yes,
            _ if flags & BERTH_RUNTIME_ROOTLESS_AUTO != 0 => Rootless::Auto,
            _ => Rootless::No,
        },
        return_devices: flags & BERTH_RUNTIME_RETURN_DEVICES != 0,
        root_options: RootOptions {
            id_mapped: flags & BERTH_RUNTIME_IDMAPPED_ROOT != 0,
            no_pivot: flags & BERTH_RUNTIME_NO_PIVOT != 0,
        },
        criu: criu.map(ToOwned::to_owned),
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

/// Initialise options with the defaults: zeros, and the size. `size` is sizeof(berth_runtime_options); nothing beyond
/// it is written. NULL is ignored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_runtime_options_init(options: *mut berth_runtime_options, size: usize) {
    // SAFETY: berth.h requires NULL or room for `size` bytes.
    infallible((), || unsafe { sized::init(options, size) });
}

/// Open a runtime. `options` is optional: NULL selects the defaults. Several runtimes, also of several processes, may
/// share one state root. Creates the state root if it is missing and changes nothing else; existing containers can be
/// loaded.
///
/// Errors: BERTH_E_SYSTEM with EACCES if the state root belongs to another user or others may write to it;
/// BERTH_E_UNSUPPORTED if the options have a member that this version does not know.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_runtime_new(
    options: *const berth_runtime_options,
    runtime: Option<&mut MaybeUninit<*mut berth_runtime>>,
    error: Option<&mut MaybeUninit<*mut berth_error>>,
) -> i32 {
    call(error, || {
        let slot = args::out_pointer(runtime, "runtime")?;
        // SAFETY: berth.h requires NULL or options.
        let settings = unsafe { settings(&sized::read(options)?) }?;
        args::give(slot, berth_runtime(Runtime::new(settings)?));
        Ok(())
    })
}

/// Release a runtime. Its containers and their handles are not affected. NULL is ignored.
#[unsafe(no_mangle)]
pub extern "C" fn berth_runtime_free(runtime: Option<Box<berth_runtime>>) {
    infallible((), || drop(runtime));
}

/// List the states of all containers of the state root, sorted by id, as a JSON array of objects as
/// berth_container_state_json returns them. Omits containers that are deleted in the meantime. A container whose record is
/// damaged has the status "unknown", and "error" says why; berth_container_delete with BERTH_DELETE_FORCE removes it. Other
/// files and directories in the state root are ignored.
///
/// Release `json` with berth_string_free. Waits for no lock.
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

/// List every step of berth_container_create with this runtime, configuration and options, without executing one: the same
/// steps, in the same number and order. The JSON is that of berth_config_explain_json, which assumes default options.
///
/// `options` is optional. Release `json` with berth_string_free. Errors: as berth_config_validate; BERTH_E_CONSOLE_EXISTS
/// and BERTH_E_INVALID_ARGUMENT as berth_container_create.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_runtime_explain_json(
    runtime: Option<&berth_runtime>,
    config: Option<&berth_config>,
    options: *const berth_process_options,
    json: Option<&mut MaybeUninit<*mut c_char>>,
    error: Option<&mut MaybeUninit<*mut berth_error>>,
) -> i32 {
    call(error, || {
        let slot = args::out_pointer(json, "json")?;
        let runtime = &args::handle(runtime, "runtime")?.0;
        let config = &args::handle(config, "config")?.0;
        // SAFETY: berth.h requires NULL or options.
        let options = unsafe { process_options::read(options) }?;
        memory::give_text(slot, &runtime.explain(config, &options)?)
    })
}

/// Remove containers whose creating or deleting process was killed: their processes, cgroups and state. Complete
/// containers, and those that another process is creating or deleting, stay. Call it when a supervisor starts;
/// berth_container_delete with BERTH_DELETE_FORCE does the same for one id.
///
/// `ids_json` is optional; it receives the removed ids as a JSON array of strings. Release it with berth_string_free.
///
/// Blocks until they are removed, at most the cgroup timeout for each. A container whose record is damaged stays, with a
/// warning in the log: berth_runtime_list_json names it. Errors: BERTH_E_TIMEOUT if a process could not be killed in time;
/// the other containers are removed nevertheless, and "recovered" in the details has their ids.
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
