//! Checkpoint and restore: paths of the images, and the state of the container afterwards.

use crate::common::{eventually, shell};
use crate::place::Place;
use crate::programs::counter;
use crate::support::*;

#[test]
fn a_container_is_dumped_and_restored() {
    let place = Place::counting();
    let (images, work) = (place.images("images"), place.images("work"));
    let places = ["--image-path", text(&images), "--work-path", text(&work)];
    let dumped = place.berth(&[&["checkpoint"], &places[..], &["c1"]].concat());
    assert_eq!((dumped.code, dumped.err.as_str()), (0, ""), "{dumped:?}");
    assert!(images.join("inventory.img").exists() && work.join("dump.log").exists());
    assert_eq!(place.cli.ok(&["list", "-q"]), "", "what has become images is no container any more");
    let before = place.counted();
    let pid_file = place.images("pid");
    let restore = ["restore", "-d", "--pid-file", text(&pid_file), "-b", text(&place.bundle)];
    let restored = place.berth(&[&restore, &places[..], &["c2"]].concat());
    assert_eq!((restored.code, restored.err.as_str()), (0, ""), "{restored:?}");
    assert!(work.join("restore.log").exists());
    assert_eq!(place.cli.state("c2")["pid"].to_string(), std::fs::read_to_string(&pid_file).unwrap());
    eventually("it counts on", || place.counted() > before);
    place.cli.ok(&["exec", "c2", "true"]);
}

/// The default paths are "checkpoint" in the current directory, and the current directory as the bundle.
#[test]
fn directories_default_to_the_current_one() {
    let place = Place::counting();
    let here = |args: &[&str]| outcome_of(place.command(args).current_dir(&place.bundle));
    let dumped = here(&["checkpoint", "c1"]);
    assert_eq!((dumped.code, dumped.err.as_str()), (0, ""), "{dumped:?}");
    assert!(place.bundle.join("checkpoint/inventory.img").exists());
    assert!(place.bundle.join("checkpoint/dump.log").exists(), "beside the images, as runc has it");
    let restored = here(&["restore", "--detach", "c1"]);
    assert_eq!((restored.code, restored.err.as_str()), (0, ""), "{restored:?}");
    place.counts_on();
}

#[test]
fn a_container_may_run_on_and_be_restored_in_the_foreground() {
    // Images do not contain files, and this container keeps running after the dump: its count file is never open.
    let place = Place::new(|data| {
        let mut config = counter(data);
        config["process"]["args"][2] = "n=0; while :; do n=$((n+1)); ln -sfn $n /data/link; sleep 0.01; done".into();
        config
    });
    let count = || std::fs::read_link(place.data.join("link")).ok()?.to_str()?.parse::<u64>().ok();
    let counts_on = || {
        let before = count();
        eventually("the counter continues", || count() > before);
    };
    counts_on();
    place.checkpoint("images", &["--leave-running"]);
    assert_eq!(place.cli.status("c1"), "running");
    counts_on();
    place.delete();
    let images = place.images("images");
    let mut child = place.spawn(&["restore", "-b", text(&place.bundle), "--image-path", text(&images), "c1"]);
    eventually("it is back", || place.cli.berth(&["state", "c1"]).out.contains("\"running\""));
    counts_on();
    place.cli.ok(&["kill", "c1", "KILL"]);
    assert_eq!(child.end(), 137);
    assert_eq!(place.cli.ok(&["list", "-q"]), "");
}

#[test]
fn impossible_requests_are_errors_and_change_nothing() {
    let cli = Cli::new();
    let id = cli.sleeping();
    let images = cli.path("images");
    let missing = ["--criu", "/nonexistent/criu", "checkpoint", "--image-path", text(&images), &id];
    cli.fails(1, "/nonexistent/criu", &missing);
    assert_eq!(cli.status(&id), "running");
    cli.fails(1, "container does not exist", &["checkpoint", "--image-path", text(&images), "nope"]);
    let bundle = cli.bundle(&shell("true"));
    let none = ["restore", "-b", text(&bundle), "--image-path", "/nonexistent", "c2"];
    let none = outcome_of(cli.command().arg("--criu").arg(crate::common::criu()).args(none));
    assert!(none.code == 1 && none.err.contains("/nonexistent"), "{none:?}");
    assert_eq!(cli.ok(&["list", "-q"]), format!("{id}\n"));
}
