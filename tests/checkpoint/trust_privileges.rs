//! Images that somebody has edited to give processes more than the configuration grants.

use std::path::{Path, PathBuf};

use berth::criu::{CgroupMode, RestoreOptions};
use serde_json::json;

use crate::common::*;
use crate::edit_images::{self, Message, Value};
use crate::hostile::{Good, image};
use crate::support::*;

/// Fields of CRIU's core_entry, and of the messages in it.
const TASK: u32 = 3;
const THREAD: u32 = 5;
const LIMITS: u32 = 8;
const CREDENTIALS: u32 = 10;
const FILTER_MODE: u32 = 11;
const FILTER: u32 = 12;
const INHERITABLE: u32 = 9;
const PERMITTED: u32 = 10;
const EFFECTIVE: u32 = 11;
const BOUNDING: u32 = 12;
const GROUPS: u32 = 14;
const NO_NEW_PRIVILEGES: u32 = 18;
const AMBIENT: u32 = 19;

const SYS_ADMIN: u64 = 1 << 21;
const RLIMIT_NOFILE: usize = 7;

/// Adds a capability to a set, whose two halves are repeated fields.
fn grant(credentials: &mut Message, set: u32) {
    let first = credentials.0.iter_mut().find(|(number, _)| *number == set).unwrap();
    let (_, Value::Number(value)) = first else { panic!("{first:?}") };
    *value |= SYS_ADMIN;
}

/// Sets ids to one that the configuration does not have.
fn set_all<const N: usize>(credentials: &mut Message, ids: [u32; N]) {
    for id in ids {
        credentials.set_number(id, 1000);
    }
}

fn credentials(core: &mut Message, change: impl FnOnce(&mut Message)) {
    core.edit(THREAD, |thread| {
        thread.edit(CREDENTIALS, change);
    });
}

fn cores(images: &Path) -> Vec<PathBuf> {
    let is_core = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().starts_with("core-");
    leftovers::files(images).into_iter().filter(is_core).collect()
}

fn container() -> Good {
    let test = test_runtime();
    let data = test.data();
    let mut config = counter(&data);
    // A child that is always there.
    let script = format!("sleep 1000 & {}", config["process"]["args"][2].as_str().unwrap());
    config["process"]["args"][2] = json!(script);
    config["linux"]["seccomp"] = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{ "names": ["acct"], "action": "SCMP_ACT_ERRNO" }],
    });
    let images = test.images("images");
    test.dumped(&config, &data, &into(&images));
    Good { test, data, config, images }
}

#[test]
fn no_process_has_more_than_the_configuration_grants() {
    let good = container();
    type Edit<'a> = &'a dyn Fn(&mut Message);
    let cases: [(&str, &str, Edit); 9] = [
        ("permitted", "permitted set", &|core| credentials(core, |set| grant(set, PERMITTED))),
        ("effective", "set that", &|core| {
            credentials(core, |set| [PERMITTED, EFFECTIVE].into_iter().for_each(|one| grant(set, one)))
        }),
        ("all", "bounding set", &|core| {
            credentials(core, |set| {
                [INHERITABLE, PERMITTED, EFFECTIVE, BOUNDING, AMBIENT].into_iter().for_each(|one| grant(set, one))
            })
        }),
        ("uid", "uids", &|core| credentials(core, |set| set_all(set, [1, 3, 5, 7]))),
        ("gid", "gids", &|core| credentials(core, |set| set_all(set, [2, 4, 6, 8]))),
        ("groups", "groups", &|core| credentials(core, |set| set_all(set, [GROUPS]))),
        ("no-new-privs", "no_new_privs", &|core| {
            credentials(core, |set| {
                set.set_number(NO_NEW_PRIVILEGES, 0);
            })
        }),
        ("filter", "system call filter", &|core| {
            core.edit(THREAD, |thread| {
                assert_eq!(thread.number(FILTER_MODE), 2, "{thread:?}");
                thread.without(FILTER_MODE).without(FILTER);
            });
        }),
        ("limit", "RLIMIT_NOFILE", &|core| {
            core.edit(TASK, |task| {
                task.edit(LIMITS, |limits| {
                    let (_, Value::Text(limit)) = &mut limits.0[RLIMIT_NOFILE] else { panic!("{limits:?}") };
                    *limit = Message::parse(limit).set_number(2, 1025).bytes();
                });
            });
        }),
    ];
    // Of init, and of a child alone.
    let whose = cores(&good.images);
    assert!(whose.len() > 1, "{whose:?}");
    for (what, says, change) in cases {
        for core in [whose.first(), whose.last()].into_iter().flatten() {
            let name = core.file_name().unwrap();
            let images = good.copy(&format!("{what}-{}", name.display()));
            edit_images::edit(&images.join(name), |messages| change(&mut messages[0]));
            let error = good.refused(&images, what);
            assert!(error.message.contains(says), "{what} of {name:?}: {error}");
        }
    }
    let restored = good.test.restored(&good.config, &good.images);
    counts_on(&good.data);
    end(restored);
}

