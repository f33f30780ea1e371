//! Memory that every command uses, had in two calls in place of fifty page faults (docs/performance.md).

use std::ffi::c_void;

/// What an ordinary command needs of its stack and of its heap; glibc asks the kernel for a little more at once.
const STACK: usize = 56 << 10;
const HEAP: usize = 128 << 10;
const PAGE: usize = 4096;

/// Where the kernel cannot do it (before Linux 5.14), or something else lies there, the pages come one by one.
pub fn populate() {
    let here = 0u8;
    let stack = (&raw const here).addr().next_multiple_of(PAGE);
    // There is a heap from the first allocation on.
    drop(std::hint::black_box(Box::new(here)));
    // SAFETY: only asks where the heap ends.
    let heap = unsafe { libc::sbrk(0) }.addr() / PAGE * PAGE;
    for (end, length) in [(stack, STACK), (heap, HEAP)] {
        if let Some(start) = end.checked_sub(length) {
            // SAFETY: the contents of no page change.
            unsafe { libc::madvise(start as *mut c_void, length, libc::MADV_POPULATE_WRITE) };
        }
    }
}
