//! The memory functions that compiled code calls by name, which a program without libc must define. They are written so
//! that the compiler cannot replace them with calls of themselves. In tests they have no exported names.

use core::ffi::{c_int, c_void};

use super::arch;

#[cfg_attr(berth_init, unsafe(no_mangle))]
unsafe extern "C" fn memcpy(to: *mut c_void, from: *const c_void, len: usize) -> *mut c_void {
    // SAFETY: memcpy's own contract.
    unsafe { arch::copy(to as *mut u8, from as *const u8, len) };
    to
}

#[cfg_attr(berth_init, unsafe(no_mangle))]
unsafe extern "C" fn memset(to: *mut c_void, value: c_int, len: usize) -> *mut c_void {
    // SAFETY: memset's own contract.
    unsafe { arch::fill(to as *mut u8, value as u8, len) };
    to
}

#[cfg_attr(berth_init, unsafe(no_mangle))]
unsafe extern "C" fn memmove(to: *mut c_void, from: *const c_void, len: usize) -> *mut c_void {
    let (to_byte, from_byte) = (to as *mut u8, from as *const u8);
    // SAFETY: memmove's own contract; volatile prevents the compiler from replacing the loop.
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

#[cfg_attr(berth_init, unsafe(no_mangle))]
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

#[cfg_attr(berth_init, unsafe(no_mangle))]
unsafe extern "C" fn bcmp(a: *const c_void, b: *const c_void, len: usize) -> c_int {
    // SAFETY: bcmp's own contract.
    unsafe { memcmp(a, b, len) }
}

#[cfg_attr(berth_init, unsafe(no_mangle))]
unsafe extern "C" fn strlen(text: *const u8) -> usize {
    let mut len = 0;
    // SAFETY: strlen's own contract.
    while unsafe { text.add(len).read_volatile() } != 0 {
        len += 1;
    }
    len
}

/// Referenced by the unwind tables of the precompiled core; nothing unwinds here (panic=abort).
#[cfg(berth_init)]
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

#[cfg(all(test, not(miri)))] // which knows no system calls and no assembly
mod tests {
    use super::*;

    #[test]
    fn overlapping_bytes_move_as_if_there_was_a_copy_between() {
        for (from, to) in [(0, 3), (3, 0), (2, 2)] {
            let mut bytes: [u8; 12] = core::array::from_fn(|index| index as u8);
            let mut expected = bytes;
            expected.copy_within(from..from + 8, to);
            let start = bytes.as_mut_ptr();
            // SAFETY: both ranges are within the array.
            unsafe { memmove(start.add(to) as *mut c_void, start.add(from) as *const c_void, 8) };
            assert_eq!(bytes, expected, "from {from} to {to}");
        }
    }

    #[test]
    fn memory_is_copied_and_filled_to_the_byte() {
        let mut bytes = [1u8; 8];
        // SAFETY: within the arrays.
        unsafe {
            memset(bytes[1..].as_mut_ptr() as *mut c_void, 0x1ff, 3);
            memcpy(bytes[5..].as_mut_ptr() as *mut c_void, [7u8, 8].as_ptr() as *const c_void, 2);
        }
        assert_eq!(bytes, [1, 255, 255, 255, 1, 7, 8, 1]);
    }

    #[test]
    fn memory_compares_by_the_first_difference() {
        let compare = |a: &[u8], b: &[u8]| {
            // SAFETY: both are at least three bytes long.
            unsafe { memcmp(a.as_ptr() as *const c_void, b.as_ptr() as *const c_void, 3).signum() }
        };
        assert_eq!(compare(b"abc", b"abd"), -1);
        assert_eq!(compare(b"\xffbc", b"abd"), 1);
        assert_eq!(compare(b"abcx", b"abcy"), 0);
        // SAFETY: three bytes each; a NUL-terminated string.
        unsafe {
            assert_ne!(bcmp(b"abc".as_ptr() as *const c_void, b"xbc".as_ptr() as *const c_void, 3), 0);
            assert_eq!(strlen(c"abc".as_ptr() as *const u8), 3);
        }
    }
}
