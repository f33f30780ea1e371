//! Rule 6: whichever process is killed, and whenever, one forced delete removes everything and the id can be used
//! again.

mod common;

use std::io::{Read, Write};
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Stdio as Std};
use std::time::{Duration, Instant};

use berth::criu::{CheckpointOptions, RestoreOptions};
use berth::spec::Config;
use berth::{Code, Container, Force, ProcessOptions, Runtime, Settings, Status, Stdio, fault};
use common::runner::Running;
use common::*;
use serde_json::{Value, json};

fn main() {
    runner::main(
        &[
            ("a_caller_killed_at_any_point_leaves_what_a_delete_removes", killed_at_every_point),
            ("recover_removes_what_killed_callers_left", recovered_at_every_point),
            ("a_caller_killed_at_any_moment_leaves_what_a_delete_removes", killed_at_random_moments),
            ("a_container_whose_starter_was_killed_can_be_started", killed_starter),
            ("a_deleter_that_was_killed_is_followed_by_the_next", killed_deleter),
            ("a_killed_creator_leaves_mounts_that_a_delete_removes", killed_with_mounts_on_the_host),
            ("a_hook_dies_with_its_caller", killed_while_hooks_run),
            ("a_pauser_that_was_killed_leaves_a_container_that_can_be_killed", killed_pauser),
            ("a_container_whose_dumper_was_killed_goes_on", killed_dumper),
            ("every_fault_point_is_reached", every_point_is_reached),
        ],
        &[
            ("lifecycle", lifecycle),
            ("moved", moved),
            ("create", create),
            ("start", start),
            ("delete", delete),
            ("pause", pause),
            ("dump", dump),
        ],
    );
}

fn runtime(root: &str) -> Runtime {
    Runtime::new(Settings { root: root.into(), criu: Some(criu()), ..Settings::default() }).unwrap()
}

/// A container with several processes and a hook of every kind.
fn config() -> Value {
    let mut config = shell("sleep 1000 & sleep 1000 & wait");
    let quick = json!([{ "path": "/bin/true" }]);
    config["hooks"] = json!({ "prestart": quick, "createRuntime": quick, "createContainer": quick,
        "startContainer": quick, "poststart": quick, "poststop": quick });
    config
}

fn loaded(config: &Value) -> Config {
    let own = config["root"]["path"].as_str().map(Path::new).filter(|path| path.is_absolute());
    Config::from_json(&config.to_string(), Some(own.unwrap_or(rootfs()))).unwrap()
}

/// Runs a container from create to delete. Arguments: `[root, id, point, pass]`. Prints "r", then waits for a byte on
/// standard input. With a fault point armed, the process is killed at that point.
fn lifecycle(args: &[String]) {
    let runtime = arm(args);
    let container = Container::create(&runtime, &args[1], &loaded(&config()), &quiet()).unwrap();
    container.start().unwrap();
    exec_true(&container);
    container.pause().unwrap();
    container.resume().unwrap();
    container.delete(Force::Kill).unwrap();
}

/// Like [`lifecycle`], with a checkpoint and a restore: dumps a container to images and restores another one from them.
fn moved(args: &[String]) {
    let runtime = arm(args);
    let images =
        tempfile::Builder::new().prefix("berth-test-").tempdir_in(Path::new(&args[0]).parent().unwrap()).unwrap();
    let container = Container::run(&runtime, &args[1], &loaded(&config()), &quiet()).unwrap();
    container.checkpoint(&CheckpointOptions::into_directory(images.path())).unwrap();
    container.delete(Force::No).unwrap();
    let options = RestoreOptions { process: quiet(), ..RestoreOptions::from_directory(images.path()) };
    let container = Container::restore(&runtime, &args[1], &loaded(&config()), &options).unwrap();
    exec_true(&container);
    container.delete(Force::Kill).unwrap();
}

fn dump(args: &[String]) {
    let images = Path::new(&args[0]).parent().unwrap().join(format!("images-{}", args[1]));
    arm(args).load(&args[1]).unwrap().checkpoint(&CheckpointOptions::into_directory(images)).unwrap();
}

