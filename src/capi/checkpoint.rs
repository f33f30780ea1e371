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
use crate::criu::{self, CgroupMode, CgroupRoot, CheckpointOptions, NetworkLock, PageServer, RestoreOptions, VethPair};
use crate::error::{Error, Result};

/// The container runs on after the checkpoint. Otherwise it is stopped.
pub const BERTH_CHECKPOINT_LEAVE_RUNNING: u32 = 1;
/// Only memory is dumped, and the container runs on: the next checkpoint, with these images as parent_images, has only what
/// has changed since. May be repeated. Needs a kernel with memory tracking (else BERTH_E_UNSUPPORTED).
pub const BERTH_CHECKPOINT_PRE_DUMP: u32 = 2;
/// The container's terminal, or its session, are the caller's. The same flag is needed for the restore.
pub const BERTH_CHECKPOINT_SHELL_JOB: u32 = 4;
/// Established TCP connections. The same flag is needed for the restore.
pub const BERTH_CHECKPOINT_TCP_ESTABLISHED: u32 = 8;
/// TCP connections that are not established yet are left out; otherwise they are an error.
pub const BERTH_CHECKPOINT_TCP_SKIP_IN_FLIGHT: u32 = 16;
/// Unix sockets whose other end is outside of the container. The same flag is needed for the restore.
pub const BERTH_CHECKPOINT_EXTERNAL_UNIX_SOCKETS: u32 = 32;
/// File locks. The same flag is needed for the restore.
pub const BERTH_CHECKPOINT_FILE_LOCKS: u32 = 64;
/// Memory stays here until a restore elsewhere asks for it, at page_server_address and page_server_port: the checkpoint
/// waits for that. Needs a kernel with userfaultfd (else BERTH_E_UNSUPPORTED).
pub const BERTH_CHECKPOINT_LAZY_PAGES: u32 = 128;
/// What is in the container's network namespace is not dumped. The same flag is needed for the restore.
pub const BERTH_CHECKPOINT_EMPTY_NETWORK: u32 = 256;
/// Pages that are in the images of parent_images, too, are removed there.
pub const BERTH_CHECKPOINT_AUTO_DEDUP: u32 = 512;
/// Open files that have lost their name get one, in their directory, for the time of the checkpoint.
pub const BERTH_CHECKPOINT_LINK_REMAP: u32 = 1024;

/// As BERTH_CHECKPOINT_SHELL_JOB; the container's standard input is given in `process`.
pub const BERTH_RESTORE_SHELL_JOB: u32 = 4;
/// As BERTH_CHECKPOINT_TCP_ESTABLISHED.
pub const BERTH_RESTORE_TCP_ESTABLISHED: u32 = 8;
/// Established TCP connections are restored as closed ones.
pub const BERTH_RESTORE_TCP_CLOSE: u32 = 16;
/// As BERTH_CHECKPOINT_EXTERNAL_UNIX_SOCKETS.
pub const BERTH_RESTORE_EXTERNAL_UNIX_SOCKETS: u32 = 32;
/// As BERTH_CHECKPOINT_FILE_LOCKS.
pub const BERTH_RESTORE_FILE_LOCKS: u32 = 64;
/// Memory is asked for when it is used, of a `criu lazy-pages` that works in the same work directory.
pub const BERTH_RESTORE_LAZY_PAGES: u32 = 128;
/// As BERTH_CHECKPOINT_EMPTY_NETWORK.
pub const BERTH_RESTORE_EMPTY_NETWORK: u32 = 256;
/// Pages are removed from the images as soon as they are restored.
pub const BERTH_RESTORE_AUTO_DEDUP: u32 = 512;

/// What becomes of cgroups that the container has made below its own, and of their values, at a restore. The container's
/// own cgroups and limits are always those of the configuration.
#[repr(i32)]
#[derive(Clone, Copy)]
pub enum berth_cgroup_mode {
    /// They are made again; values are restored in those that are made. The default.
    Soft = 0,
    /// Nothing is dumped or made: all processes are in the container's own cgroups.
    Ignore = 1,
    /// All must be there already.
    None = 2,
    /// All must be there already, and get their values.
    Properties = 3,
    /// They are made if missing, and all get their values.
    Full = 4,
    /// None may be there, all are made. On cgroup v1 CRIU counts the container's own, and refuses a restore.
    Strict = 5,
}

