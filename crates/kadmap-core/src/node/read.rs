//! One read under way: one replica is asked for the record, the others for its version only; what they hold is
//! merged, and those that lack something are repaired. What they told already while they were looked for counts.

use super::env::Env;
use super::finder::Finder;
use super::gleaned::Gleaned;
use super::replicas::{Replica, Replicas, State};
use super::requests::Owner;
use super::second_look::SecondLook;
use super::signal::{Signal, SignalKind};
use crate::operation::{OperationId, ReadError, ReadOptions, ReadOutcome};
use crate::record::{Record, Stamp, Version};
use crate::store::{RecordId, RecordStore};
use crate::wire::{Get, Held, Put, PutMode, Request, Response, Want};
use crate::{Address, Consistency, Contact, NodeId, Now};

/// How a read ends.
pub(super) type ReadResult = Result<ReadOutcome, ReadError>;

/// What one replica told.
#[derive(Debug)]
struct Told {
    version: Version,
    /// Whether its record went into the merged one.
    merged: bool,
}

/// A get under way.
pub(super) struct Read<A: Address> {
    id: OperationId,
    record_id: RecordId,
    consistency: Consistency,
    finder: Option<Finder<A>>,
    replicas: Option<Replicas<Told, A>>,
    /// What was told on the way to the replicas.
    gleaned: Option<Gleaned>,
    second_look: SecondLook<A>,
    /// Answers needed at least, however few replicas were heard of: not all of them were looked for.
    least: usize,
    /// All records received so far.
    merged: Record,
    /// The state of `merged`, and of each record that went into it.
    merged_version: Version,
    /// A replica whose whole record is on its way.
    fetching: Option<NodeId>,
    /// Whether more than one record went into `merged`, so that its version must be computed.
    mixed: bool,
    /// Whether `merged` is of a node whose clock may be ahead: others may still hold what it has buried.
    buried_early: bool,
    /// Whether this node was to answer itself while it still learnt what belongs to it.
    own_had_no_say: bool,
}

impl<A: Address> Read<A> {
    pub(super) fn new<S>(
        env: &mut Env<S, A>,
        now: Now,
        id: OperationId,
        record_id: RecordId,
        options: ReadOptions,
    ) -> Self {
        let consistency = options.consistency.unwrap_or(env.config.consistency);
        let enough = consistency.max(Consistency::Quorum).reads_needed(env.config.replication);
        let finder = Finder::of_record(env, now, &record_id, enough);
        Self {
            id,
            record_id,
            consistency,
            finder: Some(finder),
            replicas: None,
            gleaned: None,
            second_look: SecondLook::default(),
            least: 1,
            merged: Record::default(),
            merged_version: Version::ABSENT,
            fetching: None,
            mixed: false,
            buried_early: false,
            own_had_no_say: false,
        }
    }

    /// Takes in news; tells the result once the read has ended.
    pub(super) fn on_signal<S: RecordStore>(
        &mut self,
        env: &mut Env<S, A>,
        now: Now,
        signal: Signal<A>,
    ) -> Option<ReadResult> {
        if let Some(finder) = &mut self.finder {
            finder.on_signal(env, now, &signal);
        } else {
            if let (SignalKind::Answer { round_trip, .. }, Some(replicas)) =
                (&signal.kind, &mut self.replicas)
            {
                replicas.pace(env, *round_trip);
            }
            self.on_replica(now, signal);
        }
        self.advance(env, now)
    }

    /// Does what can be done now; tells the result once the read has ended.
    pub(super) fn advance<S: RecordStore>(&mut self, env: &mut Env<S, A>, now: Now) -> Option<ReadResult> {
        if let Some(finder) = self.finder.take() {
            self.find(env, now, finder);
        }
        let replicas = self.replicas.as_mut()?;
        replicas.hear_own_word(env, &mut self.own_had_no_say);
        replicas.hear_stand_ins(env, now, self.consistency);
        replicas.choose_responsible(env, |nodes| self.consistency.reads_needed(nodes));
        self.hear_gleaned(env, now);
        self.ask_all_needed(env, now);
        if self.looks_again(env, now) {
            self.ask_all_needed(env, now);
        }
        self.pace(env);
        let mut result = self.result(env)?.map(|need| self.outcome(need));
        if let Ok(outcome) = &mut result {
            outcome.repaired = self.repair(env, now, outcome);
            // What is written after this read belongs after what it saw.
            env.observe(now, outcome.record.as_ref().map_or(Stamp::MIN, Record::newest));
        }
        Some(result)
    }

