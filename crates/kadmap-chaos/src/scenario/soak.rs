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
/// What a node that is never restarted may gain in a minute beyond doubt: 32 KiB, the items included that the load adds.
const SLOPE_BYTES_PER_MINUTE_MAX: f64 = 32.0 * 1024.0;
/// Standard errors of the slope that are in doubt. Copies that wipes cause move memory by 5 MB within minutes, which makes
/// an error of 30 KB a minute in an hour; a leak of 100 KB is found in it, a smaller one in a longer span.
const DOUBT: f64 = 2.0;
/// The standard error beyond which a run has not shown anything of memory.
const ERROR_BYTES_PER_MINUTE_MAX: f64 = 64.0 * 1024.0;
/// Parts of the span whose means are fitted: what moves memory lasts for minutes, so single samples do not err by chance
/// each for itself, and an error computed from them would be too small.
const PARTS: usize = 8;
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
    let readers = stage.final_readers(&seats)?;
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
    let fit = Fit::of(&warm.iter().map(|one| (one.minutes, one.resident_bytes)).collect::<Vec<_>>());
    let files = warm.iter().map(|sample| sample.open_files);
    let spread = files.clone().fold(0.0, f64::max) - files.fold(f64::INFINITY, f64::min);
    stage.figure("resident_mib_at_first", first.resident_bytes / 1024.0 / 1024.0);
    if let Some(warmed_up) = warm.first() {
        stage.figure("resident_mib_when_warm", warmed_up.resident_bytes / 1024.0 / 1024.0);
    }
    stage.figure("resident_mib_at_last", last.resident_bytes / 1024.0 / 1024.0);
    stage.figure("open_files_at_last", last.open_files);
    stage.figure("resident_bytes_gained_per_minute", fit.slope);
    if stage.plan.span < SLOPE_SPAN_MIN {
        stage.figure("standard_error_of_that", fit.error);
    } else {
        let certain = fit.slope - DOUBT * fit.error;
        stage.at_most("resident bytes gained per minute, at least", certain, SLOPE_BYTES_PER_MINUTE_MAX);
        stage.at_most("standard error of that", fit.error, ERROR_BYTES_PER_MINUTE_MAX);
    }
    stage.at_most("spread of open files", spread.max(0.0), FILES_SPREAD_MAX);
}

/// The straight line that fits best, by least squares.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Fit {
    slope: f64,
    /// The standard error of the slope.
    error: f64,
}

impl Fit {
    /// Of the means of `PARTS` stretches of these points, which are in order; 0 where there are too few.
    fn of(points: &[(f64, f64)]) -> Self {
        let parts = points.chunks(points.len().div_ceil(PARTS).max(1)).map(mean).collect::<Vec<_>>();
        let middle = mean(&parts);
        let spread: f64 = parts.iter().map(|part| (part.0 - middle.0).powi(2)).sum();
        if parts.len() < 3 || spread <= 0.0 {
            return Self { slope: 0.0, error: 0.0 };
        }
        let slope = parts.iter().map(|part| (part.0 - middle.0) * (part.1 - middle.1)).sum::<f64>() / spread;
        let off = |part: &(f64, f64)| (part.1 - middle.1 - slope * (part.0 - middle.0)).powi(2);
        let variance = parts.iter().map(off).sum::<f64>() / (parts.len() - 2) as f64;
        Self { slope, error: (variance / spread).sqrt() }
    }
}

fn mean(points: &[(f64, f64)]) -> (f64, f64) {
    let count = points.len().max(1) as f64;
    let (x, y) = points.iter().fold((0.0, 0.0), |sum, point| (sum.0 + point.0, sum.1 + point.1));
    (x / count, y / count)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Forty minutes of samples of a process that gains so much a minute, with the ups and downs of an hour's soak.
    fn gaining(bytes_per_minute: f64) -> Fit {
        let sample = |turn: u32| {
            let minutes = f64::from(turn) / 6.0;
            let noise =
                2e6 * (minutes * 1.3).sin() + 1e6 * (minutes * 0.4).sin() + 5e5 * (minutes * 7.0).cos();
            (minutes, 45e6 + minutes * bytes_per_minute + noise)
        };
        Fit::of(&(0..240).map(sample).collect::<Vec<_>>())
    }

    #[test]
    fn the_slope_of_a_line_is_its_slope_without_error() {
        let line: Vec<_> = (0..100).map(|x| (f64::from(x), 3.0 * f64::from(x) + 7.0)).collect();
        let fit = Fit::of(&line);
        assert!((fit.slope - 3.0).abs() < 1e-9 && fit.error < 1e-9, "{fit:?}");
        for few in [&line[..2], &[]] {
            assert_eq!(Fit::of(few), Fit { slope: 0.0, error: 0.0 });
        }
    }

    #[test]
    fn a_leak_is_told_from_ups_and_downs() {
        let (flat, leaking) = (gaining(0.0), gaining(128.0 * 1024.0));
        assert!(flat.slope - DOUBT * flat.error < SLOPE_BYTES_PER_MINUTE_MAX, "{flat:?}");
        assert!(leaking.slope - DOUBT * leaking.error > SLOPE_BYTES_PER_MINUTE_MAX, "{leaking:?}");
        assert!(flat.error > 1_000.0 && flat.error < ERROR_BYTES_PER_MINUTE_MAX, "{flat:?}");
    }
}
