//! Errors as objects, and the code as a few words.

use std::ffi::{CString, c_char};
use std::sync::LazyLock;

use nix::errno::Errno;

use super::boundary::infallible;
use super::memory::c_string;
use crate::error::{Code, Error};

/// Why a call failed. Immutable: it may be read from any thread. Released with berth_error_free.
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

/// The error's BERTH_E_... code; 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn berth_error_code(error: Option<&berth_error>) -> i32 {
    error.map_or(0, |error| error.code)
}

/// The kernel's reason, as errno(3) numbers it; 0 where there was none, and for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn berth_error_errno(error: Option<&berth_error>) -> i32 {
    error.map_or(0, |error| error.errno)
}

/// Who was at work when it failed: a BERTH_STAGE_... constant; BERTH_STAGE_HOST for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn berth_error_stage(error: Option<&berth_error>) -> i32 {
    error.map_or(0, |error| error.stage)
}

/// One sentence, without a newline, that names the object and the reason. It is for people and may change between
/// versions. Valid as long as the error; an empty string for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn berth_error_message(error: Option<&berth_error>) -> *const c_char {
    error.map_or(c"", |error| &error.message).as_ptr()
}

/// Facts beside the sentence, as a JSON object. Which there are depends on what failed, among them: "parameter" (the
/// argument that is wrong), "json_path" (the field of the configuration that is wrong), "step" (what init was
/// doing), "hook" and "hook_index", "output" (the end of what a hook printed), "id" and "status" (of a container that is
/// in the wrong state), "cleanup" (what a failed call could not take back). Valid as long as the error; "{}" for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn berth_error_detail_json(error: Option<&berth_error>) -> *const c_char {
    error.map_or(c"{}", |error| &error.detail).as_ptr()
}

/// Releases an error. NULL is fine.
#[unsafe(no_mangle)]
pub extern "C" fn berth_error_free(error: Option<Box<berth_error>>) {
    infallible((), || drop(error));
}

/// A few words for a code, as strerror(3) for errno: for callers that did not take the error object. 0 is "success".
/// Never NULL, also not for a code that this version does not know; the string is valid for ever.
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
