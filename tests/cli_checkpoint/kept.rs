//! Other state that is dumped: file locks, unlinked files, sessions, labels.

use serde_json::json;

use crate::common::shell;
use crate::place::Place;
use crate::programs::with_data;
use crate::support::text;

#[test]
fn file_locks_keeps_locks() {
    let place = Place::with_workload(&[], |_| ());
    place.no_checkpoint("allow file locks", &["--link-remap"]);
    place.checkpoint("images", &["--file-locks", "--link-remap"]);
    place.no_restore("allow file locks", "images", &[]);
    place.restore("images", &["--file-locks"]);
    place.survives();
}

#[test]
fn link_remap_keeps_unlinked_files() {
    let place = Place::new(|data| {
        let open = "exec 5>>/data/one; ln /data/one /data/two; rm /data/one";
        let mut config = shell(&format!(
            "{open}; n=0; while :; do n=$((n+1)); echo $n >&5; echo $n > /data/new; mv /data/new /data/count; sleep 0.01; done"
        ));
        with_data(&mut config, data);
        config
    });
    place.counts_on();
    place.no_checkpoint("allow link remaps", &[]);
    place.checkpoint("images", &["--link-remap"]);
    let length = || std::fs::metadata(place.data.join("two")).unwrap().len();
    let before = length();
    place.restore("images", &[]);
    place.counts_on();
    assert!(length() > before, "it writes into the same file");
}

/// The session belongs to the container, so the option has no effect.
#[test]
fn shell_job_is_taken() {
    let place = Place::counting();
    place.checkpoint("images", &["--shell-job"]);
    place.restore("images", &["--shell-job"]);
    place.counts_on();
}

/// A terminal of the caller would crash CRIU at the restore, with and without the option.
#[test]
fn shell_job_does_not_take_a_terminal_of_the_callers() {
    let place = Place::counting();
    place.delete();
    let run = ["run", "--detach", "-b", text(&place.bundle), "c1"];
    let mut on_terminal = crate::support::on_terminal(place.cli.command().args(run));
    assert_eq!(on_terminal.end(), 0);
    place.counts_on();
    for switches in [&[][..], &["--shell-job"]] {
        place.no_checkpoint("a terminal of the host", switches);
    }
}

/// AppArmor profiles and SELinux mount contexts: without the security module they are refused before anything is done.
#[test]
fn lsm_profile_is_the_restored_process_and_mount_context_needs_selinux() {
    use crate::common::{Profile, apparmor};
    let profiles = apparmor().then(|| [Profile::load(), Profile::load()]);
    let place = Place::new(|data| {
        let mut config = crate::programs::counter(data);
        if let Some([first, _]) = &profiles {
            config["process"]["apparmorProfile"] = json!(first.0);
        }
        config
    });
    place.counts_on();
    place.checkpoint("images", &[]);
    place.no_restore("lsm_profile is", "images", &["--lsm-profile", "other"]);
    if !std::fs::read_to_string("/proc/filesystems").unwrap().contains("selinuxfs") {
        place.no_restore("SELinux is not enabled", "images", &["--lsm-mount-context", "a:b:c:s0"]);
        place.no_restore("SELinux is not enabled", "images", &["--lsm-profile", "selinux:a:b:c:s0"]);
    }
    match &profiles {
        None => place.no_restore("AppArmor is not enabled", "images", &["--lsm-profile", "apparmor:other"]),
        Some([_, second]) => {
            place.restore("images", &["--lsm-profile", &format!("apparmor:{}", second.0)]);
            assert_eq!(place.proc("attr/current"), format!("{} (enforce)\n", second.0));
            place.delete();
        }
    }
}
