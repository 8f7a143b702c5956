//! An hour of churn under load: memory and file descriptors stay, nothing is lost, deletions stay.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::mix::Mix;
use super::partition::prepare;
use super::{Needs, Scenario, Sides, Size};
use crate::error::ChaosError;
use crate::history::Fault;
use crate::load::{Seat, begin, deal};
use crate::machine::{open_files, resident_bytes};
use crate::stage::{Stage, key_names, read_all};

/// Clients under load.
const CLIENTS: usize = 8;
/// Time between two operations of one client.
const PACE: Duration = Duration::from_millis(40);
/// Time between two blows, from the mending of the one to the next.
const PAUSE: Duration = Duration::from_secs(5);
/// How long a node is frozen.
const FREEZE: Duration = Duration::from_secs(3);
/// After such a time a list is left for a new one: lists that grow would make nodes grow that send and take them whole.
const NEW_LIST_EVERY: Duration = Duration::from_secs(2);
/// Values put before that fill the page cache of each node, 16 MiB by default: while that fills, memory grows.
const BALLAST: usize = 20_000;
const BALLAST_BYTES: usize = 2_000;
/// Operations that each client has on the way at a time while it puts these.
const IN_FLIGHT: usize = 8;
/// A span shorter than this says nothing of a slope: memory that a process has once needed it keeps.
const SLOPE_SPAN_MIN: Duration = Duration::from_secs(20 * 60);
/// The part of the span, at its beginning, that is not looked at: caches, tables and pools fill in it.
const WARM_UP: f64 = 1.0 / 3.0;
/// What a node that is never restarted may gain in a minute, by the fit: 64 KiB, beside the items that the load adds.
const SLOPE_BYTES_PER_MINUTE_MAX: f64 = 64.0 * 1024.0;
/// File descriptors that it may have more at one time than at another.
const FILES_SPREAD_MAX: f64 = 4.0;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "soak",
    bar: "soak",
    about: "churn under load; memory and file descriptors of the nodes that stay do not grow, nothing is lost",
    short: Size { nodes: 6, keys: 40, replication: 3, appends: 0, span: Duration::from_secs(8) },
    full: Size { nodes: 12, keys: 1_000, replication: 5, appends: 0, span: Duration::from_secs(3_600) },
    needs: Needs { disks: true, sides: Sides::One },
    play,
};

/// What a node that is never restarted takes at one time, the mean of all of them.
#[derive(Debug, Clone, Copy)]
struct Sample {
    minutes: f64,
    resident_bytes: f64,
    open_files: f64,
}

fn play(stage: &mut Stage) -> Result<(), ChaosError> {
    let nodes = stage.grow(stage.plan.nodes)?;
    // Half of the nodes stay and are watched, the others are killed, wiped, frozen and restarted.
    let (veterans, recruits) = nodes.split_at(nodes.len() / 2);
    let through: Vec<_> = (0..CLIENTS).map(|turn| veterans[turn % veterans.len()]).collect();
    let seats = stage.clients(&through, 1)?;
    let mix =
        Mix::new(stage.plan.keys, PACE, stage.plan.seed).with_new_lists(NEW_LIST_EVERY, stage.plan.span);
    let ballast = put_ballast(stage, &seats)?;
    prepare(stage, &mix, &seats)?;
    let keys: Arc<[String]> = mix.keys().iter().chain(ballast.iter()).cloned().collect();

    stage.progress.begin("churn under load, in seconds", stage.plan.span.as_secs() as usize);
    let first = seats[0].client.number;
    let load = begin(&seats, 1, |client, _, stop| {
        let share = (client.number - first) as usize;
        mix.clone().work(client, stop, share, CLIENTS)
    });
    let (start, mut samples, mut blows) = (Instant::now(), Vec::new(), 0);
    while start.elapsed() < stage.plan.span {
        samples.extend(sample(stage, veterans, start));
        let recruit = recruits[stage.dice.below(recruits.len())];
        blow(stage, recruit)?;
        blows += 1;
        wait_repaired(stage, &mix)?;
        std::thread::sleep(PAUSE.min(stage.plan.span / 4));
    }
    samples.extend(sample(stage, veterans, start));
    load.stop()?;
    stage.figure("blows", f64::from(blows));
    stage.wait_converged(&keys)?;
    stage.recorder.settle();
    stage.progress.begin("reading all", keys.len() * seats.len());
    let readers = stage.final_readers(&seats);
    read_all(&readers, &keys, stage.plan.seed)?;
    stage.judge_convergence(&keys)?;
    stage.judge_history();
    judge_samples(stage, &samples);
    Ok(())
}

