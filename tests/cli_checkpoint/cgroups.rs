//! --manage-cgroups-mode, with a cgroup that the container has created below its own.

use serde_json::json;

use crate::common::{cgroup_of_state, mount_on, without_namespace};
use crate::place::Place;
use crate::programs::{Files, counter};

/// A counter in a cgroup "inner" that it created itself.
fn nested() -> Place {
    let place = Place::new(|data| {
        let mut config = counter(data);
        let own = "d=/sys/fs/cgroup/freezer; test -d $d || d=/sys/fs/cgroup; mkdir $d/inner && echo $$ > $d/inner/cgroup.procs";
        let script = config["process"]["args"][2].as_str().unwrap().to_owned();
        config["process"]["args"][2] = json!(format!("{own}; {script}"));
        mount_on(&mut config, "/sys/fs/cgroup")["options"] = json!(["nosuid", "noexec", "nodev"]);
        config
    });
    place.counts_on();
    assert!(in_inner(&place), "{}", place.proc("cgroup"));
    place
}

fn in_inner(place: &Place) -> bool {
    place.proc("cgroup").contains("/inner\n")
}

#[test]
fn manage_cgroups_mode_makes_them_again_or_not() {
    let place = nested();
    let v1 = cgroup_of_state(&place.cli.root(), "c1", "freezer").is_some();
    place.checkpoint("images", &[]);
    let files = Files::of(&place.data);
    for mode in ["soft", "full"] {
        files.put_back();
        place.restore("images", &["--manage-cgroups-mode", mode]);
        place.counts_on();
        assert!(in_inner(&place), "{mode}: {}", place.proc("cgroup"));
        place.delete();
    }
    // On cgroup v1 CRIU considers the container's own cgroups, which exist before the restore.
    let strict = ["--manage-cgroups-mode", "strict"];
    if v1 {
        place.no_restore("use another cgroup mode", "images", &strict);
    } else {
        files.put_back();
        place.restore("images", &strict);
        place.counts_on();
        assert!(in_inner(&place), "{}", place.proc("cgroup"));
        place.delete();
    }
    for mode in ["none", "props", "properties"] {
        place.no_restore("inner", "images", &["--manage-cgroups-mode", mode]);
    }
    place.cli.fails(1, "--manage-cgroups-mode", &["restore", "--manage-cgroups-mode", "sometimes", "c1"]);
    place.cli.fails(1, "--manage-cgroups-mode", &["checkpoint", "--manage-cgroups-mode", "sometimes", "c1"]);
}

#[test]
fn manage_cgroups_mode_ignore_puts_all_into_the_containers_own() {
    // Its cgroup namespace would have another root afterwards.
    let place = Place::new(|data| {
        let mut config = counter(data);
        without_namespace(&mut config, "cgroup");
        config
    });
    place.counts_on();
    let root = place.cli.root();
    let own = ["freezer", ""].iter().find_map(|name| cgroup_of_state(&root, "c1", name)).unwrap();
    std::fs::create_dir(own.join("inner")).unwrap();
    std::fs::write(own.join("inner/cgroup.procs"), place.cli.state("c1")["pid"].to_string()).unwrap();
    place.counts_on();
    assert!(in_inner(&place), "{}", place.proc("cgroup"));
    place.checkpoint("images", &["--manage-cgroups-mode", "ignore"]);
    place.restore("images", &["--manage-cgroups-mode", "ignore"]);
    place.counts_on();
    assert!(!in_inner(&place), "{}", place.proc("cgroup"));
}
