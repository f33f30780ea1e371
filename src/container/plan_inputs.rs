//! Decides the inputs of a container's plans, beside its configuration. They are decided once, before anything of the
//! container is created, and are part of its record: create, start, exec, checkpoint and restore make their plans from
//! the same inputs, and so does explain, which records nothing.

use std::path::PathBuf;

use super::create::cgroups_path;
use crate::cgroup::{self, Layout, Manager};
use crate::error::{Context, Error, Result};
use crate::plan::{self, Join, Plan};
use crate::process::{Keyring, MissingProgram, ProcessOptions};
use crate::rdt;
use crate::runtime::Settings;
use crate::security::seccomp;
use crate::spec::Config;
use crate::spec::namespaces::Namespaces;
use crate::spec::oci::{self, LinuxNamespaceType};
use crate::state::{DEVICES, PlanInputs, Record};

/// A process that joins a container.
pub(crate) struct Joining<'a> {
    pub process: &'a oci::Process,
    /// CLONE_NEW… flags of the namespaces that differ from the host's.
    pub namespaces: u64,
    pub parent_death_signal: i32,
    /// Whether the process's terminal leaves newlines as they are.
    pub plain_newlines: bool,
}

/// Returns the path of a container's root filesystem, without symlinks.
pub(crate) fn rootfs(config: &Config) -> Result<PathBuf> {
    config.rootfs().canonicalize().context(|| format!("resolving {}", config.rootfs().display()))
}

impl PlanInputs {
    /// Decides the paths and options of a container with this id on this host. Creates nothing.
    pub fn decide(
        settings: &Settings,
        rootless: bool,
        id: &str,
        config: &Config,
        rootfs: PathBuf,
        options: &ProcessOptions,
    ) -> Result<PlanInputs> {
        Ok(PlanInputs {
            rootfs,
            device_dir: settings.root.join(id).join(DEVICES),
            cgroup: plan_cgroup(settings.cgroup_manager, rootless, id, config)?,
            resctrl: rdt::plan(config, id)?,
            parent_death_signal: options.parent_death_signal,
            inherits_keyring: options.keyring == Keyring::Inherit,
            plain_newlines: options.plain_newlines,
            found_program: options.missing_program == MissingProgram::AtCreate,
            root_options: settings.root_options,
        })
    }

    /// Returns the plan of the container's init. `networks`: the caller creates links in its network namespace.
    pub fn plan(&self, config: &Config, networks: bool) -> Result<Plan> {
        let cgroup = cgroup::open(&self.cgroup)?;
        plan::create(&plan::Create {
            config,
            rootfs: &self.rootfs,
            layout: &self.cgroup,
            into_cgroup: cgroup.has_spawn_dir(),
            attached_by_host: cgroup.attach_needed(),
            networks,
            resctrl: self.resctrl.as_ref(),
            parent_death_signal: self.parent_death_signal,
            keyring: !self.inherits_keyring,
            find_program: self.found_program,
            root: self.root_options,
            plain_newlines: self.plain_newlines,
            device_dir: &self.device_dir,
        })
    }

    /// Returns the plan of a further process.
    pub fn join_plan(&self, config: &Config, joining: &Joining) -> Result<Plan> {
        let filter = seccomp::filter(config.spec())?;
        Ok(plan::join(&Join {
            process: joining.process,
            linux: config.spec().linux().as_ref(),
            filter: filter.as_ref(),
            namespaces: joining.namespaces,
            foreign_cgroup_namespace: Namespaces::of(config.spec()).has_foreign_cgroup(),
            into_cgroup: cgroup::open(&self.cgroup)?.has_spawn_dir(),
            resctrl: self.resctrl.as_ref(),
            parent_death_signal: joining.parent_death_signal,
            keyring: !self.inherits_keyring,
            plain_newlines: joining.plain_newlines,
            own_root: !Namespaces::of(config.spec()).is_new(LinuxNamespaceType::Mount),
        }))
    }
}

impl Record {
    /// Returns the plan that the container was created with.
    pub(super) fn plan(&self, config: &Config) -> Result<Plan> {
        // The saved configuration does not contain the networks, so take them from the record.
        self.inputs.plan(config, self.network.is_some())
    }
}

fn plan_cgroup(manager: Manager, rootless: bool, id: &str, config: &Config) -> Result<Layout> {
    let none = std::collections::HashMap::new();
    let annotations = config.spec().annotations().as_ref().unwrap_or(&none);
    let layout = match (manager, cgroups_path(config)) {
        (Manager::Files, None) if rootless => cgroup::plan_permitted(id)?,
        (manager, path) => cgroup::plan_with(manager, path, id, annotations)?,
    };
    if layout.absent && !Namespaces::of(config.spec()).is_new(LinuxNamespaceType::Pid) {
        let problem =
            "without cgroups the container needs a new pid namespace, which ends its processes together with init";
        return Err(Error::config("linux.namespaces", problem));
    }
    Ok(layout)
}
