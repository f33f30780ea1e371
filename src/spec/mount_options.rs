//! Parses a mount's option strings, and sorts them by the system call that takes them.
//!
//! As in mount(8), a later option overrides an earlier one that is its opposite.

use std::fmt::{self, Display, Formatter};

use super::mount_attributes::*;
use crate::error::{Error, Result};

/// Whether an option covers one mount or a tree of mounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// The mount alone: `bind`, `idmap`.
    Single,
    /// The mount and all mounts below it: `rbind`, `ridmap`.
    Recursive,
}

/// One range of `idmap=`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdMap {
    /// Whether it maps gids instead of uids.
    pub gids: bool,
    /// Whether the second number is an id of the container (`@`), which its user namespace maps.
    pub relative: bool,
    /// The first id of the filesystem, the first id of the mount, and the number of ids.
    pub range: [u32; 3],
}

/// An option of a filesystem, as fsconfig(2) takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilesystemOption {
    /// The name of the parameter.
    pub name: String,
    /// The value; `None` for a flag.
    pub value: Option<String>,
}

impl FilesystemOption {
    /// Returns an option without a value.
    pub fn flag(name: impl Into<String>) -> FilesystemOption {
        FilesystemOption { name: name.into(), value: None }
    }

    /// Returns an option with a value.
    pub fn with_value(name: impl Into<String>, value: impl Into<String>) -> FilesystemOption {
        FilesystemOption { name: name.into(), value: Some(value.into()) }
    }
}

/// Writes it as mount(8) takes it: "name=value".
impl Display for FilesystemOption {
    fn fmt(&self, out: &mut Formatter) -> fmt::Result {
        match &self.value {
            Some(value) => write!(out, "{}={value}", self.name),
            None => out.write_str(&self.name),
        }
    }
}

/// The options of one mount, sorted by the system call that takes them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MountOptions {
    /// `bind` or `rbind`: whether the source is bound alone or with the mounts below it. None: a new mount.
    pub bind: Option<Extent>,
    /// The MOUNT_ATTR_… flags that mount_setattr(2) sets on the mount itself.
    pub attr_set: u64,
    /// The MOUNT_ATTR_… flags that are cleared on the mount itself.
    pub attr_clear: u64,
    /// The MOUNT_ATTR_… flags that are set on the mount and all mounts below it (AT_RECURSIVE).
    pub rec_attr_set: u64,
    /// The MOUNT_ATTR_… flags that are cleared on the mount and all mounts below it.
    pub rec_attr_clear: u64,
    /// The propagation types: MS_SHARED, MS_SLAVE, MS_PRIVATE or MS_UNBINDABLE, each with or without MS_REC, in the
    /// given order (`slave` then `shared` makes a mount both).
    pub propagation: Vec<u64>,
    /// `remount`: changes the options of the mount at the destination, and mounts nothing.
    pub remount: bool,
    /// `idmap` or `ridmap`: the owners of files are mapped.
    pub idmap: Option<Extent>,
    /// The mappings of `idmap=`, in crun's syntax ("idmap=uids=0-1000-10;gids=0-1000-10").
    pub id_maps: Vec<IdMap>,
    /// `tmpcopyup`: the image's files at the destination are copied into the new tmpfs.
    pub copy_up: bool,
    /// `copy-symlink` of crun(1), and podman's `no-dereference`: a source that is a symlink is created again instead of
    /// bound.
    pub copy_symlink: bool,
    /// `src-nofollow` of crun(1): the last component of the source is not followed if it is a symlink.
    pub source_nofollow: bool,
    /// `dest-nofollow` of crun(1): the last component of the destination is not followed if it is a symlink.
    pub target_nofollow: bool,
    /// The superblock flags for FSCONFIG_SET_FLAG. `ro` is not among them: it is an attribute of the mount, so that a
    /// superblock shared with other mounts does not change; `mounts::options` adds it where it is needed.
    pub sb_flags: Vec<String>,
    /// `iversion`: the filesystem counts changes of inodes. Only mount(2) can set this; see
    /// [`MountOptions::versions_flags`].
    pub versions: bool,
    /// The other options, which belong to the filesystem.
    pub data: Vec<FilesystemOption>,
}

