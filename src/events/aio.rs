//! A pressure trigger as an eventfd, through the kernel's asynchronous poll (io_submit(2), IOCB_CMD_POLL): it polls the
//! trigger exactly once for each event and counts into the eventfd.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sys::eventfd::EventFd;

use crate::error::{Context, Result};

/// struct iocb of linux/aio_abi.h, as little-endian machines have it.
#[repr(C)]
#[derive(Default)]
struct Request {
    data: u64,
    key: u32,
    rw_flags: i32,
    opcode: u16,
    priority: i16,
    fd: u32,
    /// For a poll: the events.
    buffer: u64,
    length: u64,
    offset: i64,
    reserved: u64,
    flags: u32,
    counter: u32,
}

const IOCB_CMD_POLL: u16 = 5;
const IOCB_FLAG_RESFD: u32 = 1;

/// struct io_event of the same file.
#[repr(C)]
#[derive(Default)]
struct Event {
    data: u64,
    request: u64,
    result: i64,
    result2: i64,
}

/// aio_context_t.
#[derive(Debug)]
struct AioContext(libc::c_ulong);

impl AioContext {
    fn new() -> Result<AioContext, Errno> {
        let mut id: libc::c_ulong = 0;
        // SAFETY: the kernel writes the id.
        Errno::result(unsafe { libc::syscall(libc::SYS_io_setup, 1, &raw mut id) })?;
        Ok(AioContext(id))
    }

    fn submit(&self, request: &mut Request) -> Result<(), Errno> {
        let mut list = [std::ptr::from_mut(request)];
        // SAFETY: one request, which the kernel copies during the call.
        Errno::result(unsafe { libc::syscall(libc::SYS_io_submit, self.0, 1, list.as_mut_ptr()) }).map(drop)
    }

    /// Returns a completed request, if there is one.
    fn completed(&self) -> Result<Option<Event>, Errno> {
        let mut event = Event::default();
        let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: room for one event, and a time.
        let count = unsafe { libc::syscall(libc::SYS_io_getevents, self.0, 0, 1, &raw mut event, &raw mut now) };
        Ok((Errno::result(count)? > 0).then_some(event))
    }
}

impl Drop for AioContext {
    /// Cancels pending requests.
    fn drop(&mut self) {
        // SAFETY: no pointers.
        unsafe { libc::syscall(libc::SYS_io_destroy, self.0) };
    }
}

#[derive(Debug)]
pub struct Completion {
    context: AioContext,
    counter: EventFd,
    trigger: OwnedFd,
}

impl Completion {
    pub fn of(counter: EventFd, trigger: BorrowedFd) -> Result<Completion> {
        let trigger = trigger.try_clone_to_owned().context(|| "duplicating a pressure trigger")?;
        let context = AioContext::new().context(|| "waiting for pressure asynchronously (io_setup)")?;
        let completion = Completion { context, counter, trigger };
        completion.arm()?;
        Ok(completion)
    }

    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.counter.as_fd()
    }

    fn arm(&self) -> Result<()> {
        let number = |fd: RawFd| fd.cast_unsigned();
        let mut request = Request {
            opcode: IOCB_CMD_POLL,
            fd: number(self.trigger.as_raw_fd()),
            buffer: u64::from((libc::POLLPRI | libc::POLLERR).cast_unsigned()),
            flags: IOCB_FLAG_RESFD,
            counter: number(self.counter.as_fd().as_raw_fd()),
            ..Request::default()
        };
        self.context.submit(&mut request).context(|| "waiting for pressure asynchronously (io_submit)")
    }

    /// Returns how often the trigger has fired since the last call (the kernel merges events within a second). None if
    /// the cgroup was removed.
    pub fn take(&self) -> Result<Option<u64>> {
        match self.counter.read() {
            Ok(_) | Err(Errno::EAGAIN) => {}
            Err(errno) => return Err(errno).context(|| "reading an eventfd"),
        }
        let mut count = 0;
        while let Some(event) = self.context.completed().context(|| "reading the events of a pressure trigger")? {
            if event.result < 0 || event.result & i64::from(libc::POLLERR) != 0 {
                return Ok(None);
            }
            count += 1;
            self.arm()?;
        }
        Ok(Some(count))
    }
}
