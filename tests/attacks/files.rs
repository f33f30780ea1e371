//! Attacks through files: paths in images, volumes and configurations that lead elsewhere.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use berth::spec::Config;
use berth::{Code, Container, Force, explain};
use serde_json::{Value, json};

use crate::common::*;

fn in_vm() -> bool {
    std::env::var_os("BERTH_VM").is_some()
}

/// Lists everything below a directory of the host: names, types, contents, modes.
fn snapshot(top: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![top.to_owned()];
    while let Some(path) = waiting.pop() {
        let about = path.symlink_metadata().unwrap();
        let text = if about.is_file() { std::fs::read_to_string(&path).unwrap() } else { String::new() };
        let mode = std::os::unix::fs::PermissionsExt::mode(&about.permissions());
        let owner = std::os::unix::fs::MetadataExt::uid(&about);
        found.insert(path.clone(), format!("{mode:o} {owner} {text}"));
        if about.is_dir() {
            waiting.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    found
}

/// A directory outside the root filesystem to which the traps lead. It must stay unchanged, and nothing may be mounted
/// on it.
struct Outside {
    path: PathBuf,
    before: BTreeMap<PathBuf, String>,
}

impl Outside {
    fn new(test: &TestRuntime) -> Outside {
        let path = test.make_dir("outside");
        for directory in ["pts", "shm", "mqueue", "fd", "sys/kernel", "fs/cgroup"] {
            std::fs::create_dir_all(path.join(directory)).unwrap();
        }
        for file in ["console", "null", "ptmx", "keys", "file", "sys/kernel/msgmax"] {
            std::fs::write(path.join(file), "precious").unwrap();
        }
        Outside { before: snapshot(&path), path }
    }

    fn unchanged(&self, when: &str) {
        assert_eq!(snapshot(&self.path), self.before, "{when}");
        let mounts = leftovers::mounts(self.path.to_str().unwrap());
        assert!(mounts.is_empty(), "{when}: {mounts:?}");
    }
}

/// The paths that the runtime opens, creates or mounts on below a root filesystem.
const TOUCHED: [&str; 14] = [
    "dev",
    "dev/console",
    "dev/null",
    "dev/ptmx",
    "dev/fd",
    "dev/shm",
    "dev/pts",
    "dev/mqueue",
    "proc",
    "sys",
    "vol",
    "vol/deep",
    "masked",
    "work",
];

/// CVE-2015-1335, CVE-2015-3629, CVE-2019-18837, CVE-2025-24965 and similar attacks.
#[test]
fn a_symlink_in_place_of_anything_that_is_touched_changes_nothing_outside() {
    let test = TestRuntime::new();
    let outside = Outside::new(&test);
    let volume = test.make_dir("volume");
    let kinds: Vec<(&str, String)> = vec![
        ("absolute", outside.path.display().to_string()),
        ("dots", format!("{}{}", "../".repeat(20), outside.path.display())),
        ("dangling", format!("{}/not/there", outside.path.display())),
        ("magic", format!("/proc/self/root{}", outside.path.display())),
        ("magic of the host's init", format!("/proc/1/root{}", outside.path.display())),
        ("loop", "loop".to_owned()),
    ];
    let touched = TOUCHED.iter().filter(|path| !in_vm() || ["dev/null", "proc", "vol/deep", "work"].contains(path));
    for (count, path) in touched.enumerate() {
        for (kind, target) in &kinds {
            for dev in [true, false] {
                let when = format!("{path} is {kind}, /dev is {}", if dev { "mounted" } else { "the image's" });
                let mut config = shell("exit 0");
                config["process"]["args"] = json!(["/bin/busybox", "true"]);
                config["process"]["cwd"] = json!("/work");
                config["root"]["readonly"] = json!(false);
                if count % 2 == 0 {
                    config["linux"]["devices"] =
                        json!([{ "type": "c", "path": "/dev/fuse", "major": 10, "minor": 229, "uid": 0, "gid": 0 }]);
                }
                for list in ["maskedPaths", "readonlyPaths"] {
                    config["linux"][list].as_array_mut().unwrap().push(json!("/masked"));
                }
                if !dev {
                    config["mounts"].as_array_mut().unwrap().retain(|mount| mount["destination"] != "/dev");
                }
                push_mount(
                    &mut config,
                    json!({ "destination": "/vol/deep", "type": "bind", "source": volume, "options": ["bind"] }),
                );
                push_mount(&mut config, json!({ "destination": "/vol/deep/er", "type": "tmpfs", "source": "tmpfs" }));
                let image = test.make_dir(&unique("image"));
                std::fs::create_dir(image.join("bin")).unwrap();
                std::fs::copy(rootfs().join("bin/busybox"), image.join("bin/busybox")).unwrap();
                symlink("loop", image.join("loop")).unwrap();
                std::fs::create_dir_all(image.join(path).parent().unwrap()).unwrap();
                symlink(target, image.join(path)).unwrap();
                let config = Config::from_json(&config.to_string(), Some(&image)).unwrap();
                // It may be refused or run.
                if let Ok(container) = Container::run(&test.runtime, &unique("link"), &config, &quiet()) {
                    container.delete(Force::Kill).unwrap();
                }
                outside.unchanged(&when);
                assert!(!outside.path.join("not").exists(), "{when}");
                std::fs::remove_dir_all(&image).unwrap();
            }
        }
    }
    assert!(test.runtime.ids().unwrap().is_empty());
}

/// renameat2(RENAME_EXCHANGE)
fn exchange(a: &Path, b: &Path) {
    let text = |path: &Path| std::ffi::CString::new(path.to_str().unwrap()).unwrap();
    let (a, b) = (text(a), text(b));
    // SAFETY: two C strings.
    unsafe { libc::syscall(libc::SYS_renameat2, libc::AT_FDCWD, a.as_ptr(), libc::AT_FDCWD, b.as_ptr(), 2) };
}

/// Stops the swapping thread even if the test fails.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// CVE-2021-30465, CVE-2025-31133: another container with the same volume replaces a mount point by a symlink just
/// before the mount.
#[test]
fn exchanging_a_mounts_target_for_a_symlink_all_the_time_moves_no_mount_outside() {
    let test = TestRuntime::new();
    let outside = Outside::new(&test);
    let shared = test.make_dir("shared");
    std::fs::create_dir_all(shared.join("a/inner")).unwrap();
    std::fs::create_dir(shared.join("masked")).unwrap();
    symlink(&outside.path, shared.join("b")).unwrap();
    symlink(&outside.path, shared.join("c")).unwrap();
    let over = AtomicBool::new(false);
    let mut created = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                exchange(&shared.join("a"), &shared.join("b"));
                exchange(&shared.join("masked"), &shared.join("c"));
            }
        });
        let _ends = Ends(&over);
        for round in 0..if in_vm() { 10 } else { 30 } {
            let mut config = shell("exit 0");
            config["root"]["readonly"] = json!(false);
            config["linux"]["maskedPaths"].as_array_mut().unwrap().push(json!("/shared/masked"));
            config["linux"]["readonlyPaths"].as_array_mut().unwrap().push(json!("/shared/masked"));
            push_mount(
                &mut config,
                json!({ "destination": "/shared", "type": "bind", "source": shared, "options": ["bind"] }),
            );
            push_mount(&mut config, json!({ "destination": "/shared/a/inner", "type": "tmpfs", "source": "tmpfs" }));
            push_mount(&mut config, json!({ "destination": "/shared/a/made", "type": "tmpfs", "source": "tmpfs" }));
            created += u32::from(creates(&test, &config));
            outside.unchanged(&format!("round {round}"));
        }
    });
    println!("{created} were created");
}