/// The values of `linux.rootfsPropagation`. Some programs write an empty one for none.
pub(super) const PROPAGATIONS: [&str; 9] =
    ["private", "rprivate", "slave", "rslave", "shared", "rshared", "unbindable", "runbindable", ""];

/// Returns the mount(2) flags of a propagation option such as `rprivate`.
pub fn propagation(name: &str) -> Option<u64> {
    let (kind, recursive) = match name.strip_prefix('r') {
        Some(kind) => (kind, libc::MS_REC),
        None => (name, 0),
    };
    let kind = match kind {
        "private" => libc::MS_PRIVATE,
        "slave" => libc::MS_SLAVE,
        "shared" => libc::MS_SHARED,
        "unbindable" => libc::MS_UNBINDABLE,
        _ => return None,
    };
    Some(kind | recursive)
}

/// The superblock flags that fsconfig(2) knows for every filesystem, with their opposites (`dirsync` has none).
const SUPERBLOCK: [(&str, &str); 4] =
    [("sync", "async"), ("lazytime", "nolazytime"), ("mand", "nomand"), ("dirsync", "dirsync")];

const OTHER_OPTIONS: [&str; 13] = [
    "bind",
    "rbind",
    "remount",
    "idmap",
    "ridmap",
    "tmpcopyup",
    "copy-symlink",
    "src-nofollow",
    "dest-nofollow",
    "defaults",
    "silent",
    "iversion",
    "noiversion",
];

/// Returns every option that is known by name; all others belong to the filesystem.
pub fn names() -> Vec<String> {
    let attributes = ATTRIBUTES.iter().flat_map(|name| [(*name).to_owned(), format!("r{name}")]);
    let superblock = SUPERBLOCK.iter().flat_map(|(on, off)| [*on, *off]);
    let propagations = PROPAGATIONS.iter().copied().filter(|name| !name.is_empty());
    let others = superblock.chain(propagations).chain(OTHER_OPTIONS).chain(["loud"]).map(str::to_owned);
    let mut names: Vec<String> = attributes.chain(others).collect();
    names.sort();
    names.dedup();
    names
}

/// Parses the options. `at` is the JSON path of the array, formatted only for an error.
pub fn parse(options: &[String], at: impl Display) -> Result<MountOptions> {
    let mut parsed = MountOptions::default();
    for (index, option) in options.iter().enumerate() {
        parsed.take(option, &|| format!("{at}[{index}]"))?;
    }
    Ok(parsed)
}

impl MountOptions {
    /// Returns the first option that belongs to the filesystem or its superblock.
    pub fn of_the_filesystem(&self) -> Option<&str> {
        let versions = self.versions.then_some("iversion");
        self.data.first().map(|option| option.name.as_str()).or(self.sb_flags.first().map(String::as_str)).or(versions)
    }

    /// Returns the flags with which mount(2) remounts a new filesystem to make it count versions. They include its
    /// other flags, because the call replaces all.
    pub fn versions_flags(&self) -> Option<u64> {
        const SUPERBLOCK: [(&str, u64); 4] = [
            ("ro", libc::MS_RDONLY),
            ("sync", libc::MS_SYNCHRONOUS),
            ("mand", libc::MS_MANDLOCK),
            ("lazytime", libc::MS_LAZYTIME),
        ];
        const ATTRIBUTES: [(u64, u64); 6] = [
            (MOUNT_ATTR_RDONLY, libc::MS_RDONLY),
            (MOUNT_ATTR_NOSUID, libc::MS_NOSUID),
            (MOUNT_ATTR_NODEV, libc::MS_NODEV),
            (MOUNT_ATTR_NOEXEC, libc::MS_NOEXEC),
            (MOUNT_ATTR_NODIRATIME, libc::MS_NODIRATIME),
            (MOUNT_ATTR_NOSYMFOLLOW, libc::MS_NOSYMFOLLOW),
        ];
        let atime = match self.attr_set & MOUNT_ATTR__ATIME {
            MOUNT_ATTR_NOATIME => libc::MS_NOATIME,
            MOUNT_ATTR_STRICTATIME => libc::MS_STRICTATIME,
            _ => libc::MS_RELATIME,
        };
        let superblock = SUPERBLOCK.iter().filter(|(name, _)| self.sb_flags.iter().any(|given| given == name));
        let attributes = ATTRIBUTES.iter().filter(|(attribute, _)| self.attr_set & attribute != 0);
        let flags = superblock.map(|(_, flag)| flag).chain(attributes.map(|(_, flag)| flag));
        let all = flags.fold(libc::MS_REMOUNT | libc::MS_I_VERSION | atime, |all, flag| all | flag);
        self.versions.then_some(all)
    }

