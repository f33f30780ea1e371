//! Bundles on disk, and the checks that look at the host.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use super::*;

fn bundle_with(changes: &[(&str, &str)]) -> tempfile::TempDir {
    let bundle = tempfile::tempdir().unwrap();
    let mut document = base();
    document["root"]["path"] = "rootfs".into();
    for (place, json) in changes {
        change(&mut document, place, json);
    }
    fs::create_dir(bundle.path().join("rootfs")).unwrap();
    fs::write(bundle.path().join("config.json"), document.to_string()).unwrap();
    bundle
}

#[test]
fn a_bundle_with_the_default_is_valid() {
    let bundle = tempfile::tempdir().unwrap();
    fs::create_dir(bundle.path().join("rootfs")).unwrap();
    fs::write(bundle.path().join("config.json"), Config::default_json()).unwrap();
    let config = Config::from_bundle(bundle.path()).unwrap();
    config.validate().unwrap();
    assert_eq!(config.bundle(), Some(bundle.path()));
    assert_eq!(config.rootfs(), bundle.path().join("rootfs"));
    let again = Config::from_record(config.json(), config.bundle(), config.rootfs()).unwrap();
    assert_eq!(again.spec(), config.spec());
}

#[test]
fn a_bundle_that_cannot_be_read_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.json");
    let error = Config::from_bundle(dir.path()).unwrap_err();
    assert_eq!((error.code, error.errno), (Code::System, Some(nix::errno::Errno::ENOENT)));
    assert!(error.message.contains(file.to_str().unwrap()), "{error}");

    nix::unistd::mkfifo(&file, nix::sys::stat::Mode::S_IRUSR).unwrap();
    let error = Config::from_bundle(dir.path()).unwrap_err();
    assert!(error.code == Code::ConfigInvalid && error.message.contains("not a regular file"), "{error}");
    fs::remove_file(&file).unwrap();

    fs::write(&file, b"{\"a\": \"\xff\"}").unwrap();
    assert!(Config::from_bundle(dir.path()).unwrap_err().message.contains("not UTF-8 at byte 7"));

    fs::File::create(&file).unwrap().set_len((16 << 20) + 1).unwrap();
    assert!(Config::from_bundle(dir.path()).unwrap_err().message.contains("longer than"));

    fs::write(&file, "{\n").unwrap();
    assert!(Config::from_bundle(dir.path()).unwrap_err().message.contains("line 2"));
}

#[test]
fn relative_paths_are_relative_to_the_bundle() {
    let bind = r#"{"destination": "/d", "type": "bind", "source": "data"}"#;
    let bundle = bundle_with(&[("/mounts/-", bind)]);
    let config = Config::from_bundle(bundle.path()).unwrap();
    assert_eq!(config.spec().mounts().as_ref().unwrap()[7].source(), &Some(bundle.path().join("data")));
    let error = config.validate().unwrap_err();
    explains(&error, Code::ConfigInvalid, "mounts[7].source", "no such file or directory").unwrap();
    fs::write(bundle.path().join("data"), "").unwrap();
    config.validate().unwrap();
}

