//! The C ABI: every `extern "C"` function, one file per noun. They convert, delegate, and convert back; what a call
//! means is decided elsewhere in the crate. The doc comments become `include/berth.h`.
//!
//! The signatures carry the contract where Rust's types can: `Option<&T>` is a handle that may be NULL,
//! `Option<Box<T>>` one that is given back, `Option<&mut MaybeUninit<T>>` a place for a result. What types cannot
//! carry (strings, arrays, structs with a size) comes as a raw pointer and is read by the helpers of [`args`],
//! [`sized`] and [`memory`]: the `unsafe` of this layer is in them.
//!
//! A panic ends at the boundary ([`boundary`]), but Rust's panic hook has written a line to the host's standard error
//! by then, and replacing the hook would change the host. So nothing in the crate panics on purpose: a panic is a
//! defect to be repaired.

// The names are C's.
#![allow(non_camel_case_types)]

mod args;
mod boundary;
mod memory;
mod sized;

mod checkpoint;
mod config;
mod container;
mod container_facts;
mod error;
mod events;
mod library;
mod network;
mod process;
mod process_options;
mod runtime;
