//! The containers of a runtime: opening them, listing them, and removing what killed callers left.

use super::Container;
use crate::error::{Code, Result};
use crate::runtime::Runtime;

impl Runtime {
    /// A handle on an existing container.
    pub fn load(&self, id: &str) -> Result<Container> {
        Container::load(self, id)
    }

    /// Every container. One that is deleted while the list is made is left out, and what is no container's directory.
    pub fn list(&self) -> Result<Vec<Container>> {
        let mut containers = Vec::new();
        for id in self.ids()? {
            match self.load(&id) {
                Err(error) if error.code == Code::NotFound => {}
                Err(error) => log::warn!("container {id:?} is left out: {error}"),
                Ok(container) => containers.push(container),
            }
        }
        Ok(containers)
    }

    /// The states of all containers as a JSON array.
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

    /// Removes what creators and deleters left behind that were killed at their work. Containers that are whole, and
    /// those somebody is at work on, stay. Returns the ids that were removed. A failure does not keep the others from
    /// being recovered; the first is returned then.
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