/// Fills caches, so that what grows afterwards is none of them; nothing in a short run, which bounds no memory.
fn put_ballast(stage: &mut Stage, seats: &[Seat]) -> Result<Arc<[String]>, ChaosError> {
    let names: Arc<[String]> = key_names("ballast", if stage.plan.short { 0 } else { BALLAST }).into();
    stage.progress.begin("putting what fills the caches", names.len());
    let names_to_put = names.clone();
    deal(seats, IN_FLIGHT, names.len(), move |client, number| {
        let names = names_to_put.clone();
        let client = client.with_value_bytes(BALLAST_BYTES);
        async move {
            client.put(&names[number], number as u64).await;
        }
    })?;
    Ok(names)
}

fn blow(stage: &mut Stage, node: usize) -> Result<(), ChaosError> {
    match stage.dice.below(4) {
        0 => {
            stage.recorder.record_fault(Fault::FREEZE, format!("node {node}"));
            stage.swarm.freeze(node)?;
            std::thread::sleep(FREEZE.min(stage.plan.span / 4));
            stage.swarm.thaw(node)?;
            stage.recorder.record_fault(Fault::THAW, format!("node {node}"));
            return Ok(());
        }
        1 => {
            stage.recorder.record_fault(Fault::STOP, format!("node {node}"));
            stage.swarm.stop(node)?;
            stage.swarm.restart(node, true)?;
        }
        chance => {
            let keeps_disk = chance == 2;
            stage
                .recorder
                .record_fault(if keeps_disk { Fault::KILL } else { Fault::WIPE }, format!("node {node}"));
            stage.swarm.kill(&[node])?;
            stage.swarm.restart(node, keeps_disk)?;
        }
    }
    stage.recorder.record_fault(Fault::RESTART, format!("node {node}"));
    Ok(())
}

/// Waits until what is not written any more is equal on all its replicas: the keys that are deleted or wait for it.
fn wait_repaired(stage: &mut Stage, mix: &Mix) -> Result<(), ChaosError> {
    stage.wait_converged(&mix.mortals).map(drop)
}

/// `None` where the system does not tell.
fn sample(stage: &Stage, veterans: &[usize], start: Instant) -> Option<Sample> {
    let (mut resident, mut files) = (0.0, 0.0);
    for node in veterans {
        let pid = stage.swarm.member(*node).pid()?;
        resident += resident_bytes(pid)? as f64;
        files += open_files(pid)? as f64;
    }
    let (minutes, count) = (start.elapsed().as_secs_f64() / 60.0, veterans.len() as f64);
    Some(Sample { minutes, resident_bytes: resident / count, open_files: files / count })
}

fn judge_samples(stage: &mut Stage, samples: &[Sample]) {
    let Some((first, last)) = samples.first().zip(samples.last()) else {
        stage.skip("memory and file descriptors", "this system has no /proc");
        return;
    };
    let warm_up = stage.plan.span.as_secs_f64() / 60.0 * WARM_UP;
    let warm: Vec<_> = samples.iter().filter(|sample| sample.minutes >= warm_up).collect();
    let slope = slope(&warm.iter().map(|one| (one.minutes, one.resident_bytes)).collect::<Vec<_>>());
    let files = warm.iter().map(|sample| sample.open_files);
    let spread = files.clone().fold(0.0, f64::max) - files.fold(f64::INFINITY, f64::min);
    stage.figure("resident_mib_at_first", first.resident_bytes / 1024.0 / 1024.0);
    if let Some(warmed_up) = warm.first() {
        stage.figure("resident_mib_when_warm", warmed_up.resident_bytes / 1024.0 / 1024.0);
    }
    stage.figure("resident_mib_at_last", last.resident_bytes / 1024.0 / 1024.0);
    stage.figure("open_files_at_last", last.open_files);
    if stage.plan.span < SLOPE_SPAN_MIN {
        stage.figure("resident_bytes_gained_per_minute", slope);
    } else {
        stage.at_most("resident bytes gained per minute", slope, SLOPE_BYTES_PER_MINUTE_MAX);
    }
    stage.at_most("spread of open files", spread.max(0.0), FILES_SPREAD_MAX);
}

/// The slope of the straight line that fits best, by least squares; 0 for less than two points.
fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (mean_x, mean_y) = (mean(|point| point.0), mean(|point| point.1));
    let above: f64 = points.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    let below: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    if below > 0.0 { above / below } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slope_of_a_line_is_its_slope() {
        let line: Vec<_> = (0..10).map(|x| (f64::from(x), 3.0 * f64::from(x) + 7.0)).collect();
        assert!((slope(&line) - 3.0).abs() < 1e-9);
        assert_eq!(slope(&line[..1]), 0.0);
        assert_eq!(slope(&[]), 0.0);
    }
}
