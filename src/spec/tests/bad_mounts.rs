//! Mounts: where they may lie and what they may say.

use super::*;

/// A case that appends a mount; it is the eighth.
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
        mount(r#"{"destination": "/a/../b", "type": "tmpfs"}"#, "mounts[7].destination", "contains \"..\""),
        mount(r#"{"destination": "../b", "type": "tmpfs"}"#, "mounts[7].destination", "contains \"..\""),
        mount(r#"{"destination": "/a/..", "type": "tmpfs"}"#, "mounts[7].destination", "contains \"..\""),
        mount(r#"{"destination": "/a\u0000", "type": "tmpfs"}"#, "mounts[7].destination", "NUL"),
        mount(r#"{"destination": 1, "type": "tmpfs"}"#, "mounts[7].destination", "expected a string"),
        mount(r#"{"destination": "/a"}"#, "mounts[7].type", "names no file system"),
        mount(r#"{"destination": "/a", "type": ""}"#, "mounts[7].type", "names no file system"),
        mount(r#"{"destination": "/a", "type": "none"}"#, "mounts[7].type", "names no file system"),
        mount(r#"{"destination": "/a", "type": "a/b"}"#, "mounts[7].type", "is not a file system type"),
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
        r#"{"destination": "/proc", "type": "bind", "source": "/proc"}"#,
        r#"{"destination": "/proc", "type": "proc", "source": "/x", "options": ["bind"]}"#,
        r#"{"destination": "/proc/", "source": "/x", "options": ["rbind"]}"#,
        r#"{"destination": "/proc/self/attr", "type": "tmpfs"}"#,
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
        bad("/mounts/-", options("[\"\"]"), one, "has no name"),
        bad("/mounts/-", options("[\"=1\"]"), one, "has no name"),
        bad("/mounts/-", options("[\"mode=1\\u0000\"]"), one, "NUL"),
        bad("/mounts/-", options("[\"ro\", \"mode=755,suid\"]"), "mounts[7].options[1]", "contains a comma"),
        bad("/mounts/-", options("[\"nosuid,nodev\"]"), one, "one option in each member"),
        bad("/mounts/-", options("[\"source=/dev/sda\"]"), one, "expected the source in mounts[].source"),
        unsupported("/mounts/-", options("[\"idmap\"]"), one),
        unsupported("/mounts/-", options("[\"ridmap\"]"), one),
        unsupported("/mounts/-", options("[\"idmap=uids=0-1-2\"]"), one),
        unsupported("/mounts/-", options("[\"tmpcopyup\"]"), one),
        unsupported("/mounts/-", options("[\"iversion\"]"), one),
        bad("/mounts/-", bind("[\"readonly\"]"), "mounts[7].options", "\"readonly\" is not an option of a bind mount"),
        bad("/mounts/-", bind("[\"mode=755\"]"), "mounts[7].options", "\"mode\" is not an option of a bind mount"),
    ]);
}
