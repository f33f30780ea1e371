//! SELinux with an enforced policy (selinux.cil). Runs only in the virtual machine, on a kernel that was booted with
//! SELinux and has no policy yet: `BERTH_VM_APPEND="security=selinux selinux=1" BERTH_VM_TESTS=selinux tools/vm-suite`.

mod common;

#[path = "checkpoint/programs.rs"]
#[expect(dead_code)] // as below
mod programs;

#[path = "checkpoint/support.rs"]
#[expect(dead_code)] // what the tests of checkpoints need besides
mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use berth::{Code, Container, ExitStatus, Force, Stage};
use common::*;
use nix::errno::Errno;
use serde_json::{Value, json};
use support::*;

const FIRST: &str = "system_u:system_r:container_t:s0:c1,c2";
const SECOND: &str = "system_u:system_r:container_t:s0:c3";
const FIRST_FILES: &str = "system_u:object_r:container_file_t:s0:c1,c2";
const SECOND_FILES: &str = "system_u:object_r:container_file_t:s0:c3";

/// Returns whether this kernel enforces the policy. The first call loads it; a policy cannot be unloaded.
fn enforced() -> bool {
    static LOADED: OnceLock<bool> = OnceLock::new();
    *LOADED.get_or_init(|| {
        let there = std::fs::read_to_string("/proc/filesystems").unwrap().contains("selinuxfs");
        // Never load this policy on a machine that has its own.
        if !there || std::env::var_os("BERTH_VM").is_none() {
            return false;
        }
        let place = Path::new("/sys/fs/selinux");
        if !place.join("load").exists() {
            let mount = Command::new("mount").args(["-t", "selinuxfs", "selinuxfs"]).arg(place).status();
            assert!(mount.unwrap().success());
        }
        let compiled = PathBuf::from(std::env::var_os("BERTH_TEST_PROGRAMS").unwrap()).join("selinux-policy");
        std::fs::write(place.join("load"), std::fs::read(compiled).unwrap()).expect("the kernel takes the policy");
        std::fs::write(place.join("enforce"), "1").unwrap();
        assert_eq!(std::fs::read_to_string(place.join("enforce")).unwrap(), "1");
        true
    })
}

