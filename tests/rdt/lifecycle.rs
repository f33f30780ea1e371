//! The class of a container, from create to delete.

use std::os::unix::fs::PermissionsExt;

use berth::criu::{CheckpointOptions, RestoreOptions};
use berth::{Container, Force, Settings, explain};
use serde_json::{Value, json};

use crate::common::{TestRuntime, criu, eventually, quiet, with_user_namespace};
use crate::support::*;

pub fn own_class() {
    mount(true);
    let test = TestRuntime::new();
    let container = test.create(&config(full()), &quiet()).unwrap();
    let id = container.id().to_owned();
    // Lines of "schemata" override the others.
    assert_eq!(line(&id, "L3"), "L3:0=00f;1=f00");
    assert_eq!(line(&id, "MB"), "MB:0=50;1=100");
    assert_eq!(line(&id, "L2"), "L2:0=003;1=0ff");
    assert!(at(&id, "mon_groups").join(&id).join("mon_data").exists());
    container.start().unwrap();
    container.delete(Force::Kill).unwrap();
    assert_eq!(classes(), Vec::<String>::new());

    // Without shares in the configuration the class gets all resources.
    let container = test.create(&config(json!({})), &quiet()).unwrap();
    assert_eq!(line(container.id(), "L3"), line("", "L3"));
    container.delete(Force::Kill).unwrap();
    assert_eq!(classes(), Vec::<String>::new());
}

pub fn processes() {
    mount(true);
    let test = TestRuntime::new();
    let (seen, script) = (test.dir.path().join("seen"), test.dir.path().join("hook"));
    std::fs::write(&script, format!("#!/bin/sh\ncat {MOUNT}/*/mon_groups/*/tasks > {}\n", seen.display())).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut config = config(full());
    config["hooks"]["createRuntime"] = json!([{ "path": script }]);
    let container = test.create(&config, &quiet()).unwrap();
    let (id, pid) = (container.id().to_owned(), init(&container));
    let monitor = format!("{id}/mon_groups/{id}");
    assert_eq!(std::fs::read_to_string(&seen).unwrap(), format!("{pid}\n"));
    assert_eq!((tasks(&id), tasks(&monitor)), (vec![pid], vec![pid]));
    container.start().unwrap();
    eventually("the program's children in the group", || tasks(&monitor).len() == 3 && tasks(&id).len() == 3);
    let process =
        json!({ "cwd": "/", "args": ["sleep", "1000"], "env": ["PATH=/bin"], "user": { "uid": 0, "gid": 0 } });
    let executed = container.exec(&serde_json::from_value(process).unwrap(), &quiet()).unwrap();
    assert!(tasks(&id).contains(&executed.pid()) && tasks(&monitor).contains(&executed.pid()));
    container.delete(Force::Kill).unwrap();
}

pub fn user_namespace() {
    mount(true);
    let test = TestRuntime::new();
    let mut config = config(full());
    with_user_namespace(&mut config);
    let container = test.create(&config, &quiet()).unwrap();
    assert_eq!(tasks(container.id()), [init(&container)]);
    container.start().unwrap();
    container.delete(Force::Kill).unwrap();
    assert_eq!(classes(), Vec::<String>::new());
}

pub fn explained() {
    mount(true);
    let test = TestRuntime::new();
    let plan: Value = serde_json::from_str(&explain(&test.config(&config(full()))).unwrap()).unwrap();
    let text = plan["outside"][0]["text"].as_str().unwrap();
    let expected = format!(
        "joining the container's own resctrl group {MOUNT}/explain and the monitoring group \
         {MOUNT}/explain/mon_groups/explain, with the schemata L3:0=f;1=f0, MB:0=50, L2:0=3, L3:1=f00"
    );
    assert_eq!(text, expected);
    assert_eq!(classes(), Vec::<String>::new());
}