/// What holds back the packets of TCP connections while the container stands still. A restore ends what its images were made
/// with.
#[repr(i32)]
#[derive(Clone, Copy)]
pub enum berth_network_lock {
    /// The kernel's nftables, by CRIU itself. The default.
    Nftables = 0,
    /// The programs iptables-restore and ip6tables-restore of the host. Their rules stay if CRIU is killed.
    Iptables = 1,
    /// Nothing: what arrives while nobody is there ends the connection.
    Skip = 2,
}

/// How a container is to be dumped. Fill with berth_checkpoint_options_init, or with zeros and the size.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct berth_checkpoint_options {
    /// sizeof(berth_checkpoint_options).
    pub size: usize,
    /// The directory for the images; made if missing. Required.
    pub images: *const c_char,
    /// The directory for CRIU's log and the other files of its work; made if missing. NULL: one in the container's state.
    pub work: *const c_char,
    /// The images of the checkpoint or pre-dump before, absolute or as seen from `images`; NULL if there are none. Needs a
    /// kernel with memory tracking (else BERTH_E_UNSUPPORTED).
    pub parent_images: *const c_char,
    /// An IP address at which a `criu page-server` takes the memory, which then is not in `images`. With
    /// BERTH_CHECKPOINT_LAZY_PAGES, the address of this host at which it is given. NULL: none.
    pub page_server_address: *const c_char,
    /// A file of options of CRIU's, which overrule all others (criu(8), "configuration files"). NULL: none.
    pub config_file: *const c_char,
    /// How long CRIU may take. 0: ten minutes.
    pub timeout_ms: i64,
    /// BERTH_CHECKPOINT_... flags.
    pub flags: u32,
    /// A BERTH_CGROUP_MODE_... constant.
    pub cgroup_mode: i32,
    /// With BERTH_CHECKPOINT_LAZY_PAGES: BERTH_STDIO_FD and a descriptor of the caller, to which a NUL byte is written when
    /// pages can be asked for. Zeros: none.
    pub status: berth_stream,
    /// The TCP port that belongs to page_server_address, 1 to 65535. 0: none.
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

/// A pair of links that a restore makes: its name in the container, and that of its other end on the host.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct berth_veth_pair {
    pub name: *const c_char,
    pub host_name: *const c_char,
}

/// A cgroup in which the tree of the images begins. `controller` is a v1 controller, "name=..." for a named hierarchy, or ""
/// for the v2 tree; `path` is a cgroup as /proc/<pid>/cgroup spells it, which must be the container's own or below it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct berth_cgroup_root {
    pub controller: *const c_char,
    pub path: *const c_char,
}

/// How a container is to be restored. Fill with berth_restore_options_init, or with zeros and the size.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct berth_restore_options {
    /// sizeof(berth_restore_options).
    pub size: usize,
    /// The directory with the images. Required.
    pub images: *const c_char,
    /// As in berth_checkpoint_options.
    pub work: *const c_char,
    /// Where standard streams lead that were pipes, and where the terminal's master goes. A stream that was no pipe is as it
    /// was, and must be left at its default here. extra_fds must be empty. NULL: the default.
    pub process: *const berth_process_options,
    /// `veth_pair_count` pairs, beside those of the configuration's networks. NULL if there are none.
    pub veth_pairs: *const berth_veth_pair,
    pub veth_pair_count: usize,
    /// `cgroup_root_count` places, instead of the container's own cgroups. NULL if there are none.
    pub cgroup_roots: *const berth_cgroup_root,
    pub cgroup_root_count: usize,
    /// The security profile instead of the dumped one: "apparmor:NAME" or "selinux:LABEL". NULL: the dumped one.
    pub lsm_profile: *const c_char,
    /// An SELinux label for the restored mounts. NULL: none.
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

/// Makes the options the default: zeros, and the size. `size` is sizeof(berth_checkpoint_options); nothing beyond it is
/// written. NULL is left alone.
#[unsafe(no_mangle)]
pub extern "C" fn berth_checkpoint_options_init(options: *mut berth_checkpoint_options, size: usize) {
    infallible((), || sized::init(options, size));
}

