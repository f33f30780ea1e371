//! Older kernels and strict sandboxes: a seccomp filter on the caller process makes system calls fail with ENOSYS or
//! EPERM.

mod common;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use berth::spec::Config;
use berth::{Code, Container, ExitStatus, Force, ProcessOptions, Recipients, Runtime, Settings, Status};
use common::*;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde_json::{Value, json};

fn main() {
    runner::main(
        &[
            ("mounts_without_mount_setattr", || with_caller("mounts", &["ENOSYS", "EPERM"])),
            ("flags_of_mounts_without_mount_setattr", || with_caller("flags", &["ENOSYS", "EPERM"])),
            ("nosymfollow_without_that_flag_of_fsmount", || with_caller("unfollowed", &["EINVAL"])),
            ("mounts_of_a_user_namespace_without_mount_setattr", || with_caller("user", &["ENOSYS", "EPERM"])),
            ("a_recursive_attribute_without_mount_setattr_is_an_error", || {
                with_caller("recursive", &["ENOSYS", "EPERM"])
            }),
            ("id_mappings_of_mounts_without_mount_setattr_are_unsupported", || with_caller("id_mapped", &["ENOSYS"])),
            ("a_consumed_status_is_not_invented", || with_caller("taken", &["ENOTTY", "ENOSYS", "EPERM"])),
            ("a_discarded_status_is_not_invented", || with_caller("ignored", &["ENOTTY", "EPERM"])),
            ("a_status_is_left_for_every_handle_of_the_process", || with_caller("shared", &["ENOTTY"])),
            ("memory_files_without_mfd_exec", || with_caller("memory", &["EINVAL"])),
            ("device_rules_are_left_out_only_where_no_device_can_be_made", || with_caller("devices", &["EPERM"])),
            ("a_caller_with_room_for_one_more_process", narrow_caller),
            ("a_network_namespace_that_is_forbidden_is_named", || with_caller("offline", &["EPERM"])),
            ("a_call_that_init_may_not_make_before_its_steps_is_named", || {
                for name in ["closing", "duplicating", "dumpable", "examining"] {
                    with_caller(name, &["EPERM"]);
                }
            }),
            ("an_exec_fifo_that_init_may_not_open_is_named", || with_caller("fifo", &["EPERM"])),
            ("a_refused_getrandom_is_an_error", || with_caller("random", &["EIO"])),
            ("the_procfs_of_another_pid_namespace_is_named", || with_caller("foreign", &["EPERM"])),
            ("standard_streams_that_cannot_be_examined_are_left", || with_caller("streams", &["EPERM"])),
            ("cgroups_without_openat2", || with_caller("openat2", &["ENOSYS", "EPERM"])),
        ],
        &[
            ("mounts", mounts),
            ("flags", flags),
            ("unfollowed", unfollowed),
            ("user", mounts_in_user_namespace),
            ("recursive", recursive),
            ("id_mapped", id_mapped),
            ("taken", taken),
            ("ignored", ignored),
            ("shared", shared),
            ("memory", memory),
            ("closing", |args| {
                unprepared(args, libc::SYS_close_range, When::Always, "close_range");
            }),
            ("duplicating", |args| unprepared(args, libc::SYS_dup3, When::Always, "dup3")),
            ("dumpable", |args| {
                unprepared(args, libc::SYS_prctl, When::Is(0, libc::PR_SET_DUMPABLE as u32), "prctl(PR_SET_DUMPABLE)");
            }),
            ("examining", |args| {
                unprepared(args, libc::SYS_statx, When::Is(3, libc::STATX_BASIC_STATS), "statx of the plan");
            }),
            ("fifo", fifo),
            ("random", random),
            ("foreign", foreign),
            ("inside", inside),
            ("streams", streams),
            ("openat2", openat2),
            ("narrow", narrow),
            ("offline", offline),
            ("devices", devices),
        ],
    );
}

fn with_caller(name: &str, errnos: &[&str]) {
    for errno in errnos {
        print!("{}", run_caller(name, &[errno]));
    }
}

enum When {
    Always,
    /// The low half of the argument with this index equals this value.
    Is(u32, u32),
    /// The argument has these bits set.
    Has(u32, u32),
}

