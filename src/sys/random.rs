//! Random numbers of the kernel.

use nix::errno::Errno;

use crate::error::{Context, Result};

/// Returns a few random bytes.
pub fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    loop {
        // SAFETY: the buffer is valid during the call. getrandom(2) returns so few bytes completely or fails.
        match Errno::result(unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), N, 0) }) {
            Err(Errno::EINTR) => {}
            other => return other.map(|_| bytes).context(|| "getting random numbers with getrandom"),
        }
    }
}

/// Checks that the standard library can get random numbers for its hash tables: it panics if getrandom(2) fails, except
/// with these two errors.
pub fn check() -> Result<()> {
    let mut byte = 0u8;
    // SAFETY: the byte is valid during the call.
    match Errno::result(unsafe { libc::getrandom((&raw mut byte).cast(), 1, libc::GRND_NONBLOCK) }) {
        Ok(_) | Err(Errno::ENOSYS | Errno::EPERM | Errno::EINTR | Errno::EAGAIN) => Ok(()),
        Err(errno) => Err(errno).context(|| "getting random numbers with getrandom"),
    }
}
