//! Explain: returns the plan that create would execute, and changes nothing.

use super::plan_inputs;
use crate::error::Result;
use crate::network;
use crate::process::ProcessOptions;
use crate::runtime::{Runtime, Settings};
use crate::spec::Config;
use crate::state::PlanInputs;

/// The id of the container in the plan, which is never created.
const ID: &str = "explain";

/// Returns the plan of a container with this configuration on this host, as JSON: the steps in words and in order. The
/// runtime's settings and the process's options are the defaults.
pub fn explain(config: &Config) -> Result<String> {
    explain_with(&Settings::default(), config, &ProcessOptions::default())
}

/// Returns the plan by which a runtime with these settings would create a container with these options, as JSON. Reads
/// the state of the host and creates nothing, not even the state root.
pub fn explain_with(settings: &Settings, config: &Config, options: &ProcessOptions) -> Result<String> {
    explained(settings, settings.rootless.holds()?, config, options)
}

impl Runtime {
    /// Returns the plan by which [`Container::create`](super::Container::create) would create a container, as JSON.
    /// Creates nothing.
    pub fn explain(&self, config: &Config, options: &ProcessOptions) -> Result<String> {
        explained(&self.inner.settings, self.inner.is_rootless()?, config, options)
    }
}

fn explained(settings: &Settings, rootless: bool, config: &Config, options: &ProcessOptions) -> Result<String> {
    config.validate()?;
    options.check(config.has_terminal())?;
    let inputs = PlanInputs::decide(settings, rootless, ID, config, plan_inputs::rootfs(config)?, options)?;
    Ok(inputs.plan(config, network::plan_needed(config))?.explain().to_string())
}
