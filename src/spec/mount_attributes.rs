//! The attributes of mounts, and the options that set and clear them.

pub(crate) const MOUNT_ATTR_RDONLY: u64 = 0x0000_0001;
pub(crate) const MOUNT_ATTR_NOSUID: u64 = 0x0000_0002;
pub(crate) const MOUNT_ATTR_NODEV: u64 = 0x0000_0004;
pub(crate) const MOUNT_ATTR_NOEXEC: u64 = 0x0000_0008;
/// The mask of the access time setting, which is a number in these bits, not a flag: mount_setattr(2) needs all of them
/// cleared to set one.
pub(crate) const MOUNT_ATTR__ATIME: u64 = 0x0000_0070;
pub(crate) const MOUNT_ATTR_RELATIME: u64 = 0x0000_0000;
pub(crate) const MOUNT_ATTR_NOATIME: u64 = 0x0000_0010;
pub(crate) const MOUNT_ATTR_STRICTATIME: u64 = 0x0000_0020;
pub(crate) const MOUNT_ATTR_NODIRATIME: u64 = 0x0000_0080;
pub(crate) const MOUNT_ATTR_NOSYMFOLLOW: u64 = 0x0020_0000;

/// A change of a set of attributes.
pub enum Change {
    Set(u64),
    Clear(u64),
    Atime(u64),
    /// `norelatime`, `nostrictatime`, `atime`: undoes an earlier option.
    NotAtime(u64),
    /// `diratime`: undoes an earlier `nodiratime`.
    TakeBack(u64),
}

/// Ranks settings of access times: of several, mount(2) uses the one of the highest rank, in whatever order they are
/// given.
fn rank(atime: u64) -> u32 {
    match atime {
        MOUNT_ATTR_STRICTATIME => 2,
        MOUNT_ATTR_NOATIME => 1,
        _ => 0,
    }
}

pub const ATTRIBUTES: [&str; 18] = [
    "ro",
    "rw",
    "nosuid",
    "suid",
    "nodev",
    "dev",
    "noexec",
    "exec",
    "nodiratime",
    "diratime",
    "nosymfollow",
    "symfollow",
    "noatime",
    "strictatime",
    "atime",
    "relatime",
    "norelatime",
    "nostrictatime",
];

pub fn attribute(name: &str) -> Option<Change> {
    Some(match name {
        "ro" => Change::Set(MOUNT_ATTR_RDONLY),
        "rw" => Change::Clear(MOUNT_ATTR_RDONLY),
        "nosuid" => Change::Set(MOUNT_ATTR_NOSUID),
        "suid" => Change::Clear(MOUNT_ATTR_NOSUID),
        "nodev" => Change::Set(MOUNT_ATTR_NODEV),
        "dev" => Change::Clear(MOUNT_ATTR_NODEV),
        "noexec" => Change::Set(MOUNT_ATTR_NOEXEC),
        "exec" => Change::Clear(MOUNT_ATTR_NOEXEC),
        "nodiratime" => Change::Set(MOUNT_ATTR_NODIRATIME),
        "diratime" => Change::Clear(MOUNT_ATTR_NODIRATIME),
        "nosymfollow" => Change::Set(MOUNT_ATTR_NOSYMFOLLOW),
        "symfollow" => Change::Clear(MOUNT_ATTR_NOSYMFOLLOW),
        "noatime" => Change::Atime(MOUNT_ATTR_NOATIME),
        "strictatime" => Change::Atime(MOUNT_ATTR_STRICTATIME),
        // `atime` selects the kernel's default, which is relatime since 2.6.30.
        "atime" | "relatime" => Change::Atime(MOUNT_ATTR_RELATIME),
        "norelatime" => Change::NotAtime(MOUNT_ATTR_RELATIME),
        "nostrictatime" => Change::NotAtime(MOUNT_ATTR_STRICTATIME),
        _ => return None,
    })
}

/// Returns the attribute change of an option of one mount. For mount(2), `atime` and `diratime` can only mean the
/// absence of a flag: the mount keeps the setting of its source.
pub fn attribute_of_one(name: &str) -> Option<Change> {
    match name {
        "atime" => Some(Change::NotAtime(MOUNT_ATTR_NOATIME)),
        "diratime" => Some(Change::TakeBack(MOUNT_ATTR_NODIRATIME)),
        _ => attribute(name),
    }
}

impl Change {
    pub fn bits(&self) -> u64 {
        match self {
            Change::Set(bit) | Change::Clear(bit) | Change::TakeBack(bit) => *bit,
            Change::Atime(_) | Change::NotAtime(_) => MOUNT_ATTR__ATIME,
        }
    }

    pub fn apply(self, set: &mut u64, clear: &mut u64) {
        match self {
            Change::Set(bit) => {
                *set |= bit;
                *clear &= !bit;
            }
            Change::Clear(bit) => {
                *set &= !bit;
                *clear |= bit;
            }
            Change::TakeBack(bit) => *set &= !bit,
            Change::Atime(value) => {
                let chosen = *clear & MOUNT_ATTR__ATIME != 0;
                let value = if chosen && rank(*set & MOUNT_ATTR__ATIME) > rank(value) {
                    *set & MOUNT_ATTR__ATIME
                } else {
                    value
                };
                *set = *set & !MOUNT_ATTR__ATIME | value;
                *clear |= MOUNT_ATTR__ATIME;
            }
            Change::NotAtime(value) => {
                let chosen = *clear & MOUNT_ATTR__ATIME != 0;
                if chosen && *set & MOUNT_ATTR__ATIME == value {
                    *set &= !MOUNT_ATTR__ATIME;
                    *clear &= !MOUNT_ATTR__ATIME;
                }
            }
        }
    }
}
