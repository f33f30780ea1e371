//! Compiles profiles and runs them.

use serde_json::{Value, json};

use super::compile::compile;
use super::interpret::{Call, run};
use super::*;

const X86_64: u32 = 0xc000_003e;
const I386: u32 = 0x4000_0003;

const ALLOW: u32 = 0x7fff_0000;
const KILL_THREAD: u32 = 0;
const fn errno(errno: i32) -> u32 {
    0x0005_0000 | errno as u32
}

fn filter(profile: Value) -> Filter {
    compile(&serde_json::from_value(profile).unwrap()).unwrap()
}

fn x86_64(number: u32, args: &[u64]) -> Call {
    let mut all = [0; 6];
    all[..args.len()].copy_from_slice(args);
    Call { architecture: X86_64, number, args: all }
}

fn decide(filter: &Filter, number: i64, args: &[u64]) -> u32 {
    run(&filter.program, &x86_64(number as u32, args))
}

#[test]
fn every_action_is_the_kernels() {
    for (action, value, expected) in [
        ("SCMP_ACT_KILL", None, KILL_THREAD),
        ("SCMP_ACT_KILL_THREAD", None, KILL_THREAD),
        ("SCMP_ACT_KILL_PROCESS", None, 0x8000_0000),
        ("SCMP_ACT_TRAP", None, 0x0003_0000),
        ("SCMP_ACT_ERRNO", None, errno(libc::EPERM)),
        ("SCMP_ACT_ERRNO", Some(0), errno(0)),
        ("SCMP_ACT_ERRNO", Some(4094), errno(4094)),
        ("SCMP_ACT_TRACE", None, 0x7ff0_0001),
        ("SCMP_ACT_TRACE", Some(77), 0x7ff0_004d),
        ("SCMP_ACT_LOG", None, 0x7ffc_0000),
        ("SCMP_ACT_NOTIFY", None, 0x7fc0_0000),
    ] {
        let filter = filter(json!({
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{ "names": ["chmod"], "action": action, "errnoRet": value }],
        }));
        assert_eq!(decide(&filter, libc::SYS_chmod, &[]), expected, "{action}");
        assert_eq!(decide(&filter, libc::SYS_chown, &[]), ALLOW, "{action}");
    }
    let strict = filter(json!({
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": libc::EACCES,
        "syscalls": [{ "names": ["chmod"], "action": "SCMP_ACT_ALLOW" }],
    }));
    assert_eq!(decide(&strict, libc::SYS_chown, &[]), errno(libc::EACCES));
    assert_eq!(decide(&strict, libc::SYS_chmod, &[]), ALLOW);
}

#[test]
fn every_operator_compares_64_bits() {
    const BIG: u64 = 1 << 40;
    for (operator, value, two, yes, no) in [
        ("NE", 5, 0, vec![4, 6, 5 + BIG], vec![5]),
        ("LT", 5, 0, vec![0, 4], vec![5, 6, BIG]),
        ("LE", 5, 0, vec![0, 5], vec![6, BIG]),
        ("EQ", 5, 0, vec![5], vec![4, 6, 5 + BIG]),
        ("GE", 5, 0, vec![5, 6, BIG, u64::MAX], vec![0, 4]),
        ("GT", 5, 0, vec![6, BIG, u64::MAX], vec![0, 5]),
        ("EQ", u64::MAX, 0, vec![u64::MAX], vec![u64::from(u32::MAX), 0]),
        ("MASKED_EQ", 0xf0, 0x10, vec![0x10, 0x1f, 0x1_0013], vec![0x20, 0x30, 0]),
        ("MASKED_EQ", BIG, 0, vec![0, 5], vec![BIG, BIG + 5]),
    ] {
        let filter = filter(json!({
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{ "names": ["lseek"], "action": "SCMP_ACT_ERRNO", "args": [
                { "index": 1, "value": value, "valueTwo": two, "op": format!("SCMP_CMP_{operator}") },
            ]}],
        }));
        for (values, expected) in [(yes, errno(libc::EPERM)), (no, ALLOW)] {
            for number in values {
                let found = decide(&filter, libc::SYS_lseek, &[99, number]);
                assert_eq!(found, expected, "{operator} {value:#x} {two:#x}: {number:#x}");
            }
        }
    }
}

#[test]
fn conditions_on_different_arguments_must_all_hold_and_on_the_same_one_of_them() {
    let rule = |args: Value| {
        filter(json!({
            "defaultAction": "SCMP_ACT_ERRNO",
            "syscalls": [{ "names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": args }],
        }))
    };
    let is = |index: u32, value: u64| json!({ "index": index, "value": value, "op": "SCMP_CMP_EQ" });
    let both = rule(json!([is(0, 1), is(1, 2)]));
    assert_eq!(decide(&both, libc::SYS_socket, &[1, 2]), ALLOW);
    assert_eq!(decide(&both, libc::SYS_socket, &[1, 3]), errno(libc::EPERM));
    assert_eq!(decide(&both, libc::SYS_socket, &[2, 2]), errno(libc::EPERM));
    let either = rule(json!([is(0, 1), is(0, 2)]));
    assert_eq!(decide(&either, libc::SYS_socket, &[1, 0]), ALLOW);
    assert_eq!(decide(&either, libc::SYS_socket, &[2, 0]), ALLOW);
    assert_eq!(decide(&either, libc::SYS_socket, &[3, 0]), errno(libc::EPERM));
}

