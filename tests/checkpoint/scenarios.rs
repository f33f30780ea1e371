//! Workloads that check their own state after a restore, and attributes of containers that must not change.

use berth::criu::{CheckpointOptions, RestoreOptions};
use berth::{Code, ExitStatus, Force, Recipients, Status};
use serde_json::json;

use crate::common::*;
use crate::support::*;

#[test]
fn a_process_tree_with_pipes_signals_timers_a_deleted_file_and_locks() {
    let test = test_runtime();
    let data = test.data();
    checkpoint_workload(&data);
    let mut config = shell("");
    config["process"]["args"] = json!(["/data/checkpoint_workload"]);
    with_data(&mut config, &data);
    let container = test.run(&config, &quiet()).unwrap();
    let result = || std::fs::read_to_string(data.join("result")).unwrap_or_default();
    eventually("the workload is ready", || result() == "ready\n");
    // Without the option for file locks the checkpoint is refused, and the error names the option.
    let error = container.checkpoint(&into(&test.images("refused"))).unwrap_err();
    assert!(error.message.contains("allow file locks"), "{error}");
    assert_eq!(container.status().unwrap(), Status::Running);
    let options = CheckpointOptions { file_locks: true, link_remap: true, ..into(&test.images("images")) };
    checkpoint(&container, &options);
    end(container);
    let error = test.restore(&config, &from(&test.images("images"))).unwrap_err();
    assert!(error.code == Code::InvalidArgument && error.message.contains("allow file locks"), "{error}");
    let options = RestoreOptions { file_locks: true, ..from(&test.images("images")) };
    let restored = test.restore(&config, &options).unwrap_or_else(|error| panic!("{error}\n{}", log_tail(&error)));
    assert_eq!(result(), "ready\n");
    restored.signal(libc::SIGUSR2, Recipients::Init).unwrap();
    assert_eq!(restored.wait(LONG).unwrap(), ExitStatus::Exited(0), "{}", result());
    assert_eq!(result(), "survived\n");
    end(restored);
}

#[test]
fn ten_rounds_of_one_container() {
    let test = test_runtime();
    let data = test.data();
    let config = counter(&data);
    let id = unique("rounds");
    let loaded = test.config(&config);
    let mut container = berth::Container::run(&test.runtime, &id, &loaded, &quiet()).unwrap();
    let mut last = counts_on(&data);
    for round in 0..10 {
        let images = test.images(&format!("images-{round}"));
        checkpoint(&container, &into(&images));
        container.delete(Force::No).unwrap();
        let stood_at = count(&data);
        container = berth::Container::restore(&test.runtime, &id, &loaded, &from(&images))
            .unwrap_or_else(|error| panic!("{round}: {error}\n{}", log_tail(&error)));
        let now = counts_on(&data);
        assert!(now > stood_at && stood_at >= last, "{round}: {last} {stood_at} {now}");
        last = now;
    }
    end(container);
}

#[test]
fn a_paused_container_is_dumped_and_stays_paused() {
    let test = test_runtime();
    let data = test.data();
    let config = counter(&data);
    let container = test.run(&config, &quiet()).unwrap();
    counts_on(&data);
    container.pause().unwrap();
    let stood_at = count(&data);
    let options = CheckpointOptions { leave_running: true, ..into(&test.images("left")) };
    checkpoint(&container, &options);
    assert_eq!(container.status().unwrap(), Status::Paused);
    assert_eq!(count(&data), stood_at);
    checkpoint(&container, &into(&test.images("images")));
    assert_eq!(container.status().unwrap(), Status::Stopped);
    end(container);
    let restored = test.restored(&config, &test.images("images"));
    assert_eq!(restored.status().unwrap(), Status::Running);
    assert!(counts_on(&data) > stood_at);
    end(restored);
}

