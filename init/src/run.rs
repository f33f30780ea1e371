//! The executor: takes the plan step by step. A step that fails ends init, with the step and the errno told.

use super::mounts::{self, Mounter};
use super::plan::{Path, Plan};
use super::process;
use super::report::Report;
use super::sys::*;
use super::tree::{self, Top};
use super::wire::*;
use super::{home, label, loopback, network, terminal};

pub struct Init {
    plan: Plan,
    report: Report,
    slots: &'static mut [i32],
    /// What PR_SET_PDEATHSIG shall be for the container's program.
    parent_death_signal: usize,
    entered_working_directory: bool,
    /// Signals are as the program gets them, but for SIGPIPE.
    own_signals: bool,
    /// All that comes before execve has been done.
    ready_to_execute: bool,
    /// See [`mounts::cut_off`].
    cut_off_later: bool,
}

impl Init {
    pub fn new(plan: Plan) -> Result<Init> {
        let slots = plan.slots()?;
        if slots.len() < SLOT_FREE {
            return Err(EPROTO);
        }
        let report = Report::new(slots[SLOT_CONTROL]);
        Ok(Init {
            plan,
            report,
            slots,
            parent_death_signal: 0,
            entered_working_directory: false,
            own_signals: false,
            ready_to_execute: false,
            cut_off_later: false,
        })
    }

    /// Never returns: the last step is exec, and everything else ends the process.
    pub fn run(mut self) -> ! {
        for index in 0..self.plan.header().step_count {
            self.report.step = index;
            if let Err(errno) = self.step(index) {
                self.report.failed(errno);
                exit(EXIT_FAILED);
            }
        }
        exit(EXIT_FAILED)
    }