/// Creates and deletes a container of an image. Returns whether create succeeded.
fn creates(test: &TestRuntime, config: &Value) -> bool {
    let image = test.bundle(&unique("image"), config);
    let created = Container::create(&test.runtime, &unique("swap"), &Config::from_bundle(&image).unwrap(), &quiet());
    let succeeded = created.map(|container| container.delete(Force::Kill).unwrap()).is_ok();
    std::fs::remove_dir_all(&image).unwrap();
    succeeded
}

/// The library resolves a dangling symlink itself and creates its target, while another process exchanges each
/// component.
#[test]
fn exchanging_what_a_dangling_symlink_names_makes_and_mounts_nothing_outside() {
    let test = TestRuntime::new();
    let outside = Outside::new(&test);
    let shared = test.make_dir("shared");
    let file = test.make_dir("files").join("file");
    std::fs::write(&file, "file").unwrap();
    std::fs::create_dir(shared.join("way")).unwrap();
    // From the host's view these lead out; one by as many ".." as there can be.
    symlink(&outside.path, shared.join("trap")).unwrap();
    symlink("way/made/deep", shared.join("link")).unwrap();
    symlink(format!("{}{}/not/there", "../".repeat(20), outside.path.display()), shared.join("other")).unwrap();
    let over = AtomicBool::new(false);
    let mut created = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                exchange(&shared.join("way"), &shared.join("trap"));
                exchange(&shared.join("link"), &shared.join("other"));
                // What has been made dangles again.
                let _ = std::fs::remove_dir_all(shared.join("way/made"));
            }
        });
        let _ends = Ends(&over);
        for round in 0..if in_vm() { 10 } else { 30 } {
            let mut config = shell("exit 0");
            config["root"]["readonly"] = json!(false);
            config["linux"]["devices"] =
                json!([{ "type": "p", "path": "/shared/link/pipe", "major": 0, "minor": 0, "uid": 0, "gid": 0 }]);
            push_mount(&mut config, bind(&shared, "/shared", &["bind"]));
            push_mount(&mut config, json!({ "destination": "/shared/link/inner", "type": "tmpfs", "source": "tmpfs" }));
            push_mount(&mut config, bind(&file, "/shared/link/a/file", &["bind"]));
            created += u32::from(creates(&test, &config));
            outside.unchanged(&format!("round {round}"));
        }
    });
    println!("{created} were created");
}

