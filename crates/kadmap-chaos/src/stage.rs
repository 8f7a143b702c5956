//! What a scenario plays on: the swarm, its clients, the clock, and the report that it fills.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kadmap::{Consistency, Dht, Key};

use crate::checker::{Holding, Verdict, convergence, judge};
use crate::client::Client;
use crate::dice::Dice;
use crate::error::ChaosError;
use crate::history::{Kind, Operation, Recorder};
use crate::load::{Seat, each};
use crate::plan::Plan;
use crate::progress::Progress;
use crate::report::{Bound, Figure, Report, Skipped};
use crate::swarm::{Lane, Swarm};

/// How often a condition is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// Keys that one node is asked about at a time.
const ASKED_AT_A_TIME: usize = 32;
/// How long replicas are waited for that a kadmap without repair by differences may never make equal: its hand-over
/// begins within a second, its copies for those that fell silent within half a minute; a short run waits for the former.
const PATIENCE_WITHOUT_REPAIR: Duration = Duration::from_secs(40);
const PATIENCE_WITHOUT_REPAIR_SHORT: Duration = Duration::from_secs(4);
/// What such a kadmap lacks.
const NO_REPAIR: &str = "this kadmap has no repair by differences (its 'run' has no --repair-interval): a replica that \
                         missed a copy stays without, so equal replicas are waited for a while and not asserted";
/// What its clients do instead of reading from a quorum.
const ASKING_ALL: &str =
    "without repair by differences replicas stay apart after a cut; the reads at the end asked all replicas";
/// How long a client may take to join: far beyond what it takes on a loaded machine.
const JOIN_TIMEOUT: Duration = Duration::from_secs(60);

/// What a scenario plays on.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) plan: Plan,
    pub(crate) swarm: Swarm,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) progress: Progress,
    pub(crate) dice: Dice,
    pub(crate) report: Report,
    clients: u32,
    /// Asks single nodes what they hold; made when first needed.
    auditor: Option<Seat>,
}

impl Stage {
    pub(crate) fn new(plan: Plan, swarm: Swarm, report: Report, progress: Progress) -> Self {
        let counted = plan.replication.min(plan.nodes);
        let quorum = Consistency::Quorum.reads_needed(counted) as u32;
        let recorder = Arc::new(Recorder::new(plan.excuses, quorum));
        let dice = Dice::new(plan.seed);
        Self { plan, swarm, recorder, progress, dice, report, clients: 0, auditor: None }
    }

    /// Starts so many nodes that know each other.
    pub(crate) fn grow(&mut self, count: usize) -> Result<Vec<usize>, ChaosError> {
        self.progress.begin(format!("starting {count} processes"), count);
        let progress = self.progress.clone();
        let grown = self.swarm.grow(count, || progress.step())?;
        self.wait_acquainted()?;
        Ok(grown)
    }

    /// Starts a client on a thread, by the address of one node.
    pub(crate) fn client(&mut self, lane: &Arc<Lane>, through: usize) -> Result<Seat, ChaosError> {
        let member = self.swarm.member(through);
        let builder = Dht::builder()
            .client()
            .listen(self.swarm.listen(member.side, 0))
            .join([member.address().to_string()])
            .join_timeout(JOIN_TIMEOUT)
            .replication(self.swarm.replication())
            .secret(self.swarm.secret());
        let dht = lane.run(builder.spawn())??;
        self.clients += 1;
        let client = Client::new(self.clients, dht, self.recorder.clone(), self.progress.clone());
        Ok(Seat { client, lane: lane.clone() })
    }

    /// Starts a client through each of these nodes, dealt over so many threads of each side.
    pub(crate) fn clients(&mut self, through: &[usize], lanes: usize) -> Result<Vec<Seat>, ChaosError> {
        let mut threads = Vec::new();
        for side in [0, 1] {
            if through.iter().any(|number| self.swarm.member(*number).side == side) {
                for _ in 0..lanes {
                    threads.push((side, Arc::new(self.swarm.lane(side)?)));
                }
            }
        }
        let mut seats = Vec::with_capacity(through.len());
        for (turn, number) in through.iter().enumerate() {
            let side = self.swarm.member(*number).side;
            let fitting: Vec<_> = threads.iter().filter(|(its, _)| *its == side).collect();
            let lane = fitting[turn % fitting.len()].1.clone();
            seats.push(self.client(&lane, *number)?);
        }
        Ok(seats)
    }

    /// Waits until something is so.
    pub(crate) fn wait_until(
        &mut self,
        what: &str,
        patience: Duration,
        mut is_so: impl FnMut(&mut Self) -> Result<bool, ChaosError>,
    ) -> Result<Duration, ChaosError> {
        let start = Instant::now();
        while !is_so(self)? {
            if start.elapsed() > patience {
                return Err(ChaosError::NeverTrue { what: what.to_owned(), seconds: patience.as_secs() });
            }
            std::thread::sleep(POLL_INTERVAL);
        }
        Ok(start.elapsed())
    }

