//! Checkpoint and restore, by CRIU.

use std::ffi::c_char;
use std::mem::MaybeUninit;
use std::time::Duration;

use super::boundary::{call, infallible};
use super::config::berth_config;
use super::container::berth_container;
use super::error::berth_error;
use super::process_options::{self, berth_process_options, berth_stdio, berth_stream};
use super::runtime::berth_runtime;
use super::sized::{self, Grows};
use super::{args, memory};
use crate::container::Container;
use crate::criu::{CgroupMode, CgroupRoot, CheckpointOptions, NetworkLock, PageServer, RestoreOptions, VethPair};
use crate::error::{Error, Result};

/// Leave the container running after the checkpoint. Otherwise it is stopped.
pub const BERTH_CHECKPOINT_LEAVE_RUNNING: u32 = 1;
/// Dump only memory and leave the container running: the next checkpoint, with these images as parent_images, saves
/// only what changed since. May be repeated. Needs a kernel with memory tracking (else BERTH_E_UNSUPPORTED).
pub const BERTH_CHECKPOINT_PRE_DUMP: u32 = 2;
/// The container's terminal or session belongs to the caller. The restore needs the same flag.
pub const BERTH_CHECKPOINT_SHELL_JOB: u32 = 4;
/// Dump established TCP connections. The restore needs the same flag.
pub const BERTH_CHECKPOINT_TCP_ESTABLISHED: u32 = 8;
/// Skip TCP connections that are not established yet; otherwise they are an error.
pub const BERTH_CHECKPOINT_TCP_SKIP_IN_FLIGHT: u32 = 16;
/// Dump unix sockets that are connected to processes outside the container. The restore needs the same flag.
pub const BERTH_CHECKPOINT_EXTERNAL_UNIX_SOCKETS: u32 = 32;
/// Dump file locks. The restore needs the same flag.
pub const BERTH_CHECKPOINT_FILE_LOCKS: u32 = 64;
/// Keep memory here until a restore elsewhere requests it, at page_server_address and page_server_port; the checkpoint
/// waits for that. Needs a kernel with userfaultfd (else BERTH_E_UNSUPPORTED).
pub const BERTH_CHECKPOINT_LAZY_PAGES: u32 = 128;
/// Do not dump the contents of the container's network namespace. The restore needs the same flag.
pub const BERTH_CHECKPOINT_EMPTY_NETWORK: u32 = 256;
/// Remove pages from parent_images that this dump contains as well.
pub const BERTH_CHECKPOINT_AUTO_DEDUP: u32 = 512;
/// Link open files that were unlinked, in their directory, for the time of the checkpoint.
pub const BERTH_CHECKPOINT_LINK_REMAP: u32 = 1024;

/// As BERTH_CHECKPOINT_SHELL_JOB; `process` gives the container's standard input.
pub const BERTH_RESTORE_SHELL_JOB: u32 = 4;
/// As BERTH_CHECKPOINT_TCP_ESTABLISHED.
pub const BERTH_RESTORE_TCP_ESTABLISHED: u32 = 8;
/// Restore established TCP connections as closed ones.
pub const BERTH_RESTORE_TCP_CLOSE: u32 = 16;
/// As BERTH_CHECKPOINT_EXTERNAL_UNIX_SOCKETS.
pub const BERTH_RESTORE_EXTERNAL_UNIX_SOCKETS: u32 = 32;
/// As BERTH_CHECKPOINT_FILE_LOCKS.
pub const BERTH_RESTORE_FILE_LOCKS: u32 = 64;
/// Request memory when it is used, from a `criu lazy-pages` that runs in the same work directory.
pub const BERTH_RESTORE_LAZY_PAGES: u32 = 128;
/// As BERTH_CHECKPOINT_EMPTY_NETWORK.
pub const BERTH_RESTORE_EMPTY_NETWORK: u32 = 256;
/// Remove pages from the images as soon as they are restored.
pub const BERTH_RESTORE_AUTO_DEDUP: u32 = 512;

