//! Code that depends on the architecture, in one file per architecture.

#[cfg(target_arch = "x86_64")]
mod x86_64;
#[cfg(target_arch = "x86_64")]
pub use x86_64::*;

#[cfg(not(target_arch = "x86_64"))]
compile_error!("libberth has no init/src/arch file for this architecture yet: see init/src/arch/x86_64.rs");
