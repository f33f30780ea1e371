//! `berth delete`

use std::path::Path;

use berth::{Code, Container, Force};
use clap::Args;

use crate::args::Global;
use crate::failure::Failure;
use crate::{Outcome, host, notify};

#[derive(Args)]
pub struct Delete {
    /// Kill the container if it is running; ignore a container that does not exist
    #[arg(short, long)]
    force: bool,
    /// Treat ID as a regular expression and delete all matching containers
    #[arg(short, long)]
    regex: bool,
    /// Container id
    #[arg(value_name = "ID")]
    id: String,
}

impl Delete {
    pub fn run(self, global: &Global) -> Outcome {
        if self.regex {
            return self.matching(global);
        }
        let root = host::settings(global)?.root;
        let deleted = host::container(global, &self.id).and_then(|container| self.delete(&root, &container));
        match deleted {
            Err(failure) if self.force && failure.code() == Some(Code::NotFound) => Ok(0),
            other => other.map(|()| 0),
        }
    }

    /// Deletes all matches. If some cannot be deleted, the others are; the first error is returned.
    fn matching(&self, global: &Global) -> Outcome {
        let Some(runtime) = host::existing(global)? else { return Ok(0) };
        let mut first = Ok(0);
        for id in host::matching(&runtime, &self.id)? {
            let deleted =
                runtime.load(&id).map_err(Failure::from).and_then(|container| self.delete(runtime.root(), &container));
            if first.is_ok() {
                first = deleted.map(|()| 0);
            }
        }
        first
    }

    fn delete(&self, root: &Path, container: &Container) -> Result<(), Failure> {
        // As runc does: a container that was never started is deleted without --force. The library decides that under the
        // lock, so that one which is started at this moment is not killed.
        container.delete(if self.force { Force::Kill } else { Force::Created })?;
        notify::forget(root, container.id());
        Ok(())
    }
}
