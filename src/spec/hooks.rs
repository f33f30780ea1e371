//! Checks the six lists of hooks.

use super::oci::{self, Hook};
use super::{paths, validate_process};
use crate::error::{Error, Result};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Prestart,
    CreateRuntime,
    CreateContainer,
    StartContainer,
    Poststart,
    Poststop,
}

impl Kind {
    /// All types of hooks, in the order in which they run.
    pub const ALL: [Kind; 6] = [
        Kind::Prestart,
        Kind::CreateRuntime,
        Kind::CreateContainer,
        Kind::StartContainer,
        Kind::Poststart,
        Kind::Poststop,
    ];

    /// Returns the name of the list below `hooks`.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Prestart => "prestart",
            Kind::CreateRuntime => "createRuntime",
            Kind::CreateContainer => "createContainer",
            Kind::StartContainer => "startContainer",
            Kind::Poststart => "poststart",
            Kind::Poststop => "poststop",
        }
    }
}

pub fn list(spec: &oci::Spec, kind: Kind) -> &[Hook] {
    let Some(hooks) = spec.hooks() else { return &[] };
    let list = match kind {
        Kind::Prestart => hooks.prestart(),
        Kind::CreateRuntime => hooks.create_runtime(),
        Kind::CreateContainer => hooks.create_container(),
        Kind::StartContainer => hooks.start_container(),
        Kind::Poststart => hooks.poststart(),
        Kind::Poststop => hooks.poststop(),
    };
    list.as_deref().unwrap_or_default()
}

/// Checks all hooks, and keeps the last value of each variable of their environments.
pub(super) fn normalize(spec: &mut oci::Spec) -> Result<()> {
    check(spec)?;
    let Some(hooks) = spec.hooks_mut() else { return Ok(()) };
    remove_overridden_variables(hooks.prestart_mut());
    remove_overridden_variables(hooks.create_runtime_mut());
    remove_overridden_variables(hooks.create_container_mut());
    remove_overridden_variables(hooks.start_container_mut());
    remove_overridden_variables(hooks.poststart_mut());
    remove_overridden_variables(hooks.poststop_mut());
    Ok(())
}

fn remove_overridden_variables(list: &mut Option<Vec<Hook>>) {
    for hook in list.iter_mut().flatten() {
        if let Some(env) = hook.env() {
            let env = validate_process::last_values(env);
            hook.set_env(Some(env));
        }
    }
}

fn check(spec: &oci::Spec) -> Result<()> {
    for kind in Kind::ALL {
        for (index, hook) in list(spec, kind).iter().enumerate() {
            let path = format!("hooks.{}[{index}]", kind.name());
            paths::absolute(hook.path(), format_args!("{path}.path"))?;
            let env = hook.env().as_deref().unwrap_or_default();
            validate_process::check_environment(env, &format!("{path}.env"))?;
            if let Some(timeout) = hook.timeout().filter(|timeout| *timeout <= 0) {
                return Err(Error::config(
                    &format!("{path}.timeout"),
                    format!("{timeout} is not a timeout; expected a number of seconds above 0"),
                ));
            }
        }
    }
    Ok(())
}