pub fn statistics() {
    mount(true);
    let test = TestRuntime::new();
    let container = test.run(&config(full()), &quiet()).unwrap();
    let report: Value = serde_json::from_str(&container.stats_json().unwrap()).unwrap();
    let number = |file: &str| read("info", file).trim().parse::<u64>().unwrap();
    let found = &report["intel_rdt"];
    assert_eq!(found["l3_cache_info"]["cbm_mask"], read("info", "L3/cbm_mask").trim());
    assert_eq!(found["l3_cache_info"]["min_cbm_bits"], number("L3/min_cbm_bits"));
    assert_eq!(found["l3_cache_info"]["num_closids"], number("L3/num_closids"));
    for name in ["bandwidth_gran", "delay_linear", "min_bandwidth", "num_closids"] {
        assert_eq!(found["mem_bw_info"][name], number(&format!("MB/{name}")), "{name}");
    }
    assert_eq!(found["l3_cache_schema_root"], line("", "L3"));
    assert_eq!(found["l3_cache_schema"], line(container.id(), "L3"));
    assert_eq!(found["mem_bw_schema_root"], line("", "MB"));
    assert_eq!(found["mem_bw_schema"], line(container.id(), "MB"));
    let domains = std::fs::read_dir(at(container.id(), "mon_data")).unwrap().count();
    let (bandwidth, occupancy) = (found["mbm_stats"].as_array().unwrap(), found["cmt_stats"].as_array().unwrap());
    assert_eq!((bandwidth.len(), occupancy.len()), (domains, domains));
    assert!(bandwidth.iter().all(|entry| entry["mbm_total_bytes"].is_u64() && entry["mbm_local_bytes"].is_u64()));
    assert!(occupancy.iter().all(|entry| entry["llc_occupancy"].is_u64()));

    // The members `enableCMT` and `enableMBM` of specification 1.2 report the numbers of the class.
    let container = test.run(&config(json!({ "enableCMT": true })), &quiet()).unwrap();
    let report: Value = serde_json::from_str(&container.stats_json().unwrap()).unwrap();
    assert_eq!(report["intel_rdt"]["cmt_stats"].as_array().unwrap().len(), domains);
    assert_eq!(report["intel_rdt"]["mbm_stats"], Value::Null);
    // A container without `intelRdt` has no numbers.
    let mut plain = config(Value::Null);
    plain["linux"].as_object_mut().unwrap().remove("intelRdt");
    let container = test.run(&plain, &quiet()).unwrap();
    let report: Value = serde_json::from_str(&container.stats_json().unwrap()).unwrap();
    assert_eq!(report["intel_rdt"], json!({}));
    assert!(!classes().contains(&container.id().to_owned()));
}

pub fn restored() {
    mount(true);
    let test = TestRuntime::with(|settings: &mut Settings| settings.criu = Some(criu()));
    let images = test.dir.path().join("images");
    let config = config(full());
    let container = test.run(&config, &quiet()).unwrap();
    let id = container.id().to_owned();
    eventually("the program's children", || tasks(&id).len() == 3);
    container.checkpoint(&CheckpointOptions::into_directory(&images)).unwrap();
    container.delete(Force::No).unwrap();
    assert_eq!(classes(), Vec::<String>::new());
    let options = RestoreOptions { process: quiet(), ..RestoreOptions::from_directory(&images) };
    let container = Container::restore(&test.runtime, &id, &test.config(&config), &options).unwrap();
    assert_eq!(line(&id, "L3"), "L3:0=00f;1=f00");
    let monitor = format!("{id}/mon_groups/{id}");
    let (class, monitored, mut pids) = (tasks(&id), tasks(&monitor), container.pids().unwrap());
    pids.sort();
    let sorted = |mut list: Vec<i32>| {
        list.sort();
        list
    };
    assert_eq!((sorted(class), sorted(monitored)), (pids.clone(), pids));
    container.delete(Force::Kill).unwrap();
    assert_eq!(classes(), Vec::<String>::new());
}
