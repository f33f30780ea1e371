//! Tests of state, list and ps.

use serde_json::{Value, json};

use crate::common::{rootfs, shell};
use crate::support::*;

#[test]
fn the_state_has_runcs_members_in_runcs_order() {
    let cli = Cli::new();
    let mut config = shell("exec sleep 1000");
    config["annotations"] = json!({ "some.key": "value" });
    let id = cli.running(&config);
    let text = cli.ok(&["state", &id]);
    assert!(text.starts_with("{\n  \"ociVersion\": \"1.2.1\",\n  \"id\": "), "{text}");
    let state: Value = serde_json::from_str(&text).unwrap();
    let names: Vec<&String> = state.as_object().unwrap().keys().collect();
    let expected = ["ociVersion", "id", "pid", "status", "bundle", "rootfs", "created", "annotations", "owner"];
    assert_eq!(names, expected);
    assert_eq!((&state["id"], &state["rootfs"], &state["owner"]), (&json!(id), &json!(rootfs()), &json!("")));
    assert_eq!(state["annotations"]["some.key"], "value");
}

#[test]
fn the_list_is_a_table_or_json_or_ids() {
    let cli = Cli::new();
    assert_eq!(cli.ok(&["list"]), "ID          PID         STATUS      BUNDLE      CREATED     OWNER\n");
    assert_eq!(cli.ok(&["list", "--format", "json"]), "[]\n");
    let bundle = cli.bundle(&shell("exec sleep 1000"));
    let other = cli.bundle(&shell("exec sleep 1000"));
    for (id, bundle) in [("b", &other), ("a", &bundle)] {
        cli.ok(&["run", "-d", "-b", text(bundle), id]);
    }
    assert_eq!(cli.ok(&["list", "-q"]), "a\nb\n");
    let table = cli.ok(&["list"]);
    let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]);
    let pid = cli.state("a")["pid"].to_string();
    assert_eq!((&lines[1][..4], lines[1][5]), (&["a", pid.as_str(), "running", text(&bundle)][..], "root"));
    let json = cli.ok(&["list", "-f", "json"]);
    assert_eq!(cli.ok(&["list", "--json"]), json);
    let list: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&list[0]["id"], &list[1]["id"], &list[0]["owner"]), (&json!("a"), &json!("b"), &json!("root")));
}

#[test]
fn processes_are_a_table_of_ps_or_pids() {
    let cli = Cli::new();
    let id = cli.sleeping();
    let pid = cli.state(&id)["pid"].to_string();
    let table = cli.ok(&["ps", &id]);
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines.len() == 2 && lines[0].starts_with("UID ") && lines[1].ends_with("sleep 1000"), "{table}");
    for args in [
        vec!["ps", "--format", "json", &id],
        vec!["ps", "-f", "json", &id],
        vec!["ps", "--json", &id],
        vec!["ps", &id, "--format", "json"],
    ] {
        assert_eq!(cli.ok(&args), format!("[{pid}]\n"), "{args:?}");
    }
    cli.fails(1, "unknown user-defined format specifier", &["ps", &id, "-o", "nonsense"]);
    cli.fails(1, "couldn't find PID field", &["ps", &id, "-o", "comm"]);
    assert_eq!(cli.ok(&["ps", &id, "-o", "pid,comm"]).lines().nth(1), Some(format!("{pid:>5} sleep").as_str()));
    cli.fails(1, "couldn't find PID field in ps output", &["ps", &id, "-o", "comm"]);
    cli.fails(1, "ps --nonsense", &["ps", &id, "--nonsense"]);
}

#[test]
fn the_version_includes_the_specifications() {
    let cli = Cli::new();
    for option in ["--version", "-v", "-V"] {
        let text = cli.ok(&[option]);
        let version = env!("CARGO_PKG_VERSION");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], format!("berth version {version}"));
        assert!(lines[1].strip_prefix("commit: ").is_some_and(|commit| !commit.is_empty()), "{text}");
        assert!(lines[2].starts_with("spec: 1."), "{text}");
    }
    for option in ["--help", "-h", "-?"] {
        assert!(cli.ok(&[option]).contains("Usage: berth"));
        assert!(cli.ok(&["run", option]).contains("Usage: berth run"));
    }
}
