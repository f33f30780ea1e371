//! Looks for an order of overlapping operations that explains every answer (linearizability), for one id.
//!
//! It goes through the history in the order of time with the set of all configurations that are possible: the state of
//! the container and the progress of each operation under way. When an operation returns, only those remain in which it
//! is done with its answer. If none remains, no order explains the history.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write;

use super::history::{Answer, EVERY, Entry, Event};
use super::rules::{CUT, DONE, Operation, Progress, cut, steps};
use super::state::State;

#[derive(Clone, PartialEq, Eq, Hash)]
struct Configuration {
    state: State,
    pending: Vec<Progress>,
}

/// What explaining one id's history took.
pub struct Explained {
    /// The operations that were cut off by the end of their process.
    pub cut: usize,
    /// The highest number of operations under way at the same time.
    pub overlapping: usize,
}

struct Checker<'a> {
    operations: &'a BTreeMap<u32, Operation>,
    dying: HashSet<u32>,
    possible: HashSet<Configuration>,
}

/// Explains the history of an id, or returns why that is impossible.
pub fn explain(entries: &[Entry], id: u8) -> Result<Explained, String> {
    let entries: Vec<Entry> = entries.iter().filter(|entry| entry.id == id || entry.id == EVERY).copied().collect();
    let operations = operations(&entries);
    let start = Configuration { state: State::default(), pending: Vec::new() };
    let mut checker = Checker { operations: &operations, dying: HashSet::new(), possible: HashSet::from([start]) };
    let cut = operations.values().filter(|operation| operation.answer.is_none()).count();
    let mut explained = Explained { cut, overlapping: 0 };
    for (index, entry) in entries.iter().enumerate() {
        let before = checker.possible.clone();
        checker.take(entry);
        if checker.possible.is_empty() {
            return Err(describe(&entries[..=index], &operations, &before));
        }
        let pending = |configuration: &Configuration| configuration.pending.len();
        explained.overlapping = explained.overlapping.max(checker.possible.iter().map(pending).max().unwrap_or(0));
    }
    Ok(explained)
}

/// Joins calls and returns.
fn operations(entries: &[Entry]) -> BTreeMap<u32, Operation> {
    let mut operations = BTreeMap::new();
    for entry in entries {
        let number = entry.operation;
        match entry.event {
            Event::Call { verb, argument } => {
                let (worker, handle) = (entry.worker, entry.handle);
                operations.insert(number, Operation { number, worker, verb, argument, handle, answer: None });
            }
            Event::Return(answer) => operations.get_mut(&number).expect("it was called").answer = Some(answer),
            Event::Dying | Event::Dead => {}
        }
    }
    operations
}

impl Checker<'_> {
    fn take(&mut self, entry: &Entry) {
        match entry.event {
            Event::Call { .. } => {
                let progress = Progress { operation: entry.operation, phase: 0, made_by: 0 };
                let add = |mut configuration: Configuration| {
                    configuration.pending.push(progress);
                    configuration
                };
                self.possible = self.possible.drain().map(add).collect();
            }
            Event::Return(_) => self.keep(|progress| (progress.operation == entry.operation).then_some(DONE..=DONE)),
            Event::Dying => {
                self.dying.insert(entry.worker);
            }
            Event::Dead => {
                let operations = self.operations;
                let of_worker = |progress: &Progress| operations[&progress.operation].worker == entry.worker;
                self.keep(|progress| of_worker(progress).then_some(DONE..=CUT));
                let without = |mut configuration: Configuration| {
                    let leaving = &mut configuration.state.leaving;
                    *leaving = if *leaving == entry.worker { 0 } else { *leaving };
                    configuration
                };
                self.possible = self.possible.drain().map(without).collect();
            }
        }
    }

    /// Keeps the configurations in which certain operations have a certain phase, and removes these from them.
    fn keep(&mut self, wanted: impl Fn(&Progress) -> Option<std::ops::RangeInclusive<u8>>) {
        self.extend();
        let filter = |mut configuration: Configuration| {
            let fits = |progress: &Progress| wanted(progress).is_none_or(|phases| phases.contains(&progress.phase));
            let fit = configuration.pending.iter().all(fits);
            configuration.pending.retain(|progress| wanted(progress).is_none());
            fit.then_some(configuration)
        };
        self.possible = self.possible.drain().filter_map(filter).collect();
    }

    /// Adds everything that can happen before the next event.
    fn extend(&mut self) {
        let mut queue: Vec<Configuration> = self.possible.iter().cloned().collect();
        while let Some(configuration) = queue.pop() {
            for next in self.successors(&configuration) {
                if !self.possible.contains(&next) {
                    self.possible.insert(next.clone());
                    queue.push(next);
                }
            }
        }
    }

    fn successors(&self, from: &Configuration) -> Vec<Configuration> {
        let mut found: Vec<Configuration> =
            from.state.events().map(|state| Configuration { state, pending: from.pending.clone() }).collect();
        let alone = from.pending.len() == 1;
        for (index, progress) in from.pending.iter().enumerate().filter(|(_, progress)| progress.phase < DONE) {
            let operation = &self.operations[&progress.operation];
            let mut add = |progress: Progress, state: State| {
                let mut pending = from.pending.clone();
                pending[index] = progress;
                found.push(Configuration { state, pending });
            };
            for (progress, state) in steps(operation, *progress, from.state, alone) {
                add(progress, state);
            }
            if operation.answer.is_none() && self.dying.contains(&operation.worker) {
                for state in cut(*progress, operation.worker, from.state) {
                    add(Progress { phase: CUT, ..*progress }, state);
                }
            }
        }
        found
    }
}

/// Tells what happened last, and what was possible before that.
fn describe(entries: &[Entry], operations: &BTreeMap<u32, Operation>, before: &HashSet<Configuration>) -> String {
    const SHOWN: usize = 40;
    let mut text = String::from("no order of the operations explains the last of these answers:\n");
    for entry in &entries[entries.len().saturating_sub(SHOWN)..] {
        let number = entry.operation;
        let _ = match (entry.event, operations.get(&number)) {
            (Event::Call { argument, .. }, Some(operation)) => {
                let (verb, handle) = (operation.verb.name(), operation.handle);
                let end = if operation.answer.is_none() { ", cut off" } else { "" };
                writeln!(text, "  {number:>7} of worker {} {verb} {argument} (handle {handle}){end}", entry.worker)
            }
            (Event::Return(answer), Some(operation)) => {
                writeln!(text, "  {number:>7} {} returns {answer:?}", operation.verb.name())
            }
            (event, _) => writeln!(text, "          worker {} is {event:?}", entry.worker),
        };
    }
    text += "before that:\n";
    for configuration in before.iter().take(8) {
        let _ = writeln!(text, "  {:?}\n    {:?}", configuration.state, configuration.pending);
    }
    text
}

/// Whether an answer is one that could be another one: for tests of the checker.
pub fn falsified(entry: &Entry, other: Answer) -> Option<Entry> {
    match entry.event {
        Event::Return(answer) if answer != other => Some(Entry { event: Event::Return(other), ..*entry }),
        _ => None,
    }
}
