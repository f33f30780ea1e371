//! OCI `linux.resources.unified`: which files of the v2 tree may be named.

use crate::error::{Error, Result};

pub const FIELD: &str = "linux.resources.unified";

/// Those of the kernel's own files that are limits. The others move, stop and kill processes, or hand controllers
/// down: that is the container's life and not a resource.
const CORE: [&str; 3] = ["cgroup.max.depth", "cgroup.max.descendants", "cgroup.pressure"];

/// What can be said of the names without a look at the host.
pub fn check<'a>(names: impl Iterator<Item = &'a str>, field: &str) -> Result<()> {
    for name in names {
        let path = format!("{field}[{name:?}]");
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let file = name.split_once('.').is_some_and(|(first, rest)| !first.is_empty() && !rest.is_empty());
        if !file || !name.chars().all(plain) || name.contains("..") || name.len() > 255 {
            return Err(Error::config(&path, "is not the name of a cgroup file; expected one like \"memory.high\""));
        }
        if name.starts_with("cgroup.") && !CORE.contains(&name) {
            return Err(Error::config(
                &path,
                format!("is no limit; of cgroup's own files expected {}", CORE.join(", ")),
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_leave_the_directory_or_steer_processes_are_refused() {
        for bad in [
            "",
            ".",
            "..",
            "x",
            "../memory.max",
            "memory.max/..",
            "/etc/x.y",
            ".x",
            "x.",
            "a..b",
            "a b.c",
            "cgroup.procs",
            "cgroup.kill",
            "cgroup.freeze",
            "cgroup.subtree_control",
            "cgroup.type",
            "cgroup.threads",
        ] {
            assert!(check([bad].into_iter(), FIELD).is_err(), "{bad:?}");
        }
        let good = ["memory.high", "cpu.weight.nice", "hugetlb.2MB.rsvd.max", "cgroup.max.depth", "io.bfq.weight"];
        check(good.into_iter(), FIELD).unwrap();
    }
}
