//! Thin, checked wrappers of kernel interfaces, which know nothing of containers.

pub mod children;
pub mod exit_status;
pub mod fd_passing;
pub mod flock;
pub mod identity;
pub mod kernel;
pub mod kernfs;
pub mod mountinfo;
pub mod nsfs;
pub mod pidfd;
pub mod procfs;
pub mod random;
