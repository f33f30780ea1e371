//! Accepted documents, and the resulting configurations.

use std::path::Path;

use super::*;
use crate::spec::capabilities::Sets;
use crate::spec::mount_attributes::MOUNT_ATTR_RDONLY;
use crate::spec::mount_options::{Extent, FilesystemOption};
use crate::spec::namespaces::Namespaces;
use crate::spec::{hooks, idmap, oci};

fn accepted(changes: &[(&str, &str)]) -> Config {
    Config::from_json(&changed(changes), None).unwrap_or_else(|error| panic!("{changes:?}: {error}"))
}

#[test]
fn the_default_is_sound_and_comes_back_as_it_was() {
    let text = Config::default_json();
    let config = Config::from_json(&text, Some(Path::new("/somewhere"))).unwrap();
    assert_eq!(config.json(), text);
    assert_eq!(config.rootfs(), Path::new("/somewhere"));
    assert_eq!(config.bundle(), None);
    // Converting to the types and back loses nothing.
    let mut again = serde_json::to_value(config.spec()).unwrap();
    let mut given: Value = parsed(&text);
    for document in [&mut again, &mut given] {
        for set in ["bounding", "effective", "permitted"] {
            // Sets have no order.
            let names = document["process"]["capabilities"][set].as_array_mut().unwrap();
            names.sort_by_key(|name| name.to_string());
        }
    }
    assert_eq!(again, given);
    // The format is that of other runtimes' JSON writers: indented by tabs.
    let mut written = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"\t");
    let mut serializer = serde_json::Serializer::with_formatter(&mut written, formatter);
    serde::Serialize::serialize(&parsed(&text), &mut serializer).unwrap();
    assert_eq!(String::from_utf8(written).unwrap() + "\n", text);
}

