//! A directory that tests use as the root filesystem.

use std::ffi::CString;
use std::os::fd::AsRawFd;

use super::plan::Path;
use super::tree::Top;

pub fn path(text: &str) -> Path {
    let text = CString::new(text).unwrap().into_raw();
    // SAFETY: leaked, so it is never freed.
    unsafe { Path::new(text as *mut u8) }
}

pub struct Root {
    dir: tempfile::TempDir,
    file: std::fs::File,
}

pub fn root() -> Root {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("root")).unwrap();
    let file = std::fs::File::open(dir.path().join("root")).unwrap();
    Root { dir, file }
}

impl Root {
    pub fn fd(&self) -> i32 {
        self.file.as_raw_fd()
    }
    pub fn top(&self) -> Top {
        Top { fd: self.fd(), strict: false }
    }
    pub fn inside(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join("root").join(name)
    }
    pub fn outside_is_empty(&self) -> bool {
        std::fs::read_dir(self.dir.path()).unwrap().count() == 1
    }
}
