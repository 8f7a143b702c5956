//! Everything that can go wrong, at random, while users write.

use std::collections::BTreeMap;
use std::time::Duration;

use kadmap_core::{Change, Consistency, NodeId, ReadOptions, Stamp, WriteOptions};

use super::watchers::Watchers;
use super::{Plan, Verdict};
use crate::ledger::EntryId;
use crate::{Breach, Disk, Ledger, Link, NodeIndex, Operation, Sim};

/// Records that are put and deleted.
const REGISTERS: usize = 2;
/// Records that are appended to and deleted.
const LISTS: usize = 2;
/// Records that are appended to where nodes only append.
const LONG_LISTS: usize = 32;
/// Appends of one step where nodes only append: a burst from as many nodes.
const APPENDS_PER_STEP: usize = 32;
/// Time between two steps at most.
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// How far one jump sets a clock off: ten minutes.
const JUMP_MS_MAX: usize = 600_000;
/// Time after the mending in which the swarm has to come to itself: three repair periods.
const RECOVERY: Duration = Duration::from_secs(1_800);
/// Time in which a node leaves at most.
const LEAVING: Duration = Duration::from_secs(60);

/// What users do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deeds {
    /// They put, append, remove, trim and delete.
    Mixed,
    /// They append, many at once.
    Appends,
}

/// A hunt under way.
pub(super) struct Chaos {
    plan: Plan,
    deeds: Deeds,
    /// Whether a clock was set wrong: then stamps may be refused where they are too far ahead, and replicas differ.
    clocks_differ: bool,
    appends: usize,
    sim: Sim,
    nodes: Vec<NodeIndex>,
    ledger: Ledger,
    watchers: Watchers,
    running: Vec<(Operation, EntryId)>,
    /// When each node last lost its disk, by the ledger's clock.
    wiped: BTreeMap<NodeId, u64>,
    written: usize,
    breaches: Vec<String>,
}

impl Chaos {
    pub(super) fn new(plan: &Plan, deeds: Deeds) -> Self {
        let mut sim = Sim::new(plan.seed, Link::lan());
        let nodes = sim.grow(plan.nodes, Duration::from_millis(10));
        sim.run_for(Duration::from_secs(2));
        Self {
            plan: *plan,
            deeds,
            clocks_differ: false,
            appends: 0,
            sim,
            nodes,
            ledger: Ledger::default(),
            watchers: Watchers::default(),
            running: Vec::new(),
            wiped: BTreeMap::new(),
            written: 0,
            breaches: Vec::new(),
        }
    }

    pub(super) fn play(mut self) -> Verdict {
        for _ in 0..self.plan.steps {
            self.step();
            self.collect();
            self.watch();
        }
        self.mend();
        self.judge();
        Verdict {
            plan: self.plan,
            breaches: self.breaches,
            appends: self.appends,
            acknowledged: self.ledger.acknowledged(),
            events: self.sim.events(),
            trace_hash: self.sim.trace_hash(),
        }
    }

    /// Three things in four are users' doings, the fourth is a fault.
    fn step(&mut self) {
        match self.sim.dice().below(16) {
            0..8 if self.deeds == Deeds::Appends => (0..APPENDS_PER_STEP).for_each(|_| self.append()),
            0..8 => self.write(),
            8..12 => {
                let pause = self.sim.dice().between(Duration::ZERO, PAUSE_MAX);
                self.sim.run_for(pause);
            }
            _ => self.fault(),
        }
    }

