//! The program. build.rs compiles it with `cfg(berth_init)`: then `_start` (in `arch`) is its first instruction. What cargo
//! compiles does the same from a `main` of std's, for whoever wants to look at it with a debugger.

#![cfg_attr(berth_init, no_std, no_main)]

#[cfg(not(berth_init))]
fn main() {
    use std::os::unix::ffi::OsStrExt;

    let argument = std::env::args_os().nth(1);
    berth_init::execute(argument.as_ref().map(|argument| argument.as_bytes()))
}

/// Called by `_start` with the initial stack: argc, argv…, as execve(2) leaves it.
///
/// # Safety
/// Only `_start` may call it.
#[cfg(berth_init)]
#[unsafe(no_mangle)]
unsafe extern "C" fn berth_init_main(stack: *const usize) -> ! {
    // SAFETY: the kernel puts argc and a NULL-terminated argv at the top of the stack.
    let argument =
        unsafe { if *stack < 2 { None } else { Some(berth_init::sys::Str::new(*stack.add(2) as *const u8)) } };
    berth_init::execute(argument.map(berth_init::sys::Str::bytes))
}

#[cfg(berth_init)]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    berth_init::sys::exit(berth_init::wire::EXIT_FAILED)
}
