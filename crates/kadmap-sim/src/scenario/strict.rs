//! What was acknowledged is in every read that begins afterwards, whoever is slow and whoever comes and goes in order.

use std::collections::BTreeSet;
use std::time::Duration;

use kadmap_core::{Config, ReadOptions, Record, Role, WriteOptions};

use super::{Scenario, Stage};
use crate::{NodeIndex, Operation, Outcome, Sim};

/// Holders of each record; which of these, the seed decides.
const REPLICATIONS: [usize; 3] = [3, 5, 20];
/// Nodes that only ask: they know nobody's neighbourhood and look for it each time.
const CLIENTS: usize = 8;
/// Time between two steps at most.
const PAUSE_MAX: Duration = Duration::from_millis(10);
/// How long a node stands still at most: for less than it takes until it is given up.
const STILL_MAX: Duration = Duration::from_millis(60);
/// How long it goes on at least before it stands still again, so that it answers what it was asked.
const AWAKE_MIN: Duration = Duration::from_millis(60);
/// Steps after which, on average, part of the swarm stands still.
const STEPS_PER_STALL: usize = 8;
/// Time from one node that comes or goes to the next.
const CHANGE_EVERY: Duration = Duration::from_secs(4);
/// Virtual time in which the tables of a young swarm come to agree.
const RESTING: Duration = Duration::from_secs(60);

pub(super) const SCENARIO: Scenario = Scenario {
    name: "strict",
    about: "parts of the swarm stand still by turns, for 60 ms at most, and nodes join and leave in order one by one: \
            every read finds what was acknowledged before it began (K1)",
    nodes: 40,
    keys: 8,
    span: Duration::from_secs(120),
    play,
};

/// The items of a list that were acknowledged, in that order.
type List = Vec<String>;

/// A read under way, and how many items of the list had been acknowledged when it began.
struct Reading {
    operation: Operation,
    list: usize,
    known: usize,
}

/// Operations under way, and what came of the others.
#[derive(Default)]
struct Users {
    lists: Vec<List>,
    writing: Vec<(Operation, usize, String)>,
    reading: Vec<Reading>,
    written: usize,
    failed: usize,
    read: usize,
    missed: usize,
}

impl Users {
    /// Appends to some list, or reads it.
    fn act(&mut self, sim: &mut Sim, at: NodeIndex) {
        let list = sim.dice().below(self.lists.len());
        if sim.dice().chance(0.5) {
            self.written += 1;
            let item = format!("item {}", self.written);
            let change = crate::sim::append(item.clone());
            let operation = sim.write(at, &name(list), change, WriteOptions::default());
            self.writing.push((operation, list, item));
            return;
        }
        let known = self.lists[list].len();
        let operation = sim.read(at, &name(list), ReadOptions::default());
        self.reading.push(Reading { operation, list, known });
    }

    /// Takes note of the operations that have ended.
    fn collect(&mut self, sim: &mut Sim) {
        for (operation, list, item) in std::mem::take(&mut self.writing) {
            match sim.outcome(operation).map(Outcome::written) {
                None => self.writing.push((operation, list, item)),
                Some(Some(_)) => self.lists[list].push(item),
                Some(None) => self.failed += 1,
            }
        }
        for one in std::mem::take(&mut self.reading) {
            match sim.outcome(one.operation).map(Outcome::read) {
                None => self.reading.push(one),
                Some(Some(found)) => self.judge(&one, found.record.as_ref()),
                Some(None) => self.failed += 1,
            }
        }
    }

    fn judge(&mut self, read: &Reading, found: Option<&Record>) {
        self.read += 1;
        self.missed += usize::from(!holds_all(found, &self.lists[read.list][..read.known]));
    }
}

struct Swarm {
    members: Vec<NodeIndex>,
    clients: Vec<NodeIndex>,
    /// Who stands still, and until when.
    still: Vec<(NodeIndex, Duration)>,
    /// Who has stood still lately, and when it may again.
    awake: Vec<(NodeIndex, Duration)>,
}