/// Makes the options the default: zeros, and the size. `size` is sizeof(berth_restore_options); nothing beyond it is
/// written. NULL is left alone.
#[unsafe(no_mangle)]
pub extern "C" fn berth_restore_options_init(options: *mut berth_restore_options, size: usize) {
    infallible((), || sized::init(options, size));
}

/// What CRIU can do here, as a JSON object: "path", "version" ("4.1.1"), "usable" (whether this library can work with that
/// version), "kernel" ("supported", and in "says" the lines of CRIU's own check, criu(8) "check"), and "features"
/// ("memoryTracking", "lazyPages", "pidfdStore").
///
/// `json` is released with berth_string_free. Starts CRIU and blocks until it has answered, at most a minute. Changes nothing.
///
/// Errors: BERTH_E_UNSUPPORTED with ENOENT if there is no CRIU; BERTH_E_CRIU if it does not answer as CRIU does;
/// BERTH_E_TIMEOUT.
#[unsafe(no_mangle)]
pub extern "C" fn berth_criu_check(
    runtime: Option<&berth_runtime>,
    json: Option<&mut MaybeUninit<*mut c_char>>,
    error: Option<&mut MaybeUninit<*mut berth_error>>,
) -> i32 {
    call(error, || {
        let slot = args::out_pointer(json, "json")?;
        memory::give_text(slot, &criu::check_json(&args::handle(runtime, "runtime")?.0)?)
    })
}

/// Dumps the processes of a running or paused container into images, from which berth_container_restore makes them anew, here
/// or on another host. Afterwards the container is stopped (berth_container_delete removes what is left of it), unless
/// `options` let it run on.
///
/// The images are those of criu(8), with "descriptors.json" beside them: a JSON array of what the standard streams were. It is
/// written last: a directory without it is no checkpoint. docs/checkpoint.md says what cannot be dumped, and what to do.
///
/// Blocks until CRIU is done, at most the timeout of the options; other calls that change the container wait meanwhile. The
/// container's networks are off their bridges while its processes stand still.
///
/// After an error the container goes on as before, or is paused as before; a directory that was made for the images is gone.
///
/// Errors: BERTH_E_CRIU with CRIU's errno, its first errors and advice in the message, and in berth_error_detail_json "log",
/// the end of its log, and "log_file", where all of it is; BERTH_E_TIMEOUT, after which CRIU was killed; BERTH_E_UNSUPPORTED
/// if there is no CRIU, the kernel lacks what the options need, the configuration has a namespace that cannot be dumped, or
/// the container has a process that does not descend from its init; BERTH_E_NOT_RUNNING, BERTH_E_NOT_FOUND, BERTH_E_BUSY.
#[unsafe(no_mangle)]
pub extern "C" fn berth_container_checkpoint(
    container: Option<&berth_container>,
    options: *const berth_checkpoint_options,
    error: Option<&mut MaybeUninit<*mut berth_error>>,
) -> i32 {
    call(error, || {
        let container = &args::handle(container, "container")?.container;
        container.checkpoint(&checkpoint_options(&sized::read_required(options, "options")?)?)
    })
}

/// Makes a container from the images of a checkpoint. Its processes go on where they were.
///
/// `id` must be free: a stopped container of the same id is deleted first (berth_container_delete). `config` says what the
/// container may be and do: its namespaces, mounts, cgroups, limits, networks and hooks are taken from there, not from the
/// images, and must be the dumped container's but for paths of the host. `options` are required: they name the images.
/// `container` is released with berth_container_free; its init is a child of the calling process, and everything can be done
/// with it that can be done with one that was started.
///
/// Images are data that CRIU, which is root, acts upon: take them only from those whom you would let run the container. What
/// goes beyond the configuration (namespaces, cgroups, capabilities, new privileges) is an error before anything runs.
///
/// Runs the prestart and createRuntime hooks when the namespaces are there, and no others. Blocks until the processes run, at
/// most the timeout of the options and the time of the hooks. After an error nothing is left.
///
/// Errors: as berth_container_create and berth_container_checkpoint; BERTH_E_INVALID_ARGUMENT if a stream is to be led
/// elsewhere that was no pipe; BERTH_E_SYSTEM with ENOENT if the directory holds no checkpoint.
#[unsafe(no_mangle)]
pub extern "C" fn berth_container_restore(
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
        let id = args::text(id, "id")?;
        let config = &args::handle(config, "config")?.0;
        let made =
            Container::restore(runtime, id, config, &restore_options(&sized::read_required(options, "options")?)?)?;
        args::give(slot, berth_container::from(made));
        Ok(())
    })
}

