//! A worker: a process with several threads that operate on the ids at random and write down what they did.

use std::fs::File;
use std::time::Duration;

use berth::spec::Config;
use berth::{Code, Container, ExitStatus, Force, Recipients, Runtime, Settings};
use serde_json::{Value, json};

use super::common::{exec_script, load_config, quiet, shell};
use super::history::{Answer, EVERY, Entry, Event, Log, Verb, value};
use super::rules::SHORT;

pub const IDS: u8 = 20;

/// How often each verb is chosen.
const WEIGHTS: [(Verb, u32); 18] = [
    (Verb::Create, 160),
    (Verb::Start, 130),
    (Verb::Exec, 30),
    (Verb::KillInit, 40),
    (Verb::KillAll, 30),
    (Verb::SignalAll, 30),
    (Verb::Pause, 50),
    (Verb::Resume, 90),
    (Verb::Set, 50),
    (Verb::Status, 120),
    (Verb::List, 3),
    (Verb::Stats, 60),
    (Verb::Config, 40),
    (Verb::Wait, 50),
    (Verb::Delete, 50),
    (Verb::DeleteCreated, 25),
    (Verb::DeleteForce, 45),
    (Verb::Recover, 3),
];

/// Chooses at random, the same from the same seed.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, limit: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((self.0 >> 33) % u64::from(limit)) as u32
    }

    fn verb(&mut self) -> Verb {
        let mut place = self.below(WEIGHTS.iter().map(|(_, weight)| weight).sum());
        for (verb, weight) in WEIGHTS {
            match place.checked_sub(weight) {
                Some(rest) => place = rest,
                None => return verb,
            }
        }
        Verb::Status
    }
}

pub fn runtime(root: &str) -> Runtime {
    let settings = Settings {
        root: root.into(),
        setup_timeout: Duration::from_secs(20),
        lock_timeout: Duration::from_secs(100),
        cgroup_timeout: Duration::from_secs(60),
        ..Settings::default()
    };
    Runtime::new(settings).unwrap()
}

/// Everything that the operations of a worker have in common.
pub struct Worker {
    pub runtime: Runtime,
    pub log: Log,
    pub prefix: String,
    pub number: u32,
    /// Whether limits can be set on this machine.
    pub limits: bool,
}

/// The caller "worker". Arguments: state root, prefix of ids, log, seed, number, "limits" or "-", threads.
pub fn run(args: &[String]) {
    let file = File::options().read(true).write(true).open(&args[2]).unwrap();
    let worker = Worker {
        runtime: runtime(&args[0]),
        log: Log::open(&file),
        prefix: args[1].clone(),
        number: args[4].parse().unwrap(),
        limits: args[5] == "limits",
    };
    let seed: u64 = args[3].parse().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..args[6].parse().unwrap() {
            let mut random = Random(seed.wrapping_add(thread).wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let worker = &worker;
            scope.spawn(move || {
                // The handles of create.
                let mut own: Vec<Option<(Container, u32)>> = (0..IDS).map(|_| None).collect();
                while !worker.log.is_stopped() {
                    worker.step(&mut random, &mut own);
                }
            });
        }
    });
}

impl Worker {
    fn step(&self, random: &mut Random, own: &mut [Option<(Container, u32)>]) {
        let verb = match random.verb() {
            Verb::Set if !self.limits => Verb::Status,
            verb => verb,
        };
        if matches!(verb, Verb::List | Verb::Recover) {
            return self.on_every_id(verb);
        }
        let id = random.below(u32::from(IDS)) as u8;
        let limit = if self.limits { 1000 + random.below(1_000_000) } else { value::NO_LIMIT };
        let chance = random.below(4);
        if verb == Verb::Create {
            let argument = if chance == 0 { limit | SHORT } else { limit };
            let config = config(argument);
            self.record(id, verb, argument, 0, |number| {
                let created = Container::create(&self.runtime, &self.id(id), &config, &quiet());
                created.map(|container| {
                    own[usize::from(id)] = Some((container, number));
                    value::NONE
                })
            });
            return;
        }
        match &own[usize::from(id)] {
            Some((container, handle)) if chance == 0 => {
                self.record(id, verb, limit, *handle, |_| act(container, verb, limit));
            }
            _ => {
                self.record(id, verb, limit, 0, |_| act(&self.runtime.load(&self.id(id))?, verb, limit));
            }
        }
    }

    pub fn id(&self, id: u8) -> String {
        format!("{}-{id}", self.prefix)
    }

    fn entry(&self, event: Event, operation: u32, id: u8) -> Entry {
        Entry { event, worker: self.number, operation, id, handle: 0 }
    }

    /// Writes the call down, makes it, and writes down what it answers.
    pub fn record(&self, id: u8, verb: Verb, argument: u32, handle: u32, call: impl FnOnce(u32) -> berth::Result<u32>) {
        let number = self.log.next_operation();
        self.log.write(&Entry { handle, ..self.entry(Event::Call { verb, argument }, number, id) });
        let answer = answer(number, verb, call(number));
        self.log.write(&self.entry(Event::Return(answer), number, id));
    }

