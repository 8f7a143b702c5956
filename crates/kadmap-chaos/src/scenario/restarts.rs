//! D10: every process is restarted one by one, as an upgrade does, while clients go on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Needs, Scenario, Sides, Size};
use crate::client::Client;
use crate::dice::Dice;
use crate::error::ChaosError;
use crate::history::{Fault, Outcome, item};
use crate::load::{StopFlag, begin, deal};
use crate::stage::{Stage, key_names, read_all};

/// Clients under load.
const CLIENTS: usize = 4;
/// Operations that each of them has on the way at a time while it prepares.
const IN_FLIGHT: usize = 8;
/// One operation of so many is a put, the others are gets.
const PUT_EVERY: usize = 10;
/// Time between two operations of one client.
const PACE: Duration = Duration::from_millis(2);
/// Operations that the clients come to between the beginnings of two restarts, or there would be no load to speak of.
const OPERATIONS_BETWEEN: usize = 200;
/// Nodes that are restarted with no load, to see what a return costs by itself.
const IDLE_RESTARTS: usize = 8;
/// How long the traffic of a swarm at rest is counted, to take it away, and how long what a return sets off may take,
/// which comes within seconds: hand-over waits up to one.
const REST: Duration = Duration::from_secs(10);
/// A swarm is at rest when its traffic has fallen by no more than this from one look to the next; it is looked at so
/// often at most.
const STILL: f64 = 0.9;
const LOOKS_MAX: usize = 12;
/// How often what a restart costs by itself is measured.
const BASELINES: usize = 3;
/// And in a short run, which bounds no traffic.
const IDLE_RESTARTS_SHORT: usize = 1;
const REST_SHORT: Duration = Duration::from_secs(1);
/// Bytes of a value. What is stored on a node comes to many times what restarting it costs by itself, or the difference of
/// two restarts would say nothing of the records.
const VALUE_BYTES: usize = 8_000;
/// And in a short run.
const VALUE_BYTES_SHORT: usize = 100;
/// What the records may add to the traffic of a restart, in percent of what is stored on the node.
const TRAFFIC_PERCENT_MAX: f64 = 5.0;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "restarts",
    bar: "D10",
    about: "every process is stopped and started again with its disk, one by one, under load; no get fails twice",
    short: Size { nodes: 8, keys: 100, replication: 5, appends: 0, span: Duration::ZERO },
    full: Size { nodes: 24, keys: 5_000, replication: 8, appends: 0, span: Duration::ZERO },
    needs: Needs { disks: true, sides: Sides::TwoIfAllowed },
    play,
};

/// What one client came to.
#[derive(Debug, Default, Clone, Copy)]
struct Tally {
    gets: u64,
    retried: u64,
    failed_twice: u64,
    puts: u64,
    puts_failed: u64,
}

fn play(stage: &mut Stage) -> Result<(), ChaosError> {
    let nodes = stage.grow(stage.plan.nodes)?;
    let without_records = without_records(stage, &nodes)?;
    let mut seats = stage.clients(&nodes[..CLIENTS], 1)?;
    let value_bytes = if stage.plan.short { VALUE_BYTES_SHORT } else { VALUE_BYTES };
    for seat in &mut seats {
        seat.client = seat.client.clone().with_value_bytes(value_bytes);
    }
    let keys: Arc<[String]> = key_names("value", stage.plan.keys).into();
    stage.progress.begin("putting values", keys.len());
    let names = keys.clone();
    deal(&seats, IN_FLIGHT, keys.len(), move |client, number| {
        let names = names.clone();
        async move {
            client.put(&names[number], number as u64).await;
        }
    })?;
    stage.wait_converged(&keys)?;
    match without_records {
        Some(without_records) => judge_traffic(stage, &nodes, without_records)?,
        None => stage.skip(
            "re-replication traffic",
            "there is no network of the swarm's own whose bytes could be counted",
        ),
    }

    stage.progress.begin("restarting one by one under load", nodes.len());
    let load = begin(&seats, 1, |client, _, stop| work(client, stop, keys.clone(), stage.plan.seed));
    let start = Instant::now();
    for node in &nodes {
        let before = stage.recorder.operations();
        restart(stage, *node)?;
        stage.progress.step();
        stage.wait_until("clients go on after a restart", stage.plan.patience, |stage| {
            Ok(stage.recorder.operations() >= before + OPERATIONS_BETWEEN)
        })?;
    }
    stage.figure("seconds_for_all_restarts", start.elapsed().as_secs_f64());
    let tallies = load.stop()?;
    let sum = |of: fn(&Tally) -> u64| tallies.iter().map(of).sum::<u64>() as f64;
    stage.figure("gets", sum(|tally| tally.gets));
    stage.figure("gets_retried", sum(|tally| tally.retried));
    stage.figure("puts", sum(|tally| tally.puts));
    stage.figure("puts_not_acknowledged", sum(|tally| tally.puts_failed));
    stage.at_most("gets that failed with one retry", sum(|tally| tally.failed_twice), 0.0);
    let converged = stage.wait_converged(&keys)?;
    stage.figure("seconds_until_equal_after", converged.as_secs_f64());
    stage.recorder.settle();
    stage.progress.begin("reading all", keys.len() * seats.len());
    read_all(&seats, &keys, stage.plan.seed)?;
    stage.judge_convergence(&keys)?;
    stage.judge_history();
    Ok(())
}

