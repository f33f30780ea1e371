//! Looks up the home directory of a user in the container's own /etc/passwd.
//!
//! The image controls the file, so it is opened beneath the root, read only if it is a regular file (opening a FIFO or
//! a device could block or have side effects), and only up to `MAX_BYTES` bytes. A malformed file is no error: the home
//! directory is then "/", as without an entry.

use super::sys::*;
use super::tree::{self, Top};

const PREFIX: &[u8] = b"HOME=";
const MAX_BYTES: usize = 1 << 20;

/// Completes the text in `room`, which begins with "HOME=".
pub fn complete(proc: i32, uid: u32, room: &mut [u8]) -> Result<()> {
    if room.len() < PREFIX.len() + 2 {
        return Err(EPROTO);
    }
    let place = &mut room[PREFIX.len()..];
    // Whatever the reason is for not finding it: as runc has it.
    let len = look_up(proc, uid, place).ok().flatten().unwrap_or_else(|| {
        place[0] = b'/';
        1
    });
    place[len] = 0;
    Ok(())
}

fn look_up(proc: i32, uid: u32, into: &mut [u8]) -> Result<Option<usize>> {
    let root = openat(AT_FDCWD, SLASH, O_PATH | O_DIRECTORY, 0)?;
    let found = tree::open(Top { fd: root, strict: false }, Str::literal(c"/etc/passwd"), O_PATH);
    close(root);
    let found = found?;
    let result = if file_type(&stat(found)?) == S_IFREG {
        tree::reopen(proc, found, O_RDONLY | O_NONBLOCK)
    } else {
        Err(EINVAL)
    };
    close(found);
    let file = result?;
    let home = search(|buffer| read(file, buffer), uid, into);
    close(file);
    home
}

/// Returns the length of the sixth field of the first line whose third field is `uid`. Reads in chunks, without storing
/// lines.
pub fn search(mut read: impl FnMut(&mut [u8]) -> Result<usize>, uid: u32, into: &mut [u8]) -> Result<Option<usize>> {
    let mut buffer = [0u8; 4096];
    let mut line = Line::default();
    let mut total = 0;
    while total < MAX_BYTES {
        let count = read(&mut buffer)?;
        total += count;
        for &byte in &buffer[..count] {
            if line.take(byte, into) {
                if line.is_of(uid, into) {
                    return Ok(Some(line.len));
                }
                line = Line::default();
            }
        }
        if count == 0 {
            // The last line need not end with a newline.
            return Ok(line.is_of(uid, into).then_some(line.len));
        }
    }
    Ok(None)
}

/// The state of the parser within one line.
#[derive(Default)]
struct Line {
    field: usize,
    /// The uid; `None` if the field is not a number.
    uid: Option<u64>,
    broken: bool,
    len: usize,
}

impl Line {
    /// Parses the next byte. Returns true at the end of the line.
    fn take(&mut self, byte: u8, into: &mut [u8]) -> bool {
        match (byte, self.field) {
            (b'\n', _) => return true,
            (b':', _) => self.field += 1,
            (b'0'..=b'9', 2) => {
                let value = self.uid.unwrap_or(0) * 10 + (byte - b'0') as u64;
                self.uid = Some(value);
                self.broken |= value > u32::MAX as u64;
                if self.broken {
                    self.uid = Some(0);
                }
            }
            (_, 2) => self.broken = true,
            (0, 5) => self.broken = true,
            (_, 5) if self.len + 1 < into.len() => {
                into[self.len] = byte;
                self.len += 1;
            }
            (_, 5) => self.broken = true,
            _ => {}
        }
        false
    }

    /// Whether the line has an absolute home directory of this user. (A relative one would depend on the working
    /// directory.)
    fn is_of(&self, uid: u32, home: &[u8]) -> bool {
        !self.broken && self.field >= 5 && self.uid == Some(uid as u64) && self.len > 0 && home[0] == b'/'
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Searches `text` in chunks of every size, because a read may end anywhere.
    fn home(text: &str, uid: u32) -> Option<String> {
        let found: Vec<_> = (1..=text.len().clamp(1, 9))
            .map(|piece| {
                let mut rest = text.as_bytes();
                let mut into = [0u8; 64];
                let mut read = |buffer: &mut [u8]| {
                    let count = rest.len().min(piece);
                    buffer[..count].copy_from_slice(&rest[..count]);
                    rest = &rest[count..];
                    Ok(count)
                };
                let len = search(&mut read, uid, &mut into).unwrap();
                len.map(|len| String::from_utf8(into[..len].to_vec()).unwrap())
            })
            .collect();
        assert!(found.iter().all(|one| *one == found[0]), "{found:?}");
        found[0].clone()
    }

    #[test]
    fn the_first_entry_of_a_user_is_used() {
        let text = "root:x:0:0:root:/root:/bin/sh\nme:x:1000:1000::/home/me:\nalias:x:1000:1::/other:\n";
        assert_eq!(home(text, 0).as_deref(), Some("/root"));
        assert_eq!(home(text, 1000).as_deref(), Some("/home/me"));
        assert_eq!(home(text, 1001), None);
        assert_eq!(home("last:x:5:5::/five", 5).as_deref(), Some("/five"), "without a newline or a shell");
    }

    #[test]
    fn a_broken_entry_is_skipped() {
        for line in [
            "a:x:0",
            "a:x:0:0:x",
            "a:x:+0:0::/x:",
            "a:x:0x0:0::/x:",
            "a:x: 0:0::/x:",
            "a:x::0::/x:",
            "a:x:4294967296:0::/x:",
            "a:x:18446744073709551616:0::/x:",
            "a:x:0:0:::",
            "a:x:0:0::relative:",
            "a:x:0:0::/x\0y:",
            "a:x:0:0::/0123456789012345678901234567890123456789012345678901234567890123456789:",
        ] {
            assert_eq!(home(line, 0), None, "{line:?}");
            assert_eq!(home(&format!("{line}\nb:x:0:0::/b:\n"), 0).as_deref(), Some("/b"), "{line:?}");
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "reads a MiB, for minutes")]
    fn a_file_without_an_end_is_not_read_for_ever() {
        let mut into = [0u8; 64];
        let endless = |buffer: &mut [u8]| {
            buffer.fill(b'x');
            Ok(buffer.len())
        };
        assert_eq!(search(endless, 0, &mut into), Ok(None));
    }
}
