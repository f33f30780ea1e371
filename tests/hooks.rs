//! Hooks: when they run, what they get on standard input, and what happens when they fail or hang.

mod common;

use std::path::Path;
use std::time::{Duration, Instant};

use berth::spec::Config;
use berth::{Code, Container, ExitStatus, Force, Runtime, Settings, Stage};
use common::*;
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(20);

fn hook(path: &Path, args: &[&str]) -> Value {
    json!({ "path": path, "args": args })
}

fn add(config: &mut Value, kind: &str, hook: Value) {
    if config["hooks"][kind].is_null() {
        config["hooks"][kind] = json!([]);
    }
    config["hooks"][kind].as_array_mut().unwrap().push(hook);
}

/// Writes a hook that appends its name and the state that it gets to a log on the host; returns (hook, log).
fn recorder(test: &TestRuntime) -> (std::path::PathBuf, std::path::PathBuf) {
    let (program, log) = (test.path("recorder"), test.path("log"));
    // A single write(2), so that lines of concurrent hooks do not mix.
    script(&program, &format!("state=$(cat); echo \"$0 $1 $state\" >>{}", log.display()));
    (program, log)
}

/// Returns the kinds and states in a log.
fn entries(log: &Path) -> Vec<(String, Value)> {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let entry = |line: &str| {
        let (head, state) = line.split_at(line.find('{').unwrap());
        (head.trim().rsplit(' ').next().unwrap().to_owned(), serde_json::from_str(state).unwrap())
    };
    text.lines().map(entry).collect()
}

#[test]
fn all_kinds_run_in_order_and_get_the_state() {
    let test = TestRuntime::new();
    let (program, log) = recorder(&test);
    let mut config = shell("sleep 1000");
    for kind in ["prestart", "createRuntime", "createContainer", "poststart", "poststop"] {
        add(&mut config, kind, hook(&program, &["recorder", kind]));
        add(&mut config, kind, hook(&program, &["recorder", &format!("{kind}-2")]));
    }
    config["annotations"] = json!({ "com.example.key": "value" });
    let shared = test.make_dir("shared");
    let mount = json!({ "destination": "/mnt", "type": "bind", "source": shared, "options": ["bind"] });
    push_mount(&mut config, mount);
    let inside = json!({ "path": "/bin/sh", "args": ["sh", "-c", "cat >/mnt/state"] });
    add(&mut config, "startContainer", inside);

    let container = test.create(&config, &quiet()).unwrap();
    let pid = container.init_process().unwrap().pid();
    let names = |from: usize| entries(&log)[from..].iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    let created =
        ["prestart", "prestart-2", "createRuntime", "createRuntime-2", "createContainer", "createContainer-2"];
    assert_eq!(names(0), created);
    assert!(!shared.join("state").exists());
    container.start().unwrap();
    assert_eq!(names(6), ["poststart", "poststart-2"]);
    container.delete(Force::Kill).unwrap();
    assert_eq!(names(8), ["poststop", "poststop-2"]);

    let states = [
        "creating", "creating", "creating", "creating", "creating", "creating", "running", "running", "stopped",
        "stopped",
    ];
    for ((name, state), status) in entries(&log).iter().zip(states) {
        assert_eq!(state["status"], status, "{name}");
        let expected = match name.as_str() {
            _ if status == "stopped" => 0,
            // These hooks run in the container's pid namespace, where init is PID 1.
            "createContainer" | "createContainer-2" => 1,
            _ => pid,
        };
        assert_eq!(state["pid"], expected, "{name}");
        assert_eq!(state["id"], container.id(), "{name}");
        assert_eq!(state["ociVersion"], config["ociVersion"], "{name}");
        assert_eq!(state["annotations"], config["annotations"], "{name}");
        assert!(state["bundle"].is_string(), "{name}");
    }
    let inside: Value = serde_json::from_str(&std::fs::read_to_string(shared.join("state")).unwrap()).unwrap();
    assert_eq!((&inside["status"], &inside["pid"]), (&json!("created"), &json!(1)));
}

