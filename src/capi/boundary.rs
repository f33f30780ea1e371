//! The boundary of the C ABI: catches panics and turns errors into objects.

use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::error::berth_error;
use crate::error::{Code, Error, Result};

/// Runs a call and passes its failure to `error` if that is not NULL.
pub fn call(error: Option<&mut MaybeUninit<*mut berth_error>>, body: impl FnOnce() -> Result<()>) -> i32 {
    // Unwind-safe: the crate's own locks survive poisoning, and the handles are not changed by half.
    let result = catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| {
        let what = panic.downcast_ref::<&str>().copied().or(panic.downcast_ref::<String>().map(String::as_str));
        Err(Error::new(Code::Internal, format!("libberth has a defect: {}", what.unwrap_or("a panic"))))
    });
    let Err(failure) = result else { return 0 };
    let code = failure.code as i32;
    if let Some(slot) = error {
        slot.write(Box::into_raw(Box::new(berth_error::from(failure))));
    }
    code
}

/// Runs a call that cannot fail: `fallback` is the result if it panics.
pub fn infallible<T>(fallback: T, body: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(fallback)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_internal_error() {
        let mut slot = MaybeUninit::uninit();
        assert_eq!(call(Some(&mut slot), || panic!("the reason")), Code::Internal as i32);
        // SAFETY: written by the failed call.
        let error = unsafe { Box::from_raw(slot.assume_init()) };
        assert!(error.message().to_string_lossy().ends_with("the reason"));
        assert_eq!(call(None, || panic!("{}", 1)), Code::Internal as i32);
        assert_eq!(infallible(7, || panic!("none")), 7);
    }
}