#[test]
#[cfg(target_arch = "x86_64")]
fn architectures_that_are_not_listed_may_call_nothing() {
    let profile = |architectures: Value| {
        filter(json!({
            "defaultAction": "SCMP_ACT_ALLOW",
            "architectures": architectures,
            "syscalls": [{ "names": ["chmod"], "action": "SCMP_ACT_ERRNO" }],
        }))
    };
    const I386_CHMOD: u32 = 15;
    const X32_CHMOD: u32 = 0x4000_0000 | 90;
    let i386 = |number| Call { architecture: I386, number, args: [0; 6] };
    let native = profile(json!(null));
    assert_eq!(decide(&native, libc::SYS_chmod, &[]), errno(libc::EPERM));
    assert_eq!(run(&native.program, &i386(1)), KILL_THREAD);
    assert_eq!(run(&native.program, &x86_64(X32_CHMOD, &[])), KILL_THREAD);

    let all = profile(json!(["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]));
    assert_eq!(run(&all.program, &i386(I386_CHMOD)), errno(libc::EPERM));
    assert_eq!(run(&all.program, &i386(1)), ALLOW);
    assert_eq!(run(&all.program, &x86_64(X32_CHMOD, &[])), errno(libc::EPERM));
    assert_eq!(run(&all.program, &x86_64(X32_CHMOD + 1, &[])), ALLOW);
    assert_eq!(decide(&all, libc::SYS_chmod, &[]), errno(libc::EPERM));
}

#[test]
fn architectures_of_other_machines_change_nothing() {
    let others = ["AARCH64", "ARM", "MIPS", "MIPS64", "MIPS64N32", "MIPSEL", "MIPSEL64", "MIPSEL64N32", "PPC", "PPC64"];
    let more = ["PPC64LE", "S390", "S390X", "PARISC", "PARISC64", "RISCV64", "LOONGARCH64", "M68K", "SH", "SHEB"];
    let names: Vec<String> = others.iter().chain(&more).map(|name| format!("SCMP_ARCH_{name}")).collect();
    let profile = |architectures: Value| {
        filter(json!({
            "defaultAction": "SCMP_ACT_ERRNO",
            "architectures": architectures,
            "syscalls": [{ "names": ["chmod"], "action": "SCMP_ACT_ALLOW" }],
        }))
    };
    assert_eq!(profile(json!(names)).program, profile(json!(["SCMP_ARCH_NATIVE"])).program);
}

#[test]
fn calls_newer_than_the_profile_do_not_exist() {
    let strict = |names: &[&str], default: &str| {
        filter(json!({
            "defaultAction": default,
            "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
            "syscalls": [{ "names": names, "action": "SCMP_ACT_ALLOW" }],
        }))
    };
    let old = strict(&["read", "execve", "statx"], "SCMP_ACT_ERRNO");
    assert_eq!(decide(&old, libc::SYS_clone3, &[]), errno(libc::ENOSYS));
    assert_eq!(decide(&old, 5000, &[]), errno(libc::ENOSYS));
    assert_eq!(decide(&old, libc::SYS_mount, &[]), errno(libc::EPERM), "older than any profile");
    assert_eq!(decide(&old, libc::SYS_statx, &[]), ALLOW);
    let at = |architecture, number| run(&old.program, &Call { architecture, number, args: [0; 6] });
    assert_eq!(at(I386, 435), errno(libc::ENOSYS));
    assert_eq!(at(I386, 21), errno(libc::EPERM));
    assert_eq!(at(I386, 3), ALLOW);
    assert_eq!(at(X86_64, 0x4000_0000 | 600), errno(libc::ENOSYS));
    assert_eq!(at(X86_64, 0x4000_0000), ALLOW);
    assert_eq!(at(X86_64, 0x4000_0000 | 165), errno(libc::EPERM));
    assert_eq!(at(0xdead_beef, 9999), KILL_THREAD, "an architecture that is not in the filter");

    let newer = strict(&["read", "clone3"], "SCMP_ACT_ERRNO");
    assert_eq!(decide(&newer, libc::SYS_clone3, &[]), ALLOW);
    assert_eq!(decide(&newer, libc::SYS_open_tree, &[]), errno(libc::EPERM), "the profile's author knew it");
    assert_eq!(decide(&newer, libc::SYS_close_range, &[]), errno(libc::ENOSYS));

    let deadly = strict(&["read", "clone3"], "SCMP_ACT_KILL_PROCESS");
    assert_eq!(decide(&deadly, libc::SYS_close_range, &[]), errno(libc::ENOSYS));
    assert_eq!(decide(&deadly, libc::SYS_open_tree, &[]), 0x8000_0000);
    for (default, answer) in [("SCMP_ACT_ALLOW", ALLOW), ("SCMP_ACT_LOG", 0x7ffc_0000), ("SCMP_ACT_TRACE", 0x7ff0_0001)]
    {
        assert_eq!(decide(&strict(&["read"], default), 5000, &[]), answer, "{default}");
    }
}

#[test]
fn a_call_as_new_as_the_newest_in_the_profile_gets_the_default_action() {
    let filter = filter(json!({
        "defaultAction": "SCMP_ACT_ERRNO",
        "syscalls": [
            { "names": ["read"], "action": "SCMP_ACT_ALLOW" },
            { "names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": libc::ENOSYS },
        ],
    }));
    assert_eq!(decide(&filter, libc::SYS_clone3, &[]), errno(libc::ENOSYS));
    assert_eq!(decide(&filter, libc::SYS_open_tree, &[]), errno(libc::EPERM));
}

#[test]
fn unknown_names_are_omitted_and_logged() {
    let filter = filter(json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{ "names": ["chmod", "no_such_call", "socketcall"], "action": "SCMP_ACT_ERRNO" }],
    }));
    assert_eq!(filter.unknown, ["no_such_call"], "socketcall is another architecture's");
    assert_eq!(decide(&filter, libc::SYS_chmod, &[]), errno(libc::EPERM));
}