    fn ask_all_needed<S: RecordStore>(&mut self, env: &mut Env<S, A>, now: Now) {
        while let Some((to, want)) = self.next_to_ask(env) {
            self.ask(env, now, to, want);
        }
    }

    /// Begins the second look if nothing was found by the first and it may have missed who holds the record.
    fn looks_again<S>(&mut self, env: &Env<S, A>, now: Now) -> bool {
        let found_nothing = !self.has_found() && matches!(self.result(env), Some(Ok(_)));
        let Some(replicas) = self.replicas.as_mut().filter(|_| found_nothing) else { return false };
        self.second_look.begin(env, now, &self.record_id.key, replicas)
    }

    /// Looks for the replicas, until they are found or the closest have told enough on the way.
    fn find<S>(&mut self, env: &mut Env<S, A>, now: Now, mut finder: Finder<A>) {
        finder.advance(env, now, Owner::Operation(self.id));
        let is_early = finder.is_done() && !finder.is_complete();
        if is_early {
            let mut heard = Replicas::new(env, &self.record_id.key, finder.heard(env, now));
            heard.hear_stand_ins(env, now, self.consistency);
            let least = heard.needed(|_| self.consistency.reads_needed(env.config.replication));
            if Self::is_settled(&finder, &heard, least) {
                self.replicas = Some(heard);
                self.least = least;
                self.gleaned = finder.into_gleaned();
                return;
            }
            finder.go_on();
            finder.advance(env, now, Owner::Operation(self.id));
        }
        if finder.is_done() {
            self.replicas = Some(Replicas::new(env, &self.record_id.key, finder.candidates()));
            self.second_look = SecondLook::after(&finder);
            self.gleaned = finder.into_gleaned();
        } else {
            self.finder = Some(finder);
        }
    }

    /// Whether so many of the responsible nodes, as far as they have been heard of, told of the record on the way as a read
    /// of all replicas needs.
    ///
    /// They are the closest that answer, so they are of those to which every write goes, however many nodes nobody has
    /// heard of stand among them, as long as these are not more than the replicas beside them.
    fn is_settled(finder: &Finder<A>, heard: &Replicas<Told, A>, least: usize) -> bool {
        let Some(gleaned) = finder.gleaned() else { return false };
        let told = || heard.responsible_iter().filter_map(|replica| gleaned.of(&replica.contact.id));
        told().count() >= least && told().any(|held| !held.version.is_absent())
    }

    /// Has as many of the responsible nodes answer with what they told on the way as may be needed, one that sent the record
    /// first.
    fn hear_gleaned<S: RecordStore>(&mut self, env: &mut Env<S, A>, now: Now) {
        let (Some(gleaned), Some(replicas)) = (&self.gleaned, &self.replicas) else { return };
        let idle = replicas.responsible_iter().filter(|replica| matches!(replica.state, State::Idle));
        let mut idle: Vec<_> = idle.map(|replica| replica.contact).collect();
        let rank = |contact: &Contact<A>| {
            let has_sent = gleaned.of(&contact.id).is_some_and(|held| held.record.is_some());
            if contact.id == env.own { 0 } else { 2 - u8::from(has_sent) }
        };
        idle.sort_by_key(rank);
        for contact in idle {
            if self.answered() >= self.need().max(self.least) {
                break;
            }
            if contact.id == env.own {
                self.ask(env, now, contact, Want::Record);
            } else if let Some(held) = self.gleaned.as_mut().and_then(|gleaned| gleaned.take(&contact.id)) {
                self.hear(now, &contact.id, held);
            }
        }
    }

    /// Takes in what a replica told on the way.
    fn hear(&mut self, now: Now, id: &NodeId, held: Held) {
        let Held { version, record } = held;
        let merged = record.is_some() || version.is_absent();
        if let Some(state) = self.replicas.as_mut().and_then(|replicas| replicas.state_mut(id)) {
            *state = State::Done(Told { version, merged });
        }
        if let Some(record) = record {
            self.take_in(now, version, record);
        }
    }

    /// Takes the round trips of the way as the measure for the answers that are awaited now.
    fn pace<S>(&mut self, env: &mut Env<S, A>) {
        let round_trip = self.gleaned.as_mut().and_then(|gleaned| gleaned.round_trip.take());
        if let (Some(round_trip), Some(replicas)) = (round_trip, &mut self.replicas) {
            replicas.pace(env, round_trip);
        }
    }

