//! Small swarms under every fault at once, in search of a seed that breaks a promise.
//!
//! A hunt has two phases, as TigerBeetle's has: first everything goes wrong at random while users write, then
//! everything is mended, and after a minute what was acknowledged must be there.
//!
//! ```
//! use kadmap_sim::hunt::{Plan, run};
//! let plan = Plan::of_seed(1);
//! assert_eq!(run(&plan), run(&plan));
//! ```

mod chaos;
mod shrink;
mod watchers;

use std::panic::{AssertUnwindSafe, catch_unwind};

pub use shrink::shrink;

use chaos::{Chaos, Deeds};

/// Nodes of a hunted swarm: everybody holds everything, so that what is lost is lost by mistake.
const NODES: std::ops::RangeInclusive<usize> = 3..=12;
/// Steps of a hunt, each of which is a fault, an operation, or time that passes.
const STEPS: std::ops::RangeInclusive<usize> = 40..=400;

/// One hunt: it does the same each time.
///
/// ```
/// assert_eq!(kadmap_sim::hunt::Plan::of_seed(5), kadmap_sim::hunt::Plan::of_seed(5));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Decides everything.
    pub seed: u64,
    /// Nodes of the swarm.
    pub nodes: usize,
    /// How many things happen.
    pub steps: usize,
}

impl Plan {
    /// The hunt that a seed stands for.
    pub fn of_seed(seed: u64) -> Self {
        let mut dice = crate::Dice::new(seed);
        let mut within = |range: std::ops::RangeInclusive<usize>| {
            range.start() + dice.below(range.end() - range.start() + 1)
        };
        Self { seed, nodes: within(NODES), steps: within(STEPS) }
    }
}

/// What a hunt came to.
///
/// ```
/// let quiet = kadmap_sim::hunt::Plan { seed: 1, nodes: 3, steps: 0 };
/// assert!(kadmap_sim::hunt::run(&quiet).breaches.is_empty());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The hunt.
    pub plan: Plan,
    /// What was found broken, for people; empty when all promises were kept.
    pub breaches: Vec<String>,
    /// Appends that were begun.
    pub appends: usize,
    /// Writes that were acknowledged.
    pub acknowledged: usize,
    /// Arrivals and timers.
    pub events: u64,
    /// [`Sim::trace_hash`](crate::Sim::trace_hash) at the end.
    pub trace_hash: u64,
}

/// Runs one hunt. A panic of the core is a breach.
pub fn run(plan: &Plan) -> Verdict {
    play(plan, Deeds::Mixed)
}

/// Runs one hunt in which nodes only append, many at once.
pub(crate) fn run_appends(plan: &Plan) -> Verdict {
    play(plan, Deeds::Appends)
}

fn play(plan: &Plan, deeds: Deeds) -> Verdict {
    let hunted = catch_unwind(AssertUnwindSafe(|| Chaos::new(plan, deeds).play()));
    hunted.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        let breaches = vec![format!("panic: {}", text.unwrap_or_default())];
        Verdict { plan: *plan, breaches, appends: 0, acknowledged: 0, events: 0, trace_hash: 0 }
    })
}
