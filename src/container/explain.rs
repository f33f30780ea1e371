//! Explain: what create would have init do, without doing anything.

use super::create::{cgroups_path, process_of};
use crate::cgroup;
use crate::error::{Context, Result};
use crate::network;
use crate::plan;
use crate::rdt;
use crate::spec::Config;

/// The id of the container that is never made.
const ID: &str = "explain";

/// The plan of a container with this configuration on this host, as JSON: the steps in words and in order.
pub fn explain(config: &Config) -> Result<String> {
    config.validate()?;
    process_of(config)?;
    let layout = cgroup::plan(cgroups_path(config), ID)?;
    let resctrl = rdt::plan(config, ID)?;
    let plan = plan::create(&plan::Create {
        config,
        rootfs: config.rootfs().canonicalize().context(|| format!("finding {}", config.rootfs().display()))?,
        layout: &layout,
        into_cgroup: layout.has_unified(),
        attached_by_host: cgroup::open(&layout)?.attach_needed(),
        networks: network::plan_needed(config),
        resctrl: resctrl.as_ref(),
        parent_death_signal: 0,
        keyring: true,
        find_program: false,
        root: plan::RootOptions::default(),
    })?;
    Ok(plan.explain().to_string())
}