/// Makes a system call fail with the errno in this process and its future children.
fn forbid(call: libc::c_long, when: When, errno: &str) {
    let errno = match errno {
        "EPERM" => libc::EPERM,
        "EIO" => libc::EIO,
        "EINVAL" => libc::EINVAL,
        "ENOTTY" => libc::ENOTTY,
        _ => libc::ENOSYS,
    };
    let instruction = |code: u32, jt, jf, k| libc::sock_filter { code: code as u16, jt, jf, k };
    let load = |offset| instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, offset);
    let jump = |kind, k, otherwise| instruction(libc::BPF_JMP | kind | libc::BPF_K, 0, otherwise, k);
    let answer = |value| instruction(libc::BPF_RET | libc::BPF_K, 0, 0, value);
    // Offsets in struct seccomp_data: nr, arch, instruction pointer, six arguments.
    let argument = |index: u32| load(16 + 8 * index);
    let mut program = vec![load(0)];
    match when {
        When::Always => program.push(jump(libc::BPF_JEQ, call as u32, 1)),
        When::Is(index, value) => {
            program.extend([jump(libc::BPF_JEQ, call as u32, 3), argument(index), jump(libc::BPF_JEQ, value, 1)]);
        }
        When::Has(index, bits) => {
            program.extend([jump(libc::BPF_JEQ, call as u32, 3), argument(index), jump(libc::BPF_JSET, bits, 1)]);
        }
    }
    program.extend([answer(libc::SECCOMP_RET_ERRNO | errno as u32), answer(libc::SECCOMP_RET_ALLOW)]);
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: the filter is valid for the call.
    let result = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &filter) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}

/// Runs a container until it stops, and returns its output.
fn output(args: &[String], config: &Value) -> String {
    let runtime = runtime_of(args);
    let container = Container::run(&runtime, &args[1], &load_config(config), &piped())
        .unwrap_or_else(|error| panic!("{error} {:?}", error.detail));
    let text = read_all(&container.init_process().unwrap());
    container.wait(LONG).unwrap();
    container.delete(Force::No).unwrap();
    text
}