    /// Asks every live node for itself what it holds of each of these keys.
    pub(crate) fn holdings(&mut self, keys: &[String]) -> Result<Vec<Holding>, ChaosError> {
        let auditor = self.auditor()?;
        let live = self.swarm.live();
        let dht = auditor.client.dht.clone();
        let ids: Vec<_> = live.iter().map(|number| self.swarm.member(*number).id()).collect();
        let replication = self.swarm.replication();
        let keys: Arc<[(String, Key)]> = keys.iter().map(|key| (key.clone(), dht.key_of(key))).collect();
        let (sender, answers) = std::sync::mpsc::channel();
        for (turn, number) in live.iter().copied().enumerate() {
            let member = self.swarm.member(number);
            let remote = dht.remote(member.id(), member.address());
            for share in 0..ASKED_AT_A_TIME {
                let (keys, ids, remote) = (keys.clone(), ids.clone(), remote.clone());
                let work = async move {
                    let mut holdings = Vec::new();
                    for (key, place) in keys.iter().skip(share).step_by(ASKED_AT_A_TIME) {
                        let own = ids[turn].distance(place);
                        let closer = ids.iter().filter(|id| id.distance(place) < own).count();
                        let version = remote.version(key).await.ok();
                        let is_responsible = closer < replication;
                        holdings.push(Holding { key: key.clone(), node: number, is_responsible, version });
                    }
                    holdings
                };
                auditor.lane.spawn(work, &sender);
            }
        }
        drop(sender);
        Ok(answers.iter().flatten().collect())
    }

    /// Waits until the live nodes closest to each key hold the same of it; tells how long that took. That it never
    /// comes true is for [`judge_convergence`](Self::judge_convergence) to say.
    pub(crate) fn wait_converged(&mut self, keys: &[String]) -> Result<Duration, ChaosError> {
        let start = Instant::now();
        self.progress.begin("waiting until all replicas are equal", keys.len());
        while convergence(&self.holdings(keys)?).breaches() > 0 && start.elapsed() < self.equality_patience()
        {
            std::thread::sleep(POLL_INTERVAL);
        }
        Ok(start.elapsed())
    }

    /// Demands that the live nodes closest to each key hold the same of it now, if this kadmap sees to that.
    pub(crate) fn judge_convergence(&mut self, keys: &[String]) -> Result<(), ChaosError> {
        let verdict = convergence(&self.holdings(keys)?);
        if self.plan.repair_period.is_some() {
            self.bound_verdict(verdict);
        } else {
            self.skip("whether all replicas are equal in the end", NO_REPAIR);
            self.figure("keys_whose_replicas_differ_in_the_end", verdict.count("differing") as f64);
        }
        Ok(())
    }

    /// The same clients for the reads at the end. Where replicas differ for good they have to ask all of them, as the
    /// simulator's partition does: it is all that such a kadmap promises after a cut.
    pub(crate) fn final_readers(&mut self, seats: &[Seat]) -> Result<Vec<Seat>, ChaosError> {
        self.wait_heard(seats)?;
        if self.plan.repair_period.is_some() {
            return Ok(seats.to_vec());
        }
        self.skip("reads of a quorum after nodes were cut off or frozen", ASKING_ALL);
        let ask_all = |seat: &Seat| {
            let client = seat.client.clone().with_consistency(Consistency::All);
            Seat { client, lane: seat.lane.clone() }
        };
        Ok(seats.iter().map(ask_all).collect())
    }

    /// Waits until every live node has answered each of these clients: one that was cut off takes nodes for dead for some
    /// seconds after they are back, and nothing is promised of what it reads until then.
    fn wait_heard(&mut self, seats: &[Seat]) -> Result<(), ChaosError> {
        self.progress.begin("waiting until every client hears every node", seats.len());
        let patience = self.plan.patience;
        for seat in seats {
            self.wait_until("a client hears every node", patience, |stage| stage.hears_all(seat))?;
            self.progress.step();
        }
        Ok(())
    }

    fn hears_all(&self, seat: &Seat) -> Result<bool, ChaosError> {
        let members = self.swarm.live().into_iter().map(|number| self.swarm.member(number));
        let remotes: Vec<_> =
            members.map(|member| seat.client.dht.remote(member.id(), member.address())).collect();
        seat.lane.run(async move {
            for remote in remotes {
                if remote.status().await.is_err() {
                    return false;
                }
            }
            true
        })
    }

    fn equality_patience(&self) -> Duration {
        match self.plan.repair_period {
            Some(_) => self.plan.patience,
            None if self.plan.short => PATIENCE_WITHOUT_REPAIR_SHORT,
            None => PATIENCE_WITHOUT_REPAIR,
        }
    }

    /// Lets all judges look at the history, and bounds what they call a breach by 0.
    pub(crate) fn judge_history(&mut self) {
        self.progress.begin("judging", 1);
        for verdict in self.recorder.with(|history| judge(history)) {
            if verdict.judged > 0 {
                self.bound_verdict(verdict);
            }
        }
    }

    fn bound_verdict(&mut self, verdict: Verdict) {
        for count in verdict.counts.iter().filter(|count| count.is_breach) {
            let what = format!("{}: {}", verdict.checker, count.what);
            self.report.bounds.push(Bound::at_most(what, count.count as f64, 0.0));
        }
        self.report.verdicts.push(verdict);
    }

