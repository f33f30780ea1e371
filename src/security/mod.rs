//! What confines the container's processes beside namespaces and cgroups: system call filters.

pub mod seccomp;
