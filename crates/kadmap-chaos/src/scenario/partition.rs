//! D8: a swarm is cut in two, both sides are written, and after the cut all replicas are equal and nothing is lost.

use std::time::{Duration, Instant};

use super::mix::Mix;
use super::{Needs, Scenario, Sides, Size};
use crate::error::ChaosError;
use crate::history::Fault;
use crate::load::{Seat, begin, each};
use crate::stage::{Stage, read_all};

/// Clients of each side.
const CLIENTS_PER_SIDE: usize = 4;
/// Time between two operations of one client.
const PACE: Duration = Duration::from_millis(5);
/// Repair periods within which all replicas are to be equal after the cut.
const PERIODS_MAX: f64 = 3.0;
/// What a link between sites does, in the words of `tc netem`.
const ROUGH_LINK: &str = "delay 20ms 5ms loss 2%";

pub(super) const SCENARIO: Scenario = Scenario {
    name: "partition",
    bar: "D8",
    about: "a swarm is cut in two and written on both sides; afterwards all replicas are equal and nothing is lost",
    short: Size { nodes: 10, keys: 60, replication: 5, appends: 0, span: Duration::from_secs(4) },
    full: Size { nodes: 16, keys: 1_000, replication: 8, appends: 0, span: Duration::from_secs(180) },
    needs: Needs { disks: false, sides: Sides::Two },
    play,
};

fn play(stage: &mut Stage) -> Result<(), ChaosError> {
    let nodes = stage.grow(stage.plan.nodes)?;
    if let Err(error) = stage.swarm.disturb(ROUGH_LINK) {
        stage.skip("loss and delay on the link between the sides", error.to_string());
    }
    // Nodes are dealt to the sides in turn, so these are as many on either.
    let seats = stage.clients(&nodes[..(2 * CLIENTS_PER_SIDE).min(nodes.len())], 1)?;
    let mix = Mix::new(stage.plan.keys, PACE, stage.plan.seed);
    prepare(stage, &mix, &seats)?;

    stage.progress.begin("writing on both sides of the cut", 0);
    stage.recorder.record_fault(Fault::CUT, "the link between the sides");
    stage.swarm.set_cut(true)?;
    write_for(&mix, &seats, stage.plan.span)?;
    stage.swarm.set_cut(false)?;
    stage.recorder.record_fault(Fault::HEAL, "the link between the sides");
    judge_after(stage, &mix, &seats)
}

/// Puts what is there before the cut.
pub(super) fn prepare(stage: &mut Stage, mix: &Mix, seats: &[Seat]) -> Result<(), ChaosError> {
    let keys = mix.keys();
    stage.progress.begin("putting what is there before", mix.values.len() + mix.mortals.len());
    let first = seats.first().map_or(0, |seat| seat.client.number);
    let (mix, of) = (mix.clone(), seats.len());
    each(seats, 1, |client, _| {
        let share = (client.number - first) as usize;
        mix.clone().prepare(client, share, of)
    })?;
    let converged = stage.wait_converged(&keys)?;
    stage.figure("seconds_until_equal_before", converged.as_secs_f64());
    Ok(())
}

/// Lets clients work for a while.
pub(super) fn write_for(mix: &Mix, seats: &[Seat], span: Duration) -> Result<(), ChaosError> {
    let first = seats.first().map_or(0, |seat| seat.client.number);
    let load = begin(seats, 1, |client, _, stop| {
        let share = (client.number - first) as usize;
        mix.clone().work(client, stop, share, seats.len())
    });
    // How long the swarm is in this state is the point.
    std::thread::sleep(span);
    load.stop().map(drop)
}

/// Waits until all replicas are equal, reads everything from both sides, and judges.
pub(super) fn judge_after(stage: &mut Stage, mix: &Mix, seats: &[Seat]) -> Result<(), ChaosError> {
    let (keys, mended) = (mix.keys(), Instant::now());
    stage.wait_converged(&keys)?;
    let seconds = mended.elapsed().as_secs_f64();
    stage.figure("seconds_until_equal_after", seconds);
    if let Some(period) = stage.plan.repair_period {
        stage.timing_at_most("repair periods until equal", seconds / period.as_secs_f64(), PERIODS_MAX);
    }
    stage.recorder.settle();
    stage.progress.begin("reading from both sides", keys.len() * seats.len());
    let readers = stage.final_readers(seats)?;
    read_all(&readers, &keys, stage.plan.seed)?;
    stage.judge_convergence(&keys)?;
    stage.judge_history();
    Ok(())
}
