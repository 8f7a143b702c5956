//! What a scenario found, for people and for programs.

use serde::Serialize;

/// One measured number; its name ends in its unit.
///
/// ```
/// let figure = kadmap_sim::Figure { name: "messages_per_join", value: 300.0 };
/// assert!(figure.name.starts_with("messages"));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    /// What was measured, and its unit.
    pub name: &'static str,
    /// How much it is.
    pub value: f64,
}

/// One promise of a scenario, and whether it was kept.
///
/// ```
/// use kadmap_sim::Bound;
/// assert!(!Bound::at_most("keys lost", 3.0, 0.0).held);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bound {
    /// What is bounded.
    pub what: &'static str,
    /// What it came to.
    pub measured: f64,
    /// The bound: the least or the most that it may be.
    pub limit: f64,
    /// Whether the bound was kept.
    pub held: bool,
}

impl Bound {
    /// Something that must not be more than `limit`.
    pub fn at_most(what: &'static str, measured: f64, limit: f64) -> Self {
        Self { what, measured, limit, held: measured <= limit }
    }

    /// Something that must not be less than `limit`.
    pub fn at_least(what: &'static str, measured: f64, limit: f64) -> Self {
        Self { what, measured, limit, held: measured >= limit }
    }
}

/// What was sent for one purpose with one kind of message.
///
/// ```
/// assert_eq!(kadmap_sim::TrafficRow::default().purpose, "");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct TrafficRow {
    /// What for.
    pub purpose: String,
    /// The kind of message.
    pub kind: &'static str,
    /// Requests, repeats not counted.
    pub requests: u64,
    /// Those of them to nodes that were down.
    pub requests_to_the_dead: u64,
    /// Requests and their repeats.
    pub packets: u64,
    /// Those of them to nodes that were down.
    pub packets_to_the_dead: u64,
    /// Bytes of requests, repeats and answers, for each node and second.
    pub bytes_per_node_and_second: f64,
}

/// What a run of a scenario came to.
///
/// ```
/// assert!(kadmap_sim::Report::default().holds());
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Report {
    /// Which scenario.
    pub scenario: &'static str,
    /// What decided everything.
    pub seed: u64,
    /// Nodes it was run with.
    pub nodes: usize,
    /// What was measured, in the order of the run.
    pub figures: Vec<Figure>,
    /// What was sent for what, where the scenario tells it; most bytes first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub traffic: Vec<TrafficRow>,
    /// What had to hold.
    pub bounds: Vec<Bound>,
    /// Arrivals and timers.
    pub events: u64,
    /// Virtual time that passed.
    pub virtual_seconds: f64,
    /// [`Sim::trace_hash`](crate::Sim::trace_hash) at the end, in hexadecimal.
    pub trace_hash: String,
}

impl Report {
    /// Whether every bound was kept.
    pub fn holds(&self) -> bool {
        self.bounds.iter().all(|bound| bound.held)
    }

    /// A figure by name.
    pub fn figure(&self, name: &str) -> Option<f64> {
        self.figures.iter().find(|figure| figure.name == name).map(|figure| figure.value)
    }
}