    fn fault(&mut self) {
        let node = self.any();
        match self.sim.dice().below(14) {
            0 => self.sim.kill(node),
            1 => self.sim.stop(node),
            2 | 3 => self.restart(node),
            4 => self.sim.freeze(node),
            5 | 6 => self.sim.thaw(node),
            7 => self.split(),
            8 | 9 => self.sim.heal(),
            10 => {
                // A writer's order is promised whatever clocks do within minutes, and no further.
                let by_ms = self.sim.dice().below(2 * JUMP_MS_MAX + 1) as i64 - JUMP_MS_MAX as i64;
                self.clocks_differ = true;
                self.sim.jump_clock(node, by_ms);
            }
            11 => {
                let by_ppm = self.sim.dice().below(2_001) as i32 - 1_000;
                self.clocks_differ = true;
                self.sim.drift_clock(node, by_ppm);
            }
            12 => {
                let every = [0, 2, 3, 10][self.sim.dice().below(4)];
                self.sim.fail_store_every(node, every);
            }
            _ => self.change_link(),
        }
    }

    /// Starts a node again, one time in four on an empty disk.
    fn restart(&mut self, node: NodeIndex) {
        if self.sim.is_up(node) {
            return;
        }
        let lost = self.sim.dice().below(4) == 0;
        self.sim.restart(node, if lost { Disk::Lost } else { Disk::Kept });
        if lost && let Some(id) = self.id(node) {
            self.wiped.insert(id, self.ledger.clock());
        }
    }

    /// Cuts links between two groups, half of the time one way only.
    fn split(&mut self) {
        let mut order = self.nodes.clone();
        let size = 1 + self.sim.dice().below(order.len() - 1);
        self.sim.dice().draw_to_front(&mut order, size);
        let (one, other) = order.split_at(size);
        if self.sim.dice().chance(0.5) {
            self.sim.partition(one, other);
        } else {
            self.sim.cut(one, other);
        }
    }

    fn change_link(&mut self) {
        let mut share = |most: f64| self.sim.dice().fraction() * most;
        let (loss, duplicates, reordered) = (share(0.3), share(0.5), share(0.5));
        let jitter = Duration::from_millis(share(200.0) as u64);
        self.sim.link = Link { loss, duplicates, reordered, jitter, ..Link::lan() };
    }

    fn append(&mut self) {
        let at = self.any();
        let writer = u64::from(at.0) << 32 | u64::from(self.sim.starts(at));
        self.written += 1;
        self.appends += 1;
        let payload = format!("{at}, write {}", self.written);
        let name = format!("list {}", self.sim.dice().below(LONG_LISTS));
        let entry = self.ledger.begin_append(&name, payload.clone(), writer);
        let operation = self.sim.write(at, &name, crate::sim::append(payload), WriteOptions::default());
        self.running.push((operation, entry));
    }

    fn write(&mut self) {
        let at = self.any();
        let writer = u64::from(at.0) << 32 | u64::from(self.sim.starts(at));
        self.written += 1;
        let payload = format!("{at}, write {}", self.written);
        let name = self.name();
        let chance = self.sim.dice().below(16);
        let is_list = name.starts_with("list");
        let (entry, change) = match (chance, self.appended(&name)) {
            (0 | 1, _) => (self.ledger.begin_delete(&name, writer), Change::Delete),
            (2 | 3, Some(stamp)) => {
                (self.ledger.begin_remove(&name, stamp, writer), Change::Remove { stamp })
            }
            (4, Some(up_to)) => (self.ledger.begin_trim(&name, up_to, writer), Change::Trim { up_to }),
            _ if !is_list => {
                (self.ledger.begin_put(&name, payload.clone(), writer), crate::sim::put(payload))
            }
            _ => {
                self.appends += 1;
                (self.ledger.begin_append(&name, payload.clone(), writer), crate::sim::append(payload))
            }
        };
        let operation = self.sim.write(at, &name, change, WriteOptions::default());
        self.running.push((operation, entry));
    }

    /// The stamp of an item that was acknowledged, if there is any.
    fn appended(&mut self, name: &str) -> Option<Stamp> {
        let stamps = self.ledger.appended(name);
        (!stamps.is_empty()).then(|| stamps[self.sim.dice().below(stamps.len())])
    }

