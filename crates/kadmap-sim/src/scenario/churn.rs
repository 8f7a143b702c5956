//! Nodes come and go all along.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use super::stage::key as name;
use super::{Scenario, Stage};
use crate::{NodeIndex, Operation, Span};

/// Half of the sessions are shorter: what D4 asks for, and shorter than most deployed swarms have it.
const SESSION_MEDIAN: Duration = Duration::from_secs(3600);
/// Gets spread over the whole span.
const GETS: u32 = 20_000;
/// What D4 allows of requests that nobody is there to hear; one that is repeated is one.
const SENT_TO_THE_DEAD: f64 = 0.15;
/// What D5 allows each node to send for all but gets; Bamboo's measured bound (Rhea et al., 2004).
const BYTES_PER_NODE_AND_SECOND: f64 = 900.0;

/// How long nodes stay, and what must hold all the same.
struct Churn {
    sessions: Span,
    gets_answered: f64,
    bar: Bar,
}

/// What else is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bar {
    /// D4's: no key is lost, and few requests go to the dead.
    Requests,
    /// D5's on traffic.
    Bytes,
}

const fn exponential(median_s: u64) -> Span {
    Span::Exponential { median: Duration::from_secs(median_s) }
}

pub(super) const EXPONENTIAL: Scenario = Scenario {
    name: "churn",
    about: "nodes are killed after sessions of 60 min in the median, memoryless, and newcomers take their places (D4)",
    nodes: 1_000,
    keys: 1_000,
    span: Duration::from_secs(3600),
    play: |stage| {
        play(stage, &Churn { sessions: exponential(3_600), gets_answered: 0.999, bar: Bar::Requests })
    },
};

pub(super) const WEIBULL: Scenario = Scenario {
    name: "churn-weibull",
    about: "as churn, but who has stayed long stays longer: Weibull sessions of shape 0.5, as peers have them (D4)",
    nodes: 1_000,
    keys: 1_000,
    span: Duration::from_secs(3600),
    play: |stage| {
        let sessions = Span::Weibull { median: SESSION_MEDIAN, shape: 0.5 };
        play(stage, &Churn { sessions, gets_answered: 0.999, bar: Bar::Requests });
    },
};

pub(super) const FIVE_MINUTES: Scenario = Scenario {
    name: "churn-5min",
    about: "as churn, with sessions of 5 min in the median (D5)",
    nodes: 1_000,
    keys: 1_000,
    span: Duration::from_secs(1_800),
    play: |stage| play(stage, &Churn { sessions: exponential(300), gets_answered: 0.99, bar: Bar::Bytes }),
};

pub(super) const EIGHTY_SECONDS: Scenario = Scenario {
    name: "churn-84s",
    about: "as churn, with sessions of 1.4 min in the median, the shortest at which Bamboo was measured (D5)",
    nodes: 1_000,
    keys: 1_000,
    span: Duration::from_secs(600),
    play: |stage| play(stage, &Churn { sessions: exponential(84), gets_answered: 0.95, bar: Bar::Bytes }),
};

