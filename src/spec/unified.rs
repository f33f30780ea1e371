//! Checks the file names of OCI `linux.resources.unified`, which are those of cgroup v2.

use std::collections::{BTreeMap, HashMap};

use crate::error::{Error, Result};

pub const FIELD: &str = "linux.resources.unified";

/// The limits among the core interface files (cgroup.*). The other core files move, freeze and kill processes, or
/// delegate controllers: they control the container's processes, and are no resources.
const CORE: [&str; 3] = ["cgroup.max.depth", "cgroup.max.descendants", "cgroup.pressure"];

/// Checks the names without looking at the host.
pub fn check(files: &HashMap<String, String>, field: &str) -> Result<()> {
    for (name, value) in files.iter().collect::<BTreeMap<_, _>>() {
        let path = format!("{field}[{name:?}]");
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let file = name.split_once('.').is_some_and(|(first, rest)| !first.is_empty() && !rest.is_empty());
        if !file || !name.chars().all(plain) || name.contains("..") || name.len() > 255 {
            return Err(Error::config(&path, "is not the name of a cgroup file; expected one like \"memory.high\""));
        }
        // What every container has when it starts.
        let is_thawed = name == "cgroup.freeze" && value.trim() == "0";
        if name.starts_with("cgroup.") && !CORE.contains(&name.as_str()) && !is_thawed {
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

    fn checked(name: &str, value: &str) -> Result<()> {
        check(&HashMap::from([(name.to_owned(), value.to_owned())]), FIELD)
    }

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
            assert!(checked(bad, "1").is_err(), "{bad:?}");
        }
        let good = ["memory.high", "cpu.weight.nice", "hugetlb.2MB.rsvd.max", "cgroup.max.depth", "io.bfq.weight"];
        for name in good {
            checked(name, "1").unwrap();
        }
        checked("cgroup.freeze", "0\n").unwrap();
    }
}
