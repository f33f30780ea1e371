//! Waiting for a condition, with a timeout.

use std::time::{Duration, Instant};

use super::LONG;

/// Polls until `happened` returns true; panics with `what` after [`LONG`].
pub fn eventually(what: &str, mut happened: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_millis(LONG as u64);
    while !happened() {
        assert!(Instant::now() < deadline, "{what} has not happened");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Waits until a file is not empty, and returns its contents.
pub fn eventually_read(path: &std::path::Path) -> String {
    let mut text = String::new();
    eventually(&format!("something in {}", path.display()), || {
        text = std::fs::read_to_string(path).unwrap_or_default();
        !text.is_empty()
    });
    text
}
