//! The rules of what changes nothing: queries, wait and exec. None of them needs the lock.

use berth::Code;

use super::history::{Answer, Verb, value};
use super::rules::Steps;
use super::state::{Init, Place, Started, see};

impl Steps<'_> {
    pub(super) fn status(&mut self) {
        if self.is_stale() {
            return self.err(Code::NotFound);
        }
        // A list needs the configuration, which is removed first.
        if self.operation.verb == Verb::List && self.lacks_configuration() {
            self.err(Code::NotFound);
        }
        for status in 0..5 {
            if self.state.may_be(1 << status) {
                self.end(Answer::Ok(status), self.state);
            }
        }
    }

    pub(super) fn stats(&mut self) {
        let state = self.state;
        if self.is_stale() {
            return self.err(Code::NotFound);
        }
        if state.place != Place::Empty {
            self.end(Answer::Ok(state.applied), state);
        }
        // The cgroup is made or removed at this time. A kill may forbid new processes on cgroup v1.
        if matches!(state.place, Place::Creating | Place::Deleting) || state.killed {
            self.end(Answer::Ok(value::NO_LIMIT), state);
        }
        if state.place != Place::Complete || state.init != Init::Alive {
            self.err(Code::NotRunning);
        }
    }

    pub(super) fn config(&mut self) {
        let state = self.state;
        if self.is_stale() {
            return self.err(Code::NotFound);
        }
        self.end(Answer::Ok(state.saved), state);
        if self.lacks_configuration() {
            self.end(Answer::Ok(value::NO_LIMIT), state);
            self.err(Code::NotFound);
        }
    }

    /// Whether the configuration may not be there yet, or no longer, because a create is undone or a delete is under way.
    fn lacks_configuration(&self) -> bool {
        let is_undone = self.state.lock != 0 && self.state.lock == self.state.made_by;
        is_undone || matches!(self.state.place, Place::Empty | Place::Creating | Place::Deleting)
    }

    /// A wait that does not wait long.
    pub(super) fn wait(&mut self) {
        let state = self.state;
        match self.at.phase {
            0 if self.is_stale() => {
                self.err(Code::NotFound);
                // A handle keeps an exit status.
                if self.operation.handle != 0 {
                    self.go(2, state);
                }
            }
            0 => self.follow(1, state),
            1 if self.is_replaced() => {
                self.err(Code::NotFound);
                self.go(2, state);
            }
            1 => {
                if matches!(state.init, Init::Alive | Init::Doomed | Init::Exiting) {
                    self.err(Code::Timeout);
                }
                if matches!(state.init, Init::None | Init::Ended) {
                    self.err(Code::StatusUnknown);
                }
                if state.init == Init::Ended {
                    let itself = state.short && state.started == Started::Yes;
                    for code in 0..256 {
                        if state.orphaned || itself && code == 7 {
                            self.end(Answer::Ok(code), state);
                        }
                    }
                    if state.killed {
                        self.end(Answer::Ok(value::KILLED), state);
                    }
                }
            }
            2 => {
                self.err(Code::StatusUnknown);
                self.end(Answer::Ok(7), state);
                self.end(Answer::Ok(value::KILLED), state);
            }
            _ => {}
        }
    }

    pub(super) fn exec(&mut self) {
        let state = self.state;
        match self.at.phase {
            0 if self.is_stale() => self.err(Code::NotFound),
            0 if state.may_be(see::CREATING | see::STOPPED) => self.err(Code::NotRunning),
            0 if state.frozen && state.lock == 0 => self.err(Code::Paused),
            0 if state.may_be(see::CREATED | see::RUNNING) => self.follow(1, state),
            1 => {
                self.ok(state);
                let replaced = self.is_replaced();
                if replaced {
                    self.err(Code::NotFound);
                }
                if replaced || state.init != Init::Alive || state.place == Place::Deleting {
                    self.err(Code::NotRunning);
                    // Its process was killed a while before init.
                    self.err(Code::System);
                    self.end(Answer::Ok(value::KILLED), state);
                }
                if state.frozen {
                    self.go(2, state);
                }
            }
            2 => {
                self.err(Code::Timeout);
                self.end(Answer::Ok(value::RUNS), state);
            }
            _ => {}
        }
    }
}
