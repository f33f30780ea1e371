//! Checks `scheduler`, `ioPriority` and `execCPUAffinity`.

use serde_json::Value;

use super::number_list;
use super::oci::{self, IOPriorityClass, LinuxIOPriority, LinuxSchedulerPolicy as Policy};
use crate::error::{Error, Result};

pub(super) const POLICIES: [&str; 7] =
    ["SCHED_OTHER", "SCHED_FIFO", "SCHED_RR", "SCHED_BATCH", "SCHED_ISO", "SCHED_IDLE", "SCHED_DEADLINE"];

/// The SCHED_FLAG_… names, with the numbers of linux/sched.h.
pub(super) const FLAGS: [&str; 7] = [
    "SCHED_FLAG_RESET_ON_FORK",
    "SCHED_FLAG_RECLAIM",
    "SCHED_FLAG_DL_OVERRUN",
    "SCHED_FLAG_KEEP_POLICY",
    "SCHED_FLAG_KEEP_PARAMS",
    "SCHED_FLAG_UTIL_CLAMP_MIN",
    "SCHED_FLAG_UTIL_CLAMP_MAX",
];

pub(super) const IO_CLASSES: [&str; 3] = ["IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE"];

/// The kernel's largest NR_CPUS.
const MAX_PROCESSORS: u32 = 8192;

/// The arguments of sched_setattr(2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scheduler {
    pub policy: u32,
    /// The policy's name in the specification, for messages.
    pub name: String,
    pub flags: u64,
    pub nice: i32,
    pub priority: u32,
    pub runtime: u64,
    pub deadline: u64,
    pub period: u64,
}

impl Scheduler {
    pub fn of(process: &oci::Process) -> Option<Scheduler> {
        let given = process.scheduler().as_ref()?;
        let flag = |flag: &oci::LinuxSchedulerFlag| 1u64 << *flag as u32;
        Some(Scheduler {
            policy: policy_number(*given.policy()),
            name: given.policy().to_string(),
            flags: given.flags().iter().flatten().map(flag).fold(0, |all, flag| all | flag),
            nice: given.nice().unwrap_or(0),
            priority: given.priority().unwrap_or(0).unsigned_abs(),
            runtime: given.runtime().unwrap_or(0),
            deadline: given.deadline().unwrap_or(0),
            period: given.period().unwrap_or(0),
        })
    }
}

impl Scheduler {
    pub fn describe(&self) -> String {
        let numbers = [
            ("nice", i64::from(self.nice)),
            ("priority", i64::from(self.priority)),
            ("flags", self.flags as i64),
            ("runtime", self.runtime as i64),
            ("deadline", self.deadline as i64),
            ("period", self.period as i64),
        ];
        let given = numbers.iter().filter(|(_, value)| *value != 0);
        given.fold(self.name.clone(), |text, (name, value)| format!("{text}, {name} {value}"))
    }
}

/// Returns the number of a policy, from linux/sched.h.
fn policy_number(policy: Policy) -> u32 {
    match policy {
        Policy::SchedOther => 0,
        Policy::SchedFifo => 1,
        Policy::SchedRr => 2,
        Policy::SchedBatch => 3,
        Policy::SchedIso => 4,
        Policy::SchedIdle => 5,
        Policy::SchedDeadline => 6,
    }
}

/// Returns the argument of ioprio_set(2).
pub fn io_priority(given: &LinuxIOPriority) -> u32 {
    const CLASS_SHIFT: u32 = 13;
    let class = match given.class() {
        IOPriorityClass::IoprioClassRt => 1,
        IOPriorityClass::IoprioClassBe => 2,
        IOPriorityClass::IoprioClassIdle => 3,
    };
    class << CLASS_SHIFT | given.priority() as u32
}

/// Renames two flags that the OCI crate spells differently from the specification, and removes what the crate takes for
/// an error in a list of processors: an empty list, empty elements, and blanks. `process` has been fitted to the table
/// of fields.
pub(super) fn adapt_to_types(process: &mut Value) {
    if let Some(Value::Array(flags)) = process.pointer_mut("/scheduler/flags") {
        for flag in flags {
            match flag.as_str() {
                Some("SCHED_FLAG_RESET_ON_FORK") => *flag = "SCHED_RESET_ON_FORK".into(),
                Some("SCHED_FLAG_DL_OVERRUN") => *flag = "SCHED_FLAG_D_L_OVERRUN".into(),
                _ => {}
            }
        }
    }
    if let Some(Value::Object(affinity)) = process.pointer_mut("/execCPUAffinity") {
        for list in affinity.values_mut() {
            let parts = list.as_str().unwrap_or_default().split(',').map(without_blanks);
            *list = parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join(",").into();
        }
        affinity.retain(|_, list| list != "");
    }
}

