//! Callers without privileges: an ordinary user, with and without subordinate id ranges and a delegated cgroup.

mod common;

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use berth::spec::Config;
use berth::{Code, Container, ExitStatus, Force, Rootless, Runtime, Settings, Status};
use common::*;
use serde_json::{Value, json};

const USER: u32 = 61_234;

fn main() {
    runner::main(
        &[
            ("the_default_rootless_configuration_runs", the_default_rootless_configuration_runs),
            ("without_mappings_the_caller_is_root", without_mappings_the_caller_is_root),
            ("a_container_is_created_started_stopped_and_deleted", a_container_is_created_started_stopped_and_deleted),
            ("as_root_of_a_user_namespace_none_is_needed", as_root_of_a_user_namespace_none_is_needed),
            ("ranges_of_ids_are_mapped_by_the_helpers", ranges_of_ids_are_mapped_by_the_helpers),
            (
                "options_that_need_a_cgroup_are_refused_and_nothing_is_left",
                options_that_need_a_cgroup_are_refused_and_nothing_is_left,
            ),
            ("rootless_false_makes_calls_that_only_root_may_make", rootless_false_makes_calls_that_only_root_may_make),
            ("a_delegated_cgroup_is_used", a_delegated_cgroup_is_used),
            ("a_delegated_cgroup_is_found_without_its_record", a_delegated_cgroup_is_found_without_its_record),
            ("the_same_through_the_library", the_same_through_the_library),
        ],
        &[("library", library)],
    );
}

/// A user with a directory that contains the program, a root filesystem and the state.
struct User {
    dir: tempfile::TempDir,
}

