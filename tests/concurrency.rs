//! Many containers at once and many callers of one container: every call returns, successfully or with an expected
//! error code, and the process leaks nothing.

mod common;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use berth::{Code, Container, ExitStatus, Force, Recipients, Runtime, Settings};
use common::*;

fn main() {
    runner::main(
        &[
            ("threads_create_run_and_delete_containers", || with_caller("life_cycles")),
            ("many_are_alive_at_once_and_nothing_grows", || with_caller("alive")),
            ("two_processes_at_one_container", race_of_two),
            ("creators_and_recoverers_do_not_harm_each_other", || with_caller("recoverers")),
            ("an_exec_that_is_frozen_half_way_ends_in_time", || with_caller("frozen")),
        ],
        &[
            ("life_cycles", life_cycles),
            ("alive", alive),
            ("race", race),
            ("recoverers", recoverers),
            ("frozen", frozen),
        ],
    );
}

fn with_caller(name: &str) {
    print!("{}", run_caller(name, &[]));
}

/// Counts the descriptors, the threads and the resident KiB of this process, without those of files.
fn size() -> (usize, usize, usize) {
    let count = |dir: &str| std::fs::read_dir(dir).unwrap().count();
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    (count("/proc/self/fd"), count("/proc/self/task"), resident.trim().trim_end_matches(" kB").parse().unwrap())
}

fn life_cycles(args: &[String]) {
    let runtime = runtime_of(args);
    let round = |name: &str| {
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let (runtime, id) = (&runtime, format!("{}-{name}-{thread}", args[1]));
                scope.spawn(move || (0..25).for_each(|index| life_cycle(runtime, &format!("{id}-{index}"))));
            }
        });
        assert_eq!(runtime.ids().unwrap(), Vec::<String>::new());
        assert_eq!(leftovers::children(), Vec::<i32>::new());
        let deadline = Instant::now() + Duration::from_secs(60);
        while size().1 > 1 {
            assert!(Instant::now() < deadline, "threads are left");
        }
        size()
    };
    let first = round("a");
    let second = round("b");
    assert_eq!((second.0, second.1), (first.0, first.1), "descriptors, threads");
    assert!(second.2 <= first.2 + 4096, "{} KiB have become {}", first.2, second.2);
}

fn life_cycle(runtime: &Runtime, id: &str) {
    let container = Container::create(runtime, id, &shell_config("sleep 1000"), &quiet()).unwrap();
    container.start().unwrap();
    assert_eq!(exec_script(&container, "exit 5", &quiet()).unwrap().wait(LONG).unwrap(), ExitStatus::Exited(5));
    container.pause().unwrap();
    container.resume().unwrap();
    container.signal(libc::SIGKILL, Recipients::Init).unwrap();
    assert_eq!(container.wait(LONG).unwrap(), ExitStatus::Signaled { signal: libc::SIGKILL, core_dumped: false });
    container.delete(Force::No).unwrap();
}

const FEW: usize = 20;

/// How many more are alive at once: in the virtual machine, which is ten times slower, fewer.
fn many() -> usize {
    if std::env::var_os("BERTH_VM").is_some() { 50 } else { 200 }
}

fn alive(args: &[String]) {
    let (runtime, many) = (runtime_of(args), many());
    let make = |name: &str, count: usize| -> Vec<Container> {
        let run = |index| {
            Container::run(&runtime, &format!("{}-{name}-{index}", args[1]), &shell_config("sleep 1000"), &quiet())
        };
        (0..count).map(|index| run(index).unwrap()).collect()
    };
    life_cycle(&runtime, &format!("{}-first", args[1]));
    // What the first containers need once for all.
    let few = make("few", FEW);
    let before = size();
    let round = |name: &str| {
        let containers = make(name, many);
        let full = size();
        assert_eq!(runtime.list().unwrap().len(), FEW + many);
        for container in containers {
            container.delete(Force::Kill).unwrap();
        }
        (full, size())
    };
    let (full, first) = round("a");
    let (again, second) = round("b");
    let each = |index: (usize, usize)| (index.1 - index.0) as f64 / many as f64;
    println!(
        "each container: {} descriptors, {:.1} KiB",
        each((before.0, full.0)),
        each((before.2, full.2.max(before.2)))
    );
    assert!(full.0 - before.0 <= 3 * many, "{before:?} {full:?}: the directory, its root and the pidfd");
    assert_eq!(full.1, before.1, "threads");
    assert!(full.2 <= before.2 + 16 * many, "KiB: {before:?} {full:?}");
    assert_eq!((first.0, first.1, second.0, second.1), (before.0, before.1, before.0, before.1));
    assert!(again.2 <= full.2 + 2048 && second.2 <= first.2 + 2048, "KiB: {full:?} {again:?} {first:?} {second:?}");
    for container in few {
        container.delete(Force::Kill).unwrap();
    }
}

/// The error codes that a call may return while another process changes the same container.
const CLEAR: [Code; 8] = [
    Code::Paused,
    Code::NotRunning,
    Code::NotPaused,
    Code::NotStopped,
    Code::AlreadyRunning,
    Code::NotFound,
    Code::Busy,
    Code::IdInUse,
];

