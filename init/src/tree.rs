//! Finds and creates files beneath the container's root, by descriptor and never outside of it.
//!
//! Every lookup is one openat2(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS) from the root's descriptor, so a symlink of
//! the image leads to another path inside the image or nowhere. Every creation uses a single name in an open directory.
//! For a path that does not exist (a dangling symlink), `resolve` returns its target, and the target is created without
//! following symlinks.
//!
//! Symlinks are never followed at the mount points of the kernel's own filesystems (/dev, /proc, /sys): a procfs
//! mounted elsewhere would escape its masks.

use super::plan::Path;
use super::resolve::{Resolved, resolve};
use super::sys::*;

const INSIDE_ROOT: u64 = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
const NAME_MAX: usize = 255;

/// The directory that a path is resolved from: the root filesystem, or an open mount within it.
#[derive(Clone, Copy)]
pub struct Top {
    pub fd: i32,
    /// Whether symlinks are refused.
    pub strict: bool,
}

impl Top {
    pub fn strictly(self) -> Top {
        Top { strict: true, ..self }
    }
}

pub fn open(top: Top, path: Str, flags: u64) -> Result<i32> {
    openat2(top.fd, path, flags, 0, if top.strict { INSIDE_ROOT | RESOLVE_NO_SYMLINKS } else { INSIDE_ROOT })
}

/// Opens `path`, even through a symlink that has `..` after a missing component.
pub fn find(top: Top, path: Str, flags: u64) -> Result<i32> {
    match open(top, path, flags) {
        Err(ENOENT) => {}
        other => return other,
    }
    let mut resolved = Resolved::new();
    resolve(top, path, None, &mut resolved)?;
    open(top.strictly(), resolved.path().as_str(), flags)
}

/// Opens the directory `path`, creating it and its parents if they are missing.
pub fn make_directory(top: Top, path: Path) -> Result<i32> {
    match open(top, path.as_str(), O_PATH | O_DIRECTORY) {
        Err(ENOENT) => {}
        other => return other,
    }
    let mut resolved = Resolved::new();
    resolve(top, path.as_str(), None, &mut resolved)?;
    make_along(top.strictly(), resolved.path())
}

/// Opens or creates a directory as [`make_directory`] does, for a path without symlinks.
fn make_along(top: Top, path: Path) -> Result<i32> {
    let bytes = path.as_str().bytes();
    let mut parent = top.fd;
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == b'/' {
            at += 1;
            continue;
        }
        let start = at;
        while at < bytes.len() && bytes[at] != b'/' {
            at += 1;
        }
        let next = path.cut(at, |prefix| descend(top, parent, prefix, start));
        leave(top, parent);
        parent = next?;
    }
    if parent == top.fd { Err(ENOENT) } else { Ok(parent) }
}

/// Opens the directory `prefix`, whose last name begins at byte `start` and is in `parent`; creates it if it is
/// missing.
fn descend(top: Top, parent: i32, prefix: Path, start: usize) -> Result<i32> {
    match mkdirat(parent, prefix.from(start), 0o755) {
        Ok(()) | Err(EEXIST) => open(top, prefix.as_str(), O_PATH | O_DIRECTORY),
        // The directory may exist although nothing can be created there: the ENOENT was for a later component.
        Err(errno) => open(top, prefix.as_str(), O_PATH | O_DIRECTORY).map_err(|_| errno),
    }
}

/// Runs `f` with the directory `path`, creating it and its parents if they are missing.
pub fn in_directory<T>(top: Top, path: Path, f: impl FnOnce(i32) -> Result<T>) -> Result<T> {
    let directory = enter(top, path)?;
    let result = f(directory);
    leave(top, directory);
    result
}

/// Opens the directory to work in, except the top itself, which is open.
fn enter(top: Top, path: Path) -> Result<i32> {
    if matches!(path.as_str().bytes(), b"" | b"/") { Ok(top.fd) } else { make_directory(top, path) }
}

fn leave(top: Top, directory: i32) {
    if directory != top.fd {
        close(directory);
    }
}

/// Opens the file `path`, creating it empty, with its parents, if it is missing; for mounts that need a file as mount
/// point.
pub fn make_file(top: Top, path: Path) -> Result<i32> {
    match open(top, path.as_str(), O_PATH) {
        Err(ENOENT) => {}
        other => return other,
    }
    let mut resolved = Resolved::new();
    resolve(top, path.as_str(), None, &mut resolved)?;
    in_parent(top.strictly(), resolved.path(), make_file_at)
}

/// Opens or creates the regular or character device file `name` in `parent`, never the target of a symlink of this
/// name.
pub fn make_file_at(parent: i32, name: Str) -> Result<i32> {
    match openat(parent, name, O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY, 0o644) {
        Ok(fd) => close(fd),
        Err(EEXIST) => {}
        Err(errno) => return Err(errno),
    }
    let file = openat(parent, name, O_PATH | O_NOFOLLOW, 0)?;
    match file_type(&stat(file)?) {
        S_IFREG | S_IFCHR => Ok(file),
        _ => {
            close(file);
            Err(ELOOP)
        }
    }
}

