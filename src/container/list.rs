//! Opens and lists the containers of a runtime, and removes those that killed callers have left.

use super::Container;
use crate::error::{Code, Result};
use crate::runtime::Runtime;

impl Runtime {
    /// Returns a handle on an existing container.
    pub fn load(&self, id: &str) -> Result<Container> {
        Container::load(self, id)
    }

    /// Returns all containers. Leaves out containers that are deleted meanwhile, and directories that are not a
    /// container's.
    pub fn list(&self) -> Result<Vec<Container>> {
        let mut containers = Vec::new();
        for id in self.ids()? {
            match self.load(&id) {
                Err(error) if error.code == Code::NotFound => {}
                Err(error) => log::warn!("skipping container {id:?}: {error}"),
                Ok(container) => containers.push(container),
            }
        }
        Ok(containers)
    }

    /// Returns the states of all containers as a JSON array.
    pub fn states_json(&self) -> Result<String> {
        let mut states = Vec::new();
        for container in self.list()? {
            match container.state_json() {
                Err(error) if error.code == Code::NotFound => {}
                other => states.push(other?),
            }
        }
        Ok(format!("[{}]", states.join(",")))
    }

    /// Removes containers whose creator or deleter was killed before it finished, and returns their ids. Complete
    /// containers remain, and so do those that another call is creating, deleting or changing. After a failure it
    /// continues with the other containers, and then returns the first error.
    pub fn recover(&self) -> Result<Vec<String>> {
        let mut recovered = Vec::new();
        let mut first_error = None;
        for id in self.ids()? {
            let result = self.load(&id).and_then(|container| container.remove_if_abandoned());
            match result {
                Ok(true) => recovered.push(id),
                Ok(false) => {}
                Err(error) if matches!(error.code, Code::NotFound | Code::Busy) => {}
                Err(error) => {
                    first_error.get_or_insert(error.context(format!("recovering container {id:?}")));
                }
            }
        }
        first_error.map_or(Ok(recovered), Err)
    }
}
