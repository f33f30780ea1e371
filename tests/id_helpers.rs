//! User namespaces of a caller that may not map ids itself: with newuidmap and newgidmap, or with its own id only.

mod common;

use std::fs;
use std::path::Path;

use berth::spec::Config;
use berth::{Code, Container, ExitStatus, Force, Runtime, Settings};
use common::*;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use serde_json::{Value, json};

fn main() {
    runner::main(
        &[
            ("ranges_of_subuid_and_subgid_are_mapped_by_the_helpers", || in_a_host("mapped")),
            ("an_id_mapped_mount_is_made_with_the_helpers_too", || {
                if !lacks(IDMAPPED_MOUNTS) {
                    in_a_host("mounted");
                }
            }),
            ("the_error_has_the_message_of_newuidmap", || in_a_host("foreign")),
            ("a_helper_that_cannot_be_executed_is_named", || in_a_host("broken")),
            ("the_callers_own_ids_need_no_helper", || in_a_host("own")),
        ],
        &[("mapped", mapped), ("mounted", mounted), ("foreign", foreign), ("broken", broken), ("own", own)],
    );
}

fn in_a_host(name: &str) {
    if !Path::new("/usr/bin/newuidmap").exists() {
        panic!("newuidmap is missing: tools/setup installs it");
    }
    rootfs();
    let dir = tempfile::Builder::new().prefix("berth-test-").tempdir().unwrap();
    let id = unique(name);
    runner::run(&mut runner::caller(name, &[dir.path().to_str().unwrap(), &id]));
    leftovers::nothing_stays(&id, &dir.path().join("state"));
}

struct Deprived {
    runtime: Runtime,
    id: String,
}

/// Drops this process's capabilities to map ids, and bind-mounts its own /etc/subuid and /etc/subgid.
fn deprived(args: &[String], kept: &[caps::Capability]) -> Deprived {
    let dir = Path::new(&args[0]);
    fs::write(dir.join("ranges"), "root:100000:65536\n0:200000:10\n").unwrap();
    unshare(CloneFlags::CLONE_NEWNS).unwrap();
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>).unwrap();
    for file in ["/etc/subuid", "/etc/subgid"] {
        mount(Some(&dir.join("ranges")), file, None::<&str>, MsFlags::MS_BIND, None::<&str>).unwrap();
    }
    // Supplementary groups do not concern newuidmap, and init could not drop them where setgroups(2) is denied.
    nix::unistd::setgroups(&[]).unwrap();
    for capability in [caps::Capability::CAP_SETUID, caps::Capability::CAP_SETGID, caps::Capability::CAP_SETFCAP] {
        if !kept.contains(&capability) {
            caps::drop(None, caps::CapSet::Effective, capability).unwrap();
            caps::drop(None, caps::CapSet::Permitted, capability).unwrap();
        }
    }
    let runtime = Runtime::new(Settings { root: dir.join("state"), ..Settings::default() }).unwrap();
    Deprived { runtime, id: args[1].clone() }
}

impl Deprived {
    fn run(&self, config: &Value) -> berth::Result<String> {
        let config = Config::from_json(&config.to_string(), Some(rootfs())).unwrap();
        let container = Container::run(&self.runtime, &self.id, &config, &piped())?;
        let text = read_all(&container.init_process().unwrap());
        let status = container.wait(LONG)?;
        container.delete(Force::No)?;
        assert_eq!(status, ExitStatus::Exited(0), "{text}");
        Ok(text)
    }
}

fn with_maps(script: &str, uids: Value, gids: Value) -> Value {
    let mut config = shell(script);
    with_user_namespace(&mut config);
    config["linux"]["uidMappings"] = uids;
    config["linux"]["gidMappings"] = gids;
    config
}

const MAPS: &str = "cat /proc/self/uid_map /proc/self/gid_map | tr -s ' '";

fn mapped(args: &[String]) {
    let test = deprived(args, &[]);
    let map = json!([
        { "containerID": 0, "hostID": 100_000, "size": 65_536 },
        { "containerID": 70_000, "hostID": 200_000, "size": 10 },
    ]);
    let text = test.run(&with_maps(MAPS, map.clone(), map)).unwrap();
    let expected = " 0 100000 65536\n 70000 200000 10\n";
    assert_eq!(text, format!("{expected}{expected}"));
}

fn mounted(args: &[String]) {
    let test = deprived(args, &[]);
    let mut config = shell("stat -c %u:%g /mnt");
    let mut mount = bind(&rootfs().join("bin"), "/mnt", &["bind", "idmap"]);
    mount["uidMappings"] = json!([{ "containerID": 0, "hostID": 100_005, "size": 10 }]);
    mount["gidMappings"] = json!([{ "containerID": 0, "hostID": 100_006, "size": 10 }]);
    push_mount(&mut config, mount);
    assert_eq!(test.run(&config).unwrap(), "100005:100006\n");
}

fn foreign(args: &[String]) {
    let test = deprived(args, &[]);
    let map = json!([{ "containerID": 0, "hostID": 300_000, "size": 10 }]);
    let error = test.run(&with_maps("true", map.clone(), map)).unwrap_err();
    assert_eq!((error.code, error.errno), (Code::System, Some(nix::errno::Errno::EPERM)));
    assert!(error.message.starts_with("newuidmap for process "), "{error}");
    // The message of Debian's newuidmap.
    assert!(error.message.contains("uid range [0-10) -> [300000-300010) not allowed"), "{error}");
    assert!(test.runtime.ids().unwrap().is_empty());
}

fn broken(args: &[String]) {
    let test = deprived(args, &[]);
    mount(Some("/dev/null"), "/usr/bin/newuidmap", None::<&str>, MsFlags::MS_BIND, None::<&str>).unwrap();
    let map = json!([{ "containerID": 0, "hostID": 100_000, "size": 10 }]);
    let error = test.run(&with_maps("true", map.clone(), map)).unwrap_err();
    assert!(error.message.contains("newuidmap") && error.message.contains("permission denied"), "{error}");
    assert!(test.runtime.ids().unwrap().is_empty());
}

fn own(args: &[String]) {
    // To map the host's root the kernel requires CAP_SETFCAP (user_namespaces(7)).
    let test = deprived(args, &[caps::Capability::CAP_SETFCAP]);
    // No range in /etc/subuid has this id, so newuidmap would refuse it.
    let map = json!([{ "containerID": 0, "hostID": 0, "size": 1 }]);
    let mut config = with_maps(&format!("{MAPS}; cat /proc/self/setgroups"), map.clone(), map);
    // The default option gid=5 would fail: group 5 is not mapped.
    mount_on(&mut config, "/dev/pts")["options"] = json!(["nosuid", "noexec", "newinstance", "ptmxmode=0666"]);
    assert_eq!(test.run(&config).unwrap(), " 0 0 1\n 0 0 1\ndeny\n");
}