/// Runs `f` with the parent directory of `path`, creating it if it is missing, and the last name.
pub fn in_parent<T>(top: Top, path: Path, f: impl FnOnce(i32, Str) -> Result<T>) -> Result<T> {
    let bytes = path.as_str().bytes();
    let name = bytes.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
    if name == bytes.len() {
        return Err(EINVAL);
    }
    let parent = path.cut(name, |directory| enter(top, directory))?;
    let result = f(parent, path.from(name));
    leave(top, parent);
    result
}

/// Formats "self/fd/N", which a procfs resolves to the descriptor itself.
pub fn self_fd(fd: i32, buffer: &mut [u8; 32]) -> Str {
    let prefix = b"self/fd/";
    buffer[..prefix.len()].copy_from_slice(prefix);
    let mut digits = [0u8; 10];
    let mut count = 0;
    let mut rest = fd as u32;
    loop {
        digits[count] = b'0' + (rest % 10) as u8;
        rest /= 10;
        count += 1;
        if rest == 0 {
            break;
        }
    }
    for index in 0..count {
        buffer[prefix.len() + index] = digits[count - 1 - index];
    }
    buffer[prefix.len() + count] = 0;
    // SAFETY: NUL-terminated above; the caller uses it while the buffer is valid.
    unsafe { Str::new(buffer.as_ptr()) }
}

/// Opens the file that an O_PATH descriptor refers to, whatever its name leads to by now.
pub fn reopen(proc: i32, fd: i32, flags: u64) -> Result<i32> {
    let mut buffer = [0; 32];
    openat(proc, self_fd(fd, &mut buffer), flags, 0)
}

