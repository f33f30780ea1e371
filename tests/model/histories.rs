//! Histories that the checker must accept or refuse.

use berth::Code::{self, *};

use super::checker::explain;
use super::history::{Answer, EVERY, Entry, Event, Verb, value};
use super::rules::SHORT;

/// A history of one id.
#[derive(Clone, Default)]
struct History {
    entries: Vec<Entry>,
    operations: u32,
}

const CREATING: u32 = 0;
const CREATED: u32 = 1;
const RUNNING: u32 = 2;
const PAUSED: u32 = 3;
const STOPPED: u32 = 4;

impl History {
    fn push(&mut self, event: Event, worker: u32, operation: u32, handle: u32, id: u8) {
        self.entries.push(Entry { event, worker, operation, id, handle });
    }

    fn call_with(&mut self, worker: u32, verb: Verb, argument: u32, handle: u32) -> u32 {
        self.operations += 1;
        self.push(Event::Call { verb, argument }, worker, self.operations, handle, 0);
        self.operations
    }

    fn call(&mut self, verb: Verb) -> u32 {
        self.call_with(1, verb, 0, 0)
    }

    fn answers(&mut self, operation: u32, answer: Answer) {
        self.push(Event::Return(answer), 1, operation, 0, 0);
    }

    /// An operation that no other one overlaps.
    fn one(mut self, verb: Verb, answer: Answer) -> History {
        let operation = self.call(verb);
        self.answers(operation, answer);
        self
    }

    fn ok(self, verb: Verb) -> History {
        self.one(verb, Answer::Ok(value::NONE))
    }

    fn err(self, verb: Verb, code: Code) -> History {
        self.one(verb, Answer::Err(code))
    }

    fn status(self, status: u32) -> History {
        self.one(Verb::Status, Answer::Ok(status))
    }

    fn with(mut self, verb: Verb, argument: u32, answer: Answer) -> History {
        let operation = self.call_with(1, verb, argument, 0);
        self.answers(operation, answer);
        self
    }

    /// An operation on the handle that operation `made_by` has returned.
    fn on(mut self, made_by: u32, verb: Verb, answer: Answer) -> History {
        let operation = self.call_with(1, verb, 0, made_by);
        self.answers(operation, answer);
        self
    }

    /// Two operations that overlap; the first one returns first.
    fn both(mut self, first: (Verb, Answer), second: (Verb, Answer)) -> History {
        let (one, two) = (self.call(first.0), self.call(second.0));
        self.answers(one, first.1);
        self.answers(two, second.1);
        self
    }

    /// An operation of another process that is killed meanwhile.
    fn cut(mut self, verb: Verb) -> History {
        let (worker, operation) = (100 + self.operations, self.call_with(100 + self.operations, verb, 0, 0));
        assert!(operation > 0);
        self.push(Event::Dying, worker, 0, 0, EVERY);
        self.push(Event::Dead, worker, 0, 0, EVERY);
        self
    }

    fn created() -> History {
        History::default().ok(Verb::Create)
    }

    fn running() -> History {
        History::created().ok(Verb::Start)
    }
}

const DONE: Answer = Answer::Ok(value::NONE);

fn err(code: Code) -> Answer {
    Answer::Err(code)
}

fn seen(status: u32) -> Answer {
    Answer::Ok(status)
}

pub fn accepts() {
    let right = [
        ("a life", History::running().status(RUNNING).ok(Verb::KillAll).status(STOPPED).ok(Verb::Delete)),
        ("the same id again", History::running().ok(Verb::DeleteForce).ok(Verb::Create).status(CREATED)),
        ("creating", History::default().both((Verb::Status, seen(CREATING)), (Verb::Create, DONE))),
        ("created while create returns", History::default().both((Verb::Status, seen(CREATED)), (Verb::Create, DONE))),
        ("one of two creates", History::default().both((Verb::Create, DONE), (Verb::Create, err(IdInUse)))),
        ("one of two starts", History::created().both((Verb::Start, err(AlreadyRunning)), (Verb::Start, DONE))),
        ("a kill takes effect later", History::running().ok(Verb::KillInit).status(RUNNING).status(STOPPED)),
        ("pause and resume", History::running().ok(Verb::Pause).status(PAUSED).ok(Verb::Resume).status(RUNNING)),
        ("frozen for a signal", History::running().both((Verb::Status, seen(PAUSED)), (Verb::SignalAll, DONE))),
        ("a creator is killed", History::default().cut(Verb::Create).status(STOPPED).ok(Verb::Delete)),
        ("or before it began", History::default().cut(Verb::Create).ok(Verb::Create)),
        ("a starter is killed", History::created().cut(Verb::Start).status(CREATED).ok(Verb::Start)),
        ("after it has started", History::created().cut(Verb::Start).status(RUNNING).err(Verb::Start, AlreadyRunning)),
        (
            "a deleter is killed",
            History::running().cut(Verb::DeleteForce).status(STOPPED).with(Verb::Recover, 0, seen(1)),
        ),
        ("set", History::running().with(Verb::Set, 5, DONE).one(Verb::Config, seen(5)).one(Verb::Stats, seen(5))),
        ("its end", short().with(Verb::Wait, 0, seen(7)).status(STOPPED)),
        ("an old handle", History::running().ok(Verb::DeleteForce).ok(Verb::Create).on(1, Verb::Pause, err(NotFound))),
        ("killed while created", History::default().both((Verb::KillAll, DONE), (Verb::Create, err(System)))),
    ];
    for (name, history) in right {
        explain(&history.entries, 0).unwrap_or_else(|text| panic!("{name}: {text}"));
    }
}

