//! The plan as bytes: what the caller writes and berth-init reads, and what berth-init tells the caller.
//!
//! A plan is one block of memory: a header, the words of the steps (`steps.rs` says which), tables of descriptors, and a pool
//! of strings and arrays. Every reference is an offset from the start of the block, so the block may lie anywhere; offset 0
//! (the header) means "none". init maps the block privately and writable: it turns arrays of offsets into arrays of pointers
//! where they lie, and needs no memory of its own.

use super::layout::{wire_constants, wire_struct};

/// What every plan begins with.
pub const MAGIC: u32 = u32::from_ne_bytes(*b"bth\x02");

/// The largest plan either side accepts.
pub const MAX_PLAN: usize = 16 << 20;

wire_struct! {
    /// The first three fields stay where they are in all builds.
    pub struct Header {
        /// [`MAGIC`].
        pub magic: u32,
        /// Bytes of the whole block.
        pub len: u32,
        /// [`LAYOUT`](super::steps::LAYOUT) of the build that has made the plan. An init of another build refuses it:
        /// the caller and init are built together, but a distribution may bring its own init.
        pub layout: u64,
        /// The words of the steps, which are as many as `step_count`.
        pub steps: u32,
        /// How many steps there are.
        pub step_count: u32,
        /// `[i32; slot_count]`: the descriptor inherited for each slot; -1 for slots that init fills itself.
        pub slots: u32,
        /// How many slots there are.
        pub slot_count: u32,
        /// `[i32; low_count]`: what becomes descriptor 0, 1, 2 and, after them, the extra descriptors.
        pub low: u32,
        /// How many descriptors there are in `low`.
        pub low_count: u32,
        /// `[i32; keep_count]`, ascending and without duplicates: all inherited descriptors. Everything else that the
        /// caller left open is closed before the first step.
        pub keep: u32,
        /// How many descriptors there are in `keep`.
        pub keep_count: u32,
    }
}

impl Header {
    /// The header as it stands in the block.
    pub fn bytes(&self) -> [u8; size_of::<Header>()] {
        const { assert!(size_of::<Header>() == 48, "there is no padding") };
        // SAFETY: plain data without padding.
        unsafe { core::mem::transmute_copy(self) }
    }
}

wire_constants! {
    SLOTS: usize;
    /// The control socket.
    SLOT_CONTROL = 0;
    /// The host's procfs.
    SLOT_PROC = 1;
    /// The root filesystem (init fills it).
    SLOT_ROOT = 2;
    /// The empty directory that masks directories (init fills it).
    SLOT_MASK = 3;
    /// The first slot the planner hands out.
    SLOT_FREE = 4;
}

wire_struct! {
    /// What init tells the caller, as one datagram. Descriptors come along as SCM_RIGHTS.
    pub struct Message {
        /// Which message it is: [`REACHED`] and so on.
        pub kind: u32,
        /// The step at work.
        pub step: u32,
        /// `Failed`: the errno. `Child`: the pid.
        pub value: i32,
        /// Bytes of `text` in use.
        pub text_len: u32,
        /// `Failed`: what the kernel itself had to say (the log of fsconfig(2)), if anything.
        pub text: [u8; MESSAGE_TEXT],
    }
}

/// Bytes of a [`Message`].
pub const MESSAGE_LEN: usize = core::mem::size_of::<Message>();

wire_constants! {
    SIZES: usize;
    /// Bytes of the text of a [`Message`].
    MESSAGE_TEXT = 240;
}

wire_constants! {
    MESSAGES: u32;
    /// The step `WaitHost` was reached.
    REACHED = 1;
    /// The process that goes on after `Fork`; its pidfd comes along.
    CHILD = 2;
    /// The terminal's master comes along.
    TERMINAL = 3;
    /// The container is set up.
    READY = 4;
    /// execve comes next. The reading end of a pipe comes along, whose other end only init has: it closing, without
    /// `Failed` before, means that it worked.
    EXECUTING = 5;
    /// The step failed; init ends.
    FAILED = 6;
    /// On exec.fifo only: somebody waited here and has been released.
    RELEASED = 7;
    /// A socket that init has opened comes along.
    SOCKET = 8;
    /// The listener of a seccomp filter comes along.
    LISTENER_FD = 9;
}

/// The caller's answer: one byte.
pub const GO: u8 = b'g';

/// Exit status of an init that could not do its work (it has told the reason on its socket).
pub const EXIT_FAILED: i32 = 125;
/// Exit status of an init that was built from other sources than the library: it cannot read the plan, not even where its
/// socket is.
pub const EXIT_OTHER_BUILD: i32 = 124;
