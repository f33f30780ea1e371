//! The C ABI: every `extern "C"` function, one file per noun. They convert, delegate, and convert back; the rest of the
//! crate decides what a call does. The doc comments become `include/berth.h`.
//!
//! The signatures express the contract where Rust's types can: `Option<&T>` is a handle that may be NULL,
//! `Option<Box<T>>` one that is given back, `Option<&mut MaybeUninit<T>>` an output. What types cannot express
//! (strings, arrays, structs with a size) is a raw pointer, which the `unsafe` helpers of [`args`], [`sized`] and
//! [`memory`] read. Functions that take one are `unsafe`, and the header is their contract: the pointer is NULL or
//! refers to what the header names, and nothing changes that until the function returns.
//!
//! A panic stops at the boundary ([`boundary`]), but by then Rust's panic hook has written a line to the caller's
//! standard error, and replacing the hook would change the caller. So no code of the crate panics on purpose: a panic
//! is a defect to be fixed.

// The names are C's.
#![expect(non_camel_case_types)]

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