    /// Lets somebody begin to watch, where too few do.
    fn watch(&mut self) {
        self.watchers.collect(&self.sim, &self.ledger);
        if self.deeds == Deeds::Mixed && self.watchers.are_too_few() {
            let (at, name) = (self.any(), self.name());
            self.watchers.begin(&mut self.sim, at, name);
        }
    }

    /// One of the records that are written to.
    fn name(&mut self) -> String {
        match self.sim.dice().below(REGISTERS + LISTS) {
            number if number < REGISTERS => format!("register {number}"),
            number => format!("list {number}"),
        }
    }

    /// Notes what has come of the operations.
    fn collect(&mut self) {
        let (sim, ledger) = (&mut self.sim, &mut self.ledger);
        self.running.retain(|(operation, entry)| {
            let Some(outcome) = sim.outcome(*operation) else { return true };
            ledger.end(*entry, outcome.written().as_ref());
            false
        });
    }

    /// Ends all faults but the wrong clocks, and waits until the swarm has come to itself.
    fn mend(&mut self) {
        self.sim.link = Link::lan();
        for node in self.nodes.clone() {
            self.sim.fail_store_every(node, 0);
            self.sim.thaw(node);
        }
        self.sim.heal();
        for node in self.nodes.clone() {
            self.sim.restart(node, Disk::Kept);
            self.sim.run_for(Duration::from_millis(100));
        }
        self.sim.run_for(LEAVING);
        // Nodes that were leaving when the faults ended have left meanwhile.
        for node in self.nodes.clone() {
            self.sim.restart(node, Disk::Kept);
        }
        // Who had found nobody to join, because nobody was there yet, tries again, as a real node does all along.
        self.sim.heal();
        self.sim.run_for(RECOVERY);
        self.collect();
        self.watchers.collect(&self.sim, &self.ledger);
    }

    fn judge(&mut self) {
        let names: Vec<_> = self.ledger.names().map(str::to_owned).collect();
        for name in names {
            let at = self.any();
            let all = ReadOptions { consistency: Some(Consistency::All), timeout: None };
            let operation = self.sim.read(at, &name, all);
            let outcome = self.sim.finish(operation);
            let end = format!("{:?}", outcome.end);
            let Some(found) = outcome.read() else {
                self.breaches.push(format!("{at} cannot read '{name}' from the mended swarm: {end}"));
                continue;
            };
            let wiped = &self.wiped;
            let survives = |holder: &NodeId, began: u64| wiped.get(holder).is_none_or(|at| *at < began);
            let mut broken = self.ledger.judge(&name, found.record.as_ref(), survives);
            broken.extend(self.watchers.judge(&self.sim, &self.ledger, &name, found.record.as_ref()));
            // An append that met a delete is stamped again above it; when every disk with the delete is lost, both
            // stamps count. Known, and not a promise: what was acknowledged is there.
            let may_double = self.deeds == Deeds::Mixed && !wiped.is_empty();
            let excused = |breach: &Breach| matches!(breach, Breach::Doubled { .. }) && may_double;
            self.breaches.extend(broken.iter().filter(|breach| !excused(breach)).map(ToString::to_string));
            if !self.clocks_differ {
                self.compare_replicas(&name);
            }
        }
    }

    /// Everybody holds everything in so small a swarm, and three repair periods after the mending everybody holds the same.
    fn compare_replicas(&mut self, name: &str) {
        let states: Vec<_> = self.nodes.iter().map(|node| self.sim.peek(*node, name)).collect();
        let differing = states.iter().filter(|state| **state != states[0]).count();
        if differing > 0 {
            self.breaches
                .push(format!("{differing} of {} nodes hold another '{name}' than node 0", states.len()));
        }
    }

    fn any(&mut self) -> NodeIndex {
        self.nodes[self.sim.dice().below(self.nodes.len())]
    }

    fn id(&self, node: NodeIndex) -> Option<NodeId> {
        Some(self.sim.node(node)?.id())
    }
}
