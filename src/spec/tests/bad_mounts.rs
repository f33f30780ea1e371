//! Errors in `mounts`: destinations, sources and options.

use super::*;

/// Returns a case that appends a mount, which is the eighth.
fn mount(json: &'static str, path: &'static str, words: &'static str) -> Case {
    bad("/mounts/-", json, path, words)
}

#[test]
fn entries() {
    all_refused(&[
        bad("/mounts", "{}", "mounts", "expected an array of objects"),
        mount("[]", "mounts[7]", "expected an object"),
        mount(r#"{"type": "tmpfs"}"#, "mounts[7].destination", "is required and missing"),
        mount(r#"{"destination": "", "type": "tmpfs"}"#, "mounts[7].destination", "is empty"),
        mount(r#"{"destination": "/", "type": "tmpfs"}"#, "mounts[7].destination", "\"/\" is the root itself"),
        mount(r#"{"destination": "/./", "type": "tmpfs"}"#, "mounts[7].destination", "is the root itself"),
        mount(r#"{"destination": "../..", "type": "tmpfs"}"#, "mounts[7].destination", "is the root itself"),
        mount(r#"{"destination": "/a/..", "type": "tmpfs"}"#, "mounts[7].destination", "is the root itself"),
        mount(r#"{"destination": "/a\u0000", "type": "tmpfs"}"#, "mounts[7].destination", "NUL"),
        mount(r#"{"destination": 1, "type": "tmpfs"}"#, "mounts[7].destination", "expected a string"),
        mount(r#"{"destination": "/a"}"#, "mounts[7].type", "names no filesystem"),
        mount(r#"{"destination": "/a", "type": ""}"#, "mounts[7].type", "names no filesystem"),
        mount(r#"{"destination": "/a", "type": "none"}"#, "mounts[7].type", "names no filesystem"),
        mount(r#"{"destination": "/a", "type": "a/b"}"#, "mounts[7].type", "is not a filesystem type"),
        mount(r#"{"destination": "/a", "type": ["tmpfs"]}"#, "mounts[7].type", "expected a string"),
        mount(r#"{"destination": "/a", "type": "bind"}"#, "mounts[7].source", "is missing"),
        mount(r#"{"destination": "/a", "options": ["bind"]}"#, "mounts[7].source", "is missing"),
        mount(r#"{"destination": "/a", "options": ["rbind"], "source": ""}"#, "mounts[7].source", "is missing"),
        mount(
            r#"{"destination": "/a", "options": ["bind"], "source": "data"}"#,
            "mounts[7].source",
            "\"data\" is relative and there is no bundle",
        ),
        bad(
            "/mounts/-",
            format!(r#"{{"destination": "/{}", "type": "tmpfs"}}"#, "a/".repeat(2048)),
            "mounts[7].destination",
            "is 4097 bytes long; expected less than 4096",
        ),
        bad(
            "/mounts/-",
            format!(r#"{{"destination": "/{}", "type": "tmpfs"}}"#, "n".repeat(256)),
            "mounts[7].destination",
            "a name of 256 bytes",
        ),
    ]);
}

#[test]
fn nothing_lies_on_proc_but_proc() {
    let harmful = [
        r#"{"destination": "/proc", "type": "tmpfs"}"#,
        r#"{"destination": "/proc/", "type": "tmpfs"}"#,
        r#"{"destination": "//proc", "type": "sysfs"}"#,
        r#"{"destination": "proc", "type": "tmpfs"}"#,
        r#"{"destination": "/proc/self/attr", "type": "tmpfs"}"#,
        r#"{"destination": "/dev/../proc", "type": "tmpfs"}"#,
        r#"{"destination": "/x/../../proc/sys", "type": "tmpfs"}"#,
        r#"{"destination": "/proc/sys", "type": "proc"}"#,
        r#"{"destination": "/proc/./sys/kernel", "type": "tmpfs"}"#,
        r#"{"destination": "/proc/kcore", "type": "bind", "source": "/dev/null"}"#,
        r#"{"destination": "/proc/sysrq-trigger", "type": "bind", "source": "/x"}"#,
        r#"{"destination": "/proc/cpuinfo/x", "type": "bind", "source": "/x"}"#,
        r#"{"destination": "/proc/1/ns", "type": "tmpfs"}"#,
    ];
    all_refused(&harmful.map(|json| mount(json, "mounts[7].destination", "proc")));
}

#[test]
fn options() {
    let options = |list: &str| format!(r#"{{"destination": "/a", "type": "tmpfs", "options": {list}}}"#);
    let bind = |list: &str| format!(r#"{{"destination": "/a", "type": "bind", "source": "/x", "options": {list}}}"#);
    let one = "mounts[7].options[0]";
    all_refused(&[
        bad("/mounts/-", options("\"ro\""), "mounts[7].options", "expected an array of strings"),
        bad("/mounts/-", options("[1]"), one, "expected a string"),
        bad("/mounts/-", options("[\"=1\"]"), one, "has no name"),
        bad("/mounts/-", options("[\"mode=1\\u0000\"]"), one, "NUL"),
        bad("/mounts/-", options("[\"ro\", \"mode=755,suid\"]"), "mounts[7].options[1]", "contains a comma"),
        bad("/mounts/-", options("[\"nosuid,nodev\"]"), one, "one option in each member"),
        bad("/mounts/-", options("[\"source=/dev/sda\"]"), one, "expected the source in mounts[].source"),
        bad("/mounts/-", options("[\"idmap\"]"), "mounts[7].uidMappings", "the container has no user namespace"),
        bad("/mounts/-", options("[\"ridmap\"]"), "mounts[7].uidMappings", "is missing"),
        bad("/mounts/-", bind("[\"idmap\"]"), "mounts[7].uidMappings", "the container has no user namespace"),
        bad("/mounts/-", options("[\"idmap=uids=0-1-2\"]"), one, "is not an id map; expected mappings of both"),
        bad("/mounts/-", options("[\"ridmap=gids=0-1-2\"]"), one, "is not an id map; expected mappings of both"),
        bad("/mounts/-", options("[\"idmap=uids=@0-1-2;gids=0-1-2\"]"), "mounts[7].options", "1 is not mapped"),
        bad("/mounts/-", options("[\"idmap=uids=0-1-0;gids=0-1-2\"]"), "mounts[7].uidMappings[0].size", "maps nothing"),
        bad("/mounts/-", bind("[\"tmpcopyup\"]"), "mounts[7].options", "copies into a new tmpfs"),
        bad("/mounts/-", options("[\"tmpcopyup\", \"remount\"]"), "mounts[7].options", "copies into a new tmpfs"),
        bad(
            "/mounts/-",
            r#"{"destination": "/a", "type": "sysfs", "options": ["tmpcopyup"]}"#,
            "mounts[7].options",
            "expected it with the type \"tmpfs\"",
        ),
        bad(
            "/mounts/-",
            r#"{"destination": "/a", "type": "cgroup", "options": ["ro", "xattr"]}"#,
            "mounts[7].options",
            "would be an option of the host's cgroups",
        ),
        bad(
            "/mounts/-",
            r#"{"destination": "/a", "type": "cgroup2", "options": ["nsdelegate"]}"#,
            "mounts[7].options",
            "host's",
        )
        .with("/linux/namespaces", r#"[{"type": "mount"}, {"type": "uts"}]"#),
        bad("/mounts/-", options("[\"iversion\", \"remount\"]"), "mounts[7].options", "without remount"),
        bad(
            "/mounts/-",
            r#"{"destination": "/a", "type": "cgroup2", "options": ["iversion"]}"#,
            "mounts[7].options",
            "would be an option of the host's cgroups",
        ),
        bad("/mounts/-", bind("[\"remount\", \"subtype=1\"]"), "mounts[7].options", "is not an option of a bind mount"),
        bad("/mounts/-", bind("[\"readonly\"]"), "mounts[7].options", "\"readonly\" is not an option of a bind mount"),
        bad("/mounts/-", bind("[\"mode\"]"), "mounts[7].options", "\"mode\" is not an option of a bind mount"),
    ]);
}

#[test]
fn id_mappings_of_mounts() {
    let map = |container: u32, host: u32, size: u32| {
        format!(r#"[{{"containerID": {container}, "hostID": {host}, "size": {size}}}]"#)
    };
    let with = |more: &str, uids: &str, gids: &str| {
        format!(r#"{{"destination": "/a", {more}, "uidMappings": {uids}, "gidMappings": {gids}}}"#)
    };
    let bound = r#""type": "bind", "source": "/x", "options": ["idmap"]"#;
    let one = map(0, 1000, 10);
    let (uids, gids) = ("mounts[7].uidMappings", "mounts[7].gidMappings");
    let in_namespace = |case: Case| {
        case.with("/linux/namespaces/-", r#"{"type": "user"}"#)
            .with("/linux/uidMappings", map(0, 1000, 10))
            .with("/linux/gidMappings", map(0, 1000, 10))
    };
    all_refused(&[
        bad("/mounts/-", with(bound, "{}", &one), uids, "expected an array of objects"),
        bad("/mounts/-", with(bound, "[1]", &one), "mounts[7].uidMappings[0]", "expected an object"),
        bad(
            "/mounts/-",
            with(bound, r#"[{"hostID": 1, "size": 1}]"#, &one),
            "mounts[7].uidMappings[0].containerID",
            "is",
        ),
        bad("/mounts/-", with(bound, &one, "[]"), gids, "is missing beside uidMappings; expected both or neither"),
        bad("/mounts/-", with(bound, "[]", &one), uids, "is missing beside gidMappings"),
        bad("/mounts/-", with(bound, "null", &one), uids, "is missing beside gidMappings"),
        bad("/mounts/-", with(bound, &map(0, 0, 0), &one), "mounts[7].uidMappings[0].size", "0 maps nothing"),
        bad(
            "/mounts/-",
            with(bound, &one, &map(1, 0, u32::MAX)),
            "mounts[7].gidMappings[0].size",
            "beyond the last id",
        ),
        bad(
            "/mounts/-",
            with(
                bound,
                r#"[{"containerID": 0, "hostID": 5, "size": 2}, {"containerID": 1, "hostID": 9, "size": 1}]"#,
                &one,
            ),
            "mounts[7].uidMappings[1].containerID",
            "overlaps mapping [0]",
        ),
        bad(
            "/mounts/-",
            with(r#""type": "cgroup", "source": "c", "options": ["idmap"]"#, &one, &one),
            "mounts[7].options",
            "belong to the host",
        ),
        bad(
            "/mounts/-",
            with(r#""type": "tmpfs", "options": ["remount"]"#, &one, &one),
            "mounts[7].options",
            "cannot be set on an existing mount",
        ),
        in_namespace(bad(
            "/mounts/-",
            with(r#""type": "tmpfs", "options": ["idmap"]"#, &one, &one),
            "mounts[7].options",
            "bind mounts only",
        )),
        in_namespace(bad(
            "/mounts/-",
            r#"{"destination": "/a", "type": "tmpfs", "options": ["ridmap"]}"#,
            "mounts[7].options",
            "bind mounts only",
        )),
    ]);
}
