//! Each switch of checkpoint and restore. What one makes CRIU do is tested with the library; here a program that takes notes
//! in CRIU's place tells whether CRIU is asked for it. What concerns the container itself is tried with CRIU.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::json;

use crate::common::{criu, eventually, shell};
use crate::life::received;
use crate::support::*;

/// A container without streams of the caller's; its bundle.
fn run(cli: &Cli, id: &str) -> PathBuf {
    let bundle = cli.bundle(&shell("exec sleep 1000"));
    let mut command = cli.command();
    command.args(["run", "-d", "-b", text(&bundle), id]).stdin(Stdio::null()).stdout(Stdio::null());
    assert_eq!(wait(&mut command.stderr(Stdio::null()).spawn().unwrap()), 0);
    bundle
}

fn with_criu(cli: &Cli, args: &[&str]) -> Said {
    said(cli.command().arg("--criu").arg(criu()).args(args))
}

fn dumped(cli: &Cli, id: &str) -> (PathBuf, PathBuf) {
    let (bundle, images) = (run(cli, id), cli.path(&format!("images-{id}")));
    let said = with_criu(cli, &["checkpoint", "--image-path", text(&images), id]);
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
    (bundle, images)
}

/// Answers what its version is, writes down what it is asked, and ends, which is an error.
struct Notes(PathBuf);

impl Notes {
    fn new(cli: &Cli) -> Notes {
        let path = cli.path("notes");
        let script = "#!/bin/sh\nif [ \"$1\" = -V ]; then echo 'Version: 4.1'; exit; fi\n\
            dd bs=1000000 count=1 <&3 >\"$0.request\" 2>/dev/null\n";
        std::fs::write(&path, script).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        Notes(path)
    }

    /// The options of the request, by their numbers in proto/criu.proto.
    fn of(&self, cli: &Cli, args: &[&str]) -> BTreeMap<u64, Vec<u8>> {
        let request = self.0.with_extension("request");
        let _ = std::fs::remove_file(&request);
        let said = said(cli.command().arg("--criu").arg(&self.0).args(args));
        assert_eq!(said.code, 1, "{args:?}: {said:?}");
        let bytes = std::fs::read(&request).unwrap_or_else(|_| panic!("{args:?} did not come to CRIU: {}", said.err));
        const OPTIONS: u64 = 2;
        members(&members(&bytes)[&OPTIONS])
    }
}

/// Of a message in protobuf's encoding; numbers as text.
fn members(mut bytes: &[u8]) -> BTreeMap<u64, Vec<u8>> {
    let mut found = BTreeMap::new();
    while !bytes.is_empty() {
        let key = number(&mut bytes);
        let value = number(&mut bytes);
        let value = match key & 7 {
            0 => value.to_string().into_bytes(),
            2 => {
                let (value, rest) = bytes.split_at(value as usize);
                bytes = rest;
                value.to_vec()
            }
            other => panic!("wire type {other}"),
        };
        found.insert(key >> 3, value);
    }
    found
}

fn number(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for place in 0.. {
        let byte = bytes[0];
        *bytes = &bytes[1..];
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte < 0x80 {
            break;
        }
    }
    value
}

/// Without the switch it is not asked for, with it is.
fn each_is_asked_for(
    plain: &BTreeMap<u64, Vec<u8>>,
    ask: impl Fn(&[&str]) -> BTreeMap<u64, Vec<u8>>,
    switches: &[(&str, u64, &str)],
) {
    for (switch, member, value) in switches {
        let words: Vec<&str> = switch.split(' ').collect();
        let asked = ask(&words);
        assert_ne!(plain.get(member).map(Vec::as_slice), Some(value.as_bytes()), "{switch}: also without it");
        let got = asked.get(member).map(|got| String::from_utf8_lossy(got).into_owned());
        assert_eq!(got.as_deref(), Some(*value), "{switch}");
    }
}

const NETWORK: &str = "1073741824";

#[test]
fn checkpoint_asks_criu_for_what_its_switches_say() {
    let cli = Cli::new();
    run(&cli, "c1");
    let notes = Notes::new(&cli);
    let images = cli.path("images");
    let ask =
        |switch: &[&str]| notes.of(&cli, &[&["checkpoint", "--image-path", text(&images)], switch, &["c1"]].concat());
    let plain = ask(&[]);
    each_is_asked_for(
        &plain,
        ask,
        &[
            ("--leave-running", 3, "1"),
            ("--ext-unix-sk", 4, "1"),
            ("--tcp-established", 5, "1"),
            ("--shell-job", 7, "1"),
            ("--file-locks", 8, "1"),
            ("--page-server 127.0.0.1:9", 11, "\n\u{9}127.0.0.1\u{10}\u{9}"),
            ("--link-remap", 18, "1"),
            ("--manage-cgroups-mode ignore", 34, "0"),
            ("--manage-cgroups-mode none", 34, "1"),
            ("--manage-cgroups-mode props", 34, "2"),
            ("--manage-cgroups-mode full", 34, "4"),
            ("--manage-cgroups-mode strict", 34, "5"),
            ("--empty-ns network", 38, NETWORK),
            ("--tcp-skip-in-flight", 46, "1"),
        ],
    );
    assert_eq!(cli.status("c1"), "running", "each has failed, and has done no harm");
}