#[test]
fn only_a_whole_procfs_is_bound_on_proc() {
    for (source, good) in [("/proc", true), ("/proc/self", false), ("/proc/1", false), ("/tmp", false), ("/sys", false)]
    {
        let bind = format!(r#"{{"destination": "/proc", "type": "none", "source": "{source}", "options": ["rbind"]}}"#);
        let bundle = bundle_with(&[("/mounts/0", &bind)]);
        let answer = Config::from_bundle(bundle.path()).unwrap().validate();
        if good {
            answer.unwrap();
        } else {
            let words = "is not the root of a procfs";
            explains(&answer.unwrap_err(), Code::ConfigInvalid, "mounts[0].source", words).unwrap();
        }
    }
}

#[test]
fn a_parameter_of_the_callers_own_namespace_is_refused_however_it_is_named() {
    let sysctl = ("/linux/sysctl", r#"{"net.ipv4.ip_forward": "1"}"#);
    let bundle = bundle_with(&[sysctl, ("/linux/namespaces/1/path", "\"/proc/self/ns/net\"")]);
    let error = Config::from_bundle(bundle.path()).unwrap().validate().unwrap_err();
    let path = "linux.sysctl[\"net.ipv4.ip_forward\"]";
    explains(&error, Code::ConfigInvalid, path, "in the caller's own network namespace").unwrap();
    // A joined namespace of another type does not own the parameter, and the container's network namespace is new.
    let bundle = bundle_with(&[sysctl, ("/linux/namespaces/2/path", "\"/proc/self/ns/ipc\"")]);
    Config::from_bundle(bundle.path()).unwrap().validate().unwrap();
}

#[test]
fn the_root_file_system_is_a_directory() {
    let bundle = bundle_with(&[]);
    let config = Config::from_bundle(bundle.path()).unwrap();
    let rootfs = bundle.path().join("rootfs");
    fs::remove_dir(&rootfs).unwrap();
    let error = config.validate().unwrap_err();
    explains(&error, Code::ConfigInvalid, "root.path", "expected an existing directory").unwrap();
    assert_eq!(error.errno, Some(nix::errno::Errno::ENOENT));
    fs::write(&rootfs, "").unwrap();
    explains(&config.validate().unwrap_err(), Code::ConfigInvalid, "root.path", "is not a directory").unwrap();
    fs::remove_file(&rootfs).unwrap();
    symlink("/", &rootfs).unwrap();
    config.validate().unwrap();
}

#[test]
fn the_first_hook_is_an_executable_file() {
    for name in ["prestart", "createRuntime"] {
        let bundle = bundle_with(&[]);
        let hook = bundle.path().join("hook");
        let later = serde_json::json!([{ "path": "/nothing/here" }]);
        let mut hooks = serde_json::json!({
            "createRuntime": later, "createContainer": later, "startContainer": later, "poststart": later, "poststop": later
        });
        hooks[name] = serde_json::json!([{ "path": hook.to_str().unwrap() }, { "path": "/nothing/here" }]);
        let mut document = parsed(&fs::read_to_string(bundle.path().join("config.json")).unwrap());
        document["hooks"] = hooks;
        fs::write(bundle.path().join("config.json"), document.to_string()).unwrap();
        let config = Config::from_bundle(bundle.path()).unwrap();
        let path = format!("hooks.{name}[0].path");
        explains(&config.validate().unwrap_err(), Code::ConfigInvalid, &path, "no such file").unwrap();
        fs::write(&hook, "").unwrap();
        explains(&config.validate().unwrap_err(), Code::ConfigInvalid, &path, "not an executable file").unwrap();
        fs::set_permissions(&hook, fs::Permissions::from_mode(0o700)).unwrap();
        config.validate().unwrap();
    }
}

/// An earlier hook may make them.
#[test]
fn later_hooks_need_not_exist() {
    for name in ["createContainer", "startContainer", "poststart", "poststop"] {
        let hooks = format!(r#"{{"{name}": [{{"path": "/nothing/here"}}]}}"#);
        let bundle = bundle_with(&[("/hooks", &hooks)]);
        Config::from_bundle(bundle.path()).unwrap().validate().unwrap();
    }
}

#[test]
fn a_joined_namespace_is_of_its_type() {
    // (index in the default's list, file in /proc/self/ns)
    let files = ["pid", "net", "ipc", "uts", "mnt", "cgroup"];
    for (index, right) in files.iter().enumerate().filter(|(_, name)| **name != "mnt") {
        let place = format!("/linux/namespaces/{index}/path");
        let json_path = format!("linux.namespaces[{index}].path");
        for file in files {
            let bundle = bundle_with(&[(&place, &format!("\"/proc/self/ns/{file}\""))]);
            let answer = Config::from_bundle(bundle.path()).unwrap().validate();
            if file == *right {
                answer.unwrap();
            } else {
                explains(&answer.unwrap_err(), Code::ConfigInvalid, &json_path, "is not a").unwrap();
            }
        }
        for (path, words) in [("/nowhere/ns", "no such file"), ("/dev/null", "is not a"), ("/", "is not a")] {
            let bundle = bundle_with(&[(&place, &format!("{path:?}"))]);
            let error = Config::from_bundle(bundle.path()).unwrap().validate().unwrap_err();
            explains(&error, Code::ConfigInvalid, &json_path, words).unwrap();
        }
    }
    for (kind, wrong) in [("user", "pid"), ("time", "user")] {
        for (file, good) in [(kind, true), (wrong, false)] {
            let entry = format!(r#"{{"type": "{kind}", "path": "/proc/self/ns/{file}"}}"#);
            let bundle = bundle_with(&[("/linux/namespaces/-", &entry)]);
            let answer = Config::from_bundle(bundle.path()).unwrap().validate();
            assert_eq!(answer.is_ok(), good, "{kind} {file}: {answer:?}");
        }
    }
}

#[test]
fn a_namespace_path_that_is_a_fifo_does_not_block() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let bundle = bundle_with(&[("/linux/namespaces/1/path", &format!("{fifo:?}"))]);
    let error = Config::from_bundle(bundle.path()).unwrap().validate().unwrap_err();
    explains(&error, Code::ConfigInvalid, "linux.namespaces[1].path", "is not a network namespace").unwrap();
}

#[test]
fn a_relative_bundle_is_made_absolute() {
    let error = Config::from_bundle(Path::new("")).unwrap_err();
    assert_eq!(error.code, Code::InvalidArgument);
    let config = Config::from_json(&Config::default_json(), Some(Path::new("some/rootfs"))).unwrap();
    assert!(config.rootfs().is_absolute() && config.rootfs().ends_with("some/rootfs"));
}
