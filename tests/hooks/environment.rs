//! The environment, arguments and working directory of hooks.

use std::path::Path;

use berth::spec::Config;
use berth::{Code, Container, Force, Runtime, Settings};

use serde_json::json;

use crate::common::*;
use crate::support::*;

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
        // A magic link names the bundle, too.
        let opened = std::fs::File::open(&bundle).unwrap();
        let number = std::os::fd::AsRawFd::as_raw_fd(&opened);
        let config = Config::from_bundle(Path::new(&format!("/proc/self/fd/{number}"))).unwrap();
        let container = Container::run(&test.runtime, &unique("h"), &config, &quiet()).unwrap();
        container.delete(Force::Kill).unwrap();
        for kind in ["prestart", "createRuntime", "poststart", "poststop"] {
            assert_eq!(std::fs::read_to_string(out.join(kind)).unwrap(), place(&bundle), "{kind}");
        }
        assert_eq!(std::fs::read_to_string(out.join("createContainer")).unwrap(), place(&root), "{user_namespace}");
    }
}
