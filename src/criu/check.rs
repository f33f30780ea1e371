//! Reports what CRIU can do on this host, as CRIU itself tells it.

use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::message::{Features, Kind, Request};
use super::{OLDEST, Start, Swrk, Version, command};
use crate::deadline::Deadline;
use crate::error::Result;
use crate::sys::exit_status::ExitStatus;

/// The check takes a second; CRIU's first start on a host takes longer, because it probes the kernel's features.
const CHECK_TIMEOUT: Duration = Duration::from_secs(60);

/// Returns as JSON: CRIU's path and version, whether this version of the library can use it, the result of `criu
/// check`, and the features that depend on the kernel. Fails only if there is no CRIU, or if it does not answer. `criu`
/// None: the `criu` in the usual directories of the host.
pub fn check_json(criu: Option<&Path>) -> Result<String> {
    let program = super::program(criu)?;
    let deadline = Deadline::after(CHECK_TIMEOUT);
    let version = Version::of(&program, deadline)?;
    let mut report = Map::new();
    report.insert("path".into(), json!(program.to_string_lossy()));
    report.insert("version".into(), json!(version.to_string()));
    report.insert("usable".into(), json!(version >= OLDEST));
    report.insert("kernel".into(), kernel(&program, deadline)?);
    report.insert("features".into(), features(&program, deadline)?);
    Ok(Value::Object(report).to_string())
}

/// Runs `criu check`, and returns its result.
fn kernel(program: &Path, deadline: Deadline) -> Result<Value> {
    let (status, text) = command::run(program, &["check"], deadline)?;
    let lines: Vec<&str> = text.lines().collect();
    Ok(match status {
        ExitStatus::Exited(0) => json!({ "supported": true, "says": lines }),
        _ => json!({ "supported": false, "says": lines }),
    })
}

fn features(program: &Path, deadline: Deadline) -> Result<Value> {
    let found = kernel_features(program, deadline)?;
    Ok(json!({
        "memoryTracking": found.memory_tracking.unwrap_or(false),
        "lazyPages": found.lazy_pages.unwrap_or(false),
        "pidfdStore": found.pidfd_store.unwrap_or(false),
    }))
}

/// Returns the kernel features that CRIU has found.
pub(crate) fn kernel_features(program: &Path, deadline: Deadline) -> Result<Features> {
    let all = Features { memory_tracking: Some(true), lazy_pages: Some(true), pidfd_store: Some(true) };
    let request = Request { kind: Kind::FeatureCheck.into(), features: Some(all), ..Request::default() };
    let mut criu = Swrk::start(program, &Start::default(), deadline)?;
    let response = criu.ask(&request, None, |_| Ok(()))?;
    Ok(response.features.unwrap_or_default())
}
