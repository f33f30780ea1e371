//! The beginning of the process, which is a good part of what a command takes (docs/performance.md). The standard library's
//! own looks for the limits of the stack in /proc/self/maps; a stack overflow that is told in words is not worth that.

use std::ffi::{c_char, c_int, c_void};

/// The entry point that the C library calls. Does the part of the standard library's start-up code that is needed.
#[unsafe(no_mangle)]
extern "C" fn main(_: c_int, _: *const *const c_char) -> c_int {
    // SAFETY: ignores a signal.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    fill_standard_descriptors();
    populate_memory();
    // 101 as for any program in Rust, whose message has been printed.
    let code = std::panic::catch_unwind(crate::run).map_or(101, c_int::from);
    // Not by returning: this one writes out what is printed but not written yet.
    std::process::exit(code)
}

/// Opens missing standard descriptors, so that no other file gets their numbers.
fn fill_standard_descriptors() {
    for standard in 0..3 {
        // SAFETY: asks only, and opens the lowest number that is free: this one.
        unsafe {
            if libc::fcntl(standard, libc::F_GETFD) < 0 && libc::open(c"/dev/null".as_ptr(), libc::O_RDWR) != standard {
                libc::abort()
            }
        }
    }
}

/// Pre-faults the stack and the heap of an ordinary command with two calls instead of fifty page faults; glibc asks the
/// kernel for a little more at once.
const STACK: usize = 56 << 10;
const HEAP: usize = 128 << 10;
const PAGE: usize = 4096;

/// If the kernel cannot do this (before Linux 5.14), or the range is in use, the pages are faulted in one by one.
fn populate_memory() {
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
