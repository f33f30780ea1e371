//! A container, from create to delete.

use std::ffi::{CString, c_char};
use std::mem::MaybeUninit;

use super::boundary::{call, infallible};
use super::config::berth_config;
use super::error::berth_error;
use super::process::berth_process;
use super::process_options::{self, berth_process_options};
use super::runtime::berth_runtime;
use super::{args, memory};
use crate::container::Container;
use crate::container::delete::Force;
use crate::container::signal::Recipients;
use crate::error::Result;
use crate::process::ProcessOptions;
use crate::runtime::Runtime;
use crate::spec::{self, Config};

/// For berth_container_signal: signal every process of the container.
pub const BERTH_SIGNAL_ALL: u32 = 1;

/// For berth_container_delete: kill the container first if it is running.
pub const BERTH_DELETE_FORCE: u32 = 1;

/// A handle of one container. Several handles, also in several processes, may refer to the same container. Release with
/// berth_container_free.
pub struct berth_container {
    pub(super) container: Container,
    pub(super) id: CString,
}

impl From<Container> for berth_container {
    fn from(container: Container) -> berth_container {
        let id = memory::c_string(container.id());
        berth_container { container, id }
    }
}

/// Makes a container with `make`, from the arguments of the C function.
///
/// # Safety
///
/// `id` is NULL or a string, and `options` is NULL or options.
unsafe fn make(
    make: fn(&Runtime, &str, &Config, &ProcessOptions) -> Result<Container>,
    runtime: Option<&berth_runtime>,
    id: *const c_char,
    config: Option<&berth_config>,
    options: *const berth_process_options,
    container: Option<&mut MaybeUninit<*mut berth_container>>,
) -> Result<()> {
    let slot = args::out_pointer(container, "container")?;
    let runtime = &args::handle(runtime, "runtime")?.0;
    // SAFETY: this function's own contract.
    let id = unsafe { args::text(id, "id") }?;
    let config = &args::handle(config, "config")?.0;
    // SAFETY: this function's own contract.
    let options = unsafe { process_options::read(options) }?;
    args::give(slot, berth_container::from(make(runtime, id, config, &options)?));
    Ok(())
}

/// Create a container (OCI "create"): set up namespaces, cgroups, root filesystem and hooks. Init then waits for
/// berth_container_start. The status is BERTH_STATUS_CREATED.
///
/// `id`: 1 to 200 letters, digits and any of "_+-.", the first one not "+", "-" or "."; unique in the state root.
/// `options` is optional; the streams and the terminal that it asks for belong to berth_container_init_process. Release
/// `container` with berth_container_free. Init is a child of the caller.
///
/// Blocks until setup is complete: at most the setup timeout, plus the time of the hooks. After an error nothing is
/// left behind.
///
/// Errors: BERTH_E_ID_INVALID, BERTH_E_ID_IN_USE; BERTH_E_CONFIG_INVALID and BERTH_E_UNSUPPORTED as berth_config_validate,
/// before anything is created; BERTH_E_CONSOLE_EXISTS if `options` ask for streams although the process has a terminal;
/// BERTH_E_HOOK; BERTH_E_TIMEOUT; BERTH_E_SYSTEM, at BERTH_STAGE_INIT with the step that failed inside the container.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_container_create(
    runtime: Option<&berth_runtime>,
    id: *const c_char,
    config: Option<&berth_config>,
    options: *const berth_process_options,
    container: Option<&mut MaybeUninit<*mut berth_container>>,
    error: Option<&mut MaybeUninit<*mut berth_error>>,
) -> i32 {
    // SAFETY: berth.h requires NULL or a string, and for NULL or options.
    call(error, || unsafe { make(Container::create, runtime, id, config, options, container) })
}

/// Create and start a container: berth_container_create and berth_container_start in one call. After an error nothing
/// is left behind. Errors: as both.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_container_run(
    runtime: Option<&berth_runtime>,
    id: *const c_char,
    config: Option<&berth_config>,
    options: *const berth_process_options,
    container: Option<&mut MaybeUninit<*mut berth_container>>,
    error: Option<&mut MaybeUninit<*mut berth_error>>,
) -> i32 {
    // SAFETY: berth.h requires NULL or a string, and for NULL or options.
    call(error, || unsafe { make(Container::run, runtime, id, config, options, container) })
}

