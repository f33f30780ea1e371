//! The features document is correct: what it lists is accepted, and anything else is refused.

use std::collections::BTreeSet;

use berth::Code;
use berth::spec::{Config, mount_options, oci};
use serde_json::{Value, json};

fn document() -> Value {
    serde_json::from_str(&berth::features_json()).unwrap()
}

/// Returns the strings of an array.
fn list(value: &Value) -> Vec<String> {
    let texts: Vec<String> = value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect();
    assert_eq!(texts.iter().collect::<BTreeSet<_>>().len(), texts.len(), "something stands twice in {value}");
    texts
}

/// Parses the default configuration after a change.
fn with(change: impl FnOnce(&mut Value)) -> berth::Result<Config> {
    let mut config: Value = serde_json::from_str(&Config::default_json()).unwrap();
    config["root"]["path"] = "/rootfs".into();
    change(&mut config);
    Config::from_json(&config.to_string(), None)
}

/// Checks that each listed name is accepted and every other name is refused.
fn exactly(listed: &[String], others: &[&str], change: impl Fn(&mut Value, &str)) {
    for name in listed {
        let result = with(|config| change(config, name));
        assert!(result.is_ok(), "{name} is listed: {}", result.unwrap_err());
    }
    for name in others {
        assert!(!listed.iter().any(|listed| listed == name), "{name} is listed");
        let result = with(|config| change(config, name));
        let error = result.err().unwrap_or_else(|| panic!("{name} is not listed, and accepted"));
        assert!(matches!(error.code, Code::ConfigInvalid | Code::Unsupported), "{name}: {error}");
    }
}

#[test]
fn it_is_what_the_specification_calls_a_features_document() {
    let document = document();
    let typed: oci::Features = serde_json::from_value(document.clone()).unwrap();
    assert_eq!(typed.oci_version_max(), "1.3.0");
    let names = |value: &Value| -> BTreeSet<String> { value.as_object().unwrap().keys().cloned().collect() };
    let known = |names: &[&str]| -> BTreeSet<String> { names.iter().map(|name| (*name).to_owned()).collect() };
    // "MUST NOT contain properties that are not defined in this version".
    let top =
        ["ociVersionMin", "ociVersionMax", "hooks", "mountOptions", "linux", "potentiallyUnsafeConfigAnnotations"];
    assert_eq!(names(&document), known(&top));
    let linux = [
        "namespaces",
        "capabilities",
        "cgroup",
        "seccomp",
        "apparmor",
        "selinux",
        "intelRdt",
        "memoryPolicy",
        "mountExtensions",
        "netDevices",
    ];
    assert_eq!(names(&document["linux"]), known(&linux));
}

#[test]
fn versions() {
    let document = document();
    let listed = [&document["ociVersionMin"], &document["ociVersionMax"]].map(|text| text.as_str().unwrap().to_owned());
    exactly(&listed, &["0.9.0", "2.0.0"], |config, name| config["ociVersion"] = name.into());
    // A later minor version only adds fields, which are ignored: it runs with a warning.
    with(|config| config["ociVersion"] = "1.4.0".into()).unwrap();
}

#[test]
fn hooks() {
    let document = document();
    let listed = list(&document["hooks"]);
    exactly(&listed, &[], |config, name| config["hooks"] = json!({ name: [{ "path": "/bin/true" }] }));
    // As the specification demands, an unknown name is ignored; but an invalid entry under a listed name is refused.
    for name in &listed {
        let error = with(|config| config["hooks"] = json!({ name: [{ "path": "true" }] })).unwrap_err();
        assert!(error.message.starts_with(&format!("hooks.{name}[0].path")), "{error}");
    }
    let all = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];
    assert_eq!(listed, all);
}

/// The options in the specification's table (config.md, "Linux mount options"), and those that only its example of the
/// features document has.
const OF_THE_SPECIFICATION: [&str; 65] = [
    "async",
    "atime",
    "bind",
    "defaults",
    "dev",
    "diratime",
    "dirsync",
    "exec",
    "iversion",
    "lazytime",
    "loud",
    "mand",
    "noatime",
    "nodev",
    "nodiratime",
    "noexec",
    "noiversion",
    "nolazytime",
    "nomand",
    "norelatime",
    "nostrictatime",
    "nosuid",
    "nosymfollow",
    "private",
    "ratime",
    "rbind",
    "rdev",
    "rdiratime",
    "relatime",
    "remount",
    "rexec",
    "rnoatime",
    "rnodev",
    "rnodiratime",
    "rnoexec",
    "rnorelatime",
    "rnostrictatime",
    "rnosuid",
    "rnosymfollow",
    "ro",
    "rprivate",
    "rrelatime",
    "rro",
    "rrw",
    "rshared",
    "rslave",
    "rstrictatime",
    "rsuid",
    "rsymfollow",
    "runbindable",
    "rw",
    "shared",
    "silent",
    "slave",
    "strictatime",
    "suid",
    "symfollow",
    "sync",
    "tmpcopyup",
    "unbindable",
    "idmap",
    "ridmap",
    "acl",
    "noacl",
    "source=x",
];

