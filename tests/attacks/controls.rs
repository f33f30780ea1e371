//! Attacks for which releases of other runtimes are known: they change nothing outside here, and succeed with those
//! releases if the machine has them. So the attacks are real ones, and a test that no attack can fail is noticed.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::common::*;

/// An image and a configuration without a /dev of its own, and the directory of the host that they are about.
struct Attack {
    test: TestRuntime,
    bundle: PathBuf,
    outside: PathBuf,
    terminal: bool,
}

impl Attack {
    /// `dev` makes the image's /dev; the first path is the image's, the second the directory outside.
    fn new(dev: impl FnOnce(&Path, &Path), change: impl FnOnce(&mut Value, &Path)) -> Attack {
        let test = TestRuntime::new();
        let (bundle, outside) = (test.make_dir("bundle"), test.make_dir("outside"));
        let root = bundle.join("rootfs");
        let copied = Command::new("cp").arg("-a").arg(rootfs()).arg(&root).status().unwrap();
        assert!(copied.success());
        std::fs::remove_dir_all(root.join("dev")).unwrap();
        dev(&root, &outside);
        let mut config = shell("echo said");
        config["root"] = json!({ "path": "rootfs", "readonly": false });
        config["linux"]["resources"] = json!({});
        let mounts = config["mounts"].as_array_mut().unwrap();
        mounts.retain(|mount| ["/proc", "/dev/pts"].contains(&mount["destination"].as_str().unwrap()));
        change(&mut config, &outside);
        let terminal = config["process"]["terminal"] == true;
        std::fs::write(bundle.join("config.json"), config.to_string()).unwrap();
        Attack { test, bundle, outside, terminal }
    }

    /// Runs the bundle, with pipes or on a terminal, and returns what is in the directory outside before and after it.
    fn run(&self, runtime: &Path, view: Option<&Path>) -> [BTreeMap<PathBuf, String>; 2] {
        let before = listed(&self.outside);
        let id = unique("control");
        let state = self.test.path(&unique("state"));
        let words: Vec<&Path> = view.into_iter().chain([runtime, "--root".as_ref(), &state, "run".as_ref()]).collect();
        let words: Vec<&str> = words.into_iter().map(|word| word.to_str().unwrap()).collect();
        let mut command = if self.terminal {
            let mut command = Command::new("script");
            command.args(["-qec", &format!("{} {id}", words.join(" ")), "/dev/null"]);
            command
        } else {
            let mut command = Command::new(words[0]);
            command.args(&words[1..]).arg(&id);
            command
        };
        // It may fail: that is an answer to an attack, too.
        command.current_dir(&self.bundle).stdin(Stdio::null()).output().unwrap();
        [before, listed(&self.outside)]
    }
}

/// Makes the attack against libberth, and against each of the `vulnerable` runtimes: names, and how their versions begin.
fn check(attack: impl Fn() -> Attack, vulnerable: &[(&str, &str)]) {
    let [before, after] = attack().run(env!("CARGO_BIN_EXE_berth").as_ref(), None);
    assert_eq!(before, after);
    let view = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/v2view");
    let mut shown = false;
    for (name, version) in vulnerable {
        for runtime in others(name, version) {
            // crun does not run on a machine with both versions of cgroups.
            let [before, after] = attack().run(&runtime, (*name == "crun").then_some(&view));
            assert_ne!(before, after, "{} does not fall for it: it shows nothing", runtime.display());
            shown = true;
        }
    }
    if !shown {
        eprintln!("SKIPPED: no release here that is known to be vulnerable");
    }
}

fn listed(path: &Path) -> BTreeMap<PathBuf, String> {
    let entry = |entry: std::fs::DirEntry| {
        let found = entry.path().symlink_metadata().unwrap();
        let content = if found.is_file() { std::fs::read_to_string(entry.path()).unwrap() } else { String::new() };
        (entry.path(), format!("{} {:o} {content:?}", found.uid(), found.mode()))
    };
    std::fs::read_dir(path).unwrap().map(|found| entry(found.unwrap())).collect()
}

/// Returns the programs of this name whose version begins with `known`.
fn others(name: &str, known: &str) -> Vec<PathBuf> {
    let peers = std::env::var_os("BERTH_PEERS").map_or("/var/cache/berth-peers".into(), PathBuf::from);
    let places = [PathBuf::from("/usr/bin"), peers];
    let matches = |program: &PathBuf| {
        let output = Command::new(program).arg("--version").output();
        let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
        let version = text.lines().next().unwrap_or_default().rsplit(' ').next().unwrap_or_default().to_owned();
        version.starts_with(known)
    };
    places.into_iter().map(|place| place.join(name)).filter(matches).collect()
}

/// CVE-2026-41579: the image's /dev is a symlink to a directory of the host, in which the default links were made.
#[test]
fn a_dev_that_is_a_symlink_makes_nothing_outside() {
    let attack = || {
        Attack::new(
            |root, outside| {
                let up = "../".repeat(20);
                symlink(format!("{up}{}", outside.display()), root.join("dev")).unwrap();
            },
            |_, _| {},
        )
    };
    check(attack, &[("runc", "1.1.")]);
}

/// CVE-2026-88264: the image's /dev/console is a symlink, and the file that it names was created on the host.
#[test]
fn a_console_that_is_a_symlink_makes_nothing_outside() {
    let attack = || {
        Attack::new(
            |root, outside| {
                std::fs::create_dir(root.join("dev")).unwrap();
                symlink(outside.join("made"), root.join("dev/console")).unwrap();
            },
            |config, _| config["process"]["terminal"] = json!(true),
        )
    };
    check(attack, &[("crun", "1.28")]);
}

/// CVE-2026-88265: the image's /dev/null is a symlink to a file in a volume, which became the standard streams and the
/// user's.
#[test]
fn a_null_device_that_is_a_symlink_is_neither_opened_nor_given_away() {
    let attack = || {
        Attack::new(
            |root, _| {
                std::fs::create_dir(root.join("dev")).unwrap();
                symlink("/vol/file", root.join("dev/null")).unwrap();
            },
            |config, outside| {
                std::fs::write(outside.join("file"), "precious").unwrap();
                std::fs::set_permissions(outside.join("file"), PermissionsExt::from_mode(0o666)).unwrap();
                config["process"]["user"] = json!({ "uid": 1000, "gid": 1000 });
                config["mounts"]
                    .as_array_mut()
                    .unwrap()
                    .push(json!({ "destination": "/vol", "type": "bind", "source": outside, "options": ["rbind"] }));
            },
        )
    };
    check(attack, &[("crun", "1.28")]);
}
