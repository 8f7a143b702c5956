//! Nodes come and go all along.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use super::{Scenario, Stage};
use crate::{NodeIndex, Operation, Span};

/// Half of the sessions are shorter: what D4 asks for, and shorter than most deployed swarms have it.
const SESSION_MEDIAN: Duration = Duration::from_secs(3600);
/// Gets spread over the whole span.
const GETS: u32 = 20_000;
/// What D4 asks of gets.
const GETS_ANSWERED: f64 = 0.999;
/// What is allowed of messages that nobody is there to hear, repeats as well. D4 asks for 0.15 of all requests; today it
/// is a quarter of the messages, as a silent contact is tried again and again.
const SENT_TO_THE_DEAD: f64 = 0.30;

pub(super) const EXPONENTIAL: Scenario = Scenario {
    name: "churn",
    about: "nodes are killed after sessions of 60 min in the median, memoryless, and newcomers take their places (D4)",
    nodes: 1_000,
    keys: 1_000,
    span: Duration::from_secs(3600),
    play: |stage| play(stage, Span::Exponential { median: SESSION_MEDIAN }),
};

pub(super) const WEIBULL: Scenario = Scenario {
    name: "churn-weibull",
    about: "as churn, but who has stayed long stays longer: Weibull sessions of shape 0.5, as peers have them (D4)",
    nodes: 1_000,
    keys: 1_000,
    span: Duration::from_secs(3600),
    play: |stage| play(stage, Span::Weibull { median: SESSION_MEDIAN, shape: 0.5 }),
};

fn name(number: usize) -> String {
    format!("key {number}")
}

fn play(stage: &mut Stage<'_>, sessions: Span) {
    let mut alive = stage.settled_swarm();
    let keys = stage.plan.keys;
    stage.operate(
        "putting",
        keys,
        |sim, number| {
            let at = alive[sim.dice().below(alive.len())];
            sim.write(at, &name(number), crate::sim::put(name(number)), Default::default())
        },
        |_, _, _| {},
    );
    stage.pass("copying", Duration::from_secs(2));

    let mut ends: BinaryHeap<_> = alive
        .iter()
        .map(|node| Reverse((stage.sim.now() + sessions.draw(stage.sim.dice()), *node)))
        .collect();
    let sent_before = stage.sim.traffic().total().messages;
    let lost_before = stage.sim.traffic().lost;
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

    let hours = stage.plan.span.as_secs_f64() / 3600.0;
    let sent = (stage.sim.traffic().total().messages - sent_before) as f64;
    let to_the_dead = (stage.sim.traffic().lost - lost_before) as f64;
    let holders = stage.sim.copies();
    let copies = |number: usize| holders.get(&crate::sim::record(&name(number))).copied().unwrap_or(0);
    let held: Vec<u32> = (0..keys).map(copies).collect();
    stage.figure("nodes_replaced", f64::from(replaced));
    stage.figure("gets", tally.took.len() as f64);
    stage.figure("gets_not_found", f64::from(tally.not_found));
    stage.figure("gets_failed", f64::from(tally.failed));
    stage.figure("messages_per_node_and_second", sent / stage.plan.nodes as f64 / (hours * 3600.0));
    stage.figure("keys_lost", held.iter().filter(|copies| **copies == 0).count() as f64);
    stage.figure("copies_per_key_mean", held.iter().sum::<u32>() as f64 / keys.max(1) as f64);
    stage.figure("copies_per_key_min", held.iter().min().copied().unwrap_or(0).into());
    let answered = 1.0 - f64::from(tally.not_found + tally.failed) / tally.took.len().max(1) as f64;
    stage.quantiles(["get_p50_ms", "get_p99_ms"], tally.took);
    stage.at_least("share of gets that found the value", answered, GETS_ANSWERED);
    stage.at_most("share of messages to nodes that are gone", to_the_dead / sent.max(1.0), SENT_TO_THE_DEAD);
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
