//! What each operation may do, step by step, and answer. An operation takes effect between its call and its return, in
//! steps that others see one by one; what needs the lock of the container excludes other such operations.

use berth::Code;

use super::history::{Answer, Verb, value};
use super::state::{Init, LOST, Place, Started, State, see};

/// An operation with its answer, which the history knows beforehand. `None`: it was cut off by the end of its process.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    pub number: u32,
    pub worker: u32,
    pub verb: Verb,
    pub argument: u32,
    pub handle: u32,
    pub answer: Option<Answer>,
}

/// How far an operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Progress {
    pub operation: u32,
    pub phase: u8,
    /// The container that it deals with, where it looks at it twice.
    pub made_by: u32,
}

/// The phases of an operation that has returned, or could, and of one whose process was killed.
pub const DONE: u8 = 254;
pub const CUT: u8 = 255;

/// `argument` of create: the limit, and whether the program exits at once.
pub const SHORT: u32 = 1 << 31;

/// Collects the steps that an operation may take.
pub(super) struct Steps<'a> {
    pub(super) operation: &'a Operation,
    pub(super) at: Progress,
    pub(super) state: State,
    found: Vec<(Progress, State)>,
}

/// Returns the steps that `operation` may take in `state`. `alone`: no other operation on the id is under way.
pub fn steps(operation: &Operation, at: Progress, state: State, alone: bool) -> Vec<(Progress, State)> {
    let mut steps = Steps { operation, at, state, found: Vec::new() };
    match operation.verb {
        Verb::Create => steps.create(),
        Verb::Start => steps.start(),
        Verb::Exec => steps.exec(),
        Verb::KillInit => steps.kill_init(),
        Verb::KillAll => steps.kill_all(),
        Verb::SignalAll => steps.signal_all(),
        Verb::Pause => steps.pause(),
        Verb::Resume => steps.resume(),
        Verb::Set => steps.set(),
        Verb::Status | Verb::List => steps.status(),
        Verb::Stats => steps.stats(),
        Verb::Config => steps.config(),
        Verb::Wait => steps.wait(),
        Verb::Delete => steps.delete(see::STOPPED),
        Verb::DeleteCreated => steps.delete(see::STOPPED | see::CREATED),
        Verb::DeleteForce => steps.delete(u8::MAX),
        Verb::Recover => steps.recover(alone),
    }
    steps.found
}

/// Returns the states that the end of its process may leave.
pub fn cut(at: Progress, worker: u32, state: State) -> Vec<State> {
    let mut left = state;
    if left.lock == at.operation {
        left.lock = 0;
        // Nobody thaws it.
        left.frozen |= left.held;
        left.held = false;
    }
    if left.owner == at.operation && matches!(left.place, Place::Empty | Place::Creating | Place::Deleting) {
        (left.owner, left.leaving) = (LOST, worker);
    }
    if left.place == Place::Creating && left.owner == LOST {
        // It dies with its creator, and the record does not name it.
        left.init = Init::None;
    }
    let mut all = vec![left];
    // Init dies with a creator that has not told it that the container is complete.
    if state.place == Place::Complete && state.owner == at.operation && state.lock == at.operation && left.lives() {
        all.push(State { init: Init::Doomed, orphaned: true, ..left });
    }
    all
}

