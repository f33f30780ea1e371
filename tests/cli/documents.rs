//! Tests of spec, explain, recover, completions and man.

use serde_json::{Value, json};

use crate::common::shell;
use crate::support::*;

#[test]
fn a_config_json_to_begin_with() {
    let cli = Cli::new();
    let (bundle, file) = (cli.path("bundle"), cli.path("bundle/config.json"));
    std::fs::create_dir(&bundle).unwrap();
    cli.ok(&["spec", "--bundle", text(&bundle)]);
    let written: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    let mut default: Value = serde_json::from_str(&berth::spec::Config::default_json()).unwrap();
    if !std::path::Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
        // As runc and crun have it on cgroup v1.
        default["linux"]["namespaces"].as_array_mut().unwrap().retain(|namespace| namespace["type"] != "cgroup");
    }
    assert_eq!(written, default);
    cli.fails(1, "File config.json exists. Remove it first", &["spec", "-b", text(&bundle)]);
    cli.ok(&["spec", "-b", text(&bundle), "--file", "rootless.json", "--rootless"]);
    let rootless: Value =
        serde_json::from_str(&std::fs::read_to_string(bundle.join("rootless.json")).unwrap()).unwrap();
    assert_eq!(rootless["linux"]["uidMappings"], json!([{ "containerID": 0, "hostID": 0, "size": 1 }]));
    assert!(rootless["linux"].get("resources").is_none());
    let nowhere = cli.berth(&["spec", "-b", "/nonexistent"]);
    assert!(nowhere.err.contains("writing /nonexistent/config.json: no such file or directory"), "{nowhere:?}");
    assert!(nowhere.code == 1 && !nowhere.err.contains("remedy"), "to write one is what was tried: {nowhere:?}");
}

#[test]
fn the_configuration_that_spec_writes_runs() {
    let cli = Cli::new();
    for (name, options) in [("root", &[][..]), ("rootless", &["--rootless"])] {
        let bundle = cli.path(name);
        std::fs::create_dir(&bundle).unwrap();
        cli.ok(&[&["spec", "-b", text(&bundle)], options].concat());
        let mut config: Value =
            serde_json::from_str(&std::fs::read_to_string(bundle.join("config.json")).unwrap()).unwrap();
        config["process"]["terminal"] = json!(false);
        config["process"]["args"] = json!(["sh", "-c", "id -u; exit 3"]);
        let outcome = cli.berth(&["run", "-b", text(&cli.bundle(&config)), "c1"]);
        assert_eq!((outcome.code, outcome.out.as_str()), (3, "0\n"), "{outcome:?}");
    }
}

#[test]
fn a_bundle_is_explained_without_being_touched() {
    let cli = Cli::new();
    let bundle = cli.bundle(&shell("echo hello"));
    let words = cli.ok(&["explain", text(&bundle)]);
    assert!(words.contains("mounting proc on /proc") && words.contains("executing \"/bin/sh\""), "{words}");
    assert!(words.contains("nosuid"), "with what the steps leave out: {words}");
    let plan: Value = serde_json::from_str(&cli.ok(&["explain", "--json", text(&bundle)])).unwrap();
    let steps = plan["steps"].as_array().unwrap();
    let outside = plan["outside"].as_array().unwrap();
    assert_eq!(words.lines().count(), 1 + steps.len() + 1 + outside.len());
    assert!(words.contains(outside[0]["text"].as_str().unwrap()), "{words}");
    std::fs::write(bundle.join("other.json"), "{}").unwrap();
    cli.fails(1, "ociVersion", &["explain", text(&bundle), "--config", "other.json"]);
    cli.fails(1, "config.json: no such file", &["explain", "/nonexistent"]);
    assert!(!cli.root().exists());
}

#[test]
fn recover_removes_what_a_killed_creator_left() {
    let cli = Cli::new();
    assert_eq!(cli.ok(&["recover"]), "");
    let id = cli.sleeping();
    for left in ["left-1", "left-2"] {
        std::fs::create_dir(cli.root().join(left)).unwrap();
    }
    assert_eq!(cli.ok(&["recover"]), "left-1\nleft-2\n");
    assert_eq!(cli.ok(&["recover", "--json"]), "[]\n");
    assert_eq!(cli.status(&id), "running", "one that is whole stays");
}

#[test]
fn completions_for_each_shell_know_the_verbs_and_options() {
    let cli = Cli::new();
    for shell in ["bash", "zsh", "fish"] {
        let text = cli.ok(&["completions", shell]);
        assert!(
            text.contains("console-socket")
                && text.contains("checkpoint") == cli.ok(&["--help"]).contains("checkpoint")
        );
    }
    let script = cli.path("completions");
    std::fs::write(&script, cli.ok(&["completions", "bash"])).unwrap();
    let ask = format!(
        ". {}; COMP_WORDS=(berth kill --a); COMP_CWORD=2; _berth berth --a kill; echo ${{COMPREPLY[@]}}",
        script.display()
    );
    let outcome = outcome_of(std::process::Command::new("bash").args(["-c", &ask]));
    assert_eq!(outcome.out, "--all\n", "{outcome:?}");
    cli.fails(1, "<SHELL>", &["completions"]);
}

#[test]
fn there_is_a_man_page_for_each_verb() {
    let cli = Cli::new();
    assert!(cli.ok(&["man"]).contains(".TH berth 1"));
    let folder = cli.path("man");
    std::fs::create_dir(&folder).unwrap();
    cli.ok(&["man", text(&folder)]);
    let page = std::fs::read_to_string(folder.join("berth-run.1")).unwrap();
    assert!(page.contains("\\-\\-pid\\-file") && page.contains("berth\\-run"), "{page}");
    for (verb, purpose) in verbs(&cli) {
        let page = std::fs::read_to_string(folder.join(format!("berth-{verb}.1"))).unwrap();
        assert!(page.contains(&format!("berth\\-{verb} \\- {}", &purpose[..10])), "{verb}: {page}");
    }
}

#[test]
fn the_help_of_each_verb_begins_with_its_purpose() {
    let cli = Cli::new();
    for (verb, purpose) in verbs(&cli) {
        let help = cli.ok(&[&verb, "--help"]);
        assert_eq!(help.lines().next(), Some(&*purpose), "{verb}");
    }
}

/// The verbs and what they do, as `berth --help` lists them.
fn verbs(cli: &Cli) -> Vec<(String, String)> {
    let help = cli.ok(&["--help"]);
    let verbs = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let words = |line: &str| line.trim().split_once(' ').map(|(verb, purpose)| (verb.into(), purpose.trim().into()));
    verbs.filter_map(words).filter(|(verb, _): &(String, String)| verb != "help").collect()
}

#[test]
fn features_are_the_librarys_document_and_the_version_is_its_newest() {
    let cli = Cli::new();
    let text = cli.ok(&["features"]);
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document, serde_json::from_str::<Value>(&berth::features_json()).unwrap());
    assert!(text.starts_with("{\n  \"ociVersionMin\": "), "as runc sets it: {text}");
    let spec = format!("spec: {}\n", document["ociVersionMax"].as_str().unwrap());
    assert!(cli.ok(&["--version"]).ends_with(&spec));
}
