//! The byte formats: plans, which the caller writes and berth-init reads, and messages, which berth-init sends to the
//! caller.
//!
//! A plan is one block of memory: a header, the words of the steps (defined in `steps.rs`), tables of descriptors, and
//! a pool of strings and arrays. Every reference is an offset from the start of the block, so the block can be at any
//! address; offset 0 (the header) means "none". init maps the block private and writable, and converts arrays of
//! offsets to arrays of pointers in place, so it needs no other memory.

use super::layout::{wire_constants, wire_struct};

/// The first word of every plan.
pub const MAGIC: u32 = u32::from_ne_bytes(*b"bth\x02");

/// The largest plan either side accepts.
pub const MAX_PLAN: usize = 16 << 20;

wire_struct! {
    /// The header of a plan. All builds have the first three fields at the same offsets.
    pub struct Header {
        /// [`MAGIC`].
        pub magic: u32,
        /// The length of the whole block, in bytes.
        pub len: u32,
        /// [`LAYOUT`](super::steps::LAYOUT) of the build that created the plan. An init of another build refuses it:
        /// caller and init are built together, but a distribution may supply its own init.
        pub layout: u64,
        /// The offset of the words of the steps; the number of steps is `step_count`.
        pub steps: u32,
        /// The number of steps.
        pub step_count: u32,
        /// `[i32; slot_count]`: the descriptor inherited for each slot; -1 for slots that init fills itself.
        pub slots: u32,
        /// The number of slots.
        pub slot_count: u32,
        /// `[i32; low_count]`: the descriptors that become 0, 1, 2 and, after them, the extra descriptors; -1 for none.
        pub low: u32,
        /// The number of descriptors in `low`.
        pub low_count: u32,
        /// `[i32; keep_count]`, ascending and without duplicates: all inherited descriptors. init closes all others
        /// that the caller left open before the first step.
        pub keep: u32,
        /// The number of descriptors in `keep`.
        pub keep_count: u32,
    }
}

impl Header {
    /// Returns the bytes of the header as in the block.
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
    /// The first slot that the planner assigns.
    SLOT_FREE = 4;
}

wire_struct! {
    /// A message of init to the caller, as one datagram. SCM_RIGHTS carries descriptors.
    pub struct Message {
        /// The kind of the message: [`REACHED`] and so on.
        pub kind: u32,
        /// The index of the current step.
        pub step: u32,
        /// `Failed`: the errno. `Child`: the pid.
        pub value: i32,
        /// The number of bytes of `text` in use.
        pub text_len: u32,
        /// `Failed`: the kernel's own message (the log of fsconfig(2)), if any.
        pub text: [u8; MESSAGE_TEXT],
    }
}

/// The size of a [`Message`], in bytes.
pub const MESSAGE_LEN: usize = core::mem::size_of::<Message>();

wire_constants! {
    SIZES: usize;
    /// The size of the text of a [`Message`], in bytes.
    MESSAGE_TEXT = 240;
}

wire_constants! {
    MESSAGES: u32;
    /// The step `WaitHost` was reached.
    REACHED = 1;
    /// `Fork` has created the process that continues; its pidfd is attached.
    CHILD = 2;
    /// The terminal's master is attached.
    TERMINAL = 3;
    /// The container is set up.
    READY = 4;
    /// execve is next. The read end of a pipe is attached, whose write end only init has: if it closes without an
    /// earlier `Failed`, execve has succeeded.
    EXECUTING = 5;
    /// The step failed; init exits.
    FAILED = 6;
    /// On exec.fifo only: a process has started the container.
    RELEASED = 7;
    /// A socket or mounts that init has opened for the caller are attached.
    OPENED = 8;
    /// The listener of a seccomp filter is attached.
    LISTENER_FD = 9;
}

/// The step of a `Failed` before the first step. The text is the operation that failed.
pub const NO_STEP: u32 = u32::MAX;

/// The caller's answer: one byte.
pub const GO: u8 = b'g';

/// The exit status of an init that failed (it has reported the reason on its socket).
pub const EXIT_FAILED: i32 = 125;
/// The exit status of an init of another build: it cannot read the plan, not even the number of its socket.
pub const EXIT_OTHER_BUILD: i32 = 124;
