//! Steps that change kernel settings and process attributes, and turn init into the container's program.

use super::super::fields::Numbers;
use super::super::steps::*;
use super::super::{home, label, process};
use super::*;

/// The path begins with "sys/". The file must be the kernel's own: not covered by a mount, and reached without
/// symlinks.
impl Run for Sysctl {
    fn run(self, init: &mut Init) -> Result<()> {
        let inside = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
        let file = openat2(init.proc(), self.path, O_WRONLY, 0, inside)?;
        let result = match filesystem(file)?.kind {
            PROC_SUPER_MAGIC => write(file, self.value.bytes()).map(|_| ()),
            _ => Err(EPROTO),
        };
        close(file);
        result
    }
}

impl Run for Hostname {
    fn run(self, _: &mut Init) -> Result<()> {
        sethostname(self.name.bytes())
    }
}

impl Run for Domainname {
    fn run(self, _: &mut Init) -> Result<()> {
        setdomainname(self.name.bytes())
    }
}

impl Run for Session {
    fn run(self, _: &mut Init) -> Result<()> {
        setsid()
    }
}

impl Run for OwnNull {
    fn run(self, init: &mut Init) -> Result<()> {
        process::own_null(init.proc())
    }
}

impl Run for OwnStreams {
    fn run(self, _: &mut Init) -> Result<()> {
        process::own_streams(self.uid)
    }
}

impl Run for Keyring {
    fn run(self, _: &mut Init) -> Result<()> {
        match new_session_keyring() {
            Err(ENOSYS) => Ok(()), // a kernel built without keyrings has none to share
            other => other,
        }
    }
}

impl Run for Rlimit {
    fn run(self, _: &mut Init) -> Result<()> {
        setrlimit(self.resource.into(), self.soft, self.hard)
    }
}

impl Run for Bounding {
    fn run(self, _: &mut Init) -> Result<()> {
        process::limit_bounding_set(self.bounding)
    }
}

impl Run for User {
    fn run(self, init: &mut Init) -> Result<()> {
        process::set_user(init.proc(), self.uid, self.gid, self.groups)?;
        prctl(PR_SET_DUMPABLE, 0)
    }
}

impl Run for Capabilities {
    fn run(self, _: &mut Init) -> Result<()> {
        process::set_capabilities(self.effective, self.permitted, self.inheritable, self.ambient)
    }
}

impl Run for NoNewPrivileges {
    fn run(self, _: &mut Init) -> Result<()> {
        process::no_new_privileges()
    }
}

impl Run for Label {
    fn run(self, init: &mut Init) -> Result<()> {
        let mut found = [0; label::BUFFER_SIZE];
        match label::set(init.proc(), self.module, self.label, &mut found)? {
            None => Ok(()),
            Some(len) => {
                init.report.say(&[b"it reads back as ", &found[..len]]);
                Err(EPROTO)
            }
        }
    }
}

impl Run for Umask {
    fn run(self, _: &mut Init) -> Result<()> {
        umask(self.mask.into());
        Ok(())
    }
}

/// Planned twice: as root, because the user may lack the permission, and again as the user, because root may lack it
/// (NFS).
impl Run for WorkingDirectory {
    fn run(self, init: &mut Init) -> Result<()> {
        if init.entered_working_directory {
            return Ok(());
        }
        match process::enter(self.path.as_str()) {
            Err(EACCES | EPERM) if self.attempt => Ok(()),
            Err(errno) => Err(errno),
            Ok(()) => {
                init.entered_working_directory = true;
                Ok(())
            }
        }
    }
}

impl Run for ParentDeathSignal {
    fn run(self, init: &mut Init) -> Result<()> {
        init.parent_death_signal = self.signal as usize;
        Ok(())
    }
}

impl Run for CpuAffinity {
    fn run(self, _: &mut Init) -> Result<()> {
        set_affinity(self.processors.count, self.processors.start)
    }
}

impl Run for Personality {
    fn run(self, _: &mut Init) -> Result<()> {
        personality(self.persona)
    }
}

impl Run for MemoryPolicy {
    fn run(self, _: &mut Init) -> Result<()> {
        let Numbers { start, count } = self.nodes;
        set_memory_policy(self.mode, count, if count == 0 { core::ptr::null() } else { start })
    }
}

impl Run for Home {
    fn run(self, init: &mut Init) -> Result<()> {
        home::complete(init.proc(), self.uid.uid, self.uid.room)
    }
}

impl Run for FindProgram {
    fn run(self, _: &mut Init) -> Result<()> {
        process::find(self.name, self.search)
    }
}

impl Run for Exec {
    fn run(self, init: &mut Init) -> Result<()> {
        init.get_ready_to_execute()?;
        let errno = process::exec(&self);
        ignore_sigpipe(true);
        Err(errno)
    }
}

impl Init {
    /// Resets the signals. Runs late, because the caller continues in parallel and init must not delay it.
    pub(super) fn take_signals(&mut self) {
        if !self.own_signals {
            reset_signals();
            ignore_sigpipe(true);
            self.own_signals = true;
        }
    }

    pub(super) fn get_ready_to_execute(&mut self) -> Result<()> {
        if self.ready_to_execute {
            return Ok(());
        }
        // A change of identity resets the setting, so set it at the last moment.
        prctl(PR_SET_PDEATHSIG, self.parent_death_signal)?;
        self.take_signals();
        ignore_sigpipe(false);
        if !self.report.is_fifo {
            let (reading, _) = pipe()?;
            self.report.send(EXECUTING, 0, Some(reading))?;
            close(reading);
        }
        self.ready_to_execute = true;
        Ok(())
    }
}
