//! Documents of callers: config.json and its parts, networks, limits, processes, and the library's own record.

use std::path::Path;
use std::sync::LazyLock;

use serde_json::{Value, json};

use super::plans::{self, ROOTFS};
use super::{text, texts};
use crate::cgroup::{self, Layout, device_filter, device_rules, journal::Journal, systemd::limits};
use crate::plan::{Join, join};
use crate::security::seccomp as filter;
use crate::spec::{self, Config};
use crate::state::Record;

const EXAMPLE: &str = include_str!("../../examples/config.json");
const EVERY_FIELD: &str = include_str!("../../fuzz/corpus/config/every-field.json");

fn parsed(json: &str) -> Option<Config> {
    Config::from_json(json, Some(Path::new(ROOTFS))).ok()
}

static BASE: LazyLock<Config> = LazyLock::new(|| parsed(&Config::default_json()).expect("the default configuration"));
static WHOLE: LazyLock<Config> = LazyLock::new(|| parsed(EVERY_FIELD).expect("a configuration with every field"));

/// Returns a configuration with one part replaced.
fn with(place: &str, value: Value) -> String {
    let mut config: Value = serde_json::from_str(&Config::default_json()).unwrap_or_default();
    if let Some((parent, name)) = place.rsplit_once('/')
        && let Some(parent) = config.pointer_mut(parent)
    {
        parent[name] = value;
    }
    config.to_string()
}

/// Reads a configuration, plans its container, and has init read the plan.
pub fn config(data: &[u8]) {
    let Some(config) = text(data).and_then(parsed) else { return };
    let again = Config::from_record(config.json(), None, config.rootfs()).expect("what was accepted once");
    assert_eq!(config.spec(), again.spec());
    let first = plans::plan_of(&config);
    if let Ok(plan) = &first {
        plans::check(plan);
    }
    assert_eq!(first.ok(), plans::plan_of(&again).ok(), "the same configuration has the same plan");
}

pub fn configurations() -> Vec<Vec<u8>> {
    let rootless = Config::default_rootless_json(1000, 1000).unwrap_or_default();
    texts([&Config::default_json(), &rootless, EXAMPLE, EVERY_FIELD])
}

/// Reads the entries of `mounts`.
pub fn mounts(data: &[u8]) {
    let Some(Ok(list)) = text(data).map(serde_json::from_str::<Value>) else { return };
    config(with("/mounts", list).as_bytes());
}

pub fn mount_lists() -> Vec<Vec<u8>> {
    parts("/mounts")
}

/// Compiles a seccomp filter.
pub fn seccomp(data: &[u8]) {
    let Some(Ok(profile)) = text(data).map(serde_json::from_str::<Value>) else { return };
    let Some(config) = parsed(&with("/linux/seccomp", profile)) else { return };
    if let Ok(Some(filter)) = filter::filter(config.spec()) {
        assert!(!filter.program.is_empty());
    }
}

pub fn filters() -> Vec<Vec<u8>> {
    parts("/linux/seccomp")
}

/// Returns a part of each configuration that has it.
fn parts(place: &str) -> Vec<Vec<u8>> {
    let configs = configurations().into_iter().filter_map(|json| serde_json::from_slice::<Value>(&json).ok());
    configs.filter_map(|config| Some(config.pointer(place)?.to_string().into_bytes())).collect()
}

/// Reads networks and routes.
pub fn networks(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let Ok(config) = BASE.with_networks(text) else { return };
    let again = BASE.with_networks(text).expect("what was accepted once");
    assert_eq!(config.networks(), again.networks());
    plans::check(&plans::plan_of(&config).expect("networks change little of a plan"));
}

pub fn network_documents() -> Vec<Vec<u8>> {
    texts([
        r#"{"networks": [{"type": "veth", "bridge": "br0", "address": "10.0.0.2/24", "gateway": "10.0.0.1",
            "ipv6Address": "fd00::2/64", "ipv6Gateway": "fd00::1"}],
            "routes": [{"destination": "10.8.0.0/16", "gateway": "10.0.0.9"}]}"#,
        r#"{"networks": [{"type": "loopback"}, {"type": "veth", "name": "eth1", "hostInterfaceName": "veth-a",
            "hairpinMode": true, "macAddress": "02:00:00:00:00:01", "address": "192.168.1.5/32", "mtu": 1500,
            "txQueueLength": 1000}], "routes": [{"destination": "0.0.0.0/0", "source": "192.168.1.5",
            "interfaceName": "eth1"}, {"destination": "fe80::/64", "interfaceName": "lo"}, {"destination": "::/0"}]}"#,
    ])
}

/// Reads a change of limits, and computes what would be written for it on v1, on v2 and through systemd.
pub fn resources(data: &[u8]) {
    let Some(text) = text(data) else { return };
    for base in [&*BASE, &*WHOLE] {
        let Ok(change) = base.with_resources(text) else { continue };
        let _ = limits::of_resources(&change.write, limits::Host { version: 257, bfq: change.shares.is_empty() });
        write_nowhere(&change.write);
        if let Ok(rules) = device_rules::complete(change.write.devices().as_deref()) {
            let _ = device_rules::Exceptions::fold(&rules).map(|folded| folded.lines());
            let _ = device_filter::compile(&rules).map(|program| assert!(!program.is_empty()));
        }
        assert_eq!(base.rootfs(), change.config.rootfs());
    }
}

