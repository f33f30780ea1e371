//! A fault at every system call: each call of each verb, of `berth` and of what it starts, fails with each error that its
//! manual page names, or its process is killed there. Whatever happens, the verb succeeds or says what failed, and one
//! forced delete leaves nothing; other containers stay as they are.
//!
//! BERTH_FAULTS="create start", or "all": every fault of these verbs (`make faults`). Without it, some of them, the same
//! ones each time: BERTH_FAULTS_SEED chooses others, BERTH_FAULTS_SECONDS more. BERTH_FAULTS_AT="0.17 ENOENT": this one
//! alone.

#[path = "../common/mod.rs"]
mod common;

mod driver;
mod errnos;
mod found;
mod verbs;
mod world;

use std::time::{Duration, Instant};

use common::runner;
use driver::{Call, Fault, Place};
use nix::errno::Errno;
use verbs::{VERBS, Verb};
use world::World;

/// How many faults of each verb each of the processes tries, if not all or more are asked for.
const MOST: usize = 10;

/// How many seconds may pass, in each of the processes that try faults, if not all are tried.
const SECONDS: u64 = 50;

const WORKERS: usize = 2;

fn main() {
    runner::main(
        &[
            ("every_call_has_its_errors_in_one_table", tables),
            ("faults_that_were_found_are_told", || with_workers("found", 1)),
            ("a_fault_at_any_system_call_is_told_and_leaves_nothing", || with_workers("worker", WORKERS)),
        ],
        &[("worker", worker), ("found", found)],
    );
}

fn tables() {
    for (number, name, errors) in errnos::TABLE {
        assert!(!errors.is_empty(), "{name}");
        assert_eq!(errnos::TABLE.iter().filter(|call| call.0 == *number).count(), 1, "{name}");
        assert!(errnos::EXCLUDED.iter().all(|excluded| excluded.0 != *number), "{name}");
    }
    for (_, name, reason) in errnos::EXCLUDED {
        println!("not made to fail: {name}: {reason}");
    }
}

/// Whether the host has the cgroup controllers that the containers of this test need.
fn has_controllers() -> bool {
    let enabled = std::fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").unwrap_or_default();
    ["memory", "pids", "cpu"].iter().all(|name| {
        enabled.split_whitespace().any(|enabled| enabled == *name)
            || std::path::Path::new("/sys/fs/cgroup").join(name).join("cgroup.procs").exists()
    })
}

fn with_workers(name: &str, count: usize) {
    if !has_controllers() {
        return eprintln!("SKIPPED: the host lacks controllers of cgroups");
    }
    common::rootfs();
    let seed = std::env::var("BERTH_FAULTS_SEED").unwrap_or_else(|_| "1".to_owned());
    println!("BERTH_FAULTS_SEED={seed}");
    let criu = common::criu();
    let start = |shard: usize| {
        let mut command = runner::caller(name, &[&seed, &shard.to_string()]);
        command.env("BERTH_TEST_CRIU", &criu).spawn().unwrap()
    };
    let workers: Vec<_> = (0..count).map(start).collect();
    let good = workers.into_iter().map(|mut worker| worker.wait().unwrap().success()).filter(|good| *good).count();
    common::leftovers::no_orphan_stays();
    assert_eq!(good, count, "the lines above that begin with FINDING");
}

/// A generator of numbers: SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// Which faults are tried.
struct Choice {
    chosen: Option<String>,
    at: Option<String>,
    few: bool,
    shard: usize,
}

impl Choice {
    fn includes(&self, verb: &Verb) -> bool {
        // CRIU takes most of the time of these.
        let slow = ["checkpoint", "restore"].contains(&verb.name);
        let is_chosen = |names: &String| names == "all" || names.split(' ').any(|name| name == verb.name);
        self.chosen.as_ref().map_or(!slow, is_chosen)
    }
}

/// Prepares this process, which traces others and reaps the orphans among them.
fn world() -> World {
    // SAFETY: the call takes no pointers.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }, 0);
    driver::tick();
    World::new()
}

fn end(world: World, findings: usize) {
    drop(world);
    if findings > 0 {
        std::process::exit(1);
    }
}

fn found(_: &[String]) {
    let world = world();
    let findings = found::tried(&world);
    end(world, findings);
}

/// Tries a share of the faults. Arguments: `[seed, shard]`.
fn worker(args: &[String]) {
    let choice = Choice {
        chosen: std::env::var("BERTH_FAULTS").ok(),
        at: std::env::var("BERTH_FAULTS_AT").ok(),
        few: ["BERTH_FAULTS", "BERTH_FAULTS_SECONDS"].iter().all(|name| std::env::var_os(name).is_none()),
        shard: args[1].parse().unwrap(),
    };
    let seconds = std::env::var("BERTH_FAULTS_SECONDS").map_or(SECONDS, |text| text.parse().unwrap());
    let verbs: Vec<&Verb> = VERBS.iter().filter(|verb| choice.includes(verb)).collect();
    let began = Instant::now();
    let seed = args[0].parse().unwrap();
    let world = world();
    let mut findings = 0;
    for (index, verb) in verbs.iter().enumerate() {
        let share = Duration::from_secs(seconds).saturating_sub(began.elapsed()) / (verbs.len() - index) as u32;
        let until = choice.chosen.is_none().then(|| Instant::now() + share);
        findings += tried(&world, verb, &choice, seed, until);
    }
    end(world, findings);
}

fn shown(call: &Call, fault: Fault) -> String {
    let fault = match fault {
        Fault::Fails(errno) => format!("{:?}", Errno::from_raw(errno)),
        Fault::Killed => "killed".to_owned(),
    };
    format!("{}.{} {fault} {}", call.place.process, call.place.ordinal, errnos::name(call.number))
}

