//! What others do to a scope.

use berth::{ExitStatus, Force};

use super::common::{LONG, eventually, quiet, shell};
use super::{manager, property, systemctl, unit};

#[test]
fn a_unit_that_is_stopped_from_outside_ends_its_container() {
    let Some(test) = manager() else { return };
    let config = shell("trap 'exit 7' TERM; while :; do sleep 1; done");
    let container = test.run(&config, &quiet()).unwrap();
    let unit = unit(&container);
    // The trap is set before sleep is started.
    eventually("sleep runs", || container.pids().unwrap().len() == 2);
    systemctl(&["stop", &unit]);
    assert_eq!(container.wait(LONG).unwrap(), ExitStatus::Exited(7));
    container.delete(Force::No).unwrap();
    assert_eq!(property(&unit, "LoadState"), "not-found");
}