#[test]
fn every_field_of_this_version() {
    let config = accepted(&[
        ("/ociVersion", "\"1.3.0-rc.1+build.5\""),
        ("/domainname", "\"example.com\""),
        ("/annotations", r#"{"com.example.a": "", "b": "x"}"#),
        ("/process/consoleSize", r#"{"height": 25, "width": 80}"#),
        ("/process/user", r#"{"uid": 3, "gid": 4, "umask": 63, "additionalGids": [5, 4294967]}"#),
        ("/process/oomScoreAdj", "-1000"),
        ("/process/capabilities/inheritable", "[\"CAP_KILL\"]"),
        ("/process/capabilities/ambient", "[\"CAP_KILL\"]"),
        (
            "/hooks",
            r#"{"prestart": [{"path": "/1"}], "createRuntime": [{"path": "/2", "args": [], "env": ["A="]}],
                "createContainer": [{"path": "/3"}], "startContainer": [{"path": "/4", "timeout": 1}],
                "poststart": [{"path": "/5", "args": ["5", ""]}], "poststop": [{"path": "/6"}]}"#,
        ),
        (
            "/linux/devices",
            r#"[{"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 8630, "uid": 0, "gid": 0}]"#,
        ),
        ("/linux/uidMappings", r#"[{"containerID": 0, "hostID": 100000, "size": 65536}]"#),
        ("/linux/gidMappings", r#"[{"containerID": 0, "hostID": 0, "size": 4294967295}]"#),
        ("/linux/namespaces/-", r#"{"type": "user"}"#),
        ("/linux/namespaces/-", r#"{"type": "time", "path": ""}"#),
        ("/linux/timeOffsets", r#"{"monotonic": {"secs": -5, "nanosecs": 1}, "boottime": {}}"#),
        (
            "/linux/resources",
            r#"{"memory": {"limit": 1000, "reservation": -1, "swap": 1000, "kernel": -1, "kernelTCP": 0, "swappiness": 60,
                    "disableOOMKiller": false, "useHierarchy": true, "checkBeforeUpdate": true},
                "blockIO": {"weight": 500, "leafWeight": 0, "weightDevice": [{"major": 8, "minor": 0, "weight": 10}],
                    "throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 0}], "throttleWriteIOPSDevice": []},
                "hugepageLimits": [{"pageSize": "2MB", "limit": 0}, {"pageSize": "1GB", "limit": -1}],
                "network": {"classID": 1048577, "priorities": [{"name": "eth0", "priority": 5}]},
                "rdma": {"mlx5_0": {"hcaHandles": 3}}, "unified": {"memory.high": "max", "cgroup.max.depth": "5"},
                "cpu": {"shares": 1024, "quota": 50000, "period": 100000, "realtimeRuntime": 1, "realtimePeriod": 2, "cpus": "0-3,8", "mems": "0", "idle": 1, "burst": 5},
                "pids": {"limit": -1}, "devices": [{"allow": true, "type": "c", "major": 1, "minor": -1, "access": "rw"}]}"#,
        ),
        ("/linux/cgroupsPath", "\"/berth/x\""),
        ("/linux/rootfsPropagation", "\"rslave\""),
        ("/linux/sysctl", r#"{"net.ipv4.ip_forward": "1", "kernel/shmmax": "5", "fs.mqueue.msg_max": ""}"#),
    ]);
    let spec = config.spec();
    for kind in hooks::Kind::ALL {
        assert_eq!(hooks::list(spec, kind).len(), 1, "{}", kind.name());
    }
    let namespaces = Namespaces::of(spec);
    assert!(namespaces.joined.is_empty() && namespaces.is_new(oci::LinuxNamespaceType::Time));
    let linux = spec.linux().as_ref().unwrap();
    assert_eq!(linux.devices().as_ref().unwrap()[0].file_mode(), Some(0o666));
    assert_eq!(idmap::to_host(linux.uid_mappings().as_ref().unwrap(), 3), Some(100_003));
    let sets = Sets::of(spec.process().as_ref().unwrap());
    assert_eq!((sets.ambient, sets.bounding), (1 << 5, 1 << 5 | 1 << 10 | 1 << 29));
}

#[test]
fn empty_and_unknown_fields_are_ignored() {
    accepted(&[
        ("/x", "{\"y\": 1}"),
        ("/uidMappings", "\"never existed here\""),
        ("/process/user/colour", "\"red\""),
        ("/windows", "null"),
        ("/process/apparmorProfile", "\"\""),
        ("/process/selinuxLabel", "null"),
        ("/process/commandLine", "\"\""),
        ("/linux/seccomp", "null"),
        ("/linux/netDevices", "{}"),
        ("/linux/rootfsPropagation", "\"\""),
        ("/linux/cgroupsPath", "\"\""),
        ("/linux/resources/blockIO", r#"{"weightDevice": null}"#),
        ("/linux/resources/network", "{}"),
        ("/linux/resources/unified", "{}"),
        ("/linux/resources/memory", r#"{"disableOOMKiller": false}"#),
        ("/mounts/0/uidMappings", "[]"),
        ("/hooks", "{\"prestart\": null}"),
        // Without a terminal the size is ignored, as the specification demands.
        ("/process/terminal", "false"),
        ("/process/consoleSize", r#"{"height": 100000, "width": 0}"#),
        ("/process/execCPUAffinity", r#"{"initial": " 0, 2-3 ", "final": ""}"#),
        ("/linux/resources/pids", "{}"),
        ("/linux/resources/hugepageLimits", r#"[{"pageSize": "2MB", "limit": 18446744073709551615}]"#),
    ]);
    for version in ["1.0.0", "1.0.2-dev", "1.1.0", "1.2.1", "1.3.0", "1.3.99", "1.4.0", "1.12.0-rc.1"] {
        accepted(&[("/ociVersion", &format!("{version:?}"))]);
    }
}

#[test]
fn documents_of_other_programs_are_accepted() {
    let config = accepted(&[
        ("/process/user", ""),
        ("/process/consoleSize", r#"{"height": 3}"#),
        ("/process/ioPriority", r#"{"class": "IOPRIO_CLASS_BE"}"#),
        ("/process/env", r#"["PATH=/a", "A=1", "PATH=/b"]"#),
        ("/process/capabilities/bounding", r#"["CAP_KILL", "CAP_OF_TOMORROW", "KILL", "cap_chown", ""]"#),
        ("/process/capabilities/ambient", r#"["CAP_KILL"]"#),
        ("/domainname", "\"d\""),
        ("/linux/sysctl", r#"{"kernel.domainname": "d", "net.a": "0 0", "net/a": "0 0"}"#),
        ("/linux/namespaces/1/path", "\"/run/netns/x\""),
        (
            "/linux/devices",
            r#"[{"path": "/dev/../etc/fuse", "type": "c", "major": 10, "minor": 229},
            {"path": "/etc/./fuse", "type": "c", "major": 10, "minor": 229}]"#,
        ),
        ("/linux/maskedPaths", r#"["/a/../b"]"#),
        ("/linux/cgroupsPath", "\"/../a/../b\""),
        ("/hooks", r#"{"poststop": [{"path": "/x", "env": ["A=1", "A=2"]}]}"#),
        ("/mounts/-", r#"{"destination": "/opt/../mnt/y", "type": "tmpfs", "options": ["", "ro", ""]}"#),
        ("/mounts/-", r#"{"destination": "../x", "type": "tmpfs"}"#),
        (
            "/mounts/-",
            r#"{"destination": "/y", "type": "bind", "source": "/y", "options": ["sync", "mand", "lazytime", "iversion"]}"#,
        ),
    ]);
    let spec = config.spec();
    let process = spec.process().as_ref().unwrap();
    assert_eq!((process.user().uid(), process.user().gid()), (0, 0));
    assert_eq!(process.env().as_deref(), Some(&["A=1".to_owned(), "PATH=/b".to_owned()][..]));
    assert_eq!(process.io_priority().map(|given| given.priority()), Some(0));
    assert_eq!(process.console_size().map(|size| (size.height(), size.width())), Some((3, 0)));
    assert_eq!((Sets::of(process).bounding, Sets::of(process).ambient), (1 << 5, 0));
    assert_eq!(config.unknown_capabilities, ["CAP_OF_TOMORROW", "KILL", "cap_chown", ""]);
    let linux = spec.linux().as_ref().unwrap();
    let devices = linux.devices().as_ref().unwrap();
    assert_eq!(devices.iter().map(|device| device.path().as_path()).collect::<Vec<_>>(), [Path::new("/etc/fuse")]);
    assert_eq!(linux.masked_paths().as_deref(), Some(&["/b".to_owned()][..]));
    let mounts = spec.mounts().as_ref().unwrap();
    assert_eq!([mounts[7].destination(), mounts[8].destination()], [Path::new("/mnt/y"), Path::new("/x")]);
    assert_eq!(hooks::list(spec, hooks::Kind::Poststop)[0].env().as_deref(), Some(&["A=2".to_owned()][..]));
    assert_eq!(config.notices.len(), 2, "{:?}", config.notices);
}

#[test]
fn joins_are_in_the_order_in_which_they_must_happen() {
    let config = accepted(&[(
        "/linux/namespaces",
        r#"[{"type": "time", "path": "/t"}, {"type": "mount"}, {"type": "pid", "path": "/p"}, {"type": "cgroup", "path": "/c"},
                {"type": "network", "path": "/n"}, {"type": "uts", "path": "/u"}, {"type": "ipc", "path": "/i"},
                {"type": "user", "path": "/us"}]"#,
    )]);
    let namespaces = Namespaces::of(config.spec());
    let paths: Vec<_> = namespaces.joined.iter().map(|joined| joined.path.to_str().unwrap()).collect();
    assert_eq!(paths, ["/us", "/i", "/u", "/n", "/p", "/c", "/t"]);
    assert_eq!(namespaces.joined[0].index, 7);
    assert_eq!(namespaces.new_flags, libc::CLONE_NEWNS as u64);
}

#[test]
fn mounts_are_held_with_plain_paths() {
    let config = accepted(&[
        ("/mounts/-", r#"{"destination": "a//b/./c/", "type": "tmpfs", "options": ["ro", "mode=700"]}"#),
        ("/mounts/-", r#"{"destination": "/data", "type": "bind", "source": "/srv/../srv/data"}"#),
        (
            "/mounts/-",
            r#"{"destination": "/d2", "type": "none", "source": "/x", "options": ["rbind", "rslave", "ro"]}"#,
        ),
        ("/mounts/-", r#"{"destination": "/proc/cpuinfo", "type": "bind", "source": "/x"}"#),
        ("/mounts/-", r#"{"destination": "/e", "type": "ext4", "source": "/dev/sda1", "options": ["ro"]}"#),
        (
            "/mounts/-",
            r#"{"destination": "/o", "type": "overlay", "source": "o", "options": ["lowerdir=/a:/b", "ro"]}"#,
        ),
        ("/linux/maskedPaths", "[\"/proc//kcore/\"]"),
    ]);
    let list = config.spec().mounts().as_ref().unwrap();
    let options: Vec<_> = config.mounts().map(|entry| entry.options).collect();
    assert_eq!(list[7].destination(), Path::new("/a/b/c"));
    assert_eq!(options[7].data, [FilesystemOption::with_value("mode", "700")]);
    assert!(options[7].sb_flags.is_empty() && options[7].attr_set == MOUNT_ATTR_RDONLY);
    assert_eq!(options[8].bind, Some(Extent::Single));
    assert_eq!(options[9].bind, Some(Extent::Recursive));
    assert_eq!(options[9].propagation, [libc::MS_SLAVE | libc::MS_REC]);
    assert_eq!(options[11].sb_flags, ["ro"]);
    assert!(options[12].sb_flags.is_empty());
    let masked = config.spec().linux().as_ref().unwrap().masked_paths();
    assert_eq!(masked.as_deref(), Some(&["/proc/kcore".to_owned()][..]));
}