#[test]
fn mount_options_are_known_by_name() {
    let listed = list(&document()["mountOptions"]);
    for name in &listed {
        let parsed = mount_options::parse(std::slice::from_ref(name), "options").unwrap();
        assert!(parsed.data.is_empty(), "{name} would go to the filesystem as its own");
    }
    for name in OF_THE_SPECIFICATION.iter().filter(|name| !listed.iter().any(|listed| listed == *name)) {
        match mount_options::parse(&[(*name).to_owned()], "options") {
            // Filesystem-specific options: "this array SHOULD NOT contain filesystem-specific mount options".
            Ok(parsed) => assert!(["acl", "noacl"].contains(name) && parsed.data.len() == 1, "{name}"),
            Err(_) => assert_eq!(*name, "source=x"),
        }
    }
}

#[test]
fn mount_options_are_accepted_where_they_belong() {
    let listed = list(&document()["mountOptions"]);
    let map = json!([{ "containerID": 0, "hostID": 1000, "size": 1 }]);
    exactly(&listed, &["=1"], |config, name| {
        let mut mount = json!({ "destination": "/x", "type": "tmpfs", "source": "/", "options": [name] });
        if name.ends_with("idmap") {
            (mount["uidMappings"], mount["gidMappings"]) = (map.clone(), map.clone());
        }
        config["mounts"].as_array_mut().unwrap().push(mount);
    });
    // Options that are not listed are passed to the filesystem; a bind mount has no filesystem to pass them to, so they
    // are refused.
    exactly(&[], &["acl", "noacl", "user", "nofail", "readonly", "ROnly", "rbindd", "rremount"], |config, name| {
        let mount = json!({ "destination": "/x", "type": "bind", "source": "/", "options": [name] });
        config["mounts"].as_array_mut().unwrap().push(mount);
    });
}

#[test]
fn namespaces() {
    let listed = list(&document()["linux"]["namespaces"]);
    let others = ["mnt", "net", "PID", "syslog", ""];
    exactly(&listed, &others, |config, name| {
        let namespaces = config["linux"]["namespaces"].as_array_mut().unwrap();
        if !namespaces.iter().any(|namespace| namespace["type"] == name) {
            namespaces.push(json!({ "type": name }));
        }
        if name == "user" {
            let map = json!([{ "containerID": 0, "hostID": 1000, "size": 1 }]);
            config["linux"]["uidMappings"] = map.clone();
            config["linux"]["gidMappings"] = map;
        }
    });
}

#[test]
fn capabilities() {
    let listed = list(&document()["linux"]["capabilities"]);
    let asks = |config: &mut Value, name: &str| config["process"]["capabilities"] = json!({ "bounding": [name] });
    exactly(&listed, &[], asks);
    assert_eq!(listed.len(), 41);
    // A value that cannot be mapped to the kernel is no error; it is logged and not granted.
    let unknown = ["CAP_NONE", "CAP_41", "cap_chown", "CHOWN", "CAP_", ""].map(|name| (name, 0));
    for (name, granted) in [("CAP_CHOWN", 1)].into_iter().chain(unknown) {
        let config = with(|config| asks(config, name)).unwrap();
        let capabilities = config.spec().process().as_ref().unwrap().capabilities().clone().unwrap();
        assert_eq!(capabilities.bounding().as_ref().unwrap().len(), granted, "{name}");
    }
}

#[test]
fn seccomp() {
    let document = document();
    let features = &document["linux"]["seccomp"];
    assert_eq!(features["enabled"], true);
    let filter = |config: &mut Value, action: &str, change: &dyn Fn(&mut Value)| {
        let mut filter = json!({
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{ "names": ["mkdir"], "action": action }],
        });
        if action == "SCMP_ACT_NOTIFY" {
            filter["listenerPath"] = "/run/listener".into();
        }
        change(&mut filter);
        config["linux"]["seccomp"] = filter;
    };
    exactly(&list(&features["actions"]), &["SCMP_ACT_NOTHING", "ALLOW"], |config, name| filter(config, name, &|_| {}));
    exactly(&list(&features["operators"]), &["SCMP_CMP_XX", "EQ"], |config, name| {
        filter(config, "SCMP_ACT_ERRNO", &|filter| {
            filter["syscalls"][0]["args"] = json!([{ "index": 0, "value": 1, "op": name }]);
        });
    });
    exactly(&list(&features["archs"]), &["SCMP_ARCH_VAX", "x86_64"], |config, name| {
        filter(config, "SCMP_ACT_ERRNO", &|filter| filter["architectures"] = json!([name]));
    });
    let (known, supported) = (list(&features["knownFlags"]), list(&features["supportedFlags"]));
    assert!(supported.iter().all(|flag| known.contains(flag)));
    exactly(&known, &["SECCOMP_FILTER_FLAG_NEW_LISTENER", "LOG"], |config, name| {
        filter(config, "SCMP_ACT_ERRNO", &|filter| filter["flags"] = json!([name]));
    });
}

