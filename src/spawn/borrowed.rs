//! What a process needs that runs in the caller's memory: a stack of its own, and no signals, whose handlers would be the
//! host's.

use nix::errno::Errno;
use nix::sys::signal::{SigSet, SigmaskHow, pthread_sigmask};

use crate::error::{Doing, Error, Result};

/// The child's stack, with a guard page below it.
pub struct Stack {
    pub start: *mut libc::c_void,
}

pub const STACK: usize = 64 << 10;
const GUARD: usize = 4096;

impl Stack {
    pub fn new() -> Result<Stack> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK;
        // SAFETY: a fresh anonymous mapping.
        let base = unsafe { libc::mmap(std::ptr::null_mut(), GUARD + STACK, libc::PROT_NONE, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return Err(Error::system(Errno::last(), "mapping a stack for berth-init"));
        }
        // SAFETY: inside the mapping.
        let stack = Stack { start: unsafe { base.byte_add(GUARD) } };
        // SAFETY: as above.
        let result = unsafe { libc::mprotect(stack.start, STACK, libc::PROT_READ | libc::PROT_WRITE) };
        Errno::result(result).doing(|| "preparing a stack for berth-init")?;
        Ok(stack)
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: the whole mapping of `new`; nobody runs on it any more.
        unsafe { libc::munmap(self.start.byte_sub(GUARD), GUARD + STACK) };
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
            .doing(|| "blocking signals")?;
        Ok(BlockedSignals { before })
    }
}

impl Drop for BlockedSignals {
    fn drop(&mut self) {
        let _ = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&self.before), None);
    }
}