#[test]
fn many_names_are_searched_and_found() {
    let names: Vec<String> = (0..300)
        .filter_map(|number| libseccomp::ScmpSyscall::from(number).get_name().ok())
        .filter(|name| name != "chmod")
        .collect();
    assert!(names.len() > 200);
    let filter = filter(json!({
        "defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{ "names": names, "action": "SCMP_ACT_ALLOW" }],
    }));
    for number in 0..300 {
        let expected = if number == libc::SYS_chmod || libseccomp::ScmpSyscall::from(number as i32).get_name().is_err()
        {
            errno(libc::EPERM)
        } else {
            ALLOW
        };
        assert_eq!(decide(&filter, number, &[]), expected, "{number}");
    }
}

#[test]
fn the_first_of_two_rules_for_the_same_call_applies() {
    let profile = json!({
        "defaultAction": "SCMP_ACT_ERRNO",
        "syscalls": [
            { "names": ["read"], "action": "SCMP_ACT_ALLOW" },
            { "names": ["write", "read"], "action": "SCMP_ACT_LOG" },
        ],
    });
    let filter = filter(profile);
    assert_eq!(decide(&filter, libc::SYS_read, &[]), ALLOW, "as in every runtime with libseccomp");
    assert_eq!(decide(&filter, libc::SYS_write, &[]), 0x7ffc_0000);
}

#[test]
fn the_same_rule_twice_is_one_rule() {
    let rule = json!({ "names": ["chmod", "chmod"], "action": "SCMP_ACT_ERRNO" });
    let filter = filter(json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule, rule] }));
    assert_eq!(decide(&filter, libc::SYS_chmod, &[]), errno(libc::EPERM));
}

#[test]
fn a_filter_beyond_the_kernels_limit_is_refused() {
    let args: Vec<Value> =
        (0..5000).map(|value| json!({ "index": 0, "value": value * 2, "op": "SCMP_CMP_EQ" })).collect();
    let profile = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{ "names": ["chmod"], "action": "SCMP_ACT_ERRNO", "args": args }],
    });
    let error = compile(&serde_json::from_value(profile).unwrap()).expect_err("a giant");
    assert!(error.message.contains("expected at most 4096"), "{error}");
}

#[test]
fn flags_are_the_kernels() {
    let flags = |action: &str, names: &[&str]| {
        let names: Vec<String> = names.iter().map(|name| format!("SECCOMP_FILTER_FLAG_{name}")).collect();
        let profile = json!({
            "defaultAction": "SCMP_ACT_ALLOW",
            "flags": names,
            "syscalls": [{ "names": ["chmod"], "action": action }],
        });
        filter(profile).flags
    };
    assert_eq!(flags("SCMP_ACT_LOG", &[]), 0);
    assert_eq!(flags("SCMP_ACT_LOG", &["TSYNC", "LOG", "SPEC_ALLOW"]), 1 | 2 | 4);
    assert_eq!(flags("SCMP_ACT_LOG", &["WAIT_KILLABLE_RECV"]), 0, "there is no wait");
    assert_eq!(flags("SCMP_ACT_NOTIFY", &["WAIT_KILLABLE_RECV"]), 8 | 32);
    assert_eq!(flags("SCMP_ACT_NOTIFY", &["TSYNC"]), 8 | 1 | 16);
}
