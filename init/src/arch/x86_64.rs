//! x86_64: the system call, the entry point, and a child with its own stack.

use core::arch::asm;

use linux_raw_sys::general::__NR_clone3;

/// Makes a system call; a negative result is a negated errno.
///
/// # Safety
/// The arguments must be what the call of this number expects; pointers must be valid for it.
#[inline(always)]
pub unsafe fn syscall6(nr: usize, a: usize, b: usize, c: usize, d: usize, e: usize, f: usize) -> isize {
    let result: isize;
    // SAFETY: the kernel clobbers rcx and r11 only; the rest is the caller's promise.
    unsafe {
        asm!("syscall", inlateout("rax") nr as isize => result, in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d,
             in("r8") e, in("r9") f, lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    result
}

/// Calls clone3 with a stack in `args`; the child calls `entry(argument)` on it, which never returns.
///
/// # Safety
/// `args` must be a valid clone_args of `size` bytes with a stack; `entry` must not return, and with CLONE_VM must
/// touch nothing that the parent's other threads rely on.
#[inline(never)]
pub unsafe fn clone3_call(
    args: *const u8,
    size: usize,
    entry: extern "C" fn(*mut u8) -> !,
    argument: *mut u8,
) -> isize {
    let result: isize;
    // SAFETY: registers survive clone3 in the child, so entry and argument are passed in callee-saved ones that
    // the compiler does not reserve (r12, r13); the child starts with an empty, 16-byte aligned stack.
    unsafe {
        asm!("syscall",
             "test rax, rax",
             "jnz 2f",
             "xor ebp, ebp",
             "mov rdi, r13",
             "call r12",
             "ud2",
             "2:",
             inlateout("rax") __NR_clone3 as isize => result, in("rdi") args, in("rsi") size,
             in("r12") entry, in("r13") argument, lateout("rcx") _, lateout("r11") _);
    }
    result
}

// berth-init's entry point: passes the stack, which begins with argc and argv, to `berth_init_main`.
#[cfg(berth_init)]
core::arch::global_asm!(
    ".globl _start",
    "_start:",
    "xor ebp, ebp",
    "mov rdi, rsp",
    "and rsp, -16",
    "call berth_init_main",
    "ud2",
);

/// Executes an invalid instruction, for which the kernel kills the process.
pub fn trap() -> ! {
    // SAFETY: the instruction does not return.
    unsafe { asm!("ud2", options(noreturn)) }
}

/// memcpy(3), without a libc.
///
/// # Safety
/// As for memcpy(3).
#[cfg(any(berth_init, test))]
#[inline(always)]
pub unsafe fn copy(to: *mut u8, from: *const u8, len: usize) {
    // SAFETY: the caller's promise; the direction flag is clear by the ABI.
    unsafe { asm!("rep movsb", inout("rdi") to => _, inout("rsi") from => _, inout("rcx") len => _, options(nostack)) };
}

/// memset(3), without a libc.
///
/// # Safety
/// As for memset(3).
#[cfg(any(berth_init, test))]
#[inline(always)]
pub unsafe fn fill(to: *mut u8, value: u8, len: usize) {
    // SAFETY: the caller's promise; the direction flag is clear by the ABI.
    unsafe { asm!("rep stosb", inout("rdi") to => _, in("al") value, inout("rcx") len => _, options(nostack)) };
}