/// A program that exits by itself.
fn short() -> History {
    History::default().with(Verb::Create, SHORT, DONE).ok(Verb::Start)
}

pub fn refuses() {
    let wrong = [
        ("stopped while only a create is under way", {
            History::default().both((Verb::Status, seen(STOPPED)), (Verb::Create, DONE))
        }),
        ("running without a start", History::created().status(RUNNING)),
        ("created after a start", History::running().status(CREATED)),
        ("alive again", History::running().ok(Verb::KillAll).status(STOPPED).status(RUNNING)),
        ("running after kill --all", History::running().ok(Verb::KillAll).status(RUNNING)),
        ("stopped by itself", History::running().status(STOPPED)),
        ("two creates", History::created().ok(Verb::Create)),
        ("two creates at once", History::default().both((Verb::Create, DONE), (Verb::Create, DONE))),
        ("in use, and nobody has it", History::default().err(Verb::Create, IdInUse)),
        ("a create fails by itself", History::default().err(Verb::Create, System)),
        ("not found although it exists", History::created().err(Verb::Status, NotFound)),
        ("found after its delete", History::running().ok(Verb::DeleteForce).status(STOPPED)),
        ("a start of nothing", History::created().err(Verb::Start, AlreadyRunning)),
        ("two starts", History::running().ok(Verb::Start)),
        ("already running, and killed", History::created().ok(Verb::KillAll).err(Verb::Start, AlreadyRunning)),
        ("a delete of a running container", History::running().ok(Verb::Delete)),
        ("a delete refused without reason", {
            History::running().ok(Verb::KillAll).status(STOPPED).err(Verb::Delete, NotStopped)
        }),
        ("a delete that kills a started one", History::running().ok(Verb::DeleteCreated)),
        ("running although paused", History::running().ok(Verb::Pause).status(RUNNING)),
        ("paused after resume", History::running().ok(Verb::Pause).ok(Verb::Resume).status(PAUSED)),
        ("paused by nobody", History::running().status(PAUSED)),
        ("paused after the signal", History::running().ok(Verb::SignalAll).status(PAUSED)),
        ("an exec in a paused one", History::running().ok(Verb::Pause).ok(Verb::Exec)),
        ("an exec in a stopped one", History::running().ok(Verb::KillAll).ok(Verb::Exec)),
        ("an exec that is killed by nobody", History::running().one(Verb::Exec, seen(value::KILLED))),
        ("an old limit", History::running().with(Verb::Set, 5, DONE).one(Verb::Config, seen(0))),
        ("a limit that is not applied", History::running().with(Verb::Set, 5, DONE).one(Verb::Stats, seen(0))),
        ("a limit of nobody", History::running().one(Verb::Config, seen(9))),
        ("another exit status", short().one(Verb::Wait, seen(8))),
        ("a kill that was none", short().one(Verb::Wait, seen(value::KILLED))),
        ("an end before the end", History::running().one(Verb::Wait, seen(7))),
        ("a timeout after the end", {
            History::running().ok(Verb::KillAll).with(Verb::Wait, 0, seen(value::KILLED)).err(Verb::Wait, Timeout)
        }),
        ("a complete container is recovered", History::created().with(Verb::Recover, 0, seen(1))),
        ("an abandoned one is not", History::running().cut(Verb::DeleteForce).status(STOPPED).ok(Verb::Recover)),
        ("a dead creator goes on", History::default().cut(Verb::Create).status(STOPPED).status(CREATED)),
        ("an old handle finds the next", {
            History::running().ok(Verb::DeleteForce).ok(Verb::Create).on(1, Verb::Status, seen(CREATED))
        }),
        ("busy", History::running().err(Verb::Pause, Busy)),
        ("a killed starter has killed it", History::created().cut(Verb::Start).status(STOPPED)),
        ("omitted from the list", History::running().err(Verb::List, NotFound)),
    ];
    for (name, history) in wrong {
        assert!(explain(&history.entries, 0).is_err(), "accepted: {name}");
    }
}
