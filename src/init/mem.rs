//! The memory functions that compiled code calls by name and a program without libc must bring.
//! Written so that the compiler cannot turn them into calls of themselves.

use core::ffi::{c_int, c_void};

use super::arch;

#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut c_void, from: *const c_void, len: usize) -> *mut c_void {
    // SAFETY: memcpy's own contract.
    unsafe { arch::copy(to as *mut u8, from as *const u8, len) };
    to
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut c_void, value: c_int, len: usize) -> *mut c_void {
    // SAFETY: memset's own contract.
    unsafe { arch::fill(to as *mut u8, value as u8, len) };
    to
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(to: *mut c_void, from: *const c_void, len: usize) -> *mut c_void {
    let (to_byte, from_byte) = (to as *mut u8, from as *const u8);
    // SAFETY: memmove's own contract; volatile keeps the loop a loop.
    unsafe {
        if (to as usize).wrapping_sub(from as usize) >= len {
            arch::copy(to_byte, from_byte, len);
        } else {
            for index in (0..len).rev() {
                to_byte.add(index).write_volatile(*from_byte.add(index));
            }
        }
    }
    to
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(a: *const c_void, b: *const c_void, len: usize) -> c_int {
    let (a, b) = (a as *const u8, b as *const u8);
    for index in 0..len {
        // SAFETY: memcmp's own contract.
        let (x, y) = unsafe { (a.add(index).read_volatile(), *b.add(index)) };
        if x != y {
            return x as c_int - y as c_int;
        }
    }
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(a: *const c_void, b: *const c_void, len: usize) -> c_int {
    // SAFETY: bcmp's own contract.
    unsafe { memcmp(a, b, len) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn strlen(text: *const u8) -> usize {
    let mut len = 0;
    // SAFETY: strlen's own contract.
    while unsafe { text.add(len).read_volatile() } != 0 {
        len += 1;
    }
    len
}

/// Named by the precompiled core's unwind tables; nothing unwinds here (panic=abort).
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}