/// How a restore handles cgroups that the container has created below its own, and their values. The container's own
/// cgroups and limits are always those of the configuration.
#[repr(i32)]
#[derive(Clone, Copy)]
pub enum berth_cgroup_mode {
    /// Create them; restore values only in those created. The default.
    Soft = 0,
    /// Neither dump nor create them: all processes are in the container's own cgroups.
    Ignore = 1,
    /// All must exist.
    None = 2,
    /// All must exist; restore their values.
    Properties = 3,
    /// Create missing ones; restore all values.
    Full = 4,
    /// None may exist; create all. On cgroup v1 CRIU counts the container's own cgroups and refuses a restore.
    Strict = 5,
}

/// How packets of TCP connections are blocked during a dump. A restore ends the block that its images were dumped with.
#[repr(i32)]
#[derive(Clone, Copy)]
pub enum berth_network_lock {
    /// nftables, which CRIU controls itself. The default.
    Nftables = 0,
    /// The host's programs iptables-restore and ip6tables-restore. Their rules stay if CRIU is killed.
    Iptables = 1,
    /// Not at all: a packet that arrives during the dump ends its connection.
    Skip = 2,
}

/// Options of a checkpoint. Initialise with berth_checkpoint_options_init, or with zeros and the size.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct berth_checkpoint_options {
    /// sizeof(berth_checkpoint_options).
    pub size: usize,
    /// Directory for the images; created if missing. Required.
    pub images: *const c_char,
    /// Directory for CRIU's log and working files; created if missing. NULL: a directory in the container's state.
    pub work: *const c_char,
    /// Images of the previous checkpoint or pre-dump, absolute or relative to `images`; NULL if there are none. Needs a
    /// kernel with memory tracking (else BERTH_E_UNSUPPORTED).
    pub parent_images: *const c_char,
    /// IP address of a `criu page-server` that receives the memory instead of `images`. With
    /// BERTH_CHECKPOINT_LAZY_PAGES, the address of this host that serves it. NULL: none.
    pub page_server_address: *const c_char,
    /// CRIU configuration file, which overrides all other options (criu(8), "configuration files"). NULL: none.
    pub config_file: *const c_char,
    /// How long CRIU may take. 0: ten minutes.
    pub timeout_ms: i64,
    /// BERTH_CHECKPOINT_... flags.
    pub flags: u32,
    /// A BERTH_CGROUP_MODE_... constant.
    pub cgroup_mode: i32,
    /// With BERTH_CHECKPOINT_LAZY_PAGES: BERTH_STDIO_FD and a descriptor of the caller, to which a NUL byte is written
    /// when pages can be requested. Zeros: none.
    pub status: berth_stream,
    /// TCP port for page_server_address, 1 to 65535. 0: none.
    pub page_server_port: i32,
    /// A BERTH_NETWORK_LOCK_... constant.
    pub network_lock: i32,
}

// SAFETY: repr(C), begins with its size; pointers and numbers that leave no gap.
unsafe impl Grows for berth_checkpoint_options {
    const NAME: &'static str = "berth_checkpoint_options";
    const FIRST: usize = 80;
}

const _: () = assert!(size_of::<berth_checkpoint_options>() == 80, "members are only added, at the end");

/// A veth pair that a restore creates: its name in the container, and the name of its other end on the host.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct berth_veth_pair {
    pub name: *const c_char,
    pub host_name: *const c_char,
}

/// A cgroup that becomes the root of the images' cgroup tree. `controller` is a v1 controller, "name=..." for a named
/// hierarchy, or "" for the v2 hierarchy; `path` is a cgroup as in /proc/PID/cgroup, which must be the container's
/// own or below it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct berth_cgroup_root {
    pub controller: *const c_char,
    pub path: *const c_char,
}

