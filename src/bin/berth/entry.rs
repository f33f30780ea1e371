//! The start of the process, without the standard library's start-up code (docs/performance.md): that code reads the
//! limits of the stack from /proc/self/maps to report a stack overflow, which takes a large part of a command's time.

use std::ffi::{c_char, c_int, c_void};

/// The entry point that the C library calls. Does the part of the standard library's start-up code that is needed.
#[unsafe(no_mangle)]
extern "C" fn main(_: c_int, _: *const *const c_char) -> c_int {
    // SAFETY: sets the disposition of a signal to SIG_IGN, without a handler.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    fill_standard_descriptors();
    populate_memory();
    // 101 is Rust's exit status after a panic, whose message has been printed.
    let code = std::panic::catch_unwind(crate::run).map_or(101, c_int::from);
    // Not by returning from main: exit flushes standard output.
    std::process::exit(code)
}

/// Opens missing standard descriptors, so that no other file gets their numbers. Only EBADF says that one is missing.
fn fill_standard_descriptors() {
    for standard in 0..3 {
        // SAFETY: F_GETFD changes nothing; open returns the lowest free number, which is this one.
        unsafe {
            let missing = libc::fcntl(standard, libc::F_GETFD) < 0 && *libc::__errno_location() == libc::EBADF;
            if missing && libc::open(c"/dev/null".as_ptr(), libc::O_RDWR) != standard {
                let text = "berth: a standard stream is missing, and /dev/null cannot be opened in its place\n";
                libc::write(libc::STDERR_FILENO, text.as_ptr().cast(), text.len());
                libc::_exit(1)
            }
        }
    }
}

/// Pre-faults the stack and the heap of an ordinary command with two system calls instead of fifty page faults; glibc
/// extends the heap in small steps.
const STACK: usize = 56 << 10;
const HEAP: usize = 128 << 10;
const PAGE: usize = 4096;

/// If the kernel cannot do this (before Linux 5.14), or the range is in use, the pages are faulted in one by one.
fn populate_memory() {
    let here = 0u8;
    let stack = (&raw const here).addr().next_multiple_of(PAGE);
    // The heap exists from the first allocation on.
    drop(std::hint::black_box(Box::new(here)));
    // SAFETY: sbrk(0) only returns the end of the heap.
    let heap = unsafe { libc::sbrk(0) }.addr() / PAGE * PAGE;
    for (end, length) in [(stack, STACK), (heap, HEAP)] {
        if let Some(start) = end.checked_sub(length) {
            // SAFETY: madvise does not change the contents of the pages.
            unsafe { libc::madvise(start as *mut c_void, length, libc::MADV_POPULATE_WRITE) };
        }
    }
}