impl User {
    fn new() -> User {
        let dir = tempfile::Builder::new().prefix("berth-rootless-").tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let user = User { dir };
        fs::copy(env!("CARGO_BIN_EXE_berth"), user.path("berth")).unwrap();
        fs::copy(std::env::current_exe().unwrap(), user.path("tests")).unwrap();
        let home = user.path("home");
        fs::create_dir(&home).unwrap();
        let copied = Command::new("cp").arg("-a").arg(rootfs()).arg(home.join("rootfs")).status().unwrap();
        assert!(copied.success());
        let owned = Command::new("chown").arg("-R").arg(format!("{USER}:{USER}")).arg(&home).status().unwrap();
        assert!(owned.success());
        let passwd = fs::read_to_string("/etc/passwd").unwrap();
        fs::write(user.path("passwd"), format!("{passwd}berthtest:x:{USER}:{USER}::/:/bin/sh\n")).unwrap();
        fs::write(user.path("ranges"), format!("{USER}:700000:65536\n")).unwrap();
        user
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Returns a command that runs as this user, with a login's groups (its own and another), in its own mount
    /// namespace, in which /etc/subuid, /etc/subgid and /etc/passwd list the user.
    fn command(&self, program: &Path) -> Command {
        let script = "for file in subuid subgid; do mount --bind \"$0/ranges\" /etc/$file; done
            mount --bind \"$0/passwd\" /etc/passwd
            [ -z \"$CGROUP\" ] || echo $$ >\"$CGROUP/cgroup.procs\"
            exec setpriv --reuid 61234 --regid 61234 --groups 61234,61235 --inh-caps=-all \"$@\"";
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-euc", script]).arg(self.dir.path()).arg(program);
        command
            .current_dir(self.path("home"))
            .env_clear()
            .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")
            .env("CGROUP", "");
        command.stdin(Stdio::null());
        command
    }

    fn berth(&self, args: &[&str]) -> Command {
        let mut command = self.command(&self.path("berth"));
        command.arg("--root").arg(self.path("home/state")).args(args);
        command
    }

    fn outcome(&self, args: &[&str]) -> (Option<i32>, String) {
        let Output { status, stdout, stderr } = self.berth(args).output().unwrap();
        (status.code(), String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned())
    }

    fn ok(&self, args: &[&str]) -> String {
        let (code, output) = self.outcome(args);
        assert_eq!(code, Some(0), "{args:?}: {output}");
        output
    }

    /// Writes the configuration of `berth spec --rootless`, with changes.
    fn bundle(&self, script: &str, change: impl FnOnce(&mut Value)) {
        let file = self.path("home/config.json");
        let _ = fs::remove_file(&file);
        self.ok(&["spec", "--rootless"]);
        let mut config: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        config["process"]["terminal"] = json!(false);
        config["process"]["args"] = json!(["sh", "-c", script]);
        change(&mut config);
        fs::write(&file, config.to_string()).unwrap();
    }

    /// Runs a command that leaves a container in the background, without a pipe that the container would keep open.
    fn detached(&self, args: &[&str]) {
        let status = self.berth(args).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
        assert!(status.success(), "{args:?}");
    }

    fn nothing_is_left(&self) {
        assert_eq!(self.ok(&["list", "-q"]), "");
        assert_eq!(leftovers::files(&self.path("home/state")), Vec::<PathBuf>::new());
    }
}

impl Drop for User {
    fn drop(&mut self) {
        let (_, ids) = self.outcome(&["list", "-q"]);
        for id in ids.lines() {
            self.outcome(&["delete", "--force", id]);
        }
    }
}

fn the_default_rootless_configuration_runs() {
    let user = User::new();
    user.bundle("id -u; tr -s ' ' </proc/self/uid_map; echo here >/tmp/x && cat /tmp/x; exit 7", |config| {
        config["root"]["readonly"] = json!(false);
    });
    for given in [&["--rootless", "true"][..], &["--rootless=auto"], &[]] {
        let output = user.outcome(&[given, &["run", "c1"]].concat());
        assert_eq!(output, (Some(7), format!("0\n 0 {USER} 1\nhere\n")), "{given:?}");
        user.nothing_is_left();
    }
}

/// Devices are bound although the configuration has no user namespace: the kernel makes none in the caller's.
fn as_root_of_a_user_namespace_none_is_needed() {
    let user = User::new();
    user.bundle("echo x >/dev/null && stat -c %t:%T /dev/null /dev/zero", |config| {
        let linux = config["linux"].as_object_mut().unwrap();
        linux.retain(|name, _| !["uidMappings", "gidMappings"].contains(&name.as_str()));
        linux["namespaces"].as_array_mut().unwrap().retain(|namespace| namespace["type"] != "user");
    });
    let mut command = user.command(Path::new("unshare"));
    command.args(["--user", "--map-root-user"]).arg(user.path("berth")).arg("--root").arg(user.path("home/state"));
    let Output { stdout, stderr, .. } = command.args(["run", "c1"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&stdout), "1:3\n1:5\n", "{}", String::from_utf8_lossy(&stderr));
}

fn without_mappings_the_caller_is_root() {
    let user = User::new();
    user.bundle("id -u; tr -s ' ' </proc/self/uid_map; tr -s ' ' </proc/self/gid_map", |config| {
        config["linux"]["uidMappings"] = json!([]);
        config["linux"]["gidMappings"] = Value::Null;
    });
    assert_eq!(user.outcome(&["run", "c1"]), (Some(0), format!("0\n 0 {USER} 1\n 0 {USER} 1\n")));
    user.nothing_is_left();
}

fn a_container_is_created_started_stopped_and_deleted() {
    let user = User::new();
    user.bundle("exec sleep 1000", |_| {});
    user.detached(&["create", "c1"]);
    assert!(user.ok(&["state", "c1"]).contains("\"status\": \"created\""));
    user.ok(&["start", "c1"]);
    assert!(user.ok(&["state", "c1"]).contains("\"status\": \"running\""));
    assert_eq!(user.ok(&["exec", "c1", "sh", "-c", "id -u; ps | grep -c 'sleep [1]000'"]), "0\n1\n");
    let (code, output) = user.outcome(&["pause", "c1"]);
    assert!(code == Some(1) && output.contains("pausing needs a cgroup"), "{output}");
    user.ok(&["kill", "c1", "KILL"]);
    eventually("it is stopped", || user.ok(&["state", "c1"]).contains("\"status\": \"stopped\""));
    user.ok(&["delete", "c1"]);
    user.nothing_is_left();
}

fn ranges_of_ids_are_mapped_by_the_helpers() {
    assert!(Path::new("/usr/bin/newuidmap").exists(), "newuidmap is missing: tools/setup installs it");
    let user = User::new();
    let map = json!([
        { "containerID": 0, "hostID": USER, "size": 1 },
        { "containerID": 1, "hostID": 700_000, "size": 65_536 },
    ]);
    user.bundle("tr -s ' ' </proc/self/uid_map; id -u; id -G", |config| {
        config["linux"]["uidMappings"] = map.clone();
        config["linux"]["gidMappings"] = map;
        config["process"]["user"] = json!({ "uid": 1000, "gid": 1000, "additionalGids": [7] });
    });
    let expected = format!(" 0 {USER} 1\n 1 700000 65536\n1000\n1000 7\n");
    assert_eq!(user.outcome(&["--rootless", "true", "run", "c1"]), (Some(0), expected));
    user.nothing_is_left();
    user.bundle("true", |config| {
        config["linux"]["uidMappings"] = json!([{ "containerID": 0, "hostID": 800_000, "size": 10 }]);
    });
    let (code, output) = user.outcome(&["run", "c1"]);
    assert!(code == Some(1) && output.contains("newuidmap for process "), "{output}");
    user.nothing_is_left();
}

fn options_that_need_a_cgroup_are_refused_and_nothing_is_left() {
    let user = User::new();
    user.bundle("true", |config| config["linux"]["resources"] = json!({ "pids": { "limit": 5 } }));
    let (code, output) = user.outcome(&["run", "c1"]);
    assert!(code == Some(1) && output.contains("linux.resources.pids: needs a cgroup"), "{output}");
    user.nothing_is_left();
    user.bundle("true", |config| config["linux"]["cgroupsPath"] = json!("/berth-rootless"));
    let (code, output) = user.outcome(&["run", "c1"]);
    assert!(code == Some(1) && output.contains("permission denied") && output.contains("berth-rootless"), "{output}");
    user.nothing_is_left();
    user.bundle("true", |config| without_namespace(config, "pid"));
    let (code, output) = user.outcome(&["run", "c1"]);
    assert!(code == Some(1) && output.contains("without cgroups the container needs a new pid namespace"), "{output}");
    user.nothing_is_left();
    // In a user namespace no device node can be created. Like runc, the library leaves device rules out there, and logs
    // that.
    user.bundle("echo ran", |config| {
        config["linux"]["resources"] = json!({ "devices": [{ "allow": false, "access": "rwm" }] });
    });
    let (code, output) = user.outcome(&["run", "c1"]);
    assert!(code == Some(0) && output.starts_with("ran\n"), "{output}");
    assert!(output.contains("level=warning") && output.contains("linux.resources.devices is left out"), "{output}");
}

fn rootless_false_makes_calls_that_only_root_may_make() {
    let user = User::new();
    user.bundle("true", |_| {});
    let (code, output) = user.outcome(&["--rootless", "false", "run", "c1"]);
    assert!(code == Some(1) && output.contains("permission denied") && output.contains("berth-c1"), "{output}");
    user.nothing_is_left();
}

/// A subtree of the v2 hierarchy that belongs to the user, with a cgroup for its processes; removed on drop.
struct Delegated(PathBuf);

impl Delegated {
    fn new() -> Option<Delegated> {
        let mountinfo = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let tree = mountinfo.lines().find(|line| line.contains(" - cgroup2 "))?.split(' ').nth(4)?;
        let top = Path::new(tree).join(format!("berth-{}", unique("delegated")));
        let mine = top.join("mine");
        fs::create_dir_all(&mine).unwrap();
        for dir in [&top, &mine] {
            for name in ["", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads"] {
                chown(dir.join(name), Some(USER), Some(USER)).unwrap();
            }
        }
        Some(Delegated(top))
    }

    fn mine(&self) -> PathBuf {
        self.0.join("mine")
    }
}

impl Drop for Delegated {
    fn drop(&mut self) {
        for dir in [self.mine(), self.0.clone()] {
            let _ = fs::remove_dir(dir);
        }
    }
}

/// Runs a container of a user in a delegated cgroup. None on a host without cgroup v2.
fn run_delegated() -> Option<(Delegated, User)> {
    let Some(delegated) = Delegated::new() else {
        eprintln!("SKIPPED: the host mounts no cgroup v2");
        return None;
    };
    let user = User::new();
    user.bundle("exec sleep 1000", |_| {});
    berth_in(&user, &delegated, &["run", "-d", "c1"]);
    Some((delegated, user))
}

fn berth_in(user: &User, delegated: &Delegated, args: &[&str]) {
    let mut command = user.berth(args);
    command.env("CGROUP", delegated.mine()).stdout(Stdio::null()).stderr(Stdio::null());
    assert!(command.status().unwrap().success(), "{args:?}");
}

fn a_delegated_cgroup_is_used() {
    let Some((delegated, user)) = run_delegated() else { return };
    let berth = |args: &[&str]| berth_in(&user, &delegated, args);
    let state: Value = serde_json::from_str(&user.ok(&["state", "c1"])).unwrap();
    let place = fs::read_to_string(format!("/proc/{}/cgroup", state["pid"])).unwrap();
    let top = delegated.0.file_name().unwrap().to_str().unwrap();
    let own = place.lines().find(|line| line.starts_with("0::")).unwrap();
    assert!(own.contains(top) && own.ends_with("/berth-c1"), "{place}");
    berth(&["pause", "c1"]);
    assert!(user.ok(&["state", "c1"]).contains("\"status\": \"paused\""));
    berth(&["resume", "c1"]);
    assert_eq!(user.ok(&["ps", "--format", "json", "c1"]), format!("[{}]\n", state["pid"]));
    berth(&["delete", "--force", "c1"]);
    user.nothing_is_left();
    assert!(
        leftovers::files(&delegated.0)
            .iter()
            .chain(&leftovers::files(&delegated.mine()))
            .all(|path| !path.ends_with("berth-c1"))
    );
}

fn a_delegated_cgroup_is_found_without_its_record() {
    let Some((delegated, user)) = run_delegated() else { return };
    let berth = |args: &[&str]| berth_in(&user, &delegated, args);
    // Beside the caller's cgroup on a host with cgroup v2 alone, otherwise below it.
    let places = [delegated.0.join("berth-c1"), delegated.mine().join("berth-c1")];
    let place = places.iter().find(|place| place.exists()).unwrap();
    assert_ne!(fs::read_to_string(place.join("cgroup.procs")).unwrap(), "");
    fs::write(user.path("home/state/c1/state.json"), "{").unwrap();
    berth(&["delete", "--force", "c1"]);
    user.nothing_is_left();
    assert!(!place.exists(), "its processes are killed and its cgroup is removed");
}

fn the_same_through_the_library() {
    let user = User::new();
    let mut command = user.command(&user.path("tests"));
    command.args(["--caller", "library"]).arg(user.path("home"));
    runner::run(&mut command);
}

fn library(args: &[String]) {
    let home = Path::new(&args[0]);
    let settings = |rootless| Settings { root: home.join("state"), rootless, ..Settings::default() };
    let json = Config::default_rootless_json(USER, USER).unwrap();
    let mut config: Value = serde_json::from_str(&json).unwrap();
    config["process"]["terminal"] = json!(false);
    config["process"]["args"] = json!(["sh", "-c", "id -u; exec sleep 1000"]);
    let config = Config::from_json(&config.to_string(), Some(&home.join("rootfs"))).unwrap();
    let error = Container::run(&Runtime::new(settings(Rootless::No)).unwrap(), "c1", &config, &quiet()).unwrap_err();
    assert_eq!((error.code, error.errno), (Code::System, Some(nix::errno::Errno::EACCES)), "{error}");
    let runtime = Runtime::new(settings(Rootless::Auto)).unwrap();
    assert!(runtime.ids().unwrap().is_empty());
    let container = Container::run(&runtime, "c1", &config, &piped()).unwrap();
    assert_eq!(container.status().unwrap(), Status::Running);
    let mut text = [0u8; 2];
    let [_, output, _] = container.init_process().unwrap().take_stdio();
    std::io::Read::read_exact(&mut fs::File::from(output.unwrap()), &mut text).unwrap();
    assert_eq!(&text, b"0\n");
    let error = container.set(r#"{"pids":{"limit":5}}"#).unwrap_err();
    assert_eq!(error.code, Code::Unsupported, "{error}");
    container.signal(libc::SIGKILL, berth::Recipients::Init).unwrap();
    assert_eq!(container.wait(LONG).unwrap(), ExitStatus::Signaled { signal: libc::SIGKILL, core_dumped: false });
    container.delete(Force::No).unwrap();
    assert!(leftovers::files(&home.join("state")).is_empty());
}
