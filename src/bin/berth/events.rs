//! `berth events`

use std::time::{Duration, Instant};

use berth::{Code, Container, Events, Status};
use clap::Args;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::args::Global;
use crate::failure::Failure;
use crate::{Outcome, host, output};

#[derive(Args)]
pub struct Watch {
    /// Print the statistics once
    #[arg(long)]
    stats: bool,
    /// Set the interval between statistics, like 500ms, 5s or 1m30s
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = interval)]
    interval: Duration,
    /// Container id
    #[arg(value_name = "ID")]
    id: String,
}

/// Parses a duration in Go's format.
pub fn interval(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => Err("it must be more than nothing".into()),
        Ok(interval) => Ok(interval),
        Err(error) => Err(error.to_string()),
    }
}

impl Watch {
    pub fn run(self, global: &Global) -> Outcome {
        let container = host::container(global, &self.id)?;
        if container.status()? == Status::Stopped {
            return Err(Failure::new(format!("container with id {} is not running", self.id)));
        }
        if self.stats {
            return statistics(&container).map(|()| 0);
        }
        let kills = match container.notify_oom() {
            // The container has ended since.
            Err(error) if matches!(error.code, Code::NotRunning | Code::NotFound) => return Ok(0),
            // Without a memory controller, or the right to use it, only the end of the container is reported.
            Err(error)
                if error.code == Code::Unsupported || matches!(error.errno, Some(Errno::EACCES | Errno::EPERM)) =>
            {
                log::debug!("no events: {error}");
                None
            }
            other => Some(other?),
        };
        let mut next = Instant::now() + self.interval;
        loop {
            let left = next.saturating_duration_since(Instant::now());
            match wait(&container, kills.as_ref(), left)? {
                WaitResult::Ended => return Ok(0),
                WaitResult::Killed(count) => {
                    (0..count).try_for_each(|_| print(&format!(r#"{{"type":"oom","id":"{}"}}"#, self.id)))?;
                }
                WaitResult::Time => {
                    next += self.interval;
                    match statistics(&container) {
                        // The container has ended since.
                        Err(failure) if matches!(failure.code(), Some(Code::NotRunning | Code::NotFound)) => {
                            return Ok(0);
                        }
                        other => other?,
                    }
                }
            }
        }
    }
}

enum WaitResult {
    Time,
    Killed(u64),
    Ended,
}

fn wait(container: &Container, kills: Option<&Events>, time: Duration) -> Result<WaitResult, Failure> {
    let ms = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    let Some(kills) = kills else {
        let pidfd = container.pidfd()?;
        let timeout = PollTimeout::try_from(ms).unwrap_or(PollTimeout::MAX);
        let ended = poll(&mut [PollFd::new(std::os::fd::AsFd::as_fd(&pidfd), PollFlags::POLLIN)], timeout);
        return Ok(if matches!(ended, Ok(1..)) { WaitResult::Ended } else { WaitResult::Time });
    };
    match kills.read(ms) {
        Ok(occurred) if occurred.count > 0 => Ok(WaitResult::Killed(occurred.count)),
        Ok(_) => Ok(WaitResult::Ended),
        Err(error) if error.code == Code::Timeout => Ok(WaitResult::Time),
        Err(error) => Err(error.into()),
    }
}

fn statistics(container: &Container) -> Result<(), Failure> {
    let data = container.stats_json()?;
    print(&format!(r#"{{"type":"stats","id":"{}","data":{data}}}"#, container.id()))
}

/// Prints one event.
fn print(line: &str) -> Result<(), Failure> {
    output::print_line(line)
}