/// A thread that is not the main one.
#[test]
fn no_thread_has_more_than_the_configuration_grants() {
    let good = Good::with_threads();
    let images = good.copy("thread");
    let is_thread = |core: &&PathBuf| edit_images::read(core)[0].0.iter().all(|(number, _)| *number != TASK);
    let cores = cores(&images);
    let core = cores.iter().find(is_thread).unwrap_or_else(|| panic!("no thread in {cores:?}"));
    edit_images::edit(core, |messages| credentials(&mut messages[0], |set| grant(set, PERMITTED)));
    let error = good.refused(&images, "a thread");
    assert!(error.message.contains("thread") && error.message.contains("permitted set"), "{error}");
}

/// A process that exec has started with more privileges, and that descends from init since its parent has ended: no
/// restore would accept it.
#[test]
fn a_container_with_a_process_of_more_privileges_is_not_taken_down() {
    let test = test_runtime();
    let data = test.data();
    let config = counter(&data);
    let container = test.run(&config, &quiet()).unwrap();
    counts_on(&data);
    let mut process = shell_process("sleep 1000 </dev/null >/dev/null 2>&1 &");
    process["user"] = json!({ "uid": 0, "gid": 0, "additionalGids": [42] });
    process["noNewPrivileges"] = json!(true);
    exec_output(&container, &process);
    let error = container.checkpoint(&into(&test.images("images"))).unwrap_err();
    assert!(error.message.contains("would not come back as it is") && error.message.contains("groups"), "{error}");
    counts_on(&data);
    end(container);
}

/// A filter that allows everything, in place of the configuration's.
#[test]
fn the_system_call_filter_is_the_configurations() {
    let test = test_runtime();
    let data = test.data();
    let mut config = counter(&data);
    let script = config["process"]["args"][2]
        .as_str()
        .unwrap()
        .replace("n=$((n+1));", "n=$((n+1)); mkdir /data/made 2>/dev/null;");
    config["process"]["args"][2] = json!(script);
    config["linux"]["seccomp"] = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{ "names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO" }],
    });
    let images = test.images("images");
    test.dumped(&config, &data, &into(&images));
    let good = Good { test, data, config, images };
    let images = good.copy("allows");
    let (mut filters, mut loops) = (0, false);
    edit_images::edit(&image(&images, "seccomp"), |messages| {
        for (_, filter) in &mut messages[0].0 {
            let Value::Text(bytes) = filter else { panic!("{filter:?}") };
            // BPF_RET | BPF_K with SECCOMP_RET_ALLOW.
            let program = Value::Text([&6u16.to_ne_bytes()[..], &[0, 0], &0x7fff_0000u32.to_ne_bytes()].concat());
            *bytes = Message::parse(bytes).set(1, program).bytes();
            filters += 1;
        }
    });
    assert!(filters > 0);
    let restored = good.test.restored(&good.config, &images);
    counts_on(&good.data);
    assert!(!good.data.join("made").exists());
    end(restored);
    let images = good.copy("loops");
    edit_images::edit(&image(&images, "seccomp"), |messages| {
        let Some((_, Value::Text(bytes))) = messages[0].0.first_mut() else { return };
        *bytes = Message::parse(bytes).set_number(2, 0).bytes();
        loops = true;
    });
    assert!(loops);
    let error = good.refused(&images, "a loop");
    assert!(error.message.contains("seccomp.img, filter 1"), "{error}");
}

/// CRIU writes the device rules of the images to the container's cgroup in this mode.
#[test]
fn device_rules_are_those_of_the_configuration() {
    let good = Good::new();
    let images = good.copy("devices");
    let mut edited = 0;
    edit_images::edit(&image(&images, "cgroup"), |messages| {
        // Field 2 of cgroup_entry is a controller with its directories, field 3 of these are properties.
        for (_, controller) in messages[0].0.iter_mut().filter(|(number, _)| *number == 2) {
            let Value::Text(bytes) = controller else { continue };
            let mut parsed = Message::parse(bytes);
            if parsed.text(1) != "devices" {
                continue;
            }
            parsed.edit(2, |directory| {
                for (_, property) in directory.0.iter_mut().filter(|(number, _)| *number == 3) {
                    let Value::Text(bytes) = property else { continue };
                    let mut parsed = Message::parse(bytes);
                    if parsed.text(1) == "devices.list" {
                        let rules = format!("{}\nb *:* rwm", parsed.text(2));
                        *bytes = parsed.set_text(2, &rules).bytes();
                        edited += 1;
                    }
                }
            });
            *bytes = parsed.bytes();
        }
    });
    if edited == 0 {
        return; // Rules of cgroup v2 are programs, which images do not have.
    }
    let options = RestoreOptions { cgroup_mode: CgroupMode::Full, ..from(&images) };
    let restored = good.test.restore(&good.config, &options).unwrap_or_else(|error| panic!("{}", log_tail(&error)));
    counts_on(&good.data);
    let rules = std::fs::read_to_string(cgroup_of(&restored, "devices").unwrap().join("devices.list")).unwrap();
    assert!(rules.contains("c 1:3 rwm") && !rules.contains("b *:* rwm"), "{rules}");
    end(restored);
}
