//! What the model knows of one id: the facts that answers depend on.

/// What exists of the container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// The id is free.
    #[default]
    Absent,
    /// A directory without a record: its creator has not written one yet, or its deleter has removed it.
    Empty,
    /// The record says "creating".
    Creating,
    /// Create has succeeded.
    Complete,
    /// The record says "deleting".
    Deleting,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Init {
    #[default]
    None,
    Alive,
    /// It lives and will end: it was sent SIGKILL, or its program ends by itself.
    Doomed,
    /// It has no program any more: the status is "stopped", and its pidfd does not tell it yet.
    Exiting,
    Ended,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Started {
    #[default]
    No,
    /// A start has let init go, which has not executed the program yet.
    Released,
    Yes,
}

/// The owner of a container whose creator or deleter was killed.
pub const LOST: u32 = u32::MAX;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct State {
    pub place: Place,
    /// The operation that creates or deletes the container, or [`LOST`].
    pub owner: u32,
    /// The worker that was its owner, as long as its process may still be there.
    pub leaving: u32,
    /// The operation that holds the lock of the container, or 0.
    pub lock: u32,
    /// The operation that has created the container: it tells containers with the same id apart.
    pub made_by: u32,
    pub init: Init,
    pub started: Started,
    pub frozen: bool,
    /// Frozen for the moment in which a signal is sent to all processes.
    pub held: bool,
    /// Somebody has sent SIGKILL.
    pub killed: bool,
    /// Its creator was killed after the record and before init knew: init exits with a status of its own.
    pub orphaned: bool,
    /// The program exits at once with status 7.
    pub short: bool,
    /// The limit that the kernel applies, and the one in the saved configuration.
    pub applied: u32,
    pub saved: u32,
}

/// Statuses as bits, and "not found" as a further one.
pub mod see {
    pub const CREATING: u8 = 1;
    pub const CREATED: u8 = 1 << 1;
    pub const RUNNING: u8 = 1 << 2;
    pub const PAUSED: u8 = 1 << 3;
    pub const STOPPED: u8 = 1 << 4;
    pub const NOTHING: u8 = 1 << 5;
}

impl State {
    /// Returns the statuses that a call may see at this moment.
    pub fn seen(&self) -> u8 {
        match self.place {
            Place::Absent => see::NOTHING,
            Place::Empty | Place::Creating if self.owner != LOST => see::CREATING,
            // While others have locked the directory or the state root, a call cannot tell whether the creator lives.
            Place::Empty => see::CREATING | see::STOPPED,
            Place::Creating if self.leaving != 0 => see::CREATING | see::STOPPED,
            Place::Creating => see::STOPPED,
            _ => match (self.init, self.started) {
                (Init::None | Init::Exiting | Init::Ended, _) => see::STOPPED,
                _ if self.frozen || self.held => see::PAUSED,
                (_, Started::No) => see::CREATED,
                (_, Started::Released) => see::CREATED | see::RUNNING,
                (_, Started::Yes) => see::RUNNING,
            },
        }
    }

    pub fn may_be(&self, statuses: u8) -> bool {
        self.seen() & statuses != 0
    }

    /// Whether a killed caller has left it half created or half deleted.
    pub fn is_abandoned(&self) -> bool {
        self.owner == LOST && matches!(self.place, Place::Empty | Place::Creating | Place::Deleting)
    }

    pub fn lives(&self) -> bool {
        matches!(self.init, Init::Alive | Init::Doomed)
    }

    /// SIGKILL to init, which also takes effect in a frozen container.
    pub fn kill(&mut self) {
        if self.lives() {
            (self.init, self.killed) = (Init::Doomed, true);
        }
    }

    /// What may happen by itself.
    pub fn events(&self) -> impl Iterator<Item = State> {
        let init = match self.init {
            Init::Doomed => Some(State { init: Init::Exiting, ..*self }),
            Init::Exiting => Some(State { init: Init::Ended, ..*self }),
            _ => None,
        };
        let executed = (self.started == Started::Released && self.lives()).then(|| {
            let init = if self.short { Init::Doomed } else { self.init };
            State { started: Started::Yes, init, ..*self }
        });
        init.into_iter().chain(executed)
    }
}