#[test]
fn restore_asks_criu_for_what_its_switches_say() {
    let cli = Cli::new();
    let (bundle, images) = dumped(&cli, "c1");
    let notes = Notes::new(&cli);
    let ask = |switch: &[&str]| {
        let restore = ["restore", "-d", "-b", text(&bundle), "--image-path", text(&images)];
        notes.of(&cli, &[&restore, switch, &["c1"]].concat())
    };
    let plain = ask(&[]);
    each_is_asked_for(
        &plain,
        ask,
        &[
            ("--ext-unix-sk", 4, "1"),
            ("--tcp-established", 5, "1"),
            ("--shell-job", 7, "1"),
            ("--file-locks", 8, "1"),
            ("--auto-dedup", 16, "1"),
            ("--manage-cgroups-mode strict", 34, "5"),
            ("--manage-cgroups-mode full", 34, "4"),
            ("--empty-ns network", 38, NETWORK),
            ("--tcp-close", 52, "1"),
        ],
    );
    // Of a module that the host does not have the library knows already.
    for (switch, name) in
        [(["--lsm-profile", "apparmor:other"], "lsm_profile"), (["--lsm-mount-context", "label"], "lsm_mount_context")]
    {
        let restore = ["restore", "-d", "-b", text(&bundle), "--image-path", text(&images)];
        let request = notes.0.with_extension("request");
        let _ = std::fs::remove_file(&request);
        let said = said(cli.command().arg("--criu").arg(&notes.0).args(restore).args(switch).arg("c1"));
        let asked = std::fs::read(&request).is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains(switch[1]));
        assert!(said.code == 1 && (asked || said.err.contains(name)), "{switch:?}: {said:?}");
    }
    assert_eq!(cli.ok(&["list", "-q"]), "");
}

/// Pre-dumps and lazy pages, which not every kernel has: then that is the answer.
#[test]
fn memory_goes_the_way_that_the_switches_say() {
    let cli = Cli::new();
    run(&cli, "c1");
    let images = cli.path("pre");
    let pre = with_criu(&cli, &["checkpoint", "--pre-dump", "--image-path", text(&images), "c1"]);
    assert!(pre.code == 0 && images.join("inventory.img").exists() || pre.err.contains("memory tracking"), "{pre:?}");
    assert_eq!(cli.status("c1"), "running");
    let other = cli.path("other");
    let refused = |switch: &[&str], message: &str| {
        let args = [&["checkpoint", "--image-path", text(&other)], switch, &["c1"]].concat();
        let said = with_criu(&cli, &args);
        assert!(said.code == 1 && said.err.contains(message), "{switch:?}: {said:?}");
    };
    refused(&["--parent-path", "../nothing"], if pre.code == 0 { "parent images" } else { "memory tracking" });
    refused(&["--lazy-pages"], "lazy");
    refused(&["--status-fd", "7"], "status");
    refused(&["--auto-dedup"], "auto-dedup");
    assert_eq!(cli.status("c1"), "running");
}

#[test]
fn a_restored_container_is_kept_and_configured_as_the_switches_say() {
    let cli = Cli::new();
    let (bundle, images) = dumped(&cli, "c1");
    std::fs::rename(bundle.join("config.json"), bundle.join("other.json")).unwrap();
    let mut command = cli.command();
    command.arg("--criu").arg(criu()).args(["restore", "-b", text(&bundle), "--image-path", text(&images)]);
    command.args(["--config", "other.json", "--keep", "c1"]).stdin(Stdio::null()).stdout(Stdio::null());
    let mut child = command.spawn().unwrap();
    eventually("it is back", || cli.berth(&["state", "c1"]).out.contains("\"running\""));
    cli.ok(&["kill", "c1", "KILL"]);
    assert_eq!(wait(&mut child), 137);
    assert_eq!(cli.status("c1"), "stopped", "--keep");
    cli.ok(&["delete", "c1"]);
    let args = ["restore", "-f", "other.json", "--no-pivot", "-b", text(&bundle), "--image-path", text(&images), "c1"];
    let moved = with_criu(&cli, &args);
    assert!(moved.code == 1 && moved.err.contains("instead of pivoted, which CRIU does not restore"), "{moved:?}");
    assert_eq!(cli.ok(&["list", "-q"]), "");
}

