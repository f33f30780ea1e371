//! `berth explain` lists the steps that `berth run` counts, with the same options.

use serde_json::{Value, json};

use crate::common::*;
use crate::support::*;

/// Options that explain and run share: before and after the verb.
struct Options {
    global: &'static [&'static str],
    verb: &'static [&'static str],
}

const PLAIN: Options = Options { global: &[], verb: &[] };

/// Compares the steps that explain lists with the number of the step at which run fails, because its program is
/// missing.
#[track_caller]
fn compare(config: &Value, options: &Options) {
    let cli = Cli::new();
    let mut config = config.clone();
    config["process"]["args"] = json!(["/nothing"]);
    config["process"]["terminal"] = json!(false);
    if options.global.contains(&"disabled") {
        // Limits need a cgroup.
        config["linux"].as_object_mut().unwrap().remove("resources");
    }
    let bundle = cli.bundle(&config);
    let explain = [options.global, &["explain", "--json"], options.verb, &[text(&bundle)]].concat();
    let plan: Value = serde_json::from_str(&cli.ok(&explain)).unwrap();
    let steps = plan["steps"].as_array().unwrap();
    let id = unique("explain");
    let run = [options.global, &["run", "--bundle", text(&bundle)], options.verb, &[&id]].concat();
    let outcome = cli.berth(&run);
    let place = outcome.err.rsplit_once("(step ").and_then(|(_, rest)| rest.split_once(')')).map(|(place, _)| place);
    let (failed, all) = place.and_then(|place| place.split_once(" of ")).expect(&outcome.err);
    assert_eq!(all.parse::<usize>().unwrap(), steps.len(), "{:?} {:?}: {}", options.global, options.verb, outcome.err);
    let step = steps[failed.parse::<usize>().unwrap() - 1]["text"].as_str().unwrap();
    assert!(outcome.err.contains(&step.replace('"', "\\\"")) || outcome.err.contains(step), "{step}: {}", outcome.err);
    assert_eq!(step, "finding \"/nothing\"");
}

#[test]
fn explain_counts_the_steps_of_run_whatever_the_options() {
    let config = shell("");
    compare(&config, &PLAIN);
    compare(&config, &Options { verb: &["--no-pivot"], ..PLAIN });
    compare(&config, &Options { verb: &["--no-new-keyring"], ..PLAIN });
    compare(&config, &Options { global: &["--cgroup-manager", "disabled"], ..PLAIN });
    compare(&config, &Options { global: &["--rootless", "true"], ..PLAIN });
    compare(&config, &Options { global: &["--cgroup-manager", "disabled"], verb: &["--no-pivot", "--no-new-keyring"] });
}

#[test]
fn explain_counts_the_steps_of_run_for_the_example() {
    let mut config: Value = serde_json::from_str(include_str!("../../examples/config.json")).unwrap();
    // Its limits need controllers that not every host has, and take no steps.
    config["linux"].as_object_mut().unwrap().remove("resources");
    compare(&config, &PLAIN);
}

#[test]
fn explain_counts_the_steps_of_run_in_other_namespaces() {
    let mut user = shell("");
    with_user_namespace(&mut user);
    compare(&user, &PLAIN);
    compare(&user, &Options { global: &["--cgroup-manager", "disabled"], ..PLAIN });
    let mut time = shell("");
    with_namespace(&mut time, "time");
    compare(&time, &PLAIN);
    let mut network = shell("");
    without_namespace(&mut network, "network");
    compare(&network, &PLAIN);
    let mut cgroup = shell("");
    with_namespace(&mut cgroup, "cgroup");
    compare(&cgroup, &PLAIN);
    without_namespace(&mut cgroup, "cgroup");
    compare(&cgroup, &PLAIN);
}

#[test]
fn explain_counts_the_steps_of_run_with_more_in_the_configuration() {
    let mut config = shell("");
    config["hooks"] =
        json!({ "createRuntime": [{ "path": "/bin/true" }], "createContainer": [{ "path": "/bin/true" }] });
    config["linux"]["seccomp"] = json!({ "defaultAction": "SCMP_ACT_ALLOW" });
    config["linux"]["sysctl"] = json!({ "kernel.shmmni": "4000" });
    config["linux"]["rootfsPropagation"] = json!("rslave");
    config["domainname"] = json!("example");
    push_mount(&mut config, json!({ "destination": "/tmp", "type": "tmpfs", "options": ["tmpcopyup", "ro"] }));
    push_mount(
        &mut config,
        json!({ "destination": "/mnt", "type": "bind", "source": "/usr", "options": ["rbind", "ro", "rslave"] }),
    );
    *mount_on(&mut config, "/dev") =
        json!({ "destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "ro", "mode=755"] });
    compare(&config, &PLAIN);
    compare(&config, &Options { global: &["--cgroup-manager", "disabled"], verb: &["--no-pivot"] });
}