    fn take(&mut self, option: &str, path: &dyn Fn() -> String) -> Result<()> {
        if let Some(flags) = propagation(option) {
            self.propagation.push(flags);
        } else if let Some(change) = attribute_of_one(option) {
            change.apply(&mut self.attr_set, &mut self.attr_clear);
        } else if let Some(change) = option.strip_prefix('r').and_then(attribute) {
            // A recursive option includes the mount itself.
            let bits = change.bits();
            self.attr_set &= !bits;
            self.attr_clear &= !bits;
            change.apply(&mut self.rec_attr_set, &mut self.rec_attr_clear);
        } else if let Some((on, off)) = SUPERBLOCK.iter().find(|(on, off)| option == *on || option == *off) {
            self.sb_flags.retain(|flag| flag != on && flag != off);
            self.sb_flags.push(option.to_owned());
        } else if let Some(mappings) = option.strip_prefix("idmap=") {
            self.idmap = Some(Extent::Single);
            self.id_maps = id_maps(mappings).ok_or_else(|| bad_id_maps(option, path))?;
        } else if let Some(mappings) = option.strip_prefix("ridmap=") {
            self.idmap = Some(Extent::Recursive);
            self.id_maps = id_maps(mappings).ok_or_else(|| bad_id_maps(option, path))?;
        } else {
            match option {
                // Each option is a flag: `bind` after `rbind` does not undo it (mount(8), runc and crun).
                "bind" => self.bind = self.bind.or(Some(Extent::Single)),
                "rbind" => self.bind = Some(Extent::Recursive),
                "remount" => self.remount = true,
                "idmap" => self.idmap = Some(Extent::Single),
                "ridmap" => self.idmap = Some(Extent::Recursive),
                "tmpcopyup" => self.copy_up = true,
                "copy-symlink" => self.copy_symlink = true,
                "src-nofollow" => self.source_nofollow = true,
                "dest-nofollow" => self.target_nofollow = true,
                "iversion" => self.versions = true,
                // As with mount(8), `noiversion` only undoes `iversion`: a filesystem that always counts continues to.
                "noiversion" => self.versions = false,
                // `defaults` has no effect; the others only control messages in the kernel's log.
                "defaults" | "silent" | "loud" => {}
                // Engines that join options write empty ones (podman's --systemd).
                "" => {}
                _ => self.data.push(file_system_option(option, path)?),
            }
        }
        Ok(())
    }
}

/// Parses crun's mappings (crun(1), "idmap mount options"): "uids=" or "gids=" with ranges from-to-count separated by
/// "#", the two separated by ";".
fn id_maps(text: &str) -> Option<Vec<IdMap>> {
    let mut maps = Vec::new();
    for part in text.split(';').filter(|part| !part.is_empty()) {
        let (name, ranges) = part.split_once('=')?;
        let gids = match name {
            "uids" => false,
            "gids" => true,
            _ => return None,
        };
        for range in ranges.split('#') {
            let plain = range.strip_prefix('@');
            let numbers: Option<Vec<u32>> = plain.unwrap_or(range).split('-').map(decimal).collect();
            maps.push(IdMap { gids, relative: plain.is_some(), range: numbers?.try_into().ok()? });
        }
    }
    let both = [false, true].into_iter().all(|gids| maps.iter().any(|map| map.gids == gids));
    both.then_some(maps)
}

