//! D1: half of the processes are killed at once, and every value is read by a client of every survivor.

use std::sync::Arc;
use std::time::Duration;

use super::{Needs, Scenario, Sides, Size};
use crate::error::ChaosError;
use crate::history::{Kind, Operation};
use crate::load::deal;
use crate::stage::{Stage, key_names, quantile, read_all};

/// Clients that put the values.
const WRITERS: usize = 8;
/// Values that each of them has on the way at a time.
const IN_FLIGHT: usize = 4;
/// Threads that the readers are dealt over.
const LANES: usize = 2;
/// What counts as right after the kill, and the bars of D1 for it and for the time after it.
const FIRST_NS: u64 = 5_000_000_000;
const FIRST_P99_MS_MAX: f64 = 2_000.0;
const LATER_P99_MS_MAX: f64 = 20.0;
/// No get may hang, however loaded the machine: an operation's timeout is 10 s.
const GET_MS_MAX: f64 = 11_000.0;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "half-killed",
    bar: "D1",
    about: "half of the processes are killed at once, and clients of every survivor read every value",
    short: Size { nodes: 12, keys: 300, replication: 20, appends: 0, span: Duration::ZERO },
    full: Size { nodes: 32, keys: 10_000, replication: 20, appends: 0, span: Duration::ZERO },
    needs: Needs { disks: false, sides: Sides::One },
    play,
};

fn play(stage: &mut Stage) -> Result<(), ChaosError> {
    let nodes = stage.grow(stage.plan.nodes)?;
    let writers = stage.clients(&nodes[..WRITERS.min(nodes.len())], 1)?;
    let keys: Arc<[String]> = key_names("value", stage.plan.keys).into();
    stage.progress.begin("putting values", keys.len());
    let names = keys.clone();
    deal(&writers, IN_FLIGHT, keys.len(), move |client, number| {
        let names = names.clone();
        async move {
            client.put(&names[number], number as u64).await;
        }
    })?;
    drop(writers);

    let victims = stage.dice.choose(nodes.len() / 2, nodes.len());
    let survivors: Vec<_> = nodes.iter().copied().filter(|node| !victims.contains(node)).collect();
    let readers = stage.clients(&survivors, LANES)?;
    stage.progress.begin("reading with all processes alive", keys.len());
    let some: Arc<[String]> = keys[..keys.len().min(100)].into();
    read_all(&readers, &some, stage.plan.seed)?;

    let killed_ns = stage.recorder.now_ns();
    stage.recorder.record_fault("kill", format!("nodes {victims:?}"));
    stage.swarm.kill(&victims)?;
    // A value that is missing now is lost as far as its reader can tell.
    stage.recorder.settle();
    stage.progress.begin("reading from all survivors", keys.len() * readers.len());
    read_all(&readers, &keys, !stage.plan.seed)?;
    judge_reads(stage, killed_ns, keys.len() * readers.len());
    let repaired = stage.wait_converged(&keys)?;
    stage.figure("seconds_until_all_survivors_hold_all", repaired.as_secs_f64());
    stage.judge_convergence(&keys)?;
    stage.judge_history();
    Ok(())
}

fn judge_reads(stage: &mut Stage, killed_ns: u64, expected: usize) {
    let is_get = move |read: &Operation| read.kind == Kind::Get && read.start_ns >= killed_ns;
    let answered = stage.count(Kind::Get, |read| is_get(read) && read.is_answered_read());
    stage.at_least("values read, percent", answered as f64 * 100.0 / expected.max(1) as f64, 100.0);
    let before = stage.latencies_ms(|read| read.kind == Kind::Get && read.start_ns < killed_ns);
    stage.figure("get_p99_before_ms", quantile(&before, 0.99));
    let is_first = move |read: &Operation| read.start_ns < killed_ns + FIRST_NS;
    let first = stage.latencies_ms(|read| is_get(read) && is_first(read));
    let later = stage.latencies_ms(|read| is_get(read) && !is_first(read));
    stage.figure("gets_in_the_first_5_s", first.len() as f64);
    stage.figure("gets_later", later.len() as f64);
    stage.timing_at_most("get p99 in the first 5 s ms", quantile(&first, 0.99), FIRST_P99_MS_MAX);
    stage.timing_at_most("get p99 later ms", quantile(&later, 0.99), LATER_P99_MS_MAX);
    let worst = quantile(&first, 1.0).max(quantile(&later, 1.0));
    stage.at_most("slowest get ms", worst, GET_MS_MAX);
}