fn play(stage: &mut Stage<'_>, churn: &Churn) {
    let sessions = churn.sessions;
    let mut alive = stage.settled_swarm();
    let keys = stage.plan.keys;
    let (_, put) = stage.put_keys(&alive);
    stage.at_least("keys put", put as f64, keys as f64);
    stage.pass("copying", Duration::from_secs(2));
    stage.sim.counts_bytes = true;

    let mut ends: BinaryHeap<_> = alive
        .iter()
        .map(|node| Reverse((stage.sim.now() + sessions.draw(stage.sim.dice()), *node)))
        .collect();
    let before = stage.sim.traffic().clone();
    let start = stage.sim.now();
    let mut tally = Tally::default();
    let mut replaced = 0;
    for round in 1..=GETS {
        let until = start + stage.plan.span / GETS * round;
        while let Some(&Reverse((at, node))) = ends.peek()
            && at <= until
        {
            ends.pop();
            stage.sim.run_for(at.saturating_sub(stage.sim.now()));
            stage.sim.destroy(node);
            alive.retain(|other| *other != node);
            let newcomer = stage.sim.spawn();
            alive.push(newcomer);
            ends.push(Reverse((at + sessions.draw(stage.sim.dice()), newcomer)));
            replaced += 1;
        }
        stage.sim.run_for(until.saturating_sub(stage.sim.now()));
        tally.collect(stage);
        if let Some(at) = somebody_who_joined(stage, &alive) {
            let number = stage.sim.dice().below(keys);
            tally.started.push((number, stage.sim.read(at, &name(number), Default::default())));
        }
        if round % 100 == 0 {
            stage.progress("churning", round as usize, GETS as usize);
        }
    }
    stage.sim.run_for(Duration::from_secs(20));
    tally.collect(stage);

    let sent = stage.sim.traffic().since(&before);
    let node_seconds = (stage.sim.now() - start).as_secs_f64() * stage.plan.nodes as f64;
    let all = sent.purposes.total();
    let upkeep = sent.purposes.upkeep().bytes as f64 / node_seconds;
    let share = |part: u64, all: u64| part as f64 / all.max(1) as f64;
    let to_the_dead = share(all.requests_to_the_dead, all.requests);
    let holders = stage.sim.copies();
    let copies = |number: usize| holders.get(&crate::sim::record(&name(number))).copied().unwrap_or(0);
    let held: Vec<u32> = (0..keys).map(copies).collect();
    stage.figure("nodes_replaced", f64::from(replaced));
    stage.figure("gets", tally.took.len() as f64);
    stage.figure("gets_not_found", f64::from(tally.not_found));
    stage.figure("gets_failed", f64::from(tally.failed));
    stage.figure("messages_per_node_and_second", sent.total().messages as f64 / node_seconds);
    stage.figure("requests_per_node_and_second", all.requests as f64 / node_seconds);
    stage.figure("bytes_per_node_and_second", all.bytes as f64 / node_seconds);
    stage.figure("bytes_per_node_and_second_without_gets", upkeep);
    stage.figure("share_of_requests_to_nodes_that_are_gone", to_the_dead);
    let packets = share(all.packets_to_the_dead, all.packets);
    stage.figure("share_of_packets_to_nodes_that_are_gone", packets);
    stage.traffic(&sent.purposes, node_seconds);
    let lost = held.iter().filter(|copies| **copies == 0).count();
    stage.figure("copies_per_key_mean", held.iter().sum::<u32>() as f64 / keys.max(1) as f64);
    stage.figure("copies_per_key_min", held.iter().min().copied().unwrap_or(0).into());
    let answered = 1.0 - f64::from(tally.not_found + tally.failed) / tally.took.len().max(1) as f64;
    stage.quantiles(["get_p50_ms", "get_p99_ms"], tally.took);
    stage.at_least("share of gets that found the value", answered, churn.gets_answered);
    if churn.bar != Bar::Requests {
        stage.figure("keys_lost", lost as f64);
    }
    match churn.bar {
        Bar::Requests => {
            stage.at_most("keys lost", lost as f64, 0.0);
            stage.at_most("share of requests to nodes that are gone", to_the_dead, SENT_TO_THE_DEAD);
        }
        Bar::Bytes => {
            stage.at_most("bytes of upkeep per node and second", upkeep, BYTES_PER_NODE_AND_SECOND);
        }
    }
}

/// What became of the gets.
#[derive(Default)]
struct Tally {
    started: Vec<(usize, Operation)>,
    took: Vec<Duration>,
    not_found: u32,
    failed: u32,
}

impl Tally {
    fn collect(&mut self, stage: &mut Stage<'_>) {
        self.started.retain(|(number, operation)| {
            let Some(outcome) = stage.sim.outcome(*operation) else { return true };
            // Who asked is gone: nobody is left to be disappointed.
            if matches!(outcome.end, crate::End::NodeDown) {
                return false;
            }
            self.took.push(outcome.took);
            let answered = matches!(outcome.end, crate::End::Read(Ok(_)));
            let found = outcome.value().is_some_and(|value| value == name(*number).as_bytes());
            self.failed += u32::from(!answered);
            self.not_found += u32::from(answered && !found);
            false
        });
    }
}

fn somebody_who_joined(stage: &mut Stage<'_>, alive: &[NodeIndex]) -> Option<NodeIndex> {
    let drawn = (0..16).map(|_| alive[stage.sim.dice().below(alive.len())]).collect::<Vec<_>>();
    drawn.into_iter().find(|node| stage.sim.has_joined(*node))
}