fn decimal(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

fn bad_id_maps(option: &str, path: &dyn Fn() -> String) -> Error {
    let expected = "expected mappings of both, like \"idmap=uids=0-100000-1000;gids=0-100000-1000\"";
    Error::config(&path(), format!("{option:?} is not an id map; {expected}"))
}

fn file_system_option(option: &str, path: &dyn Fn() -> String) -> Result<FilesystemOption> {
    let parsed = match option.split_once('=') {
        Some((name, value)) => FilesystemOption::with_value(name, value),
        None => FilesystemOption::flag(option),
    };
    if parsed.name.is_empty() {
        return Err(Error::config(&path(), format!("{option:?} has no name; expected an option like \"mode=755\"")));
    }
    if splits(option) {
        // fsconfig(2) takes the option whole and mount(2) splits it, so the result must not depend on the kernel's
        // version.
        return Err(Error::config(
            &path(),
            format!("{option:?} contains a comma; expected one option in each member of the array"),
        ));
    }
    if parsed.name == "source" {
        return Err(Error::config(
            &path(),
            format!("{option:?} is not an option; expected the source in mounts[].source"),
        ));
    }
    Ok(parsed)
}

/// Returns whether mount(2) would split the option: commas in double quotes (SELinux contexts) and after a backslash
/// (overlay) belong to the value.
fn splits(option: &str) -> bool {
    let (mut quoted, mut escaped) = (false, false);
    option.chars().any(|c| {
        let splits = c == ',' && !quoted && !escaped;
        quoted ^= c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        splits
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(options: &[&str]) -> MountOptions {
        let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        parse(&options, "options").unwrap()
    }

    #[test]
    fn a_later_option_wins() {
        assert_eq!(of(&["ro", "rw"]).attr_set, 0);
        assert_eq!(of(&["ro", "rw"]).attr_clear, MOUNT_ATTR_RDONLY);
        assert_eq!(of(&["rw", "ro"]).attr_set, MOUNT_ATTR_RDONLY);
        assert_eq!(of(&["rw", "ro"]).attr_clear, 0);
        assert_eq!(of(&["bind", "rbind"]).bind, Some(Extent::Recursive));
        assert_eq!(of(&["rbind", "bind"]).bind, Some(Extent::Recursive));
        assert_eq!(of(&["bind"]).bind, Some(Extent::Single));
        assert_eq!(of(&["sync", "async", "dirsync"]).sb_flags, ["async", "dirsync"]);
    }

    #[test]
    fn a_remount_for_versions_keeps_the_other_flags() {
        let remount = libc::MS_REMOUNT | libc::MS_I_VERSION;
        assert_eq!(of(&["iversion", "noiversion"]).versions_flags(), None);
        assert_eq!(of(&["noiversion", "iversion"]).versions_flags(), Some(remount | libc::MS_RELATIME));
        let given = of(&["nosuid", "nosymfollow", "noatime", "lazytime", "sync", "iversion", "mode=755"]);
        let kept = libc::MS_NOSUID | libc::MS_NOSYMFOLLOW | libc::MS_NOATIME | libc::MS_LAZYTIME | libc::MS_SYNCHRONOUS;
        assert_eq!(given.versions_flags(), Some(remount | kept));
        assert_eq!(given.data, [FilesystemOption::with_value("mode", "755")]);
    }

    #[test]
    fn access_time_is_a_number_in_a_field() {
        // As flags of mount(2), these have no order.
        for options in [["noatime", "strictatime"], ["strictatime", "noatime"], ["strictatime", "relatime"]] {
            assert_eq!(of(&options).attr_set, MOUNT_ATTR_STRICTATIME);
            assert_eq!(of(&options).attr_clear, MOUNT_ATTR__ATIME);
        }
        let options = of(&["nosuid", "noatime", "relatime"]);
        assert_eq!(options.attr_set, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOATIME);
        assert_eq!(of(&["relatime"]).attr_clear, MOUNT_ATTR__ATIME);
        assert_eq!(of(&["noatime", "atime"]), MountOptions::default());
        assert_eq!(of(&["nodiratime", "diratime"]), MountOptions::default());
        assert_eq!(of(&["strictatime", "atime"]).attr_set, MOUNT_ATTR_STRICTATIME);
        assert_eq!(of(&["strictatime", "nostrictatime"]), MountOptions::default());
        assert_eq!(of(&["strictatime", "norelatime"]).attr_set, MOUNT_ATTR_STRICTATIME);
        assert_eq!(of(&["rnoatime"]).rec_attr_clear, MOUNT_ATTR__ATIME);
    }

    #[test]
    fn recursive_attributes_are_apart() {
        let options = of(&["rro", "nosuid", "rnodev", "rdev", "rnosymfollow"]);
        assert_eq!(options.attr_set, MOUNT_ATTR_NOSUID);
        assert_eq!(options.rec_attr_set, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSYMFOLLOW);
        assert_eq!(options.rec_attr_clear, MOUNT_ATTR_NODEV);
        // A recursive option includes the mount itself; a later option for the mount alone overrides it there.
        let options = of(&["ro", "noatime", "rrw", "rstrictatime", "nosuid", "rsuid", "suid", "rnosuid", "suid"]);
        assert_eq!((options.attr_set, options.attr_clear), (0, MOUNT_ATTR_NOSUID));
        assert_eq!(options.rec_attr_set, MOUNT_ATTR_STRICTATIME | MOUNT_ATTR_NOSUID);
        // `rw` is not the recursive form of `w`, and `remount` not that of `emount`.
        assert_eq!(of(&["rw"]).rec_attr_clear, 0);
        assert!(of(&["remount"]).remount);
    }

    #[test]
    fn propagation_keeps_its_order() {
        assert_eq!(of(&["rslave", "shared"]).propagation, [libc::MS_SLAVE | libc::MS_REC, libc::MS_SHARED]);
        for name in &PROPAGATIONS[..8] {
            assert!(propagation(name).is_some(), "{name}");
        }
    }

    #[test]
    fn each_name_is_known() {
        let names = names();
        for name in &names {
            let parsed = of(&[name]);
            assert!(parsed.data.is_empty(), "{name}");
        }
        for name in ["norelatime", "rnostrictatime", "rro", "tmpcopyup", "ridmap", "loud", "dirsync", "iversion"] {
            assert!(names.iter().any(|known| known == name), "{name}");
        }
    }

    #[test]
    fn an_id_map_may_be_an_option() {
        let options = of(&["ridmap=uids=0-1-10#@10-11-1;gids=0-100-4294967295"]);
        let map = |gids, relative, range| IdMap { gids, relative, range };
        let expected =
            [map(false, false, [0, 1, 10]), map(false, true, [10, 11, 1]), map(true, false, [0, 100, u32::MAX])];
        assert_eq!((options.idmap, &options.id_maps[..]), (Some(Extent::Recursive), &expected[..]));
        for bad in [
            "uids=0-1-2",
            "uids=0-1;gids=0-1-1",
            "uids=0-1-2-3;gids=0-1-1",
            "uids=a-1-2;gids=0-1-1",
            "uids=0-1-4294967296;gids=0-1-1",
            "users=0-1-2",
            "uids=+0-1-2;gids=0-1-1",
            "",
        ] {
            assert!(parse(&[format!("idmap={bad}")], "options").is_err(), "{bad}");
        }
    }

    #[test]
    fn the_rest_is_the_file_systems() {
        let options = of(&["mode=755", "newinstance", "lowerdir=/a:/b", "context=\"a:b:c0,c1\"", "x=a\\,b", "size="]);
        let expected = [
            ("mode", Some("755")),
            ("newinstance", None),
            ("lowerdir", Some("/a:/b")),
            ("context", Some("\"a:b:c0,c1\"")),
            ("x", Some("a\\,b")),
            ("size", Some("")),
        ];
        let option = |name, value: Option<&str>| FilesystemOption {
            value: value.map(str::to_owned),
            ..FilesystemOption::flag(name)
        };
        let expected = expected.map(|(name, value)| option(name, value));
        assert_eq!(options.data, expected);
        assert_eq!(MountOptions { data: Vec::new(), ..options }, MountOptions::default());
    }
}
