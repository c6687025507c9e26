//! Runs a model to exhaustion and says what came of it, in one row.
//!
//! A healthy model must keep every `always` and witness every `sometimes`; a model with a planted
//! bug must break the property that the bug aims at. Anything else is a failure of the run.

use core::fmt;
use core::hash::Hash;
use std::time::Instant;

use stateright::{Checker, Expectation, HasDiscoveries, Model};

/// Where a run gives up: more states would not fit into memory.
const STATES_MAX: usize = 60_000_000;

/// What one run found.
#[derive(Clone, Debug)]
pub struct Row {
    /// Which model.
    pub name: String,
    /// Within which bound.
    pub bound: String,
    /// How many different states were visited.
    pub states: usize,
    /// For how long.
    pub seconds: f64,
    /// How many properties held in every state.
    pub held: usize,
    /// How many witnesses were seen.
    pub seen: usize,
    /// For a planted bug: the property that caught it.
    pub caught: Option<&'static str>,
    /// What went wrong: properties broken, witnesses not seen, planted bugs not found.
    pub failures: Vec<String>,
    /// The shortest story of a failure or of a planted bug.
    pub story: Vec<String>,
}

impl Row {
    /// Whether everything that must hold was found to hold.
    #[must_use]
    pub const fn passed(&self) -> bool {
        self.failures.is_empty()
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcome = match (self.passed(), self.caught) {
            (false, _) => self.failures.join("; "),
            (true, Some(property)) => format!("planted bug found: {property}"),
            (true, None) => format!("{} hold, {} witnessed", self.held, self.seen),
        };
        let Self { name, bound, states, seconds, .. } = self;
        write!(f, "{name:<22} {bound:<44} {states:>11} {seconds:>8.1}  {outcome}")
    }
}

/// The line above the rows.
#[must_use]
pub fn heading() -> String {
    format!("{:<22} {:<44} {:>11} {:>8}  outcome", "model", "bound", "states", "seconds")
}

/// Visits every state of a model without planted bugs.
pub fn exhaust<M>(model: M, name: &str, bound: &str) -> Row
where
    M: Model + Send + Sync + 'static,
    M::State: fmt::Debug + Hash + Send + Sync + Clone + PartialEq + 'static,
    M::Action: fmt::Debug + Clone + PartialEq + Send + Sync + 'static,
{
    let begun = Instant::now();
    let checker = model.checker().threads(2).target_state_count(STATES_MAX).spawn_bfs().join();
    let mut row = empty(name, bound);
    for property in checker.model().properties() {
        let found = checker.discovery(property.name);
        match (property.expectation, found) {
            (Expectation::Always, None) => row.held += 1,
            (Expectation::Sometimes, Some(_)) => row.seen += 1,
            (Expectation::Always, Some(path)) => {
                row.failures.push(format!("BROKEN: {}", property.name));
                row.story = path.into_actions().iter().map(|act| format!("{act:?}")).collect();
            }
            (_, None) => row.failures.push(format!("never seen: {}", property.name)),
            (Expectation::Eventually, Some(_)) => {
                row.failures.push(format!("not to be relied on: {}", property.name));
            }
        }
    }
    row.states = checker.unique_state_count();
    if checker.state_count() >= STATES_MAX {
        row.failures.push("not exhausted: too many states for one machine".to_owned());
    }
    row.seconds = begun.elapsed().as_secs_f64();
    row
}

/// Searches a model with a planted bug until one of the properties `aims` breaks.
pub fn hunt<M>(model: M, name: &str, bound: &str, aims: &[&'static str]) -> Row
where
    M: Model + Send + Sync + 'static,
    M::State: fmt::Debug + Hash + Send + Sync + Clone + PartialEq + 'static,
    M::Action: fmt::Debug + Clone + PartialEq + Send + Sync + 'static,
{
    let begun = Instant::now();
    let aimed = HasDiscoveries::AnyOf(aims.iter().copied().collect());
    let checker = model.checker().threads(2).finish_when(aimed).spawn_bfs().join();
    let mut row = empty(name, bound);
    for aim in aims {
        if let (Some(path), None) = (checker.discovery(aim), row.caught) {
            row.caught = Some(aim);
            row.story = path.into_actions().iter().map(|act| format!("{act:?}")).collect();
        }
    }
    if row.caught.is_none() {
        row.failures.push("PLANTED BUG NOT FOUND".to_owned());
    }
    row.states = checker.unique_state_count();
    row.seconds = begun.elapsed().as_secs_f64();
    row
}

fn empty(name: &str, bound: &str) -> Row {
    Row {
        name: name.to_owned(),
        bound: bound.to_owned(),
        states: 0,
        seconds: 0.0,
        held: 0,
        seen: 0,
        caught: None,
        failures: Vec::new(),
        story: Vec::new(),
    }
}
