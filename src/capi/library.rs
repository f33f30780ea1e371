//! The library itself: version, features, strings, log.

use std::ffi::{c_char, c_void};
use std::mem::MaybeUninit;

use super::boundary::{call, infallible};
use super::error::berth_error;
use super::{args, memory};
use crate::error::Error;
use crate::log;

/// The version of the ABI that this header describes. It grows by one whenever functions, constants or members are
/// added; nothing is removed or changed under the same soname. Compare with berth_abi_version().
pub const BERTH_ABI_VERSION: u32 = 2;

/// The major version of this header, for the preprocessor. Compare with berth_version().
pub const BERTH_VERSION_MAJOR: u32 = 0;
/// The minor version of this header.
pub const BERTH_VERSION_MINOR: u32 = 1;
/// The patch version of this header.
pub const BERTH_VERSION_PATCH: u32 = 0;

// cbindgen needs numbers; these must be Cargo.toml's.
const _: () = assert!(
    BERTH_VERSION_MAJOR == number(env!("CARGO_PKG_VERSION_MAJOR"))
        && BERTH_VERSION_MINOR == number(env!("CARGO_PKG_VERSION_MINOR"))
        && BERTH_VERSION_PATCH == number(env!("CARGO_PKG_VERSION_PATCH"))
);

const fn number(text: &str) -> u32 {
    match u32::from_str_radix(text, 10) {
        Ok(number) => number,
        Err(_) => panic!("cargo's version is not a number"),
    }
}

/// The severity of a log line.
#[repr(i32)]
#[derive(Clone, Copy)]
pub enum berth_log_level {
    Error = 1,
    Warn = 2,
    Info = 3,
    Debug = 4,
    Trace = 5,
}

impl From<::log::Level> for berth_log_level {
    fn from(level: ::log::Level) -> berth_log_level {
        match level {
            ::log::Level::Error => berth_log_level::Error,
            ::log::Level::Warn => berth_log_level::Warn,
            ::log::Level::Info => berth_log_level::Info,
            ::log::Level::Debug => berth_log_level::Debug,
            ::log::Level::Trace => berth_log_level::Trace,
        }
    }
}

/// Receives a log line: a BERTH_LOG_LEVEL_... constant, the module that logs ("berth::container::delete"), and a
/// message without a newline. Both strings are valid during the call only.
pub type berth_log_callback =
    Option<unsafe extern "C" fn(userdata: *mut c_void, level: i32, target: *const c_char, message: *const c_char)>;

/// Return the library's version ("0.1.0"). The string is valid for ever.
#[unsafe(no_mangle)]
pub extern "C" fn berth_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// Return the version of the library's ABI. If it is not less than the BERTH_ABI_VERSION that a program was compiled
/// with, the library has every function and constant that the program knows.
#[unsafe(no_mangle)]
pub extern "C" fn berth_abi_version() -> u32 {
    BERTH_ABI_VERSION
}

/// Check whether the library has a feature. Returns 1 or 0; 0 for unknown names and NULL. The host's kernel may still
/// lack what the feature needs; the calls report that.
///
/// Known names: "create", "start", "run", "exec", "load", "list", "delete", "recover", "signal", "pause", "set", "stats",
/// "events", "checkpoint", "wait", "pidfd", "hooks", "terminal", "console-socket", "extra-fds", "explain", "features",
/// "log", "seccomp", "apparmor", "selinux", "networks", "net-devices", "interfaces", "cgroup-v1", "cgroup-v2",
/// "systemd", and the namespaces: "namespace-cgroup", "namespace-ipc", "namespace-mount", "namespace-network",
/// "namespace-pid", "namespace-time", "namespace-user", "namespace-uts".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_has_feature(name: *const c_char) -> i32 {
    // SAFETY: berth.h requires NULL or a string.
    infallible(0, || unsafe { args::text(name, "name") }.is_ok_and(crate::features::has).into())
}

/// Return the features document of the OCI runtime specification (features.md): the versions, hooks, mount options,
/// namespaces, capabilities and so on that berth_config_from_json accepts. It describes this library;
/// berth_container_create fails where the kernel lacks a feature.
///
/// Release `json` with berth_string_free. Makes no system call. Errors: BERTH_E_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub extern "C" fn berth_features_json(
    json: Option<&mut MaybeUninit<*mut c_char>>,
    error: Option<&mut MaybeUninit<*mut berth_error>>,
) -> i32 {
    call(error, || memory::give_text(args::out_pointer(json, "json")?, &crate::features::json()))
}

