//! Opens and lists the containers of a runtime, and removes those that killed callers have left.

use nix::errno::Errno;

use super::{Container, oci_state};
use crate::error::{Code, Error, Result};
use crate::runtime::Runtime;
use crate::state;

impl Runtime {
    /// Returns a handle on an existing container.
    pub fn load(&self, id: &str) -> Result<Container> {
        Container::load(self, id)
    }

    /// Returns all containers, also those whose record is damaged: calls on these return an error that says so, except
    /// for a forced delete. Leaves out containers that are deleted meanwhile.
    pub fn list(&self) -> Result<Vec<Container>> {
        let mut containers = Vec::new();
        for id in self.ids()? {
            match self.load(&id) {
                Err(error) if error.code == Code::NotFound => {}
                Err(error) if is_for_all(&error) => return Err(error),
                Err(error) => log::warn!("skipping container {id:?}: {error}"),
                Ok(container) => containers.push(container),
            }
        }
        Ok(containers)
    }

    /// Returns the states of all containers as a JSON array. A container whose state cannot be read, because its record
    /// is damaged, has the status "unknown", and "error" says why.
    pub fn states_json(&self) -> Result<String> {
        let mut states = Vec::new();
        for id in self.ids()? {
            match self.load(&id).and_then(|container| container.state_json()) {
                Ok(state) => states.push(state),
                Err(error) if error.code == Code::NotFound => {}
                Err(error) if is_for_all(&error) => return Err(error),
                Err(error) => {
                    let mut state = oci_state::placeholder(&id, "unknown");
                    state["error"] = error.message.into();
                    states.push(state.to_string());
                }
            }
        }
        Ok(format!("[{}]", states.join(",")))
    }

    /// Removes containers whose creator or deleter was killed before it finished, and returns their ids. Complete
    /// containers remain, and so do those that another call is creating, deleting or changing, and, with a warning in
    /// the log, those whose record is damaged, because their state cannot be determined. After a failure it continues
    /// with the other containers, and then returns the first error, whose detail "recovered" has the removed ids.
    pub fn recover(&self) -> Result<Vec<String>> {
        let mut recovered = Vec::new();
        let mut first_error = None;
        for id in self.ids()? {
            let result = self.load(&id).and_then(|container| container.remove_if_abandoned());
            match result {
                Ok(true) => recovered.push(id),
                Ok(false) => {}
                Err(error) if matches!(error.code, Code::NotFound | Code::Busy) => {}
                Err(error) if state::is_damaged(&error) => log::warn!("container {id:?} is not recovered: {error}"),
                Err(error) => {
                    first_error.get_or_insert(error.context(format!("recovering container {id:?}")));
                }
            }
        }
        match first_error {
            Some(error) => Err(error.detail("recovered", recovered)),
            None => Ok(recovered),
        }
    }
}

/// Whether an error is not about one container: the caller is out of descriptors or memory.
fn is_for_all(error: &Error) -> bool {
    matches!(error.errno, Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM))
}
