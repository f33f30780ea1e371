//! What was called and what it answered: operations, and the log that worker processes share.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU64, Ordering};

use berth::Code;

macro_rules! verbs {
    ($($verb:ident $name:literal),* $(,)?) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Verb { $($verb),* }

        impl Verb {
            pub const ALL: &[Verb] = &[$(Verb::$verb),*];

            pub fn name(self) -> &'static str {
                match self { $(Verb::$verb => $name),* }
            }
        }
    };
}

verbs! {
    Create "create", Start "start", Exec "exec", KillInit "kill", KillAll "kill --all", SignalAll "signal --all",
    Pause "pause", Resume "resume", Set "set", Status "state", List "list", Stats "stats", Config "config",
    Wait "wait", Delete "delete", DeleteCreated "delete (created)", DeleteForce "delete --force", Recover "recover",
}

/// The answer of an operation: a value, or the code of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Ok(u32),
    Err(Code),
}

/// The values of [`Verb::Exec`] and [`Verb::Wait`] (how the process has ended), and of others.
pub mod value {
    pub const NONE: u32 = 0;
    pub const KILLED: u32 = 1000;
    /// exec: the process has not ended in time.
    pub const RUNS: u32 = 1001;
    /// exec: its status is unknown.
    pub const UNKNOWN: u32 = 1002;
    pub const RECOVERED: u32 = 1;
    /// config: it cannot be read yet; stats: no limit.
    pub const NO_LIMIT: u32 = 0;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    Call {
        verb: Verb,
        argument: u32,
    },
    Return(Answer),
    /// The worker process is about to be killed: from here on its operations may stop anywhere.
    Dying,
    Dead,
}

/// An event of an operation, or of all operations of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    pub event: Event,
    /// Numbers the worker processes.
    pub worker: u32,
    /// Numbers the operations, from 1.
    pub operation: u32,
    /// The index of the container's id, or [`EVERY`].
    pub id: u8,
    /// For an operation on an old handle: the operation that has created its container. 0: the id was looked up.
    pub handle: u32,
}

pub const EVERY: u8 = u8::MAX;
const WORDS: usize = 3;
const HEAD: usize = 4;

/// A log in shared memory. The order of entries is the order of time: an entry gets its place before an operation begins
/// and after it has ended.
pub struct Log {
    words: &'static [AtomicU64],
}

impl Log {
    /// Maps a file, which the first process has made as large as the log is to be.
    pub fn open(file: &File) -> Log {
        let bytes = file.metadata().unwrap().len() as usize;
        // SAFETY: a new mapping. It stays until the process ends.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                0,
            )
        };
        assert_ne!(start, libc::MAP_FAILED);
        // SAFETY: the mapping is aligned and that long, zeros are valid, and all access is atomic.
        Log { words: unsafe { std::slice::from_raw_parts(start.cast::<AtomicU64>(), bytes / 8) } }
    }

    pub fn size(entries: usize) -> u64 {
        ((HEAD + entries * WORDS) * 8) as u64
    }

    /// Numbers an operation.
    pub fn next_operation(&self) -> u32 {
        self.words[1].fetch_add(1, Ordering::SeqCst) as u32 + 1
    }

    pub fn operations(&self) -> u32 {
        self.words[1].load(Ordering::SeqCst) as u32
    }

    /// Asks all workers to stop.
    pub fn stop(&self) {
        self.words[2].store(1, Ordering::SeqCst);
    }

    pub fn is_stopped(&self) -> bool {
        self.words[2].load(Ordering::SeqCst) != 0
    }

    pub fn write(&self, entry: &Entry) {
        let index = self.words[0].fetch_add(1, Ordering::SeqCst) as usize;
        let place = &self.words[HEAD + index * WORDS..][..WORDS];
        let (kind, verb, value) = match entry.event {
            Event::Call { verb, argument } => (1, verb as u64, argument),
            Event::Return(Answer::Ok(value)) => (2, 0, value),
            Event::Return(Answer::Err(code)) => (3, 0, -(code as i32) as u32),
            Event::Dying => (4, 0, 0),
            Event::Dead => (5, 0, 0),
        };
        place[1].store(u64::from(entry.worker) << 32 | u64::from(entry.operation), Ordering::SeqCst);
        place[2].store(u64::from(entry.handle), Ordering::SeqCst);
        // Last, because it makes the entry valid: a worker may be killed before.
        place[0].store(kind << 56 | verb << 48 | u64::from(entry.id) << 40 | u64::from(value), Ordering::SeqCst);
    }

    pub fn entries(&self) -> Vec<Entry> {
        let count = self.words[0].load(Ordering::SeqCst) as usize;
        (0..count).filter_map(|index| read(&self.words[HEAD + index * WORDS..][..WORDS])).collect()
    }
}

fn read(place: &[AtomicU64]) -> Option<Entry> {
    let [first, second, third] = [0, 1, 2].map(|index| place[index].load(Ordering::SeqCst));
    let value = first as u32;
    let event = match first >> 56 {
        1 => Event::Call { verb: Verb::ALL[(first >> 48) as u8 as usize], argument: value },
        2 => Event::Return(Answer::Ok(value)),
        3 => Event::Return(Answer::Err(code(value))),
        4 => Event::Dying,
        5 => Event::Dead,
        _ => return None,
    };
    let (worker, operation) = ((second >> 32) as u32, second as u32);
    Some(Entry { event, worker, operation, id: (first >> 40) as u8, handle: third as u32 })
}

fn code(value: u32) -> Code {
    const CODES: [Code; 19] = [
        Code::IdInUse,
        Code::IdInvalid,
        Code::NotFound,
        Code::Paused,
        Code::NotStopped,
        Code::NotRunning,
        Code::NotPaused,
        Code::AlreadyRunning,
        Code::ConfigInvalid,
        Code::ConsoleExists,
        Code::System,
        Code::Unsupported,
        Code::Timeout,
        Code::Busy,
        Code::Criu,
        Code::Hook,
        Code::StatusUnknown,
        Code::InvalidArgument,
        Code::Internal,
    ];
    CODES[value as usize - 1]
}