fn restart(stage: &mut Stage, node: usize) -> Result<(), ChaosError> {
    stage.recorder.record_fault(Fault::STOP, format!("node {node}"));
    stage.swarm.stop(node)?;
    stage.swarm.restart(node, true)?;
    stage.recorder.record_fault(Fault::RESTART, format!("node {node}"));
    Ok(())
}

/// What connections and lookups of a restart come to, which are no replication: seen where nothing is stored, and the
/// least of several times, as a swarm that is young looks around more than later.
fn without_records(stage: &mut Stage, nodes: &[usize]) -> Result<Option<f64>, ChaosError> {
    let mut least: Option<f64> = None;
    for _ in 0..if stage.plan.short { 1 } else { BASELINES } {
        let Some(bytes) = bytes_per_restart(stage, nodes)? else { return Ok(None) };
        least = Some(least.map_or(bytes, |least| least.min(bytes)));
    }
    Ok(least)
}

/// What a restart sends because records are stored, against what the node stores.
fn judge_traffic(stage: &mut Stage, nodes: &[usize], without_records: f64) -> Result<(), ChaosError> {
    let stored = stage.stored_bytes()? as f64 / nodes.len() as f64;
    let Some(with_records) = bytes_per_restart(stage, nodes)? else { return Ok(()) };
    let percent = (with_records - without_records).max(0.0) * 100.0 / stored.max(1.0);
    stage.figure("stored_bytes_per_node", stored);
    stage.figure("bytes_per_restart_without_records", without_records);
    stage.figure("bytes_per_restart_with_records", with_records);
    let what = "percent of stored bytes that a restart sends for them";
    if stage.plan.short {
        // So few records that the fixed cost of comparing is most of it.
        stage.figure(what.replace(' ', "_"), percent);
    } else {
        stage.at_most(what, percent, TRAFFIC_PERCENT_MAX);
    }
    Ok(())
}

/// What everybody sends for one restart above what the swarm sends at rest; `None` where bytes cannot be counted.
fn bytes_per_restart(stage: &mut Stage, nodes: &[usize]) -> Result<Option<f64>, ChaosError> {
    if stage.swarm.traffic_bytes()?.is_none() {
        return Ok(None);
    }
    let (restarts, rest) =
        if stage.plan.short { (IDLE_RESTARTS_SHORT, REST_SHORT) } else { (IDLE_RESTARTS, REST) };
    let chosen = &nodes[..restarts.min(nodes.len())];
    let mut at_rest = bytes_per_second(stage, rest)?;
    // Who has just come to know a swarm looks around, less and less.
    for _ in 0..LOOKS_MAX {
        let before = std::mem::replace(&mut at_rest, bytes_per_second(stage, rest)?);
        if stage.plan.short || at_rest >= before * STILL {
            break;
        }
    }
    stage.figure("bytes_per_second_at_rest", at_rest);
    let start = Instant::now();
    let bytes = stage.traffic_while(|stage| {
        chosen.iter().try_for_each(|node| restart(stage, *node))?;
        std::thread::sleep(rest);
        Ok(())
    })?;
    let above_rest = bytes - at_rest * start.elapsed().as_secs_f64();
    Ok(Some(above_rest.max(0.0) / chosen.len() as f64))
}

fn bytes_per_second(stage: &mut Stage, span: Duration) -> Result<f64, ChaosError> {
    let start = Instant::now();
    let bytes = stage.traffic_while(|_| {
        std::thread::sleep(span);
        Ok(())
    })?;
    Ok(bytes / start.elapsed().as_secs_f64())
}

/// Gets with one retry, and now and then a put.
async fn work(client: Client, stop: StopFlag, keys: Arc<[String]>, seed: u64) -> Tally {
    let mut dice = Dice::new(seed ^ u64::from(client.number));
    let (mut tally, mut sequence) = (Tally::default(), 0);
    while !stop.is_set() {
        let next = tokio::time::Instant::now() + PACE;
        let key = &keys[dice.below(keys.len())];
        if dice.below(PUT_EVERY) == 0 {
            sequence += 1;
            tally.puts += 1;
            let outcome = client.put(key, item(client.number, sequence)).await;
            tally.puts_failed += u64::from(outcome != Outcome::Ok);
        } else {
            tally.gets += 1;
            if client.get(key).await != Outcome::Ok {
                tally.retried += 1;
                tally.failed_twice += u64::from(client.get(key).await != Outcome::Ok);
            }
        }
        tokio::time::sleep_until(next).await;
    }
    tally
}
