//! Helper with one container that is dumped and restored.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::common::{criu, eventually, eventually_read, shell};
use crate::programs::{checkpoint_workload, counter, counts_on, with_data};
use crate::support::*;

/// A command with null streams; killed on drop.
pub struct Running(pub Child);

impl Running {
    pub fn new(command: &mut Command) -> Running {
        let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Running(command.spawn().unwrap())
    }

    pub fn end(&mut self) -> i32 {
        wait(&mut self.0)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The container "c1", with null streams, and the directory that is its /data.
pub struct Place {
    pub cli: Cli,
    pub data: PathBuf,
    pub bundle: PathBuf,
}

impl Place {
    /// Runs the container; `config` makes its configuration for the data directory.
    pub fn new(config: impl FnOnce(&std::path::Path) -> Value) -> Place {
        let cli = Cli::new();
        let data = cli.path("data");
        std::fs::create_dir(&data).unwrap();
        let bundle = cli.bundle(&config(&data));
        let place = Place { cli, data, bundle };
        place.run();
        place
    }

    /// Runs the container with streams that can be dumped.
    fn run(&self) {
        assert_eq!(self.spawn(&["run", "-d", "-b", text(&self.bundle), "c1"]).end(), 0);
    }

    pub fn counting() -> Place {
        let place = Place::new(counter);
        place.counts_on();
        place
    }

    /// Runs checkpoint_workload with these arguments and waits until it is ready.
    pub fn with_workload(arguments: &[&str], change: impl FnOnce(&mut Value)) -> Place {
        let place = Place::new(|data| {
            checkpoint_workload(data);
            let mut config = shell("");
            config["process"]["args"] = json!([&["/data/checkpoint_workload"], arguments].concat());
            with_data(&mut config, data);
            change(&mut config);
            config
        });
        eventually("the workload is ready", || place.result() == "ready\n");
        place
    }

    /// Returns what the workload has written.
    pub fn result(&self) -> String {
        std::fs::read_to_string(self.data.join("result")).unwrap_or_default()
    }

    pub fn survives(&self) {
        self.cli.ok(&["kill", "c1", "USR2"]);
        eventually("it has looked at itself", || self.result() != "ready\n");
        assert_eq!(self.result(), "survived\n");
    }

    pub fn counts_on(&self) {
        counts_on(&self.data);
    }

    pub fn counted(&self) -> u64 {
        eventually_read(&self.data.join("count")).trim().parse().unwrap()
    }

    pub fn images(&self, name: &str) -> PathBuf {
        self.cli.path(name)
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = self.cli.command();
        command.arg("--criu").arg(criu()).args(args);
        command
    }

    pub fn berth(&self, args: &[&str]) -> Outcome {
        outcome_of(&mut self.command(args))
    }

    pub fn spawn(&self, args: &[&str]) -> Running {
        Running::new(&mut self.command(args))
    }

    /// Makes a checkpoint into the directory `images`, which must work.
    pub fn checkpoint(&self, images: &str, switches: &[&str]) {
        let images = self.images(images);
        let outcome = self.berth(&[&["checkpoint", "--image-path", text(&images)], switches, &["c1"]].concat());
        assert_eq!((outcome.code, outcome.err.as_str()), (0, ""), "{switches:?}: {outcome:?}");
    }

    /// Tries a checkpoint that must fail with this message and leave the container running.
    pub fn no_checkpoint(&self, words: &str, switches: &[&str]) {
        let images = self.images("refused");
        let outcome = self.berth(&[&["checkpoint", "--image-path", text(&images)], switches, &["c1"]].concat());
        assert!(outcome.code == 1 && outcome.err.contains(words), "{switches:?}: {outcome:?}");
        // Only CRIU's log may be left, which tells why.
        if images.exists() {
            let left = std::fs::read_dir(&images).unwrap().map(|entry| entry.unwrap().file_name());
            assert_eq!(left.collect::<Vec<_>>(), ["dump.log"]);
            std::fs::remove_dir_all(&images).unwrap();
        }
        assert_eq!(self.cli.status("c1"), "running");
    }

    fn try_restore(&self, images: &str, switches: &[&str]) -> Outcome {
        let images = self.images(images);
        let restore = ["restore", "-d", "-b", text(&self.bundle), "--image-path", text(&images)];
        self.berth(&[&restore, switches, &["c1"]].concat())
    }

    pub fn restore(&self, images: &str, switches: &[&str]) {
        let outcome = self.try_restore(images, switches);
        assert_eq!((outcome.code, outcome.err.as_str()), (0, ""), "{switches:?}: {outcome:?}");
    }

    pub fn no_restore(&self, words: &str, images: &str, switches: &[&str]) {
        let outcome = self.try_restore(images, switches);
        assert!(outcome.code == 1 && outcome.err.contains(words), "{switches:?}: {outcome:?}");
        assert_eq!(self.cli.ok(&["list", "-q"]), "", "nothing is left");
    }

    pub fn delete(&self) {
        self.cli.ok(&["delete", "-f", "c1"]);
    }

    /// Reads a file of the container's init below /proc.
    pub fn proc(&self, name: &str) -> String {
        let pid = &self.cli.state("c1")["pid"];
        std::fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap()
    }
}
