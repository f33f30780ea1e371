//! The program that every child executes first: berth-init, from memory that nobody can modify.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use berth_init::{PROGRAM as BYTES, sys};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use once_cell::sync::OnceCell;

use crate::error::{Code, Context, Error, Result};

/// The path where `make install` puts the same program.
const INSTALLED: &str = env!("BERTH_INIT_PATH");
const NAME: &CStr = c"berth-init";

/// Returns the image, which is created once per process.
pub fn image() -> Result<BorrowedFd<'static>> {
    static IMAGE: OnceCell<OwnedFd> = OnceCell::new();
    IMAGE.get_or_try_init(open).map(|fd| fd.as_fd())
}

/// Returns device and inode of the image, as in /proc/<pid>/exe of a process that executes it.
pub fn identity() -> Result<(u64, u64)> {
    let found = nix::sys::stat::fstat(image()?).context(|| "examining the image of berth-init")?;
    Ok((found.st_dev, found.st_ino))
}

/// Opens the image: a memfd, or the installed copy if vm.memfd_noexec (Linux 6.3) forbids executing memfds.
fn open() -> Result<OwnedFd> {
    let sealed = match in_memory(executable_flag()) {
        // Kernels before 6.3 do not know MFD_EXEC, and do not need it.
        Err(Errno::EINVAL) => in_memory(MFdFlags::empty()),
        other => other,
    };
    match sealed {
        Ok(fd) => Ok(fd),
        Err(Errno::EACCES | Errno::EPERM) => installed(),
        Err(errno) => Err(Error::system(errno, "writing berth-init to a memory file")),
    }
}

fn executable_flag() -> MFdFlags {
    const MFD_EXEC: u32 = 0x10;
    MFdFlags::from_bits_retain(MFD_EXEC)
}

fn in_memory(flags: MFdFlags) -> nix::Result<OwnedFd> {
    let fd = memfd_create(NAME, MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING | flags)?;
    let mut file = File::from(fd);
    file.write_all(BYTES).map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))?;
    // Seal the image, so that a container that opens it through /proc cannot overwrite it (CVE-2019-5736).
    let seals = SealFlag::F_SEAL_SEAL | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_WRITE;
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals))?;
    Ok(file.into())
}

fn installed() -> Result<OwnedFd> {
    let doing =
        || format!("opening {INSTALLED}, which is needed because vm.memfd_noexec forbids executing memory files");
    let mut file = File::open(INSTALLED).context(doing)?;
    let mut found = Vec::with_capacity(BYTES.len());
    (&mut file).take(BYTES.len() as u64 + 1).read_to_end(&mut found).context(doing)?;
    if found != BYTES {
        return Err(Error::new(Code::Unsupported, format!("{INSTALLED} belongs to another version of libberth")));
    }
    readonly(INSTALLED).map_err(Errno::from_raw).context(doing)
}

/// Opens the file through a new read-only mount, so that a container that finds it behind /proc/<pid>/exe cannot open
/// it for writing once no process executes it (CVE-2019-5736).
fn readonly(path: &str) -> Result<OwnedFd, i32> {
    let path = CString::new(path).map_err(|_| libc::EINVAL)?;
    // SAFETY: NUL-terminated, and valid during the call.
    let path = unsafe { sys::Str::new(path.as_ptr().cast()) };
    let tree = sys::open_tree(sys::AT_FDCWD, path, sys::OPEN_TREE_CLONE).map_err(|errno| errno.0)?;
    // SAFETY: open_tree has just returned this descriptor, which nobody else owns.
    let tree = unsafe { OwnedFd::from_raw_fd(tree) };
    sys::mount_setattr(tree.as_raw_fd(), false, sys::MOUNT_ATTR_RDONLY, 0, 0).map_err(|errno| errno.0)?;
    Ok(tree)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_can_change_the_image() {
        let path = format!("/proc/self/fd/{}", image().unwrap().as_raw_fd());
        assert_eq!(std::fs::read(&path).unwrap(), BYTES);
        let refused = |result: std::io::Result<()>| result.unwrap_err().raw_os_error();
        let mut writable = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        assert_eq!(refused(writable.write_all(b"x")), Some(libc::EPERM));
        assert_eq!(refused(writable.set_len(0)), Some(libc::EPERM));
    }
}
