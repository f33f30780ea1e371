//! Strings and arrays for the caller. They are allocated with malloc(3): releasing them needs no length, so the caller
//! may have overwritten the contents.

use std::ffi::{CString, c_char};
use std::mem::MaybeUninit;

use nix::errno::Errno;

use crate::error::{Error, Result};

/// A NUL inside a string becomes the replacement character.
pub fn c_string(text: &str) -> CString {
    CString::new(text.replace('\0', "\u{fffd}")).unwrap_or_default()
}

/// Copies `values` into memory of malloc(3); NULL for none.
pub fn copy<T: Copy>(values: &[T]) -> Result<*mut T> {
    if values.is_empty() {
        return Ok(std::ptr::null_mut());
    }
    // SAFETY: no pointers. The memory is aligned for every T of this layer.
    let memory = unsafe { libc::malloc(size_of_val(values)) }.cast::<T>();
    if memory.is_null() {
        return Err(Error::system(Errno::ENOMEM, "returning a result"));
    }
    // SAFETY: the new memory has room for them.
    unsafe { std::ptr::copy_nonoverlapping(values.as_ptr(), memory, values.len()) };
    Ok(memory)
}

pub fn give_text(slot: &mut MaybeUninit<*mut c_char>, text: &str) -> Result<()> {
    let bytes = c_string(text).into_bytes_with_nul();
    slot.write(copy(&bytes)?.cast());
    Ok(())
}

/// Releases memory of [`copy`].
///
/// # Safety
///
/// `memory` is NULL, or comes from [`copy`] and was not released yet.
pub unsafe fn release<T>(memory: *mut T) {
    // SAFETY: this function's own contract.
    unsafe { libc::free(memory.cast()) }
}
