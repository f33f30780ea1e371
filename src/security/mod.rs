//! What confines the container's processes beside namespaces and cgroups: system call filters and labels.

pub mod labels;
pub mod seccomp;
