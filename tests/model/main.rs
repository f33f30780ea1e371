//! Many processes operate on the same ids at random, some are killed meanwhile, and every answer is compared with a
//! model: there must be an order of the overlapping operations that explains it. `rules.rs` and `queries.rs` say what an
//! operation may do and answer, `checker.rs` looks for the order, `histories.rs` shows that wrong answers are refused.
//!
//! BERTH_MODEL_OPERATIONS  how many operations (`make model`: a million)
//! BERTH_MODEL_SECONDS     after how long it ends although there were fewer
//! BERTH_MODEL_SEED        chooses the operations; otherwise different ones each time

mod checker;
#[path = "../common/mod.rs"]
mod common;
mod histories;
mod history;
mod queries;
mod rules;
mod state;
mod worker;

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use berth::{Code, Container, Force};
use common::runner::Running;
use common::*;
use history::{Answer, Entry, Event, Log, Verb};
use worker::{IDS, Random, Worker};

fn main() {
    runner::main(
        &[
            ("the_model_accepts_what_is_right", histories::accepts),
            ("the_model_refuses_what_is_wrong", histories::refuses),
            ("every_answer_is_explained_by_some_order", random_operations),
        ],
        &[("worker", worker::run)],
    );
}

const PROCESSES: usize = 8;
const THREADS: usize = 3;
/// The operations until all workers stop, and the history is checked.
const ROUND: u32 = 10_000;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}: {text} is no number")))
}

fn in_vm() -> bool {
    std::env::var_os("BERTH_VM").is_some()
}

/// What all rounds together have done.
#[derive(Default)]
struct Counts {
    operations: u64,
    cut: usize,
    overlapping: usize,
    workers: u32,
    killed: u32,
    answers: BTreeMap<(Verb, String), u64>,
    /// Of answers that were replaced by others: how many, and how many the checker refused.
    falsified: (u32, u32),
}

/// Whether kill freezes a container's processes: on cgroup v1 alone, where another process then sees them paused. The
/// model does not know that.
fn kill_freezes() -> bool {
    !std::fs::read_to_string("/proc/self/mountinfo").unwrap().contains(" - cgroup2 ")
}

fn random_operations() {
    if kill_freezes() {
        println!("left out: this machine has cgroup v1 alone");
        return;
    }
    let wanted = number("BERTH_MODEL_OPERATIONS", 600);
    let seconds = number("BERTH_MODEL_SECONDS", 40);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64;
    let seed = number("BERTH_MODEL_SEED", now % 1_000_000_000);
    println!("BERTH_MODEL_SEED={seed}");
    rootfs();
    let (begun, limits) = (Instant::now(), has_limits());
    let mut random = Random(seed);
    let mut counts = Counts::default();
    while counts.operations < wanted && begun.elapsed() < Duration::from_secs(seconds) {
        let operations = (wanted - counts.operations).min(ROUND.into()) as u32;
        let end = begun + Duration::from_secs(seconds);
        round(&mut random, limits, operations, end, &mut counts);
    }
    report(&counts, begun.elapsed());
    // Some of them could have been right, beside the operations that overlapped.
    assert!(
        counts.falsified.0 == 0 || counts.falsified.1 > 0,
        "the checker accepts wrong answers: {:?}",
        counts.falsified
    );
}

fn has_limits() -> bool {
    let test = TestRuntime::new();
    match Container::create(&test.runtime, &unique("limits"), &worker::config(1000), &quiet()) {
        Ok(container) => container.delete(Force::Kill).map(|()| true).unwrap(),
        Err(error) => {
            assert_eq!(error.code, Code::Unsupported, "{error}");
            false
        }
    }
}

/// Starts workers, kills some of them, and checks what they have seen and left.
fn round(random: &mut Random, limits: bool, operations: u32, end: Instant, counts: &mut Counts) {
    let dir = tempfile::Builder::new().prefix("berth-test-").tempdir().unwrap();
    let (root, prefix) = (dir.path().join("state"), unique("model"));
    let path = dir.path().join("log");
    let file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
    // Operations on every id have an answer for each.
    file.set_len(Log::size(operations as usize * 8 + 10_000)).unwrap();
    let args = |number: u32, seed: u32| {
        let limits = if limits { "limits" } else { "-" };
        let (number, seed) = (number.to_string(), seed.to_string());
        let fixed = [root.to_str().unwrap(), &prefix, path.to_str().unwrap(), &seed, &number, limits];
        [&fixed.map(str::to_owned)[..], &[THREADS.to_string()]].concat()
    };
    let own = Worker {
        runtime: worker::runtime(root.to_str().unwrap()),
        log: Log::open(&file),
        prefix: prefix.clone(),
        number: 0,
        limits,
    };
    let mut next = 1;
    let mut start = |random: &mut Random| {
        next += 1;
        (next, runner::start(runner::caller("worker", &[]).args(args(next, random.below(u32::MAX)))))
    };
    let mut workers: Vec<(u32, Running)> = (0..PROCESSES).map(|_| start(random)).collect();
    while own.log.operations() < operations && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(u64::from(random.below(if in_vm() { 4000 } else { 400 }))));
        let victim = random.below(PROCESSES as u32) as usize;
        let (number, running) = &mut workers[victim];
        write_end(&own.log, Event::Dying, *number);
        running.kill();
        write_end(&own.log, Event::Dead, *number);
        workers[victim] = start(random);
        counts.killed += 1;
    }
    own.log.stop();
    counts.workers += next - 1;
    // Operations that wait for a frozen container end with it.
    while workers.iter_mut().any(|(_, running)| running.0.try_wait().unwrap().is_none()) {
        delete_all(&own);
        // Each pass takes places of the log.
        std::thread::sleep(Duration::from_millis(50));
    }
    let statuses: Vec<_> = workers.iter_mut().map(|(_, running)| running.end()).collect();
    assert!(statuses.iter().all(std::process::ExitStatus::success), "{statuses:?}");
    delete_all(&own);
    let entries = own.log.entries();
    check(&entries, random, counts);
    assert_eq!(own.runtime.ids().unwrap(), Vec::<String>::new());
    leftovers::no_orphan_stays();
    leftovers::nothing_stays(&prefix, &root);
}