#[test]
fn hooks_get_the_bundle() {
    let test = TestRuntime::new();
    let (program, log) = recorder(&test);
    let mut config = shell("true");
    add(&mut config, "createRuntime", hook(&program, &["recorder", "x"]));
    let bundle = test.bundle("b", &config);
    let config = Config::from_bundle(&bundle).unwrap();
    let container = Container::create(&test.runtime, &unique("h"), &config, &quiet()).unwrap();
    assert_eq!(entries(&log)[0].1["bundle"], json!(bundle));
    container.delete(Force::Kill).unwrap();
}

#[test]
fn a_hook_has_only_its_own_environment_and_its_own_arguments() {
    let test = TestRuntime::new();
    let (program, out) = (test.path("hook"), test.path("out"));
    let text = format!(
        "{{ tr '\\0' '\\n' </proc/$$/environ; tr '\\0' '|' </proc/$$/cmdline; ls /proc/$$/fd | wc -l; }} >{}",
        out.display()
    );
    script(&program, &text);
    let mut config = shell("true");
    config["process"]["env"] = json!(["LD_PRELOAD=/evil.so", "PATH=/bin"]);
    let hook = json!({ "path": program, "args": ["zero", "one two", ""], "env": ["PATH=/usr/bin:/bin", "MINE=1"] });
    add(&mut config, "createRuntime", hook);
    let container = test.create(&config, &quiet()).unwrap();
    let text = std::fs::read_to_string(&out).unwrap();
    // The kernel replaces args[0] by the script's path when it starts the interpreter (execve(2)).
    let expected = format!("PATH=/usr/bin:/bin\nMINE=1\n/bin/sh|{}|one two||", program.display());
    assert!(text.starts_with(&expected), "{text}");
    container.delete(Force::Kill).unwrap();

    let mut config = shell("true");
    let echo = json!({ "path": "/bin/sh", "args": ["my-name", "-c", format!("echo $0 >{}", out.display())] });
    add(&mut config, "createRuntime", echo);
    test.create(&config, &quiet()).unwrap();
    assert_eq!(std::fs::read_to_string(&out).unwrap(), "my-name\n", "args[0] is what was given");
}

/// As from runc and crun: a hook without `env` gets the runtime's environment on the host, the process's in startContainer,
/// and none in createContainer; `env: []` is an empty environment.
#[test]
fn a_hook_without_an_environment_gets_that_of_its_place() {
    const HOST: [&str; 4] = ["prestart", "createRuntime", "poststart", "poststop"];
    let test = TestRuntime::with(|settings| settings.hook_env = vec!["OF=the runtime".into(), "PATH=/bin".into()]);
    let (shared, program) = (test.make_dir("shared"), test.path("hook"));
    script(&program, &format!("tr '\\0' '\\n' </proc/self/environ >{}/$1", shared.display()));
    let mut config = shell("sleep 1000");
    config["process"]["env"] = json!(["PATH=/bin:/usr/bin", "OF=the process"]);
    push_mount(&mut config, json!({ "destination": "/mnt", "type": "bind", "source": shared, "options": ["bind"] }));
    for kind in HOST.into_iter().chain(["createContainer"]) {
        add(&mut config, kind, hook(&program, &["x", kind]));
    }
    let inside = "tr '\\0' '\\n' </proc/$$/environ >/mnt/startContainer; true";
    add(&mut config, "startContainer", json!({ "path": "/bin/sh", "args": ["sh", "-c", inside] }));
    let seen = |kind: &str| std::fs::read_to_string(shared.join(kind)).unwrap();

    test.run(&config, &quiet()).unwrap().delete(Force::Kill).unwrap();
    for kind in HOST {
        assert_eq!(seen(kind), "OF=the runtime\nPATH=/bin\n", "{kind}");
    }
    assert_eq!(seen("createContainer"), "");
    assert_eq!(seen("startContainer"), "PATH=/bin:/usr/bin\nOF=the process\nHOME=/root\n");

    for kind in HOST.into_iter().chain(["createContainer", "startContainer"]) {
        config["hooks"][kind][0]["env"] = json!([]);
    }
    test.run(&config, &quiet()).unwrap().delete(Force::Kill).unwrap();
    for kind in HOST.into_iter().chain(["createContainer", "startContainer"]) {
        assert_eq!(seen(kind), "", "{kind}");
    }
}

