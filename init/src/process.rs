//! Functions of the steps that turn init into the container's process: identity, limits, working directory, and exec.

use super::fields::Numbers;
use super::steps;
use super::sys::*;
use super::tree::{self, Top};

/// Replaces standard descriptors that refer to the host's null device by the container's. The host's would keep a mount
/// of the host in use, and CRIU could not dump them. Without a null device in the container they stay.
pub fn own_null(proc: i32) -> Result<()> {
    let root = openat(AT_FDCWD, SLASH, O_PATH | O_DIRECTORY, 0)?;
    let found = tree::open(Top { fd: root, strict: false }, Str::literal(c"/dev/null"), O_PATH);
    close(root);
    let Ok(found) = found else { return Ok(()) };
    let result = if is_null(found) { replace_nulls(proc, found) } else { Ok(()) };
    close(found);
    result
}

fn is_null(fd: i32) -> bool {
    stat(fd).is_ok_and(|found| is_device(&found, S_IFCHR, 1, 3))
}

fn replace_nulls(proc: i32, null: i32) -> Result<()> {
    let mut buffer = [0; 32];
    for standard in 0..3 {
        if is_null(standard) {
            // The open fails on a mount with nodev.
            let Ok(own) = openat(proc, tree::self_fd(null, &mut buffer), O_RDWR, 0) else { return Ok(()) };
            let result = dup_onto(own, standard);
            close(own);
            result?;
        }
    }
    Ok(())
}

/// Makes `uid` the owner of the standard streams that are files, pipes or sockets. Devices and directories stay the
/// caller's, as its terminal does. The group stays, as with runc.
pub fn own_streams(uid: u32) -> Result<()> {
    for standard in 0..3 {
        let found = stat(standard)?;
        if matches!(file_type(&found), S_IFREG | S_IFIFO | S_IFSOCK) && found.stx_uid != uid {
            // Whatever the reason of a failure is (an owner that is not mapped, a read-only filesystem, a quota), the
            // program can use the stream.
            let _ = chown(standard, uid, u32::MAX);
        }
    }
    Ok(())
}

/// Changes to uid 0 and gid 0 of the user namespace just entered, and drops the host's groups.
pub fn become_root(proc: i32) -> Result<()> {
    drop_groups(proc)?;
    setresgid(0)?;
    setresuid(0)
}

/// Drops the supplementary groups. A user namespace that an unprivileged user has created denies setgroups(2): the
/// groups of that user stay, since they may be what denies access to a file (user_namespaces(7)).
fn drop_groups(proc: i32) -> Result<()> {
    match setgroups(0, core::ptr::null()) {
        Err(EPERM) if group_count()? == 0 || denies_setgroups(proc)? => Ok(()),
        other => other,
    }
}

/// Returns whether this user namespace denies setgroups(2) for ever.
fn denies_setgroups(proc: i32) -> Result<bool> {
    let file = openat(proc, Str::literal(c"self/setgroups"), O_RDONLY, 0)?;
    let mut content = [0; 4];
    let result = read(file, &mut content);
    close(file);
    Ok(&content[..result?] == b"deny")
}

/// Drops every capability that is not in `kept` from the bounding set, up to the last one that the kernel knows.
pub fn limit_bounding_set(kept: u64) -> Result<()> {
    for capability in 0..64 {
        if kept & (1 << capability) != 0 {
            continue;
        }
        match prctl(PR_CAPBSET_DROP, capability, 0) {
            Ok(_) => {}
            Err(EINVAL) => return Ok(()),
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

pub fn set_user(proc: i32, uid: u32, gid: u32, groups: Numbers) -> Result<()> {
    match groups.count {
        0 => drop_groups(proc)?,
        count => setgroups(count, groups.start)?,
    }
    // Without it, changing to a non-root user clears the permitted set (capabilities(7)).
    prctl(PR_SET_KEEPCAPS, 1, 0)?;
    setresgid(gid)?;
    setresuid(uid)
}

pub fn set_capabilities(effective: u64, permitted: u64, inheritable: u64, ambient: u64) -> Result<()> {
    capset(effective, permitted, inheritable)?;
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0)?;
    for capability in 0..64 {
        if ambient & (1 << capability) != 0 {
            prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability)?;
        }
    }
    Ok(())
}

/// Makes all permitted capabilities effective: changing to a non-root user has cleared the effective set.
pub fn raise_capabilities() -> Result<()> {
    let (permitted, inheritable) = capget()?;
    capset(permitted, permitted, inheritable)
}

pub fn no_new_privileges() -> Result<()> {
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0).map(|_| ())
}

