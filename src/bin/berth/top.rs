//! `berth top`

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use berth::stats::Stats;
use berth::{Container, Runtime};
use clap::Args;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde_json::{Value, json};

use crate::args::Global;
use crate::events::interval;
use crate::failure::Failure;
use crate::terminal::Keys;
use crate::{Outcome, host, output, table};

#[derive(Args)]
pub struct Top {
    /// Set the interval between two tables
    #[arg(short, long, value_name = "TIME", default_value = "2s", value_parser = interval)]
    interval: Duration,
    /// Exit after N tables [default: on "q" on a terminal, else after one]
    #[arg(short = 'n', long, value_name = "NUMBER")]
    count: Option<u64>,
    /// Print each table as a JSON array
    #[arg(long)]
    json: bool,
}

/// A measurement of one container. The handle keeps the statistics files open.
struct Sample {
    container: Container,
    status: &'static str,
    stats: Option<Stats>,
    at: Instant,
}

impl Top {
    pub fn run(self, global: &Global) -> Outcome {
        let Some(runtime) = host::existing(global)? else {
            output::print(self.text(&[]))?;
            return Ok(0);
        };
        let live = !self.json && std::io::stdout().is_terminal();
        let count = self.count.unwrap_or(if live { u64::MAX } else { 1 });
        let keys = if live { Keys::take()? } else { None };
        let mut before = sample(&runtime, BTreeMap::new())?;
        for _ in 0..count {
            if sleep(self.interval, keys.as_ref()) {
                break;
            }
            let earlier: BTreeMap<String, (Option<Stats>, Instant)> =
                before.iter().map(|(id, sample)| (id.clone(), (sample.stats, sample.at))).collect();
            before = sample(&runtime, before)?;
            let rows: Vec<Value> = before.iter().map(|(id, sample)| row(id, sample, earlier.get(id))).collect();
            let clear = if live { "\x1b[H\x1b[2J" } else { "" };
            output::print(format!("{clear}{}", self.text(&rows)))?;
        }
        Ok(0)
    }

    fn text(&self, rows: &[Value]) -> String {
        if self.json {
            return format!("{}\n", Value::from(rows));
        }
        let head = ["ID", "STATUS", "CPU %", "MEMORY", "LIMIT", "PIDS", "READ/s", "WRITE/s", "WAIT cpu mem io %"];
        let cells = |row: &Value| {
            let percent = |name: &str| row[name].as_f64().map_or("-".to_owned(), |value| format!("{value:.1}"));
            let bytes = |name: &str| row[name].as_f64().map_or("-".to_owned(), size);
            let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
            vec![
                text("id"),
                text("status"),
                percent("cpuPercent"),
                bytes("memory"),
                bytes("memoryLimit"),
                row["pids"].as_u64().map_or("-".to_owned(), |pids| pids.to_string()),
                bytes("readPerSecond"),
                bytes("writePerSecond"),
                ["cpuWaitPercent", "memoryWaitPercent", "ioWaitPercent"].map(percent).join("  "),
            ]
        };
        let rows = rows.iter().map(cells);
        table::set(&std::iter::once(head.map(str::to_owned).to_vec()).chain(rows).collect::<Vec<_>>())
    }
}

/// Reads the statistics of every container; a container without statistics is listed without them.
fn sample(runtime: &Runtime, mut before: BTreeMap<String, Sample>) -> Result<BTreeMap<String, Sample>, Failure> {
    let mut now = BTreeMap::new();
    for id in runtime.ids()? {
        let known = before.remove(&id).map(|sample| sample.container).filter(|container| container.status().is_ok());
        // A damaged one is left out, which `berth list` names, and one that has been deleted meanwhile.
        let Some(container) = known.or_else(|| runtime.load(&id).ok()) else { continue };
        let Ok(status) = container.status() else { continue };
        let stats = container.stats().ok();
        now.insert(id, Sample { container, status: status.name(), stats, at: Instant::now() });
    }
    Ok(now)
}

fn row(id: &str, sample: &Sample, earlier: Option<&(Option<Stats>, Instant)>) -> Value {
    let now = sample.stats.unwrap_or_default();
    let rate = |of: fn(&Stats) -> Option<u64>| {
        let (before, at) = earlier?;
        let grown = of(&now)?.checked_sub(of(before.as_ref()?)?)?;
        let seconds = sample.at.duration_since(*at).as_secs_f64();
        (seconds > 0.0).then(|| grown as f64 / seconds)
    };
    // Nanoseconds in a second.
    let percent = |of: fn(&Stats) -> Option<u64>| rate(of).map(|rate| rate / 1e7);
    json!({
        "id": id,
        "status": sample.status,
        "cpuPercent": percent(|stats| stats.cpu_usage_ns),
        "memory": now.memory_usage,
        "memoryLimit": now.memory_limit,
        "pids": now.pids_current,
        "readPerSecond": rate(|stats| stats.io_read_bytes),
        "writePerSecond": rate(|stats| stats.io_write_bytes),
        "cpuWaitPercent": percent(|stats| stats.cpu_pressure_some_ns),
        "memoryWaitPercent": percent(|stats| stats.memory_pressure_some_ns),
        "ioWaitPercent": percent(|stats| stats.io_pressure_some_ns),
    })
}

fn size(bytes: f64) -> String {
    let mut value = bytes;
    let mut units = ["", "K", "M", "G", "T", "P"].into_iter();
    let mut unit = units.next().unwrap_or_default();
    while value >= 1024.0
        && let Some(next) = units.next()
    {
        (value, unit) = (value / 1024.0, next);
    }
    if unit.is_empty() { format!("{value:.0}") } else { format!("{value:.1}{unit}") }
}

/// Whether a key to quit was pressed.
fn sleep(time: Duration, keys: Option<&Keys>) -> bool {
    let Some(keys) = keys else {
        std::thread::sleep(time);
        return false;
    };
    let end = Instant::now() + time;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left.as_millis()).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(keys.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(0) => return false,
            Ok(_) if keys.ends() => return true,
            _ if left.is_zero() => return false,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        assert_eq!(["0", "1023", "1.0K", "1.5M"].map(str::to_owned), [0.0, 1023.0, 1024.0, 1572864.0].map(size));
    }
}
