//! Measures a container that runs `/bin/true` with the default configuration: create, start, wait, delete.
//!
//!     cargo run --release --example create_to_delete -- ROOTFS [ROUNDS] [MEGABYTES TOUCHED]
//!
//! Prints the median and the 10th and 90th percentile, in milliseconds, and the time of each stage.

use std::time::{Duration, Instant};

use berth::spec::Config;
use berth::{Container, Force, ProcessOptions, Runtime, Settings, Stdio};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let rootfs = arguments.next().ok_or("usage: create_to_delete ROOTFS [ROUNDS] [MEGABYTES]")?;
    let rounds: usize = arguments.next().map_or(Ok(300), |text| text.parse())?;
    let megabytes: usize = arguments.next().map_or(Ok(0), |text| text.parse())?;
    let touched = vec![1u8; megabytes << 20];

    let json =
        Config::default_json().replace("\"terminal\": true", "\"terminal\": false").replace("\"sh\"", "\"/bin/true\"");
    let config = Config::from_json(&json, Some(rootfs.as_ref()))?;
    let state = std::env::temp_dir().join(format!("berth-bench-{}", std::process::id()));
    let runtime = Runtime::new(Settings { root: state.clone(), ..Settings::default() })?;
    let options = ProcessOptions { stdio: [Stdio::Null; 3], ..ProcessOptions::default() };
    let mut phases: [Vec<Duration>; 5] = Default::default();
    for round in 0..rounds {
        let begin = Instant::now();
        let container =
            Container::create(&runtime, &format!("bench-{}-{round}", std::process::id()), &config, &options)?;
        let created = Instant::now();
        container.start()?;
        let started = Instant::now();
        container.wait(-1)?;
        let ended = Instant::now();
        container.delete(Force::No)?;
        let deleted = Instant::now();
        let times = [created - begin, started - created, ended - started, deleted - ended, deleted - begin];
        phases.iter_mut().zip(times).for_each(|(phase, time)| phase.push(time));
    }
    std::fs::remove_dir(&state)?;
    for (name, mut times) in ["create", "start", "wait", "delete", "whole"].into_iter().zip(phases) {
        times.sort();
        let at = |share: usize| times[times.len() * share / 100].as_secs_f64() * 1e3;
        println!("{name:7} p50 {:.3}  p10 {:.3}  p90 {:.3} ms", at(50), at(10), at(90));
    }
    std::hint::black_box(touched);
    Ok(())
}
