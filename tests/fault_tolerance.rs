//! Faults of the state root: full, read-only, damaged or tampered with; and containers that attack the runtime's own
//! files.

mod common;

use std::path::Path;
use std::time::{Duration, Instant};

use berth::spec::Config;
use berth::{Code, Container, ExitStatus, Force, Runtime, Settings, Status};
use common::*;
use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use serde_json::{Value, json};

fn main() {
    runner::main(
        &[
            ("a_full_disk_refuses_creation_and_lets_delete", || with_caller("full")),
            ("a_read_only_state_root_is_said_to_be_one", || with_caller("readonly")),
            ("a_damaged_record_does_not_keep_anybody_from_deleting", damaged_record),
            ("a_senseless_record_does_not_keep_a_forced_delete_from_cleaning_up", senseless_record),
            ("a_senseless_record_does_not_let_delete_kill_others", senseless_record_of_a_stopped_container),
            ("one_damaged_container_does_not_hide_the_others", damaged_container),
            ("a_file_of_others_does_not_lose_the_container", file_of_others),
            ("planted_symlinks_are_not_followed", planted),
            ("an_exec_fifo_that_is_none_is_refused", replaced_fifo),
            ("a_state_root_of_others_is_refused", wrong_permissions),
            ("a_waiting_init_holds_nothing_of_the_host", descriptors_of_init),
            ("the_image_cannot_be_overwritten_from_inside", overwrite),
            ("cgroups_that_are_mounted_elsewhere_meanwhile_are_found", || with_caller("remounted")),
            ("a_file_mounted_over_the_hosts_proc_is_not_written", || with_caller("overmounted")),
            ("a_host_that_forbids_memory_files_is_an_error_with_a_remedy", || with_caller("noexec")),
        ],
        &[
            ("full", full),
            ("readonly", readonly),
            ("remounted", remounted),
            ("overmounted", overmounted),
            ("noexec", noexec),
            ("noexec-inside", noexec_inside),
        ],
    );
}

fn with_caller(name: &str) {
    rootfs();
    let dir = tempfile::Builder::new().prefix("berth-test-").tempdir().unwrap();
    let (root, id) = (dir.path().join("state"), unique(name));
    std::fs::create_dir(&root).unwrap();
    std::fs::set_permissions(&root, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    print!("{}", runner::run(&mut runner::caller(name, &[root.to_str().unwrap(), &id])));
    leftovers::no_orphan_stays();
    leftovers::nothing_stays(&id, &root);
}

fn runtime(root: &Path) -> Runtime {
    Runtime::new(Settings { root: root.into(), ..Settings::default() }).unwrap()
}

fn load(config: &Value) -> Config {
    Config::from_json(&config.to_string(), Some(rootfs())).unwrap()
}

/// Unshares this process's mount namespace and mounts a tmpfs on the state root.
fn mounted(root: &str, options: &str) {
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).unwrap();
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_PRIVATE | MsFlags::MS_REC, None::<&str>).unwrap();
    mount(Some("none"), root, Some("tmpfs"), MsFlags::empty(), Some(options)).unwrap();
}

/// Leaves `free` pages on the tmpfs, and tries to run a container from create to delete.
fn full(args: &[String]) {
    mounted(&args[0], "size=256k,mode=700");
    let root = Path::new(&args[0]);
    let runtime = runtime(root);
    let page = vec![1u8; 4096];
    let (mut refused, mut good) = (0, 0);
    for free in 0..12 {
        let id = format!("{}-{free}", args[1]);
        let fill = root.join("fill");
        let mut written = 0;
        let mut file = std::fs::File::create(&fill).unwrap();
        while std::io::Write::write_all(&mut file, &page).is_ok() {
            written += 1;
        }
        file.set_len((written - free) * 4096).unwrap();
        match Container::create(&runtime, &id, &load(&shell("sleep 1000")), &quiet()) {
            Err(error) => {
                refused += 1;
                assert_eq!(error.errno, Some(Errno::ENOSPC), "{free} pages: {error}");
                assert_eq!(error.detail.get("cleanup"), None, "{free} pages: {error}");
                let left = std::fs::read_dir(runtime.root()).unwrap().map(|entry| entry.unwrap().file_name());
                assert_eq!(left.collect::<Vec<_>>(), ["fill"]);
                assert_eq!(leftovers::cgroups(&id), Vec::<std::path::PathBuf>::new());
                assert_eq!(leftovers::children(), Vec::<i32>::new());
            }
            Ok(container) => {
                good += 1;
                container.start().unwrap();
                while std::io::Write::write_all(&mut file, &page).is_ok() {}
                container.pause().unwrap();
                container.resume().unwrap();
                container.delete(Force::Kill).unwrap();
            }
        }
        std::fs::remove_file(&fill).unwrap();
    }
    assert!(refused > 0 && good > 0, "{refused} refused, {good} good");
}

