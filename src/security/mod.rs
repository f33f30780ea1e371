//! Restrictions of the container's processes beside namespaces and cgroups: seccomp filters and labels.

pub mod labels;
pub mod seccomp;