/// Enters the working directory and checks that it is inside the root: the kernel reports a directory outside as
/// "(unreachable)…", which detects a leaked descriptor of the host (CVE-2024-21626). The path cannot refer to a
/// descriptor of this process either, since that needs a magic link.
pub fn enter(path: Str) -> Result<()> {
    let root = openat(AT_FDCWD, SLASH, O_PATH | O_DIRECTORY, 0)?;
    let directory = tree::open(Top { fd: root, strict: false }, path, O_PATH | O_DIRECTORY);
    close(root);
    let directory = directory?;
    let result = fchdir(directory);
    close(directory);
    result?;
    let mut found = [0u8; 4096];
    match getcwd(&mut found) {
        Ok(_) if found[0] == b'/' => Ok(()),
        Ok(_) => Err(ENOENT),
        // A path longer than a page may be inside, but an "(unreachable)" one could also be too long, so refuse it.
        Err(errno) => Err(errno),
    }
}

/// Executes the program, searching PATH as execvp(3) does; a directory there is no candidate. Returns only if that fails,
/// with the reason.
pub fn exec(step: &steps::Exec) -> Errno {
    let (argv, envp) = (step.args, step.env);
    if let Some(file) = step.file {
        return execve(file.as_ptr(), argv, envp);
    }
    // SAFETY: validated by the caller: argv has at least one entry.
    let name = unsafe { Str::new(*argv) };
    if name.bytes().contains(&b'/') {
        return match execve(name.as_ptr(), argv, envp) {
            EACCES if is_directory(name.as_ptr()) => EISDIR,
            errno => errno,
        };
    }
    let mut denied = false;
    let ended = each_candidate(step.search.bytes(), name.bytes(), |candidate| match execve(candidate, argv, envp) {
        ENOENT | ENOTDIR | ENAMETOOLONG => None,
        EACCES if is_directory(candidate) => None,
        EACCES => {
            denied = true;
            None
        }
        errno => Some(errno),
    });
    ended.unwrap_or(if denied { EACCES } else { ENOENT })
}

/// Checks that `exec` will find a file, but not that it can be executed.
pub fn find(name: Str, search: Str) -> Result<()> {
    let check = |path: *const u8| {
        // What else prevents a look may not prevent execve.
        if matches!(exists(path), Err(ENOENT | ENOTDIR | ENAMETOOLONG)) {
            return Err(ENOENT);
        }
        if is_directory(path) { Err(EISDIR) } else { Ok(()) }
    };
    if name.bytes().contains(&b'/') {
        return check(name.as_ptr());
    }
    each_candidate(search.bytes(), name.bytes(), |candidate| check(candidate).ok()).ok_or(ENOENT)
}

/// Whether a path names a directory, for which execve(2) fails with EACCES.
fn is_directory(path: *const u8) -> bool {
    // SAFETY: `exec` and `find` pass NUL-terminated paths, which outlive this call.
    let path = unsafe { Str::new(path) };
    openat(AT_FDCWD, path, O_PATH | O_DIRECTORY, 0).map(close).is_ok()
}

/// Calls `attempt` with each path that execvp(3) would try, until one succeeds.
fn each_candidate<T>(search: &[u8], name: &[u8], mut attempt: impl FnMut(*const u8) -> Option<T>) -> Option<T> {
    for directory in search.split(|&byte| byte == b':') {
        let mut candidate = [0u8; 4096];
        if directory.len() + name.len() + 2 > candidate.len() {
            continue;
        }
        let mut len = 0;
        // An empty entry means the working directory (execvp(3)), which "name" alone also refers to.
        for part in [directory, if directory.is_empty() { b"" } else { b"/" }, name] {
            candidate[len..len + part.len()].copy_from_slice(part);
            len += part.len();
        }
        let good = attempt(candidate.as_ptr());
        if good.is_some() {
            return good;
        }
    }
    None
}