fn exec_true(container: &Container) {
    let process = serde_json::from_value(json!({
        "cwd": "/", "args": ["true"], "env": ["PATH=/bin"], "user": { "uid": 0, "gid": 0 }
    }));
    container.exec(&process.unwrap(), &quiet()).unwrap().wait(LONG).unwrap();
}

fn arm(args: &[String]) -> Runtime {
    let runtime = runtime(&args[0]);
    if args[2] != "-" {
        fault::arm(&args[2], args[3].parse().unwrap());
    }
    print!("r");
    std::io::stdout().flush().unwrap();
    std::io::stdin().read_exact(&mut [0]).unwrap();
    runtime
}

fn create(args: &[String]) {
    let config = std::env::var("CRASH_CONFIG").map_or_else(|_| config(), |text| text.parse().unwrap());
    Container::create(&arm(args), &args[1], &loaded(&config), &quiet()).unwrap();
}

fn start(args: &[String]) {
    arm(args).load(&args[1]).unwrap().start().unwrap();
}

fn delete(args: &[String]) {
    arm(args).load(&args[1]).unwrap().delete(Force::Kill).unwrap();
}

fn pause(args: &[String]) {
    arm(args).load(&args[1]).unwrap().pause().unwrap();
}

/// A caller process that is ready to run.
struct Ready {
    running: Running,
    stdin: ChildStdin,
    stdout: ChildStdout,
}

fn ready(name: &str, root: &Path, id: &str, point: &str, pass: u32) -> Ready {
    ready_with(name, root, id, point, pass, &config())
}

fn ready_with(name: &str, root: &Path, id: &str, point: &str, pass: u32, config: &Value) -> Ready {
    let mut command = runner::caller(name, &[root.to_str().unwrap(), id, point, &pass.to_string()]);
    command.stdin(Std::piped()).stdout(Std::piped()).env("CRASH_CONFIG", config.to_string());
    command.env("BERTH_TEST_CRIU", criu());
    let mut running = runner::start(&mut command);
    let (stdin, mut stdout) = (running.0.stdin.take().unwrap(), running.0.stdout.take().unwrap());
    stdout.read_exact(&mut [0]).unwrap();
    Ready { running, stdin, stdout }
}

impl Ready {
    fn go(&mut self) {
        self.stdin.write_all(b"g").unwrap();
    }

    /// Waits; returns whether the caller was killed. It must not fail in another way.
    fn killed(mut self) -> bool {
        use std::os::unix::process::ExitStatusExt;
        let status = self.running.end();
        drop(self.stdout);
        assert!(status.success() || status.signal() == Some(libc::SIGKILL), "{status}");
        !status.success()
    }
}

/// Force-deletes the container through a new handle, checks that nothing is left, and reuses the id.
fn delete_leaves_nothing(root: &Path, id: &str) {
    let fresh = runtime(root.to_str().unwrap());
    match fresh.load(id) {
        Ok(container) => container.delete(Force::Kill).unwrap(),
        Err(error) => assert_eq!(error.code, Code::NotFound, "{error}"),
    }
    leftovers::no_orphan_stays();
    leftovers::nothing_stays(id, root);
    a_whole_life(&fresh, root, id);
}

fn a_whole_life(runtime: &Runtime, root: &Path, id: &str) {
    let options = ProcessOptions { stdio: [Stdio::Null, Stdio::Pipe, Stdio::Pipe], ..ProcessOptions::default() };
    let container = Container::run(runtime, id, &loaded(&shell("echo again; exit 3")), &options).unwrap();
    assert_eq!(read_all(&container.init_process().unwrap()), "again\n");
    assert_eq!(container.wait(LONG).unwrap(), berth::ExitStatus::Exited(3));
    container.delete(Force::No).unwrap();
    leftovers::no_orphan_stays();
    leftovers::nothing_stays(id, root);
}

struct Place {
    _dir: tempfile::TempDir,
    root: std::path::PathBuf,
}

fn place() -> Place {
    rootfs();
    let dir = tempfile::Builder::new().prefix("berth-test-").tempdir().unwrap();
    Place { root: dir.path().join("state"), _dir: dir }
}