fn readonly(args: &[String]) {
    mounted(&args[0], "mode=700");
    let runtime = runtime(Path::new(&args[0]));
    let container = Container::run(&runtime, &args[1], &load(&shell("sleep 1000")), &quiet()).unwrap();
    let remount =
        |flags| mount(None::<&str>, args[0].as_str(), None::<&str>, MsFlags::MS_REMOUNT | flags, Some("mode=700"));
    remount(MsFlags::MS_RDONLY).unwrap();
    let error = Container::create(&runtime, "another", &load(&shell("")), &quiet()).unwrap_err();
    assert_eq!((error.code, error.errno), (Code::System, Some(Errno::EROFS)), "{error}");
    assert!(error.message.contains("another"), "{error}");
    assert_eq!(container.status().unwrap(), Status::Running);
    let error = container.delete(Force::Kill).unwrap_err();
    assert_eq!(error.errno, Some(Errno::EROFS), "{error}");
    assert_eq!(leftovers::cgroups(&args[1]), Vec::<std::path::PathBuf>::new(), "the processes are gone all the same");
    remount(MsFlags::empty()).unwrap();
    container.delete(Force::Kill).unwrap();
}

/// The library caches the mount table between containers, but must notice when it changes.
fn remounted(args: &[String]) {
    mounted(&args[0], "mode=700");
    let root = Path::new(&args[0]);
    std::fs::create_dir(root.join("elsewhere")).unwrap();
    let runtime = runtime(&root.join("state"));
    let shown_elsewhere = |number: u32| {
        let id = format!("{}-{number}", args[1]);
        let container = Container::create(&runtime, &id, &load(&shell("sleep 1000")), &quiet()).unwrap();
        let shown = container.state_json().unwrap().contains("/elsewhere/");
        container.delete(Force::Kill).unwrap();
        shown
    };
    assert!(!shown_elsewhere(1));
    mount(Some("none"), &root.join("elsewhere"), Some("cgroup2"), MsFlags::empty(), None::<&str>).unwrap();
    mount(Some("none"), "/sys/fs/cgroup", Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
    assert!(shown_elsewhere(2));
}

/// CVE-2019-16884, CVE-2025-52881: a write to a file of procfs must not go to another file that is mounted over it.
fn overmounted(args: &[String]) {
    mounted(&args[0], "mode=700");
    let root = Path::new(&args[0]);
    let fake = root.join("fake");
    std::fs::write(&fake, "untouched").unwrap();
    // kernel/domainname, because sysctls of IPC and network namespaces get new entries in a new namespace, over which
    // nothing can be mounted yet.
    mount(Some(&fake), "/proc/sys/kernel/domainname", None::<&str>, MsFlags::MS_BIND, None::<&str>).unwrap();
    let runtime = runtime(&root.join("state"));
    let mut config = shell("exit 0");
    config["linux"]["sysctl"] = json!({ "kernel.domainname": "example" });
    let error = Container::run(&runtime, &args[1], &load(&config), &quiet()).unwrap_err();
    assert_eq!((error.errno, error.stage), (Some(Errno::EPROTO), berth::Stage::Init), "{error}");
    assert!(error.message.contains("kernel/domainname"), "{error}");
    assert_eq!(std::fs::read_to_string(&fake).unwrap(), "untouched");
    // Another sysctl, with nothing mounted over it, works.
    config["linux"]["sysctl"] = json!({ "kernel.msgmnb": "4321" });
    config["process"]["args"][2] = json!("cat /proc/sys/kernel/msgmnb");
    let container = Container::run(&runtime, &args[1], &load(&config), &piped()).unwrap();
    assert_eq!(read_all(&container.init_process().unwrap()), "4321\n");
    container.delete(Force::Kill).unwrap();
}

fn damaged_record() {
    let texts = ["", "{\"version\":1,", "null", "\0\0\0\0", "{\"version\":1}", "[]"];
    for (index, text) in texts.iter().enumerate() {
        let test = TestRuntime::new();
        let mut config = shell("sleep 1000");
        let id = unique("torn");
        if index % 2 == 0 {
            // An empty path counts as none.
            let path = if index == 2 { String::new() } else { format!("/berth-other-{id}") };
            config["linux"]["cgroupsPath"] = json!(path);
        }
        let container = Container::run(&test.runtime, &id, &test.config(&config), &quiet()).unwrap();
        let directory = test.runtime.root().join(&id);
        std::fs::write(directory.join("state.json"), text).unwrap();
        if index % 2 == 1 {
            std::fs::remove_file(directory.join("config.json")).unwrap();
        }
        drop(container);
        let container = test.runtime.load(&id).unwrap();
        let error = container.status().unwrap_err();
        assert!(error.message.contains("state.json is damaged"), "{error}");
        assert_eq!(container.delete(Force::No).unwrap_err().message, error.message);
        container.delete(Force::Kill).unwrap();
        assert_eq!(test.runtime.load(&id).unwrap_err().code, Code::NotFound);
        leftovers::no_orphan_stays();
        leftovers::nothing_stays(&id, test.runtime.root());
    }
}

/// The record can be read, but somebody has changed it.
fn senseless_record() {
    let pair =
        json!({ "name": "eth0", "host_name": "x".repeat(70_000), "host_mac": [2, 0, 0, 0, 0, 1], "hairpin": false });
    let group = |path: &str| json!({ "root": "/tmp", "path": path, "removal": "always" });
    let changes: [(&str, serde_json::Value); 12] = [
        ("/id", json!("other")),
        ("/cgroup/paths", json!({})),
        ("/cgroup/paths", json!({ "": "/" })),
        ("/cgroup/paths", json!({ "memory": "relative", "": "/tmp" })),
        ("/cgroup/made", json!(["/sys/fs/cgroup/../../../tmp/x"])),
        ("/init/pid", json!(1)),
        ("/init/pid", json!(-1)),
        ("/version", json!(2)),
        ("/phase", json!("deleting")),
        ("/network", json!({ "pairs": [pair], "devices": [] })),
        ("/resctrl", group("/tmp")),
        ("/resctrl", group("/tmp/../tmp")),
    ];
    for (path, value) in changes {
        let test = TestRuntime::new();
        let id = unique("senseless");
        let container = Container::run(&test.runtime, &id, &test.config(&shell("sleep 1000")), &quiet()).unwrap();
        drop(container);
        let file = test.runtime.root().join(&id).join("state.json");
        let mut record: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
        match record.pointer_mut(path) {
            Some(place) => *place = value.clone(),
            None => record[&path[1..]] = value.clone(), // an optional member
        }
        std::fs::write(&file, record.to_string()).unwrap();
        let deleted = test.runtime.load(&id).unwrap().delete(Force::Kill);
        deleted.unwrap_or_else(|error| panic!("{path} {value}: {error}"));
        leftovers::no_orphan_stays();
        leftovers::nothing_stays(&id, test.runtime.root());
    }
}

/// The record of a stopped container names the cgroup of another process.
fn senseless_record_of_a_stopped_container() {
    let test = TestRuntime::new();
    let other = test.run(&shell("sleep 1000"), &quiet()).unwrap();
    let paths = leftovers::cgroups(other.id());
    let container = test.run(&shell("exit 0"), &quiet()).unwrap();
    container.wait(LONG).unwrap();
    let file = test.runtime.root().join(container.id()).join("state.json");
    let text = std::fs::read_to_string(&file).unwrap();
    let mut record: Value = serde_json::from_str(&text).unwrap();
    record["id"] = json!(other.id());
    for path in record["cgroup"]["paths"].as_object_mut().unwrap().values_mut() {
        *path = json!(path.as_str().unwrap().replace(container.id(), other.id()));
        assert!(paths.iter().any(|known| Some(known.as_path()) == path.as_str().map(Path::new)), "{path} {paths:?}");
    }
    std::fs::write(&file, record.to_string()).unwrap();
    let container = test.runtime.load(container.id()).unwrap();
    for force in [Force::No, Force::Created] {
        let error = container.delete(force).unwrap_err();
        assert!(error.message.contains("the record is container"), "{error}");
    }
    assert_eq!(other.status().unwrap(), Status::Running);
    container.delete(Force::Kill).unwrap();
    assert_eq!(other.status().unwrap(), Status::Running);
    other.delete(Force::Kill).unwrap();
}

fn damaged_container() {
    let test = TestRuntime::new();
    let good = test.run(&shell("sleep 1000"), &quiet()).unwrap();
    for (name, text) in [("a-damaged", "{"), ("z-damaged", "")] {
        std::fs::create_dir(test.runtime.root().join(name)).unwrap();
        std::fs::write(test.runtime.root().join(name).join("state.json"), text).unwrap();
    }
    std::fs::write(test.runtime.root().join("m-file"), "").unwrap();
    std::os::unix::fs::symlink("/tmp", test.runtime.root().join("m-link")).unwrap();
    let foreign = test.runtime.root().join("m-foreign");
    std::fs::create_dir(&foreign).unwrap();
    std::fs::write(foreign.join("file"), "mine").unwrap();
    let abandoned = test.runtime.root().join("b-abandoned");
    std::fs::create_dir(&abandoned).unwrap();
    std::fs::write(abandoned.join("config.json"), "{").unwrap();

    let expected = ["a-damaged", "b-abandoned", good.id(), "z-damaged"];
    assert_eq!(test.runtime.ids().unwrap(), expected, "files and directories of others are no containers");
    let ids: Vec<String> = test.runtime.list().unwrap().iter().map(|container| container.id().to_owned()).collect();
    assert_eq!(ids, expected);
    let states: serde_json::Value = serde_json::from_str(&test.runtime.states_json().unwrap()).unwrap();
    let statuses: Vec<&str> =
        states.as_array().unwrap().iter().map(|state| state["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["unknown", "stopped", "running", "unknown"]);
    for (index, id) in [(0, "a-damaged"), (3, "z-damaged")] {
        assert_eq!(states[index]["id"], id);
        assert!(states[index]["error"].as_str().unwrap().contains(&format!("{id}/state.json is damaged")), "{states}");
    }

    assert_eq!(test.runtime.recover().unwrap(), ["b-abandoned"]);
    assert!(!abandoned.exists());
    assert_eq!(good.status().unwrap(), Status::Running);
    assert_eq!(test.runtime.load("m-foreign").unwrap_err().code, Code::NotFound);
    assert_eq!(std::fs::read_to_string(foreign.join("file")).unwrap(), "mine");
}

fn file_of_others() {
    let test = TestRuntime::new();
    let container = test.run(&shell("sleep 1000"), &quiet()).unwrap();
    let (id, directory) = (container.id().to_owned(), test.runtime.root().join(container.id()));
    std::fs::write(directory.join("notes"), "mine").unwrap();
    for _ in 0..2 {
        let error = test.runtime.load(&id).unwrap().delete(Force::Kill).unwrap_err();
        assert_eq!((error.code, error.errno), (Code::System, Some(Errno::ENOTEMPTY)), "{error}");
        assert!(error.message.contains(directory.join("notes").to_str().unwrap()), "{error}");
        assert_eq!(test.runtime.ids().unwrap(), [id.as_str()]);
    }
    assert_eq!(std::fs::read_to_string(directory.join("notes")).unwrap(), "mine");
    std::fs::remove_file(directory.join("notes")).unwrap();
    test.runtime.load(&id).unwrap().delete(Force::No).unwrap();
    assert!(!directory.exists());
}

fn planted() {
    let test = TestRuntime::new();
    let victim = tempfile::tempdir().unwrap();
    std::fs::write(victim.path().join("state.json"), "mine").unwrap();
    std::os::unix::fs::symlink(victim.path(), test.runtime.root().join("linked")).unwrap();
    assert!(matches!(test.runtime.load("linked").unwrap_err().errno, Some(Errno::ELOOP | Errno::ENOTDIR)));
    let error = Container::create(&test.runtime, "linked", &test.config(&shell("")), &quiet()).unwrap_err();
    assert_eq!(error.code, Code::IdInUse);

    for name in ["state.json", "state.json.new", "config.json", "exec.fifo"] {
        let container = test.create(&shell("sleep 1000"), &quiet()).unwrap();
        let directory = test.runtime.root().join(container.id());
        let target = victim.path().join("target");
        std::fs::write(&target, "untouched").unwrap();
        let _ = std::fs::remove_file(directory.join(name));
        std::os::unix::fs::symlink(&target, directory.join(name)).unwrap();
        for result in [container.start(), container.pause(), container.resume()] {
            let _ = result;
        }
        container.delete(Force::Kill).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "untouched", "{name}");
        leftovers::nothing_stays(container.id(), &test.runtime.root().join("nothing/here"));
    }
    std::fs::remove_file(test.runtime.root().join("linked")).unwrap();
    assert_eq!(std::fs::read_to_string(victim.path().join("state.json")).unwrap(), "mine");
    leftovers::no_orphan_stays();
}

fn replaced_fifo() {
    let test = TestRuntime::new();
    let container = test.create(&shell("sleep 1000"), &quiet()).unwrap();
    let fifo = test.runtime.root().join(container.id()).join("exec.fifo");
    let kept = fifo.with_extension("kept");
    std::fs::rename(&fifo, &kept).unwrap();
    std::fs::write(&fifo, vec![7u8; 4096]).unwrap();
    let error = container.start().unwrap_err();
    assert!(error.message.contains("exec.fifo is not a FIFO"), "{error}");
    assert_eq!(container.status().unwrap(), Status::Created);
    std::fs::rename(&kept, &fifo).unwrap();
    container.start().unwrap();
    container.delete(Force::Kill).unwrap();
}

fn wrong_permissions() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("state");
    std::fs::create_dir(&root).unwrap();
    let open = || Runtime::new(Settings { root: root.clone(), ..Settings::default() });
    for mode in [0o720, 0o702, 0o777] {
        std::fs::set_permissions(&root, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        let error = open().unwrap_err();
        assert!(error.errno == Some(Errno::EACCES), "{error}");
        assert!(error.message.contains(&format!("{mode:04o}")), "{error}");
    }
    std::fs::set_permissions(&root, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    std::os::unix::fs::chown(&root, Some(1000), None).unwrap();
    assert_eq!(open().unwrap_err().errno, Some(Errno::EACCES));
}

/// An init that waits for start has three kinds of open descriptors: its standard streams, and the fifo and procfs as
/// O_PATH descriptors. A container that shares the host's pid namespace can open them in /proc.
fn descriptors_of_init() {
    let test = TestRuntime::new();
    for user_namespace in [false, true] {
        let mut config = shell("sleep 1000");
        if user_namespace {
            config["linux"]["namespaces"].as_array_mut().unwrap().push(json!({ "type": "user" }));
            let map = json!([{ "containerID": 0, "hostID": 0, "size": 65536 }]);
            config["linux"]["uidMappings"] = map.clone();
            config["linux"]["gidMappings"] = map;
        }
        // A descriptor that the caller leaks: it has no close-on-exec flag.
        // SAFETY: the path is a string.
        let leaked = unsafe { libc::open(c"/etc".as_ptr(), libc::O_RDONLY | libc::O_DIRECTORY) };
        let container = test.create(&config, &quiet()).unwrap();
        // SAFETY: the descriptor is this test's own.
        unsafe { libc::close(leaked) };
        let pid = container.init_process().unwrap().pid();
        // When create returns, init may not have opened the fifo yet.
        let deadline = Instant::now() + Duration::from_secs(60);
        while !std::fs::read_to_string(format!("/proc/{pid}/wchan")).unwrap().contains("wait_for_partner") {
            if Instant::now() > deadline {
                println!("this kernel does not tell where a process waits");
                break;
            }
        }
        let mut more = Vec::new();
        for entry in std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten() {
            let fd: i32 = entry.file_name().to_str().unwrap().parse().unwrap();
            let target = std::fs::read_link(entry.path()).unwrap().display().to_string();
            let info = std::fs::read_to_string(format!("/proc/{pid}/fdinfo/{fd}")).unwrap();
            let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap();
            let flags = i32::from_str_radix(flags.trim(), 8).unwrap();
            match fd {
                0..=2 => assert_eq!(target, "/dev/null"),
                _ => {
                    assert!(flags & libc::O_PATH != 0 && flags & libc::O_CLOEXEC != 0, "{fd} {target} {flags:o}");
                    more.push(target);
                }
            }
        }
        more.sort();
        assert_eq!(more.len(), 2, "{more:?}");
        assert!(more.iter().any(|target| target.ends_with("exec.fifo")), "{more:?}");
        container.delete(Force::Kill).unwrap();
    }
}

/// CVE-2019-5736: a container can reach berth-init through /proc/<pid>/exe of a process that is being executed.
fn overwrite() {
    let test = TestRuntime::new();
    let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    let script = tempfile::tempdir().unwrap();
    let path = script.path().join("self");
    std::fs::write(&path, "#!/proc/self/exe\n").unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut config = shell(
        "while :; do for exe in /proc/[0-9]*/exe; do \
         case $(readlink $exe) in *berth-init*) echo $(readlink $exe); { echo overwritten > $exe; } 2>/dev/null && echo DONE;; esac; \
         done; done",
    );
    let all = json!(["CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE", "CAP_SYS_ADMIN", "CAP_KILL"]);
    for set in ["bounding", "effective", "permitted"] {
        config["process"]["capabilities"][set] = all.clone();
    }
    config["linux"]["namespaces"].as_array_mut().unwrap().retain(|namespace| namespace["type"] != "pid");
    config["mounts"].as_array_mut().unwrap().push(json!({
        "destination": "/script", "type": "bind", "source": script.path(), "options": ["bind"]
    }));
    let container = test.run(&config, &piped()).unwrap();
    let process = |args: Value| {
        serde_json::from_value(
            json!({ "cwd": "/", "args": args, "env": ["PATH=/bin"], "user": { "uid": 0, "gid": 0 } }),
        )
        .unwrap()
    };
    for _ in 0..10 {
        for args in [json!(["/proc/self/exe"]), json!(["/script/self"]), json!(["true"])] {
            if let Ok(process) = container.exec(&process(args), &quiet()) {
                let status = process.wait(LONG).unwrap();
                assert!(matches!(status, ExitStatus::Exited(0 | 125)), "{status:?}");
            }
        }
        let waiting = test.create(&shell(""), &quiet()).unwrap();
        waiting.delete(Force::Kill).unwrap();
    }
    container.signal(libc::SIGKILL, berth::Recipients::All).unwrap();
    let text = read_all(&container.init_process().unwrap());
    println!(
        "berth-init was seen {} times from inside",
        text.lines().filter(|line| line.contains("berth-init")).count()
    );
    assert!(!text.contains("DONE"), "{text}");
    container.delete(Force::Kill).unwrap();
    // The next container executes the same berth-init.
    assert_eq!(test.stdout_of(&shell("echo whole")), "whole\n");
    assert_eq!(std::fs::read(std::env::current_exe().unwrap()).unwrap(), own);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "#!/proc/self/exe\n");
}

/// vm.memfd_noexec belongs to a pid namespace.
fn noexec(args: &[String]) {
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWPID | nix::sched::CloneFlags::CLONE_NEWNS).unwrap();
    // After unshare(CLONE_NEWPID) this process cannot create threads, so nobody can read a pipe: the child inherits
    // standard output.
    assert!(runner::start(&mut runner::caller("noexec-inside", &[&args[0], &args[1]])).end().success());
}

fn noexec_inside(args: &[String]) {
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_PRIVATE | MsFlags::MS_REC, None::<&str>).unwrap();
    mount(Some("proc"), "/proc", Some("proc"), MsFlags::empty(), None::<&str>).unwrap();
    if std::fs::write("/proc/sys/vm/memfd_noexec", "2").is_err() {
        println!("this kernel has no vm.memfd_noexec for a pid namespace");
        return;
    }
    let runtime = runtime(Path::new(&args[0]));
    match Container::run(&runtime, &args[1], &load(&shell("exit 3")), &quiet()) {
        Ok(container) => {
            // An installed berth-init is used instead.
            assert_eq!(container.wait(LONG).unwrap(), ExitStatus::Exited(3));
            container.delete(Force::No).unwrap();
        }
        Err(error) => {
            assert!(error.message.contains("berth-init") && error.message.contains("vm.memfd_noexec"), "{error}");
            assert_eq!(runtime.ids().unwrap(), Vec::<String>::new());
        }
    }
}
