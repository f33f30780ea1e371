//! Labels of AppArmor and SELinux, and unknown capabilities: what cannot be applied is an error or logged.

mod common;

use berth::{Code, ExitStatus, explain};
use common::*;
use serde_json::{Value, json};

/// Returns whether AppArmor is enabled; the virtual machine must have AppArmor or SELinux.
fn has_apparmor() -> bool {
    let there = apparmor();
    assert!(there || selinux() || std::env::var_os("BERTH_VM").is_none(), "the virtual machine has one of the two");
    there
}

fn selinux() -> bool {
    let there = std::fs::read_to_string("/proc/filesystems").unwrap().contains("selinuxfs");
    let asked = std::fs::read_to_string("/proc/cmdline").unwrap().contains("selinux=1");
    assert!(there || !asked, "this kernel was booted for SELinux");
    there
}

const SHOW: &str = "cat /proc/self/attr/current; echo x > /dev/shm/allowed && echo x > /dev/shm/forbidden; echo $?";

#[test]
fn the_process_and_executed_ones_have_their_apparmor_profile() {
    if !has_apparmor() {
        return;
    }
    let (profile, other) = (Profile::load(), Profile::load());
    let test = TestRuntime::new();
    for no_new_privileges in [true, false] {
        for uid in [0, 1000] {
            let mut config = shell(SHOW);
            config["process"]["apparmorProfile"] = json!(profile.0);
            config["process"]["noNewPrivileges"] = json!(no_new_privileges);
            config["process"]["user"] = json!({ "uid": uid, "gid": uid });
            let (text, _) = test.output(&config);
            assert!(text.starts_with(&format!("{} (enforce)\n", profile.0)), "{text}");
            assert!(text.contains("/dev/shm/forbidden") && text.contains("\n1\n"), "{text}");
            config["process"]["args"][2] = json!("exec sleep 1000");
            let container = test.run(&config, &quiet()).unwrap();
            let mut process = shell_process("cat /proc/self/attr/current");
            assert_eq!(exec_output(&container, &process).0, format!("{} (enforce)\n", profile.0));
            process["apparmorProfile"] = json!(other.0);
            assert_eq!(exec_output(&container, &process).0, format!("{} (enforce)\n", other.0));
            process["apparmorProfile"] = json!("unconfined");
            assert_eq!(exec_output(&container, &process).0, "unconfined\n");
        }
    }
}

#[test]
fn a_profile_that_is_not_loaded_is_an_error_and_nothing_runs() {
    if !has_apparmor() {
        return;
    }
    let test = TestRuntime::new();
    let mut config = shell("exit 0");
    config["process"]["apparmorProfile"] = json!("berth-no-such-profile");
    let error = test.run(&config, &quiet()).unwrap_err();
    assert!(error.message.starts_with("setting the AppArmor profile \"berth-no-such-profile\": "), "{error}");
    assert!(test.runtime.ids().unwrap().is_empty());
}