#[test]
fn a_runtime_without_an_environment_for_hooks_has_none_for_them() {
    let test = TestRuntime::new();
    let (program, out) = (test.path("hook"), test.path("out"));
    script(&program, &format!("tr '\\0' '\\n' </proc/$$/environ >{}", out.display()));
    let mut config = shell("true");
    add(&mut config, "createRuntime", hook(&program, &["x"]));
    test.create(&config, &quiet()).unwrap();
    assert_eq!(std::fs::read_to_string(out).unwrap(), "");
    let settings = |entry: &str| Settings {
        root: test.path("state"),
        hook_env: vec!["A=".into(), entry.into()],
        ..Settings::default()
    };
    for wrong in ["", "A", "=x", "A=\0"] {
        let error = Runtime::new(settings(wrong)).unwrap_err();
        assert_eq!((error.code, &error.detail["parameter"]), (Code::InvalidArgument, &json!("hook_env")), "{wrong:?}");
    }
}

/// As from runc, whose createContainer hooks run in the root filesystem, and its other hooks of the host in the bundle.
#[test]
fn hooks_run_in_the_bundle_and_create_container_hooks_in_the_root_filesystem() {
    let test = TestRuntime::new();
    let program = test.path("hook");
    script(&program, "stat -c '%d %i' . >$1");
    let place = |path: &Path| {
        let found = std::fs::metadata(path).unwrap();
        format!("{} {}\n", std::os::unix::fs::MetadataExt::dev(&found), std::os::unix::fs::MetadataExt::ino(&found))
    };
    // The caller may enter the path of the root filesystem; root of the user namespace may not.
    let closed = test.make_dir("closed");
    for user_namespace in [false, true] {
        let mut config = shell("sleep 1000");
        let out = test.make_dir(&format!("out-{user_namespace}"));
        if user_namespace {
            with_user_namespace(&mut config);
            std::fs::set_permissions(&out, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
            std::fs::set_permissions(&closed, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        }
        for kind in ["prestart", "createRuntime", "createContainer", "poststart", "poststop"] {
            add(&mut config, kind, hook(&program, &["x", &out.join(kind).display().to_string()]));
        }
        let root = closed.join(format!("rootfs-{user_namespace}"));
        std::fs::create_dir(&root).unwrap();
        let copied =
            std::process::Command::new("cp").arg("-a").arg(format!("{}/.", rootfs().display())).arg(&root).status();
        assert!(copied.unwrap().success());
        config["root"]["path"] = json!(root);
        let bundle = test.bundle(&format!("b-{user_namespace}"), &config);
        let config = Config::from_bundle(&bundle).unwrap();
        let container = Container::run(&test.runtime, &unique("h"), &config, &quiet()).unwrap();
        container.delete(Force::Kill).unwrap();
        for kind in ["prestart", "createRuntime", "poststart", "poststop"] {
            assert_eq!(std::fs::read_to_string(out.join(kind)).unwrap(), place(&bundle), "{kind}");
        }
        assert_eq!(std::fs::read_to_string(out.join("createContainer")).unwrap(), place(&root), "{user_namespace}");
    }
}

/// The bundle may be gone when the container is deleted: the poststop hooks run nevertheless.
#[test]
fn poststop_hooks_run_without_the_bundle() {
    let test = TestRuntime::new();
    let (program, log) = recorder(&test);
    let mut config = shell("true");
    add(&mut config, "poststop", hook(&program, &["recorder", "after"]));
    let bundle = test.bundle("gone", &config);
    let config = Config::from_bundle(&bundle).unwrap();
    let container = Container::run(&test.runtime, &unique("h"), &config, &quiet()).unwrap();
    container.wait(LONG).unwrap();
    std::fs::remove_dir_all(&bundle).unwrap();
    container.delete(Force::No).unwrap();
    assert_eq!(entries(&log).len(), 1);
}

#[test]
fn create_container_hooks_run_in_the_containers_namespaces_before_pivot() {
    let test = TestRuntime::new();
    for user_namespace in [false, true] {
        let out = test.make_dir(&format!("out-{user_namespace}"));
        std::fs::set_permissions(&out, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        let mut config = shell("true");
        if user_namespace {
            with_user_namespace(&mut config);
        }
        let text = format!(
            "for n in mnt net uts ipc user; do readlink /proc/self/ns/$n; done >{0}/ns; id -u >{0}/uid; grep -c {1} /proc/self/mountinfo >{0}/mounts",
            out.display(),
            rootfs().display(),
        );
        let program = test.path("inside");
        script(&program, &text);
        std::fs::set_permissions(test.dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        add(&mut config, "createContainer", json!({ "path": program, "env": ["PATH=/usr/bin:/bin"] }));
        let container = test.create(&config, &quiet()).unwrap();
        let link =
            |name: &str| std::fs::read_link(proc_of(&container, &format!("ns/{name}"))).unwrap().display().to_string();
        let expected = ["mnt", "net", "uts", "ipc", "user"].map(link).join("\n") + "\n";
        assert_eq!(std::fs::read_to_string(out.join("ns")).unwrap(), expected);
        assert_eq!(std::fs::read_to_string(out.join("uid")).unwrap(), "0\n", "user namespace: {user_namespace}");
        assert_ne!(
            std::fs::read_to_string(out.join("mounts")).unwrap(),
            "0\n",
            "the root is mounted, and not yet entered"
        );
        container.delete(Force::Kill).unwrap();
    }
}

#[test]
fn start_container_hooks_run_inside_with_the_containers_privileges() {
    let test = TestRuntime::new();
    let shared = test.make_dir("shared");
    std::fs::set_permissions(&shared, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let mut config = shell("sleep 1000");
    config["process"]["user"] = json!({ "uid": 1000, "gid": 1000 });
    push_mount(&mut config, json!({ "destination": "/mnt", "type": "bind", "source": shared, "options": ["bind"] }));
    let text = "{ id -u; grep Cap /proc/self/status | cut -f2 | tr '\\n' ' '; cat /proc/1/comm; \
                tr '\\0' '\\n' </proc/$$/environ; cat /proc/self/cgroup | sort -u; } >/mnt/out";
    let hook = json!({ "path": "/bin/sh", "args": ["sh", "-c", text], "env": ["ONLY=1"] });
    add(&mut config, "startContainer", hook);
    let container = test.run(&config, &quiet()).unwrap();
    let out = std::fs::read_to_string(shared.join("out")).unwrap();
    let caps = "0000000000000000 0000000000000000 0000000000000000 0000000020000420 0000000000000000 ";
    assert!(out.starts_with(&format!("1000\n{caps}berth-init\nONLY=1\n")), "{out}");
    container.delete(Force::Kill).unwrap();
}

#[test]
fn start_container_hooks_run_in_a_user_namespace() {
    let test = TestRuntime::new();
    let shared = test.make_dir("shared");
    std::fs::set_permissions(&shared, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let mut config = shell("cat /mnt/out");
    with_user_namespace(&mut config);
    push_mount(&mut config, json!({ "destination": "/mnt", "type": "bind", "source": shared, "options": ["bind"] }));
    let hook = json!({ "path": "/bin/sh", "args": ["sh", "-c", "id -u >/mnt/out"] });
    add(&mut config, "startContainer", hook);
    assert_eq!(test.stdout_of(&config), "0\n");
}

/// Asserts that a failed create left nothing.
fn assert_nothing_left(test: &TestRuntime, cgroup: &str) {
    assert!(test.runtime.ids().unwrap().is_empty());
    let found = std::process::Command::new("find").args(["/sys/fs/cgroup", "-maxdepth", "3", "-name", cgroup]).output();
    assert_eq!(String::from_utf8_lossy(&found.unwrap().stdout), "");
}

#[test]
fn a_failing_hook_undoes_create_and_is_named() {
    let test = TestRuntime::new();
    let program = test.path("bad");
    script(&program, "echo first; echo it is broken >&2; exit 3");
    for kind in ["prestart", "createRuntime", "createContainer"] {
        let cgroup = unique("hook");
        let mut config = shell("true");
        config["linux"]["cgroupsPath"] = json!(format!("/{cgroup}"));
        add(&mut config, kind, json!({ "path": "/bin/true" }));
        add(&mut config, kind, json!({ "path": program, "env": ["PATH=/bin"] }));
        let error = test.create(&config, &quiet()).unwrap_err();
        assert_eq!((error.code, error.stage), (Code::Hook, Stage::Hook), "{error}");
        assert!(error.message.contains(&format!("{kind} hook 1 ({})", program.display())), "{error}");
        assert!(error.message.contains("status 3") && error.message.contains("it is broken"), "{error}");
        assert_eq!((&error.detail["hook"], &error.detail["hook_index"]), (&json!(kind), &json!(1)));
        assert_nothing_left(&test, &cgroup);
    }
}

/// The specification, lifecycle steps 7, 9, 12 and 13: a failing hook stops the container, which is destroyed, and its
/// poststop hooks run.
#[test]
fn a_failing_hook_of_start_destroys_the_container_and_runs_its_poststop_hooks() {
    let test = TestRuntime::new();
    let (program, log) = recorder(&test);
    for (index, kind) in ["startContainer", "poststart"].into_iter().enumerate() {
        let cgroup = unique("hook");
        let mut config = shell("sleep 1000");
        config["linux"]["cgroupsPath"] = json!(format!("/{cgroup}"));
        add(&mut config, kind, json!({ "path": "/bin/false" }));
        add(&mut config, "poststop", hook(&program, &["recorder", kind]));

        let error = test.run(&config, &quiet()).unwrap_err();
        assert_eq!((error.code, &error.detail["hook"]), (Code::Hook, &json!(kind)), "{error}");
        assert!(!error.detail.contains_key("cleanup"), "{:?}", error.detail);
        assert_nothing_left(&test, &cgroup);
        assert_eq!(entries(&log).len(), 2 * index + 1, "{kind}: the poststop hooks have run once");

        let container = test.create(&config, &quiet()).unwrap();
        let init = container.init_process().unwrap();
        let error = container.start().unwrap_err();
        assert_eq!((error.code, &error.detail["hook"]), (Code::Hook, &json!(kind)), "{error}");
        assert_eq!(
            init.wait(LONG).unwrap(),
            ExitStatus::Signaled { signal: libc::SIGKILL, core_dumped: false },
            "{kind}"
        );
        assert_eq!(container.status().unwrap_err().code, Code::NotFound, "{kind}");
        assert_eq!(container.delete(Force::Kill).unwrap_err().code, Code::NotFound, "{kind}");
        assert_nothing_left(&test, &cgroup);
        let (_, state) = entries(&log).pop().unwrap();
        assert_eq!((entries(&log).len(), &state["status"]), (2 * index + 2, &json!("stopped")), "{kind}");
    }
}

#[test]
fn a_missing_program_of_a_start_container_hook_is_named() {
    let test = TestRuntime::new();
    let mut config = shell("true");
    add(&mut config, "startContainer", json!({ "path": "/not/in/the/image" }));
    let error = test.run(&config, &quiet()).unwrap_err();
    assert_eq!(error.code, Code::Hook);
    assert!(error.message.contains("/not/in/the/image") && error.message.contains("no such file"), "{error}");
    assert!(test.runtime.ids().unwrap().is_empty());
}

#[test]
fn a_failing_poststop_hook_does_not_keep_the_container() {
    let test = TestRuntime::new();
    let (program, log) = recorder(&test);
    let mut config = shell("true");
    add(&mut config, "poststop", json!({ "path": "/bin/false" }));
    add(&mut config, "poststop", hook(&program, &["recorder", "after"]));
    let container = test.run(&config, &quiet()).unwrap();
    container.wait(LONG).unwrap();
    container.delete(Force::No).unwrap();
    assert!(test.runtime.ids().unwrap().is_empty());
    assert_eq!(entries(&log).len(), 1, "the specification: the remaining hooks are executed");
}

#[test]
fn poststop_hooks_run_when_processes_and_cgroups_are_gone() {
    let test = TestRuntime::new();
    let (program, out) = (test.path("hook"), test.path("out"));
    let cgroup = unique("poststop");
    let text = format!("find /sys/fs/cgroup -maxdepth 3 -name {cgroup} | wc -l >{}", out.display());
    script(&program, &text);
    let mut config = shell("true");
    config["linux"]["cgroupsPath"] = json!(format!("/{cgroup}"));
    add(&mut config, "poststop", json!({ "path": program, "env": ["PATH=/usr/bin:/bin"] }));
    let container = test.run(&config, &quiet()).unwrap();
    container.wait(LONG).unwrap();
    container.delete(Force::No).unwrap();
    assert_eq!(std::fs::read_to_string(&out).unwrap().trim(), "0");
}

#[test]
fn a_hook_that_does_not_end_is_killed_with_its_children() {
    let test = TestRuntime::new();
    let (program, pids) = (test.path("hook"), test.path("pids"));
    script(&program, &format!("sleep 1000 & echo $! >{0}; echo $$ >>{0}; echo words; wait", pids.display()));
    let mut config = shell("true");
    add(&mut config, "createRuntime", json!({ "path": program, "env": ["PATH=/bin"], "timeout": 1 }));
    let begin = Instant::now();
    let error = test.create(&config, &quiet()).unwrap_err();
    assert_eq!((error.code, error.stage), (Code::Timeout, Stage::Hook));
    assert!(error.message.contains("within 1 s") && error.message.contains("words"), "{error}");
    assert!(begin.elapsed() >= Duration::from_secs(1) && begin.elapsed() < SOON);
    for pid in std::fs::read_to_string(&pids).unwrap().lines() {
        // An orphan may stay a zombie until PID 1 of the machine reaps it.
        eventually("its end", || {
            std::fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z "))
        });
    }
    assert!(test.runtime.ids().unwrap().is_empty());
}

#[test]
fn a_hook_inside_the_container_that_does_not_end_is_killed() {
    let test = TestRuntime::new();
    let mut config = shell("true");
    let endless = json!({ "path": "/bin/sh", "args": ["sh", "-c", "sleep 1000 & sleep 1000; true"], "timeout": 1 });
    add(&mut config, "startContainer", endless);
    let begin = Instant::now();
    assert_eq!(test.run(&config, &quiet()).unwrap_err().code, Code::Timeout);
    assert!(begin.elapsed() < SOON);
    assert!(test.runtime.ids().unwrap().is_empty());
}

#[test]
fn much_output_neither_hangs_nor_is_kept() {
    let test = TestRuntime::new();
    let program = test.path("loud");
    script(&program, "head -c 20000000 /dev/zero | tr '\\0' x; echo; echo the end; exit 1");
    let mut config = shell("true");
    add(&mut config, "createRuntime", json!({ "path": program, "env": ["PATH=/usr/bin:/bin"] }));
    let error = test.create(&config, &quiet()).unwrap_err();
    assert!(error.message.ends_with("the end"), "{}", error.message.len());
    let kept = error.detail["output"].as_str().unwrap();
    assert!(kept.len() <= 4096 && kept.ends_with("the end"), "{}", kept.len());
}

#[test]
fn what_a_hook_says_does_not_control_the_readers_terminal() {
    let test = TestRuntime::new();
    let program = test.path("painter");
    script(&program, "printf 'one\\033[2J\\ntwo\\033]0;title\\007\\302\\2331m\\342\\200\\256\\r'; exit 1");
    let mut config = shell("true");
    add(&mut config, "createRuntime", json!({ "path": program, "env": ["PATH=/usr/bin:/bin"] }));
    let error = test.create(&config, &quiet()).unwrap_err();
    assert!(error.message.contains(r"two\u{1b}]0;title\u{7}\u{9b}1m\u{202e}"), "{error}");
    assert!(!error.message.contains(|c: char| c.is_control()), "{error:?}");
    let kept = error.detail["output"].as_str().unwrap();
    assert!(kept.starts_with("one\\u{1b}[2J\ntwo"), "{kept:?}");
}

#[test]
fn a_child_that_holds_the_pipe_does_not_block_create() {
    let test = TestRuntime::new();
    let (program, pid) = (test.path("hook"), test.path("pid"));
    script(&program, &format!("sleep 1000 & echo $! >{}; echo done", pid.display()));
    let mut config = shell("true");
    add(&mut config, "createRuntime", json!({ "path": program, "env": ["PATH=/bin"] }));
    let begin = Instant::now();
    let container = test.create(&config, &quiet()).unwrap();
    assert!(begin.elapsed() < SOON);
    container.delete(Force::Kill).unwrap();
    let pid = std::fs::read_to_string(&pid).unwrap().trim().parse().unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).unwrap();
}

#[test]
fn a_hook_need_not_read_the_state() {
    let test = TestRuntime::new();
    let mut config = shell("exit 5");
    // Far more than the capacity of a pipe.
    config["annotations"] = json!({ "long": "x".repeat(1 << 20) });
    add(&mut config, "createRuntime", json!({ "path": "/bin/true" }));
    let container = test.run(&config, &quiet()).unwrap();
    assert_eq!(container.wait(LONG).unwrap(), ExitStatus::Exited(5));
}

#[test]
fn a_missing_or_unusable_program_is_refused_before_anything_is_made() {
    let test = TestRuntime::new();
    for path in ["/nothing/here", "/etc/passwd", "/tmp"] {
        let mut config = shell("true");
        add(&mut config, "poststop", json!({ "path": path }));
        let error = test.create(&config, &quiet()).unwrap_err();
        assert_eq!(error.code, Code::ConfigInvalid);
        assert!(error.message.contains("hooks.poststop[0].path") && error.message.contains(path), "{error}");
    }
    assert!(test.runtime.ids().unwrap().is_empty());
}

#[test]
fn a_hook_may_ask_about_its_own_container() {
    // The lock of the state directory is held while hooks run; queries work without the lock.
    let test = TestRuntime::new();
    let program = test.path("hook");
    let state = test.dir.path().join("state");
    script(&program, &format!("cat {}/*/state.json >{}", state.display(), test.path("seen").display()));
    let mut config = shell("true");
    add(&mut config, "createRuntime", json!({ "path": program, "env": ["PATH=/bin"] }));
    test.create(&config, &quiet()).unwrap();
    assert!(std::fs::read_to_string(test.path("seen")).unwrap().contains("creating"));
}

#[test]
fn when_create_fails_after_the_first_hooks_the_last_ones_run() {
    let test = TestRuntime::new();
    let (program, log) = recorder(&test);
    let failing = test.path("failing");
    script(&failing, "exit 3");
    let mut config = shell("true");
    add(&mut config, "createRuntime", hook(&program, &["x", "createRuntime"]));
    add(&mut config, "createContainer", hook(&failing, &["x"]));
    add(&mut config, "poststop", hook(&program, &["x", "poststop"]));
    assert_eq!(test.create(&config, &quiet()).unwrap_err().code, Code::Hook);
    let kinds: Vec<String> = entries(&log).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, ["createRuntime", "poststop"]);
}