/// Open an existing container, created by this or another process. Release `container` with berth_container_free.
///
/// Errors: BERTH_E_NOT_FOUND, BERTH_E_ID_INVALID.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_container_load(
    runtime: Option<&berth_runtime>,
    id: *const c_char,
    container: Option<&mut MaybeUninit<*mut berth_container>>,
    error: Option<&mut MaybeUninit<*mut berth_error>>,
) -> i32 {
    call(error, || {
        let slot = args::out_pointer(container, "container")?;
        let runtime = &args::handle(runtime, "runtime")?.0;
        // SAFETY: berth.h requires NULL or a string.
        let id = unsafe { args::text(id, "id") }?;
        args::give(slot, berth_container::from(runtime.load(id)?));
        Ok(())
    })
}

/// Release a handle. The container is not affected. NULL is ignored.
#[unsafe(no_mangle)]
pub extern "C" fn berth_container_free(container: Option<Box<berth_container>>) {
    infallible((), || drop(container));
}

/// Start a created container (OCI "start"). Returns when its program runs. Any process may call it, not only the
/// creator.
///
/// Blocks for the time of the startContainer and poststart hooks. If the program cannot be executed, the error says
/// why, and the container is stopped. If a startContainer or poststart hook fails, the container is deleted, and its
/// poststop hooks run (OCI runtime specification, "Lifecycle"); the handle stays valid and returns BERTH_E_NOT_FOUND.
///
/// Errors: BERTH_E_ALREADY_RUNNING, BERTH_E_PAUSED, BERTH_E_NOT_RUNNING if it is stopped; BERTH_E_NOT_FOUND if it was
/// deleted; BERTH_E_HOOK; BERTH_E_TIMEOUT; BERTH_E_BUSY.
#[unsafe(no_mangle)]
pub extern "C" fn berth_container_start(
    container: Option<&berth_container>,
    error: Option<&mut MaybeUninit<*mut berth_error>>,
) -> i32 {
    call(error, || args::handle(container, "container")?.container.start())
}

/// Execute another process in the container. Returns when its program runs. `process_json` is an OCI "process" object,
/// validated like that of a configuration; capabilities and other security settings that it omits are the container's
/// own. `options` is optional. Release `process` with berth_process_free; it is a child of the caller.
///
/// The container must be running or created. Blocks at most the setup timeout.
///
/// Errors: BERTH_E_NOT_RUNNING, BERTH_E_PAUSED, BERTH_E_NOT_FOUND; BERTH_E_CONFIG_INVALID and BERTH_E_UNSUPPORTED with
/// the JSON path in `process_json` ("args[0]"); BERTH_E_CONSOLE_EXISTS; BERTH_E_TIMEOUT; BERTH_E_SYSTEM at BERTH_STAGE_INIT
/// with ENOENT if there is no such program.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_container_exec(
    container: Option<&berth_container>,
    process_json: *const c_char,
    options: *const berth_process_options,
    process: Option<&mut MaybeUninit<*mut berth_process>>,
    error: Option<&mut MaybeUninit<*mut berth_error>>,
) -> i32 {
    call(error, || {
        let slot = args::out_pointer(process, "process")?;
        let container = &args::handle(container, "container")?.container;
        // SAFETY: berth.h requires NULL or a string.
        let process = spec::parse_process(unsafe { args::text(process_json, "process_json") }?)?;
        // SAFETY: berth.h requires NULL or options.
        let options = unsafe { process_options::read(options) }?;
        args::give(slot, berth_process(container.exec(&process, &options)?));
        Ok(())
    })
}

/// Send a signal to the container's init, or with BERTH_SIGNAL_ALL in `flags` to all its processes. A paused container
/// handles SIGKILL at once and other signals when it is resumed.
///
/// Blocks only with BERTH_SIGNAL_ALL: for SIGKILL until the processes are gone, for other signals until every process
/// has received it; at most the cgroup timeout.
///
/// Errors: BERTH_E_NOT_RUNNING if init has ended, BERTH_E_NOT_FOUND, BERTH_E_TIMEOUT; BERTH_E_BUSY with
/// BERTH_SIGNAL_ALL.
#[unsafe(no_mangle)]
pub extern "C" fn berth_container_signal(
    container: Option<&berth_container>,
    signal: i32,
    flags: u32,
    error: Option<&mut MaybeUninit<*mut berth_error>>,
) -> i32 {
    call(error, || {
        let container = &args::handle(container, "container")?.container;
        let all = args::flags(flags, BERTH_SIGNAL_ALL)? & BERTH_SIGNAL_ALL != 0;
        container.signal(signal, if all { Recipients::All } else { Recipients::Init })
    })
}

