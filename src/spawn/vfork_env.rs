//! The environment of a process that runs in the caller's memory: its own stack, and blocked signals, since the
//! handlers are the caller's.

use std::mem::MaybeUninit;
use std::ptr::NonNull;

use nix::sys::signal::{SigSet, SigmaskHow, pthread_sigmask};

use crate::error::{Context, Result};

/// A stack from the heap, since mmap(2) would take longer than the work on it. It has no guard page: the functions on
/// it only make system calls in sequence, and need less than a tenth of it.
pub struct Stack(NonNull<MaybeUninit<StackMemory>>);

/// The stack's memory, aligned as the ABI requires.
#[repr(C, align(64))]
struct StackMemory([u8; Stack::SIZE]);

impl Stack {
    pub const SIZE: usize = 16 << 10;

    pub fn new() -> Stack {
        Stack(NonNull::from(Box::leak(Box::<StackMemory>::new_uninit())))
    }

    /// Returns the lowest address. The stack grows down from the other end, so arguments for the process may be stored
    /// here.
    pub fn start(&self) -> *mut u8 {
        self.0.as_ptr().cast()
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: allocated by `new`, and no process uses it any more.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

/// Blocks all signals in the calling thread until dropped.
pub struct BlockedSignals {
    before: SigSet,
}

impl BlockedSignals {
    pub fn new() -> Result<BlockedSignals> {
        let mut before = SigSet::empty();
        pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), Some(&mut before))
            .context(|| "blocking signals")?;
        Ok(BlockedSignals { before })
    }
}

impl Drop for BlockedSignals {
    fn drop(&mut self) {
        // It fails only for an invalid first argument.
        let _ = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&self.before), None);
    }
}