/// CVE-2019-19921, CVE-2025-52881: writes of the runtime to /proc must go neither to a fake /proc of the image nor to
/// another file of the real one.
#[test]
fn sysctls_are_set_through_the_real_proc_whatever_the_image_has_there() {
    let test = TestRuntime::new();
    let read = || std::fs::read_to_string("/proc/sys/kernel/msgmax").unwrap();
    let before = read();
    for fake in ["directory", "symlink", "dangling"] {
        let mut config = shell("exec sleep 1000");
        config["linux"]["sysctl"] = json!({ "kernel.msgmax": "4321" });
        config["linux"]["maskedPaths"] = json!([]);
        config["linux"]["readonlyPaths"] = json!([]);
        config["mounts"].as_array_mut().unwrap().retain(|mount| mount["destination"] != "/proc");
        let bundle = test.bundle(&unique("fake"), &config);
        let proc = bundle.join("rootfs/proc");
        std::fs::remove_dir(&proc).unwrap();
        let real = match fake {
            "directory" => proc.clone(),
            _ => bundle.join("rootfs/opt/proc"),
        };
        match fake {
            "directory" => {}
            "symlink" => symlink("/opt/proc", &proc).unwrap(),
            _ => symlink("/nowhere", &proc).unwrap(),
        }
        std::fs::create_dir_all(real.join("sys/kernel")).unwrap();
        std::fs::write(real.join("sys/kernel/msgmax"), "untouched").unwrap();
        let config = Config::from_bundle(&bundle).unwrap();
        let container = Container::run(&test.runtime, &unique("fake"), &config, &quiet()).unwrap();
        assert_eq!(std::fs::read_to_string(real.join("sys/kernel/msgmax")).unwrap(), "untouched", "{fake}");
        let mut other = shell("cat /proc/sys/kernel/msgmax");
        join_namespace(&mut other, "ipc", proc_of(&container, "ns/ipc").to_str().unwrap());
        assert_eq!(test.stdout_of(&other), "4321\n", "{fake}");
        assert_eq!(read(), before, "{fake}");
        container.delete(Force::Kill).unwrap();
    }
}

/// CVE-2015-3630 and similar attacks: files of /proc that affect the whole host.
#[test]
fn no_file_of_proc_that_is_not_the_containers_own_can_be_written() {
    let script =
        "find /proc -xdev -type f ! -path '/proc/[0-9]*' ! -path '/proc/self/*' ! -path '/proc/thread-self/*' |
        while read -r f; do ( : >> $f ) 2>/dev/null && echo $f; done; true";
    let test = TestRuntime::new();
    let mut config = shell(script);
    set_capabilities(&mut config, &["CAP_CHOWN", "CAP_FOWNER", "CAP_NET_ADMIN"]);
    let text = test.stdout_of(&config);
    // These files belong to the container's own network namespace, or are pressure triggers, which a process may
    // create.
    let others = text.lines().filter(|path| !path.starts_with("/proc/net/") && !path.starts_with("/proc/pressure/"));
    assert_eq!(others.collect::<Vec<_>>(), Vec::<&str>::new());
}

/// GHSA-m8cg-xc2p-r3fc (CVE-2023-25809): without a cgroup namespace the cgroup mount shows the host's cgroups.
#[test]
fn in_a_user_namespace_without_a_cgroup_namespace_no_cgroup_file_can_be_written() {
    let test = TestRuntime::new();
    for options in [json!(["nosuid", "noexec", "nodev"]), json!(["nosuid", "rw"])] {
        let mut config = shell(
            "find /sys/fs/cgroup -type f | head -n 3000 | while read -r f; do ( : >> $f ) 2>/dev/null && echo $f; done
             mkdir /sys/fs/cgroup/mine 2>/dev/null && echo made; true",
        );
        with_user_namespace(&mut config);
        // A caller that owns the files on the host, like the user of a rootless runtime.
        for map in ["uidMappings", "gidMappings"] {
            config["linux"][map][0]["hostID"] = json!(0);
        }
        without_namespace(&mut config, "cgroup");
        config["mounts"].as_array_mut().unwrap().retain(|mount| mount["destination"] != "/sys/fs/cgroup");
        push_mount(
            &mut config,
            json!({ "destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": options }),
        );
        assert_eq!(test.stdout_of(&config), "");
    }
}