/// CVE-2019-16884, CVE-2023-28642: runtimes wrote the label to a fake /proc that the image brought.
#[test]
fn a_fake_proc_of_the_image_does_not_take_the_profile_away() {
    if !has_apparmor() {
        return;
    }
    let profile = Profile::load();
    let test = TestRuntime::new();
    let mut config = shell("exec sleep 1000");
    config["process"]["apparmorProfile"] = json!(profile.0);
    config["linux"]["maskedPaths"] = json!([]);
    config["linux"]["readonlyPaths"] = json!([]);
    config["mounts"].as_array_mut().unwrap().retain(|mount| mount["destination"] != "/proc");
    for link in [false, true] {
        let bundle = test.bundle(&unique("fake"), &config);
        let mut proc = bundle.join("rootfs/proc");
        if link {
            std::fs::remove_dir(&proc).unwrap();
            std::os::unix::fs::symlink("/opt", &proc).unwrap();
            proc = bundle.join("rootfs/opt");
        }
        for thread in ["self", "thread-self", "1"] {
            std::fs::create_dir_all(proc.join(thread).join("attr/apparmor")).unwrap();
            for file in ["attr/exec", "attr/apparmor/exec", "attr/current"] {
                std::fs::write(proc.join(thread).join(file), "").unwrap();
            }
        }
        let config = berth::spec::Config::from_bundle(&bundle).unwrap();
        let container = berth::Container::run(&test.runtime, &unique("fake"), &config, &quiet()).unwrap();
        let label = std::fs::read_to_string(proc_of(&container, "attr/current")).unwrap();
        assert_eq!(label, format!("{} (enforce)\n", profile.0));
        let process = container.exec(&parsed(&shell_process("exec sleep 1000")), &quiet()).unwrap();
        let label = std::fs::read_to_string(format!("/proc/{}/attr/current", process.pid())).unwrap();
        assert_eq!(label, format!("{} (enforce)\n", profile.0));
        for thread in ["self", "thread-self", "1"] {
            assert_eq!(std::fs::read(proc.join(thread).join("attr/exec")).unwrap(), b"");
        }
    }
}

#[test]
fn labels_of_a_module_that_is_not_there_are_refused_before_anything_is_made() {
    let test = TestRuntime::new();
    let refused = |config: &Value, path: &str, name: &str| {
        let error = test.run(config, &quiet()).unwrap_err();
        assert_eq!(error.code, Code::Unsupported, "{error}");
        assert_eq!(error.message, format!("{path}: {name} is not enabled on this host; leave it out"));
        assert!(test.runtime.ids().unwrap().is_empty());
    };
    let container = test.run(&shell("exec sleep 1000"), &quiet()).unwrap();
    for (field, name, there) in
        [("apparmorProfile", "AppArmor", has_apparmor()), ("selinuxLabel", "SELinux", selinux())]
    {
        if there {
            continue;
        }
        let other = TestRuntime::new();
        let mut config = shell("exit 0");
        config["process"][field] = json!("some:label");
        let error = other.run(&config, &quiet()).unwrap_err();
        assert_eq!(error.code, Code::Unsupported, "{error}");
        assert_eq!(error.message, format!("process.{field}: {name} is not enabled on this host; leave it out"));
        assert!(other.runtime.ids().unwrap().is_empty());
        let mut process = shell_process("exit 0");
        process[field] = json!("some:label");
        let error = container.exec(&parsed(&process), &quiet()).unwrap_err();
        assert_eq!(error.message, format!("{field}: {name} is not enabled on this host; leave it out"));
    }
    container.delete(berth::Force::Kill).unwrap();
    if !selinux() {
        let mut config = shell("exit 0");
        config["linux"]["mountLabel"] = json!("system_u:object_r:container_file_t:s0");
        refused(&config, "linux.mountLabel", "SELinux");
    }
}

/// SELinux without a policy (`BERTH_VM_APPEND="security=selinux selinux=1" tools/vm-suite labels`): the kernel knows
/// its initial labels only. With a policy: selinux.rs.
#[test]
fn the_process_and_new_filesystems_have_their_selinux_label() {
    if !selinux() {
        return;
    }
    let test = TestRuntime::new();
    let mut config = shell("cat /proc/self/attr/current; echo; grep ' /dev ' /proc/self/mountinfo; exec sleep 0");
    config["process"]["selinuxLabel"] = json!("kernel");
    let text = test.stdout_of(&config);
    assert!(text.starts_with("kernel"), "{text}");
    config["process"]["selinuxLabel"] = json!("no-such-label");
    let error = test.run(&config, &quiet()).unwrap_err();
    assert!(error.message.starts_with("setting the SELinux label \"no-such-label\": "), "{error}");
    config["process"]["selinuxLabel"] = json!("");
    config["linux"]["mountLabel"] = json!("unlabeled");
    let plan: Value = serde_json::from_str(&explain(&test.config(&config)).unwrap()).unwrap();
    let dev = plan["steps"].as_array().unwrap().iter().find(|step| step["target"] == "/dev").unwrap();
    assert!(dev["options"].as_array().unwrap().contains(&json!("context=unlabeled")), "{dev}");
    // Without a policy the kernel accepts no label for a filesystem, so the mount fails.
    let error = test.run(&config, &quiet()).unwrap_err();
    assert_eq!((error.errno, error.stage), (Some(nix::errno::Errno::EINVAL), berth::Stage::Init), "{error}");
    assert!(error.message.contains("mounting tmpfs on /dev"), "{error}");
    assert!(test.runtime.ids().unwrap().is_empty());
}

