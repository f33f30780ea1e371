//! Mounts and the root filesystem.

#[path = "../common/mod.rs"]
mod common;

mod binds;
mod cgroup;
mod defaults;
mod filesystems;
mod masks;
mod shared_namespace;
mod symlinks;
