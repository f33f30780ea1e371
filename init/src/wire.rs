//! The plan as bytes: what the host writes and berth-init reads. One file, compiled into both.
//!
//! A plan is one block of memory: a header, a table of steps, tables of descriptors, and a pool of strings and
//! arrays. Every reference is an offset from the start of the block, so the block may lie anywhere; offset 0 (the
//! header) means "none". init maps the block privately and writable: it turns arrays of offsets into arrays of
//! pointers where they lie, and needs no memory of its own.

/// "bth" and the layout's version. Host and init are built together, but a distribution may bring its own init:
/// a mismatch is then an error instead of a misreading.
pub const MAGIC: u32 = 0x6274_6801;

/// The largest plan either side accepts.
pub const MAX_PLAN: usize = 16 << 20;

#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Header {
    pub magic: u32,
    /// Bytes of the whole block.
    pub len: u32,
    /// `[Step; step_count]`
    pub steps: u32,
    pub step_count: u32,
    /// `[i32; slot_count]`: the descriptor inherited for each slot; -1 for slots that init fills itself.
    pub slots: u32,
    pub slot_count: u32,
    /// `[i32; low_count]`: what becomes descriptor 0, 1, 2 and, after them, the extra descriptors.
    pub low: u32,
    pub low_count: u32,
    /// `[i32; keep_count]`, ascending and without duplicates: all inherited descriptors. Everything else that the
    /// host leaked is closed before the first step.
    pub keep: u32,
    pub keep_count: u32,
}

/// One step. What `a` and `s` mean depends on `op`; see [`Op`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Step {
    pub op: u32,
    pub flags: u32,
    pub a: [u64; 4],
    pub s: [u32; 4],
}

