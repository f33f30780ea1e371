//! Names and places of the scopes that containers run in.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// A container's transient scope, as recorded in its state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    pub name: String,
    pub slice: String,
    /// The properties given in annotations: name and value in GVariant text format.
    pub properties: Vec<(String, String)>,
}

const PATH: &str = "linux.cgroupsPath";

impl Unit {
    /// Derives the scope from `linux.cgroupsPath`, "slice:prefix:name" as in other OCI runtimes. Without it the scope
    /// is "berth-<id>.scope" in system.slice. An id is escaped; a given name is not, since its giver looks for the
    /// scope under that name.
    pub fn new(cgroups_path: Option<&str>, id: &str) -> Result<Unit> {
        let escaped = escape(id);
        let (slice, prefix, name) = match cgroups_path {
            None => ("", "berth", escaped.as_str()),
            Some(path) => {
                let mut parts = path.split(':');
                match (parts.next(), parts.next(), parts.next(), parts.next()) {
                    (Some(slice), Some(prefix), Some(name), None) if !name.is_empty() => (slice, prefix, name),
                    _ => {
                        let problem = format!("{path:?} is not \"slice:prefix:name\", which the systemd manager needs");
                        return Err(Error::config(PATH, problem));
                    }
                }
            }
        };
        let slice = if slice.is_empty() { "system.slice" } else { slice };
        let scope = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}-{name}") };
        let unit = Unit { name: format!("{scope}.scope"), slice: slice.to_owned(), properties: Vec::new() };
        let refuse = |problem: &str| Err(Error::config(PATH, format!("{:?} {problem}", unit.name)));
        if let Some(other) = scope.chars().find(|c| !is_permitted(*c)) {
            return refuse(&format!(
                "cannot be the name of a unit because of {other:?}; expected only letters, digits and \":-_.\\@\" \
                 (systemd-escape(1) makes such a name)"
            ));
        }
        if unit.name.len() > 255 || scope.starts_with(['-', '.', '@']) || scope.ends_with('@') {
            return refuse("cannot be the name of a unit");
        }
        unit.place()?;
        Ok(unit)
    }

    /// Returns the scope's path below the root of the hierarchy, as systemd chooses it: "a-b.slice" is in "a.slice".
    pub fn place(&self) -> Result<String> {
        let refuse = || Error::config(PATH, format!("{:?} is not the name of a slice", self.slice));
        let stem = self.slice.strip_suffix(".slice").ok_or_else(refuse)?;
        if stem == "-" {
            return Ok(self.name.clone());
        }
        if stem.is_empty()
            || !stem.chars().all(is_permitted)
            || stem.split('-').any(|part| matches!(part, "" | "." | ".."))
        {
            return Err(refuse());
        }
        let ends = stem.match_indices('-').map(|(at, _)| at).chain([stem.len()]);
        let slices: Vec<String> = ends.map(|end| format!("{}.slice", &stem[..end])).collect();
        Ok(format!("{}/{}", slices.join("/"), self.name))
    }
}

/// Whether systemd permits a character in the name of a unit.
fn is_permitted(c: char) -> bool {
    c.is_ascii_alphanumeric() || ":-_.\\@".contains(c)
}

/// Escapes a name as systemd-escape(1) does: \x and two digits replace a byte that a unit name may not contain.
fn escape(name: &str) -> String {
    name.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b':' | b'_' | b'.' | b'-' => char::from(byte).to_string(),
            byte => format!("\\x{byte:02x}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_placed_below_its_slices() {
        let place = |path: &str| Unit::new(Some(path), "x").and_then(|unit| unit.place());
        assert_eq!(Unit::new(None, "a+b").unwrap().place().unwrap(), "system.slice/berth-a\\x2bb.scope");
        assert_eq!(place("a-b-c.slice:p:n").unwrap(), "a.slice/a-b.slice/a-b-c.slice/p-n.scope");
        assert_eq!(place("-.slice::n").unwrap(), "n.scope");
        for bad in [
            "/a/b",
            "a:b",
            "a.slice:p:",
            "a.slice:p:n:m",
            "a:p:n",
            "a--b.slice:p:n",
            "-a.slice:p:n",
            "a/b.slice:p:n",
            "..slice:p:n",
            "a.slice:p:../n",
            "a.slice:p:a+b",
            "a.slice::@n",
            "a.slice:-p:n",
        ] {
            assert!(place(bad).is_err(), "{bad}");
        }
        // A name that its giver has escaped.
        assert_eq!(place("a.slice:p:n\\x2bm").unwrap(), "a.slice/p-n\\x2bm.scope");
    }
}
