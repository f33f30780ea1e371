//! Process specs and resources that come as documents of their own.

use super::*;
use crate::spec::{parse_process, parse_resources};

#[test]
fn a_process_is_checked_with_paths_of_its_own_document() {
    let good = r#"{"user": {"uid": 1, "gid": 2}, "args": ["true"], "cwd": "/"}"#;
    let process = parse_process(good).unwrap();
    assert_eq!((process.user().uid(), process.user().gid()), (1, 2));

    let cases = [
        ("/args", "[]", Code::ConfigInvalid, "args", "is empty"),
        ("/args", "[\"\"]", Code::ConfigInvalid, "args[0]", "is empty"),
        ("/cwd", "\"x\"", Code::ConfigInvalid, "cwd", "is not absolute"),
        ("/env", "[\"x\"]", Code::ConfigInvalid, "env[0]", "NAME=value"),
        ("/user/uid", "\"1\"", Code::ConfigInvalid, "user.uid", "\"1\" is not valid here"),
        (
            "/capabilities",
            r#"{"ambient": ["CAP_KILL"]}"#,
            Code::ConfigInvalid,
            "capabilities.ambient",
            "CAP_KILL is not",
        ),
        (
            "/rlimits",
            r#"[{"type": "RLIMIT_CPU", "soft": 2, "hard": 1}]"#,
            Code::ConfigInvalid,
            "rlimits[0].soft",
            "2 is above",
        ),
        ("/selinuxLabel", "\"x\"", Code::Unsupported, "selinuxLabel", "leave it out"),
    ];
    for (place, value, code, path, words) in cases {
        let mut document: Value = parsed(good);
        change(&mut document, place, value);
        let error = parse_process(&document.to_string()).unwrap_err();
        explains(&error, code, path, words).unwrap();
    }
    assert!(parse_process("{").unwrap_err().message.starts_with("the process is not valid JSON"));
}

#[test]
fn resources_are_checked_with_paths_of_their_own_document() {
    let resources = parse_resources(r#"{"pids": {"limit": 5}, "memory": {"limit": 1000000}}"#).unwrap();
    assert_eq!(resources.pids().map(|pids| pids.limit()), Some(5));
    let error = parse_resources(r#"{"cpu": {"quota": 1}}"#).unwrap_err();
    explains(&error, Code::ConfigInvalid, "cpu.quota", "1 is not a quota").unwrap();
    let error = parse_resources(r#"{"unified": {"a": "b"}}"#).unwrap_err();
    explains(&error, Code::Unsupported, "unified", "leave it out").unwrap();
}