/// The verbs that change the container. The others are in `queries.rs`.
impl Steps<'_> {
    pub(super) fn go(&mut self, phase: u8, state: State) {
        self.found.push((Progress { phase, ..self.at }, state));
    }

    /// Goes on with the container that is there now.
    pub(super) fn follow(&mut self, phase: u8, state: State) {
        self.found.push((Progress { phase, made_by: state.made_by, ..self.at }, state));
    }

    pub(super) fn end(&mut self, answer: Answer, state: State) {
        if self.operation.answer.is_none_or(|given| given == answer) {
            self.go(DONE, state);
        }
    }

    pub(super) fn ok(&mut self, state: State) {
        self.end(Answer::Ok(value::NONE), state);
    }

    /// Ends with an error that changes nothing, and releases the lock if this operation has it.
    pub(super) fn err(&mut self, code: Code) {
        let state = self.unlocked(self.state);
        self.end(Answer::Err(code), state);
    }

    fn unlocked(&self, state: State) -> State {
        if state.lock == self.operation.number { State { lock: 0, ..state } } else { state }
    }

    /// Whether the container that the operation looks for does not exist.
    pub(super) fn is_stale(&self) -> bool {
        let handle = self.operation.handle;
        self.state.place == Place::Absent || handle != 0 && handle != self.state.made_by
    }

    /// Whether the container with which the operation began is there no longer.
    pub(super) fn is_replaced(&self) -> bool {
        self.state.place == Place::Absent || self.at.made_by != self.state.made_by
    }

    /// Takes the lock, if the container exists and nobody has it.
    fn lock(&mut self) -> Option<State> {
        if self.is_stale() {
            self.err(Code::NotFound);
            return None;
        }
        (self.state.lock == 0).then_some(State { lock: self.operation.number, ..self.state })
    }

    fn create(&mut self) {
        let (me, state) = (self.operation.number, self.state);
        let limit = self.operation.argument & !SHORT;
        match self.at.phase {
            0 if state.place == Place::Absent => {
                self.go(1, State { place: Place::Empty, owner: me, made_by: me, ..State::default() });
            }
            0 => self.err(Code::IdInUse),
            // A forced delete has removed the directory.
            1 if state.place == Place::Absent => self.go(0, state),
            1 if state.place == Place::Empty && state.lock == 0 => {
                let short = self.operation.argument & SHORT != 0;
                self.go(2, State { owner: me, lock: me, made_by: me, short, saved: limit, applied: limit, ..state });
            }
            1 if state.owner != me => self.err(Code::IdInUse),
            2 => self.go(3, State { place: Place::Creating, ..state }),
            3 => self.go(4, State { init: Init::Alive, ..state }),
            4 => {
                self.go(5, State { place: Place::Complete, ..state });
                if state.init != Init::Alive {
                    self.go(6, State { init: Init::Ended, ..state });
                }
            }
            5 => {
                self.ok(self.unlocked(State { owner: 0, ..state }));
                if state.init != Init::Alive {
                    self.go(6, state);
                }
            }
            6 if state.init == Init::Ended => self.go(7, State { place: Place::Empty, init: Init::None, ..state }),
            7 => self.end(Answer::Err(Code::System), State::default()),
            _ => {}
        }
    }

    fn start(&mut self) {
        let state = self.state;
        match self.at.phase {
            0 => {
                let Some(locked) = self.lock() else { return };
                if state.place == Place::Empty || state.may_be(see::STOPPED) {
                    return self.err(Code::NotRunning);
                }
                if state.may_be(see::CREATED) {
                    self.go(1, locked);
                }
                if state.may_be(see::RUNNING) {
                    self.err(Code::AlreadyRunning);
                }
                if state.may_be(see::PAUSED) {
                    self.err(Code::Paused);
                }
            }
            1 => {
                // Another start, whose process was killed, has released it: its message may still be there.
                if state.started != Started::No && state.lives() {
                    self.err(Code::AlreadyRunning);
                }
                if state.started == Started::No && state.lives() {
                    self.go(2, State { started: Started::Released, ..state });
                }
                if state.started == Started::Released {
                    self.go(2, state);
                }
                if state.init != Init::Alive {
                    self.err(Code::NotRunning);
                }
            }
            // The end of the fifo closes when init executes the program or dies.
            2 if state.started == Started::Yes || state.init != Init::Alive => self.ok(self.unlocked(state)),
            _ => {}
        }
    }

    fn kill_init(&mut self) {
        let state = self.state;
        match self.at.phase {
            0 if self.is_stale() => self.err(Code::NotFound),
            0 if state.may_be(see::CREATING | see::STOPPED) => self.err(Code::NotRunning),
            0 if state.may_be(see::PAUSED) => self.follow(1, state),
            0 => self.follow(2, state),
            phase @ (1 | 2) => {
                let mut after = state;
                if self.is_replaced() {
                    self.err(Code::NotFound);
                    self.err(Code::NotRunning);
                } else if state.lives() {
                    after.kill();
                } else {
                    self.err(Code::NotRunning);
                }
                if phase == 1 { self.go(3, after) } else { self.ok(after) }
            }
            3 if self.is_replaced() => self.err(Code::NotFound),
            // A paused container is thawed, so that it can die.
            3 if state.lock == 0 => self.ok(State { frozen: false, ..state }),
            _ => {}
        }
    }

    /// Kills whatever is in the cgroup until it is empty, without the lock.
    fn kill_all(&mut self) {
        let state = self.state;
        match self.at.phase {
            0 if self.is_stale() => self.err(Code::NotFound),
            0 if state.place == Place::Empty => self.err(Code::NotRunning),
            0 => self.follow(1, state),
            phase @ (1 | 2) => {
                let mut after = state;
                after.kill();
                (after.frozen, after.held) = (false, false);
                if after != state || phase == 1 {
                    self.go(2, after);
                }
                // It returns when there is no process: the container has ended, or is another one.
                if phase == 2 && (self.is_replaced() || !state.lives()) {
                    self.ok(state);
                }
            }
            _ => {}
        }
    }

    /// A signal that the processes ignore. They are frozen meanwhile.
    fn signal_all(&mut self) {
        let state = self.state;
        match self.at.phase {
            0 => {
                if state.place == Place::Empty && !self.is_stale() {
                    return self.err(Code::NotRunning);
                }
                let Some(locked) = self.lock() else { return };
                self.go(1, locked);
            }
            1 => {
                if state.init != Init::Alive {
                    self.err(Code::NotRunning);
                }
                self.go(2, State { held: !state.frozen && state.lives(), ..state });
            }
            2 => {
                let after = self.unlocked(State { held: false, ..state });
                self.ok(after);
                // Where freezing takes long, it is begun again.
                if state.held {
                    self.go(1, State { held: false, ..state });
                }
                if state.init != Init::Alive {
                    self.end(Answer::Err(Code::NotRunning), after);
                }
            }
            _ => {}
        }
    }

    fn pause(&mut self) {
        let state = self.state;
        match self.at.phase {
            0 => {
                let Some(locked) = self.lock() else { return };
                if state.place == Place::Empty || state.may_be(see::STOPPED) {
                    self.err(Code::NotRunning);
                } else if state.may_be(see::PAUSED) {
                    self.err(Code::Paused);
                } else {
                    self.go(1, locked);
                }
            }
            1 => self.go(2, State { frozen: true, ..state }),
            2 => {
                if state.frozen {
                    self.ok(self.unlocked(state));
                }
                // A kill has thawed it, or freezing takes long and is begun again.
                self.go(1, State { frozen: false, ..state });
                if state.init != Init::Alive {
                    self.end(Answer::Err(Code::NotRunning), self.unlocked(State { frozen: false, ..state }));
                }
            }
            _ => {}
        }
    }

    fn resume(&mut self) {
        let state = self.state;
        match self.at.phase {
            0 => {
                let Some(locked) = self.lock() else { return };
                if state.place == Place::Empty {
                    self.err(Code::NotRunning);
                } else if state.may_be(see::PAUSED) {
                    self.go(1, locked);
                } else {
                    self.err(Code::NotPaused);
                }
            }
            1 => {
                // A kill thaws it, too.
                if !state.may_be(see::PAUSED) {
                    self.err(Code::NotPaused);
                }
                self.ok(self.unlocked(State { frozen: false, ..state }));
            }
            _ => {}
        }
    }

    fn set(&mut self) {
        let (state, limit) = (self.state, self.operation.argument);
        match self.at.phase {
            0 => {
                let Some(locked) = self.lock() else { return };
                if state.place == Place::Empty || state.may_be(see::STOPPED) {
                    self.err(Code::NotRunning);
                } else {
                    self.go(1, locked);
                }
            }
            1 => self.go(2, State { applied: limit, ..state }),
            2 => self.ok(self.unlocked(State { saved: limit, ..state })),
            _ => {}
        }
    }

    fn delete(&mut self, permitted: u8) {
        let (me, state) = (self.operation.number, self.state);
        match self.at.phase {
            0 => {
                let Some(locked) = self.lock() else { return };
                if state.place == Place::Empty {
                    return self.go(5, State { owner: me, ..locked });
                }
                // Who has the lock knows that no creator is at work.
                if state.place == Place::Creating {
                    return self.go(1, State { place: Place::Deleting, owner: me, ..locked });
                }
                if state.may_be(permitted) {
                    self.go(1, State { place: Place::Deleting, owner: me, ..locked });
                }
                if state.may_be(!permitted) {
                    self.err(Code::NotStopped);
                }
            }
            _ => self.remove(value::NONE),
        }
    }

    /// The part of a delete after its decision.
    fn remove(&mut self, answer: u32) {
        let state = self.state;
        match self.at.phase {
            1 => {
                let mut after = state;
                after.kill();
                self.go(2, after);
            }
            // On cgroup v1 it has to be thawed to die.
            2 if state.frozen => self.go(2, State { frozen: false, ..state }),
            2 if matches!(state.init, Init::None | Init::Exiting | Init::Ended) => self.go(3, state),
            3 => self.go(5, State { place: Place::Empty, init: Init::None, ..state }),
            5 => self.end(Answer::Ok(answer), State::default()),
            _ => {}
        }
    }

    fn recover(&mut self, alone: bool) {
        let (me, state) = (self.operation.number, self.state);
        let can = state.is_abandoned() && state.lock == 0;
        match self.at.phase {
            0 => {
                // What others use is left to them.
                if !can || !alone {
                    self.ok(state);
                }
                if can && self.operation.answer != Some(Answer::Ok(value::NONE)) {
                    let locked = State { lock: me, owner: me, ..state };
                    match state.place {
                        Place::Empty => self.go(5, locked),
                        _ => self.go(1, State { place: Place::Deleting, ..locked }),
                    }
                }
            }
            _ => self.remove(value::RECOVERED),
        }
    }
}