#[test]
fn memory_policy() {
    let document = document();
    let features = &document["linux"]["memoryPolicy"];
    let nodes = |mode: &str| if ["MPOL_DEFAULT", "MPOL_LOCAL"].contains(&mode) { "" } else { "0" };
    exactly(&list(&features["modes"]), &["MPOL_MAX", "BIND"], |config, name| {
        config["linux"]["memoryPolicy"] = json!({ "mode": name, "nodes": nodes(name) });
    });
    exactly(&list(&features["flags"]), &["MPOL_F_NODE", "MPOL_MF_STRICT"], |config, name| {
        config["linux"]["memoryPolicy"] = json!({ "mode": "MPOL_BIND", "nodes": "0", "flags": [name] });
    });
}

#[test]
fn enabled_features_are_accepted_and_others_are_unsupported() {
    let document = document();
    let map = json!([{ "containerID": 0, "hostID": 1000, "size": 1 }]);
    let mount = json!({ "destination": "/x", "type": "bind", "source": "/", "uidMappings": map, "gidMappings": map });
    let mounts = json!([{ "destination": "/proc", "type": "proc" }, mount]);
    for (feature, place, value) in [
        ("/linux/seccomp/enabled", "/linux/seccomp", json!({ "defaultAction": "SCMP_ACT_ALLOW" })),
        ("/linux/apparmor/enabled", "/process/apparmorProfile", json!("profile")),
        ("/linux/selinux/enabled", "/process/selinuxLabel", json!("system_u:system_r:container_t:s0:c1,c2")),
        ("/linux/selinux/enabled", "/linux/mountLabel", json!("system_u:object_r:container_file_t:s0:c1,c2")),
        ("/linux/intelRdt/enabled", "/linux/intelRdt", json!({ "closID": "berth" })),
        ("/linux/intelRdt/schemata", "/linux/intelRdt", json!({ "schemata": ["L3:0=f"] })),
        ("/linux/intelRdt/monitoring", "/linux/intelRdt", json!({ "enableMonitoring": true })),
        ("/linux/netDevices/enabled", "/linux/netDevices", json!({ "eth1": {} })),
        ("/linux/mountExtensions/idmap/enabled", "/mounts", mounts),
    ] {
        let enabled = document.pointer(feature).unwrap_or_else(|| panic!("{feature} is missing")).as_bool().unwrap();
        let result = with(|config| {
            let (parent, name) = place.rsplit_once('/').unwrap();
            config.pointer_mut(parent).unwrap()[name] = value;
        });
        match result {
            Ok(_) => assert!(enabled, "{place} is accepted"),
            Err(error) => assert!(!enabled && error.code == Code::Unsupported, "{place}: {error}"),
        }
    }
}

#[test]
fn cgroups() {
    let document = document();
    let cgroup = &document["linux"]["cgroup"];
    for (feature, name) in [("v1", "cgroup-v1"), ("v2", "cgroup-v2"), ("systemd", "systemd")] {
        assert_eq!(cgroup[feature].as_bool().unwrap(), has(name), "{feature}");
    }
    assert_eq!(cgroup["systemdUser"], false);
    let rdma = with(|config| config["linux"]["resources"] = json!({ "rdma": { "mlx5_0": { "hcaHandles": 1 } } }));
    assert_eq!(cgroup["rdma"].as_bool().unwrap(), rdma.is_ok());
}

/// Returns whether the C ABI's list of features, which is separate, has a name.
fn has(name: &str) -> bool {
    unsafe extern "C" {
        fn berth_has_feature(name: *const std::ffi::c_char) -> i32;
    }
    let name = std::ffi::CString::new(name).unwrap();
    // SAFETY: a C string, alive for the call.
    unsafe { berth_has_feature(name.as_ptr()) == 1 }
}

#[test]
fn annotations_that_are_called_unsafe_are_those_that_can_do_something() {
    let listed = list(&document()["potentiallyUnsafeConfigAnnotations"]);
    assert_eq!(listed, ["org.systemd.property."]);
    // Without the setting of the runtime they do nothing; tests/systemd/ tests them with it.
    exactly(&listed, &[""], |config, name| config["annotations"] = json!({ name: "x" }));
}