/// Tries this worker's share of a verb's faults; returns the number of findings.
fn tried(world: &World, verb: &Verb, choice: &Choice, seed: u64, until: Option<Instant>) -> usize {
    let began = Instant::now();
    let calls = counted(world, verb);
    let mut faults = Vec::new();
    let mut unknown: Vec<i64> =
        calls.iter().filter(|call| errnos::of(call.number, &call.args).is_none()).map(|call| call.number).collect();
    unknown.sort_unstable();
    unknown.dedup();
    assert!(unknown.is_empty(), "{}: no table has the system calls {unknown:?}", verb.name);
    for call in &calls {
        let errors = errnos::of(call.number, &call.args).unwrap_or_default();
        let errors = errors.iter().filter(|errno| !verb.removes || !errnos::ABSENT.contains(errno));
        faults.extend(errors.map(|errno| (*call, Fault::Fails(*errno))).chain([(*call, Fault::Killed)]));
    }
    let all = faults.len();
    faults.retain(|(call, _)| (call.place.process + call.place.ordinal) % WORKERS == choice.shard);
    // By the place, so that the order is the same each time, although some calls are made more or less often.
    faults.sort_by_cached_key(|(call, fault)| {
        let Place { process, ordinal } = call.place;
        let error = if let Fault::Fails(errno) = fault { *errno as u64 } else { 0 };
        Random(seed ^ Random(((process as u64) << 48) | ((ordinal as u64) << 16) | error).next()).next()
    });
    if choice.few {
        faults.truncate(MOST);
    }
    if let Some(at) = &choice.at {
        faults.retain(|(call, fault)| shown(call, *fault).starts_with(at));
    }
    let (mut done, mut failed, mut missed, mut findings) = (0, 0, 0, 0);
    for (call, fault) in faults {
        if until.is_some_and(|until| Instant::now() > until) {
            break;
        }
        done += 1;
        if done % 200 == 0 {
            println!("{}: {done} of {all}, {findings} findings, {:.0} s", verb.name, began.elapsed().as_secs_f64());
        }
        match one(world, verb, &call, fault) {
            Ok(tried) => {
                missed += usize::from(!tried.reached);
                failed += usize::from(tried.failed);
            }
            Err(finding) => {
                findings += 1;
                println!("FINDING {} {}: {finding}", verb.name, shown(&call, fault));
                common::leftovers::sweep(&world.id);
            }
        }
    }
    println!(
        "{}: {} calls, {done} faults of {all} tried, {failed} told, {missed} not reached, {findings} findings, {:.0} s",
        verb.name,
        calls.len(),
        began.elapsed().as_secs_f64()
    );
    findings
}

/// Returns a verb's system calls.
fn counted(world: &World, verb: &Verb) -> Vec<Call> {
    (verb.before)(world);
    let args = (verb.args)(world);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let also = verb.with_init.then(|| world.pid().expect("init waits"));
    let (outcome, text) = world.traced(&args, also, None);
    assert_eq!(outcome.status, 0, "{}: {text}", verb.name);
    world.cleaned().unwrap_or_else(|left| panic!("{}: {left}", verb.name));
    outcome.calls
}

/// What has become of a fault.
struct Tried {
    /// Whether the call was made at all.
    reached: bool,
    failed: bool,
    text: String,
}

fn one(world: &World, verb: &Verb, call: &Call, fault: Fault) -> Result<Tried, String> {
    (verb.before)(world);
    let args = (verb.args)(world);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let also = verb.with_init.then(|| world.pid().expect("init waits"));
    let (outcome, text) = world.traced(&args, also, Some((*call, fault)));
    let failed = told(world, verb, &outcome, &text, fault);
    // Also after a finding: the next fault needs the id.
    let cleaned = world.cleaned().map_err(|left| format!("{left} (the verb had said {text:?})"));
    let often = call.place.ordinal.is_multiple_of(8) || verb.name == "recover";
    let again = if verb.creates || !often { Ok(()) } else { world.usable_again() };
    let failed = failed?;
    cleaned?;
    again?;
    if let Fault::Fails(errno) = fault
        && failed
        && std::env::var_os("BERTH_FAULTS_SHOW").is_some()
        && !text.to_lowercase().contains(&Errno::from_raw(errno).desc().to_lowercase())
    {
        println!("DIFFERENT {} {}: {text:?}", verb.name, shown(call, fault));
    }
    Ok(Tried { reached: outcome.hit.is_some(), failed, text })
}

/// Checks what the command has said; returns whether it has failed.
fn told(world: &World, verb: &Verb, outcome: &driver::Outcome, text: &str, fault: Fault) -> Result<bool, String> {
    let killed_by_us = fault == Fault::Killed && outcome.hit.is_some_and(|call| call.place.process == 0);
    if outcome.hung {
        return Err(format!("the command does not end: {text:?}"));
    }
    if libc::WIFSIGNALED(outcome.status) {
        let signal = libc::WTERMSIG(outcome.status);
        return if killed_by_us { Ok(true) } else { Err(format!("the command ends by signal {signal}: {text:?}")) };
    }
    if text.contains("panicked") {
        return Err(format!("the command panics: {text:?}"));
    }
    if libc::WEXITSTATUS(outcome.status) != 0 {
        return if text.trim().is_empty() { Err("the command fails without a word".into()) } else { Ok(true) };
    }
    let (Some(promised), Fault::Fails(_)) = (verb.promises, fault) else { return Ok(false) };
    match world.status() {
        Some(status) if status == promised => Ok(false),
        status => Err(format!("the command succeeds, but the container is {status:?}, not {promised}: {text:?}")),
    }
}
