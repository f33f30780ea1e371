//! Checks that docs/specification.md has each object of the specification and each of its fields.

use crate::spec::{schema, shape};

/// Returns the field names in a table row whose first cell is this path, or the path for all its siblings (`hooks.*`).
fn row<'a>(document: &'a str, path: &str) -> Option<&'a str> {
    let siblings = path.rsplit_once('.').map(|(parent, _)| format!("| `{parent}.*` |"));
    let start = format!("| `{path}` |");
    let find = |start: &str| document.lines().find_map(|line| line.strip_prefix(start));
    let rest = find(&start).or_else(|| find(&siblings?))?;
    rest.split(" | ").next()
}

#[test]
fn the_walk_through_the_specification_is_complete() {
    let document = include_str!("../../../docs/specification.md");
    let mut objects = Vec::new();
    shape::objects(&schema::CONFIG, "", &mut objects);
    assert!(objects.len() > 30);
    for (path, fields) in objects {
        let path = if path.is_empty() { "(top)" } else { &path };
        let names = row(document, path).unwrap_or_else(|| panic!("no row for {path}"));
        for field in fields {
            assert!(names.contains(&format!("`{field}`")), "{path} lacks {field}: {names}");
        }
    }
}