#[test]
fn limits_are_intact_afterwards() {
    let test = test_runtime();
    let data = test.data();
    let mut config = counter(&data);
    // The limits whose controllers this host has.
    let mut wanted = json!({ "hugepageLimits": [{ "pageSize": "2MB", "limit": 4194304 }] });
    let mut expected = vec![("hugetlb", "hugetlb.2MB.limit_in_bytes", "hugetlb.2MB.max", "4194304")];
    let probe = test.run(&shell("sleep 1000"), &quiet()).unwrap();
    let has = |controller: &str| match cgroup_of(&probe, controller) {
        Some(_) => true,
        None => cgroup_of(&probe, "")
            .and_then(|tree| std::fs::read_to_string(tree.join("cgroup.controllers")).ok())
            .is_some_and(|list| list.split_whitespace().any(|name| name == controller)),
    };
    if has("memory") {
        wanted["memory"] = json!({ "limit": 67108864 });
        expected.push(("memory", "memory.limit_in_bytes", "memory.max", "67108864"));
    }
    if has("pids") {
        wanted["pids"] = json!({ "limit": 3 });
        expected.push(("pids", "pids.max", "pids.max", "3"));
    }
    let no_huge_pages = !has("hugetlb");
    end(probe);
    if no_huge_pages {
        wanted.as_object_mut().unwrap().remove("hugepageLimits");
        expected.remove(0);
    }
    assert!(!expected.is_empty(), "this host has none of the limits");
    config["linux"]["resources"] = wanted;
    let check = |container: &berth::Container| {
        for (controller, v1, v2, value) in &expected {
            let path = match cgroup_of(container, controller) {
                Some(directory) => directory.join(v1),
                None => cgroup_of(container, "").unwrap().join(v2),
            };
            assert_eq!(std::fs::read_to_string(&path).unwrap().trim(), *value, "{}", path.display());
        }
    };
    let container = test.run(&config, &quiet()).unwrap();
    counts_on(&data);
    check(&container);
    checkpoint(&container, &into(&test.images("images")));
    end(container);
    let restored = test.restored(&config, &test.images("images"));
    counts_on(&data);
    check(&restored);
    // The processes are in the container's cgroups, where the limits are.
    let own = std::fs::read_to_string(proc_of(&restored, "cgroup")).unwrap();
    for line in own.lines() {
        let names = line.split(':').nth(1).unwrap();
        let ours = cgroup_of(&restored, names.split(',').next().unwrap()).is_some();
        assert!(!ours || line.ends_with(&format!("/berth-{}", restored.id())), "{line}");
    }
    end(restored);
}

#[test]
fn a_user_namespace_is_restored_with_its_mappings() {
    let test = test_runtime();
    let data = test.data();
    let mut config = counter(&data);
    with_user_namespace(&mut config);
    // CRIU reads the image of filters as root of the namespace.
    config["linux"]["seccomp"] = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{ "names": ["acct"], "action": "SCMP_ACT_ERRNO" }],
    });
    std::os::unix::fs::chown(&data, Some(ID_BASE), Some(ID_BASE)).unwrap();
    let container = test.run(&config, &quiet()).unwrap();
    counts_on(&data);
    let before = std::fs::read_to_string(proc_of(&container, "uid_map")).unwrap();
    let images = test.images("images");
    checkpoint(&container, &into(&images));
    end(container);
    assert_only_for(&images, ID_BASE);
    // A copy may have got another owner.
    std::os::unix::fs::chown(images.join("pstree.img"), Some(0), None).unwrap();
    let error = test.restore(&config, &from(&images)).unwrap_err();
    assert!(error.message.contains("CRIU cannot read") && error.message.contains("pstree.img"), "{error}");
    std::os::unix::fs::chown(images.join("pstree.img"), Some(ID_BASE), None).unwrap();
    let restored = test.restored(&config, &images);
    counts_on(&data);
    assert_eq!(std::fs::read_to_string(proc_of(&restored, "uid_map")).unwrap(), before);
    assert_eq!(exec_shell(&restored, "id -u").trim(), "0");
    end(restored);
}

