//! K1: 64 writers append to many lists while processes are killed, wiped, frozen and cut off.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::RwLock;

use super::{Needs, Scenario, Sides, Size};
use crate::client::Client;
use crate::dice::Dice;
use crate::error::ChaosError;
use crate::history::{Fault, Kind, Outcome, item};
use crate::load::{StopFlag, begin};
use crate::stage::{Stage, key_names, quantile, read_all};

/// Clients that append, each a handle of its own.
const WRITERS: usize = 64;
/// Clients that read everything at the end.
const READERS: usize = 4;
/// Threads of each side that the clients are dealt over.
const LANES: usize = 1;
/// Lists that are appended to at a time.
const LISTS_AT_A_TIME: u64 = 32;
/// Items of a list before the next is begun: so few that reading it stays cheap.
const ITEMS_PER_LIST: u64 = 2_000;
/// A writer reads the list that it is at once in so many appends.
const READ_EVERY: u32 = 100;
/// How long nodes are frozen or cut off, from and to.
const FAULT_MS: (usize, usize) = (500, 5_000);
/// Nodes frozen at a time, at most.
const FROZEN_MAX: usize = 2;
/// Time between the mending of one blow and the next, in a full run and in a short one: a swarm that is struck all the
/// time shows that nothing is lost, but hardly any appends.
const PAUSE: Duration = Duration::from_secs(5);
const PAUSE_SHORT: Duration = Duration::from_millis(500);
/// The share of the appends that has to be acknowledged, or the run has shown little: blows take a part of the time.
const ACKNOWLEDGED_MIN: f64 = 0.5;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "appends",
    bar: "K1",
    about: "64 writers append while processes are killed, wiped, frozen and cut off; none is lost or doubled",
    short: Size { nodes: 8, keys: 0, replication: 5, appends: 1_000, span: Duration::ZERO },
    full: Size { nodes: 12, keys: 0, replication: 5, appends: 1_000_000, span: Duration::ZERO },
    needs: Needs { disks: true, sides: Sides::TwoIfAllowed },
    play,
};

/// What the writers share.
#[derive(Debug)]
struct Work {
    lists: Arc<[String]>,
    /// Who appends or reads holds it for reading; who waits until the lists are equal stops all that.
    gate: RwLock<()>,
    /// Appends that have been begun.
    begun: AtomicU64,
    appends: u64,
    items_per_list: u64,
    seed: u64,
}

impl Work {
    /// How many times so many lists as are appended to at a time have been left for new ones.
    fn group(&self) -> u64 {
        self.group_of(self.begun.load(Ordering::Relaxed))
    }

    /// The same before the append with this number.
    fn group_of(&self, number: u64) -> u64 {
        number / (self.items_per_list * LISTS_AT_A_TIME)
    }
}

/// What is done to the swarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Blow {
    Kill,
    Wipe,
    Freeze,
    Restart,
    Cut,
}

fn play(stage: &mut Stage) -> Result<(), ChaosError> {
    let nodes = stage.grow(stage.plan.nodes)?;
    let through: Vec<_> = (0..WRITERS).map(|turn| nodes[turn % nodes.len()]).collect();
    let seats = stage.clients(&through, LANES)?;
    let appends = stage.plan.appends;
    let items_per_list = ITEMS_PER_LIST.min((appends / LISTS_AT_A_TIME).max(1));
    let lists = appends.div_ceil(items_per_list).next_multiple_of(LISTS_AT_A_TIME);
    let lists: Arc<[String]> = key_names("list", lists as usize).into();
    let work = Work {
        lists: lists.clone(),
        gate: RwLock::new(()),
        begun: AtomicU64::new(0),
        appends,
        items_per_list,
        seed: stage.plan.seed,
    };
    let work = Arc::new(work);

    stage.progress.begin("appending while processes are killed, wiped, frozen and cut off", appends as usize);
    let start = Instant::now();
    let load = begin(&seats, 1, |client, _, stop| append_until_done(work.clone(), client, stop));
    let blows = strike(stage, &work)?;
    let acknowledged: u64 = load.wait()?.into_iter().sum();
    let seconds = start.elapsed().as_secs_f64();
    for (blow, count) in blows {
        stage.figure(format!("{blow:?}_times").to_lowercase(), count as f64);
    }
    stage.figure("appends_acknowledged", acknowledged as f64);
    stage.figure("appends_per_second", acknowledged as f64 / seconds);
    let latencies = stage.latencies_ms(|one| one.kind == Kind::Append && one.outcome == Outcome::Ok);
    stage.figure("append_p50_ms", quantile(&latencies, 0.5));
    stage.figure("append_p99_ms", quantile(&latencies, 0.99));

    let mended = stage.wait_converged(&lists)?;
    stage.figure("seconds_until_equal_after", mended.as_secs_f64());
    stage.recorder.settle();
    let readers = stage.final_readers(&seats[..READERS])?;
    stage.progress.begin("reading every list", lists.len() * readers.len());
    read_all(&readers, &lists, stage.plan.seed)?;
    stage.judge_convergence(&lists)?;
    stage.judge_history();
    judge_reads(stage, acknowledged);
    Ok(())
}

/// Appends until all writers together have begun as many as wanted; tells how many were acknowledged.
async fn append_until_done(work: Arc<Work>, client: Client, _: StopFlag) -> u64 {
    let mut dice = Dice::new(work.seed ^ u64::from(client.number));
    let (mut sequence, mut acknowledged) = (0, 0);
    loop {
        let number = work.begun.fetch_add(1, Ordering::Relaxed);
        if number >= work.appends {
            return acknowledged;
        }
        let list = work.group_of(number) * LISTS_AT_A_TIME + dice.below(LISTS_AT_A_TIME as usize) as u64;
        let list = &work.lists[list as usize];
        let _open = work.gate.read().await;
        sequence += 1;
        let outcome = client.append(list, item(client.number, sequence)).await;
        acknowledged += u64::from(outcome == Outcome::Ok);
        client.progress.step();
        if sequence % READ_EVERY == 0 {
            client.get(list).await;
        }
    }
}