/// Options of a restore. Initialise with berth_restore_options_init, or with zeros and the size.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct berth_restore_options {
    /// sizeof(berth_restore_options).
    pub size: usize,
    /// Directory with the images. Required.
    pub images: *const c_char,
    /// As in berth_checkpoint_options.
    pub work: *const c_char,
    /// Standard streams that replace dumped pipes, and the recipient of the terminal's master. A stream that was not a
    /// pipe is restored as it was and must be left at its default here. extra_fds must be empty. NULL: the default.
    pub process: *const berth_process_options,
    /// `veth_pair_count` pairs, in addition to those of the configuration's networks. NULL if there are none.
    pub veth_pairs: *const berth_veth_pair,
    pub veth_pair_count: usize,
    /// `cgroup_root_count` roots, instead of the container's own cgroups. NULL if there are none.
    pub cgroup_roots: *const berth_cgroup_root,
    pub cgroup_root_count: usize,
    /// Security label that replaces the dumped one: "apparmor:NAME" or "selinux:LABEL". NULL: the dumped one.
    pub lsm_profile: *const c_char,
    /// SELinux label for the restored mounts. NULL: none.
    pub lsm_mount_context: *const c_char,
    /// As in berth_checkpoint_options.
    pub config_file: *const c_char,
    /// How long CRIU may take. 0: ten minutes.
    pub timeout_ms: i64,
    /// BERTH_RESTORE_... flags.
    pub flags: u32,
    /// A BERTH_CGROUP_MODE_... constant.
    pub cgroup_mode: i32,
}

// SAFETY: repr(C), begins with its size; pointers and numbers that leave no gap.
unsafe impl Grows for berth_restore_options {
    const NAME: &'static str = "berth_restore_options";
    const FIRST: usize = 104;
}

const _: () = assert!(size_of::<berth_restore_options>() == 104, "members are only added, at the end");

/// Initialise options with the defaults: zeros, and the size. `size` is sizeof(berth_checkpoint_options); nothing
/// beyond it is written. NULL is ignored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_checkpoint_options_init(options: *mut berth_checkpoint_options, size: usize) {
    // SAFETY: berth.h requires NULL or room for `size` bytes.
    infallible((), || unsafe { sized::init(options, size) });
}

/// Initialise options with the defaults: zeros, and the size. `size` is sizeof(berth_restore_options); nothing beyond
/// it is written. NULL is ignored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_restore_options_init(options: *mut berth_restore_options, size: usize) {
    // SAFETY: berth.h requires NULL or room for `size` bytes.
    infallible((), || unsafe { sized::init(options, size) });
}

/// Return what CRIU supports on this host, as a JSON object: "path", "version" ("4.1.1"), "usable" (whether libberth
/// supports that version), "kernel" ("supported", and in "says" the lines of CRIU's own check, criu(8) "check"), and
/// "features" ("memoryTracking", "lazyPages", "pidfdStore").
///
/// Release `json` with berth_string_free. Starts CRIU and blocks until it has answered, at most a minute. Changes
/// nothing.
///
/// Errors: BERTH_E_UNSUPPORTED with ENOENT if there is no CRIU; BERTH_E_CRIU if the program does not behave as CRIU;
/// BERTH_E_TIMEOUT.
#[unsafe(no_mangle)]
pub extern "C" fn berth_criu_check(
    runtime: Option<&berth_runtime>,
    json: Option<&mut MaybeUninit<*mut c_char>>,
    error: Option<&mut MaybeUninit<*mut berth_error>>,
) -> i32 {
    call(error, || {
        let slot = args::out_pointer(json, "json")?;
        memory::give_text(slot, &args::handle(runtime, "runtime")?.0.criu_check_json()?)
    })
}

/// Dump the processes of a running or paused container into images, from which berth_container_restore recreates them,
/// here or on another host. Afterwards the container is stopped (berth_container_delete removes it), unless `options`
/// leave it running.
///
/// The image format is criu(8)'s, with an additional "descriptors.json": a JSON array of what the standard streams
/// were. It is written last: a directory without it holds no checkpoint. docs/checkpoint.md lists what cannot be
/// dumped, and remedies.
///
/// Blocks until CRIU is done, at most the timeout of the options; other calls that change the container wait. The
/// container's networks are detached from their bridges while its processes are stopped.
///
/// After an error the container continues, or stays paused, as before; a directory that was created for the images is
/// removed.
///
/// Errors: BERTH_E_CRIU with CRIU's errno, its first errors and a remedy in the message, and in berth_error_detail_json
/// "log", the end of its log, and "log_file", its path; BERTH_E_TIMEOUT, after which CRIU was killed;
/// BERTH_E_UNSUPPORTED if there is no CRIU, the kernel lacks what the options need, the configuration has a namespace
/// that cannot be dumped, or the container has a process that does not descend from its init; BERTH_E_NOT_RUNNING,
/// BERTH_E_NOT_FOUND, BERTH_E_BUSY.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_container_checkpoint(
    container: Option<&berth_container>,
    options: *const berth_checkpoint_options,
    error: Option<&mut MaybeUninit<*mut berth_error>>,
) -> i32 {
    call(error, || {
        let container = &args::handle(container, "container")?.container;
        // SAFETY: berth.h requires options.
        let options = unsafe { checkpoint_options(&sized::read_required(options, "options")?) }?;
        container.checkpoint(&options)
    })
}