fn write_end(log: &Log, event: Event, worker: u32) {
    log.write(&Entry { event, worker, operation: 0, id: history::EVERY, handle: 0 });
}

fn delete_all(own: &Worker) {
    for id in 0..IDS {
        own.record(id, Verb::DeleteForce, 0, 0, |_| {
            own.runtime.load(&own.id(id))?.delete(Force::Kill)?;
            Ok(history::value::NONE)
        });
    }
}

/// Explains the histories of all ids; fails with those that cannot be explained.
fn check(entries: &[Entry], random: &mut Random, counts: &mut Counts) {
    let next = AtomicU8::new(0);
    let work = || {
        let mut results = Vec::new();
        loop {
            let id = next.fetch_add(1, Ordering::Relaxed);
            if id >= IDS {
                return results;
            }
            results.push((id, checker::explain(entries, id)));
        }
    };
    let results: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let mut wrong = String::new();
    for (id, result) in results {
        match result {
            Ok(explained) => {
                counts.cut += explained.cut;
                counts.overlapping = counts.overlapping.max(explained.overlapping);
            }
            Err(text) => wrong += &format!("id {id}: {text}"),
        }
    }
    count(entries, counts);
    assert!(wrong.is_empty(), "{wrong}");
    for _ in 0..10 {
        falsify(entries, random, counts);
    }
}

/// Replaces the answer of a status in the history by another one.
fn falsify(entries: &[Entry], random: &mut Random, counts: &mut Counts) {
    let verbs: BTreeMap<u32, Verb> =
        entries.iter().filter_map(|entry| Some((entry.operation, called(entry)?))).collect();
    let of_status = |entry: &&Entry| matches!(entry.event, Event::Return(_)) && verbs[&entry.operation] == Verb::Status;
    let all: Vec<&Entry> = entries.iter().filter(of_status).collect();
    if all.is_empty() {
        return;
    }
    let (victim, other) = (*all[random.below(all.len() as u32) as usize], Answer::Ok(random.below(5)));
    let Some(falsified) = checker::falsified(&victim, other) else { return };
    let changed: Vec<Entry> = entries.iter().map(|entry| if *entry == victim { falsified } else { *entry }).collect();
    counts.falsified.0 += 1;
    counts.falsified.1 += u32::from(checker::explain(&changed, victim.id).is_err());
}

fn called(entry: &Entry) -> Option<Verb> {
    match entry.event {
        Event::Call { verb, .. } => Some(verb),
        _ => None,
    }
}

fn count(entries: &[Entry], counts: &mut Counts) {
    let verbs: BTreeMap<u32, Verb> =
        entries.iter().filter_map(|entry| Some((entry.operation, called(entry)?))).collect();
    counts.operations += verbs.len() as u64;
    for entry in entries {
        let Event::Return(answer) = entry.event else { continue };
        let verb = verbs[&entry.operation];
        let text = match (verb, answer) {
            (_, Answer::Err(code)) => format!("{code:?}"),
            (Verb::Stats | Verb::Config, Answer::Ok(_)) => "a limit".to_owned(),
            (_, Answer::Ok(value)) => format!("ok {value}"),
        };
        *counts.answers.entry((verb, text)).or_default() += 1;
    }
}

fn report(counts: &Counts, time: Duration) {
    for verb in Verb::ALL {
        let of_verb = counts.answers.iter().filter(|((of, _), _)| of == verb);
        let texts: Vec<String> = of_verb.map(|((_, answer), count)| format!("{answer} {count}")).collect();
        println!("{:>16}: {}", verb.name(), texts.join(", "));
    }
    println!(
        "{} operations of {} processes, of which {} were killed, with {THREADS} threads each on {IDS} ids in {:.0} s: {} were \
         cut off, at most {} overlapped on one id; none without an explanation, nothing left",
        counts.operations,
        counts.workers,
        counts.killed,
        time.as_secs_f64(),
        counts.cut,
        counts.overlapping
    );
    println!("the checker refused {} of {} answers that were replaced", counts.falsified.1, counts.falsified.0);
}