    /// What is to be told when the read's time is over.
    pub(super) fn expired(&self) -> ReadError {
        self.too_few_answers()
    }

    fn on_replica(&mut self, now: Now, signal: Signal<A>) {
        let Some(replicas) = &mut self.replicas else { return };
        // Whatever has come of it: if the record is not here now, another holder may be asked for it.
        if self.fetching == Some(signal.from.id) {
            self.fetching = None;
        }
        if matches!(signal.kind, SignalKind::Lost) {
            return replicas.set_unresponsive(&signal.from.id);
        }
        let Some(state) = replicas.asked_mut(&signal.from.id, signal.request) else { return };
        match signal.kind {
            SignalKind::Answer { response: Response::Found(found), .. } => {
                *state = State::Done(Told { version: found.version, merged: true });
                self.take_in(now, found.version, found.record);
            }
            SignalKind::Answer { response: Response::Summary(summary), .. } => {
                *state = State::Done(Told { version: summary.version, merged: summary.version.is_absent() });
            }
            SignalKind::Slow => *state = State::Waiting { request: signal.request, slow: true },
            SignalKind::Answer { .. }
            | SignalKind::Silent
            | SignalKind::Lost
            | SignalKind::Durable { .. } => {
                *state = State::Silent;
            }
        }
    }

    /// Merges a record that was received or read here.
    fn take_in(&mut self, now: Now, version: Version, record: Record) {
        if self.merged.is_empty() {
            self.merged = record;
            self.merged_version = version;
        } else if self.merged.merge(record) {
            self.mixed = true;
        }
        self.buried_early = self.merged.may_be_buried_early(now.unix_ms);
    }

    /// Whom to ask now, and for what.
    fn next_to_ask<S>(&mut self, env: &Env<S, A>) -> Option<(Contact<A>, Want)> {
        let replicas = self.replicas.as_ref()?;
        let enough = self.answered() >= self.need() || self.settled() >= self.wanted(env);
        // First the record itself, from a node that is known to have it if there is one.
        if self.fetching.is_none()
            && let Some(contact) = self.unmerged_holder()
        {
            return Some((contact, Want::Record));
        }
        if enough {
            // Nobody had it so far: ask also those that let requests be lost, for they may have it all the same.
            let unheard = if self.has_found() { None } else { self.unasked_closest() };
            return unheard.map(|contact| (contact, Want::Summary));
        }
        let next = replicas.next_idle(env)?;
        let is_first = self.merged.is_empty() && self.fetching.is_none() && self.unmerged_holder().is_none();
        Some((next, if is_first || next.id == env.own { Want::Record } else { Want::Summary }))
    }

    /// A node to which the record belongs and that has not been asked, once the responsible ones have answered.
    fn unasked_closest(&self) -> Option<Contact<A>> {
        let replicas = self.replicas.as_ref()?;
        let need = replicas.needed(|nodes| self.consistency.reads_needed(nodes));
        if self.answered() < need {
            return None;
        }
        let idle = |replica: &&Replica<Told, A>| matches!(replica.state, State::Idle);
        replicas.closest_iter().find(idle).map(|replica| replica.contact)
    }

    /// A replica whose version differs from what is merged.
    fn unmerged_holder(&self) -> Option<Contact<A>> {
        let doubted = self.mixed || self.buried_early;
        let differs = |told: &Told| !told.merged && (doubted || told.version != self.merged_version);
        let replicas = self.replicas.as_ref()?;
        replicas.answers().find(|(_, told)| differs(told)).map(|(contact, _)| *contact)
    }

    fn ask<S: RecordStore>(&mut self, env: &mut Env<S, A>, now: Now, to: Contact<A>, want: Want) {
        let state = if to.id == env.own {
            match env.own_word(now, &self.record_id) {
                Ok((version, record)) => {
                    self.take_in(now, version, record);
                    State::Done(Told { version, merged: true })
                }
                Err(_) => {
                    self.own_had_no_say = env.is_syncing;
                    State::Silent
                }
            }
        } else {
            if want == Want::Record {
                self.fetching = Some(to.id);
            }
            let get = Get { key: self.record_id.key, name: self.record_id.name.clone(), want };
            let request = self.second_look.request(env, now, to, Request::Get(get), self.id);
            State::Waiting { request, slow: false }
        };
        if let Some(slot) = self.replicas.as_mut().and_then(|replicas| replicas.state_mut(&to.id)) {
            *slot = state;
        }
    }

