//! Parses `/proc/<pid>/mountinfo`: the mounts of a process's mount namespace (proc_pid_mountinfo(5)).
//!
//! The parser uses bytes, since mount points are paths and need not be UTF-8, and borrows from them: a busy host has
//! hundreds of lines, and each create reads them. It skips lines that do not have the documented format.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use super::procfs;
use crate::error::{Context, Result};

/// The usual size of the table on a busy host, in bytes.
pub const TYPICAL_SIZE: usize = 16 << 10;

/// One mount: a line of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount<'a> {
    pub id: u64,
    pub parent: u64,
    /// The `st_dev` of files on the mount.
    pub device: u64,
    /// The mounted directory of the filesystem: "/" unless only a part is mounted.
    pub root: Cow<'a, Path>,
    /// The mount point, relative to the process's root.
    pub point: Cow<'a, Path>,
    pub options: Cow<'a, str>,
    /// The propagation fields: "shared:1", "master:2", "propagate_from:3", "unbindable".
    tags: &'a [u8],
    pub kind: Cow<'a, str>,
    pub super_options: Cow<'a, str>,
}

impl<'a> Mount<'a> {
    /// Whether mounts propagate to or from this mount.
    pub fn propagates(&self) -> bool {
        self.tags.split(|byte| *byte == b' ').any(|tag| tag.starts_with(b"shared:") || tag.starts_with(b"master:"))
    }

    /// Returns the peer group with which the mount shares what is mounted below it.
    pub fn peer_group(&self) -> Option<u64> {
        self.tag(b"shared:")
    }

    /// Returns the peer group from which the mount receives what is mounted below it.
    pub fn master(&self) -> Option<u64> {
        self.tag(b"master:")
    }

    fn tag(&self, prefix: &[u8]) -> Option<u64> {
        self.tags.split(|byte| *byte == b' ').find_map(|tag| number(tag.strip_prefix(prefix)?))
    }

    pub fn shows_all(&self) -> bool {
        self.root == Path::new("/")
    }

    pub fn is_read_only(&self) -> bool {
        [&self.options, &self.super_options].iter().any(|list| list.split(',').any(|option| option == "ro"))
    }

    fn parse(line: &'a [u8]) -> Option<Mount<'a>> {
        let mut fields = Fields(Some(line));
        let id = number(fields.next()?)?;
        let parent = number(fields.next()?)?;
        let (major, minor) = split_at(fields.next()?, b":")?;
        let device = libc::makedev(u32::try_from(number(major)?).ok()?, u32::try_from(number(minor)?).ok()?);
        let root = path(fields.next()?);
        let point = path(fields.next()?);
        let options = String::from_utf8_lossy(fields.next()?);
        let rest = fields.0?;
        // There may be no optional fields.
        let (tags, rest) = match rest.strip_prefix(b"- ") {
            Some(rest) => (&b""[..], rest),
            None => split_at(rest, b" - ")?,
        };
        let mut fields = Fields(Some(rest));
        let kind = String::from_utf8_lossy(fields.next()?);
        // The mount source may be an empty name, and then the field is empty.
        let _source = fields.next()?;
        let super_options = String::from_utf8_lossy(fields.0?);
        Some(Mount { id, parent, device, root, point, options, tags, kind, super_options })
    }
}

/// Returns the mounts of a table, in the order in which they were mounted.
pub fn parse(table: &[u8]) -> impl Iterator<Item = Mount<'_>> {
    table.split(|byte| *byte == b'\n').filter_map(Mount::parse)
}

/// Reads the table of a process, given by its pid or "self". Returns an empty table if the process no longer exists.
pub fn read(process: &str) -> Result<Vec<u8>> {
    Ok(procfs::read_bytes(&format!("{process}/mountinfo"), TYPICAL_SIZE)?.unwrap_or_default())
}

/// Returns the id of the mount that an open file lies on, in the file's mount namespace.
pub fn id_of(opened: &OwnedFd) -> Result<u64> {
    let info = procfs::read_optional(&format!("self/fdinfo/{}", opened.as_raw_fd()))?.unwrap_or_default();
    let id = info.lines().find_map(|line| line.strip_prefix("mnt_id:")).and_then(|id| id.trim().parse().ok());
    id.ok_or(Errno::EPROTO).context(|| "looking for the id of a mount")
}

/// Fields separated by single spaces; the rest can be taken as a whole.
struct Fields<'a>(Option<&'a [u8]>);

impl<'a> Iterator for Fields<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let text = self.0?;
        let (field, rest) = match split_at(text, b" ") {
            Some((field, rest)) => (field, Some(rest)),
            None => (text, None),
        };
        self.0 = rest;
        Some(field)
    }
}

fn split_at<'a>(text: &'a [u8], separator: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = text.windows(separator.len()).position(|window| window == separator)?;
    Some((&text[..at], &text[at + separator.len()..]))
}

fn number(digits: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
    digits.parse().ok()
}

/// Decodes a path: the kernel writes space, tab, newline, backslash and "#" as a backslash and three octal digits.
fn path(field: &[u8]) -> Cow<'_, Path> {
    if !field.contains(&b'\\') {
        return Cow::Borrowed(Path::new(OsStr::from_bytes(field)));
    }
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        match (first, escaped(after)) {
            (b'\\', Some(byte)) => {
                plain.push(byte);
                rest = &after[3..];
            }
            _ => {
                plain.push(*first);
                rest = after;
            }
        }
    }
    Cow::Owned(PathBuf::from(OsString::from_vec(plain)))
}

