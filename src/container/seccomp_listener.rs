//! Sends the listener of a seccomp filter to the supervisor at `linux.seccomp.listenerPath`.

use std::path::Path;

use super::status::Status;
use super::{Container, oci_state};
use crate::error::Result;
use crate::security::seccomp;
use crate::spawn::InitChannel;
use crate::spec::Config;
use crate::state::Record;
use crate::sys::fd_passing;

impl Container {
    /// Sends the listener of a seccomp filter with SCMP_ACT_NOTIFY to its supervisor, and lets the process continue.
    pub(super) fn send_seccomp_listener(
        &self,
        init: &mut InitChannel,
        config: &Config,
        record: &Record,
        status: Status,
    ) -> Result<()> {
        let deadline = self.runtime.setup_deadline();
        let listener = init.listener(deadline)?;
        let profile = seccomp::profile(config.spec());
        let path = profile.and_then(|profile| profile.listener_path().as_deref()).unwrap_or(Path::new(""));
        let state = oci_state::for_supervisor(config, record, status, init.pid())?;
        let doing = || format!("sending the seccomp listener to {} (linux.seccomp.listenerPath)", path.display());
        fd_passing::send(path, state.as_bytes(), &listener, deadline, doing)
            .map_err(|error| error.detail("seccomp_listener", path.to_string_lossy()))?;
        init.go()
    }
}
