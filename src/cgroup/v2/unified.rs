//! OCI `linux.resources.unified`: files of the v2 tree and what to write to them, word for word.

use std::collections::{BTreeMap, HashMap};

use crate::cgroup::journal::Place;
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

/// The controllers that the files belong to.
pub fn controllers(files: &HashMap<String, String>) -> Vec<&str> {
    let mut controllers: Vec<&str> = files.keys().filter_map(|name| Some(name.split_once('.')?.0)).collect();
    controllers.sort_unstable();
    controllers.dedup();
    controllers
}

pub fn apply(place: Place, files: &HashMap<String, String>) -> Result<()> {
    check(files.keys().map(String::as_str), FIELD)?;
    // In an order that does not depend on chance.
    for (name, value) in files.iter().collect::<BTreeMap<_, _>>() {
        let field = format!("{FIELD}[{name:?}]");
        // A file with lines for keys takes several, one for each write.
        for line in value.lines().filter(|line| !line.trim().is_empty()) {
            match line.split_once(' ') {
                Some((key, rest)) if key.contains(':') || key == "default" => {
                    place.set_keyed(name, key, rest, absent(name), &field)?;
                }
                _ => place.set(name, line, &field)?,
            }
        }
    }
    Ok(())
}

/// What takes a key's line away again.
fn absent(file: &str) -> &'static str {
    match file {
        "io.max" => "rbps=max wbps=max riops=max wiops=max",
        "io.latency" => "target=0",
        _ => "default",
    }
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
