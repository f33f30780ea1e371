//! The messages of init: to the caller over the control socket, later to the process that starts the container over
//! exec.fifo.

use super::sys::{self, EPROTO, Errno, Result};
use super::wire::{self, MESSAGE_LEN, MESSAGE_TEXT, Message};

pub struct Report {
    /// The control socket or the fifo; -1 if nobody is listening.
    pub fd: i32,
    /// Whether `fd` is the fifo, which is not a socket.
    pub is_fifo: bool,
    pub step: u32,
    text: [u8; MESSAGE_TEXT],
    text_len: usize,
}

impl Report {
    pub fn new(fd: i32) -> Report {
        Report { fd, is_fifo: false, step: 0, text: [0; MESSAGE_TEXT], text_len: 0 }
    }

    pub fn send(&self, kind: u32, value: i32, fd: Option<i32>) -> Result<()> {
        if self.fd < 0 {
            return Ok(());
        }
        let message = Message { kind, step: self.step, value, text_len: self.text_len as u32, text: self.text };
        // SAFETY: Message is plain data without padding; all its bytes are set.
        let bytes = unsafe { core::slice::from_raw_parts(&raw const message as *const u8, MESSAGE_LEN) };
        if self.is_fifo { sys::write(self.fd, bytes).map(|_| ()) } else { sys::send(self.fd, bytes, fd) }
    }

    pub fn failed(&self, errno: Errno) {
        // Nobody listens any more, or the exit status is all that the caller learns.
        let _ = self.send(wire::FAILED, errno.0, None);
    }

    /// Waits for the caller's answer. Exits if the socket closes: the caller no longer exists.
    pub fn wait_for_go(&self) -> Result<()> {
        let mut word = [0u8; 1];
        match sys::read(self.fd, &mut word)? {
            1 if word[0] == wire::GO => Ok(()),
            0 => sys::exit(wire::EXIT_FAILED),
            _ => Err(EPROTO),
        }
    }

    /// Stores a text for the next failure message.
    pub fn say(&mut self, parts: &[&[u8]]) {
        self.text_len = 0;
        for byte in parts.iter().copied().flatten().take(MESSAGE_TEXT) {
            self.text[self.text_len] = *byte;
            self.text_len += 1;
        }
    }

    /// Stores the kernel's log of a filesystem context for the next failure message ("e tmpfs: Bad value for 'size'").
    pub fn take_log(&mut self, context: i32) {
        self.text_len = sys::read(context, &mut self.text).unwrap_or(0);
    }
}
