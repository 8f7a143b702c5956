//! A swarm grows tenfold within minutes.

use std::time::Duration;

use kadmap_core::wire::{Body, Message, Put, PutMode, Request, encoded_bytes};
use kadmap_core::{Base, Counters, Distance, Key, Record, Shape, Stamp};

use super::stage::key;
use super::{Scenario, Stage};
use crate::{NodeIndex, Operation, SimAddress};

/// How many times the swarm grows.
const GROWTH: usize = 10;
/// Holders of each key, as configured.
const REPLICATION: usize = 20;
/// Gets in each second while nodes join.
const GETS_PER_SECOND: usize = 200;
/// How long a value may be unreachable: what D9 allows.
const UNREACHABLE_MAX: Duration = Duration::from_secs(30);
/// What D9 allows of hand-over.
const COPYING_FACTOR: f64 = 1.5;
/// From so many keys for each node of the grown swarm on.
const KEYS_PER_NODE_MIN: usize = 2;
/// Time after the last join in which hand-over ends.
const AFTERMATH: Duration = Duration::from_secs(60);

pub(super) const SCENARIO: Scenario = Scenario {
    name: "mass-join",
    about: "a tenth of the nodes hold the keys, the others join within the span, and every value stays readable (D9)",
    nodes: 1_000,
    keys: 2_000,
    span: Duration::from_secs(600),
    play,
};

fn play(stage: &mut Stage<'_>) {
    let total = stage.plan.nodes;
    stage.plan.nodes = total / GROWTH;
    let mut nodes = stage.settled_swarm();
    let (_, put) = stage.put_keys(&nodes);
    let keys = stage.plan.keys;
    stage.at_least("keys put", put as f64, keys as f64);
    stage.pass("copying", Duration::from_secs(2));

    let mut ideal = Ideal::of(stage, &nodes);
    stage.sim.counts_bytes = true;
    let before = stage.sim.traffic().clone();
    let newcomers = total - nodes.len();
    let pause = stage.plan.span / newcomers.max(1) as u32;
    let (start, mut reach) = (stage.sim.now(), Reach::new(keys));
    for number in 0..newcomers {
        let newcomer = stage.sim.spawn();
        nodes.push(newcomer);
        ideal.joined(stage, newcomer);
        stage.sim.run_for((start + pause * (number as u32 + 1)).saturating_sub(stage.sim.now()));
        reach.go_on(stage, start, &nodes);
        if number % 100 == 0 {
            stage.progress("joining", number, newcomers);
        }
    }
    let joined = stage.sim.now();
    while stage.sim.now() < joined + AFTERMATH {
        stage.sim.run_for(Duration::from_millis(100));
        reach.go_on(stage, start, &nodes);
    }
    let counted = |count: fn(&Counters) -> u64| -> u64 {
        nodes.iter().filter_map(|node| Some(count(stage.sim.node(*node)?.counters()))).sum()
    };
    let (copies, comparisons) =
        (counted(|counters| counters.repair_copies), counted(|counters| counters.repair_comparisons));
    let copying = stage.sim.traffic().since(&before).copying();
    let longest = reach.longest(stage.sim.now());
    stage.figure("nodes_at_the_end", nodes.len() as f64);
    stage.figure("gets", reach.asked as f64);
    stage.figure("gets_without_the_value", reach.failed as f64);
    stage.figure("copies_that_newcomers_must_receive", ideal.copies as f64);
    stage.figure("bytes_of_these_copies", ideal.bytes as f64);
    stage.figure("copies_that_holders_sent", copies as f64);
    stage.figure("comparisons_of_holders", comparisons as f64);
    stage.figure("bytes_of_hand_over_and_repair", copying.bytes as f64);
    stage.at_most(
        "seconds that a value was unreachable",
        longest.as_secs_f64(),
        UNREACHABLE_MAX.as_secs_f64(),
    );
    let factor = copying.bytes as f64 / ideal.bytes.max(1) as f64;
    let what = "bytes of hand-over as a multiple of the copies that newcomers must receive once";
    // Who holds next to nothing compares it with as many holders all the same.
    if keys >= KEYS_PER_NODE_MIN * nodes.len() {
        stage.at_most(what, factor, COPYING_FACTOR);
    } else {
        stage.figure("bytes_of_hand_over_as_a_multiple_of_these_copies", factor);
    }
}

/// What must be sent at least: each newcomer receives once what it is responsible for when it joins, as one message
/// that copies a record. Answers and questions are not counted, as they could be left out.
struct Ideal {
    /// For each key, the distances of the closest nodes so far, nearest first.
    closest: Vec<(Key, Vec<Distance>)>,
    put_bytes: Vec<u64>,
    copies: u64,
    bytes: u64,
}

