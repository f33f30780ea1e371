//! Errors as objects, and descriptions of error codes.

use std::ffi::{CString, c_char};
use std::sync::LazyLock;

use nix::errno::Errno;

use super::boundary::infallible;
use super::memory::c_string;
use crate::error::{Code, Error};

/// The reason why a call failed. Immutable, readable from any thread. Release with berth_error_free.
pub struct berth_error {
    code: i32,
    errno: i32,
    stage: i32,
    message: CString,
    detail: CString,
}

impl From<Error> for berth_error {
    fn from(error: Error) -> berth_error {
        let detail = serde_json::Value::Object(error.detail).to_string();
        berth_error {
            code: error.code as i32,
            errno: error.errno.map_or(0, |errno: Errno| errno as i32),
            stage: error.stage as i32,
            message: c_string(&error.message),
            detail: c_string(&detail),
        }
    }
}

#[cfg(test)]
impl berth_error {
    pub fn message(&self) -> &std::ffi::CStr {
        &self.message
    }
}

/// Return the error's BERTH_E_... code; 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn berth_error_code(error: Option<&berth_error>) -> i32 {
    error.map_or(0, |error| error.code)
}

/// Return the errno(3) of the failed system call; 0 if there was none, and for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn berth_error_errno(error: Option<&berth_error>) -> i32 {
    error.map_or(0, |error| error.errno)
}

/// Return the stage that failed, a BERTH_STAGE_... constant; BERTH_STAGE_HOST for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn berth_error_stage(error: Option<&berth_error>) -> i32 {
    error.map_or(0, |error| error.stage)
}

/// Return the message: one sentence without a newline that names the object and the reason. It is for people and may
/// change between versions. Valid as long as the error; an empty string for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn berth_error_message(error: Option<&berth_error>) -> *const c_char {
    error.map_or(c"", |error| &error.message).as_ptr()
}

/// Return details as a JSON object. Its members depend on the failure, among them: "parameter" (the invalid argument),
/// "json_path" (the invalid field of the configuration), "step" (the step of init that failed), "hook" and
/// "hook_index", "output" (the end of a hook's output), "id" and "status" (of a container in the wrong state),
/// "cleanup" (what a failed call could not remove). Valid as long as the error; "{}" for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn berth_error_detail_json(error: Option<&berth_error>) -> *const c_char {
    error.map_or(c"{}", |error| &error.detail).as_ptr()
}

/// Release an error. NULL is ignored.
#[unsafe(no_mangle)]
pub extern "C" fn berth_error_free(error: Option<Box<berth_error>>) {
    infallible((), || drop(error));
}

/// Describe an error code, as strerror(3) does for errno. 0 is "success". Never returns NULL, also not for a code that
/// this version does not know; the string is valid for ever.
#[unsafe(no_mangle)]
pub extern "C" fn berth_strerror(code: i32) -> *const c_char {
    static TEXTS: LazyLock<Vec<(i32, CString)>> =
        LazyLock::new(|| Code::ALL.map(|code| (code as i32, c_string(code.describe()))).into());
    infallible(c"internal error".as_ptr(), || match TEXTS.iter().find(|(known, _)| *known == code) {
        Some((_, text)) => text.as_ptr(),
        None if code == 0 => c"success".as_ptr(),
        None => c"unknown error code".as_ptr(),
    })
}

/// Return the name of an error code ("BERTH_E_NOT_FOUND"), for logs. 0 is "success", a code that this version does not know
/// "unknown". The string is valid for ever.
#[unsafe(no_mangle)]
pub extern "C" fn berth_error_name(code: i32) -> *const c_char {
    static NAMES: LazyLock<Vec<(i32, CString)>> =
        LazyLock::new(|| Code::ALL.map(|code| (code as i32, c_string(&constant("BERTH_E", code)))).into());
    infallible(c"unknown".as_ptr(), || match NAMES.iter().find(|(known, _)| *known == code) {
        Some((_, name)) => name.as_ptr(),
        None if code == 0 => c"success".as_ptr(),
        None => c"unknown".as_ptr(),
    })
}

/// Returns the name that a variant has in the header.
fn constant(prefix: &str, variant: impl std::fmt::Debug) -> String {
    let mut name = String::from(prefix);
    for letter in format!("{variant:?}").chars() {
        if letter.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}