fn python(script: &str, arguments: &[&str]) -> String {
    let output = Command::new("python3").args(["-c", script]).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn label_of(file: &Path) -> String {
    let script = "import os, sys; print(os.getxattr(sys.argv[1], 'security.selinux').rstrip(b'\\0').decode())";
    python(script, &[file.to_str().unwrap()]).trim().to_owned()
}

fn set_label(file: &Path, label: &str) {
    let script = "import os, sys; os.setxattr(sys.argv[1], 'security.selinux', sys.argv[2].encode())";
    python(script, &[file.to_str().unwrap(), label]);
}

fn labelled(script: &str, label: &str) -> Value {
    let mut config = shell(script);
    config["process"]["selinuxLabel"] = json!(label);
    config
}

fn current(pid: i32) -> String {
    let text = std::fs::read_to_string(format!("/proc/{pid}/attr/current")).unwrap();
    text.trim_end_matches(['\n', '\0']).to_owned()
}

fn init_of(container: &Container) -> i32 {
    container.init_process().unwrap().pid()
}

const SHOW: &str = "tr -d '\\0' </proc/self/attr/current";

#[test]
fn a_process_has_its_label_with_its_categories() {
    if !enforced() {
        return;
    }
    let test = TestRuntime::new();
    assert_eq!(current(std::process::id() as i32), "system_u:system_r:kernel_t:s0");
    for no_new_privileges in [true, false] {
        for uid in [0, 1000] {
            let mut config = labelled(SHOW, FIRST);
            config["process"]["noNewPrivileges"] = json!(no_new_privileges);
            config["process"]["user"] = json!({ "uid": uid, "gid": uid });
            assert_eq!(test.stdout_of(&config), FIRST);
        }
    }
    let container = test.run(&labelled("exec sleep 1000", FIRST), &quiet()).unwrap();
    assert_eq!(current(init_of(&container)), FIRST);
    let mut process = shell_process(SHOW);
    assert_eq!(exec_output(&container, &process), (FIRST.to_owned(), ExitStatus::Exited(0)));
    process["selinuxLabel"] = json!(SECOND);
    assert_eq!(exec_output(&container, &process), (SECOND.to_owned(), ExitStatus::Exited(0)));
}

#[test]
fn a_label_that_the_policy_does_not_know_is_one_error() {
    if !enforced() {
        return;
    }
    let test = TestRuntime::new();
    let running = test.run(&labelled("exec sleep 1000", FIRST), &quiet()).unwrap();
    for label in [
        "system_u:system_r:no_such_t:s0",
        "system_u:system_r:container_t",
        "system_u:system_r:container_t:s0:c9",
        "container_t",
    ] {
        let expected = format!("setting the SELinux label {label:?}: ");
        let error = test.run(&labelled("exit 0", label), &quiet()).unwrap_err();
        assert!(error.message.starts_with(&expected) && error.errno == Some(Errno::EINVAL), "{error}");
        let mut process = shell_process("exit 0");
        process["selinuxLabel"] = json!(label);
        let error = running.exec(&parsed(&process), &quiet()).err().unwrap();
        assert!(error.message.starts_with(&expected) && error.errno == Some(Errno::EINVAL), "{error}");
    }
    let mut config = shell("exit 0");
    config["linux"]["mountLabel"] = json!("system_u:object_r:no_such_t:s0");
    let error = test.run(&config, &quiet()).unwrap_err();
    assert_eq!((error.errno, error.stage), (Some(Errno::EINVAL), Stage::Init), "{error}");
    assert!(error.message.contains("mounting tmpfs on /dev"), "{error}");
    running.delete(Force::Kill).unwrap();
    assert!(test.runtime.ids().unwrap().is_empty());
}

#[test]
fn new_filesystems_have_the_mount_label() {
    if !enforced() {
        return;
    }
    let test = TestRuntime::new();
    let mut config = labelled("echo mine >/dev/shm/file && cat /dev/shm/file && exec sleep 1000", FIRST);
    config["linux"]["mountLabel"] = json!(FIRST_FILES);
    let options = format!("context={SECOND_FILES}");
    push_mount(&mut config, json!({ "destination": "/mnt", "type": "tmpfs", "source": "tmpfs", "options": [options] }));
    let container = test.run(&config, &quiet()).unwrap();
    let root = PathBuf::from(format!("/proc/{}/root", init_of(&container)));
    eventually("the file is there", || root.join("dev/shm/file").exists());
    for file in ["dev", "dev/shm", "dev/shm/file", "dev/null"] {
        assert_eq!(label_of(&root.join(file)), FIRST_FILES, "{file}");
    }
    assert_eq!(label_of(&root.join("mnt")), SECOND_FILES, "an option of its own");
    let table = exec_shell(&container, "cat /proc/self/mountinfo");
    let shown = mounted(&table, "/dev/shm").super_options.join(",");
    assert!(shown.contains(&format!("context=\"{FIRST_FILES}\"")), "{shown}");
}

#[test]
fn the_policy_keeps_a_container_from_files_that_are_not_its_own() {
    if !enforced() {
        return;
    }
    let test = TestRuntime::new();
    let data = test.data();
    for (name, label) in [("mine", FIRST_FILES), ("others", SECOND_FILES), ("secret", "system_u:object_r:secret_t:s0")]
    {
        let file = data.join(name);
        std::fs::write(&file, name).unwrap();
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
        set_label(&file, label);
        assert_eq!(label_of(&file), label);
    }
    let script = "for file in mine others secret; do cat /data/$file 2>&1; echo; done";
    let denied = |name: &str| format!("cat: can't open '/data/{name}': Permission denied\n\n");
    let read = |label: &str| {
        let mut config = labelled(script, label);
        with_data(&mut config, &data);
        test.stdout_of(&config)
    };
    assert_eq!(read(FIRST), format!("mine\n{}{}", denied("others"), denied("secret")));
    assert_eq!(read(SECOND), format!("{}others\n{}", denied("mine"), denied("secret")));
    // Without a label nothing is denied.
    let mut config = shell(script);
    with_data(&mut config, &data);
    assert_eq!(test.stdout_of(&config), "mine\nothers\nsecret\n");
}

/// Not every build of CRIU supports SELinux (Debian's does not): then no restored process may run with the caller's
/// label.
#[test]
fn a_restored_container_has_its_label_or_does_not_run() {
    if !enforced() {
        return;
    }
    let test = test_runtime();
    let data = test.data();
    let mut config = counter(&data);
    config["process"]["selinuxLabel"] = json!(FIRST);
    let images = test.images("images");
    test.dumped(&config, &data, &into(&images));
    let before = count(&data);
    match test.restore(&config, &from(&images)) {
        Ok(container) => {
            assert_eq!(current(init_of(&container)), FIRST);
            counts_on(&data);
            end(container);
        }
        Err(error) => {
            let expected = format!("has the SELinux label \"system_u:system_r:kernel_t:s0\" instead of {FIRST:?}");
            assert!(error.code == Code::Criu && error.message.contains(&expected), "{error}\n{}", log_tail(&error));
            assert!(test.runtime.ids().unwrap().is_empty());
            assert_eq!(count(&data), before);
        }
    }
}
