//! Converts C parameters to Rust types. NULL for a required parameter is an error that names it.
//!
//! What a raw pointer refers to belongs to the caller of the C ABI. The lifetime `'a` of what is read cannot express that:
//! whoever calls these functions must not keep it beyond the C function.

use std::ffi::{CStr, OsStr, c_char};
use std::mem::MaybeUninit;
use std::os::fd::{IntoRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::error::{Code, Error, Result};

fn null(name: &str) -> Error {
    Error::invalid_argument(format!("{name} is NULL")).detail("parameter", name)
}

pub fn handle<'a, T>(pointer: Option<&'a T>, name: &str) -> Result<&'a T> {
    pointer.ok_or_else(|| null(name))
}

/// # Safety
///
/// `pointer` is NULL, or points to a NUL-terminated string that is neither changed nor freed during `'a`.
unsafe fn c_str<'a>(pointer: *const c_char) -> Option<&'a CStr> {
    // SAFETY: it is not NULL, and all else is this function's own contract.
    (!pointer.is_null()).then(|| unsafe { CStr::from_ptr(pointer) })
}

/// A required string in UTF-8.
///
/// # Safety
///
/// As `c_str`.
pub unsafe fn text<'a>(pointer: *const c_char, name: &str) -> Result<&'a str> {
    // SAFETY: the same contract.
    let string = unsafe { c_str(pointer) };
    string.ok_or_else(|| null(name))?.to_str().map_err(|error| {
        let message = format!("{name} is not UTF-8 at byte {}", error.valid_up_to());
        Error::invalid_argument(message).detail("parameter", name)
    })
}

/// A string that may be missing, in UTF-8.
///
/// # Safety
///
/// As `c_str`.
pub unsafe fn optional_text<'a>(pointer: *const c_char, name: &str) -> Result<Option<&'a str>> {
    // SAFETY: the same contract.
    (!pointer.is_null()).then(|| unsafe { text(pointer, name) }).transpose()
}

/// A required path: any bytes, but at least one.
///
/// # Safety
///
/// As `c_str`.
pub unsafe fn path<'a>(pointer: *const c_char, name: &str) -> Result<&'a Path> {
    // SAFETY: the same contract.
    unsafe { optional_path(pointer, name) }?.ok_or_else(|| null(name))
}

/// A path that may be missing.
///
/// # Safety
///
/// As `c_str`.
pub unsafe fn optional_path<'a>(pointer: *const c_char, name: &str) -> Result<Option<&'a Path>> {
    // SAFETY: the same contract.
    match unsafe { c_str(pointer) }.map(CStr::to_bytes) {
        Some([]) => Err(Error::invalid_argument(format!("{name} is an empty path")).detail("parameter", name)),
        bytes => Ok(bytes.map(|bytes| Path::new(OsStr::from_bytes(bytes)))),
    }
}

/// More descriptors than a process can have: a larger count is invalid.
const MAX_ELEMENTS: usize = 1 << 20;

/// Copies of the strings of an array.
///
/// # Safety
///
/// As `elements`, and each element meets the requirements of `c_str`.
pub unsafe fn texts(pointer: *const *const c_char, count: usize, name: &str) -> Result<Vec<String>> {
    // SAFETY: the same contract.
    let strings = unsafe { elements(pointer, count, name) }?;
    let copy = |(index, string): (usize, *const c_char)| {
        // SAFETY: the contract of each element, and the string is copied at once.
        unsafe { text(string, &format!("{name}[{index}]")) }.map(str::to_owned)
    };
    strings.into_iter().enumerate().map(copy).collect()
}

/// A copy of an array.
///
/// # Safety
///
/// `pointer` is NULL, or points to `count` elements that are not changed during the call.
pub unsafe fn elements<T: Copy>(pointer: *const T, count: usize, name: &str) -> Result<Vec<T>> {
    match count {
        0 => Ok(Vec::new()),
        _ if pointer.is_null() => Err(null(name)),
        1..=MAX_ELEMENTS => {
            // SAFETY: it is not NULL, and all else is this function's own contract.
            Ok(unsafe { std::slice::from_raw_parts(pointer, count) }.to_vec())
        }
        _ => Err(Error::invalid_argument(format!("{name} cannot have {count} elements")).detail("parameter", name)),
    }
}

/// Returns the flags, or an error that shows the unknown ones.
pub fn flags(given: u32, known: u32) -> Result<u32> {
    match given & !known {
        0 => Ok(given),
        unknown => Err(Error::new(Code::Unsupported, format!("flags has unknown bits: {unknown:#x}"))),
    }
}

/// An output for a plain value, unchanged on failure.
pub fn out<'a, T>(slot: Option<&'a mut MaybeUninit<T>>, name: &str) -> Result<&'a mut MaybeUninit<T>> {
    slot.ok_or_else(|| null(name))
}

/// An output for a handle or string, NULL on failure.
pub fn out_pointer<'a, T>(
    slot: Option<&'a mut MaybeUninit<*mut T>>,
    name: &str,
) -> Result<&'a mut MaybeUninit<*mut T>> {
    let slot = out(slot, name)?;
    slot.write(std::ptr::null_mut());
    Ok(slot)
}

/// An output for a descriptor, -1 on failure.
pub fn out_fd<'a>(slot: Option<&'a mut MaybeUninit<i32>>, name: &str) -> Result<&'a mut MaybeUninit<i32>> {
    let slot = out(slot, name)?;
    slot.write(-1);
    Ok(slot)
}

/// Outputs for three descriptors.
///
/// # Safety
///
/// `array` is NULL, or points to room for three numbers that nothing else reads or writes during `'a`.
pub unsafe fn out_fds<'a>(array: *mut i32, name: &str) -> Result<&'a mut MaybeUninit<[i32; 3]>> {
    // SAFETY: this function's own contract; an array of three has the alignment of its elements.
    let slots = unsafe { array.cast::<MaybeUninit<[i32; 3]>>().as_mut() };
    let slots = out(slots, name)?;
    slots.write([-1; 3]);
    Ok(slots)
}

/// Passes the descriptor to the caller.
pub fn into_raw(fd: Option<OwnedFd>) -> i32 {
    fd.map_or(-1, IntoRawFd::into_raw_fd)
}

/// Passes the value to the caller, until its free function takes it back.
pub fn give<H>(slot: &mut MaybeUninit<*mut H>, value: H) {
    slot.write(Box::into_raw(Box::new(value)));
}
