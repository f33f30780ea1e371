//! Lists and signals the processes of a cgroup and its descendants, without ever signalling another process that has
//! got a dead member's pid.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;

use super::tree;
use crate::error::{Code, Context, Error, Result};
use crate::sys::{kernfs, pidfd};

/// Adds all processes at and below `top`. Processes outside the caller's pid namespace are omitted: v2 lists them as 0,
/// v1 does not list them.
pub fn collect(top: &Path, pids: &mut BTreeSet<i32>) -> Result<()> {
    tree::each(top, |dir| {
        let Some(file) = tree::file(dir, "cgroup.procs", OFlag::O_RDONLY)? else { return Ok(()) };
        let text = match kernfs::read_all(file.as_fd()) {
            // ENODEV: removed in between. EOPNOTSUPP: a threaded v2 cgroup, whose processes are listed by
            // the domain above it.
            Err(Errno::ENODEV | Errno::EOPNOTSUPP) => return Ok(()),
            result => result.context(|| format!("reading cgroup.procs below {}", top.display()))?,
        };
        pids.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()).filter(|pid| *pid > 0));
        Ok(())
    })
}

/// A signal to the caller's own process is never what was meant.
pub fn refuse_own(pids: &BTreeSet<i32>, place: &Path) -> Result<()> {
    let own = std::process::id() as i32;
    if pids.contains(&own) {
        let place = place.display();
        let problem = format!("not signalling cgroup {place}: the calling process {own} is itself a member of it");
        return Err(Error::new(Code::System, problem));
    }
    Ok(())
}

/// Sends a signal to all members that `list` gives and that are not in `done` yet; those that were sent it are
/// added to `done`. Returns how many.
///
/// A pid can be reused between listing and signalling. A descriptor cannot: it is taken first, and used only
/// when the pid is still listed afterwards. It then stands for a member or for a process that has died.
pub fn signal(list: impl Fn() -> Result<BTreeSet<i32>>, signal: i32, done: &mut BTreeSet<i32>) -> Result<usize> {
    let mut held: Vec<(i32, OwnedFd)> = Vec::new();
    let mut sent = 0;
    let before: Vec<i32> = list()?.into_iter().filter(|pid| !done.contains(pid)).collect();
    // In portions, so that a cgroup of many processes does not use up the caller's descriptors.
    for portion in before.chunks(128) {
        for &pid in portion {
            match pidfd::open(pid) {
                Ok(fd) => held.push((pid, fd)),
                Err(Errno::ESRCH) => {}
                // EINVAL: the leader has died and other threads live on; there is no descriptor for those.
                Err(Errno::EINVAL) => {}
                Err(errno) => return Err(errno).context(|| format!("opening process {pid}")),
            }
        }
        let still = list()?;
        for (pid, fd) in held.drain(..).filter(|(pid, _)| still.contains(pid)) {
            match pidfd::send_signal(fd.as_fd(), signal) {
                Ok(()) => sent += 1,
                Err(Errno::ESRCH) => {}
                Err(errno) => return Err(errno).context(|| format!("sending signal {signal} to process {pid}")),
            }
            done.insert(pid);
        }
    }
    Ok(sent)
}

/// "pid 12, 13 and 40 more", for messages.
pub fn describe(pids: &BTreeSet<i32>) -> String {
    let shown: Vec<String> = pids.iter().take(8).map(i32::to_string).collect();
    match pids.len() - shown.len() {
        0 => format!("pid {}", shown.join(", ")),
        more => format!("pid {} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_of_pids_is_cut() {
        assert_eq!(describe(&BTreeSet::from([3, 1])), "pid 1, 3");
        assert_eq!(describe(&(1..=10).collect()), "pid 1, 2, 3, 4, 5, 6, 7, 8 and 2 more");
    }

    #[test]
    fn the_caller_itself_is_refused() {
        let own = std::process::id() as i32;
        assert!(refuse_own(&BTreeSet::from([own]), Path::new("/x")).is_err());
        assert!(refuse_own(&BTreeSet::from([own + 1]), Path::new("/x")).is_ok());
    }
}