impl Swarm {
    /// Somebody that can be asked now.
    fn any(&self, sim: &mut Sim) -> NodeIndex {
        loop {
            let place = sim.dice().below(self.members.len() + self.clients.len());
            let node = self.members.get(place).unwrap_or_else(|| &self.clients[place - self.members.len()]);
            if !self.still.iter().any(|(still, _)| still == node) && sim.has_joined(*node) {
                return *node;
            }
        }
    }

    /// Lets a part of the members stand still that has not lately; never all.
    fn stall(&mut self, sim: &mut Sim) {
        let now = sim.now();
        self.awake.retain(|(_, until)| *until > now);
        let resting: BTreeSet<_> = self.still.iter().chain(&self.awake).map(|(node, _)| *node).collect();
        let mut able: Vec<_> = self.members.iter().copied().filter(|node| !resting.contains(node)).collect();
        let count = sim.dice().below(able.len() / 2 + 1);
        sim.dice().draw_to_front(&mut able, count);
        for node in able.into_iter().take(count) {
            let until = now + sim.dice().between(Duration::ZERO, STILL_MAX);
            sim.freeze(node);
            self.still.push((node, until));
        }
    }

    fn thaw_due(&mut self, sim: &mut Sim) {
        let now = sim.now();
        for (node, _) in self.still.extract_if(.., |(_, until)| *until <= now) {
            sim.thaw(node);
            self.awake.push((node, now + AWAKE_MIN));
        }
    }

    /// One joins, or one leaves for good.
    fn change(&mut self, sim: &mut Sim, most: usize) {
        if self.members.len() < most {
            self.members.push(sim.spawn());
            return;
        }
        let place = sim.dice().below(self.members.len());
        let leaver = self.members[place];
        if !self.still.iter().any(|(still, _)| *still == leaver) {
            self.members.swap_remove(place);
            sim.stop(leaver);
        }
    }
}

fn play(stage: &mut Stage<'_>) {
    let replication = REPLICATIONS[(stage.plan.seed % REPLICATIONS.len() as u64) as usize];
    let config = Config { replication, ..Config::default() };
    stage.sim.configure(config.clone());
    let members = stage.settled_swarm();
    stage.sim.configure(Config { role: Role::Client, ..config.clone() });
    let clients = stage.sim.grow(CLIENTS, Duration::from_millis(1));
    stage.sim.configure(config);
    stage.pass("resting", RESTING);
    let mut swarm = Swarm { members, clients, still: Vec::new(), awake: Vec::new() };
    let mut users = Users { lists: vec![List::new(); stage.plan.keys], ..Users::default() };
    let (begun, span) = (stage.sim.now(), stage.plan.span);
    let mut change_at = begun + CHANGE_EVERY;
    while stage.sim.now() < begun + span {
        swarm.thaw_due(&mut stage.sim);
        if stage.sim.dice().below(STEPS_PER_STALL) == 0 {
            swarm.stall(&mut stage.sim);
        }
        if stage.sim.now() >= change_at {
            change_at += CHANGE_EVERY;
            swarm.change(&mut stage.sim, stage.plan.nodes);
        }
        let at = swarm.any(&mut stage.sim);
        users.act(&mut stage.sim, at);
        let pause = stage.sim.dice().between(Duration::ZERO, PAUSE_MAX);
        stage.sim.run_for(pause);
        users.collect(&mut stage.sim);
        let passed = stage.sim.now() - begun;
        stage.progress("reading", passed.as_millis() as usize, span.as_millis() as usize);
    }
    stage.figure("replication", replication as f64);
    stage.figure("appends", users.written as f64);
    stage.figure("operations_failed", users.failed as f64);
    stage.at_least("reads", users.read as f64, span.as_secs() as f64 * 10.0);
    stage.at_most("reads that missed what was acknowledged before", users.missed as f64, 0.0);
}

fn name(list: usize) -> String {
    format!("list {list}")
}

fn holds_all(record: Option<&Record>, items: &[String]) -> bool {
    let payloads = record.into_iter().flat_map(Record::items).filter_map(|item| item.payload.as_ref());
    let found: BTreeSet<_> = payloads.map(|payload| payload.bytes.as_ref()).collect();
    items.iter().all(|item| found.contains(item.as_bytes()))
}