/// Freeze all processes of a running or created container (cgroups(7), freezer). Returns when the kernel reports that
/// they are frozen. Blocks at most the cgroup timeout; if they cannot be frozen by then, they keep running.
///
/// Errors: BERTH_E_PAUSED if it is already, BERTH_E_NOT_RUNNING, BERTH_E_NOT_FOUND, BERTH_E_TIMEOUT, BERTH_E_BUSY.
#[unsafe(no_mangle)]
pub extern "C" fn berth_container_pause(
    container: Option<&berth_container>,
    error: Option<&mut MaybeUninit<*mut berth_error>>,
) -> i32 {
    call(error, || args::handle(container, "container")?.container.pause())
}

/// Resume a paused container. Blocks as berth_container_pause.
///
/// Errors: BERTH_E_NOT_PAUSED, BERTH_E_NOT_FOUND, BERTH_E_TIMEOUT, BERTH_E_BUSY.
#[unsafe(no_mangle)]
pub extern "C" fn berth_container_resume(
    container: Option<&berth_container>,
    error: Option<&mut MaybeUninit<*mut berth_error>>,
) -> i32 {
    call(error, || args::handle(container, "container")?.container.resume())
}

/// Update the limits of a running, created or paused container. `resources_json` is an OCI "linux.resources" object.
/// Its members replace the current ones, one by one and lists as a whole; members that it omits do not change,
/// including device rules. The result is saved: berth_container_config_json returns it, and later updates start from
/// it.
///
/// In addition to the members of "linux.resources" it may have "intelRdt" with "l3CacheSchema", "memBwSchema" and
/// "schemata" of "linux.intelRdt", for a container whose configuration has that.
///
/// If any step fails, the previous values are written back and nothing is saved. If the kernel refuses that, "restored"
/// in berth_error_detail_json is false, and the message says which values could not be restored.
///
/// Errors: BERTH_E_CONFIG_INVALID with the field's JSON path in the configuration ("linux.resources.memory.limit"),
/// before anything was changed; BERTH_E_UNSUPPORTED if the host has no such limit; BERTH_E_SYSTEM if the kernel rejects
/// a value, with the field, the file, the value and the reason; BERTH_E_NOT_RUNNING, BERTH_E_NOT_FOUND, BERTH_E_BUSY.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_container_set(
    container: Option<&berth_container>,
    resources_json: *const c_char,
    error: Option<&mut MaybeUninit<*mut berth_error>>,
) -> i32 {
    call(error, || {
        let container = &args::handle(container, "container")?.container;
        // SAFETY: berth.h requires NULL or a string.
        container.set(unsafe { args::text(resources_json, "resources_json") }?)
    })
}

/// Delete a stopped container (OCI "delete"): remove remaining processes, cgroups and state, then run its poststop
/// hooks (a failing one is only logged). With BERTH_DELETE_FORCE in `flags`, kill a container in any state first; this
/// also removes what a killed creator left behind. Afterwards the id can be used again. Handles stay valid; their calls
/// fail with BERTH_E_NOT_FOUND. A handle keeps an exit status that it has read.
///
/// Blocks until everything is removed: at most twice the cgroup timeout, plus the time of the hooks. After an error it
/// can be called again.
///
/// Errors: BERTH_E_NOT_STOPPED, BERTH_E_NOT_FOUND, BERTH_E_TIMEOUT if a process could not be killed, BERTH_E_BUSY.
#[unsafe(no_mangle)]
pub extern "C" fn berth_container_delete(
    container: Option<&berth_container>,
    flags: u32,
    error: Option<&mut MaybeUninit<*mut berth_error>>,
) -> i32 {
    call(error, || {
        let container = &args::handle(container, "container")?.container;
        let force = args::flags(flags, BERTH_DELETE_FORCE)? & BERTH_DELETE_FORCE != 0;
        container.delete(if force { Force::Kill } else { Force::No })
    })
}
