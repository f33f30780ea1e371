//! init's view of the plan's bytes: checked access to steps, slots, strings and arrays.

use super::sys::{EPROTO, Result, Str};
use super::wire::{Header, MAGIC, Step};

/// A plan in memory that belongs to init alone and stays for ever. Copyable: it is an address.
#[derive(Clone, Copy)]
pub struct Plan {
    base: *mut u8,
    header: Header,
}

impl Plan {
    /// # Safety
    /// `base` must be 8-byte aligned, private, writable memory of `len` bytes that is never freed.
    pub unsafe fn new(base: *mut u8, len: usize) -> Result<Plan> {
        if len < size_of::<Header>() {
            return Err(EPROTO);
        }
        // SAFETY: the block is at least a header long, and aligned.
        let header = unsafe { *(base as *const Header) };
        if header.magic != MAGIC || header.len as usize > len {
            return Err(EPROTO);
        }
        Ok(Plan { base, header })
    }

    pub fn header(&self) -> &Header {
        &self.header
    }

    pub fn step(&self, index: u32) -> Result<Step> {
        if index >= self.header.step_count {
            return Err(EPROTO);
        }
        // SAFETY: `table` has checked that the table lies within the block.
        Ok(unsafe { *self.table::<Step>(self.header.steps, self.header.step_count)?.add(index as usize) })
    }

    /// The descriptors init inherits, ascending.
    pub fn keep(&self) -> Result<&'static mut [i32]> {
        self.numbers(self.header.keep, self.header.keep_count)
    }

    /// What becomes descriptors 0, 1, 2 and so on.
    pub fn low(&self) -> Result<&'static mut [i32]> {
        self.numbers(self.header.low, self.header.low_count)
    }

    /// The slots of open descriptors.
    pub fn slots(&self) -> Result<&'static mut [i32]> {
        self.numbers(self.header.slots, self.header.slot_count)
    }

    fn numbers(&self, offset: u32, count: u32) -> Result<&'static mut [i32]> {
        let start = self.table::<i32>(offset, count)?;
        // SAFETY: within the block; init has one thread and never holds two slices of the same table.
        Ok(unsafe { core::slice::from_raw_parts_mut(start, count as usize) })
    }

    fn table<T>(&self, offset: u32, count: u32) -> Result<*mut T> {
        let end = offset as usize + count as usize * size_of::<T>();
        if end > self.header.len as usize || !(offset as usize).is_multiple_of(align_of::<T>()) {
            return Err(EPROTO);
        }
        // SAFETY: within the block.
        Ok(unsafe { self.base.add(offset as usize) as *mut T })
    }

    /// The string at `offset`, where a step has one.
    pub fn text(&self, offset: u32) -> Result<Str> {
        self.text_mut(offset).map(|path| path.as_str())
    }

    pub fn text_mut(&self, offset: u32) -> Result<Path> {
        if offset == 0 || offset >= self.header.len {
            return Err(EPROTO);
        }
        // SAFETY: within the block, which the host ends with a NUL byte.
        Ok(unsafe { Path::new(self.base.add(offset as usize)) })
    }

    /// `len` bytes of the block, to be written into.
    pub fn bytes_mut(&self, offset: u32, len: usize) -> Result<&'static mut [u8]> {
        let start = self.table::<u8>(offset, len as u32)?;
        // SAFETY: within the block; init has one thread, and no other reference to these bytes is held.
        Ok(unsafe { core::slice::from_raw_parts_mut(start, len) })
    }

    pub fn u32_array(&self, offset: u32, count: usize) -> Result<*const u32> {
        self.table::<u32>(offset, count as u32).map(|start| start as *const u32)
    }

    /// The `index`th string of an array of offsets, None where the offset is 0.
    pub fn array_text(&self, array: u32, index: usize) -> Result<Option<Str>> {
        // SAFETY: `table` has checked that the entry lies within the block.
        let offset = unsafe { *self.table::<u64>(array, index as u32 + 1)?.add(index) };
        if offset == 0 { Ok(None) } else { self.text(offset as u32).map(Some) }
    }

    /// Turns a 0-terminated array of offsets into a NULL-terminated array of pointers, where it lies. Once only.
    pub fn pointers(&self, array: u32) -> Result<*const *const u8> {
        let start = self.table::<u64>(array, 1)?;
        let mut count = 0;
        loop {
            self.table::<u64>(array, count + 1)?;
            // SAFETY: checked just now.
            let entry = unsafe { &mut *start.add(count as usize) };
            if *entry == 0 {
                return Ok(start as *const *const u8);
            }
            *entry = self.text(*entry as u32)?.as_ptr() as u64;
            count += 1;
        }
    }
}

/// A path in the plan that can be cut for a moment, to walk it component by component without memory.
#[derive(Clone, Copy)]
pub struct Path(*mut u8);

impl Path {
    /// # Safety
    /// `start` must be NUL-terminated, writable memory that stays for the life of the process.
    pub unsafe fn new(start: *mut u8) -> Path {
        Path(start)
    }

    pub fn as_str(self) -> Str {
        // SAFETY: the promise of `new`.
        unsafe { Str::new(self.0) }
    }

    /// The path from byte `start` on.
    pub fn from(self, start: usize) -> Str {
        // SAFETY: callers pass an index within the path.
        unsafe { Str::new(self.0.add(start)) }
    }

    /// Runs `f` while the path ends before byte `end`.
    pub fn cut<T>(self, end: usize, f: impl FnOnce(Path) -> T) -> T {
        // SAFETY: callers pass an index within the path, and init has one thread.
        unsafe {
            let kept = *self.0.add(end);
            *self.0.add(end) = 0;
            let result = f(self);
            *self.0.add(end) = kept;
            result
        }
    }
}
