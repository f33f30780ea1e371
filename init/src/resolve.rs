//! Resolves a path of which a part is missing. Symlinks, `.` and `..` are followed as in a chroot of the top; a missing
//! component is kept as it is, and a following `..` removes it. An image may have links to files that its packages
//! create later (/etc/resolv.conf, /var/run): a mount there creates the missing part.
//!
//! The walk changes nothing and keeps nothing open: it opens each component with one openat2(2) from the top that
//! follows no symlink. The result contains no symlinks. Code that creates files along it refuses symlinks, so a link
//! that is created afterwards causes an error and cannot redirect the path.

use super::plan::Path;
use super::sys::*;
use super::tree::Top;

const PATH_MAX: usize = 4096;
/// The number of links that the kernel follows (path_resolution(7)).
const MAX_LINKS: u32 = 40;

/// A path relative to the top, whose existing part contains no symlinks.
pub struct Resolved {
    /// The path, NUL-terminated.
    bytes: [u8; PATH_MAX],
    len: usize,
}

impl Resolved {
    pub fn new() -> Resolved {
        Resolved { bytes: [0; PATH_MAX], len: 0 }
    }

    /// Returns the path. It must not be used after this value is dropped.
    pub fn path(&mut self) -> Path {
        // SAFETY: NUL-terminated and writable; callers use it only while the value exists, as the method requires.
        unsafe { Path::new(self.bytes.as_mut_ptr()) }
    }

    fn push(&mut self, name: &[u8]) -> Result<()> {
        let end = self.len + 1 + name.len();
        if end >= PATH_MAX {
            return Err(ENAMETOOLONG);
        }
        self.bytes[self.len] = b'/';
        self.bytes[self.len + 1..end].copy_from_slice(name);
        self.cut(end);
        Ok(())
    }

    fn pop(&mut self) {
        let slash = self.bytes[..self.len].iter().rposition(|&byte| byte == b'/');
        self.cut(slash.unwrap_or(0));
    }

    fn cut(&mut self, len: usize) {
        self.len = len;
        self.bytes[len] = 0;
    }
}

/// The part of the path that remains to be walked, at the end of the buffer.
struct Remaining {
    bytes: [u8; PATH_MAX],
    start: usize,
}

impl Remaining {
    /// Prepends `text` to the remaining path.
    fn push(&mut self, text: &[u8]) -> Result<()> {
        let start = self.start.checked_sub(text.len() + 1).ok_or(ENAMETOOLONG)?;
        let end = start + text.len();
        self.bytes[start..end].copy_from_slice(text);
        self.bytes[end] = b'/';
        self.start = start;
        Ok(())
    }

    /// Removes the next name, and returns its start and end.
    fn next(&mut self) -> Option<(usize, usize)> {
        while self.start < PATH_MAX && self.bytes[self.start] == b'/' {
            self.start += 1;
        }
        if self.start == PATH_MAX {
            return None;
        }
        let start = self.start;
        // Each prepended text ends with a slash.
        while self.start < PATH_MAX && self.bytes[self.start] != b'/' {
            self.start += 1;
        }
        Some((start, self.start))
    }
}

/// Resolves `name` in the directory `path`, or `path` itself without a name.
pub fn resolve(top: Top, path: Str, name: Option<Str>, into: &mut Resolved) -> Result<()> {
    let mut rest = Remaining { bytes: [0; PATH_MAX], start: PATH_MAX };
    if let Some(name) = name {
        rest.push(name.bytes())?;
    }
    rest.push(path.bytes())?;
    into.cut(0);
    let mut links = 0;
    let mut target = [0u8; PATH_MAX];
    while let Some((start, end)) = rest.next() {
        match &rest.bytes[start..end] {
            b"." => continue,
            b".." => {
                into.pop();
                continue;
            }
            name => into.push(name)?,
        }
        let Some(length) = link(top, into.path().as_str(), &mut target)? else { continue };
        links += 1;
        if links > MAX_LINKS || top.strict {
            return Err(ELOOP);
        }
        match target[0] {
            b'/' => into.cut(0),
            _ => into.pop(),
        }
        rest.push(&target[..length])?;
    }
    Ok(())
}

/// Reads the target of the symlink `path` and returns its length, or `None` if `path` is not a symlink or is missing.
fn link(top: Top, path: Str, target: &mut [u8; PATH_MAX]) -> Result<Option<usize>> {
    let inside = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS;
    let found = match openat2(top.fd, path, O_PATH | O_NOFOLLOW, 0, inside) {
        Ok(found) => found,
        Err(ENOENT) => return Ok(None),
        Err(errno) => return Err(errno),
    };
    let result = target_of(found, target);
    close(found);
    result
}

fn target_of(found: i32, target: &mut [u8; PATH_MAX]) -> Result<Option<usize>> {
    if file_type(&stat(found)?) != S_IFLNK {
        return Ok(None);
    }
    // Magic links of procfs do not lead to the path that they show (symlink(7)).
    if filesystem(found)?.kind == PROC_SUPER_MAGIC {
        return Err(ELOOP);
    }
    match readlinkat(found, EMPTY, target)? {
        0 => Err(ENOENT),
        PATH_MAX => Err(ENAMETOOLONG),
        length => Ok(Some(length)),
    }
}