/// For example, an engine that itself runs in a container lacks some capabilities.
#[test]
fn capabilities_that_the_caller_does_not_have_are_logged_and_not_granted() {
    keep_the_log(log::LevelFilter::Warn);
    let work = || {
        // Capability sets belong to a thread; other tests keep theirs.
        caps::drop(None, caps::CapSet::Bounding, caps::Capability::CAP_AUDIT_WRITE).unwrap();
        let test = TestRuntime::new();
        let mut config = shell("exec cat /proc/self/status");
        let status = test.stdout_of(&config);
        for set in ["CapPrm", "CapEff", "CapBnd"] {
            assert_eq!(status_line(&status, set), "0000000000000420", "{set}");
        }
        config["process"]["args"][2] = json!("exec sleep 1000");
        let container = test.run(&config, &quiet()).unwrap();
        let mut process = shell_process("exec cat /proc/self/status");
        process["capabilities"] = json!({ "bounding": ["CAP_AUDIT_WRITE", "CAP_CHOWN"] });
        assert_eq!(status_line(&exec_output(&container, &process).0, "CapBnd"), "0000000000000001");
        // In a new user namespace the process has all capabilities again.
        config["process"]["args"][2] = json!("exec cat /proc/self/status");
        with_user_namespace(&mut config);
        assert_eq!(status_line(&test.stdout_of(&config), "CapBnd"), "0000000020000420");
    };
    std::thread::spawn(work).join().unwrap();
    let logged = logged();
    let line = "WARN capabilities that the caller's bounding set lacks are not granted: CAP_AUDIT_WRITE";
    assert_eq!(logged.iter().filter(|logged| *logged == line).count(), 3, "{logged:?}");
}

#[test]
fn unknown_capabilities_are_logged_and_not_granted() {
    keep_the_log(log::LevelFilter::Warn);
    let test = TestRuntime::new();
    let mut config = shell("cat /proc/self/status; exec sleep 1000");
    let names = json!(["CAP_KILL", "CAP_FLY", "CAP_OF_LINUX_9"]);
    config["process"]["capabilities"] = json!({ "bounding": names, "effective": names, "permitted": names,
        "inheritable": names, "ambient": names });
    config["process"]["args"][2] = json!("exec cat /proc/self/status");
    let status = test.stdout_of(&config);
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(status_line(&status, set), "0000000000000020", "{set}");
    }
    let count_of = |name: &str| {
        let logged = logged();
        logged.iter().filter(|line| line.starts_with("WARN ") && line.ends_with(name)).count()
    };
    assert_eq!(count_of("capabilities: [CAP_FLY CAP_OF_LINUX_9]"), 1);
    config["process"]["args"][2] = json!("exec sleep 1000");
    let container = test.run(&config, &quiet()).unwrap();
    let mut process = shell_process("exec cat /proc/self/status");
    process["capabilities"] = json!({ "bounding": ["CAP_CHOWN", "CAP_SWIM"], "permitted": ["CAP_CHOWN", "CAP_SWIM"] });
    let (status, end) = exec_output(&container, &process);
    assert_eq!(end, ExitStatus::Exited(0));
    assert_eq!(status_line(&status, "CapBnd"), "0000000000000001");
    assert_eq!(count_of("[CAP_SWIM]"), 1);
}
