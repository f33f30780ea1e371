//! A logger that keeps what the library logs.

use std::sync::{Mutex, MutexGuard};

static LOGGED: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Keep;

impl log::Log for Keep {
    fn enabled(&self, _: &log::Metadata) -> bool {
        true
    }
    fn log(&self, record: &log::Record) {
        LOGGED.lock().unwrap().push(format!("{} {}", record.level(), record.args()));
    }
    fn flush(&self) {}
}

/// Keeps what is logged from now on in this test program.
pub fn keep_the_log(level: log::LevelFilter) {
    // Only the first call succeeds; later tests of this process find the logger set.
    let _ = log::set_logger(&Keep);
    log::set_max_level(level);
}

/// Returns the lines that were logged: level and message.
pub fn logged() -> MutexGuard<'static, Vec<String>> {
    LOGGED.lock().unwrap()
}