fn escaped(after: &[u8]) -> Option<u8> {
    let digits = after.first_chunk::<3>().filter(|digits| digits.iter().all(|digit| (b'0'..=b'7').contains(digit)))?;
    let value = digits.iter().fold(0u32, |value, digit| value * 8 + u32::from(digit - b'0'));
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(line: &[u8]) -> Option<Mount<'_>> {
        let mut mounts = parse(line);
        let first = mounts.next();
        assert!(mounts.next().is_none());
        first
    }

    #[test]
    fn a_line_is_read() {
        let line =
            b"29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n";
        let mount = only(line).unwrap();
        assert_eq!((mount.id, mount.parent, mount.device), (29, 23, libc::makedev(0, 26)));
        assert_eq!((mount.root.as_ref(), mount.point.as_ref()), (Path::new("/"), Path::new("/sys/fs/cgroup")));
        assert_eq!((mount.options.as_ref(), mount.kind.as_ref()), ("rw,nosuid", "cgroup2"));
        assert_eq!(mount.super_options, "rw,nsdelegate,memory_recursiveprot");
        assert!(mount.propagates() && mount.shows_all() && !mount.is_read_only());
    }

    #[test]
    fn tags_may_be_none_one_or_several() {
        let with = |tags: &str| format!("36 35 98:0 /a /b rw {tags}- ext4 /dev/sda1 rw");
        for (tags, propagates) in [
            ("", false),
            ("shared:7 ", true),
            ("master:1 ", true),
            ("shared:9 master:1 ", true),
            ("master:1 propagate_from:2 ", true),
            ("unbindable ", false),
            ("new-in-some-kernel:5 ", false),
        ] {
            let line = with(tags);
            let mount = only(line.as_bytes()).unwrap();
            assert_eq!((mount.propagates(), mount.kind.as_ref()), (propagates, "ext4"), "{tags:?}");
            assert_eq!(mount.peer_group().or(mount.master()).is_some(), propagates, "{tags:?}");
        }
    }

    #[test]
    fn escapes_are_undone_and_other_backslashes_stay() {
        for (field, plain) in [
            (&br"/a\040b\011c\012d\134e"[..], &b"/a b\tc\nd\\e"[..]),
            (br"/hash\043x", b"/hash#x"),
            (br"/\134040", br"/\040"),
            (br"/end\", br"/end\"),
            (br"/end\04", br"/end\04"),
            (br"/\048", br"/\048"),
            (br"/\777", br"/\777"),
            (br"/\+40", br"/\+40"),
            (b"/\xff\xfe", b"/\xff\xfe"),
            (b"/\\\xc3\xa4\\040", b"/\\\xc3\xa4 "),
        ] {
            assert_eq!(path(field).as_os_str().as_bytes(), plain, "{}", field.escape_ascii());
        }
    }

    #[test]
    fn paths_need_not_be_utf_8() {
        let mount = only(b"1 2 8:1 /r\xff /p\xfe\\040q rw - overlay overlay rw,lowerdir=/\xff").unwrap();
        assert_eq!(mount.root.as_os_str().as_bytes(), b"/r\xff");
        assert_eq!(mount.point.as_os_str().as_bytes(), b"/p\xfe q");
        assert_eq!(mount.kind, "overlay");
    }

    #[test]
    fn a_source_may_be_empty_and_options_may_have_spaces() {
        let mount = only(b"1 2 0:5 / /mnt rw - tmpfs  ro,size=1k").unwrap();
        assert_eq!((mount.kind.as_ref(), mount.super_options.as_ref()), ("tmpfs", "ro,size=1k"));
        assert!(mount.is_read_only());
        let mount = only(b"1 2 0:5 / /mnt rw - fuse.x /x - y rw,name=a b").unwrap();
        assert_eq!(mount.super_options, "- y rw,name=a b");
    }

    #[test]
    fn a_malformed_line_is_skipped() {
        let whole = "36 35 98:0 /a /b rw shared:1 - ext4 /dev/sda1 rw";
        // The super options are the last field, so a line that ends before them is incomplete.
        for length in 0..whole.len() - 2 {
            assert!(only(&whole.as_bytes()[..length]).is_none(), "{}", &whole[..length]);
        }
        for line in [
            "x 35 98:0 / / rw - ext4 a rw",
            "-1 35 98:0 / / rw - ext4 a rw",
            "+1 35 98:0 / / rw - ext4 a rw",
            "36 99999999999999999999999 98:0 / / rw - ext4 a rw",
            "36 35 98 / / rw - ext4 a rw",
            "36 35 :0 / / rw - ext4 a rw",
            "36 35 4294967296:0 / / rw - ext4 a rw",
            "36 35 98:0 / / rw ext4 a rw",
            " ",
        ] {
            assert!(only(line.as_bytes()).is_none(), "{line}");
            let table = format!("{whole}\n{line}\n\n{whole}\n");
            assert_eq!(parse(table.as_bytes()).count(), 2, "{line}");
        }
    }

    #[test]
    fn the_table_of_this_process_is_understood_whole() {
        let table = read("self").unwrap();
        let lines = table.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count();
        assert_eq!(parse(&table).count(), lines);
        assert!(parse(&table).any(|mount| mount.kind == "proc" && mount.point == Path::new("/proc")));
        assert!(read("4194305").unwrap().is_empty());
    }
}
