//! Tests of events and top.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::common::{cgroup_of_state, eventually, shell};
use crate::support::*;

#[test]
fn statistics_have_runcs_shape() {
    let cli = Cli::new();
    let id = cli.sleeping();
    let line = cli.ok(&["events", "--stats", &id]);
    assert!(
        line.starts_with(&format!("{{\"type\":\"stats\",\"id\":\"{id}\",\"data\":{{\"cpu\":")) && line.ends_with("}\n")
    );
    let event: Value = serde_json::from_str(&line).unwrap();
    let data = event["data"].as_object().unwrap();
    for name in ["cpu", "cpuset", "memory", "pids", "blkio", "hugetlb", "intel_rdt", "network_interfaces"] {
        assert!(data.contains_key(name), "{name}");
    }
    cli.ok(&["kill", &id, "KILL"]);
    cli.wait_for_status(&id, "stopped");
    cli.fails(1, &format!("container with id {id} is not running"), &["events", "--stats", &id]);
    cli.fails(1, "--interval", &["events", "--interval", "soon", &id]);
}

#[test]
fn events_are_reported_until_the_container_ends() {
    let cli = Cli::new();
    let id = cli.sleeping();
    let mut command = cli.command();
    let mut child = command.args(["events", "--interval", "20ms", &id]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for _ in 0..2 {
        let event: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        assert_eq!((&event["type"], &event["id"]), (&json!("stats"), &json!(id)));
    }
    cli.ok(&["kill", &id, "KILL"]);
    assert_eq!(wait(&mut child), 0);
}

#[test]
fn a_process_killed_for_want_of_memory_is_an_event() {
    let cli = Cli::new();
    let mut config = shell("read word; exec tail /dev/zero");
    config["linux"]["resources"]["memory"] = json!({ "limit": 16 << 20, "swap": 16 << 20 });
    let bundle = cli.bundle(&config);
    let mut run = cli.command();
    // Keep the cgroup, so that the count still exists when it is read.
    run.args(["run", "--keep", "-b", text(&bundle), "c1"]).stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut run = run.spawn().unwrap();
    let mut error = String::new();
    eventually("it runs, or cannot be limited", || {
        if run.try_wait().unwrap().is_some() {
            std::io::Read::read_to_string(&mut run.stderr.take().unwrap(), &mut error).unwrap();
            return true;
        }
        cli.berth(&["state", "c1"]).out.contains("\"running\"")
    });
    if error.contains("memory") {
        // This view of cgroups has no memory controller.
        return;
    }
    assert_eq!(error, "");
    let mut events = cli.command().args(["events", "c1"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(events.stdout.take().unwrap()).lines();
    // When it waits, it has already subscribed.
    eventually("it watches", || {
        std::fs::read_dir(format!("/proc/{}/fd", events.id())).is_ok_and(|list| {
            list.flatten()
                .any(|fd| std::fs::read_link(fd.path()).is_ok_and(|to| to.ends_with("anon_inode:[eventpoll]")))
        })
    });
    std::io::Write::write_all(&mut run.stdin.take().unwrap(), b"go\n").unwrap();
    assert_eq!(lines.next().unwrap().unwrap(), r#"{"type":"oom","id":"c1"}"#);
    assert_eq!(wait(&mut events), 0);
    assert_eq!(wait(&mut run), 137);
}

#[test]
fn top_is_a_table_or_json_of_all_containers() {
    let cli = Cli::new();
    assert!(cli.ok(&["top"]).starts_with("ID "), "without a container there is the head");
    let id = cli.running(&shell("while :; do :; done"));
    let table = cli.ok(&["top", "--interval", "200ms"]);
    let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(
        (lines.len(), &lines[0][..3], &lines[1][..2]),
        (2, &["ID", "STATUS", "CPU"][..], &[id.as_str(), "running"][..])
    );
    eventually("its processor time is seen", || {
        let rows: Value = serde_json::from_str(&cli.ok(&["top", "--json", "-i", "100ms"])).unwrap();
        assert_eq!((&rows[0]["id"], &rows[0]["status"]), (&json!(id), &json!("running")));
        let percent = rows[0]["cpuPercent"].as_f64().unwrap();
        assert!((0.0..1000.0).contains(&percent), "{percent}");
        percent > 0.0
    });
    assert_eq!(cli.ok(&["top", "--json", "-i", "1ms", "-n", "3"]).lines().count(), 3);
    cli.fails(1, "--interval", &["top", "--interval", "0s"]);
}

#[test]
fn top_on_a_terminal_repeats_until_q() {
    let cli = Cli::new();
    let id = cli.sleeping();
    let mut terminal = on_terminal(cli.command().args(["top", "--interval", "10ms"]));
    eventually("it is drawn again", || terminal.text().matches(&id).count() > 2);
    terminal.type_in("q");
    assert_eq!(terminal.end(), 0);
    assert!(terminal.echoes());
}

#[test]
fn limits_are_changed_by_options_and_files() {
    let cli = Cli::new();
    let id = cli.sleeping();
    let limits = || {
        let config = std::fs::read_to_string(cli.root().join(&id).join("config.json")).unwrap();
        serde_json::from_str::<Value>(&config).unwrap()["linux"]["resources"].clone()
    };
    let pids = cgroup_of_state(&cli.root(), &id, "pids").or_else(|| cgroup_of_state(&cli.root(), &id, ""));
    let pids_max = pids.map(|place| place.join("pids.max")).filter(|file| file.exists());
    let Some(pids_max) = pids_max else {
        cli.fails(1, "pids", &["update", "--pids-limit", "20", &id]);
        return;
    };
    cli.ok(&["update", "--pids-limit", "20", &id]);
    assert_eq!(std::fs::read_to_string(&pids_max).unwrap(), "20\n");
    assert_eq!(limits()["pids"]["limit"], 20);
    cli.ok(&[
        "update",
        &id,
        "--memory",
        "64M",
        "--memory-reservation=32m",
        "--memory-swap",
        "128M",
        "--cpu-share",
        "512",
    ]);
    let expected = json!({ "limit": 64 << 20, "reservation": 32 << 20, "swap": 128 << 20 });
    assert_eq!((&limits()["memory"], &limits()["cpu"]["shares"]), (&expected, &json!(512)));
    cli.ok(&[
        "update",
        "--cpu-period",
        "100000",
        "--cpu-quota",
        "50000",
        "--cpuset-cpus",
        "0",
        "--cpuset-mems",
        "0",
        &id,
    ]);
    let cpu = limits()["cpu"].clone();
    assert_eq!((&cpu["period"], &cpu["quota"]), (&json!(100_000), &json!(50_000)));
    assert_eq!((&cpu["cpus"], &cpu["mems"]), (&json!("0"), &json!("0")));
    cli.ok(&["update", "--cpu-quota", "-1", "--memory", "-1", &id]);
    assert_eq!(limits()["cpu"]["quota"], -1);
    assert_eq!(limits()["memory"]["limit"], -1);
    let file = cli.path("resources.json");
    // The template of runc: zeros change nothing.
    let resources = json!({ "memory": { "limit": 0, "reservation": 0, "swap": 0 }, "cpu": { "shares": 0, "cpus": "" }, "pids": { "limit": 30 } });
    std::fs::write(&file, resources.to_string()).unwrap();
    cli.ok(&["update", "--resources", text(&file), &id]);
    assert_eq!((&limits()["pids"]["limit"], &limits()["cpu"]["shares"]), (&json!(30), &json!(512)));
    let mut child = cli.command().args(["update", "-r", "-", &id]).stdin(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), br#"{"pids":{"limit":40}}"#).unwrap();
    assert_eq!(wait(&mut child), 0);
    assert_eq!(std::fs::read_to_string(&pids_max).unwrap(), "40\n");
}

#[test]
fn limits_that_make_no_sense_are_refused_and_nothing_changes() {
    let cli = Cli::new();
    let id = cli.sleeping();
    for option in ["--kernel-memory", "--kernel-memory-tcp"] {
        let outcome = cli.berth(&["update", option, "64M", &id]);
        assert!(outcome.code == 0 && outcome.err.contains("Kernel memory settings are ignored"), "{outcome:?}");
    }
    cli.fails(1, "invalid value for memory: invalid size: 'x'", &["update", "--memory", "x", &id]);
    cli.fails(1, "--cpu-period", &["update", "--cpu-period", "x", &id]);
    cli.fails(1, "was created without it", &["update", "--l3-cache-schema", "L3:0=f", &id]);
    cli.fails(1, "linux.intelRdt.memBwSchema", &["update", "--mem-bw-schema", "20", &id]);
    cli.fails(1, "blockIO.weight", &["update", "--blkio-weight", "5", &id]);
    cli.fails(1, "reading /nonexistent", &["update", "-r", "/nonexistent", &id]);
    let file = cli.path("resources.json");
    std::fs::write(&file, r#"{"pids":{"limit":"many"}}"#).unwrap();
    cli.fails(1, "pids.limit", &["update", "-r", text(&file), &id]);
    cli.fails(1, "container does not exist", &["update", "--pids-limit", "5", "nope"]);
    cli.ok(&["kill", &id, "KILL"]);
    cli.wait_for_status(&id, "stopped");
    cli.fails(1, "container not running", &["update", "--pids-limit", "5", &id]);
}
