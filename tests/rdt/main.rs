//! Intel RDT with a real resctrl filesystem: in the virtual machine of `make check`, if its emulator has it
//! (tools/vm-emulator), or on a host that has mounted one. Elsewhere only the error about its absence is tested.

#[path = "../common/mod.rs"]
mod common;

mod classes;
mod failures;
mod lifecycle;
mod support;

use common::runner;

fn main() {
    let mut tests: Vec<runner::Test> = vec![("without_resctrl_it_is_an_error_that_says_so", failures::absent)];
    if support::expected() {
        tests.extend([
            ("an_unmounted_resctrl_is_an_error_that_names_it", failures::not_mounted as fn()),
            ("an_own_class_is_created_and_removed_with_the_container", lifecycle::own_class),
            ("processes_are_in_it_before_hooks_and_program_run_and_executed_ones_too", lifecycle::processes),
            ("in_a_user_namespace_it_is_the_same", lifecycle::user_namespace),
            ("explain_names_the_group_and_its_shares", lifecycle::explained),
            ("statistics_are_those_of_runc", lifecycle::statistics),
            ("a_restored_container_is_in_it_again", lifecycle::restored),
            ("a_class_with_a_name_is_made_once_shared_and_stays", classes::named),
            ("a_class_that_is_there_already_is_joined_and_stays", classes::configured),
            ("the_root_class_can_be_monitored", classes::root),
            ("shares_change_while_it_runs_and_come_back_after_a_refusal", classes::changed),
            ("the_command_line_changes_them", classes::changed_by_command),
            ("a_refusal_of_the_kernel_is_reported_and_leaves_nothing", failures::refused),
            ("no_class_is_left", failures::exhausted),
            ("classes_of_others_are_left_alone", failures::taken),
            ("resources_that_the_host_lacks_are_named_before_anything_is_made", failures::lacking),
            ("a_caller_killed_at_any_point_leaves_what_recover_removes", failures::killed),
            ("a_damaged_record_does_not_keep_it", failures::damaged),
        ]);
    }
    runner::main(&tests, &[("create", failures::create), ("delete", failures::delete)]);
}