    /// Replicas that have answered or will at their usual pace.
    fn settled(&self) -> usize {
        self.replicas.as_ref().map_or(0, |replicas| self.answered() + replicas.awaited())
    }

    /// Responsible replicas that have answered.
    fn answered(&self) -> usize {
        let done = |state: &State<Told>| matches!(state, State::Done(_));
        self.replicas.as_ref().map_or(0, |replicas| replicas.count_responsible(done))
    }

    /// How many replicas must answer: the quorum if one of them holds something, all of them otherwise.
    fn need(&self) -> usize {
        let Some(replicas) = &self.replicas else { return 1 };
        let need = replicas.needed(|nodes| self.consistency.reads_needed(nodes));
        if self.answered() < need || self.has_found() { need } else { replicas.closest_iter().count() }
    }

    fn has_found(&self) -> bool {
        let holds = |(_, told): (&Contact<A>, &Told)| !told.version.is_absent();
        self.replicas.as_ref().is_some_and(|replicas| replicas.answers().any(holds))
    }

    /// Whether every node to which the record belongs has answered or been given up: only then nothing is there.
    /// A node that is merely late may be the one that holds it.
    fn has_heard_all(&self) -> bool {
        let heard = |replica: &Replica<Told, A>| matches!(replica.state, State::Done(_));
        self.replicas.as_ref().is_some_and(|replicas| replicas.closest_iter().all(heard))
    }

    /// How many replicas to ask at once: a few more where packets get lost.
    fn wanted<S>(&self, env: &Env<S, A>) -> usize {
        let need = self.need();
        let responsible = self.replicas.as_ref().map_or(0, Replicas::responsible);
        if env.peers.is_lossy() { (need + need.div_ceil(2)).min(responsible.max(need)) } else { need }
    }

    /// Whether the read is settled, and with how many answers needed.
    fn result<S>(&self, env: &Env<S, A>) -> Option<Result<usize, ReadError>> {
        let replicas = self.replicas.as_ref()?;
        let need = self.need();
        let complete = self.unmerged_holder().is_none() && self.fetching_is_not_needed();
        let enough = self.answered() >= need && (self.has_found() || self.has_heard_all());
        if enough && complete && replicas.responsible() > 0 {
            return Some(Ok(need));
        }
        let exhausted = replicas.waiting() == 0 && replicas.next_idle(env).is_none();
        exhausted.then(|| Err(self.too_few_answers()))
    }

    /// A record on its way is not waited for when another copy of the same state is already here.
    fn fetching_is_not_needed(&self) -> bool {
        self.fetching.is_none() || !self.merged.is_empty()
    }

    /// Hands the merged record out.
    fn outcome(&mut self, need: usize) -> ReadOutcome {
        let version = if self.mixed { self.merged.head().version } else { self.merged_version };
        let merged = std::mem::take(&mut self.merged);
        ReadOutcome {
            record: (!merged.is_empty()).then_some(merged),
            version,
            answers: self.answered(),
            need,
            replicas: self.replicas.as_ref().map_or(0, Replicas::responsible),
            repaired: 0,
        }
    }

    fn too_few_answers(&self) -> ReadError {
        ReadError::TooFewAnswers { answers: self.answered(), need: self.need() }
    }

    /// Sends the merged record to those that answered with less; tells to how many.
    fn repair<S: RecordStore>(&mut self, env: &mut Env<S, A>, now: Now, outcome: &ReadOutcome) -> usize {
        let (Some(replicas), Some(record)) = (self.replicas.take(), &outcome.record) else { return 0 };
        let owners: Vec<_> = replicas.owners_iter().map(|replica| replica.contact.id).collect();
        let lacking = replicas
            .answers()
            .filter(|(contact, told)| told.version != outcome.version && owners.contains(&contact.id));
        let mut repaired = 0;
        for (contact, _) in lacking {
            let put = Put {
                key: self.record_id.key,
                name: self.record_id.name.clone(),
                mode: PutMode::Replicate,
                delta: record.clone().without_expired(now.unix_ms),
                if_newest: None,
            };
            if contact.id == env.own {
                // A store that refuses is reported by the store itself; the reader has its answer.
                let _ = env.store_put(now, put);
            } else {
                env.request_in_background(now, *contact, Request::Put(put));
            }
            repaired += 1;
        }
        env.counters.replicas_repaired += repaired as u64;
        repaired
    }
}