    fn step(&mut self, index: u32) -> Result<()> {
        let step = self.plan.step(index)?;
        let [a0, a1, a2, a3] = step.a;
        match Op::from_u32(step.op).ok_or(EPROTO)? {
            Op::WaitHost => self.wait_host(step.flags),
            Op::Ready => self.ready(),
            Op::ExecFifo => self.exec_fifo(a0),

            Op::SetNs => setns(self.slot(a0)?, a1),
            Op::Unshare => unshare(a0),
            Op::Fork => self.fork(a0, a1, a2 != 0),
            Op::TimeNamespace => self.time_namespace(self.plan.text(step.s[0])?),
            Op::BecomeRoot => {
                process::become_root()?;
                // The change of identity has taken both back (prctl(2)).
                prctl(PR_SET_DUMPABLE, 0)?;
                prctl(PR_SET_PDEATHSIG, SIGKILL)
            }
            Op::NetworkNamespace => network::enter_namespace(self.slot(a0).ok()),
            Op::Loopback => loopback::bring_up(),
            Op::NetlinkSocket => network::send_netlink_socket(&self.report, a0 as i32),

            Op::Propagation => mount_flags(self.plan.text(step.s[0])?, a0),
            Op::OpenTree => {
                let recursive = a1 & AT_RECURSIVE as u64 != 0;
                let tree = mounts::open_host_tree(self.plan.text(step.s[0])?, recursive)?;
                self.fill(a0, tree)?;
                if step.flags & OWN_PROPAGATION != 0 && !mounts::cut_off(tree, recursive)? {
                    self.cut_off_later = true;
                }
                Ok(())
            }
            Op::AttachRoot => self.attach_root(a0, self.plan.text_mut(step.s[0])?),
            Op::OpenRoot => {
                let root = openat(AT_FDCWD, self.plan.text(step.s[0])?, O_PATH | O_DIRECTORY, 0)?;
                self.fill(SLOT_ROOT as u64, root)
            }
            Op::TakeRoot => {
                let root = self.slot(a0)?;
                self.fill(SLOT_ROOT as u64, root)
            }
            Op::Mount => {
                let id_map = if a2 == NO_SLOT { None } else { Some(self.slot(a2)?) };
                let mount = self.mounter(&step)?.mount(&step, id_map)?;
                if a1 == NO_SLOT {
                    close(mount);
                    return Ok(());
                }
                self.fill(a1, mount)
            }
            Op::Attach => {
                let tree = self.slot(a0)?;
                self.mounter(&step)?.attach(tree, &step)?;
                self.cut_off(tree)?;
                close(tree);
                self.fill(a0, -1)
            }
            Op::MountFlags => self.mounter(&step)?.flags(&step),
            Op::IdMap => map_owners(self.slot(a0)?, step.flags & WHOLE_TREE != 0, self.slot(a1)?),
            Op::Reconfigure => self.mounter(&step)?.reconfigure(&step),
            Op::Remount => self.mounter(&step)?.remount(&step),
            Op::Mask => {
                let mut empty = self.slots[SLOT_MASK];
                self.mounter(&step)?.mask(&step, &mut empty)?;
                self.fill(SLOT_MASK as u64, empty)
            }
            Op::ReadonlyPath => self.mounter(&step)?.readonly(&step),

            Op::MakeNode => self.make_node(&step),
            Op::Symlink => {
                let (name, target) = (self.plan.text(step.s[1])?, self.plan.text(step.s[2])?);
                let make = |parent| tree::make_symlink(parent, name, target);
                tree::in_directory(self.top(&step)?, self.plan.text_mut(step.s[0])?, make)
            }
            Op::MakeDirectory => tree::make_directory(self.top(&step)?, self.plan.text_mut(step.s[2])?).map(close),

            Op::Pivot => self.pivot(a0),
            Op::Chroot => {
                fchdir(self.root())?;
                chroot(DOT)
            }
            Op::HideHost => {
                let mut index = 0;
                while let Some(path) = self.plan.array_text(step.s[0], index)? {
                    mounts::hide_host(path)?;
                    index += 1;
                }
                Ok(())
            }
            Op::MoveRoot => {
                fchdir(self.root())?;
                attach_at(self.root(), SLASH)?;
                chroot(DOT)?;
                chdir(SLASH)
            }
            Op::RootReadonly => mounts::readonly_root(self.slots[SLOT_PROC], self.root()),

            Op::Sysctl => self.sysctl(self.plan.text(step.s[0])?, self.plan.text(step.s[1])?.bytes()),
            Op::Hostname => sethostname(self.plan.text(step.s[0])?.bytes()),
            Op::Domainname => setdomainname(self.plan.text(step.s[0])?.bytes()),

            Op::Session => setsid(),
            Op::Keyring => match new_session_keyring() {
                Err(ENOSYS) => Ok(()), // a kernel built without keyrings has none to share
                other => other,
            },
            Op::OwnNull => process::own_null(self.slots[SLOT_PROC]),
            Op::Terminal => terminal::open(&self.report, self.plan, self.top(&step)?, &step),
            Op::Rlimit => setrlimit(a0, a1, a2),
            Op::Bounding => process::limit_bounding_set(a0),
            Op::User => {
                process::set_user(self.plan, &step)?;
                prctl(PR_SET_DUMPABLE, 0)
            }
            Op::Capabilities => process::set_capabilities(a0, a1, a2, a3),
            Op::NoNewPrivileges => process::no_new_privileges(),
            Op::Umask => {
                umask(a0);
                Ok(())
            }
            Op::WorkingDirectory => self.working_directory(&step),
            Op::ParentDeathSignal => {
                self.parent_death_signal = a0 as usize;
                Ok(())
            }
            Op::Exec => self.exec(&step),
            Op::FindProgram => process::find(self.plan, &step),
            Op::CpuAffinity => set_affinity(a0 as usize, self.plan.u32_array(step.s[0], a0 as usize)?),
            Op::Personality => personality(a0),
            Op::MemoryPolicy => match a1 {
                0 => set_memory_policy(a0, 0, core::ptr::null()),
                words => set_memory_policy(a0, words as usize, self.plan.u32_array(step.s[0], words as usize)?),
            },
            Op::Home => {
                let room = self.plan.bytes_mut(step.s[0], a1 as usize)?;
                home::complete(self.slots[SLOT_PROC], a0 as u32, room)
            }
            Op::Seccomp => self.seccomp(&step),
            Op::Label => {
                let (asked, label) = (self.plan.text(step.s[0])?, self.plan.text(step.s[1])?);
                let mut found = [0; label::ROOM];
                match label::set(self.slots[SLOT_PROC], step.flags & APPARMOR != 0, asked, label, &mut found)? {
                    None => Ok(()),
                    Some(len) => {
                        self.report.say(&[b"it reads back as ", &found[..len]]);
                        Err(EPROTO)
                    }
                }
            }
        }
    }

    fn slot(&self, index: u64) -> Result<i32> {
        match self.slots.get(index as usize) {
            Some(&fd) if fd >= 0 => Ok(fd),
            _ => Err(EPROTO),
        }
    }

    fn fill(&mut self, index: u64, fd: i32) -> Result<()> {
        *self.slots.get_mut(index as usize).ok_or(EPROTO)? = fd;
        Ok(())
    }

    fn root(&self) -> i32 {
        self.slots[SLOT_ROOT]
    }

    /// Where the path of a step begins.
    fn top(&self, step: &Step) -> Result<Top> {
        let fd = match step.flags >> BASE_SHIFT {
            0 => self.root(),
            slot => self.slot(slot as u64)?,
        };
        Ok(Top { fd, strict: step.flags & STRICT != 0 })
    }