/// Strikes the swarm until all appends are begun, and leaves it mended; tells how often each blow fell.
fn strike(stage: &mut Stage, work: &Work) -> Result<Vec<(Blow, u64)>, ChaosError> {
    let mut blows = vec![Blow::Kill, Blow::Wipe, Blow::Freeze, Blow::Restart];
    if stage.swarm.has_two_sides() {
        blows.push(Blow::Cut);
    }
    let mut counts: Vec<_> = blows.iter().map(|blow| (*blow, 0)).collect();
    let mut turn = 0;
    while work.begun.load(Ordering::Relaxed) < work.appends {
        // Each once before chance has its way, so that a short run has them all.
        let at = if turn < blows.len() { turn } else { stage.dice.below(blows.len()) };
        turn += 1;
        counts[at].1 += 1;
        fall(stage, blows[at])?;
        match blows[at] {
            Blow::Cut => wait_one_again(stage, work)?,
            _ => wait_repaired(stage, work)?,
        }
        std::thread::sleep(if stage.plan.short { PAUSE_SHORT } else { PAUSE });
    }
    Ok(counts)
}

fn fall(stage: &mut Stage, blow: Blow) -> Result<(), ChaosError> {
    let live = stage.swarm.live();
    let node = live[stage.dice.below(live.len())];
    let span = Duration::from_millis((FAULT_MS.0 + stage.dice.below(FAULT_MS.1 - FAULT_MS.0)) as u64);
    match blow {
        Blow::Kill | Blow::Wipe => {
            let keeps_disk = blow == Blow::Kill;
            let fault = if keeps_disk { Fault::KILL } else { Fault::WIPE };
            stage.recorder.record_fault(fault, format!("node {node}"));
            stage.swarm.kill(&[node])?;
            stage.swarm.restart(node, keeps_disk)?;
            stage.recorder.record_fault(Fault::RESTART, format!("node {node}"));
        }
        Blow::Restart => {
            stage.recorder.record_fault(Fault::STOP, format!("node {node}"));
            stage.swarm.stop(node)?;
            stage.swarm.restart(node, true)?;
            stage.recorder.record_fault(Fault::RESTART, format!("node {node}"));
        }
        Blow::Freeze => {
            let count = 1 + stage.dice.below(FROZEN_MAX);
            let frozen: Vec<_> =
                stage.dice.choose(count, live.len()).into_iter().map(|at| live[at]).collect();
            stage.recorder.record_fault(Fault::FREEZE, format!("nodes {frozen:?}"));
            frozen.iter().try_for_each(|node| stage.swarm.freeze(*node))?;
            std::thread::sleep(span);
            frozen.iter().try_for_each(|node| stage.swarm.thaw(*node))?;
            stage.recorder.record_fault(Fault::THAW, format!("nodes {frozen:?}"));
        }
        Blow::Cut => {
            stage.recorder.record_fault(Fault::CUT, "the link between the sides");
            stage.swarm.set_cut(true)?;
            std::thread::sleep(span);
            stage.swarm.set_cut(false)?;
            stage.recorder.record_fault(Fault::HEAL, "the link between the sides");
        }
    }
    Ok(())
}

/// Waits until the lists that are full are equal on all their replicas again: a swarm that is wiped faster than it
/// repairs itself loses data by arithmetic, not by a mistake. Those that are being appended to differ all the time.
fn wait_repaired(stage: &mut Stage, work: &Work) -> Result<(), ChaosError> {
    let full = work.group().saturating_sub(1) * LISTS_AT_A_TIME;
    stage.wait_converged(&work.lists[..work.lists.len().min(full as usize)]).map(drop)
}

/// Waits until all lists are equal on all their replicas, while nobody appends: from then on every read must show what
/// was acknowledged on either side of a cut.
fn wait_one_again(stage: &mut Stage, work: &Work) -> Result<(), ChaosError> {
    let _closed = work.gate.blocking_write();
    let begun = (work.group() + 1) * LISTS_AT_A_TIME;
    stage.wait_converged(&work.lists[..work.lists.len().min(begun as usize)])?;
    stage.recorder.record_fault(Fault::EQUAL, "the replicas of all lists");
    Ok(())
}

fn judge_reads(stage: &mut Stage, acknowledged: u64) {
    let [judged, never_read, late] = {
        let verdict = stage.report.verdicts.iter().find(|verdict| verdict.checker == "set-full");
        let count = |what| verdict.map_or(0, |verdict| verdict.count(what)) as f64;
        let late = verdict.and_then(|verdict| verdict.late_ms).map_or(0.0, |[_, p99, _]| p99);
        [verdict.map_or(0, |verdict| verdict.judged) as f64, count("never read"), late]
    };
    stage.figure("stale_p99_ms", late);
    stage.at_least("appends acknowledged", acknowledged as f64, stage.plan.appends as f64 * ACKNOWLEDGED_MIN);
    stage.at_least("items judged", judged, acknowledged as f64);
    // What was not acknowledged may never have arrived; everything else has been read at the end.
    let unknown = stage.count(Kind::Append, |append| append.outcome != Outcome::Ok) as f64;
    stage.at_most("items that no read told of", never_read, unknown);
}