/// Restore a container from the images of a checkpoint. Its processes continue where they were.
///
/// `id` must be free: delete a stopped container of the same id first (berth_container_delete). Namespaces, mounts,
/// cgroups, limits, networks and hooks come from `config`, not from the images; it must be the dumped container's
/// configuration, except for host paths. `options` are required: they name the images.
///
/// CRIU processes images as root: restore only images from sources that you would allow to run the container. Whatever
/// exceeds the configuration (namespaces, cgroups, capabilities, new privileges) is an error before anything runs.
///
/// Runs the prestart and createRuntime hooks when the namespaces exist, and no other hooks. Blocks until the processes
/// run, at most the timeout of the options plus the time of the hooks. After an error nothing is left behind.
///
/// Errors: as berth_container_create and berth_container_checkpoint; BERTH_E_INVALID_ARGUMENT if a stream that was not
/// a pipe is to be replaced; BERTH_E_SYSTEM with ENOENT if the directory holds no checkpoint.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_container_restore(
    runtime: Option<&berth_runtime>,
    id: *const c_char,
    config: Option<&berth_config>,
    options: *const berth_restore_options,
    container: Option<&mut MaybeUninit<*mut berth_container>>,
    error: Option<&mut MaybeUninit<*mut berth_error>>,
) -> i32 {
    call(error, || {
        let slot = args::out_pointer(container, "container")?;
        let runtime = &args::handle(runtime, "runtime")?.0;
        // SAFETY: berth.h requires NULL or a string.
        let id = unsafe { args::text(id, "id") }?;
        let config = &args::handle(config, "config")?.0;
        // SAFETY: berth.h requires options.
        let options = unsafe { restore_options(&sized::read_required(options, "options")?) }?;
        args::give(slot, berth_container::from(Container::restore(runtime, id, config, &options)?));
        Ok(())
    })
}

/// Converts the options.
///
/// # Safety
///
/// The strings and arrays of `given` are as berth.h requires, and are not changed during the call.
unsafe fn checkpoint_options(given: &berth_checkpoint_options) -> Result<CheckpointOptions> {
    let known = (BERTH_CHECKPOINT_LINK_REMAP << 1) - 1;
    let flags = args::flags(given.flags, known)?;
    let has = |flag: u32| flags & flag != 0;
    let path = |pointer, name| {
        // SAFETY: each path of the options is NULL or a string by the contract.
        let path = unsafe { args::optional_path(pointer, name) }?;
        Ok::<_, Error>(path.map(ToOwned::to_owned))
    };
    Ok(CheckpointOptions {
        // SAFETY: NULL or a string by the contract.
        images: unsafe { args::path(given.images, "images") }?.to_owned(),
        work: path(given.work, "work")?,
        leave_running: has(BERTH_CHECKPOINT_LEAVE_RUNNING),
        pre_dump: has(BERTH_CHECKPOINT_PRE_DUMP),
        parent_images: path(given.parent_images, "parent_images")?,
        auto_dedup: has(BERTH_CHECKPOINT_AUTO_DEDUP),
        // SAFETY: the same contract.
        page_server: unsafe { page_server(given) }?,
        lazy_pages: has(BERTH_CHECKPOINT_LAZY_PAGES),
        status_fd: status(given)?,
        shell_job: has(BERTH_CHECKPOINT_SHELL_JOB),
        tcp_established: has(BERTH_CHECKPOINT_TCP_ESTABLISHED),
        tcp_skip_in_flight: has(BERTH_CHECKPOINT_TCP_SKIP_IN_FLIGHT),
        external_unix_sockets: has(BERTH_CHECKPOINT_EXTERNAL_UNIX_SOCKETS),
        file_locks: has(BERTH_CHECKPOINT_FILE_LOCKS),
        link_remap: has(BERTH_CHECKPOINT_LINK_REMAP),
        empty_network: has(BERTH_CHECKPOINT_EMPTY_NETWORK),
        cgroup_mode: cgroup_mode(given.cgroup_mode)?,
        network_lock: network_lock(given.network_lock)?,
        config_file: path(given.config_file, "config_file")?,
        timeout: timeout(given.timeout_ms)?,
    })
}

