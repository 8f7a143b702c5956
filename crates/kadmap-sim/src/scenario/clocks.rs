//! Clocks are wrong by up to ten minutes, either way.

use std::time::Duration;

use kadmap_core::{Consistency, ReadOptions};

use super::{Scenario, Stage};
use crate::{End, Ledger};

/// How far a clock is off at most: ten minutes.
const OFF_MS_MAX: i64 = 600_000;
/// How much a clock drifts at most: 200 parts in a million, twice what cheap quartz does.
const DRIFT_PPM_MAX: i32 = 200;
/// Appends to each list.
const APPENDS_PER_LIST: usize = 16;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "clocks",
    about: "half of the clocks are wrong by up to 10 min and drift, and no acknowledged append is lost, doubled or \
            out of order (K1)",
    nodes: 50,
    keys: 100,
    span: Duration::from_secs(60),
    play,
};

fn list(number: usize) -> String {
    format!("list {number}")
}

fn play(stage: &mut Stage<'_>) {
    let nodes = stage.settled_swarm();
    for node in nodes.iter().skip(nodes.len() / 2) {
        let off_ms = stage.sim.dice().below(2 * OFF_MS_MAX as usize + 1) as i64 - OFF_MS_MAX;
        let drift_ppm = stage.sim.dice().below(2 * DRIFT_PPM_MAX as usize + 1) as i32 - DRIFT_PPM_MAX;
        stage.sim.jump_clock(*node, off_ms);
        stage.sim.drift_clock(*node, drift_ppm);
    }
    stage.pass("drifting", stage.plan.span);

    let keys = stage.plan.keys;
    let mut ledger = Ledger::default();
    let (mut entries, mut outcomes, mut refused) = (Vec::new(), Vec::new(), 0);
    stage.operate(
        "appending",
        keys * APPENDS_PER_LIST,
        |sim, number| {
            let at = nodes[sim.dice().below(nodes.len())];
            let payload = format!("{at}, {number}");
            entries.push(ledger.begin_append(&list(number % keys), payload.clone(), u64::from(at.0)));
            sim.write(at, &list(number % keys), crate::sim::append(payload), Default::default())
        },
        |_, _, outcome| {
            refused += u32::from(matches!(outcome.end, End::Written(Err(_))));
            outcomes.push(outcome.written());
        },
    );
    let appends = entries.len();
    for (entry, outcome) in entries.into_iter().zip(outcomes) {
        ledger.end(entry, outcome.as_ref());
    }
    stage.figure("appends", appends as f64);
    stage.figure("appends_acknowledged", ledger.acknowledged() as f64);
    stage.figure("appends_refused", f64::from(refused));
    for (what, consistency) in [
        ("promises broken for who asks a quorum", Consistency::Quorum),
        ("promises broken for who asks all replicas", Consistency::All),
    ] {
        let mut breaches = 0;
        let options = ReadOptions { consistency: Some(consistency), timeout: None };
        stage.operate(
            "reading",
            keys,
            |sim, number| {
                let at = nodes[sim.dice().below(nodes.len())];
                sim.read(at, &list(number), options)
            },
            |_, number, outcome| {
                let found = outcome.read().and_then(|found| found.record);
                breaches += ledger.judge(&list(number), found.as_ref(), |_, _| true).len();
            },
        );
        stage.at_most(what, breaches as f64, 0.0);
    }
}
