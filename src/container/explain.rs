//! Explain: what create would have init do, without doing anything.

use super::create::process_of;
use super::plan_inputs;
use crate::error::Result;
use crate::network;
use crate::process::ProcessOptions;
use crate::runtime::{Runtime, Settings};
use crate::spec::Config;
use crate::state::PlanInputs;

/// The id of the container that is never made.
const ID: &str = "explain";

/// The plan of a container with this configuration on this host, as JSON: the steps in words and in order. The settings of
/// the runtime and the options of the process are the default.
pub fn explain(config: &Config) -> Result<String> {
    explain_with(&Settings::default(), config, &ProcessOptions::default())
}

/// The plan by which a runtime with these settings would create a container with these options, as JSON. Looks at the host
/// and makes nothing, not even the state root.
pub fn explain_with(settings: &Settings, config: &Config, options: &ProcessOptions) -> Result<String> {
    explained(settings, settings.rootless.holds()?, config, options)
}

impl Runtime {
    /// The plan by which [`Container::create`](super::Container::create) would create a container, as JSON. Makes nothing.
    pub fn explain(&self, config: &Config, options: &ProcessOptions) -> Result<String> {
        explained(&self.inner.settings, self.inner.is_rootless()?, config, options)
    }
}

fn explained(settings: &Settings, rootless: bool, config: &Config, options: &ProcessOptions) -> Result<String> {
    config.validate()?;
    options.check(process_of(config)?.terminal().unwrap_or(false))?;
    let inputs = PlanInputs::decide(settings, rootless, ID, config, plan_inputs::rootfs(config)?, options)?;
    Ok(inputs.plan(config, network::plan_needed(config))?.explain().to_string())
}