    fn on_every_id(&self, verb: Verb) {
        let number = self.log.next_operation();
        self.log.write(&self.entry(Event::Call { verb, argument: 0 }, number, EVERY));
        let answers: Vec<Answer> = if verb == Verb::List {
            let states = self.runtime.states_json().map(|text| serde_json::from_str::<Value>(&text).unwrap());
            (0..IDS)
                .map(|id| {
                    answer(
                        number,
                        verb,
                        states.as_ref().map_err(Clone::clone).and_then(|all| listed(all, &self.id(id))),
                    )
                })
                .collect()
        } else {
            let recovered = self.runtime.recover();
            let one = |id| recovered.as_ref().map(|ids| u32::from(ids.contains(&self.id(id)))).map_err(Clone::clone);
            (0..IDS).map(|id| answer(number, verb, one(id))).collect()
        };
        for (id, answer) in (0..).zip(answers) {
            self.log.write(&self.entry(Event::Return(answer), number, id));
        }
    }
}

/// Returns the status of an id in a list of states.
fn listed(states: &Value, id: &str) -> berth::Result<u32> {
    let found = states.as_array().unwrap().iter().find(|state| state["id"] == id);
    let missing = || berth::Error::new(Code::NotFound, "it is not in the list");
    let names = ["creating", "created", "running", "paused", "stopped"];
    let status = found.ok_or_else(missing)?["status"].as_str().unwrap();
    let place = names.iter().position(|name| *name == status);
    place.map(|place| place as u32).ok_or_else(|| berth::Error::new(Code::Internal, found.unwrap().to_string()))
}

fn answer(number: u32, verb: Verb, result: berth::Result<u32>) -> Answer {
    match result {
        Ok(value) => Answer::Ok(value),
        Err(error) => {
            if matches!(error.code, Code::System | Code::Internal | Code::Busy | Code::Unsupported | Code::Timeout)
                && !(verb == Verb::Wait && error.code == Code::Timeout)
            {
                println!("operation {number}, {}: {:?} {error} {:?}", verb.name(), error.code, error.detail);
            }
            Answer::Err(error.code)
        }
    }
}

/// A container that is quick to create.
pub fn config(argument: u32) -> Config {
    let mut config = shell("exit 7");
    if argument & SHORT == 0 {
        config["process"]["args"] = json!(["/bin/sleep", "1000"]);
    }
    config.as_object_mut().unwrap().remove("hostname");
    config["mounts"] = json!([{ "destination": "/proc", "type": "proc", "source": "proc" }]);
    let mut linux = json!({ "namespaces": [{ "type": "pid" }, { "type": "mount" }] });
    if argument & !SHORT != value::NO_LIMIT {
        linux["resources"] = json!({ "pids": { "limit": argument & !SHORT } });
    }
    config["linux"] = linux;
    load_config(&config)
}

fn act(container: &Container, verb: Verb, limit: u32) -> berth::Result<u32> {
    let done = |()| value::NONE;
    match verb {
        Verb::Start => container.start().map(done),
        Verb::Exec => exec_script(container, "exit 0", &quiet()).map(|process| match process.wait(20_000) {
            Ok(status) => ended(status),
            Err(error) if error.code == Code::Timeout => value::RUNS,
            Err(_) => value::UNKNOWN,
        }),
        Verb::KillInit => container.signal(libc::SIGKILL, Recipients::Init).map(done),
        Verb::KillAll => container.signal(libc::SIGKILL, Recipients::All).map(done),
        Verb::SignalAll => container.signal(libc::SIGWINCH, Recipients::All).map(done),
        Verb::Pause => container.pause().map(done),
        Verb::Resume => container.resume().map(done),
        Verb::Set => container.set(&json!({ "pids": { "limit": limit } }).to_string()).map(done),
        Verb::Status => container.status().map(|status| status as u32),
        Verb::Stats => container.stats().map(|stats| stats.pids_limit.unwrap_or(0) as u32),
        Verb::Config => container.config_json().map(|text| {
            let config: Value = serde_json::from_str(&text).unwrap_or_default();
            config["linux"]["resources"]["pids"]["limit"].as_u64().unwrap_or(0) as u32
        }),
        Verb::Wait => container.wait(i64::from(limit % 5)).map(ended),
        Verb::Delete => container.delete(Force::No).map(done),
        Verb::DeleteCreated => container.delete(Force::Created).map(done),
        Verb::DeleteForce => container.delete(Force::Kill).map(done),
        Verb::Create | Verb::List | Verb::Recover => unreachable!("they have no handle"),
    }
}

fn ended(status: ExitStatus) -> u32 {
    match status {
        ExitStatus::Exited(code) => code as u32,
        ExitStatus::Signaled { signal: libc::SIGKILL, .. } => value::KILLED,
        ExitStatus::Signaled { signal, .. } => 2000 + signal as u32,
    }
}
