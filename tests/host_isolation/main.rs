//! Rule 1: the library does not control the caller process. The caller forks, has its own signal handlers, limits and
//! masks, and none of them may change.

#[path = "../common/mod.rs"]
mod common;

mod changes;
mod descriptors;
mod reaping;
mod support;

use common::runner;
use support::quiet_caller;

fn main() {
    runner::main(
        &[
            ("a_caller_with_threads_children_and_handlers_stays_unchanged", || quiet_caller("many_threads", "caught")),
            ("a_caller_that_ignores_sigchld", || quiet_caller("many_threads", "ignored")),
            ("a_caller_with_all_signals_blocked", || quiet_caller("many_threads", "blocked")),
            ("a_caller_without_standard_streams", || quiet_caller("no_standard_streams", "")),
            ("a_caller_with_few_descriptors_left", || quiet_caller("few_descriptors", "")),
            ("a_caller_whose_forked_children_stay", || quiet_caller("forked_children", "")),
            ("a_thread_may_end_as_soon_as_create_returns", || quiet_caller("short_thread", "")),
            ("executed_processes_without_a_handle_are_reaped", || quiet_caller("dropped_handles", "")),
            ("containers_that_nobody_waits_for_are_reaped_by_later_creates", || {
                quiet_caller("unwaited_containers", "")
            }),
            ("the_network_namespace_helper_is_invisible_to_the_caller", || quiet_caller("network_helper", "")),
            ("the_id_mapping_helper_does_not_stay", || quiet_caller("id_mapping_helper", "")),
        ],
        &[
            ("many_threads", changes::many_threads),
            ("no_standard_streams", descriptors::no_standard_streams),
            ("few_descriptors", descriptors::few_descriptors),
            ("forked_children", descriptors::forked_children),
            ("short_thread", reaping::short_thread),
            ("dropped_handles", reaping::dropped_handles),
            ("unwaited_containers", reaping::unwaited_containers),
            ("network_helper", reaping::network_helper),
            ("id_mapping_helper", changes::id_mapping_helper),
            ("inherited_descriptors", changes::inherited_descriptors),
        ],
    );
}
