//! What a process needs that runs in the caller's memory: a stack of its own, and no signals, whose handlers would be the
//! host's.

use std::mem::MaybeUninit;
use std::ptr::NonNull;

use nix::sys::signal::{SigSet, SigmaskHow, pthread_sigmask};

use crate::error::{Context, Result};

/// A stack from the heap: mapping one takes longer than what is done on it. Without a guard page: the functions that run
/// there make system calls, one after the other, and need less than a tenth of it.
pub struct Stack(NonNull<MaybeUninit<Room>>);

/// Aligned as the ABI wants a stack.
#[repr(C, align(64))]
struct Room([u8; Stack::SIZE]);

impl Stack {
    pub const SIZE: usize = 16 << 10;

    pub fn new() -> Stack {
        Stack(NonNull::from(Box::leak(Box::<Room>::new_uninit())))
    }

    /// Its lowest address. It is used from the other end, so something can lie here that the process finds.
    pub fn start(&self) -> *mut u8 {
        self.0.as_ptr().cast()
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: from `new`, and nobody runs on it any more.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

/// All signals blocked in this thread until dropped.
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
        let _ = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&self.before), None);
    }
}