/// Kills a caller at each pass of each fault point, until a caller finishes without reaching that pass.
fn at_every_point(mut check: impl FnMut(&Path, &str, &str)) {
    let place = place();
    for point in fault::POINTS {
        let mut pass = 1;
        loop {
            let id = unique("crash");
            let travels = point.starts_with("checkpoint.") || point.starts_with("restore.");
            let mut caller = ready(if travels { "moved" } else { "lifecycle" }, &place.root, &id, point, pass);
            caller.go();
            if !caller.killed() {
                break;
            }
            check(&place.root, &id, point);
            pass += 1;
        }
        assert!(pass > 1, "no run passes {point}");
    }
}

fn killed_at_every_point() {
    at_every_point(|root, id, _| delete_leaves_nothing(root, id));
}

fn recovered_at_every_point() {
    at_every_point(|root, id, point| {
        let fresh = runtime(root.to_str().unwrap());
        let recovered = fresh.recover().unwrap();
        let left = fresh.ids().unwrap();
        // recover must keep a container that was created completely, even if a process working on it was killed.
        assert!(left.is_empty() || left == [id] && recovered.is_empty(), "{point}: {left:?} {recovered:?}");
        if left.is_empty() {
            leftovers::no_orphan_stays();
            leftovers::nothing_stays(id, root);
        }
        delete_leaves_nothing(root, id);
    });
}

/// CRIU is killed together with its caller. The next call finds the container as it was before the checkpoint.
fn killed_dumper() {
    let place = place();
    for (point, paused) in [
        ("checkpoint.recorded", false),
        ("checkpoint.started", false),
        ("checkpoint.locked", false),
        ("checkpoint.recorded", true),
        ("checkpoint.locked", true),
    ] {
        let id = unique("crash");
        let fresh = runtime(place.root.to_str().unwrap());
        let container = Container::run(&fresh, &id, &loaded(&config()), &quiet()).unwrap();
        if paused {
            container.pause().unwrap();
        }
        let mut caller = ready("dump", &place.root, &id, point, 1);
        caller.go();
        assert!(caller.killed(), "{point}");
        assert_eq!(fresh.recover().unwrap(), Vec::<String>::new(), "{point}");
        assert_eq!(container.status().unwrap(), if paused { Status::Paused } else { Status::Running }, "{point}");
        if paused {
            container.resume().unwrap();
        }
        exec_true(&container);
        drop(container);
        delete_leaves_nothing(&place.root, &id);
    }
}

fn every_point_is_reached() {
    let sources = ["cgroup", "container", "container/restore", "network", "spawn", "state"];
    let mut named = std::collections::BTreeSet::new();
    for entry in
        sources.iter().flat_map(|dir| leftovers::files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(dir)))
    {
        let text = std::fs::read_to_string(entry).unwrap_or_default();
        for rest in text.split("fault::point(\"").skip(1) {
            named.insert(rest.split('"').next().unwrap().to_owned());
        }
    }
    assert_eq!(named, fault::POINTS.iter().map(|point| point.to_string()).collect());
}

/// A random number generator (xorshift64*), seeded by the clock or by BERTH_TEST_SEED.
struct Random(u64);

impl Random {
    fn new() -> Random {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64;
        let seed = std::env::var("BERTH_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(now | 1);
        println!("BERTH_TEST_SEED={seed}");
        Random(seed)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) % bound.max(1)
    }
}

fn killed_at_random_moments() {
    let place = place();
    let mut random = Random::new();
    let mut longest = Duration::ZERO;
    for _ in 0..3 {
        let mut caller = ready("lifecycle", &place.root, &unique("crash"), "-", 0);
        let began = Instant::now();
        caller.go();
        assert!(!caller.killed());
        longest = longest.max(began.elapsed());
    }
    let mut hit = 0;
    for _ in 0..100 {
        let id = unique("crash");
        let mut caller = ready("lifecycle", &place.root, &id, "-", 0);
        let moment = Duration::from_micros(random.below(longest.as_micros() as u64));
        caller.go();
        std::thread::sleep(moment);
        caller.running.kill();
        hit += usize::from(runtime(place.root.to_str().unwrap()).ids().unwrap().contains(&id));
        delete_leaves_nothing(&place.root, &id);
    }
    println!("{hit} of 100 were killed in the middle of a run of {longest:?}");
    assert!(hit > 0);
}

