//! Formats options that are too long for fsconfig(2) for mount(2): flags, and one text with the other options.

use super::steps;
use super::sys::*;

/// The longest value that fsconfig(2) accepts.
const MAX_VALUE_LENGTH: usize = 255;
/// The size of the options that mount(2) accepts, including the NUL.
const PAGE: usize = 4096;

/// The generic options that mount(2) takes as flags; 0 for defaults.
const FLAGS: [(&[u8], u64); 8] = [
    (b"ro", MS_RDONLY),
    (b"sync", MS_SYNCHRONOUS),
    (b"mand", MS_MANDLOCK),
    (b"dirsync", MS_DIRSYNC),
    (b"lazytime", MS_LAZYTIME),
    (b"async", 0),
    (b"nomand", 0),
    (b"nolazytime", 0),
];

/// Whether the source or an option is too long for fsconfig(2).
pub fn too_long(step: &steps::Mount) -> Result<bool> {
    let long = |text: Option<Str>| text.is_some_and(|text| text.bytes().len() > MAX_VALUE_LENGTH);
    let mut index = 0;
    while let Some(key) = step.options.get(index)? {
        if long(Some(key)) || long(step.options.get(index + 1)?) {
            return Ok(true);
        }
        index += 2;
    }
    Ok(long(step.source))
}

pub struct Options {
    bytes: [u8; PAGE],
    len: usize,
    pub flags: u64,
}

impl Options {
    pub fn new() -> Options {
        Options { bytes: [0; PAGE], len: 0, flags: 0 }
    }

    pub fn collect(&mut self, step: &steps::Mount, mode: Option<u32>) -> Result<()> {
        if let Some(mode) = mode {
            let digits = octal(mode);
            self.add(b"mode", Some(&digits[..digits.len() - 1]))?;
        }
        let mut index = 0;
        while let Some(key) = step.options.get(index)? {
            let value = step.options.get(index + 1)?;
            match FLAGS.iter().find(|(name, _)| value.is_none() && *name == key.bytes()) {
                Some((_, flag)) => self.flags |= flag,
                None => self.add(key.bytes(), value.map(Str::bytes))?,
            }
            index += 2;
        }
        Ok(())
    }

    fn add(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<()> {
        if self.len > 0 {
            self.append(b",")?;
        }
        self.append(key)?;
        if let Some(value) = value {
            self.append(b"=")?;
            self.append(value)?;
        }
        Ok(())
    }

    fn append(&mut self, text: &[u8]) -> Result<()> {
        let end = self.len + text.len();
        if end >= PAGE {
            return Err(E2BIG); // the kernel would cut it off
        }
        self.bytes[self.len..end].copy_from_slice(text);
        self.len = end;
        Ok(())
    }

    /// Returns the text. It must not be used after this value is dropped.
    pub fn text(&self) -> Str {
        // SAFETY: at least one zero follows the text; callers use it only while the value exists, as the method
        // requires.
        unsafe { Str::new(self.bytes.as_ptr()) }
    }
}

/// Formats a mode as four octal digits.
pub fn octal(mode: u32) -> [u8; 5] {
    let digit = |place: u32| b'0' + (mode >> (3 * place) & 7) as u8;
    [digit(3), digit(2), digit(1), digit(0), 0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_has_four_digits() {
        assert_eq!(&octal(0o1777), b"1777\0");
        assert_eq!(&octal(0o700), b"0700\0");
    }

    #[test]
    fn options_are_joined_up_to_what_the_kernel_takes() {
        let mut options = Options::new();
        options.add(b"a", None).unwrap();
        options.add(b"b", Some(b"1:2")).unwrap();
        options.add(b"c", Some(b"")).unwrap();
        assert_eq!(options.text().bytes(), b"a,b=1:2,c=");
        let room = PAGE - 1 - options.len;
        let value = vec![b'x'; room];
        assert_eq!(options.add(b"long", Some(&value)), Err(E2BIG));
        let mut options = Options::new();
        options.add(b"d", Some(&vec![b'x'; PAGE - 3])).unwrap();
        assert_eq!(options.text().bytes().len(), PAGE - 1);
    }
}
