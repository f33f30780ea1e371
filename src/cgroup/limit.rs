//! Reads values back, and explains limits that the host does not have.

use std::collections::HashMap;
use std::path::Path;

use crate::error::{Error, Result};
use crate::sys::kernfs;

pub fn no_controller(controller: &str, field: &str) -> Error {
    Error::unsupported_field(field, format!("the host mounts no {controller} cgroup controller"))
}

/// Reads a number; `None` for a missing file and for "max".
pub fn number(dir: &Path, file: &str) -> Result<Option<u64>> {
    Ok(kernfs::read_optional(dir, file)?.and_then(|text| text.trim().parse().ok()))
}

/// Parses files like `memory.stat`: lines of a key, a space and a number.
pub fn parse_table(text: &str) -> HashMap<String, u64> {
    let pair = |line: &str| {
        let (key, value) = line.split_once(' ')?;
        Some((key.to_owned(), value.trim().parse().ok()?))
    };
    text.lines().filter_map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_read_and_odd_lines_are_left_out() {
        let table = parse_table("nr_periods 3\nnonsense\nusage_usec 12\nlow max\n");
        assert_eq!((table.len(), table["nr_periods"], table["usage_usec"]), (2, 3, 12));
    }
}
