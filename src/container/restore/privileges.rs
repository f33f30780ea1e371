//! What a container's threads may have at most, by its configuration, and the comparison with what they have.

use std::collections::BTreeSet;

use crate::container::create::process_of;
use crate::container::prepare;
use crate::error::Result;
use crate::plan::{Plan, Step};
use crate::spec::capabilities::{self, Sets};
use crate::spec::namespaces::Namespaces;
use crate::spec::oci::LinuxNamespaceType;
use crate::spec::{Config, idmap};
use crate::sys::procfs;

/// The privileges that processes of a container can have gained since its start.
pub struct Allowed {
    bounding: u64,
    permitted: u64,
    inheritable: u64,
    ambient: u64,
    no_new_privileges: bool,
    /// Whether the configuration has a system call filter, which every thread inherits.
    filtered: bool,
    /// The ids of the host. None: processes may change theirs.
    uid: Option<u32>,
    gid: Option<u32>,
    groups: Option<BTreeSet<u32>>,
    /// Resource, its name, and the highest hard limit.
    limits: Vec<(u32, String, u64)>,
}

impl Allowed {
    pub fn of(config: &Config, plan: &Plan) -> Result<Allowed> {
        let process = process_of(config)?;
        let given = Sets::of(process);
        let no_new_privileges = process.no_new_privileges() == Some(true);
        // Without no_new_privs, executing a file with capabilities, or as root, grants those of the bounding set.
        let permitted = given.permitted | if no_new_privileges { 0 } else { given.bounding };
        let may = |name: &str| permitted & capabilities::bit(name) != 0;
        let raised = if may("CAP_SETPCAP") { given.bounding } else { 0 };
        let inheritable = given.inheritable | permitted | raised;
        let mut allowed = Allowed {
            bounding: given.bounding,
            permitted,
            inheritable,
            ambient: permitted & inheritable,
            no_new_privileges,
            filtered: plan.filter().is_some(),
            uid: None,
            gid: None,
            groups: None,
            limits: Vec::new(),
        };
        let ids = HostIds::of(config);
        for step in &plan.steps {
            match step {
                Step::User { uid, gid, groups } => {
                    // Files with set-id bits change ids unless no_new_privs is set; nothing but CAP_SETGID sets groups.
                    allowed.uid = ids.uid(*uid).filter(|_| no_new_privileges && !may("CAP_SETUID"));
                    allowed.gid = ids.gid(*gid).filter(|_| no_new_privileges && !may("CAP_SETGID"));
                    let groups = groups.iter().chain([gid]).filter_map(|gid| ids.gid(*gid));
                    allowed.groups = (!may("CAP_SETGID")).then(|| groups.collect());
                }
                Step::Rlimit { resource, name, hard, .. } if !may("CAP_SYS_RESOURCE") => {
                    allowed.limits.push((*resource, name.clone(), *hard));
                }
                _ => {}
            }
        }
        Ok(allowed)
    }

    /// Returns what a process or one of its threads has beyond this. Threads that have ended have nothing.
    pub fn excess(&self, pid: i32) -> Result<Option<String>> {
        for thread in procfs::list(&format!("{pid}/task"))? {
            let status = procfs::read_optional(&format!("{pid}/task/{thread}/status"))?.unwrap_or_default();
            let state = procfs::status_field(&status, "State").unwrap_or("X");
            if state.starts_with(['Z', 'X']) {
                continue;
            }
            if let Some(excess) = self.of_thread(&status) {
                let which = if thread == pid.to_string() { String::new() } else { format!("thread {thread} of ") };
                return Ok(Some(format!("{which}process {pid} {excess}")));
            }
        }
        for (resource, name, hard) in &self.limits {
            let found = prepare::hard_limit(pid, *resource, name)?;
            if found > *hard {
                return Ok(Some(format!("process {pid} has a hard limit {name} of {found}, above {hard}")));
            }
        }
        Ok(None)
    }

    fn of_thread(&self, status: &str) -> Option<String> {
        let field = |name: &str| procfs::status_field(status, name);
        let sets = [
            ("CapBnd", "bounding", self.bounding),
            ("CapPrm", "permitted", self.permitted),
            ("CapEff", "effective", self.permitted),
            ("CapInh", "inheritable", self.inheritable),
            ("CapAmb", "ambient", self.ambient),
        ];
        for (name, set, allowed) in sets {
            let has = field(name).and_then(|set| u64::from_str_radix(set, 16).ok()).unwrap_or(u64::MAX);
            if has & !allowed != 0 {
                let more = has & !allowed;
                return Some(format!(
                    "has capabilities in its {set} set that the configuration does not grant ({more:#x})"
                ));
            }
        }
        if self.no_new_privileges && field("NoNewPrivs") != Some("1") {
            return Some("does not have no_new_privs set".into());
        }
        // Kernels before Linux 5.9 do not count filters.
        if self.filtered && (field("Seccomp") != Some("2") || field("Seccomp_filters") == Some("0")) {
            return Some("is without the system call filter of the configuration".into());
        }
        let ids = |name: &str| -> BTreeSet<u32> {
            field(name).unwrap_or_default().split_whitespace().filter_map(|id| id.parse().ok()).collect()
        };
        let only = |name: &str, allowed: Option<u32>| allowed.is_none_or(|id| ids(name) == BTreeSet::from([id]));
        if !only("Uid", self.uid) {
            return Some(format!("has the uids {:?}, which the configuration does not grant", ids("Uid")));
        }
        if !only("Gid", self.gid) {
            return Some(format!("has the gids {:?}, which the configuration does not grant", ids("Gid")));
        }
        match &self.groups {
            Some(groups) if !ids("Groups").is_subset(groups) => {
                Some(format!("has the groups {:?}, which the configuration does not grant", ids("Groups")))
            }
            _ => None,
        }
    }
}

/// Maps ids of the container to those of the host.
struct HostIds<'a>(Option<&'a crate::spec::oci::Linux>);

impl HostIds<'_> {
    fn of(config: &Config) -> HostIds<'_> {
        let new = Namespaces::of(config.spec()).is_new(LinuxNamespaceType::User);
        HostIds(config.spec().linux().as_ref().filter(|_| new))
    }

    fn uid(&self, id: u32) -> Option<u32> {
        self.0.map_or(Some(id), |linux| idmap::to_host(linux.uid_mappings().as_deref()?, id))
    }

    fn gid(&self, id: u32) -> Option<u32> {
        self.0.map_or(Some(id), |linux| idmap::to_host(linux.gid_mappings().as_deref()?, id))
    }
}
