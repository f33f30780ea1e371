//! The target for fuzzers: arguments, each on a line. What it runs, it does not execute.

#[path = "../../../fuzz/driver.rs"]
#[cfg_attr(fuzzing, allow(dead_code))] // the fuzzer takes its part
mod driver;

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use clap::CommandFactory;

use crate::args::{self, Arguments, Verb};
use crate::go_flags;

const TARGET: driver::Target = ("command_line", command_line, command_lines);

fn command_line(data: &[u8]) {
    let words = data.split(|byte| *byte == b'\n').map(|word| OsString::from_vec(word.to_vec()));
    let arguments = go_flags::translated(words, Arguments::command);
    match args::parsed(&mut Arguments::command(), &arguments) {
        Ok(Arguments { verb: Verb::Update(update), .. }) if update.is_without_file() => {
            assert!(update.change().is_err() || update.change().is_ok_and(|change| change.is_object()));
        }
        Ok(parsed) => assert!(!parsed.verb.name().is_empty()),
        Err(error) => assert!(!args::sentence(&error).contains('\n')),
    }
}

fn command_lines() -> Vec<Vec<u8>> {
    [
        "berth --root /r --log /l --log-format json --systemd-cgroup create --bundle /b --pid-file /p --no-pivot a",
        "berth --rootless=true run -d -b /b --console-socket /s --preserve-fds 3 --keep a",
        "berth exec -t --user 1000:1000 --additional-gids 5 --env A=b --cwd / --process /p -d a sh -c true",
        "berth update --memory 1.5g --memory-swap -1 --cpu-quota -1 --cpuset-cpus 0-3 --pids-limit 5 a",
        "berth update --blkio-weight 10 --cpu-share 1024 --cpu-period 1000 --cpu-idle 1 --l3-cache-schema L3:0=f a",
        "berth kill --all a SIGTERM",
        "berth checkpoint --image-path /i --leave-running --tcp-established --manage-cgroups-mode soft a",
        "berth restore --image-path /i --detach --lsm-profile selinux:x a",
        "berth -bundle /b -detach=false run -pid-file= a",
        "berth list -q --format json",
        "berth events --stats --interval 5s a",
        "berth delete --force a",
        "berth state",
        "berth --help",
    ]
    .map(|line| line.replace(' ', "\n").into_bytes())
    .to_vec()
}

/// What libFuzzer calls; see `fuzz/`.
#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(
    init: {
        if let Some(folder) = std::env::var_os("BERTH_FUZZ_WRITE_SEEDS") {
            driver::write_seeds(folder.as_ref(), TARGET);
            std::process::exit(0);
        }
    },
    |data: &[u8]| command_line(data)
);

#[cfg(test)]
mod tests {
    #[test]
    fn command_line() {
        super::driver::drive(super::TARGET);
    }
}
