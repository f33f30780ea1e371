//! Errors in system call filters and labels.

use super::*;

const ALLOW: &str = r#"{"defaultAction": "SCMP_ACT_ALLOW"}"#;

/// Returns a case with a seccomp profile that allows everything, with one change.
fn profile(place: &'static str, json: &'static str, path: &'static str, words: &'static str) -> Case {
    let mut case = bad("/linux/seccomp", ALLOW, path, words);
    case.changes.push((place, json.into()));
    case
}

fn rule(json: &'static str, path: &'static str, words: &'static str) -> Case {
    profile("/linux/seccomp/syscalls", json, path, words)
}

#[test]
fn seccomp() {
    all_refused(&[
        bad("/linux/seccomp", "[]", "linux.seccomp", "expected an object"),
        bad("/linux/seccomp", "{}", "linux.seccomp.defaultAction", "is required and missing"),
        profile("/linux/seccomp/defaultAction", "7", "linux.seccomp.defaultAction", "an action: SCMP_ACT_KILL,"),
        profile("/linux/seccomp/defaultAction", "\"ALLOW\"", "linux.seccomp.defaultAction", "\"ALLOW\" is not valid"),
        profile("/linux/seccomp/defaultAction", "\"SCMP_ACT_NOTIFY\"", "linux.seccomp.defaultAction", "the default"),
        profile("/linux/seccomp/defaultErrnoRet", "1", "linux.seccomp.defaultErrnoRet", "not for the action"),
        profile("/linux/seccomp/defaultErrnoRet", "-1", "linux.seccomp.defaultErrnoRet", "from 0 to 4094"),
        profile("/linux/seccomp/defaultErrnoRet", "\"EPERM\"", "linux.seccomp.defaultErrnoRet", "from 0 to 4094"),
        profile("/linux/seccomp/architectures", "\"SCMP_ARCH_X86\"", "linux.seccomp.architectures", "array of strings"),
        profile("/linux/seccomp/architectures", "[\"amd64\"]", "linux.seccomp.architectures[0]", "an architecture"),
        profile("/linux/seccomp/flags", "[\"SECCOMP_FILTER_FLAG_X\"]", "linux.seccomp.flags[0]", "seccomp(2)"),
        profile("/linux/seccomp/flags", "[\"SECCOMP_FILTER_FLAG_NEW_LISTENER\"]", "linux.seccomp.flags[0]", "TSYNC"),
        profile("/linux/seccomp/listenerMetadata", "\"x\"", "linux.seccomp.listenerMetadata", "without listenerPath"),
        profile("/linux/seccomp/listenerPath", "\"agent.sock\"", "linux.seccomp.listenerPath", "is not absolute"),
        profile(
            "/linux/seccomp/listenerPath",
            concat!(
                "\"/",
                "long-name/long-name/long-name/long-name/long-name/long-name/long-name/long-name/",
                "long-name/long-name/long-name\""
            ),
            "linux.seccomp.listenerPath",
            "expected at most 107",
        ),
        rule("{}", "linux.seccomp.syscalls", "an array of objects"),
        rule("[{}]", "linux.seccomp.syscalls[0].names", "is required and missing"),
        rule(r#"[{"names": ["read"]}]"#, "linux.seccomp.syscalls[0].action", "is required and missing"),
        rule(r#"[{"names": [], "action": "SCMP_ACT_LOG"}]"#, "linux.seccomp.syscalls[0].names", "at least one"),
        rule(r#"[{"names": "read", "action": "SCMP_ACT_LOG"}]"#, "linux.seccomp.syscalls[0].names", "an array"),
        rule(r#"[{"names": [""], "action": "SCMP_ACT_LOG"}]"#, "linux.seccomp.syscalls[0].names[0]", "is empty"),
        rule(r#"[{"names": [3], "action": "SCMP_ACT_LOG"}]"#, "linux.seccomp.syscalls[0].names[0]", "a string"),
        rule(r#"[{"names": ["read"], "action": "SCMP_ACT_NO"}]"#, "linux.seccomp.syscalls[0].action", "an action"),
        rule(
            r#"[{"names": ["read"], "action": "SCMP_ACT_KILL", "errnoRet": 1}]"#,
            "linux.seccomp.syscalls[0].errnoRet",
            "not for the action SCMP_ACT_KILL",
        ),
        rule(
            r#"[{"names": ["read"], "action": "SCMP_ACT_ERRNO", "errnoRet": 4095}]"#,
            "linux.seccomp.syscalls[0].errnoRet",
            "from 0 to 4094",
        ),
        rule(
            r#"[{"names": ["read"], "action": "SCMP_ACT_NOTIFY"}]"#,
            "linux.seccomp.listenerPath",
            "a rule with SCMP_ACT_NOTIFY",
        ),
        rule(
            r#"[{"names": ["read", "sendmsg"], "action": "SCMP_ACT_NOTIFY"}]"#,
            "linux.seccomp.syscalls[0].names[1]",
            "is not possible for sendmsg",
        )
        .with("/linux/seccomp/listenerPath", "\"/run/agent.sock\""),
        condition("{}", "linux.seccomp.syscalls[1].args[1].index", "is required and missing"),
        condition(
            r#"{"index": 6, "value": 1, "op": "SCMP_CMP_EQ"}"#,
            "linux.seccomp.syscalls[1].args[1].index",
            "0 to 5",
        ),
        condition(
            r#"{"index": -1, "value": 1, "op": "SCMP_CMP_EQ"}"#,
            "linux.seccomp.syscalls[1].args[1].index",
            "-1 is",
        ),
        condition(r#"{"index": 0, "op": "SCMP_CMP_EQ"}"#, "linux.seccomp.syscalls[1].args[1].value", "is required"),
        condition(
            r#"{"index": 0, "value": -1, "op": "SCMP_CMP_EQ"}"#,
            "linux.seccomp.syscalls[1].args[1].value",
            "-1 is",
        ),
        condition(
            r#"{"index": 0, "value": 18446744073709551616, "op": "SCMP_CMP_EQ"}"#,
            "linux.seccomp.syscalls[1].args[1].value",
            "is not valid",
        ),
        condition(r#"{"index": 0, "value": 1}"#, "linux.seccomp.syscalls[1].args[1].op", "is required and missing"),
        condition(r#"{"index": 0, "value": 1, "op": "=="}"#, "linux.seccomp.syscalls[1].args[1].op", "an operator"),
        condition(
            r#"{"index": 0, "value": 1, "valueTwo": 2, "op": "SCMP_CMP_EQ"}"#,
            "linux.seccomp.syscalls[1].args[1].valueTwo",
            "only for SCMP_CMP_MASKED_EQ",
        ),
    ]);
}

/// Returns a case that changes the second condition of the second rule.
fn condition(json: &'static str, path: &'static str, words: &'static str) -> Case {
    let good = r#"{"index": 0, "value": 1, "valueTwo": 0, "op": "SCMP_CMP_NE"}"#;
    let rules = format!(
        r#"[{{"names": ["read"], "action": "SCMP_ACT_LOG"}},
            {{"names": ["write"], "action": "SCMP_ACT_LOG", "args": [{good}, {json}]}}]"#
    );
    bad("/linux/seccomp", ALLOW, path, words).with("/linux/seccomp/syscalls", rules)
}

#[test]
fn labels() {
    let long: &'static str = format!("\"{}\"", "x".repeat(4001)).leak();
    all_refused(&[
        bad("/process/apparmorProfile", "7", "process.apparmorProfile", "expected a string"),
        bad("/process/apparmorProfile", r#""a\nexec b""#, "process.apparmorProfile", "control characters"),
        bad("/process/apparmorProfile", r#"" a""#, "process.apparmorProfile", "leading or trailing blanks"),
        bad("/process/apparmorProfile", long, "process.apparmorProfile", "at most 4000 bytes"),
        bad("/process/selinuxLabel", "{}", "process.selinuxLabel", "expected a string"),
        bad("/process/selinuxLabel", r#""u:r:t\u0000""#, "process.selinuxLabel", "NUL"),
        bad("/process/selinuxLabel", r#""u:r:t ""#, "process.selinuxLabel", "user:role:type:level"),
        bad("/linux/mountLabel", "[]", "linux.mountLabel", "expected a string"),
        bad("/linux/mountLabel", r#""a\tb""#, "linux.mountLabel", "control characters"),
    ]);
}
