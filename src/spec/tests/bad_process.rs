//! Errors in `process`. Identities come first, because a guessed identity is a security hole.

use super::*;

#[test]
fn identities_are_exact() {
    let mut cases = Vec::new();
    for (place, path) in [("/process/user/uid", "process.user.uid"), ("/process/user/gid", "process.user.gid")] {
        for value in [
            "\"0\"",
            "\"-1\"",
            "\"root\"",
            "-1",
            "1.5",
            "1e3",
            "-0",
            "4294967295",
            "4294967296",
            "18446744073709551616",
        ] {
            cases.push(bad(place, value, path, "expected a whole number from 0 to 4294967294"));
        }
        cases.push(bad(place, "true", path, "true is not valid here"));
        cases.push(bad(place, "[0]", path, "[0] is not valid here"));
    }
    cases.extend([
        bad("/process/user", "[0, 0]", "process.user", "[0,0] is not valid here; expected an object"),
        bad("/process/user", "\"root\"", "process.user", "expected an object"),
        bad("/process/user/additionalGids", "5", "process.user.additionalGids", "expected an array of whole numbers"),
        bad("/process/user/additionalGids", "[1, \"2\"]", "process.user.additionalGids[1]", "\"2\" is not valid"),
        bad("/process/user/additionalGids", "[-1]", "process.user.additionalGids[0]", "-1 is not valid"),
        bad("/process/user/additionalGids", "[4294967295]", "process.user.additionalGids[0]", "4294967295 is not"),
        bad("/process/user/additionalGids", "[null]", "process.user.additionalGids[0]", "null is not valid"),
        bad(
            "/process/user/additionalGids",
            format!("[{}0]", "0,".repeat(65536)),
            "process.user.additionalGids",
            "has 65537 groups; expected at most 65536",
        ),
        bad("/process/user/umask", "4294967296", "process.user.umask", "4294967296 is not valid"),
        bad("/process/user/umask", "-1", "process.user.umask", "-1 is not valid"),
        bad("/process/user/umask", "\"022\"", "process.user.umask", "\"022\" is not valid"),
    ]);
    all_refused(&cases);
}

