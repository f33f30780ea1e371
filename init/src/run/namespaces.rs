//! Steps that enter and create namespaces.

use super::super::steps::*;
use super::super::{loopback, network};
use super::*;

impl Run for SetNs {
    fn run(self, init: &mut Init) -> Result<()> {
        setns(init.slot(self.slot)?, self.flags)
    }
}

impl Run for Unshare {
    fn run(self, _: &mut Init) -> Result<()> {
        unshare(self.flags)
    }
}

/// Only a new process can be in a new pid namespace. It is a sibling, so that the caller is its parent, and it copies
/// this program's few pages, not the caller's memory.
impl Run for Fork {
    fn run(self, init: &mut Init) -> Result<()> {
        let mut pidfd = -1i32;
        let flags = self.flags | CLONE_PARENT | CLONE_PIDFD;
        let mut args = CloneArgs { flags, pidfd: &raw mut pidfd as u64, ..CLONE_ARGS };
        if let Some(cgroup) = self.cgroup {
            args.flags |= CLONE_INTO_CGROUP;
            args.cgroup = init.slot(cgroup)? as u64;
        }
        // The child inherits the setting, so it applies as soon as the caller knows of the new process.
        prctl(PR_SET_DUMPABLE, usize::from(self.open))?;
        match fork(&args)? {
            0 => {
                prctl(PR_SET_PDEATHSIG, SIGKILL)?;
                // If the caller never learns of this process, the process must not remain.
                init.report.wait_for_go()?;
                prctl(PR_SET_DUMPABLE, 0)
            }
            pid => {
                // Without a descriptor the caller opens one itself. A child that it never learns of must not remain: the
                // child holds the socket open, so the caller would wait for its whole deadline.
                let sent = init.report.send(CHILD, pid, Some(pidfd)).or_else(|_| init.report.send(CHILD, pid, None));
                sent.inspect_err(|_| kill(pid, SIGKILL))?;
                exit(0)
            }
        }
    }
}

/// unshare(CLONE_NEWTIME) moves only later children; setns to the same namespace moves this process, once the offsets
/// are set (time_namespaces(7)).
impl Run for TimeNamespace {
    fn run(self, init: &mut Init) -> Result<()> {
        unshare(CLONE_NEWTIME)?;
        if !self.offsets.bytes().is_empty() {
            write_file(init.proc(), Str::literal(c"self/timens_offsets"), self.offsets.bytes())?;
        }
        let namespace = openat(init.proc(), Str::literal(c"self/ns/time_for_children"), O_RDONLY, 0)?;
        let result = setns(namespace, CLONE_NEWTIME);
        close(namespace);
        result
    }
}

fn write_file(dir: i32, path: Str, bytes: &[u8]) -> Result<()> {
    let file = openat(dir, path, O_WRONLY, 0)?;
    let result = write(file, bytes).map(|_| ());
    close(file);
    result
}

impl Run for BecomeRoot {
    fn run(self, init: &mut Init) -> Result<()> {
        super::super::process::become_root(init.proc())?;
        // The change of identity has reset both (prctl(2)).
        prctl(PR_SET_DUMPABLE, 0)?;
        prctl(PR_SET_PDEATHSIG, SIGKILL)
    }
}

impl Run for NetworkNamespace {
    fn run(self, init: &mut Init) -> Result<()> {
        network::enter_namespace(init.slot(self.socket).ok())
    }
}

impl Run for Loopback {
    fn run(self, _: &mut Init) -> Result<()> {
        loopback::bring_up()
    }
}
