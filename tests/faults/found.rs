//! Faults that were once told wrongly or left something behind. Each is tried at some places of its call.

use libc::*;

use crate::driver::{Call, Fault};
use crate::verbs::{VERBS, Verb};
use crate::world::World;
use crate::{counted, one, shown};

struct Found {
    verb: &'static str,
    /// Whether the caller makes the call, not what it has started.
    by_caller: bool,
    call: i64,
    /// One argument, by its index and value.
    argument: Option<(usize, u64)>,
    errno: i32,
    /// What the error says, if there is one.
    says: &'static str,
}

/// At how many places each is tried, at most.
const MOST: usize = 6;

const FOUND: Found = Found { verb: "create", by_caller: true, call: 0, argument: None, errno: 0, says: "" };

const CASES: [Found; 8] = [
    // berth-init said that a descriptor was bad.
    Found {
        by_caller: false,
        call: SYS_fcntl,
        argument: Some((1, F_SETFD as u64)),
        errno: EPERM,
        says: "fcntl",
        ..FOUND
    },
    // The caller waited for five seconds for the end of init, and said that it had disappeared.
    Found { call: SYS_sendmsg, errno: EAGAIN, says: "sendmsg", ..FOUND },
    // Start said that the container was running.
    Found { verb: "start", by_caller: false, call: SYS_write, errno: EIO, says: "exec.fifo", ..FOUND },
    // The error was that the state root exists.
    Found { verb: "pause", call: SYS_statx, errno: EOVERFLOW, says: "too large", ..FOUND },
    // The container stayed paused, and resume succeeded.
    Found { verb: "resume", call: SYS_openat2, errno: ENOENT, says: "", ..FOUND },
    // A cgroup hierarchy that could not be looked at was left out: its cgroup stayed for ever.
    Found { verb: "delete", call: SYS_newfstatat, errno: EACCES, says: "", ..FOUND },
    Found { verb: "delete", call: SYS_newfstatat, errno: ENOMEM, says: "", ..FOUND },
    // A path that could not be opened was taken for one that does not exist, and needs no mask.
    Found { verb: "checkpoint", call: SYS_openat2, errno: EMFILE, says: "oo many open files", ..FOUND },
];

impl Found {
    fn is_at(&self, call: &Call) -> bool {
        self.by_caller == (call.place.process == 0)
            && self.call == call.number
            && self.argument.is_none_or(|(index, value)| call.args[index] == value)
    }

    fn verb(&self) -> &'static Verb {
        VERBS.iter().find(|verb| verb.name == self.verb).expect("the name of a verb")
    }
}

/// Tries all of them; returns the number of findings.
pub fn tried(world: &World) -> usize {
    let mut findings = 0;
    for case in &CASES {
        let verb = case.verb();
        let calls = counted(world, verb);
        let places: Vec<&Call> = calls.iter().filter(|call| case.is_at(call)).collect();
        assert!(!places.is_empty(), "{}: there is no such call: {}", case.verb, case.call);
        for call in places.iter().copied().step_by(places.len().div_ceil(MOST)) {
            let fault = Fault::Fails(case.errno);
            let finding = match one(world, verb, call, fault) {
                Err(finding) => finding,
                Ok(tried) if tried.text.is_empty() || tried.text.contains(case.says) => continue,
                Ok(tried) => format!("says {:?}, not {:?}", tried.text, case.says),
            };
            findings += 1;
            println!("FINDING {} {}: {finding}", verb.name, shown(call, fault));
        }
    }
    findings
}
