//! init's view of the plan's bytes: checked access to steps, slots, strings and arrays.

use super::steps::LAYOUT;
use super::sys::{EPROTO, Result, Str};
use super::wire::{Header, MAGIC};

/// The reason why bytes are not a valid plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The bytes are truncated or modified.
    Damaged,
    /// The plan has the layout of another build.
    OtherBuild,
}

/// A plan in memory that only init uses and that is never freed. Copyable, because it is an address.
#[derive(Clone, Copy)]
pub struct Plan {
    base: *mut u8,
    header: Header,
}

impl Plan {
    /// Checks that a block of memory is a plan, and returns it.
    ///
    /// # Safety
    /// `base` must be 8-byte aligned, private, writable memory of `len` bytes that is never freed.
    pub unsafe fn new(base: *mut u8, len: usize) -> core::result::Result<Plan, Refusal> {
        if len < size_of::<Header>() {
            return Err(Refusal::Damaged);
        }
        // SAFETY: the block is at least a header long, and aligned.
        let header = unsafe { *(base as *const Header) };
        if header.magic != MAGIC {
            return Err(Refusal::Damaged);
        }
        if header.layout != LAYOUT {
            return Err(Refusal::OtherBuild);
        }
        if header.len as usize > len || (header.len as usize) < size_of::<Header>() {
            return Err(Refusal::Damaged);
        }
        // The last text ends within the block.
        // SAFETY: within the block, as was just checked.
        if unsafe { *base.add(header.len as usize - 1) } != 0 {
            return Err(Refusal::Damaged);
        }
        Ok(Plan { base, header })
    }

    /// Returns the plan's header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Returns the 64-bit word at `offset`.
    pub fn word(&self, offset: u32) -> Result<u64> {
        // SAFETY: `table` has checked that the word lies within the block.
        Ok(unsafe { *self.table::<u64>(offset, 1)? })
    }

    /// Returns the descriptors that init inherits, in ascending order.
    pub fn keep(&self) -> Result<&'static mut [i32]> {
        self.numbers(self.header.keep, self.header.keep_count)
    }

    /// Returns the descriptors that become 0, 1, 2 and so on.
    pub fn low(&self) -> Result<&'static mut [i32]> {
        self.numbers(self.header.low, self.header.low_count)
    }

    /// Returns the table of descriptors, by slot.
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

    /// Returns the string at `offset`.
    pub fn text(&self, offset: u32) -> Result<Str> {
        self.text_mut(offset).map(|path| path.as_str())
    }

    /// Returns the string at `offset` as a path that can be cut while it is walked.
    pub fn text_mut(&self, offset: u32) -> Result<Path> {
        if offset == 0 || offset >= self.header.len {
            return Err(EPROTO);
        }
        // SAFETY: within the block, which ends with a NUL byte.
        Ok(unsafe { Path::new(self.base.add(offset as usize)) })
    }

    /// Returns `len` bytes of the block for writing.
    pub fn bytes_mut(&self, offset: u32, len: usize) -> Result<&'static mut [u8]> {
        let start = self.table::<u8>(offset, counted(len)?)?;
        // SAFETY: within the block; init has one thread, and no other reference to these bytes is held.
        Ok(unsafe { core::slice::from_raw_parts_mut(start, len) })
    }

    /// Returns the address of `count` 32-bit numbers.
    pub fn u32_array(&self, offset: u32, count: usize) -> Result<*const u32> {
        self.table::<u32>(offset, counted(count)?).map(|start| start as *const u32)
    }

    /// Returns string `index` of an array of offsets, or `None` if the offset is 0.
    pub fn array_text(&self, array: u32, index: usize) -> Result<Option<Str>> {
        // SAFETY: `table` has checked that the entry lies within the block.
        let offset = unsafe { *self.table::<u64>(array, index as u32 + 1)?.add(index) };
        if offset == 0 { Ok(None) } else { self.text(offset as u32).map(Some) }
    }

    /// Converts a 0-terminated array of offsets in place to a NULL-terminated array of pointers. May be called only
    /// once for an array.
    pub fn pointers(&self, array: u32) -> Result<*const *const u8> {
        let start = self.table::<u64>(array, 1)?;
        let mut count = 0;
        loop {
            self.table::<u64>(array, count + 1)?;
            // SAFETY: checked just now.
            let offset = unsafe { *start.add(count as usize) };
            if offset == 0 {
                return Ok(start as *const *const u8);
            }
            let text = self.text(u32::try_from(offset).map_err(|_| EPROTO)?)?;
            // SAFETY: as above; a pointer takes the place of a number of the same size.
            unsafe { (start as *mut *const u8).add(count as usize).write(text.as_ptr()) };
            count += 1;
        }
    }
}

/// Returns the count as the plan would have it; a larger one lies beyond every end.
fn counted(count: usize) -> Result<u32> {
    u32::try_from(count).map_err(|_| EPROTO)
}

/// A path in the plan that can be cut temporarily, to walk its components without allocation.
#[derive(Clone, Copy)]
pub struct Path(*mut u8);