/// A configuration with a read-only bind mount, a read-only path and a read-only root.
fn read_only(args: &[String]) -> Value {
    let source = std::path::Path::new(&args[0]).parent().unwrap().join("source");
    std::fs::create_dir(&source).unwrap();
    std::os::unix::fs::chown(&source, Some(0), Some(0)).unwrap();
    std::fs::set_permissions(source.parent().unwrap(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut config = shell(
        "for place in /bound /tmp /dev/shm /proc/sys/kernel; do touch $place/x 2>/dev/null && echo \"$place is writable\"; done; \
         echo x 2>/dev/null > /proc/sys/kernel/domainname && echo 'sysctl is writable'; \
         grep -E ' (/bound|/proc/sys|/|/proc/kcore) ' /proc/self/mounts | cut -d' ' -f2,4 | sort",
    );
    config["root"]["readonly"] = json!(true);
    config["mounts"].as_array_mut().unwrap().push(json!({
        "destination": "/bound", "type": "bind", "source": source, "options": ["bind", "ro", "nosuid", "noexec"]
    }));
    config["mounts"].as_array_mut().unwrap().push(json!({
        "destination": "/writable", "type": "bind", "source": source, "options": ["bind", "nodev"]
    }));
    config
}

fn check_read_only(text: &str) {
    let lines: Vec<&str> = text.lines().filter(|line| !line.contains("/dev/shm is writable")).collect();
    assert!(
        !text.contains("/bound is")
            && !text.contains("/tmp is")
            && !text.contains("sysctl is")
            && !text.contains("/proc/sys/"),
        "{text}"
    );
    let has = |point: &str, options: &[&str]| {
        let line = lines
            .iter()
            .find(|line| line.split(' ').next() == Some(point))
            .unwrap_or_else(|| panic!("{point}: {text}"));
        let found: Vec<&str> = line.split(' ').nth(1).unwrap().split(',').collect();
        assert!(options.iter().all(|option| found.contains(option)), "{line}");
    };
    has("/", &["ro"]);
    has("/bound", &["ro", "nosuid", "noexec"]);
    has("/proc/sys", &["ro"]);
}

fn mounts(args: &[String]) {
    let config = read_only(args);
    forbid(libc::SYS_mount_setattr, When::Always, &args[2]);
    check_read_only(&output(args, &config));
}

/// mount(2) replaces all flags, and chooses a setting of access times if none is given.
fn flags(args: &[String]) {
    const CASES: [(&str, &str, &str); 4] = [
        ("noatime", "relatime", "rw,relatime"),
        ("noatime", "nosuid", "rw,nosuid,noatime"),
        ("strictatime", "nodiratime", "rw,nodiratime"),
        ("nosymfollow", "ro", "ro,relatime,nosymfollow"),
    ];
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).unwrap();
    let private = nix::mount::MsFlags::MS_REC | nix::mount::MsFlags::MS_PRIVATE;
    nix::mount::mount(None::<&str>, "/", None::<&str>, private, None::<&str>).unwrap();
    let mut config = shell(TABLE);
    for (index, (source, option, _)) in CASES.iter().enumerate() {
        let dir = Path::new(&args[0]).with_file_name(format!("source{index}"));
        std::fs::create_dir(&dir).unwrap();
        let mut mount = std::process::Command::new("mount");
        assert!(mount.args(["-t", "tmpfs", "-o", source, "tmpfs"]).arg(&dir).status().unwrap().success());
        push_mount(&mut config, bind(&dir, &format!("/dev/shm/{index}"), &["bind", option]));
    }
    forbid(libc::SYS_mount_setattr, When::Always, &args[2]);
    let table = output(args, &config);
    for (index, (source, option, expected)) in CASES.iter().enumerate() {
        let found = mounted(&table, &format!("/dev/shm/{index}")).options.join(",");
        assert_eq!(found, *expected, "{source}, then {option}");
    }
}

fn unfollowed(args: &[String]) {
    const MOUNT_ATTR_NOSYMFOLLOW: u32 = 0x0020_0000;
    let mut config = shell(TABLE);
    push_mount(
        &mut config,
        json!({ "destination": "/mnt", "type": "tmpfs", "source": "tmpfs", "options": ["nosymfollow", "noatime", "size=1m"] }),
    );
    forbid(libc::SYS_fsmount, When::Has(2, MOUNT_ATTR_NOSYMFOLLOW), &args[2]);
    let found = mounted(&output(args, &config), "/mnt");
    assert_eq!(found.options.join(","), "rw,noatime,nosymfollow");
    assert!(found.super_options.iter().any(|option| option == "size=1024k"), "{:?}", found.super_options);
}

fn mounts_in_user_namespace(args: &[String]) {
    let mut config = read_only(args);
    config["linux"]["namespaces"].as_array_mut().unwrap().push(json!({ "type": "user" }));
    let map = json!([{ "containerID": 0, "hostID": 0, "size": 65536 }]);
    config["linux"]["uidMappings"] = map.clone();
    config["linux"]["gidMappings"] = map;
    forbid(libc::SYS_mount_setattr, When::Always, &args[2]);
    check_read_only(&output(args, &config));
}

/// Without the call it is refused before anything is created; a filter's refusal is init's to report.
fn recursive(args: &[String]) {
    let mut config = read_only(args);
    config["mounts"].as_array_mut().unwrap().push(json!({
        "destination": "/all", "type": "bind", "source": "/proc/sys", "options": ["rbind", "rro"]
    }));
    forbid(libc::SYS_mount_setattr, When::Always, &args[2]);
    let error = Container::create(&runtime_of(args), &args[1], &load_config(&config), &quiet()).unwrap_err();
    if args[2] == "ENOSYS" {
        return check_unsupported(&error, &format!("{}.options", last_mount(&config)), "recursive attributes");
    }
    assert!(error.code == Code::System && error.message.contains("/all"), "{error}");
    assert_eq!(error.errno, Some(nix::errno::Errno::EPERM), "{error}");
    assert!(error.message.contains("(mount_setattr)"), "{error}");
}

fn id_mapped(args: &[String]) {
    let mut config = read_only(args);
    let map = json!([{ "containerID": 0, "hostID": 1000, "size": 10 }]);
    config["mounts"].as_array_mut().unwrap().push(json!({
        "destination": "/mnt", "type": "bind", "source": "/proc/sys", "options": ["bind", "idmap"], "uidMappings": map,
        "gidMappings": map
    }));
    forbid(libc::SYS_mount_setattr, When::Always, &args[2]);
    let error = Container::create(&runtime_of(args), &args[1], &load_config(&config), &quiet()).unwrap_err();
    check_unsupported(&error, &last_mount(&config), "id mappings of mounts");

    config["mounts"].as_array_mut().unwrap().pop();
    config["linux"]["namespaces"].as_array_mut().unwrap().push(json!({ "type": "user" }));
    config["linux"]["uidMappings"] = json!([{ "containerID": 0, "hostID": 0, "size": 65536 }]);
    config["linux"]["gidMappings"] = config["linux"]["uidMappings"].clone();
    let mut settings = Settings { root: args[0].clone().into(), ..Settings::default() };
    settings.root_options.id_mapped = true;
    let runtime = Runtime::new(settings).unwrap();
    let error = Container::create(&runtime, &args[1], &load_config(&config), &quiet()).unwrap_err();
    check_unsupported(&error, "root", "id-mapped root filesystems");
    assert!(runtime.ids().unwrap().is_empty());
}

fn last_mount(config: &Value) -> String {
    format!("mounts[{}]", config["mounts"].as_array().unwrap().len() - 1)
}

/// The error names the field, what it needs and since when Linux has that, and the running kernel.
fn check_unsupported(error: &berth::Error, path: &str, what: &str) {
    assert_eq!((error.code, error.errno), (Code::Unsupported, Some(nix::errno::Errno::ENOSYS)), "{error}");
    assert_eq!(error.detail["json_path"], path);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let expected = format!(
        "{path}: {what} need mount_setattr(2), which Linux has since 5.12 and this kernel, {}, does not have",
        kernel.trim()
    );
    assert_eq!(error.message, expected);
}

/// A call that berth-init makes before the first step fails.
fn unprepared(args: &[String], call: libc::c_long, when: When, name: &str) {
    let (runtime, config) = (runtime_of(args), shell_config("true"));
    forbid(call, when, &args[2]);
    let error = Container::create(&runtime, &args[1], &config, &quiet()).err().unwrap();
    assert_eq!(error.message, format!("preparing berth-init: {name}: operation not permitted"));
    assert_eq!((error.errno, error.stage), (Some(nix::errno::Errno::EPERM), berth::Stage::Init));
}

/// Init reports this before the container is created: afterwards it could only exit.
fn fifo(args: &[String]) {
    let (runtime, config) = (runtime_of(args), shell_config("true"));
    let flags = libc::O_WRONLY | libc::O_NONBLOCK | libc::O_CLOEXEC;
    forbid(libc::SYS_openat, When::Is(2, flags as u32), &args[2]);
    let error = Container::create(&runtime, &args[1], &config, &quiet()).err().unwrap();
    assert!(error.message.contains(": operation not permitted (openat of exec.fifo)"), "{error}");
    assert_eq!((error.errno, error.stage), (Some(nix::errno::Errno::EPERM), berth::Stage::Init));
}

fn random(args: &[String]) {
    let config = shell("true").to_string();
    forbid(libc::SYS_getrandom, When::Always, &args[2]);
    let mut byte = 0_u8;
    // SAFETY: the buffer has one byte.
    if unsafe { libc::getrandom((&raw mut byte).cast(), 1, 0) } == 1 {
        // glibc 2.41 on Linux 6.11 and newer.
        return println!("SKIPPED: random numbers come from the vDSO, without a system call");
    }
    let error = Config::from_json(&config, Some(rootfs())).unwrap_err();
    assert_eq!(error.message, "getting random numbers with getrandom: i/O error");
}

/// Runs a caller in a new pid namespace, with the procfs of the old one.
fn foreign(args: &[String]) {
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWPID).unwrap();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    // Not with `run`, whose threads cannot be in the new namespace.
    let ended = runner::caller("inside", &args).output().unwrap();
    assert!(ended.status.success(), "{ended:?}");
}