/// Converts the options.
///
/// # Safety
///
/// The strings and arrays of `given` are as berth.h requires, and are not changed during the call.
unsafe fn restore_options(given: &berth_restore_options) -> Result<RestoreOptions> {
    let known = BERTH_RESTORE_SHELL_JOB
        | BERTH_RESTORE_TCP_ESTABLISHED
        | BERTH_RESTORE_TCP_CLOSE
        | BERTH_RESTORE_EXTERNAL_UNIX_SOCKETS
        | BERTH_RESTORE_FILE_LOCKS
        | BERTH_RESTORE_LAZY_PAGES
        | BERTH_RESTORE_EMPTY_NETWORK
        | BERTH_RESTORE_AUTO_DEDUP;
    let flags = args::flags(given.flags, known)?;
    let has = |flag: u32| flags & flag != 0;
    let path = |pointer, name| {
        // SAFETY: each path of the options is NULL or a string by the contract.
        let path = unsafe { args::optional_path(pointer, name) }?;
        Ok::<_, Error>(path.map(ToOwned::to_owned))
    };
    let text = |pointer, name| {
        // SAFETY: each string of the options is NULL or one by the contract.
        let text = unsafe { args::optional_text(pointer, name) }?;
        Ok::<_, Error>(text.map(str::to_owned))
    };
    Ok(RestoreOptions {
        // SAFETY: NULL or a string by the contract.
        images: unsafe { args::path(given.images, "images") }?.to_owned(),
        work: path(given.work, "work")?,
        // SAFETY: NULL or options by the contract.
        process: unsafe { process_options::read(given.process) }?,
        shell_job: has(BERTH_RESTORE_SHELL_JOB),
        tcp_established: has(BERTH_RESTORE_TCP_ESTABLISHED),
        tcp_close: has(BERTH_RESTORE_TCP_CLOSE),
        external_unix_sockets: has(BERTH_RESTORE_EXTERNAL_UNIX_SOCKETS),
        file_locks: has(BERTH_RESTORE_FILE_LOCKS),
        auto_dedup: has(BERTH_RESTORE_AUTO_DEDUP),
        lazy_pages: has(BERTH_RESTORE_LAZY_PAGES),
        empty_network: has(BERTH_RESTORE_EMPTY_NETWORK),
        // SAFETY: the same contract.
        veth_pairs: unsafe { veth_pairs(given) }?,
        cgroup_mode: cgroup_mode(given.cgroup_mode)?,
        // SAFETY: the same contract.
        cgroup_roots: unsafe { cgroup_roots(given) }?,
        lsm_profile: text(given.lsm_profile, "lsm_profile")?,
        lsm_mount_context: text(given.lsm_mount_context, "lsm_mount_context")?,
        config_file: path(given.config_file, "config_file")?,
        timeout: timeout(given.timeout_ms)?,
    })
}

fn status(given: &berth_checkpoint_options) -> Result<Option<i32>> {
    const NONE: i32 = berth_stdio::Inherit as i32;
    const FD: i32 = berth_stdio::Fd as i32;
    match (given.status.kind, given.status.fd) {
        (NONE, 0) => Ok(None),
        (FD, fd) => Ok(Some(fd)),
        (kind, fd) => {
            let message = format!("status is kind {kind} with descriptor {fd}; expected BERTH_STDIO_FD, or zeros");
            Err(Error::invalid_argument(message))
        }
    }
}