    /// A number for the report.
    pub(crate) fn figure(&mut self, name: impl Into<String>, value: f64) {
        self.report.figures.push(Figure { name: name.into(), value });
    }

    pub(crate) fn at_most(&mut self, what: impl Into<String>, measured: f64, limit: f64) {
        self.report.bounds.push(Bound::at_most(what, measured, limit));
    }

    pub(crate) fn at_least(&mut self, what: impl Into<String>, measured: f64, limit: f64) {
        self.report.bounds.push(Bound::at_least(what, measured, limit));
    }

    /// A bound on a time that a loaded machine breaks: asserted in a full run, reported in a short one.
    pub(crate) fn timing_at_most(&mut self, what: &str, measured: f64, limit: f64) {
        if self.plan.short {
            self.figure(what.replace(' ', "_"), measured);
        } else {
            self.at_most(what, measured, limit);
        }
    }

    /// Says what is not proved, and why.
    pub(crate) fn skip(&mut self, what: &str, why: impl Into<String>) {
        self.report.skipped.push(Skipped { what: what.to_owned(), why: why.into() });
    }

    /// How long the operations took that a choice takes, sorted, in milliseconds.
    pub(crate) fn latencies_ms(&self, choose: impl Fn(&Operation) -> bool) -> Vec<f64> {
        let span = |operation: &Operation| (operation.end_ns - operation.start_ns) as f64 / 1e6;
        let mut spans: Vec<_> = self
            .recorder
            .with(|history| history.operations.iter().filter(|one| choose(one)).map(span).collect());
        spans.sort_unstable_by(f64::total_cmp);
        spans
    }

    /// How many operations of a kind there are that a choice takes.
    pub(crate) fn count(&self, kind: Kind, choose: impl Fn(&Operation) -> bool) -> u64 {
        self.recorder.with(|history| {
            let of_kind = history.operations.iter().filter(|one| one.kind == kind && choose(one));
            of_kind.count() as u64
        })
    }

    /// Bytes of the records of all live nodes together.
    pub(crate) fn stored_bytes(&mut self) -> Result<u64, ChaosError> {
        let (auditor, mut bytes) = (self.auditor()?, 0);
        for number in self.swarm.live() {
            let member = self.swarm.member(number);
            let remote = auditor.client.dht.remote(member.id(), member.address());
            bytes += auditor.lane.run(async move { remote.status().await })?.map_or(0, |status| status.bytes);
        }
        Ok(bytes)
    }

    /// Bytes that went through the swarm's own network while something was done; 0 where it has none.
    pub(crate) fn traffic_while(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<(), ChaosError>,
    ) -> Result<f64, ChaosError> {
        let before = self.swarm.traffic_bytes()?.unwrap_or_default();
        work(self)?;
        let after = self.swarm.traffic_bytes()?.unwrap_or_default();
        Ok(after.saturating_sub(before) as f64)
    }

    /// Waits until every live node knows as many others as there are, or as many as it needs for a replica set.
    fn wait_acquainted(&mut self) -> Result<(), ChaosError> {
        self.progress.begin("waiting until the processes know each other", self.swarm.live().len());
        let auditor = self.auditor()?;
        let patience = self.plan.patience;
        self.wait_until("the processes know each other", patience, |stage| {
            let live = stage.swarm.live();
            let wanted = (live.len() - 1).min(stage.swarm.replication()) as u64;
            let remotes = live.iter().map(|number| {
                let member = stage.swarm.member(*number);
                auditor.client.dht.remote(member.id(), member.address())
            });
            for remote in remotes.collect::<Vec<_>>() {
                let status = auditor.lane.run(async move { remote.status().await })?;
                if status.is_ok_and(|status| status.contacts < wanted) {
                    return Ok(false);
                }
            }
            Ok(true)
        })
        .map(drop)
    }

    /// The client that asks single nodes; a new one when the node that it joined by has gone is not needed, since it
    /// knows the others then.
    fn auditor(&mut self) -> Result<Seat, ChaosError> {
        if let Some(auditor) = &self.auditor {
            return Ok(auditor.clone());
        }
        let through = self.swarm.live().first().copied().unwrap_or_default();
        let lane = Arc::new(self.swarm.lane(self.swarm.member(through).side)?);
        let auditor = self.client(&lane, through)?;
        Ok(self.auditor.insert(auditor).clone())
    }
}

/// The names of so many keys.
pub(crate) fn key_names(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{prefix}-{number}")).collect()
}

/// The value below which such a share of sorted values lies; 0 where there are none.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied().unwrap_or_default()
}

/// Lets every client read every one of these keys once, each in its own order, one at a time.
pub(crate) fn read_all(seats: &[Seat], keys: &Arc<[String]>, seed: u64) -> Result<(), ChaosError> {
    each(seats, 1, |client, _| {
        let keys = keys.clone();
        let order = Dice::new(seed ^ u64::from(client.number)).shuffled(keys.len());
        async move {
            for at in order {
                client.get(&keys[at]).await;
                client.progress.step();
            }
        }
    })
    .map(drop)
}