fn race_of_two() {
    rootfs();
    for round in 0..3 {
        let dir = tempfile::Builder::new().prefix("berth-test-").tempdir().unwrap();
        let (root, id) = (dir.path().join("state"), unique("race"));
        let args = |seed: &str| [root.to_str().unwrap().to_owned(), id.clone(), seed.to_owned()];
        let mut first = runner::start(runner::caller("race", &[]).args(args(&format!("{round}1"))));
        let mut second = runner::start(runner::caller("race", &[]).args(args(&format!("{round}2"))));
        let ended = (first.end().success(), second.end().success());
        match runtime_of(&args("")).load(&id) {
            Ok(container) => container.delete(Force::Kill).unwrap(),
            Err(error) => assert_eq!(error.code, Code::NotFound),
        }
        assert_eq!(ended, (true, true));
        leftovers::no_orphan_stays();
        leftovers::nothing_stays(&id, &root);
    }
}

fn race(args: &[String]) {
    let runtime = runtime_of(args);
    let mut random: u64 = args[2].parse().unwrap();
    let mut heard: BTreeMap<(u64, String), usize> = BTreeMap::new();
    for _ in 0..300 {
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let choice = (random >> 33) % 24;
        let result = match (choice, runtime.load(&args[1])) {
            (0..4, _) => Container::create(&runtime, &args[1], &shell_config("sleep 1000"), &quiet()).map(drop),
            (_, Err(error)) => Err(error),
            (4..8, Ok(container)) => container.start(),
            (8..11, Ok(container)) => container.pause(),
            (11..15, Ok(container)) => container.resume(),
            (15..18, Ok(container)) => {
                exec_script(&container, "exit 0", &quiet()).map(|process| drop(process.wait(LONG)))
            }
            (18, Ok(container)) => container.signal(libc::SIGUSR1, Recipients::All),
            (19, Ok(container)) => container.signal(libc::SIGKILL, Recipients::Init),
            (20, Ok(container)) => container.status().map(drop),
            (21, Ok(container)) => container.pids().map(drop),
            (22, Ok(container)) => container.stats().map(drop),
            (_, Ok(container)) => container.delete(Force::Kill),
        };
        if let Err(error) = &result {
            // A signal from the other process may have killed a process that was being created or executed here.
            let signalled = error.message.contains("was killed by SIG");
            assert!(signalled || CLEAR.contains(&error.code), "{choice}: {:?} {error} {:?}", error.code, error.detail);
        }
        *heard
            .entry((choice, result.map_or_else(|error| format!("{:?}", error.code), |()| "Ok".into())))
            .or_default() += 1;
    }
    assert!(heard.len() > 10, "{heard:?}");
    drop(runtime.list().unwrap());
}

fn recoverers(args: &[String]) {
    let runtime = runtime_of(args);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let recoverer = scope.spawn(|| {
            while !stop.load(Ordering::SeqCst) {
                assert_eq!(runtime.recover().unwrap(), Vec::<String>::new());
                for container in runtime.list().unwrap() {
                    let _ = container.status();
                }
            }
        });
        let creators: Vec<_> = (0..4)
            .map(|thread| {
                let (runtime, id) = (&runtime, format!("{}-{thread}", args[1]));
                scope.spawn(move || (0..20).for_each(|index| life_cycle(runtime, &format!("{id}-{index}"))))
            })
            .collect();
        let results: Vec<bool> = creators.into_iter().map(|creator| creator.join().is_ok()).collect();
        stop.store(true, Ordering::SeqCst);
        assert!(recoverer.join().is_ok() && !results.contains(&false));
    });
}

/// Pauses the container at different moments of an exec: exec returns at its own deadline, and never waits for a frozen
/// process.
fn frozen(args: &[String]) {
    let settings =
        Settings { root: args[0].as_str().into(), setup_timeout: Duration::from_millis(300), ..Settings::default() };
    let runtime = Runtime::new(settings).unwrap();
    let container = Container::run(&runtime, &args[1], &shell_config("sleep 1000"), &quiet()).unwrap();
    let mut held = 0;
    for round in 0..12u64 {
        let result = std::thread::scope(|scope| {
            let executing = scope.spawn(|| exec_script(&container, "exit 0", &quiet()));
            std::thread::sleep(Duration::from_micros(round * 500));
            container.pause().unwrap();
            let result = executing.join().unwrap();
            container.resume().unwrap();
            result
        });
        match result {
            Ok(process) => assert_eq!(process.wait(LONG).unwrap(), ExitStatus::Exited(0)),
            Err(error) if error.code == Code::Timeout => held += 1,
            Err(error) => assert_eq!(error.code, Code::Paused, "{error}"),
        }
    }
    println!("{held} of 12 were frozen half-way");
    container.delete(Force::Kill).unwrap();
    drop(container);
    assert_eq!(runtime.ids().unwrap(), Vec::<String>::new());
    let deadline = Instant::now() + Duration::from_secs(30);
    // A later call reaps the processes that were frozen.
    let mut index = 0;
    while !leftovers::children().is_empty() {
        assert!(Instant::now() < deadline, "{:?}", leftovers::children());
        life_cycle(&runtime_of(args), &format!("{}-{index}", args[1]));
        index += 1;
    }
}
