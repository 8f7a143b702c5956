//! A seeded simulator of kadmap swarms.
//!
//! The very core that production runs, under virtual time: what a simulation shows is a result about production.
//! One seed decides everything: the same seed and the same calls give the same [`Sim::trace_hash`], on any machine.
//!
//! - [`Sim`]: nodes, links, clocks, stores, faults and operations.
//! - [`scenarios`]: what `kadmap sim SCENARIO` runs, each with its bounds.
//! - [`hunt`]: small swarms under every fault at once, in search of a seed that breaks a promise.
//!
//! `docs/simulator.md` tells how to write a scenario, what is modelled and what is not.

mod address;
mod clock;
mod dice;
pub mod hunt;
mod ledger;
mod link;
mod memory;
mod neighbourhood;
mod pipe;
mod purposes;
mod queue;
mod report;
mod scenario;
mod shelf;
mod sim;
mod span;
mod store;
mod trace;
mod traffic;

pub use address::SimAddress;
pub use dice::Dice;
pub use ledger::{Breach, EntryId, Ledger, Writer};
pub use link::{Latency, Link};
pub use neighbourhood::Neighbourhood;
pub use purposes::{Purposes, Tally};
pub use report::{Bound, Figure, Report, TrafficRow};
pub use scenario::{Plan, Progress, Scenario, scenarios};
pub use sim::{Disk, End, NodeIndex, Operation, Outcome, Sim, SimNode, Watch};
pub use span::Span;
pub use store::{SimStore, Snapshot};
pub use traffic::{Count, Traffic};
