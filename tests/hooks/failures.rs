//! Hooks that fail or cannot be executed.

use berth::{Code, ExitStatus, Force, Stage};

use serde_json::json;

use crate::common::*;
use crate::support::*;

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
fn a_missing_or_unusable_program_is_refused_before_anything_is_made() {
    let test = TestRuntime::new();
    let (program, log) = recorder(&test);
    for kind in ["prestart", "createRuntime"] {
        for path in UNUSABLE {
            let mut config = shell("true");
            add(&mut config, kind, json!({ "path": path }));
            add(&mut config, "createRuntime", hook(&program, &["recorder", "later"]));
            add(&mut config, "poststop", hook(&program, &["recorder", "poststop"]));
            let error = test.create(&config, &quiet()).unwrap_err();
            assert_eq!(error.code, Code::ConfigInvalid);
            assert!(error.message.contains(&format!("hooks.{kind}[0].path")), "{error}");
            assert!(error.message.contains(path), "{error}");
        }
    }
    assert!(test.runtime.ids().unwrap().is_empty());
    assert!(entries(&log).is_empty(), "no hook has run");
}

const UNUSABLE: [&str; 3] = ["/nothing/here", "/etc/passwd", "/tmp"];

/// An earlier hook may install it, so it is looked up when it runs.
#[test]
fn a_missing_or_unusable_program_of_a_later_hook_is_an_error_when_it_runs() {
    let test = TestRuntime::new();
    let (program, log) = recorder(&test);
    let kinds = ["prestart", "createRuntime", "createContainer", "poststart"];
    for (kind, path) in kinds.into_iter().flat_map(|kind| UNUSABLE.map(|path| (kind, path))) {
        let before = entries(&log).len();
        let cgroup = unique("hook");
        let mut config = shell("sleep 1000");
        config["linux"]["cgroupsPath"] = json!(format!("/{cgroup}"));
        add(&mut config, "prestart", hook(&program, &["recorder", "first"]));
        add(&mut config, kind, json!({ "path": path }));
        add(&mut config, "poststop", hook(&program, &["recorder", "poststop"]));
        let created = test.create(&config, &quiet());
        let error = if kind == "poststart" { created.unwrap().start().unwrap_err() } else { created.unwrap_err() };
        assert_eq!((error.code, error.stage), (Code::Hook, Stage::Hook), "{kind}: {error}");
        let index = u8::from(kind == "prestart");
        assert!(error.message.contains(&format!("{kind} hook {index} ({path})")), "{error}");
        let reason = if path.starts_with("/nothing") { "no such file or directory" } else { "permission denied" };
        assert!(error.message.contains(reason), "{error}");
        assert_nothing_left(&test, &cgroup);
        let kinds: Vec<String> = entries(&log).drain(before..).map(|(kind, _)| kind).collect();
        assert_eq!(kinds, ["first", "poststop"], "{kind}");
    }
}

#[test]
fn a_missing_or_unusable_program_of_a_poststop_hook_keeps_no_container() {
    let test = TestRuntime::new();
    for path in UNUSABLE {
        let (program, log) = (test.path("later"), test.path("log"));
        let mut config = shell("true");
        add(&mut config, "poststop", json!({ "path": path }));
        add(&mut config, "poststop", hook(&program, &["later"]));
        let container = test.run(&config, &quiet()).unwrap();
        container.wait(LONG).unwrap();
        script(&program, &format!("echo ran >{}", log.display()));
        container.delete(Force::No).unwrap();
        assert!(test.runtime.ids().unwrap().is_empty());
        assert_eq!(std::fs::read_to_string(&log).unwrap(), "ran\n", "made after create");
        std::fs::remove_file(&log).unwrap();
        std::fs::remove_file(&program).unwrap();
    }
}

#[test]
fn a_hook_may_install_the_programs_of_the_hooks_after_it() {
    let test = TestRuntime::new();
    let (source, log) = recorder(&test);
    let (installer, program) = (test.path("installer"), test.path("installed"));
    script(&installer, &format!("cp {} {}", source.display(), program.display()));
    let kinds = ["createRuntime", "createContainer", "poststart", "poststop"];
    let mut config = shell("true");
    add(&mut config, "prestart", json!({ "path": installer, "env": ["PATH=/bin:/usr/bin"] }));
    for kind in kinds {
        add(&mut config, kind, hook(&program, &["installed", kind]));
    }
    let container = test.run(&config, &quiet()).unwrap();
    container.wait(LONG).unwrap();
    container.delete(Force::No).unwrap();
    let ran: Vec<String> = entries(&log).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(ran, kinds);
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