/// Creates the symlink `name` -> `target` in `parent`, replacing any other file of that name.
pub fn make_symlink(parent: i32, name: Str, target: Str) -> Result<()> {
    match symlinkat(target, parent, name) {
        Err(EEXIST) => {}
        other => return other,
    }
    let mut found = [0u8; NAME_MAX + 1];
    match readlinkat(parent, name, &mut found) {
        Ok(len) if &found[..len] == target.bytes() => return Ok(()),
        _ => {}
    }
    unlinkat(parent, name, 0)?;
    symlinkat(target, parent, name)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::super::test_root::{path, root};
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "makes system calls")]
    fn directories_are_made_with_their_parents() {
        let root = root();
        close(make_directory(root.top(), path("/a/b//c/")).unwrap());
        assert!(root.inside("a/b/c").is_dir());
        close(make_directory(root.top(), path("/a/b/c")).unwrap());
        close(make_directory(root.top(), path("/")).unwrap());
    }

    #[test]
    #[cfg_attr(miri, ignore = "makes system calls")]
    fn work_at_the_top_is_done_in_the_top_itself() {
        let root = root();
        assert_eq!(in_directory(root.top(), path("/"), Ok), Ok(root.fd()));
        assert_ne!(in_directory(root.top(), path("/made"), Ok), Ok(root.fd()));
        assert!(root.inside("made").is_dir());
        assert!(stat(root.fd()).is_ok(), "still open");
    }

    #[test]
    #[cfg_attr(miri, ignore = "makes system calls")]
    fn symlinks_never_lead_outside() {
        let root = root();
        for (index, target) in ["/", "../..", "/../../..", "../../outside", "/etc"].iter().enumerate() {
            std::os::unix::fs::symlink(target, root.inside(&format!("link{index}"))).unwrap();
            let result = make_directory(root.top(), path(&format!("/link{index}/made/here")));
            if let Ok(fd) = result {
                close(fd);
            }
        }
        assert!(root.outside_is_empty());
        assert!(root.inside("made/here").is_dir(), "an absolute link leads to the root's own top");
    }

    #[test]
    #[cfg_attr(miri, ignore = "makes system calls")]
    fn a_magic_link_is_refused() {
        let root = root();
        let proc = std::fs::File::open("/proc").unwrap();
        assert_eq!(open(Top { fd: proc.as_raw_fd(), strict: false }, Str::literal(c"self/fd/0"), O_PATH), Err(ELOOP));
        drop(root);
    }

    #[test]
    #[cfg_attr(miri, ignore = "makes system calls")]
    fn a_looping_symlink_is_an_error() {
        let root = root();
        std::os::unix::fs::symlink("loop", root.inside("loop")).unwrap();
        assert_eq!(make_directory(root.top(), path("/loop/x")), Err(ELOOP));
        assert_eq!(make_file(root.top(), path("/loop")), Err(ELOOP));
    }

    #[test]
    #[cfg_attr(miri, ignore = "makes system calls")]
    fn the_target_of_a_dangling_symlink_is_created_inside() {
        use std::os::unix::fs::symlink;
        let links = [
            ("nowhere", "nowhere"),
            ("/not/there", "not/there"),
            ("../../../up", "up"),
            ("missing/../beside", "beside"),
            ("real/../there/./deep//er/", "there/deep/er"),
            ("second", "third/from/second"),
            ("/..", ""),
        ];
        for (target, leads_to) in links {
            for below in ["", "/x", "/x/y"] {
                let root = root();
                std::fs::create_dir(root.inside("real")).unwrap();
                symlink("third/from/second", root.inside("second")).unwrap();
                symlink(target, root.inside("link")).unwrap();
                let at = format!("/link{below}");
                let expected = root.inside(format!("{leads_to}{below}").trim_start_matches('/'));
                if leads_to.is_empty() && below.is_empty() {
                    continue; // the root itself
                }
                close(make_directory(root.top(), path(&at)).unwrap());
                assert!(expected.is_dir(), "{target}{below}");
                close(find(root.top(), path(&at).as_str(), O_PATH).unwrap());
                close(make_file(root.top(), path(&format!("{at}/f"))).unwrap());
                assert!(expected.join("f").is_file(), "{target}{below}");
                assert!(root.outside_is_empty() && !root.inside("missing").exists(), "{target}{below}");
            }
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "makes system calls")]
    fn a_file_is_made_where_a_dangling_symlink_of_its_name_leads_to() {
        let root = root();
        std::os::unix::fs::symlink("../run/resolve/stub.conf", root.inside("resolv.conf")).unwrap();
        close(make_file(root.top(), path("/resolv.conf")).unwrap());
        assert!(root.inside("run/resolve/stub.conf").is_file());
        let strict = Top { strict: true, ..root.top() };
        std::os::unix::fs::symlink("elsewhere", root.inside("other")).unwrap();
        assert_eq!(make_file(strict, path("/other")), Err(ELOOP));
        assert_eq!(make_directory(strict, path("/other/x")), Err(ELOOP));
        assert!(root.outside_is_empty() && !root.inside("elsewhere").exists());
    }

    #[test]
    #[cfg_attr(miri, ignore = "makes system calls")]
    fn a_link_chain_that_dangles_has_an_end() {
        let root = root();
        for index in 0..60 {
            std::os::unix::fs::symlink(format!("link{}", index + 1), root.inside(&format!("link{index}"))).unwrap();
        }
        assert_eq!(make_directory(root.top(), path("/link0")), Err(ELOOP));
        close(make_directory(root.top(), path("/link21")).unwrap());
        assert!(root.inside("link60").is_dir());
        // Together the names are longer than a path may be.
        let long = "d/".repeat(1500);
        std::os::unix::fs::symlink(format!("{long}b"), root.inside("a")).unwrap();
        assert_eq!(make_directory(root.top(), path(&format!("/a/{long}"))), Err(ENAMETOOLONG));
    }

    #[test]
    #[cfg_attr(miri, ignore = "makes system calls")]
    fn a_strict_walk_follows_no_symlink_at_all() {
        let root = root();
        std::fs::create_dir(root.inside("real")).unwrap();
        std::os::unix::fs::symlink("real", root.inside("link")).unwrap();
        let strict = Top { strict: true, ..root.top() };
        assert_eq!(make_directory(strict, path("/link")), Err(ELOOP));
        assert_eq!(make_directory(strict, path("/link/below")), Err(ELOOP));
        close(make_directory(strict, path("/real/below")).unwrap());
        close(make_directory(root.top(), path("/link/below")).unwrap());
    }

    #[test]
    #[cfg_attr(miri, ignore = "makes system calls")]
    fn a_file_for_a_mount_is_not_made_through_a_symlink() {
        let root = root();
        std::os::unix::fs::symlink("../victim", root.inside("console")).unwrap();
        assert_eq!(make_file_at(root.fd(), Str::literal(c"console")), Err(ELOOP));
        assert!(root.outside_is_empty());
    }

    #[test]
    #[cfg_attr(miri, ignore = "makes system calls")]
    fn a_symlink_replaces_what_was_there() {
        let root = root();
        std::fs::write(root.inside("ptmx"), "").unwrap();
        make_symlink(root.fd(), Str::literal(c"ptmx"), Str::literal(c"pts/ptmx")).unwrap();
        make_symlink(root.fd(), Str::literal(c"ptmx"), Str::literal(c"pts/ptmx")).unwrap();
        assert_eq!(std::fs::read_link(root.inside("ptmx")).unwrap().to_str(), Some("pts/ptmx"));
    }

    #[test]
    fn self_fd_is_spelled_in_decimal() {
        let mut buffer = [0; 32];
        assert_eq!(self_fd(0, &mut buffer).bytes(), b"self/fd/0");
        assert_eq!(self_fd(i32::MAX, &mut buffer).bytes(), b"self/fd/2147483647");
    }
}
