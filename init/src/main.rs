//! The program's entry. build.rs compiles it with `cfg(berth_init)`: then `_start` (in `arch`) is its first
//! instruction. With cargo the same code runs from std's `main`, for use with a debugger.

#![cfg_attr(berth_init, no_std, no_main)]

#[cfg(not(berth_init))]
fn main() {
    use std::os::unix::ffi::OsStrExt;

    let arguments = [1, 2].map(|index| std::env::args_os().nth(index));
    berth_init::execute(arguments.each_ref().map(|argument| argument.as_ref().map(|argument| argument.as_bytes())))
}

/// Runs the program. `_start` calls it with the initial stack of execve(2): argc, argv….
///
/// # Safety
/// Only `_start` may call it.
#[cfg(berth_init)]
#[unsafe(no_mangle)]
unsafe extern "C" fn berth_init_main(stack: *const usize) -> ! {
    // SAFETY: the kernel puts argc and a NULL-terminated argv at the top of the stack.
    let argument = |index: usize| unsafe {
        if *stack <= index { None } else { Some(berth_init::sys::Str::new(*stack.add(1 + index) as *const u8).bytes()) }
    };
    berth_init::execute([argument(1), argument(2)])
}

#[cfg(berth_init)]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    berth_init::sys::exit(berth_init::wire::EXIT_FAILED)
}