/// Computes the values for cgroups that do not exist, so that nothing is written.
fn write_nowhere(limits: &spec::oci::LinuxResources) {
    let place = |name: &str| (name.to_owned(), format!("/nonexistent/{name}").into());
    let names = ["memory", "cpu", "cpuset", "pids", "blkio", "hugetlb", "net_cls", "net_prio", "rdma"];
    let layouts = [[place("")].into(), names.map(place).into()].map(|paths| Layout { paths, ..Layout::default() });
    for layout in layouts {
        let _ = cgroup::open(&layout).and_then(|cgroup| cgroup.limit(limits, &Journal::default()));
    }
}

/// The limits of the configurations, and each limit alone: the first one that cannot be written ends the others.
pub fn limit_documents() -> Vec<Vec<u8>> {
    let mut seeds = parts("/linux/resources");
    let all: Vec<Value> = seeds.iter().filter_map(|seed| serde_json::from_slice(seed).ok()).collect();
    for (group, members) in all.iter().filter_map(Value::as_object).flatten() {
        seeds.push(json!({ group: members }).to_string().into_bytes());
        for (name, value) in members.as_object().into_iter().flatten() {
            seeds.push(json!({ group: { name: value } }).to_string().into_bytes());
        }
    }
    seeds.extend(texts([r#"{"memory": {"limit": -1}}"#, r#"{"intelRdt": {"l3CacheSchema": "L3:0=f"}}"#]));
    seeds
}

/// Reads the document of a further process, and plans it.
pub fn process(data: &[u8]) {
    let Some(Ok(process)) = text(data).map(spec::parse_process) else { return };
    for namespaces in [0, libc::CLONE_NEWUSER as u64 | libc::CLONE_NEWNS as u64 | libc::CLONE_NEWCGROUP as u64] {
        plans::check(&join(&Join {
            process: &process,
            linux: None,
            filter: None,
            namespaces,
            foreign_cgroup_namespace: false,
            into_cgroup: true,
            resctrl: None,
            parent_death_signal: 9,
            keyring: true,
            plain_newlines: true,
            own_root: namespaces != 0,
        }));
    }
}

pub fn processes() -> Vec<Vec<u8>> {
    parts("/process")
}

/// Reads a record, and writes it again.
pub fn record(data: &[u8]) {
    let Ok(record) = serde_json::from_slice::<Record>(data) else { return };
    let written = serde_json::to_string(&record).expect("a record can be written");
    let again: Record = serde_json::from_str(&written).expect("what was written can be read");
    assert_eq!(written, serde_json::to_string(&again).expect("a record can be written"));
    // Only a handle: a record makes sense or it does not.
    let _ = cgroup::open(&record.inputs.cgroup);
    let _ = record.inputs.resctrl.as_ref().map(|group| group.describe());
}

pub fn records() -> Vec<Vec<u8>> {
    let place = |name: &str| (name.to_owned(), format!("/sys/fs/cgroup/{name}/berth/a").into());
    let layout = Layout { paths: [place(""), place("memory")].into(), ..Layout::default() };
    let placeholder = serde_json::to_vec(&Record::placeholder("a", layout, None)).unwrap_or_default();
    let mut seeds = texts([r#"{"version": 1, "id": "a", "phase": "created",
        "owner": {"pid": 7, "start_time": 8, "boot_id": "b"}, "bundle": "/b", "created": "2026-01-01T00:00:00Z",
        "init": {"pid": 9, "start_time": 10, "boot_id": "b", "image": [1, 2]}, "rootfs": "/r", "device_dir": [47, 255],
        "cgroup": {"paths": {"": "/sys/fs/cgroup/a"}, "made": [], "kept": ["/sys/fs/cgroup/k"],
            "scope": {"name": "a.scope", "slice": "b.slice", "properties": [["X", "true"]]}, "absent": false},
        "resctrl": {"root": "/sys/fs/resctrl", "path": "/sys/fs/resctrl/a", "removal": "always", "monitor": "/m"},
        "parent_death_signal": 9, "namespaces": 131072, "external_descriptors": ["pipe:[1]", "/dev/null", ""],
        "network": null, "checkpoint": {"owner": {"pid": 1, "start_time": 2, "boot_id": ""}, "was_paused": true}}"#]);
    seeds.push(placeholder);
    assert!(seeds.iter().all(|seed| serde_json::from_slice::<Record>(seed).is_ok()), "the seeds are records");
    seeds
}

/// Asks for features by name, and has every mount option of the features document read by the parser of options.
pub fn features(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let _ = (spec::implements(text), crate::features::has(text));
    let document: Value = serde_json::from_str(&crate::features::json()).expect("the features document is JSON");
    let listed = document["mountOptions"].as_array().is_some_and(|names| names.iter().any(|name| name == text));
    let option = spec::mount_options::parse(&[text.to_owned()], "mounts[0].options");
    assert!(!listed || option.is_ok() || text.ends_with("idmap"), "{text} is listed and refused");
}

pub fn field_names() -> Vec<Vec<u8>> {
    let document: Value = serde_json::from_str(&crate::features::json()).unwrap_or_default();
    let names = document["mountOptions"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let fields =
        ["linux.seccomp", "mounts.uidMappings", "process.user.uid", "checkpoint", "size=1k", "idmap=uids=0-1-2"];
    names.chain(fields).map(|name| name.as_bytes().to_vec()).collect()
}
