//! Extensible structs: the first member is the size of the struct as the caller was compiled with it.

use std::mem::MaybeUninit;

use crate::error::{Code, Error, Result};

/// A struct whose first member is its size.
///
/// # Safety
///
/// `repr(C)`, the first member is a `usize`, there is no padding, and every pattern of bytes is a valid value.
pub unsafe trait Grows: Copy {
    const NAME: &'static str;
    /// The size of the first published version. No caller was compiled with a smaller one.
    const FIRST: usize;

    fn zeroed() -> Self {
        // SAFETY: every pattern of bytes is valid.
        unsafe { MaybeUninit::zeroed().assume_init() }
    }
}

/// Far larger than any struct will be: a larger size was never initialised.
const MAX_BYTES: usize = 4096;

/// # Safety
///
/// `pointer` points to a `usize`, which the caller's struct begins with.
unsafe fn size_of_callers<T: Grows>(pointer: *const T) -> Result<usize> {
    // SAFETY: this function's own contract.
    let size = unsafe { pointer.cast::<usize>().read() };
    if size < T::FIRST || size > MAX_BYTES || size % align_of::<T>() != 0 {
        let message = format!("{}.size is {size}; expected sizeof({})", T::NAME, T::NAME);
        return Err(Error::invalid_argument(message));
    }
    Ok(size)
}

/// Reads the caller's struct as this version knows it; NULL gives the default.
///
/// # Safety
///
/// `pointer` is NULL, or points to a struct that begins with its size and has that many bytes, all initialised.
pub unsafe fn read<T: Grows>(pointer: *const T) -> Result<T> {
    let mut value = T::zeroed();
    if pointer.is_null() {
        return Ok(value);
    }
    // SAFETY: it is not NULL, so the struct begins with its size.
    let size = unsafe { size_of_callers(pointer) }?;
    // SAFETY: the struct has as many bytes as its size says.
    let bytes = unsafe { std::slice::from_raw_parts(pointer.cast::<u8>(), size) };
    let (known, unknown) = bytes.split_at(size.min(size_of::<T>()));
    if let Some(at) = unknown.iter().position(|byte| *byte != 0) {
        let at = known.len() + at;
        let message = format!("{} has a value at byte {at}, which this version of libberth does not know", T::NAME);
        return Err(Error::new(Code::Unsupported, message));
    }
    // SAFETY: `known` is not longer than the value.
    unsafe { std::ptr::copy_nonoverlapping(known.as_ptr(), (&raw mut value).cast(), known.len()) };
    Ok(value)
}

/// Reads the caller's struct; NULL is an error.
///
/// # Safety
///
/// As `read`.
pub unsafe fn read_required<T: Grows>(pointer: *const T, name: &str) -> Result<T> {
    present(pointer, name)?;
    // SAFETY: the same contract.
    unsafe { read(pointer) }
}

fn present<T>(pointer: *const T, name: &str) -> Result<()> {
    if pointer.is_null() {
        return Err(Error::invalid_argument(format!("{name} is NULL")).detail("parameter", name));
    }
    Ok(())
}

/// Checks that a result can be written to the caller's struct.
///
/// # Safety
///
/// `pointer` is NULL, or points to a struct that begins with its size.
pub unsafe fn check<T: Grows>(pointer: *const T, name: &str) -> Result<()> {
    present(pointer, name)?;
    // SAFETY: it is not NULL, so the struct begins with its size.
    unsafe { size_of_callers(pointer) }.map(drop)
}

/// Writes the result to the caller's struct, up to its size. Members that only the caller knows become all ones, which
/// means "unknown" in every struct that is filled this way; the size member stays.
///
/// # Safety
///
/// `pointer` points to a struct that begins with its size and has room for that many bytes, which nothing else reads or
/// writes meanwhile.
pub unsafe fn write<T: Grows>(pointer: *mut T, value: &T) -> Result<()> {
    // SAFETY: the struct begins with its size.
    let size = unsafe { size_of_callers(pointer) }?;
    let skip = size_of::<usize>();
    let known = size.min(size_of::<T>());
    let to = pointer.cast::<u8>();
    // SAFETY: the caller's struct has `size` bytes, the value at least `known`, and both begin with a usize.
    unsafe {
        std::ptr::copy_nonoverlapping((&raw const *value).cast::<u8>().add(skip), to.add(skip), known - skip);
        std::ptr::write_bytes(to.add(known), 0xff, size - known);
    }
    Ok(())
}

/// Sets the caller's struct to zeros and its size.
///
/// # Safety
///
/// `pointer` is NULL, or points to room for `size` bytes that nothing else reads or writes during the call, aligned as
/// the struct.
pub unsafe fn init<T: Grows>(pointer: *mut T, size: usize) {
    if pointer.is_null() || size < size_of::<usize>() {
        return;
    }
    // SAFETY: this function's own contract, and there is room for a usize.
    unsafe {
        std::ptr::write_bytes(pointer.cast::<u8>(), 0, size);
        pointer.cast::<usize>().write(size);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A second version: the first one ended before `added`.
    #[repr(C)]
    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Two {
        size: usize,
        first: u64,
        added: u64,
    }

    // SAFETY: numbers only, without padding.
    unsafe impl Grows for Two {
        const NAME: &'static str = "two";
        const FIRST: usize = 16;
    }

    fn read_words(words: &[u64]) -> Result<Two> {
        // SAFETY: the words begin with their size in bytes, or with one that is refused.
        unsafe { read(words.as_ptr().cast()) }
    }

    #[test]
    fn an_older_caller_gets_the_default_of_what_is_new() {
        assert_eq!(read_words(&[16, 7, 99]).unwrap(), Two { size: 16, first: 7, added: 0 });
        // SAFETY: NULL is fine.
        let default = unsafe { read::<Two>(std::ptr::null()) }.unwrap();
        assert_eq!(default, Two { size: 0, first: 0, added: 0 });
    }

    #[test]
    fn a_newer_caller_may_not_use_what_is_newer() {
        assert_eq!(read_words(&[32, 1, 2, 0]).unwrap().added, 2);
        let error = read_words(&[32, 1, 2, 1 << 56]).unwrap_err();
        assert_eq!((error.code, error.message.contains("byte 31")), (Code::Unsupported, true));
    }

    #[test]
    fn a_size_that_cannot_be_is_refused() {
        for size in [0, 8, 15, 17, 4104, u64::MAX] {
            assert_eq!(read_words(&[size, 0, 0]).unwrap_err().code, Code::InvalidArgument, "{size}");
        }
    }

    #[test]
    fn a_result_fills_what_the_caller_has() {
        let value = Two { size: 24, first: 1, added: 2 };
        let written = |size: u64| {
            let mut words = [size, 0, 0, 0];
            // SAFETY: the words begin with a size that is not above theirs.
            unsafe { write(words.as_mut_ptr().cast(), &value) }.unwrap();
            words
        };
        assert_eq!(written(16), [16, 1, 0, 0]);
        assert_eq!(written(32), [32, 1, 2, u64::MAX]);
    }

    #[test]
    fn init_leaves_only_the_size() {
        let mut words = [9u64; 3];
        // SAFETY: there is room for more than 16 bytes.
        unsafe { init::<Two>(words.as_mut_ptr().cast(), 16) };
        assert_eq!(words, [16, 0, 9]);
    }
}
