//! The rules that libseccomp has got so far. Its time for each grows with those before, and their number is not bounded:
//! rules that change nothing are left out, and a filter that is too long is refused before it is complete.

use std::collections::HashSet;

use libseccomp::{ScmpAction, ScmpArgCompare, ScmpFilterContext, ScmpSyscall};

use super::compile;
use crate::error::Result;
use crate::spec::oci::LinuxSyscall;

/// After how many rules the length of the filter is looked at. Usual profiles have fewer.
const INTERVAL: usize = 512;

type Rule = (ScmpSyscall, ScmpAction, Vec<ScmpArgCompare>);

#[derive(Default)]
pub struct Added {
    /// The system calls that have a rule without conditions, with its action.
    always: HashSet<(ScmpSyscall, ScmpAction)>,
    rules: HashSet<Rule>,
}

impl Added {
    /// Reads which system calls have a rule without conditions.
    pub fn of(rules: &[LinuxSyscall]) -> Added {
        let mut added = Added::default();
        for rule in rules.iter().filter(|rule| rule.args().as_ref().is_none_or(Vec::is_empty)) {
            let action = compile::action(rule.action(), rule.errno_ret());
            let known = rule.names().iter().filter_map(|name| ScmpSyscall::from_name(name).ok());
            added.always.extend(known.map(|syscall| (syscall, action)));
        }
        added
    }

    /// Whether a rule changes anything: no equal one was added, and none without conditions has the same action.
    pub fn is_new(&mut self, syscall: ScmpSyscall, action: ScmpAction, conditions: &[ScmpArgCompare]) -> bool {
        let covered = !conditions.is_empty() && self.always.contains(&(syscall, action));
        !covered && self.rules.insert((syscall, action, conditions.to_vec()))
    }

    /// Refuses a filter that is too long already.
    pub fn check_length(&self, context: &ScmpFilterContext) -> Result<()> {
        if self.rules.len().is_multiple_of(INTERVAL) {
            compile::check_length(compile::export(context)?.len())?;
        }
        Ok(())
    }
}