/// Send the log to a callback; NULL disables it. Until a berth_log_set_... function is called the library does not log.
/// Errors are always returned by the calls themselves; no program needs the log to work.
///
/// The library calls the callback from any thread that is inside one of its calls, at most once at a time per thread:
/// lines logged by the callback's own thread while it runs are dropped. The callback should return soon, must not
/// unwind or longjmp, and must not call berth_log_set_callback or berth_log_set_fd (BERTH_E_BUSY). When this function
/// returns, no thread is in the previous callback and none will be: its userdata may be freed.
///
/// Replaces a descriptor that was set before. Blocks while another thread is in the previous callback.
///
/// Errors: BERTH_E_UNSUPPORTED if the program is written in Rust and has installed a logger of its own, BERTH_E_BUSY.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_log_set_callback(
    callback: berth_log_callback,
    userdata: *mut c_void,
    error: Option<&mut MaybeUninit<*mut berth_error>>,
) -> i32 {
    // SAFETY: berth.h requires a function that any thread may call with this userdata.
    call(error, || log::set(callback.map(|callback| unsafe { adapted(callback, userdata) })))
}

/// # Safety
///
/// `callback` may be called by any thread with this `userdata`, until the log is redirected.
unsafe fn adapted(
    callback: unsafe extern "C" fn(*mut c_void, i32, *const c_char, *const c_char),
    userdata: *mut c_void,
) -> log::Sink {
    struct Userdata(*mut c_void);
    // SAFETY: the library only hands it back, which any thread may do by the contract.
    unsafe impl Send for Userdata {}
    // SAFETY: as above.
    unsafe impl Sync for Userdata {}
    let userdata = Userdata(userdata);
    log::Sink::Function(Box::new(move |level, target: &str, message: &str| {
        let Userdata(userdata) = &userdata;
        let (target, message) = (memory::c_string(target), memory::c_string(message));
        // SAFETY: this function's own contract; both strings live until the call returns.
        unsafe { callback(*userdata, berth_log_level::from(level) as i32, target.as_ptr(), message.as_ptr()) }
    }))
}

/// Send the log to a descriptor, which is duplicated; -1 disables it. Each line is a JSON object with the members
/// "time" (RFC 3339), "level" ("error", "warn", "info", "debug", "trace"), "target" and "msg", written with one
/// write(2).
///
/// Logging never blocks a call or makes it fail: a line that a full pipe or socket cannot take at once is dropped, and
/// so is every line once the reader is gone, without SIGPIPE.
///
/// Replaces a callback that was set before. Blocks while another thread is in it.
///
/// Errors: as berth_log_set_callback; BERTH_E_INVALID_ARGUMENT if `fd` is not an open descriptor.
#[unsafe(no_mangle)]
pub extern "C" fn berth_log_set_fd(fd: i32, error: Option<&mut MaybeUninit<*mut berth_error>>) -> i32 {
    call(error, || {
        log::set(match fd {
            -1 => None,
            fd => Some(log::Sink::Lines(crate::process::duplicate(fd, "fd")?)),
        })
    })
}

/// Set the most detailed level that is logged, a BERTH_LOG_LEVEL_... constant. The default is BERTH_LOG_LEVEL_DEBUG.
/// May be called at any time from any thread, but not from inside the log callback (BERTH_E_BUSY).
///
/// BERTH_LOG_LEVEL_TRACE is for profiling: each call logs when it passes a stage. Such a line has the target
/// "berth::point" and consists of the stage's name ("create.cgroups"), a space, and the nanoseconds of CLOCK_MONOTONIC
/// (clock_gettime(2)). The names may change between versions.
///
/// Errors: BERTH_E_INVALID_ARGUMENT if the level is not one of the constants, BERTH_E_BUSY.
#[unsafe(no_mangle)]
pub extern "C" fn berth_log_set_level(level: i32, error: Option<&mut MaybeUninit<*mut berth_error>>) -> i32 {
    call(error, || {
        let known = ::log::Level::iter().find(|known| berth_log_level::from(*known) as i32 == level);
        let unknown = || Error::invalid_argument(format!("level is {level}; expected a BERTH_LOG_LEVEL_... constant"));
        log::set_level(known.ok_or_else(unknown)?)
    })
}

/// Release a string that a function of this library has returned. NULL is ignored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_string_free(string: *mut c_char) {
    // SAFETY: berth.h requires NULL or a string that this library gave out, once.
    unsafe { memory::release(string) };
}