macro_rules! ops {
    ($($(#[$doc:meta])* $name:ident = $number:expr,)*) => {
        /// What a step does. `s…` are offsets of NUL-terminated strings, `a…` are numbers.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u32)]
        pub enum Op { $($(#[$doc])* $name = $number,)* }

        impl Op {
            pub fn from_u32(number: u32) -> Option<Op> {
                match number { $($number => Some(Op::$name),)* _ => None }
            }
        }
    };
}

ops! {
    // Conversation with the host.
    /// Waits for the host's word. flags: [`ANNOUNCE`] sends `Reached` first.
    WaitHost = 1,
    /// Sends `Ready`, waits for the host to commit, and closes the control socket.
    Ready = 2,
    /// Opens the exec.fifo behind slot a0 for writing (this blocks until somebody starts the container), tells
    /// the starter so, and reports to it from here on.
    ExecFifo = 3,

    // Namespaces.
    /// setns(slot a0, type a1)
    SetNs = 10,
    /// unshare(a0)
    Unshare = 11,
    /// Goes on as a sibling: clone3(CLONE_PARENT | a0), in the cgroup of slot a1 (u64::MAX: none). The first
    /// process tells the host the new one's pid and ends; the new one waits for the host's word. a2: it is dumpable until
    /// then, so that its user's other processes may write its maps.
    Fork = 12,
    /// Enters a new time namespace whose offsets are the text s0.
    TimeNamespace = 13,
    /// Becomes uid 0 and gid 0 of the user namespace, without groups where that is allowed.
    BecomeRoot = 14,
    /// Brings up the loopback interface of the network namespace.
    Loopback = 15,
    /// Enters the network namespace that comes through the socket in slot a0, and where none comes a new one.
    NetworkNamespace = 17,
    /// Opens a netlink socket of the protocol a0 (netlink(7)) in the network namespace and gives it to the host.
    NetlinkSocket = 16,

    // Mounts.
    /// mount(NULL, s0, NULL, a0): the propagation of a mount of the host's table (before the root is attached).
    Propagation = 20,
    /// open_tree(s0, OPEN_TREE_CLONE [| AT_RECURSIVE by a1]) into slot a0. flags: [`OWN_PROPAGATION`] cuts the
    /// clone off from the host's peer groups.
    OpenTree = 21,
    /// Attaches the tree of slot a0 at its own path s0 (a host path) and makes it the root filesystem.
    AttachRoot = 22,
    /// Opens the directory s0 as the root filesystem without mounting it.
    OpenRoot = 23,
    /// Takes the directory in slot a0 as the root filesystem.
    TakeRoot = 30,
    /// A new filesystem of type s0, source s1, on target s2 with the options s3 (an array of key, value, key …;
    /// value 0 for a flag). a0: attributes, a1: the slot that keeps the mount open (`NO_SLOT`: none), a2: the slot of the user
    /// namespace that maps its owners (`NO_SLOT`: none). flags: [`COPY_UP`], [`COPY_OWNER`].
    Mount = 24,
    /// Attaches the tree of slot a0 on target s2. a1, a2: attributes to set and to clear, a3: the same for all
    /// mounts of the tree, set in the high and cleared in the low half.
    Attach = 25,
    /// mount(NULL, target s2, NULL, a0): propagation of one mount, and flags that no other call takes.
    MountFlags = 26,
    /// Changes the mount on target s2: a1, a2 as for `Attach`.
    Remount = 27,
    /// Hides s2: /dev/null over a file, an empty read-only tmpfs over a directory. A missing path is fine.
    Mask = 28,
    /// Makes s2 read-only with all below it. A missing path is fine.
    ReadonlyPath = 29,
    /// Maps the owners in the unattached tree of slot a0 by the user namespace of slot a1. flags: [`WHOLE_TREE`] does so for
    /// each mount of it.
    IdMap = 31,
    /// Gives the filesystem mounted on s2 the options s3 (as `Mount`).
    Reconfigure = 32,

    // What lies in the root filesystem.
    /// Device node: s0 parent, s1 name, a0 mode with type, a1 major (high half) and minor, a2 uid, a3 gid.
    MakeNode = 40,
    /// Symlink: s0 parent, s1 name, s2 what it points to.
    Symlink = 41,
    /// Makes the directory s2 with its parents.
    MakeDirectory = 42,

    /// Moves into the root filesystem and drops the old one.
    Pivot = 50,
    /// chroot into the root filesystem (joined mount namespaces).
    Chroot = 51,
    /// The root filesystem becomes read-only.
    RootReadonly = 52,
    /// Takes the mounts of the array s0 of the host's table away; where that is forbidden, an empty filesystem covers them.
    HideHost = 53,
    /// Moves the root filesystem onto "/" and changes root into it, where pivot_root(2) cannot be (a root on the initial
    /// RAM filesystem).
    MoveRoot = 54,

    // The kernel's settings.
    /// Writes s1 into the sysctl file s0 (below /proc/sys).
    Sysctl = 60,
    /// sethostname(s0)
    Hostname = 61,
    /// setdomainname(s0)
    Domainname = 62,

    // The process.
    /// setsid()
    Session = 70,
    /// A session keyring of its own.
    Keyring = 71,
    /// A new terminal from the container's devpts (its multiplexer is s0) becomes descriptors 0, 1 and 2; its master
    /// goes to the host. s1: the directory for `console`. a0: rows, a1: columns (0: unset), a2 and a3: owner. flags: [`BIND_CONSOLE`] also puts it there.
    Terminal = 72,
    /// setrlimit(a0, soft a1, hard a2)
    Rlimit = 73,
    /// Drops from the bounding set what is not in a0.
    Bounding = 74,
    /// uid a0, gid a1, a2 additional groups (array of u32 at s0), capabilities kept.
    User = 75,
    /// a0 effective, a1 permitted, a2 inheritable, a3 ambient.
    Capabilities = 76,
    /// prctl(PR_SET_NO_NEW_PRIVS)
    NoNewPrivileges = 77,
    /// umask(a0)
    Umask = 78,
    /// chdir(s0), which must end up inside the root filesystem.
    WorkingDirectory = 79,
    /// prctl(PR_SET_PDEATHSIG, a0)
    ParentDeathSignal = 80,
    /// execve: s0 array of argv, s1 array of envp, s2 the value of PATH to search, where argv[0] has no slash; s3 the
    /// file to execute instead of argv[0], if any.
    Exec = 81,
    /// Fails if there is no program s0, looked for in s2, the value of PATH, if it has no slash.
    FindProgram = 99,
    /// sched_setaffinity(2) to the a0 words (u32) at s0.
    CpuAffinity = 90,
    /// personality(a0)
    Personality = 91,
    /// set_mempolicy(a0, the a1 words (u32) at s0)
    MemoryPolicy = 92,
    /// Completes the text s0 ("HOME=", with a1 bytes of room in all) with the home directory that /etc/passwd gives uid
    /// a0, or "/".
    Home = 93,
    /// seccomp(SECCOMP_SET_MODE_FILTER, a1, the a0 instructions at s0). flags: [`PRIVILEGED`], [`LISTENER`].
    Seccomp = 82,
    /// Standard descriptors that are the host's null device become the container's.
    OwnNull = 83,
    /// Writes s0 into the file of /proc for the label that the next program gets; s1 must be what reads back. flags:
    /// [`APPARMOR`].
    Label = 84,
}

/// `Seccomp`: no_new_privs is not set, so it takes CAP_SYS_ADMIN.
pub const PRIVILEGED: u32 = 1;
/// `Seccomp`: the kernel returns a listener; the host gets it, and its word is waited for.
pub const LISTENER: u32 = 2;
/// `Label`: of AppArmor, which has files of its own since Linux 5.8, and otherwise those that SELinux has.
pub const APPARMOR: u32 = 1;
/// `WaitHost`: tell the host that the step was reached.
pub const ANNOUNCE: u32 = 1;
/// `OpenTree`: the clone shall not pass mounts on to the host.
pub const OWN_PROPAGATION: u32 = 1;
/// `Terminal`: bind it on /dev/console.
pub const BIND_CONSOLE: u32 = 1;
/// `IdMap`
pub const WHOLE_TREE: u32 = 1;
/// `Mount`: copy what the target has into the new filesystem.
pub const COPY_UP: u32 = 1;
/// `Mount`, with `COPY_UP`: give it the target's owner and mode, too.
pub const COPY_OWNER: u32 = 4;
/// Steps with a path in the container: no symlink is followed on it.
pub const STRICT: u32 = 2;
/// Steps with a path in the container: the slot of the mount that the path begins at is in the bits from here on.
/// 0 there (the control socket's slot) stands for the root filesystem.
pub const BASE_SHIFT: u32 = 16;
/// `WorkingDirectory`: a refused permission is no error yet; the step comes again.
pub const TRY: u32 = 1;
/// No slot.
pub const NO_SLOT: u64 = u64::MAX;

/// The control socket.
pub const SLOT_CONTROL: usize = 0;
/// The host's procfs.
pub const SLOT_PROC: usize = 1;
/// The root filesystem (init fills it).
pub const SLOT_ROOT: usize = 2;
/// The empty directory that masks directories (init fills it).
pub const SLOT_MASK: usize = 3;
/// The first slot the planner hands out.
pub const SLOT_FREE: usize = 4;

/// What init tells the host, as one datagram. Descriptors come along as SCM_RIGHTS.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Message {
    pub kind: u32,
    /// The step at work.
    pub step: u32,
    /// `Failed`: the errno. `Child`: the pid.
    pub value: i32,
    /// Bytes of `text` in use.
    pub text_len: u32,
    /// `Failed`: what the kernel itself had to say (the log of fsconfig(2)), if anything.
    pub text: [u8; MESSAGE_TEXT],
}

pub const MESSAGE_TEXT: usize = 240;
pub const MESSAGE_LEN: usize = core::mem::size_of::<Message>();

/// `Message::kind`
pub const REACHED: u32 = 1;
/// The process that goes on after `Fork`; its pidfd comes along.
pub const CHILD: u32 = 2;
/// The terminal's master comes along.
pub const TERMINAL: u32 = 3;
pub const READY: u32 = 4;
/// execve comes next. The reading end of a pipe comes along, whose other end only init has: it closing, without
/// `Failed` before, means that it worked.
pub const EXECUTING: u32 = 5;
pub const FAILED: u32 = 6;
/// On exec.fifo only: somebody waited here and has been released.
pub const RELEASED: u32 = 7;
/// A socket that init has opened comes along.
pub const SOCKET: u32 = 8;
/// The listener of a seccomp filter comes along.
pub const LISTENER_FD: u32 = 9;

/// The host's answer: one byte.
pub const GO: u8 = b'g';

/// Exit status of an init that could not do its work (it has told the reason on its socket).
pub const EXIT_FAILED: i32 = 125;