/// All operations on a running container work on a restored one.
#[test]
fn a_restored_container_is_like_any_other() {
    let test = test_runtime();
    let data = test.data();
    let config = counter(&data);
    test.dumped(&config, &data, &into(&test.images("images")));

    // From another bundle, with its own root filesystem.
    let bundle = test.bundle("elsewhere", &config);
    let loaded = berth::spec::Config::from_bundle(&bundle).unwrap();
    let id = unique("other");
    let restored = berth::Container::restore(&test.runtime, &id, &loaded, &from(&test.images("images")))
        .unwrap_or_else(|error| panic!("{error}\n{}", log_tail(&error)));
    counts_on(&data);
    let state: serde_json::Value = serde_json::from_str(&restored.state_json().unwrap()).unwrap();
    assert_eq!((state["id"].as_str(), state["bundle"].as_str()), (Some(id.as_str()), bundle.to_str()));
    assert_eq!(exec_shell(&restored, "cat /proc/1/comm").trim(), "sh");
    assert!(restored.pids().unwrap().contains(&restored.init_process().unwrap().pid()));
    restored.pause().unwrap();
    assert_eq!(restored.status().unwrap(), Status::Paused);
    restored.resume().unwrap();
    counts_on(&data);
    assert!(restored.stats().is_ok());
    // Also through a handle that did not restore it.
    let other = test.runtime.load(&id).unwrap();
    assert_eq!(other.status().unwrap(), Status::Running);
    checkpoint(&other, &into(&test.images("again")));
    assert!(matches!(restored.wait(LONG).unwrap(), ExitStatus::Signaled { signal: libc::SIGKILL, .. }));
    restored.delete(Force::No).unwrap();
    end(test.restored(&config, &test.images("again")));
}

#[test]
fn an_executed_process_is_an_error_that_names_it() {
    let test = test_runtime();
    let container = test.run(&shell("sleep 1000"), &quiet()).unwrap();
    let process = container.exec(&parsed(&shell_process("sleep 1000")), &quiet()).unwrap();
    let error = container.checkpoint(&into(&test.images("images"))).unwrap_err();
    assert_eq!(error.code, Code::Unsupported);
    assert!(error.message.contains(&format!("{} (", process.pid())), "{error}");
    assert!(!test.images("images").exists());
    process.signal(libc::SIGKILL).unwrap();
    process.wait(LONG).unwrap();
    checkpoint(&container, &into(&test.images("images")));
    end(container);
}

/// The configuration decides, before anything runs, whatever the images contain.
#[test]
fn images_that_want_more_than_the_configuration_are_refused() {
    let test = test_runtime();
    let data = test.data();
    let config = counter(&data);
    test.dumped(&config, &data, &into(&test.images("images")));
    let stood_at = count(&data);

    let mut less = config.clone();
    set_capabilities(&mut less, &["CAP_KILL"]);
    let mut other_namespaces = config.clone();
    without_namespace(&mut other_namespaces, "ipc");
    let mut fewer_mounts = config.clone();
    fewer_mounts["mounts"].as_array_mut().unwrap().retain(|mount| mount["destination"] != "/data");
    for (config, expected) in [
        (&less, "has capabilities in its bounding set that the configuration does not grant"),
        (&other_namespaces, "the ipc namespace is not the one of the configuration"),
        (&fewer_mounts, "the configuration lacks a mount that is in the images"),
    ] {
        let error = test.restore(config, &from(&test.images("images"))).unwrap_err();
        assert_eq!(error.code, Code::Criu, "{error}");
        assert!(error.message.contains(expected) || log_tail(&error).contains(expected), "{error}");
        assert_eq!(test.runtime.ids().unwrap(), Vec::<String>::new(), "{expected}");
    }
    assert_eq!(count(&data), stood_at, "none of them has run");
    end(test.restored(&config, &test.images("images")));
}