fn inside(args: &[String]) {
    let config = shell_config("true");
    let error = Runtime::new(Settings { root: args[0].as_str().into(), ..Settings::default() })
        .and_then(|runtime| Container::create(&runtime, &args[1], &config, &quiet()).map(drop))
        .unwrap_err();
    assert!(error.message.contains("/proc belongs to another pid namespace"), "{error}");
}

/// `berth` starts although fcntl(F_GETFD) fails.
fn streams(args: &[String]) {
    forbid(libc::SYS_fcntl, When::Is(1, libc::F_GETFD as u32), &args[2]);
    let ended = std::process::Command::new(env!("CARGO_BIN_EXE_berth")).arg("--version").output().unwrap();
    assert!(ended.status.success() && !ended.stdout.is_empty(), "{ended:?}");
}

const PIDFD_GET_INFO: u32 = 0xc040_ff0b;
static TAKEN: AtomicUsize = AtomicUsize::new(0);

extern "C" fn take_all(_: i32) {
    // SAFETY: async-signal-safe; errno is put back.
    unsafe {
        let errno = *libc::__errno_location();
        while libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) > 0 {
            TAKEN.fetch_add(1, Ordering::SeqCst);
        }
        *libc::__errno_location() = errno;
    }
}

/// Runs many processes, some of which the caller's SIGCHLD handler reaps first: wait returns the true status or
/// `StatusUnknown`.
fn ends(args: &[String]) -> (usize, usize) {
    let runtime = runtime_of(args);
    let (mut known, mut unknown) = (0, 0);
    let mut count = |result: berth::Result<ExitStatus>, expected| match result {
        Ok(status) => {
            assert_eq!(status, ExitStatus::Exited(expected));
            known += 1;
        }
        Err(error) => {
            assert_eq!(error.code, Code::StatusUnknown, "{error}");
            unknown += 1;
        }
    };
    for round in 0..15 {
        let options = ProcessOptions { stdio: [berth::Stdio::Pipe, berth::Stdio::Null, berth::Stdio::Null], ..quiet() };
        let container =
            Container::run(&runtime, &format!("{}-{round}", args[1]), &shell_config("read x; exit 7"), &options)
                .unwrap();
        let process = exec_script(&container, "exit 9", &quiet()).unwrap();
        count(process.wait(LONG), 9);
        drop(container.init_process().unwrap().take_stdio());
        count(container.wait(LONG), 7);
        container.delete(Force::No).unwrap();
    }
    (known, unknown)
}