/// CVE-2021-43784: lengths that overflow.
#[test]
fn seventy_kilobytes_of_anything_are_exact_or_an_error() {
    let test = TestRuntime::new();
    let big = "x".repeat(70 << 10);
    let mut config = shell("printf %s \"$BIG\" | wc -c; printf %s \"$1\" | wc -c");
    config["process"]["env"] = json!(["PATH=/bin", format!("BIG={big}")]);
    config["process"]["args"].as_array_mut().unwrap().extend([json!("sh"), json!(big)]);
    for n in 0..1500 {
        let path = format!("/{}/{n}", "masked".repeat(8));
        config["linux"]["maskedPaths"].as_array_mut().unwrap().push(json!(path));
    }
    assert_eq!(test.stdout_of(&config), "71680\n71680\n");

    let maps = |count: u32| {
        (0..count).map(|n| json!({ "containerID": 2 * n, "hostID": 100_000 + 2 * n, "size": 1 })).collect::<Vec<_>>()
    };
    // The kernel accepts up to 340 lines and less than a page; 3000 lines are more than 50 KB.
    for (count, good) in [(200, true), (340, false), (341, false), (3000, false)] {
        let mut config = shell("cat /proc/self/uid_map | wc -l");
        with_namespace(&mut config, "user");
        config["linux"]["uidMappings"] = json!(maps(count));
        config["linux"]["gidMappings"] = json!(maps(count));
        config["mounts"].as_array_mut().unwrap().retain(|mount| mount["destination"] != "/dev/pts");
        let config = Config::from_json(&config.to_string(), Some(rootfs()));
        let run = config.and_then(|config| Container::run(&test.runtime, &unique("maps"), &config, &piped()));
        match run {
            Ok(container) => {
                assert!(good, "{count}");
                assert_eq!(read_all(&container.init_process().unwrap()), "200\n");
                container.delete(Force::Kill).unwrap();
            }
            Err(error) => assert!(!good && error.message.starts_with("linux.uidMappings: "), "{count}: {error}"),
        }
    }
    for place in ["/root/path", "/mounts/0/destination", "/process/cwd", "/linux/cgroupsPath"] {
        let mut config = shell("true");
        config["linux"]["cgroupsPath"] = json!("");
        *config.pointer_mut(place).unwrap() = json!(format!("/{big}"));
        let error = Config::from_json(&config.to_string(), None).unwrap_err();
        assert_eq!(error.code, Code::ConfigInvalid, "{place}: {error}");
        assert!(error.message.len() < 2000, "{place}");
    }
    assert!(test.runtime.ids().unwrap().is_empty());
}

/// CVE-2026-84042: annotations are untrusted and must change nothing.
#[test]
fn annotations_change_nothing() {
    let test = TestRuntime::new();
    let plain = explain(&test.config(&shell("true"))).unwrap();
    let mut seed = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = |below: u64| {
        // A random number generator (xorshift).
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % below
    };
    let names = [
        "run.oci.handler",
        "run.oci.systemd.force_cgroup_v1",
        "run.oci.seccomp_fail_unknown_syscall",
        "run.oci.mount_context_type",
        "run.oci.hooks.stdout",
        "run.oci.keep_original_groups",
        "org.criu.config",
        "io.containerd.rootless",
        "privileged",
        "io.kubernetes.cri.sandbox-id",
        "org.opencontainers.runc.exec.isolated",
        "com.example",
        "linux.seccomp",
        "noNewPrivileges",
        "container.apparmor.security.beta.kubernetes.io/app",
        "process.apparmorProfile",
    ];
    let values =
        ["true", "1", "", "/etc/passwd", "../../..", "{\"a\":1}", "unconfined", "krun", "\u{1b}[31m", "\u{202e}x", "0"];
    // Checks the attributes of the processes, not only the plan.
    let script = "grep -E '^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp)' /proc/self/status; cat /proc/self/limits
        cut -d' ' -f5,6 /proc/self/mountinfo; cat /proc/self/attr/current 2>/dev/null; env; id; true";
    let seen = |annotations: Value| {
        let mut config = shell(script);
        config["annotations"] = annotations;
        test.stdout_of(&config)
    };
    let all: serde_json::Map<_, _> = names.iter().map(|name| (name.to_string(), json!("unconfined"))).collect();
    assert_eq!(seen(Value::Object(all)), seen(json!({})));
    for _ in 0..200 {
        let mut config = shell("true");
        for _ in 0..=random(5) {
            let name = names[random(names.len() as u64) as usize];
            let name = if random(3) == 0 { format!("{name}.{}", random(1000)) } else { name.to_owned() };
            config["annotations"][name] = json!(values[random(values.len() as u64) as usize]);
        }
        assert_eq!(explain(&test.config(&config)).unwrap(), plain, "{}", config["annotations"]);
    }
}