#[test]
fn the_command_and_its_environment() {
    all_refused(&[
        bad("/process/args", "", "process.args", "is required and missing; expected an array of strings"),
        bad("/process/args", "[]", "process.args", "is empty; expected at least the program"),
        bad("/process/args", "[\"\"]", "process.args[0]", "is empty"),
        bad("/process/args", "\"sh\"", "process.args", "\"sh\" is not valid here; expected an array of strings"),
        bad("/process/args", "[\"sh\", 1]", "process.args[1]", "1 is not valid here; expected a string"),
        bad("/process/args", "[\"sh\", null]", "process.args[1]", "null is not valid"),
        bad("/process/args", "[\"sh\", \"a\\u0000b\"]", "process.args[1]", "contains a NUL character"),
        bad("/process/args", format!("[\"{}\"]", "a/".repeat(2048)), "process.args[0]", "is 4096 bytes long"),
        bad(
            "/process/args",
            format!("[\"sh\", \"{}\"]", "a".repeat(131072)),
            "process.args[1]",
            "expected less than 131072",
        ),
        bad("/process/cwd", "", "process.cwd", "is required and missing"),
        bad("/process/cwd", "\"\"", "process.cwd", "is not absolute"),
        bad("/process/cwd", "\"work\"", "process.cwd", "\"work\" is not absolute; expected a path that begins with /"),
        bad("/process/cwd", "\"./work\"", "process.cwd", "is not absolute"),
        bad("/process/cwd", "\"/a\\u0000\"", "process.cwd", "NUL"),
        bad("/process/cwd", format!("\"/{}\"", "n".repeat(256)), "process.cwd", "a name of 256 bytes"),
        bad("/process/cwd", "{}", "process.cwd", "expected a string"),
        bad("/process/env", "{\"A\": \"b\"}", "process.env", "expected an array of strings"),
        bad("/process/env", "[\"PATH=/bin\", \"HOME\"]", "process.env[1]", "\"HOME\" is not an environment variable"),
        bad("/process/env", "[\"=x\"]", "process.env[0]", "expected NAME=value"),
        bad("/process/env", "[\"\"]", "process.env[0]", "expected NAME=value"),
        bad("/process/env", "[\"A=\\u0000\"]", "process.env[0]", "NUL"),
        bad("/process/env", format!("[\"A={}\"]", "a".repeat(131070)), "process.env[0]", "expected less than 131072"),
        bad("/process/terminal", "1", "process.terminal", "expected true or false"),
        bad("/process/consoleSize", "[24, 80]", "process.consoleSize", "expected an object"),
        bad("/process/consoleSize", r#"{"height": 65536, "width": 1}"#, "process.consoleSize.height", "0 to 65535"),
        bad("/process/consoleSize", r#"{"height": 1, "width": -1}"#, "process.consoleSize.width", "-1 is not valid"),
        bad("/process/noNewPrivileges", "\"yes\"", "process.noNewPrivileges", "expected true or false"),
        bad("/process/oomScoreAdj", "-1001", "process.oomScoreAdj", "expected a whole number from -1000 to 1000"),
        bad("/process/oomScoreAdj", "1001", "process.oomScoreAdj", "1001 is not valid"),
        bad("/process/oomScoreAdj", "0.5", "process.oomScoreAdj", "0.5 is not valid"),
    ]);
}

#[test]
fn a_message_does_not_repeat_a_megabyte() {
    all_refused(&[
        bad("/process/env", format!("[\"{}\"]", "a".repeat(100_000)), "process.env[0]", "expected NAME=value"),
        bad(
            "/process/terminal",
            format!("\"{}\"", "a".repeat(1_000_000)),
            "process.terminal",
            "expected true or false",
        ),
    ]);
}

#[test]
fn capabilities() {
    let set = |set: &str| format!("/process/capabilities/{set}").leak() as &'static str;
    all_refused(&[
        bad("/process/capabilities", "[]", "process.capabilities", "expected an object"),
        bad(set("bounding"), "\"CAP_KILL\"", "process.capabilities.bounding", "expected an array of strings"),
        bad(set("permitted"), "[\"CAP_KILL\", 5]", "process.capabilities.permitted[1]", "5 is not valid"),
    ]);
}

#[test]
fn rlimits() {
    let limits = "/process/rlimits";
    all_refused(&[
        bad(limits, "{}", "process.rlimits", "expected an array of objects"),
        bad(limits, r#"["RLIMIT_CPU"]"#, "process.rlimits[0]", "expected an object"),
        bad(limits, r#"[{"soft": 1, "hard": 1}]"#, "process.rlimits[0].type", "is required and missing"),
        bad(limits, r#"[{"type": "RLIMIT_X", "soft": 1, "hard": 1}]"#, "process.rlimits[0].type", "RLIMIT_NOFILE"),
        bad(limits, r#"[{"type": "NOFILE", "soft": 1, "hard": 1}]"#, "process.rlimits[0].type", "\"NOFILE\" is not"),
        bad(limits, r#"[{"type": "RLIMIT_CPU", "hard": 1}]"#, "process.rlimits[0].soft", "is required and missing"),
        bad(limits, r#"[{"type": "RLIMIT_CPU", "soft": 1}]"#, "process.rlimits[0].hard", "is required and missing"),
        bad(
            limits,
            r#"[{"type": "RLIMIT_CPU", "soft": -1, "hard": -1}]"#,
            "process.rlimits[0].soft",
            "-1 is not valid",
        ),
        bad(
            limits,
            r#"[{"type": "RLIMIT_CPU", "soft": 2, "hard": 1}]"#,
            "process.rlimits[0].soft",
            "2 is above the hard limit 1",
        ),
        bad(
            limits,
            r#"[{"type": "RLIMIT_CPU", "soft": 0, "hard": 18446744073709551616}]"#,
            "process.rlimits[0].hard",
            "expected a whole number from 0 to 18446744073709551615",
        ),
        bad(
            limits,
            r#"[{"type": "RLIMIT_CPU", "soft": 1, "hard": 1}, {"type": "RLIMIT_CPU", "soft": 1, "hard": 1}]"#,
            "process.rlimits[1].type",
            "RLIMIT_CPU is set by process.rlimits[0] already",
        ),
    ]);
}

fn scheduler(json: &'static str, name: &'static str, words: &'static str) -> Case {
    let path: &'static str = format!("process.scheduler.{name}").leak();
    bad("/process/scheduler", json, path.trim_end_matches('.'), words)
}

#[test]
fn schedulers() {
    all_refused(&[
        scheduler("[]", "", "expected an object"),
        scheduler("{}", "policy", "is required and missing"),
        scheduler(r#"{"policy": "FIFO"}"#, "policy", "expected a policy of sched(7): SCHED_OTHER"),
        scheduler(r#"{"policy": 1}"#, "policy", "1 is not valid here"),
        scheduler(r#"{"policy": "SCHED_OTHER", "nice": 20}"#, "nice", "from -20 to 19"),
        scheduler(r#"{"policy": "SCHED_OTHER", "nice": -21}"#, "nice", "from -20 to 19"),
        scheduler(r#"{"policy": "SCHED_FIFO", "priority": 1, "nice": 20}"#, "nice", "from -20 to 19"),
        scheduler(r#"{"policy": "SCHED_FIFO"}"#, "priority", "0 is not a priority of SCHED_FIFO"),
        scheduler(r#"{"policy": "SCHED_RR", "priority": 0}"#, "priority", "expected from 1 to 99"),
        scheduler(r#"{"policy": "SCHED_RR", "priority": 100}"#, "priority", "from 0 to 99"),
        scheduler(r#"{"policy": "SCHED_RR", "priority": -1}"#, "priority", "from 0 to 99"),
        scheduler(r#"{"policy": "SCHED_BATCH", "priority": 1}"#, "priority", "has no meaning for SCHED_BATCH"),
        scheduler(r#"{"policy": "SCHED_OTHER", "flags": ["RESET_ON_FORK"]}"#, "flags[0]", "SCHED_FLAG_RESET_ON_FORK"),
        scheduler(r#"{"policy": "SCHED_OTHER", "flags": ["SCHED_RESET_ON_FORK"]}"#, "flags[0]", "is not valid here"),
        scheduler(r#"{"policy": "SCHED_OTHER", "flags": "x"}"#, "flags", "expected an array of strings"),
        scheduler(r#"{"policy": "SCHED_OTHER", "runtime": 5000}"#, "runtime", "expected it with SCHED_DEADLINE"),
        scheduler(r#"{"policy": "SCHED_IDLE", "period": 5000}"#, "period", "5000 has no meaning for SCHED_IDLE"),
        scheduler(r#"{"policy": "SCHED_DEADLINE"}"#, "runtime", "at least 1024 nanoseconds"),
        scheduler(r#"{"policy": "SCHED_DEADLINE", "runtime": 1023, "deadline": 9999}"#, "runtime", "is too short"),
        scheduler(r#"{"policy": "SCHED_DEADLINE", "runtime": 5000}"#, "deadline", "0 is below the runtime 5000"),
        scheduler(
            r#"{"policy": "SCHED_DEADLINE", "runtime": 5000, "deadline": 6000, "period": 5999}"#,
            "period",
            "5999 is below the deadline 6000",
        ),
        scheduler(
            r#"{"policy": "SCHED_DEADLINE", "runtime": 9223372036854775808, "deadline": 1}"#,
            "runtime",
            "to 9223372036854775807",
        ),
        scheduler(r#"{"policy": "SCHED_DEADLINE", "runtime": -1, "deadline": 1}"#, "runtime", "-1 is not valid"),
        unsupported("/process/scheduler", r#"{"policy": "SCHED_ISO"}"#, "process.scheduler.policy")
            .saying("expected another policy"),
    ]);
}

#[test]
fn io_priorities_and_processors() {
    let class =
        |json: &'static str, path: &'static str, words: &'static str| bad("/process/ioPriority", json, path, words);
    let cpus = |json: &'static str, path: &'static str, words: &'static str| {
        bad("/process/execCPUAffinity", json, path, words)
    };
    all_refused(&[
        class("{}", "process.ioPriority.class", "is required and missing"),
        class(r#"{"class": "BE", "priority": 1}"#, "process.ioPriority.class", "IOPRIO_CLASS_BE"),
        class(r#"{"class": "IOPRIO_CLASS_NONE", "priority": 1}"#, "process.ioPriority.class", "is not valid here"),
        class(r#"{"class": "IOPRIO_CLASS_BE", "priority": 8}"#, "process.ioPriority.priority", "from 0 to 7"),
        class(r#"{"class": "IOPRIO_CLASS_BE", "priority": -1}"#, "process.ioPriority.priority", "from 0 to 7"),
        class(r#"{"class": "IOPRIO_CLASS_BE", "priority": "1"}"#, "process.ioPriority.priority", "\"1\" is not valid"),
        cpus("\"0\"", "process.execCPUAffinity", "expected an object"),
        cpus(r#"{"initial": 1}"#, "process.execCPUAffinity.initial", "expected a string"),
        cpus(r#"{"initial": "a"}"#, "process.execCPUAffinity.initial", "is not a list of numbers"),
        cpus(r#"{"initial": "0,a"}"#, "process.execCPUAffinity.initial", "is not a list of numbers"),
        cpus(r#"{"final": "3-1"}"#, "process.execCPUAffinity.final", "is not a list of numbers"),
        cpus(r#"{"final": "0 1"}"#, "process.execCPUAffinity.final", "is not a list of numbers"),
        cpus(r#"{"final": "8192"}"#, "process.execCPUAffinity.final", "8192 is out of range"),
        cpus(r#"{"final": "0-4294967295"}"#, "process.execCPUAffinity.final", "4294967295 is out of range"),
        cpus(r#"{"final": "99999999999"}"#, "process.execCPUAffinity.final", "is not a list of numbers"),
    ]);
}
