//! Network interfaces that hooks create, and CRIU's configuration file.

use serde_json::json;

use crate::common::{script, shell};
use crate::place::Place;
use crate::programs::counter;
use crate::support::*;

/// As engines do, a hook creates the container's interfaces, also at a restore. If the restore recreated them from the
/// images, too, they would conflict.
#[test]
fn the_network_is_left_to_the_hook_that_made_it() {
    let place = Place::new(|data| {
        let hook = data.join("hook");
        let pid = r#"pid=$(sed 's/.*"pid": *\([0-9]*\).*/\1/')"#;
        let path = "export PATH=/usr/sbin:/usr/bin:/sbin:/bin";
        script(&hook, &format!("{path}; {pid}; exec nsenter -t $pid -n ip link add eth0 type veth peer name eth1"));
        let mut config = counter(data);
        config["hooks"] = json!({ "createRuntime": [{ "path": hook }] });
        config
    });
    place.counts_on();
    let names = || {
        let table = place.proc("net/dev");
        let mut names: Vec<String> =
            table.lines().filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned())).collect();
        names.sort();
        names
    };
    assert_eq!(names(), ["eth0", "eth1", "lo"]);
    place.checkpoint("images", &[]);
    place.restore("images", &[]);
    place.counts_on();
    assert_eq!(names(), ["eth0", "eth1", "lo"]);
    let flags = place.cli.ok(&["exec", "c1", "cat", "/sys/class/net/lo/flags"]);
    assert_eq!(flags.trim(), "0x9", "up, as after a create");
}

#[test]
fn the_annotation_names_the_file_of_crius_options() {
    let place = Place::new(|data| {
        let file = data.join("criu.conf");
        std::fs::write(&file, "log-file other.log\n").unwrap();
        let mut config = shell("exec sleep 1000");
        config["annotations"] = json!({ "org.criu.config": file });
        config
    });
    let work = place.images("work");
    place.checkpoint("images", &["--work-path", text(&work)]);
    assert!(work.join("other.log").exists());
    std::fs::remove_file(work.join("other.log")).unwrap();
    place.restore("images", &["--work-path", text(&work)]);
    assert!(work.join("other.log").exists());
}