impl Path {
    /// Returns the path that begins at `start`.
    ///
    /// # Safety
    /// `start` must be NUL-terminated, writable memory that stays for the life of the process.
    pub unsafe fn new(start: *mut u8) -> Path {
        Path(start)
    }

    /// Returns the whole path.
    pub fn as_str(self) -> Str {
        // SAFETY: the promise of `new`.
        unsafe { Str::new(self.0) }
    }

    /// Returns the path from byte `start` on.
    pub fn from(self, start: usize) -> Str {
        // SAFETY: callers pass an index within the path.
        unsafe { Str::new(self.0.add(start)) }
    }

    /// Runs `f` with the path cut before byte `end`.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::{Field, Slot, Texts, Words};
    use crate::steps::{self, Op};

    const LEN: usize = 256;

    /// Builds a plan with these words at its end, and the text "a/b" at 200. Its steps begin at 48.
    fn plan(words: &[u64], change: impl FnOnce(&mut Header)) -> core::result::Result<Plan, Refusal> {
        let mut header = Header {
            magic: MAGIC,
            len: LEN as u32,
            layout: LAYOUT,
            steps: 48,
            step_count: 1,
            slots: 0,
            slot_count: 0,
            low: 0,
            low_count: 0,
            keep: 0,
            keep_count: 0,
        };
        change(&mut header);
        let mut bytes = header.bytes().to_vec();
        words.iter().for_each(|word| bytes.extend(word.to_ne_bytes()));
        bytes.resize(LEN, 0);
        bytes[200..203].copy_from_slice(b"a/b");
        let block: Vec<u64> = bytes.chunks(8).map(|chunk| u64::from_ne_bytes(chunk.try_into().unwrap())).collect();
        // SAFETY: leaked and 8-byte aligned.
        unsafe { Plan::new(block.leak().as_mut_ptr() as *mut u8, LEN) }
    }

    #[test]
    fn a_step_is_read_with_its_fields() {
        let plan = plan(&[Op::SetNs as u64, 5, 0x2000_0000], |_| ()).unwrap();
        let mut words = Words::new(plan);
        assert_eq!(words.next(), Ok(steps::SetNs::NUMBER));
        let step = steps::SetNs::read(&mut words).unwrap();
        assert_eq!((step.slot, step.flags), (Slot(5), 0x2000_0000));
    }

    #[test]
    fn nothing_is_read_beyond_the_end() {
        let plan = plan(&[], |header| header.steps = LEN as u32).unwrap();
        assert_eq!(Words::new(plan).next(), Err(EPROTO));
        assert_eq!(plan.text(LEN as u32).err(), Some(EPROTO));
        assert_eq!(plan.text(0).err(), Some(EPROTO), "that is the header");
        assert_eq!(plan.word(44).err(), Some(EPROTO), "not aligned");
        assert!(plan.u32_array(248, 2).is_ok());
        assert_eq!(plan.u32_array(248, 3).err(), Some(EPROTO));
        assert_eq!(plan.bytes_mut(200, 57).err(), Some(EPROTO));
        assert_eq!(plan.u32_array(248, (1 << 32) + 1).err(), Some(EPROTO), "as many instructions of two numbers");
        assert_eq!(plan.bytes_mut(200, 1 << 32).err(), Some(EPROTO));
        assert!(plan.slots().unwrap().is_empty());
    }

    #[test]
    fn offsets_become_pointers() {
        let plan = plan(&[200, 202, 0, 300, 0, 48], |_| ()).unwrap();
        assert_eq!(plan.pointers(72).err(), Some(EPROTO), "the text lies beyond the end");
        let mut words = Words::new(plan);
        (0..5).for_each(|_| _ = words.next());
        let array = Texts::read(&mut words).unwrap();
        // SAFETY: two pointers to C strings, and NULL.
        unsafe {
            assert_eq!(Str::new(*array).bytes(), b"a/b");
            assert_eq!(Str::new(*array.add(1)).bytes(), b"b");
            assert!((*array.add(2)).is_null());
        }
    }

    #[test]
    fn a_path_is_truncated_temporarily() {
        let path = plan(&[], |_| ()).unwrap().text_mut(200).unwrap();
        assert_eq!(path.cut(1, |path| path.as_str().bytes().to_vec()), b"a");
        assert_eq!((path.as_str().bytes(), path.from(2).bytes()), (&b"a/b"[..], &b"b"[..]));
    }

    #[test]
    fn the_last_text_of_a_plan_ends_in_it() {
        let ends_with = |byte: u64| plan(&[byte << 56; 26], |_| ()).err();
        assert_eq!(ends_with(0), None);
        assert_eq!(ends_with(b'x'.into()), Some(Refusal::Damaged));
        for len in [0, 47] {
            assert_eq!(plan(&[], |header| header.len = len).err(), Some(Refusal::Damaged));
        }
    }

    #[test]
    fn a_plan_of_another_build_is_refused() {
        let refusal = |change: fn(&mut Header)| plan(&[], change).err();
        assert_eq!(refusal(|header| header.magic += 1), Some(Refusal::Damaged));
        assert_eq!(refusal(|header| header.len += 1), Some(Refusal::Damaged));
        assert_eq!(refusal(|header| header.layout += 1), Some(Refusal::OtherBuild));
    }
}