#[test]
fn the_master_of_a_restored_terminal_goes_to_the_console_socket() {
    let cli = Cli::new();
    let socket = |name: &str| (cli.path(name), UnixListener::bind(cli.path(name)).unwrap());
    let bundle = cli.bundle(&with_terminal("exec sleep 1000"));
    let (first, listener) = socket("first");
    cli.ok(&["run", "-d", "--console-socket", text(&first), "-b", text(&bundle), "c1"]);
    let master = received(listener);
    let images = cli.path("images");
    let said = with_criu(&cli, &["checkpoint", "--image-path", text(&images), "c1"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
    drop(master);
    let (second, listener) = socket("second");
    let restore = ["restore", "-d", "--image-path", text(&images), "-b", text(&bundle), "--console-socket"];
    let said = with_criu(&cli, &[&restore[..], &[text(&second), "c1"]].concat());
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
    let master = std::fs::File::from(received(listener));
    assert!(std::io::IsTerminal::is_terminal(&master));
}

/// The parent of an orphan that the container's first process has left.
fn parent_of_orphan(folder: &Path) -> i32 {
    let pid = crate::common::eventually_read(&folder.join("orphan"));
    let stat = || std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap();
    let parent = || stat().rsplit_once(") ").unwrap().1.split(' ').nth(1).unwrap().parse().unwrap();
    // The shell that has left it is gone when somebody else has it.
    let left_by: i32 = crate::common::eventually_read(&folder.join("by")).trim().parse().unwrap();
    eventually("the shell has ended", || parent() != left_by);
    let parent = parent();
    // SAFETY: a number, of a process that this test has made.
    assert_eq!(unsafe { libc::kill(pid.trim().parse().unwrap(), libc::SIGKILL) }, 0);
    parent
}

/// A container in the caller's pid namespace, whose init leaves an orphan when "go" is there.
fn leaving_an_orphan(cli: &Cli) -> (PathBuf, PathBuf) {
    let folder = cli.path(&crate::common::unique("told"));
    std::fs::create_dir(&folder).unwrap();
    let script = "until test -e /told/go; do sleep 0.01; done
        (sh -c 'echo $PPID >/told/by'; sleep 1001 & echo $! >/told/new; mv /told/new /told/orphan)
        exec sleep 1000";
    let mut config = shell(script);
    crate::common::without_namespace(&mut config, "pid");
    let mount = json!({ "destination": "/told", "type": "bind", "source": folder, "options": ["bind", "rw"] });
    crate::common::push_mount(&mut config, mount);
    (cli.bundle(&config), folder)
}

#[test]
fn orphans_come_to_run_unless_it_is_told_not_to_care() {
    let cli = Cli::new();
    for (switches, comes) in [(&[][..], true), (&["--no-subreaper"], false)] {
        let (bundle, folder) = leaving_an_orphan(&cli);
        std::fs::write(folder.join("go"), "").unwrap();
        let mut command = cli.command();
        command.args(["run", "-b", text(&bundle)]).args(switches).arg("c1").stdin(Stdio::null());
        let mut child = command.spawn().unwrap();
        assert_eq!(parent_of_orphan(&folder) == child.id() as i32, comes, "{switches:?}");
        cli.ok(&["kill", "c1", "KILL"]);
        assert_eq!(wait(&mut child), 137);
    }
}

/// Here it is a hook that leaves one: CRIU restores no processes of a pid namespace that others use.
#[test]
fn orphans_come_to_restore_unless_it_is_told_not_to_care() {
    let cli = Cli::new();
    let folder = cli.path("told");
    std::fs::create_dir(&folder).unwrap();
    let (bundle, images) = dumped(&cli, "c1");
    let hook = cli.path("hook");
    let script = "#!/bin/sh\ncd ${0%/*}/told\nsleep 1001 >/dev/null 2>&1 </dev/null &\n\
        echo $$ >by && echo $! >new && mv new orphan\n";
    std::fs::write(&hook, script).unwrap();
    std::fs::set_permissions(&hook, PermissionsExt::from_mode(0o755)).unwrap();
    let mut config: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(bundle.join("config.json")).unwrap()).unwrap();
    config["hooks"] = json!({ "createRuntime": [{ "path": hook }] });
    std::fs::write(bundle.join("config.json"), config.to_string()).unwrap();
    for (switches, comes) in [(&[][..], true), (&["--no-subreaper"], false)] {
        let mut command = cli.command();
        command.arg("--criu").arg(criu()).args(["restore", "-b", text(&bundle), "--image-path", text(&images)]);
        let mut child = command.args(switches).arg("c1").stdin(Stdio::null()).spawn().unwrap();
        eventually("it is back", || cli.berth(&["state", "c1"]).out.contains("\"running\""));
        assert_eq!(parent_of_orphan(&folder) == child.id() as i32, comes, "{switches:?}");
        cli.ok(&["kill", "c1", "KILL"]);
        assert_eq!(wait(&mut child), 137);
        std::fs::remove_file(folder.join("orphan")).unwrap();
    }
}
