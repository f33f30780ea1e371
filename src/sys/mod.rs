//! The kernel's interfaces, as everything above uses them: thin, checked, and without an idea of what a container is.

pub mod children;
pub mod fd_passing;
pub mod identity;
pub mod kernfs;
pub mod lock;
pub mod mountinfo;
pub mod pidfd;
pub mod procfs;