impl Ideal {
    fn of(stage: &Stage<'_>, nodes: &[NodeIndex]) -> Self {
        let keys = (0..stage.plan.keys).map(key);
        let closest = |name: String| {
            let key = Key::of_name(name.as_bytes());
            let ids = nodes.iter().filter_map(|node| Some(stage.sim.node(*node)?.id()));
            let mut distances: Vec<_> = ids.map(|id| id.distance(&key)).collect();
            distances.sort_unstable();
            distances.truncate(REPLICATION);
            (key, distances)
        };
        let put_bytes = keys.clone().map(put_bytes).collect();
        Self { closest: keys.map(closest).collect(), put_bytes, copies: 0, bytes: 0 }
    }

    fn joined(&mut self, stage: &Stage<'_>, newcomer: NodeIndex) {
        let Some(id) = stage.sim.node(newcomer).map(crate::SimNode::id) else { return };
        for ((key, closest), bytes) in self.closest.iter_mut().zip(&self.put_bytes) {
            let distance = id.distance(key);
            if closest.last().is_none_or(|last| distance < *last) || closest.len() < REPLICATION {
                let place = closest.partition_point(|known| *known < distance);
                closest.insert(place, distance);
                closest.truncate(REPLICATION);
                self.copies += 1;
                self.bytes += bytes;
            }
        }
    }
}

/// The bytes of the message that copies one of the scenario's records.
pub(super) fn put_bytes(name: String) -> u64 {
    let kadmap_core::Change::Put { payload, .. } = crate::sim::put(name.clone()) else { return 0 };
    // Stamps take as many bytes whatever their time of the day.
    let stamp = Stamp { time: u64::MAX >> 1, writer: u64::MAX };
    let base = Base { stamp, shape: Shape::Value, payload: Some(payload), expires_ms: None };
    let put = Put {
        key: Key::of_name(name.as_bytes()),
        name: name.into(),
        mode: PutMode::Replicate,
        delta: Record::from(base),
        if_newest: None,
    };
    let body = Body::Request(Request::Put(put));
    encoded_bytes(&Message::<SimAddress> { id: 1, from_client: false, unhurried: false, body }) as u64
}

/// Whether values can be read, all along.
struct Reach {
    running: Vec<(usize, Operation)>,
    /// Since when a key was read without its value; at once tried again until it is.
    missing: Vec<Option<Duration>>,
    longest: Duration,
    asked: usize,
    failed: usize,
}

impl Reach {
    fn new(keys: usize) -> Self {
        let missing = vec![None; keys];
        Self { running: Vec::new(), missing, longest: Duration::ZERO, asked: 0, failed: 0 }
    }

    /// Takes in what has come of the gets, and starts those that are due.
    fn go_on(&mut self, stage: &mut Stage<'_>, start: Duration, nodes: &[NodeIndex]) {
        let mut again = Vec::new();
        let now = stage.sim.now();
        self.running.retain(|(number, operation)| {
            let Some(outcome) = stage.sim.outcome(*operation) else { return true };
            let began = now.saturating_sub(outcome.took);
            if outcome.value().is_some() {
                if let Some(since) = self.missing[*number].take() {
                    self.longest = self.longest.max(now.saturating_sub(since));
                }
            } else {
                self.failed += 1;
                self.missing[*number].get_or_insert(began);
                again.push(*number);
            }
            false
        });
        again.into_iter().for_each(|number| self.ask(stage, nodes, number));
        let due = (stage.sim.now() - start).as_secs_f64() * GETS_PER_SECOND as f64;
        while (self.asked as f64) < due {
            self.ask(stage, nodes, self.asked % self.missing.len());
        }
    }

    fn ask(&mut self, stage: &mut Stage<'_>, nodes: &[NodeIndex], number: usize) {
        self.asked += 1;
        let drawn = (0..16).map(|_| nodes[stage.sim.dice().below(nodes.len())]).collect::<Vec<_>>();
        if let Some(at) = drawn.into_iter().find(|node| stage.sim.has_joined(*node)) {
            let operation = stage.sim.read(at, &key(number), Default::default());
            self.running.push((number, operation));
        }
    }

    fn longest(&self, now: Duration) -> Duration {
        let still = self.missing.iter().flatten().map(|since| now.saturating_sub(*since)).max();
        self.longest.max(still.unwrap_or_default())
    }
}