    fn mounter(&mut self, step: &Step) -> Result<Mounter<'_>> {
        Ok(Mounter {
            plan: self.plan,
            proc: self.slots[SLOT_PROC],
            top: self.top(step)?,
            top_is_root: step.flags >> BASE_SHIFT == 0,
            report: &mut self.report,
        })
    }

    fn wait_host(&self, flags: u32) -> Result<()> {
        if flags & ANNOUNCE != 0 {
            self.report.send(REACHED, 0, None)?;
        }
        self.report.wait_for_go()
    }

    /// Up to here the death of the host's thread is ours. From here on the container has a state file and lives for itself.
    fn ready(&mut self) -> Result<()> {
        // Set before the word: the host's thread may end as soon as it has let us go. If it is killed before, the socket
        // closes, which ends us too.
        prctl(PR_SET_PDEATHSIG, self.parent_death_signal)?;
        self.report.send(READY, 0, None)?;
        self.report.wait_for_go()?;
        close(self.report.fd);
        self.report.fd = -1;
        self.fill(SLOT_CONTROL as u64, -1)
    }

    /// Blocks until somebody opens the fifo to start the container. A starter that is gone before it has read our
    /// word has not started anything: we wait for the next.
    fn exec_fifo(&mut self, slot: u64) -> Result<()> {
        let mut buffer = [0; 32];
        let fifo = self.slot(slot)?;
        // This may last for days. Whoever may look into this process finds no more than it needs for waiting.
        for (index, fd) in self.slots.iter_mut().enumerate() {
            if *fd >= 0 && index != SLOT_PROC && index as u64 != slot {
                close(*fd);
                *fd = -1;
            }
        }
        self.take_signals();
        loop {
            let end = openat(self.slots[SLOT_PROC], tree::self_fd(fifo, &mut buffer), O_WRONLY, 0)?;
            self.report.fd = end;
            self.report.is_fifo = true;
            match self.report.send(RELEASED, 0, None) {
                Ok(()) => return Ok(()),
                Err(_) => close(end),
            }
        }
    }

    /// The process that may enter a pid namespace is only ever a new one. It is a sibling, so the host is its
    /// parent, and it has this program's few pages, not the host's memory.
    fn fork(&mut self, flags: u64, cgroup: u64, open: bool) -> Result<()> {
        let mut pidfd = -1i32;
        let mut args =
            CloneArgs { flags: flags | CLONE_PARENT | CLONE_PIDFD, pidfd: &raw mut pidfd as u64, ..CLONE_ARGS };
        if cgroup != NO_SLOT {
            args.flags |= CLONE_INTO_CGROUP;
            args.cgroup = self.slot(cgroup)? as u64;
        }
        // Inherited, so that it holds as soon as the host knows of the new process.
        prctl(PR_SET_DUMPABLE, usize::from(open))?;
        match fork(&args)? {
            0 => {
                prctl(PR_SET_PDEATHSIG, SIGKILL)?;
                // A host that did not get to know us must not leave us running.
                self.report.wait_for_go()?;
                prctl(PR_SET_DUMPABLE, 0)
            }
            pid => {
                let _ = self.report.send(CHILD, pid, Some(pidfd));
                exit(0)
            }
        }
    }

    /// unshare(CLONE_NEWTIME) moves only later children; setns to the same namespace moves us, once its offsets
    /// are set (time_namespaces(7)).
    fn time_namespace(&self, offsets: Str) -> Result<()> {
        let proc = self.slots[SLOT_PROC];
        unshare(CLONE_NEWTIME)?;
        if !offsets.bytes().is_empty() {
            write_file(proc, Str::literal(c"self/timens_offsets"), offsets.bytes())?;
        }
        let namespace = openat(proc, Str::literal(c"self/ns/time_for_children"), O_RDONLY, 0)?;
        let result = setns(namespace, CLONE_NEWTIME);
        close(namespace);
        result
    }

    fn attach_root(&mut self, slot: u64, path: Path) -> Result<()> {
        let tree = self.slot(slot)?;
        mounts::attach_at_nearest(tree, path)?;
        self.cut_off(tree)?;
        self.fill(slot, -1)?;
        self.fill(SLOT_ROOT as u64, tree)
    }

    /// Trees that could not be cut off from the host's mounts before they were mounted.
    fn cut_off(&self, tree: i32) -> Result<()> {
        if self.cut_off_later { mounts::cut_off_mounted(self.slots[SLOT_PROC], tree) } else { Ok(()) }
    }

    fn make_node(&self, step: &Step) -> Result<()> {
        let device = ((step.a[1] >> 32) as u32, step.a[1] as u32);
        let owner = (step.a[2] as u32, step.a[3] as u32);
        let name = self.plan.text(step.s[1])?;
        let make = |parent| tree::make_node(self.slots[SLOT_PROC], parent, name, step.a[0] as u32, device, owner);
        tree::in_directory(self.top(step)?, self.plan.text_mut(step.s[0])?, make)
    }

    /// After pivot_root(".", ".") the old root lies on the new one, where "." is it (pivot_root(2)).
    fn pivot(&self, cut_propagation: u64) -> Result<()> {
        fchdir(self.root())?;
        pivot_root(DOT, DOT)?;
        if cut_propagation != 0 {
            mount_flags(DOT, cut_propagation)?;
        }
        umount(DOT, MNT_DETACH)?;
        chdir(SLASH)
    }

    /// The path begins with "sys/". The file must be the kernel's: nothing mounted over it, no symlink.
    fn sysctl(&self, path: Str, value: &[u8]) -> Result<()> {
        let inside = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
        let file = openat2(self.slots[SLOT_PROC], path, O_WRONLY, 0, inside)?;
        let result = match filesystem(file)?.kind {
            PROC_SUPER_MAGIC => write(file, value).map(|_| ()),
            _ => Err(EPROTO),
        };
        close(file);
        result
    }

    /// Planned twice: as root, where a user may lack the permission, and again as the user, where root may (NFS).
    fn working_directory(&mut self, step: &Step) -> Result<()> {
        if self.entered_working_directory {
            return Ok(());
        }
        match process::enter(self.plan.text(step.s[0])?) {
            Err(EACCES | EPERM) if step.flags & TRY != 0 => Ok(()),
            Err(errno) => Err(errno),
            Ok(()) => {
                self.entered_working_directory = true;
                Ok(())
            }
        }
    }

    /// From here on system calls are those that the filter allows. So what can be done before it is: where nobody
    /// need be told of the filter, only dropping capabilities and execve are left.
    fn seccomp(&mut self, step: &Step) -> Result<()> {
        let tell = step.flags & LISTENER != 0;
        match tell {
            true => self.take_signals(),
            false => self.get_ready_to_execute()?,
        }
        if step.flags & PRIVILEGED != 0 {
            process::raise_capabilities()?;
        }
        let count = step.a[0] as usize;
        let listener = load_filter(self.plan.u32_array(step.s[0], 2 * count)?, count, step.a[1])?;
        if tell {
            self.report.send(LISTENER_FD, 0, Some(listener))?;
            close(listener);
            self.report.wait_for_go()?;
        }
        Ok(())
    }

    /// Done late, where a creator is at work that must go on before init can.
    fn take_signals(&mut self) {
        if !self.own_signals {
            reset_signals();
            ignore_sigpipe(true);
            self.own_signals = true;
        }
    }

    fn get_ready_to_execute(&mut self) -> Result<()> {
        if self.ready_to_execute {
            return Ok(());
        }
        // The setting does not survive a change of identity, so it is made here, at the last moment.
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

    fn exec(&mut self, step: &Step) -> Result<()> {
        self.get_ready_to_execute()?;
        let errno = process::exec(self.plan, step);
        ignore_sigpipe(true);
        Err(errno)
    }
}

