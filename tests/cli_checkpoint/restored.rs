//! Options of restore that concern the container itself.

use std::os::unix::net::UnixListener;

use serde_json::{Value, json};

use crate::common::{criu, eventually, script, shell};
use crate::place::Place;
use crate::support::*;

fn sleeping() -> Place {
    let place = Place::new(|_| shell("exec sleep 1000"));
    place.checkpoint("images", &[]);
    place
}

#[test]
fn a_restored_container_is_kept_and_configured_as_the_switches_say() {
    let place = sleeping();
    let (bundle, images) = (&place.bundle, place.images("images"));
    std::fs::rename(bundle.join("config.json"), bundle.join("other.json")).unwrap();
    let other = ["restore", "--config", "other.json", "-b", text(bundle), "--image-path", text(&images)];
    let mut child = place.spawn(&[&other[..], &["--keep", "c1"]].concat());
    eventually("it is back", || place.cli.berth(&["state", "c1"]).out.contains("\"running\""));
    place.cli.ok(&["kill", "c1", "KILL"]);
    assert_eq!(child.end(), 137);
    assert_eq!(place.cli.status("c1"), "stopped", "--keep");
    place.cli.ok(&["delete", "c1"]);
    let moved = place.berth(&[&other[..], &["--no-pivot", "c1"]].concat());
    assert!(
        moved.code == 1 && moved.err.contains("instead of entered with pivot_root, which CRIU does not restore"),
        "{moved:?}"
    );
    assert_eq!(place.cli.ok(&["list", "-q"]), "");
}

#[test]
fn the_master_of_a_restored_terminal_goes_to_the_console_socket() {
    let cli = Cli::new();
    let with_criu = |args: &[&str]| outcome_of(cli.command().arg("--criu").arg(criu()).args(args));
    let socket = |name: &str| (cli.path(name), UnixListener::bind(cli.path(name)).unwrap());
    let bundle = cli.bundle(&with_terminal("exec sleep 1000"));
    let (first, listener) = socket("first");
    cli.ok(&["run", "-d", "--console-socket", text(&first), "-b", text(&bundle), "c1"]);
    let master = received(listener);
    let images = cli.path("images");
    let outcome = with_criu(&["checkpoint", "--image-path", text(&images), "c1"]);
    assert_eq!((outcome.code, outcome.err.as_str()), (0, ""), "{outcome:?}");
    drop(master);
    let (second, listener) = socket("second");
    let restore = ["restore", "-d", "--image-path", text(&images), "-b", text(&bundle), "--console-socket"];
    let outcome = with_criu(&[&restore[..], &[text(&second), "c1"]].concat());
    assert_eq!((outcome.code, outcome.err.as_str()), (0, ""), "{outcome:?}");
    let master = std::fs::File::from(received(listener));
    assert!(std::io::IsTerminal::is_terminal(&master));
}

/// A hook leaves a process in the pid namespace, and CRIU restores no pid namespace that has other processes.
#[test]
fn restore_is_the_subreaper_by_default() {
    let place = sleeping();
    let folder = &place.data;
    let hook = place.images("hook");
    let leave = format!("cd {}\nsleep 1001 >/dev/null 2>&1 </dev/null &\n", folder.display());
    script(&hook, &format!("{leave}echo $$ >by && echo $! >new && mv new orphan"));
    let file = place.bundle.join("config.json");
    let mut config: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    config["hooks"] = json!({ "createRuntime": [{ "path": hook }] });
    std::fs::write(file, config.to_string()).unwrap();
    let images = place.images("images");
    let restore = ["restore", "-b", text(&place.bundle), "--image-path", text(&images)];
    for (switches, comes) in [(&[][..], true), (&["--no-subreaper"], false)] {
        let mut child = place.spawn(&[&restore, switches, &["c1"]].concat());
        eventually("it is back", || place.cli.berth(&["state", "c1"]).out.contains("\"running\""));
        assert_eq!(parent_of_orphan(folder) == child.0.id() as i32, comes, "{switches:?}");
        place.cli.ok(&["kill", "c1", "KILL"]);
        assert_eq!(child.end(), 137);
        std::fs::remove_file(folder.join("orphan")).unwrap();
    }
}