/// Removes the blanks around the numbers of a range, which the specification's schema permits.
fn without_blanks(range: &str) -> String {
    range.split('-').map(str::trim).collect::<Vec<_>>().join("-")
}

/// Checks the lists of processors before the OCI crate parses them, because the crate's errors do not tell what is
/// wrong.
pub(super) fn check_affinity(process: &Value, prefix: &str) -> Result<()> {
    for name in ["initial", "final"] {
        if let Some(list) = process.pointer(&format!("/execCPUAffinity/{name}")).and_then(Value::as_str) {
            number_list::check(list, MAX_PROCESSORS, &format!("{prefix}execCPUAffinity.{name}"))?;
        }
    }
    Ok(())
}

pub(super) fn check(process: &oci::Process, prefix: &str) -> Result<()> {
    let Some(scheduler) = process.scheduler() else { return Ok(()) };
    let at = |name: &str| format!("{prefix}scheduler.{name}");
    let policy = *scheduler.policy();
    if policy == Policy::SchedIso {
        return Err(Error::unsupported_field(
            &at("policy"),
            "SCHED_ISO is reserved, and Linux does not implement it; expected another policy",
        ));
    }
    check_priorities(scheduler, policy, &at)?;
    check_deadline(scheduler, policy, &at)
}

fn check_priorities(scheduler: &oci::Scheduler, policy: Policy, at: &dyn Fn(&str) -> String) -> Result<()> {
    let real_time = matches!(policy, Policy::SchedFifo | Policy::SchedRr);
    let priority = scheduler.priority().unwrap_or(0);
    match (real_time, priority) {
        (true, 1..=99) | (false, 0) => {}
        (true, _) => {
            let message = format!("{priority} is not a priority of {policy}; expected from 1 to 99");
            return Err(Error::config(&at("priority"), message));
        }
        (false, _) => {
            let message = format!("{priority} has no meaning for {policy}; expected it with SCHED_FIFO or SCHED_RR");
            return Err(Error::config(&at("priority"), message));
        }
    }
    // A nice value may be given with each policy: the kernel ignores it where it has no meaning.
    Ok(())
}

/// sched(7), "SCHED_DEADLINE".
fn check_deadline(scheduler: &oci::Scheduler, policy: Policy, at: &dyn Fn(&str) -> String) -> Result<()> {
    let [runtime, deadline, period] =
        [scheduler.runtime(), scheduler.deadline(), scheduler.period()].map(|given| given.unwrap_or(0));
    let given = [("runtime", runtime), ("deadline", deadline), ("period", period)];
    if policy != Policy::SchedDeadline {
        return match given.iter().find(|(_, value)| *value != 0) {
            Some((name, value)) => {
                let message = format!("{value} has no meaning for {policy}; expected it with SCHED_DEADLINE");
                Err(Error::config(&at(name), message))
            }
            None => Ok(()),
        };
    }
    if runtime < 1024 {
        let message = format!("{runtime} is too short for SCHED_DEADLINE; expected at least 1024 nanoseconds");
        return Err(Error::config(&at("runtime"), message));
    }
    if deadline < runtime {
        let message = format!("{deadline} is below the runtime {runtime}; expected at least that");
        return Err(Error::config(&at("deadline"), message));
    }
    if period != 0 && period < deadline {
        let message = format!("{period} is below the deadline {deadline}; expected at least that, or 0 for the same");
        return Err(Error::config(&at("period"), message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_have_the_kernels_bits() {
        let expected = [1u64, 2, 4, 8, 16, 32, 64];
        for (flag, bit) in FLAGS.iter().zip(expected) {
            let mut document = serde_json::json!({
                "user": { "uid": 0, "gid": 0 }, "args": ["x"], "cwd": "/",
                "scheduler": { "policy": "SCHED_OTHER", "flags": [flag] },
            });
            adapt_to_types(&mut document);
            let process: oci::Process = serde_json::from_value(document).unwrap();
            assert_eq!(Scheduler::of(&process).unwrap().flags, bit, "{flag}");
        }
    }

    #[test]
    fn an_io_priority_is_a_class_and_a_level() {
        let of = |class: &str, level: i64| {
            io_priority(&serde_json::from_value(serde_json::json!({ "class": class, "priority": level })).unwrap())
        };
        assert_eq!(
            [of("IOPRIO_CLASS_RT", 0), of("IOPRIO_CLASS_BE", 7), of("IOPRIO_CLASS_IDLE", 0)],
            [1 << 13, 2 << 13 | 7, 3 << 13]
        );
    }
}