fn taken(args: &[String]) {
    forbid(libc::SYS_ioctl, When::Is(1, PIDFD_GET_INFO), &args[2]);
    // SAFETY: a valid handler.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = take_all as *const () as libc::sighandler_t;
        action.sa_flags = libc::SA_RESTART;
        libc::sigaction(libc::SIGCHLD, &action, std::ptr::null_mut());
    }
    let (known, unknown) = ends(args);
    assert!(TAKEN.load(Ordering::SeqCst) > 0);
    println!("{known} known, {unknown} unknown");
}

fn ignored(args: &[String]) {
    forbid(libc::SYS_ioctl, When::Is(1, PIDFD_GET_INFO), &args[2]);
    // SAFETY: no handler is installed.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
    assert_eq!(ends(args), (0, 30));
}

/// One handle reaps the process, in any call; then another handle asks for its status.
fn shared(args: &[String]) {
    forbid(libc::SYS_ioctl, When::Is(1, PIDFD_GET_INFO), &args[2]);
    let made = Container::run(&runtime_of(args), &args[1], &shell_config("sleep 1000"), &quiet()).unwrap();
    let loaded = runtime_of(args).load(&args[1]).unwrap();
    let init = loaded.init_process().unwrap();
    loaded.signal(libc::SIGKILL, Recipients::Init).unwrap();
    let mut end = [PollFd::new(init.pidfd(), PollFlags::POLLIN)];
    assert_eq!(poll(&mut end, PollTimeout::from(60_000u16)), Ok(1));
    assert_eq!(made.status().unwrap(), Status::Stopped);
    assert_eq!(init.wait(0).unwrap(), ExitStatus::Signaled { signal: libc::SIGKILL, core_dumped: false });
    loaded.delete(Force::No).unwrap();
}

