//! Very many appends, over many small swarms in which things go wrong.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::{Scenario, Stage};
use crate::hunt::{self, Verdict};

/// Nodes of each swarm, each of which appends.
const NODES: usize = 16;
/// Steps of each swarm's life, half of which append; fewer where few appends are asked for.
const STEPS: std::ops::RangeInclusive<usize> = 40..=1_000;
/// Appends of an average step.
const APPENDS_PER_STEP: usize = 16;
/// Swarms after which the bar moves.
const SWARMS_PER_STEP: usize = 8;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "appends",
    about: "so many appends as there are keys, over many swarms with kills, partitions, lost messages and clocks wrong \
            by 10 min: none lost, none twice, none that nobody made (K1)",
    nodes: NODES,
    keys: 200_000,
    span: Duration::ZERO,
    play,
};

fn play(stage: &mut Stage<'_>) {
    let wanted = stage.plan.keys;
    let steps = (wanted / SWARMS_PER_STEP / APPENDS_PER_STEP).clamp(*STEPS.start(), *STEPS.end());
    let (mut swarms, mut appends, mut acknowledged, mut events) = (0, 0, 0, 0);
    let (mut breaches, mut failed, mut trace) = (0, None, 0u64);
    while appends < wanted {
        let plans: Vec<_> = (swarms..swarms + SWARMS_PER_STEP)
            .map(|number| hunt::Plan {
                seed: stage.plan.seed + number as u64,
                nodes: stage.plan.nodes,
                steps,
            })
            .collect();
        for verdict in farm(&plans) {
            appends += verdict.appends;
            acknowledged += verdict.acknowledged;
            events += verdict.events;
            breaches += verdict.breaches.len();
            trace = crate::address::spread(trace ^ verdict.trace_hash);
            if !verdict.breaches.is_empty() {
                failed.get_or_insert(verdict.plan.seed);
            }
        }
        swarms += SWARMS_PER_STEP;
        stage.progress("appending", appends.min(wanted), wanted);
    }
    stage.total(events, trace);
    stage.figure("swarms", swarms as f64);
    stage.figure("appends", appends as f64);
    stage.figure("appends_acknowledged", acknowledged as f64);
    if let Some(seed) = failed {
        stage.figure("first_seed_that_breaks_a_promise", seed as f64);
    }
    stage.at_most("appends lost, doubled, out of order or from nobody", breaches as f64, 0.0);
}

/// Runs swarms on all cores; their verdicts come in the order of the plans, whichever ends first.
fn farm(plans: &[hunt::Plan]) -> Vec<Verdict> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        while let Some(plan) = plans.get(next.fetch_add(1, Ordering::Relaxed)) {
            done.push(hunt::run_appends(plan));
        }
        done
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let mut verdicts: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        // A worker catches the panics of its swarms; one of its own ends the run.
        workers.into_iter().flat_map(|worker| worker.join().unwrap_or_default()).collect()
    });
    verdicts.sort_by_key(|verdict| verdict.plan.seed);
    assert_eq!(verdicts.len(), plans.len(), "every swarm has a verdict");
    verdicts
}
