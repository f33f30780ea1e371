//! checkpoint and restore, with a real CRIU.

use std::process::Stdio;

use serde_json::json;

use crate::common::{criu, eventually_read, push_mount, shell};
use crate::support::*;

/// A container that counts into a file, with streams that a checkpoint can take along; its bundle.
fn counting(cli: &Cli, id: &str) -> std::path::PathBuf {
    let folder = cli.path("told");
    std::fs::create_dir_all(&folder).unwrap();
    let script = "count=0; while :; do count=$((count + 1)); echo $count >/told/count.new; mv /told/count.new /told/count; sleep 0.02; done";
    let mut config = shell(script);
    push_mount(
        &mut config,
        json!({ "destination": "/told", "type": "bind", "source": folder, "options": ["bind", "rw"] }),
    );
    let bundle = cli.bundle(&config);
    let mut command = cli.command();
    command.args(["run", "-d", "-b", text(&bundle), id]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    assert_eq!(wait(&mut child), 0);
    eventually_read(&folder.join("count"));
    bundle
}

fn count(cli: &Cli) -> u64 {
    eventually_read(&cli.path("told/count")).trim().parse().unwrap()
}

fn berth(cli: &Cli, args: &[&str]) -> Said {
    said(cli.command().arg("--criu").arg(criu()).args(args))
}

#[test]
fn a_container_goes_into_images_and_comes_back() {
    let cli = Cli::new();
    let bundle = counting(&cli, "c1");
    let (images, work) = (cli.path("images"), cli.path("work"));
    let places = ["--image-path", text(&images), "--work-path", text(&work)];
    let dumped = berth(&cli, &[&["checkpoint"], &places[..], &["c1"]].concat());
    assert_eq!((dumped.code, dumped.err.as_str()), (0, ""), "{dumped:?}");
    assert!(images.join("inventory.img").exists() && work.join("dump.log").exists());
    assert_eq!(cli.ok(&["list", "-q"]), "", "what has become images is no container any more");
    let before = count(&cli);
    let pid_file = cli.path("pid");
    let restore = ["restore", "-d", "--pid-file", text(&pid_file), "-b", text(&bundle)];
    let restored = berth(&cli, &[&restore, &places[..], &["c2"]].concat());
    assert_eq!((restored.code, restored.err.as_str()), (0, ""), "{restored:?}");
    assert_eq!(cli.state("c2")["pid"].to_string(), std::fs::read_to_string(&pid_file).unwrap());
    crate::common::eventually("it counts on", || count(&cli) > before);
    cli.ok(&["exec", "c2", "true"]);
}

#[test]
fn a_container_may_run_on_and_be_restored_in_the_foreground() {
    let cli = Cli::new();
    let bundle = counting(&cli, "c1");
    let images = cli.path("images");
    let dumped = berth(&cli, &["checkpoint", "c1", "--leave-running", "--image-path", text(&images), "--file-locks"]);
    assert_eq!((dumped.code, dumped.err.as_str()), (0, ""), "{dumped:?}");
    assert_eq!(cli.status("c1"), "running");
    cli.ok(&["delete", "-f", "c1"]);
    let mut command = cli.command();
    command.arg("--criu").arg(criu()).args(["restore", "-b", text(&bundle), "--image-path", text(&images), "c1"]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    crate::common::eventually("it is back", || cli.berth(&["state", "c1"]).out.contains("\"running\""));
    cli.ok(&["kill", "c1", "KILL"]);
    assert_eq!(wait(&mut child), 137);
    assert_eq!(cli.ok(&["list", "-q"]), "");
}

#[test]
fn what_cannot_be_is_said_and_nothing_changes() {
    let cli = Cli::new();
    let id = cli.sleeping();
    let images = cli.path("images");
    let missing = ["--criu", "/nonexistent/criu", "checkpoint", "--image-path", text(&images), &id];
    cli.fails(1, "/nonexistent/criu", &missing);
    assert_eq!(cli.status(&id), "running");
    cli.fails(1, "container does not exist", &["checkpoint", "--image-path", text(&images), "nope"]);
    cli.fails(1, "--manage-cgroups-mode", &["checkpoint", "--manage-cgroups-mode", "sometimes", &id]);
    cli.fails(1, "--page-server", &["checkpoint", "--page-server", "nowhere", &id]);
    let bundle = cli.bundle(&shell("true"));
    let none = berth(&cli, &["restore", "-b", text(&bundle), "--image-path", "/nonexistent", "c2"]);
    assert!(none.code == 1 && none.err.contains("/nonexistent"), "{none:?}");
    assert_eq!(cli.ok(&["list", "-q"]), format!("{id}\n"));
}