/// Converts the veth pairs that a restore creates.
///
/// # Safety
///
/// The strings and arrays of `given` are as berth.h requires, and are not changed during the call.
unsafe fn veth_pairs(given: &berth_restore_options) -> Result<Vec<VethPair>> {
    // SAFETY: an array of `veth_pair_count` pairs by the contract.
    let pairs = unsafe { args::elements(given.veth_pairs, given.veth_pair_count, "veth_pairs") }?;
    let copy = |pair: berth_veth_pair| {
        // SAFETY: both are strings by the contract, and are copied at once.
        let (name, host_name) =
            unsafe { (args::text(pair.name, "veth_pairs.name")?, args::text(pair.host_name, "veth_pairs.host_name")?) };
        Ok(VethPair { name: name.to_owned(), host_name: host_name.to_owned() })
    };
    pairs.into_iter().map(copy).collect()
}

/// Converts the roots of the restored cgroups.
///
/// # Safety
///
/// The strings and arrays of `given` are as berth.h requires, and are not changed during the call.
unsafe fn cgroup_roots(given: &berth_restore_options) -> Result<Vec<CgroupRoot>> {
    // SAFETY: an array of `cgroup_root_count` places by the contract.
    let roots = unsafe { args::elements(given.cgroup_roots, given.cgroup_root_count, "cgroup_roots") }?;
    let copy = |root: berth_cgroup_root| {
        // SAFETY: both are strings by the contract, and are copied at once.
        let (controller, path) = unsafe {
            (args::text(root.controller, "cgroup_roots.controller")?, args::text(root.path, "cgroup_roots.path")?)
        };
        Ok(CgroupRoot { controller: controller.to_owned(), path: path.to_owned() })
    };
    roots.into_iter().map(copy).collect()
}

/// Converts the address of the page server.
///
/// # Safety
///
/// The strings and arrays of `given` are as berth.h requires, and are not changed during the call.
unsafe fn page_server(given: &berth_checkpoint_options) -> Result<Option<PageServer>> {
    let port = u16::try_from(given.page_server_port).ok().filter(|port| *port > 0);
    match (given.page_server_address.is_null(), given.page_server_port, port) {
        (true, 0, _) => Ok(None),
        (true, ..) => Err(Error::invalid_argument("page_server_port is given without page_server_address")),
        (false, _, None) => {
            let message = format!("page_server_port is {}; expected 1 to 65535", given.page_server_port);
            Err(Error::invalid_argument(message))
        }
        (false, _, Some(port)) => {
            // SAFETY: a string by the contract.
            let text = unsafe { args::text(given.page_server_address, "page_server_address") }?;
            let wrong = |_| Error::invalid_argument(format!("page_server_address {text:?} is not an IP address"));
            Ok(Some(PageServer { address: text.parse().map_err(wrong)?, port }))
        }
    }
}

fn cgroup_mode(given: i32) -> Result<CgroupMode> {
    const MODES: [(berth_cgroup_mode, CgroupMode); 6] = [
        (berth_cgroup_mode::Soft, CgroupMode::Soft),
        (berth_cgroup_mode::Ignore, CgroupMode::Ignore),
        (berth_cgroup_mode::None, CgroupMode::None),
        (berth_cgroup_mode::Properties, CgroupMode::Properties),
        (berth_cgroup_mode::Full, CgroupMode::Full),
        (berth_cgroup_mode::Strict, CgroupMode::Strict),
    ];
    let found = MODES.into_iter().find(|(constant, _)| *constant as i32 == given).map(|(_, mode)| mode);
    let wrong = || Error::invalid_argument(format!("cgroup_mode is {given}; expected a BERTH_CGROUP_MODE constant"));
    found.ok_or_else(wrong)
}

fn network_lock(given: i32) -> Result<NetworkLock> {
    match given {
        _ if given == berth_network_lock::Nftables as i32 => Ok(NetworkLock::Nftables),
        _ if given == berth_network_lock::Iptables as i32 => Ok(NetworkLock::Iptables),
        _ if given == berth_network_lock::Skip as i32 => Ok(NetworkLock::Skip),
        _ => Err(Error::invalid_argument(format!("network_lock is {given}; expected a BERTH_NETWORK_LOCK constant"))),
    }
}

fn timeout(given: i64) -> Result<Option<Duration>> {
    match u64::try_from(given) {
        Ok(0) => Ok(None),
        Ok(ms) => Ok(Some(Duration::from_millis(ms))),
        Err(_) => Err(Error::invalid_argument(format!("timeout_ms is {given}; expected milliseconds, or 0"))),
    }
}
