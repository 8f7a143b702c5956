//! What the simulator keeps of one node.

use crate::SimAddress;
use crate::clock::NodeClock;
use crate::pipe::Pipe;
use crate::queue::Flight;
use crate::sim::SimNode;
use crate::store::SimStore;

/// How a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    /// It hears and acts.
    Up,
    /// It runs but does nothing, as a process that was stopped; its socket buffers what arrives.
    Frozen,
    /// It does not run.
    Down,
}

/// One node and what is around it.
pub(super) struct Slot {
    pub(super) address: SimAddress,
    /// Boxed, so that a swarm that grows does not move its nodes about. There while the node is not down.
    pub(super) node: Option<Box<SimNode>>,
    /// What it left when it went down; boxed, as most nodes are up.
    pub(super) disk: Option<Box<SimStore>>,
    pub(super) condition: Condition,
    pub(super) clock: NodeClock,
    /// When its queued timer rings; `u64::MAX` without one.
    pub(super) timer_us: u64,
    /// When it wants to be called; `u64::MAX` for never.
    pub(super) due_us: u64,
    /// How often it was started.
    pub(super) incarnation: u32,
    pub(super) joined: bool,
    /// Whether it only asks: nobody joins through it.
    pub(super) is_client: bool,
    /// Whether it started without finding anybody though it was to join.
    pub(super) alone: bool,
    /// What arrived while it was frozen.
    pub(super) held: Vec<Flight>,
    /// Its way in and its way out, where they are narrow.
    pub(super) pipes: Option<Box<[Pipe; 2]>>,
}

impl Slot {
    pub(super) fn new(address: SimAddress) -> Self {
        Self {
            address,
            node: None,
            disk: None,
            condition: Condition::Down,
            clock: NodeClock::default(),
            timer_us: u64::MAX,
            due_us: u64::MAX,
            incarnation: 0,
            joined: false,
            is_client: false,
            alone: false,
            held: Vec::new(),
            pipes: None,
        }
    }
}