fn checkpoint_options(given: &berth_checkpoint_options) -> Result<CheckpointOptions> {
    let known = (BERTH_CHECKPOINT_LINK_REMAP << 1) - 1;
    let flags = args::flags(given.flags, known)?;
    let has = |flag: u32| flags & flag != 0;
    let path = |pointer, name| Ok::<_, Error>(args::optional_path(pointer, name)?.map(ToOwned::to_owned));
    Ok(CheckpointOptions {
        images: args::path(given.images, "images")?.to_owned(),
        work: path(given.work, "work")?,
        leave_running: has(BERTH_CHECKPOINT_LEAVE_RUNNING),
        pre_dump: has(BERTH_CHECKPOINT_PRE_DUMP),
        parent_images: path(given.parent_images, "parent_images")?,
        auto_dedup: has(BERTH_CHECKPOINT_AUTO_DEDUP),
        page_server: page_server(given)?,
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

fn restore_options(given: &berth_restore_options) -> Result<RestoreOptions> {
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
    let path = |pointer, name| Ok::<_, Error>(args::optional_path(pointer, name)?.map(ToOwned::to_owned));
    let text = |pointer: *const c_char, name| {
        (!pointer.is_null()).then(|| args::text(pointer, name).map(str::to_owned)).transpose()
    };
    let pairs = args::elements(given.veth_pairs, given.veth_pair_count, "veth_pairs")?.into_iter().map(|pair| {
        Ok(VethPair {
            name: args::text(pair.name, "veth_pairs.name")?.to_owned(),
            host_name: args::text(pair.host_name, "veth_pairs.host_name")?.to_owned(),
        })
    });
    let roots = args::elements(given.cgroup_roots, given.cgroup_root_count, "cgroup_roots")?.into_iter().map(|root| {
        Ok(CgroupRoot {
            controller: args::text(root.controller, "cgroup_roots.controller")?.to_owned(),
            path: args::text(root.path, "cgroup_roots.path")?.to_owned(),
        })
    });
    Ok(RestoreOptions {
        images: args::path(given.images, "images")?.to_owned(),
        work: path(given.work, "work")?,
        process: process_options::read(given.process)?,
        shell_job: has(BERTH_RESTORE_SHELL_JOB),
        tcp_established: has(BERTH_RESTORE_TCP_ESTABLISHED),
        tcp_close: has(BERTH_RESTORE_TCP_CLOSE),
        external_unix_sockets: has(BERTH_RESTORE_EXTERNAL_UNIX_SOCKETS),
        file_locks: has(BERTH_RESTORE_FILE_LOCKS),
        auto_dedup: has(BERTH_RESTORE_AUTO_DEDUP),
        lazy_pages: has(BERTH_RESTORE_LAZY_PAGES),
        empty_network: has(BERTH_RESTORE_EMPTY_NETWORK),
        veth_pairs: pairs.collect::<Result<_>>()?,
        cgroup_mode: cgroup_mode(given.cgroup_mode)?,
        cgroup_roots: roots.collect::<Result<_>>()?,
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

fn page_server(given: &berth_checkpoint_options) -> Result<Option<PageServer>> {
    let port = u16::try_from(given.page_server_port).ok().filter(|port| *port > 0);
    match (given.page_server_address.is_null(), given.page_server_port, port) {
        (true, 0, _) => Ok(None),
        (true, ..) => Err(Error::invalid_argument("page_server_port is given without page_server_address")),
        (false, _, None) => {
            let message = format!("page_server_port is {}; expected 1 to 65535", given.page_server_port);
            Err(Error::invalid_argument(message))
        }
        (false, _, Some(port)) => {
            let text = args::text(given.page_server_address, "page_server_address")?;
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