fn prctl(option: u32, value: usize) -> Result<()> {
    super::sys::prctl(option, value, 0).map(|_| ())
}

fn write_file(dir: i32, path: Str, bytes: &[u8]) -> Result<()> {
    let file = openat(dir, path, O_WRONLY, 0)?;
    let result = write(file, bytes).map(|_| ());
    close(file);
    result
}

/// Brings the descriptors into order: what the host leaked is closed, 0, 1, 2 and the extra ones are in place, and
/// all slots lie above them and close on exec.
pub fn arrange_descriptors(plan: Plan) -> Result<()> {
    let (keep, low, slots) = (plan.keep()?, plan.low()?, plan.slots()?);
    let mut next = 0;
    for &fd in keep.iter() {
        if fd > next {
            close_range(next as u32, fd as u32 - 1)?;
        }
        next = fd + 1;
    }
    close_range(next as u32, u32::MAX)?;

    let first_free = low.len() as i32;
    for fd in low.iter_mut() {
        *fd = dup_from(*fd, first_free)?;
    }
    for fd in slots.iter_mut().filter(|fd| **fd >= 0) {
        *fd = dup_from(*fd, first_free)?;
    }
    for &fd in keep.iter() {
        close(fd);
    }
    for (index, &fd) in low.iter().enumerate() {
        dup_onto(fd, index as i32)?;
        close(fd);
    }
    Ok(())
}
