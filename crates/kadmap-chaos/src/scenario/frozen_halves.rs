//! Where no network can be cut: one half of the processes is frozen while the other is written, then the reverse.
//!
//! It is not a partition: the frozen half does nothing meanwhile, so nobody writes on both sides at once.

use std::time::Duration;

use super::mix::Mix;
use super::partition::{judge_after, prepare, write_for};
use super::{Needs, Scenario, Sides, Size};
use crate::error::ChaosError;
use crate::history::Fault;
use crate::load::Seat;
use crate::stage::Stage;

/// Clients of each half.
const CLIENTS_PER_HALF: usize = 4;
/// Time between two operations of one client.
const PACE: Duration = Duration::from_millis(5);

pub(super) const SCENARIO: Scenario = Scenario {
    name: "frozen-halves",
    bar: "D8",
    about: "half of the processes are frozen while the others are written, then the reverse; nothing is lost",
    short: Size { nodes: 10, keys: 60, replication: 5, appends: 0, span: Duration::from_secs(3) },
    full: Size { nodes: 16, keys: 1_000, replication: 8, appends: 0, span: Duration::from_secs(60) },
    needs: Needs { disks: false, sides: Sides::One },
    play,
};

fn play(stage: &mut Stage) -> Result<(), ChaosError> {
    let nodes = stage.grow(stage.plan.nodes)?;
    let (one, other) = nodes.split_at(nodes.len() / 2);
    let halves = [one, other];
    let mut seats: Vec<Vec<Seat>> = Vec::new();
    for half in halves {
        seats.push(stage.clients(&half[..CLIENTS_PER_HALF.min(half.len())], 1)?);
    }
    let all = seats.concat();
    let mix = Mix::new(stage.plan.keys, PACE, stage.plan.seed);
    prepare(stage, &mix, &all)?;
    for (half, clients) in halves.iter().zip(seats.iter().rev()) {
        stage.progress.begin("writing while half is frozen", 0);
        stage.recorder.record_fault(Fault::FREEZE, format!("nodes {half:?}"));
        // Of a record's holders some half has a quorum; the one that goes on next has heard nothing of it.
        stage.recorder.record_fault(Fault::SPLIT, "the halves");
        half.iter().try_for_each(|node| stage.swarm.freeze(*node))?;
        write_for(&mix, clients, stage.plan.span)?;
        half.iter().try_for_each(|node| stage.swarm.thaw(*node))?;
        stage.recorder.record_fault(Fault::THAW, format!("nodes {half:?}"));
    }
    judge_after(stage, &mix, &all)
}