fn killed_starter() {
    let place = place();
    let mut again = 0;
    for point in fault::POINTS.iter().filter(|point| point.starts_with("start.")) {
        for _ in 0..10 {
            let id = unique("crash");
            let fresh = runtime(place.root.to_str().unwrap());
            let container = Container::create(&fresh, &id, &loaded(&config()), &quiet()).unwrap();
            let mut caller = ready("start", &place.root, &id, point, 1);
            caller.go();
            assert!(caller.killed());
            // init may have been started before its caller was killed; otherwise the next start succeeds.
            match container.start() {
                Ok(()) => again += 1,
                Err(error) => assert_eq!(error.code, Code::AlreadyRunning, "{point}: {error}"),
            }
            let deadline = Instant::now() + Duration::from_secs(60);
            while container.status().unwrap() != Status::Running {
                assert!(Instant::now() < deadline, "{point}: {:?}", container.status());
            }
            exec_true(&container);
            drop(container);
            delete_leaves_nothing(&place.root, &id);
        }
    }
    println!("{again} were started by the second starter");
}

fn killed_deleter() {
    let place = place();
    for point in fault::POINTS.iter().filter(|point| point.starts_with("delete.")) {
        let id = unique("crash");
        let fresh = runtime(place.root.to_str().unwrap());
        let container = Container::create(&fresh, &id, &loaded(&config()), &quiet()).unwrap();
        container.start().unwrap();
        let mut caller = ready("delete", &place.root, &id, point, 1);
        caller.go();
        assert!(caller.killed(), "{point}");
        drop(container);
        delete_leaves_nothing(&place.root, &id);
    }
}

fn killed_with_mounts_on_the_host() {
    let place = place();
    let dir = place.root.parent().unwrap().join("rootfs");
    assert!(std::process::Command::new("cp").arg("-a").arg(rootfs()).arg(&dir).status().unwrap().success());
    let mut config = config();
    without_namespace(&mut config, "mount");
    config["root"]["path"] = json!(dir);
    let mut mounted = 0;
    for point in fault::POINTS.iter().filter(|point| point.starts_with("create.")) {
        let id = unique("crash");
        let mut caller = ready_with("create", &place.root, &id, point, 1, &config);
        caller.go();
        assert!(caller.killed(), "{point}");
        mounted += usize::from(!leftovers::mounts(dir.to_str().unwrap()).is_empty());
        delete_leaves_nothing(&place.root, &id);
        assert_eq!(leftovers::mounts(dir.to_str().unwrap()), Vec::<String>::new(), "{point}");
    }
    assert!(mounted > 0, "no creator was killed after it had mounted");
}

fn killed_while_hooks_run() {
    let place = place();
    let dir = place.root.parent().unwrap();
    for kind in ["prestart", "createRuntime", "createContainer"] {
        let started = dir.join(format!("started-{kind}"));
        nix::unistd::mkfifo(&started, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let mut config = shell("sleep 1000");
        let script = format!("echo here > {}; exec sleep 1000", started.display());
        config["hooks"] = json!({ kind: [{ "path": "/bin/sh", "args": ["sh", "-c", script] }] });
        let id = unique("crash");
        let mut caller = ready_with("create", &place.root, &id, "-", 0, &config);
        caller.go();
        assert_eq!(std::fs::read_to_string(&started).unwrap(), "here\n");
        caller.running.kill();
        delete_leaves_nothing(&place.root, &id);
    }
}

fn killed_pauser() {
    let place = place();
    let id = unique("crash");
    let fresh = runtime(place.root.to_str().unwrap());
    let container = Container::run(&fresh, &id, &loaded(&config()), &quiet()).unwrap();
    let mut caller = ready("pause", &place.root, &id, "pause.frozen", 1);
    caller.go();
    assert!(caller.killed());
    assert_eq!(container.status().unwrap(), Status::Paused);
    container.resume().unwrap();
    assert_eq!(container.status().unwrap(), Status::Running);
    let mut caller = ready("pause", &place.root, &id, "pause.frozen", 1);
    caller.go();
    assert!(caller.killed());
    drop(container);
    delete_leaves_nothing(&place.root, &id);
}