fn memory(args: &[String]) {
    const MFD_EXEC: u32 = 0x10;
    forbid(libc::SYS_memfd_create, When::Has(1, MFD_EXEC), &args[2]);
    assert_eq!(output(args, &shell("echo fine")), "fine\n");
}

/// Without openat2 the library falls back to another way, but init needs it. A filter cannot tell their calls apart by
/// the flags, which are behind a pointer: only the library's calls use AT_FDCWD.
fn openat2(args: &[String]) {
    forbid(libc::SYS_openat2, When::Is(0, libc::AT_FDCWD as u32), &args[2]);
    assert_eq!(output(args, &shell("echo fine")), "fine\n");
}

/// Without bpf(2), a rootless runtime that may create devices refuses the container, unless a user namespace keeps the
/// container from creating devices.
fn devices(args: &[String]) {
    let mountinfo = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    if mountinfo.lines().any(|line| line.contains(" - cgroup cgroup ") && line.contains("devices")) {
        eprintln!("SKIPPED: with cgroup v1 devices need no bpf(2)");
        return;
    }
    let runtime =
        Runtime::new(Settings { root: args[0].as_str().into(), rootless: berth::Rootless::Yes, ..Settings::default() })
            .unwrap();
    forbid(libc::SYS_bpf, When::Always, "EPERM");
    let mut config = shell("echo ran");
    config["linux"].as_object_mut().unwrap().remove("cgroupsPath");
    let error = Container::run(&runtime, &args[1], &load_config(&config), &piped()).unwrap_err();
    assert_eq!((error.code, error.errno), (Code::System, Some(nix::errno::Errno::EPERM)), "{error}");
    with_user_namespace(&mut config);
    let container = Container::run(&runtime, &args[1], &load_config(&config), &piped()).unwrap();
    assert_eq!(read_all(&container.init_process().unwrap()), "ran\n");
    container.wait(LONG).unwrap();
    container.delete(Force::No).unwrap();
}

/// Returns the mount point of the v1 hierarchy `pids`, or of v2 if its root delegates this controller.
fn pids_tree() -> Option<&'static Path> {
    let (v1, v2) = (Path::new("/sys/fs/cgroup/pids"), Path::new("/sys/fs/cgroup"));
    let handed_down = std::fs::read_to_string(v2.join("cgroup.subtree_control"));
    let on_v2 = handed_down.is_ok_and(|list| list.split_whitespace().any(|name| name == "pids"));
    if v1.join("cgroup.procs").exists() { Some(v1) } else { on_v2.then_some(v2) }
}

fn narrow_caller() {
    let Some(tree) = pids_tree() else { return println!("SKIPPED: no pids controller here") };
    let cgroup = tree.join(unique("berth-narrow"));
    std::fs::create_dir(&cgroup).unwrap();
    std::fs::write(cgroup.join("pids.max"), "2").unwrap();
    with_caller("narrow", &[cgroup.to_str().unwrap()]);
    eventually("the caller's cgroup is empty", || std::fs::remove_dir(&cgroup).is_ok());
}

/// With room for one more process only, the helper that creates the network namespace must exit before init is spawned.
fn narrow(args: &[String]) {
    std::fs::write(Path::new(&args[2]).join("cgroup.procs"), "0").unwrap();
    let config = shell_config("test \"$(ls /sys/class/net) $(cat /sys/class/net/lo/flags)\" = 'lo 0x9'");
    for _ in 0..8 {
        let container = Container::run(&runtime_of(args), &args[1], &config, &quiet()).unwrap();
        assert_eq!(container.wait(LONG).unwrap(), ExitStatus::Exited(0));
        container.delete(Force::No).unwrap();
    }
}

/// CLONE_NEWNET fails both in the parallel helper and in init.
fn offline(args: &[String]) {
    forbid(libc::SYS_unshare, When::Is(0, libc::CLONE_NEWNET as u32), &args[2]);
    let error = Container::create(&runtime_of(args), &args[1], &shell_config("true"), &quiet()).err().unwrap();
    assert_eq!(error.errno, Some(nix::errno::Errno::EPERM), "{error}");
    assert!(error.message.starts_with("creating a network namespace: operation not permitted"), "{error}");
}
