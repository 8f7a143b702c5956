//! One write under way: find the replicas, send the delta, count the acknowledgements.

use bytes::Bytes;
use rand_core::Rng;

use std::time::Duration;

use super::env::{AfterFlush, Env, LARGE_BYTES};
use super::finder::Finder;
use super::leave::Leaving;
use super::read::{Read, ReadResult};
use super::replicas::{Replicas, State};
use super::requests::Owner;
use super::serve::Stored;
use super::signal::{Signal, SignalKind};
use crate::operation::{
    Change, Event, OperationId, ReadOptions, RecordSize, WriteError, WriteOptions, WriteOutcome,
};
use crate::record::{Base, Clock, Codec, Item, Payload, Record, Shape, Stamp, Version};
use crate::store::{RecordId, RecordStore};
use crate::wire::{Put, PutMode, Refusal, Request, RequestId, Response, Stored as StoredBody};
use crate::{Address, Consistency, Contact, Now};

/// How far ahead of its clock a node goes on stamping, because of what it has stamped before: a day, after which those that
/// wait for it would wait too long.
const AHEAD_MS_MAX: u64 = 24 * 3_600 * 1_000;
/// Times a write is stamped again because something newer was there. Each time its clock learns of the newer
/// stamp, so more than a few mean that somebody writes without pause.
const RESTAMPS_MAX: u32 = 16;

/// The list that stands below the items of one that was trimmed.
const EMPTY_LIST: &str = "[]";

/// What a replica said to the delta.
type Answer = Result<StoredBody, Refusal>;

/// A put, delete, append or field write under way.
pub(super) struct Write<A: Address> {
    id: OperationId,
    record: RecordId,
    change: Change,
    options: WriteOptions,
    consistency: Consistency,
    stamp: Stamp,
    /// Stamps that an append had before; copies under them may have been taken somewhere.
    former: Vec<Stamp>,
    delta: Record,
    /// First, for a write with a condition: what is there now.
    guard: Option<Box<Read<A>>>,
    /// The newest stamp that the guard saw; nothing newer may be there.
    if_newest: Option<Stamp>,
    finder: Option<Finder<A>>,
    replicas: Option<Replicas<Answer, A>>,
    restamps: u32,
}

impl<A: Address> Write<A> {
    pub(super) fn new<S>(
        env: &mut Env<S, A>,
        now: Now,
        id: OperationId,
        record: RecordId,
        change: Change,
        options: WriteOptions,
    ) -> Self {
        let finder = Finder::new(env, now, record.key);
        let stamp = env.clock.stamp(now.unix_ms);
        let delta = delta_of(&change, &options, stamp);
        let consistency = options.consistency.unwrap_or(env.config.consistency);
        // Looking first keeps a write that comes too late from leaving its value on the replicas that lag behind.
        let guard = options.if_version.map(|_| {
            let read = ReadOptions { consistency: Some(consistency), timeout: None };
            Box::new(Read::new(env, now, id, record.clone(), read))
        });
        Self {
            id,
            guard,
            if_newest: None,
            record,
            change,
            options,
            consistency,
            stamp,
            former: Vec::new(),
            delta,
            finder: Some(finder),
            replicas: None,
            restamps: 0,
        }
    }

    /// Takes in news; tells whether the write has ended.
    pub(super) fn on_signal<S: RecordStore>(
        &mut self,
        env: &mut Env<S, A>,
        now: Now,
        signal: Signal<A>,
    ) -> bool {
        if let Some(guard) = &mut self.guard {
            let seen = guard.on_signal(env, now, signal);
            return self.go_on_guarded(env, now, seen);
        }
        if let Some(finder) = &mut self.finder {
            finder.on_signal(env, now, &signal);
        } else {
            self.pace(env, &signal);
            self.on_replica(signal);
        }
        self.advance(env, now)
    }

    /// Does what can be done now; tells whether the write has ended.
    pub(super) fn advance<S: RecordStore>(&mut self, env: &mut Env<S, A>, now: Now) -> bool {
        if let Some(guard) = &mut self.guard {
            let seen = guard.advance(env, now);
            return self.go_on_guarded(env, now, seen);
        }
        if let Some(finder) = &mut self.finder {
            finder.advance(env, now, Owner::Operation(self.id));
            if !finder.is_done() {
                return false;
            }
            self.replicas = Some(Replicas::new(env, &self.record.key, finder.candidates()));
            self.finder = None;
        }
        self.restamp_if_needed(env, now);
        loop {
            if let Some(replicas) = &mut self.replicas {
                replicas.choose_responsible(env, now, Duration::ZERO, |nodes| {
                    self.consistency.writes_needed(nodes)
                });
            }
            if let Some(result) = self.result(env) {
                self.finish(env, now, result);
                return true;
            }
            let Some(next) = self.next_to_send(env, now) else { return false };
            self.send_to(env, now, next);
            self.restamp_if_needed(env, now);
        }
    }

    /// Goes on once it is known what is there; tells whether the write has ended.
    fn go_on_guarded<S: RecordStore>(
        &mut self,
        env: &mut Env<S, A>,
        now: Now,
        seen: Option<ReadResult>,
    ) -> bool {
        let Some(seen) = seen else { return false };
        self.guard = None;
        let Ok(seen) = seen else {
            self.expire(env, now);
            return true;
        };
        let newest = seen.record.as_ref().map_or(Stamp::MIN, Record::newest);
        // A record of which nothing can be read, such as a deleted one, counts as absent.
        let is_live = seen.record.as_ref().is_some_and(|record| record.is_live(now.unix_ms));
        let found = if is_live { seen.version } else { Version::ABSENT };
        if self.options.if_version != Some(found) && self.options.if_version != Some(seen.version) {
            let refusal = Refusal::Conflict { found };
            let error = WriteError::Refused { refusal, refused: Vec::new(), replicas: seen.replicas };
            self.finish(env, now, Err(error));
            return true;
        }
        env.observe(now, newest);
        self.if_newest = Some(newest);
        self.stamp = env.clock.stamp(now.unix_ms);
        self.delta = delta_of(&self.change, &self.options, self.stamp);
        self.advance(env, now)
    }

    /// Ends the write with what it has; its time is over.
    pub(super) fn expire<S: RecordStore>(&mut self, env: &mut Env<S, A>, now: Now) {
        let error = self.too_few_acks();
        self.finish(env, now, Err(error));
    }

    fn pace<S>(&mut self, env: &mut Env<S, A>, signal: &Signal<A>) {
        // A large value takes its time on each link; the first to arrive is no measure.
        let is_small = self.change.value_bytes() as u64 <= LARGE_BYTES;
        if let (SignalKind::Answer { round_trip, .. }, Some(replicas), true) =
            (&signal.kind, &mut self.replicas, is_small)
        {
            replicas.pace(env, *round_trip);
        }
    }

    fn on_replica(&mut self, signal: Signal<A>) {
        let Some(replicas) = &mut self.replicas else { return };
        if matches!(signal.kind, SignalKind::Lost) {
            return replicas.set_unresponsive(&signal.from.id);
        }
        let Some(state) = replicas.asked_mut(&signal.from.id, signal.request) else { return };
        match signal.kind {
            SignalKind::Answer { response: Response::Stored(stored), .. } => {
                *state = State::Done(Ok(stored));
            }
            // Who comes after it stands in for it.
            kind if kind.is_of_leaver() => *state = State::Silent,
            SignalKind::Answer { response: Response::Refused(refusal), .. } => {
                *state = State::Done(Err(refusal));
            }
            SignalKind::Answer { .. } | SignalKind::Silent | SignalKind::Lost => *state = State::Silent,
            SignalKind::Slow => *state = State::Waiting { request: signal.request, slow: true },
            SignalKind::Durable { stored } => *state = State::Done(Ok(stored)),
        }
    }

    /// The write's result, if it is settled.
    fn result<S>(&self, env: &Env<S, A>) -> Option<Result<WriteOutcome, WriteError>> {
        let replicas = self.replicas.as_ref()?;
        let responsible = replicas.responsible();
        let need = self.consistency.writes_needed(responsible);
        let acks = replicas.count_responsible(|state| matches!(state, State::Done(Ok(_))));
        if acks >= need && responsible > 0 {
            return Some(Ok(self.outcome(need, responsible)));
        }
        let refused = replicas.count_responsible(|state| matches!(state, State::Done(Err(_))));
        if refused > 0 && responsible - refused.min(responsible) < need {
            return Some(Err(self.refused(responsible)));
        }
        let exhausted = replicas.waiting() == 0 && replicas.next_idle(env).is_none();
        exhausted.then(|| Err(self.too_few_acks()))
    }

    /// Whom to send to now: as many as are needed, and all at once where packets get lost.
    fn next_to_send<S>(&self, env: &Env<S, A>, now: Now) -> Option<Contact<A>> {
        let replicas = self.replicas.as_ref()?;
        let responsible = replicas.responsible();
        let need = self.consistency.writes_needed(responsible);
        let wanted = if env.peers.is_lossy() { responsible.max(need) } else { need };
        let acks = replicas.count_responsible(|state| matches!(state, State::Done(Ok(_))));
        if acks + replicas.awaited() >= wanted {
            return None;
        }
        // Whoever is content with one copy wants it here.
        if acks > 0 || need == 1 || env.wall.is_proven(now, env.config.clock_drift_max) {
            return replicas.next_idle(env);
        }
        // What the others refuse because this node's clock is wrong must not stand here.
        let own_turn = replicas.waiting() == 0;
        replicas.next_idle_elsewhere(env).or_else(|| replicas.next_idle(env).filter(|_| own_turn))
    }

    fn send_to<S: RecordStore>(&mut self, env: &mut Env<S, A>, now: Now, to: Contact<A>) {
        let mode = if matches!(self.change, Change::Trim { .. }) { PutMode::Trim } else { PutMode::Publish };
        let put = self.put(mode);
        let state = if to.id == env.own && env.leaving > Leaving::HandingOver {
            State::Silent
        } else if to.id == env.own {
            self.store_here(env, now, put)
        } else {
            let request = env.request(now, to, Request::Put(put), Owner::Operation(self.id));
            State::Waiting { request, slow: false }
        };
        if let Some(slot) = self.replicas.as_mut().and_then(|replicas| replicas.state_mut(&to.id)) {
            *slot = state;
        }
    }

    fn store_here<S: RecordStore>(&self, env: &mut Env<S, A>, now: Now, put: Put) -> State<Answer> {
        match env.store_put(now, put) {
            Ok(Stored { body, ticket: None, .. }) => State::Done(Ok(body)),
            Ok(Stored { body: stored, ticket: Some(ticket), .. }) => {
                let request: RequestId = self.restamps;
                let after = AfterFlush::Own { operation: self.id, request, stored };
                env.after_flush.push_back((ticket, after));
                State::Waiting { request, slow: false }
            }
            Err(refusal) => State::Done(Err(refusal)),
        }
    }

    /// Stamps the write anew where its stamp is the reason that it is refused.
    fn restamp_if_needed<S>(&mut self, env: &mut Env<S, A>, now: Now) {
        self.restamp_if_superseded(env, now);
        self.restamp_if_clock_was_ahead(env, now);
    }

    /// Begins anew with stamps of the time it is, once others refuse those of a time that this node's clock does not
    /// tell any more and that is long to wait for. Where it comes soon it is waited for: what was acknowledged with such
    /// stamps, by others whose clocks were ahead as well, stays before what is written later.
    fn restamp_if_clock_was_ahead<S>(&mut self, env: &mut Env<S, A>, now: Now) {
        let Some(replicas) = &mut self.replicas else { return };
        let was_ahead = self.stamp.unix_ms() > now.unix_ms.saturating_add(AHEAD_MS_MAX);
        let is_alone = replicas.responsible() == 1;
        let refused = |(contact, answer): (&Contact<A>, &Answer)| {
            matches!(answer, Err(Refusal::ClockAhead { .. })) && (is_alone || contact.id != env.own)
        };
        if !was_ahead || self.restamps >= RESTAMPS_MAX || !replicas.answers().any(refused) {
            return;
        }
        // As another writer, so that no stamp is ever handed out twice.
        env.clock = Clock::new(env.rng.next_u64());
        // An item that somebody may hold under its old stamp, which lies too far ahead to be taken back, would be there
        // twice: the user is told of the refusal instead, and the next write goes well.
        let may_be_held = |state: &State<Answer>| !matches!(state, State::Idle | State::Done(Err(_)));
        if matches!(self.change, Change::Append { .. }) && replicas.count(may_be_held) > 0 {
            self.restamps = RESTAMPS_MAX;
            return;
        }
        self.restamps += 1;
        env.counters.restamps += 1;
        self.stamp = env.clock.stamp(now.unix_ms);
        self.delta = delta_of(&self.change, &self.options, self.stamp);
        replicas.start_over();
    }

    /// Stamps the write above what stands in its way and starts over.
    fn restamp_if_superseded<S>(&mut self, env: &mut Env<S, A>, now: Now) {
        let Some(replicas) = &mut self.replicas else { return };
        let newest = replicas.answers().filter_map(|(_, answer)| match answer {
            Err(Refusal::Superseded { newest }) => Some(*newest),
            _ => None,
        });
        let Some(newest) = newest.max() else { return };
        let bound_ms = env.config.clock_drift_max.as_millis() as u64;
        if self.restamps >= RESTAMPS_MAX || newest.unix_ms() > now.unix_ms.saturating_add(bound_ms) {
            return;
        }
        self.restamps += 1;
        env.counters.restamps += 1;
        env.clock.observe(newest);
        if matches!(self.change, Change::Append { .. }) {
            self.former.push(self.stamp);
        }
        self.stamp = env.clock.stamp(now.unix_ms);
        self.delta = delta_of(&self.change, &self.options, self.stamp);
        // Whoever has not heard of what stood in the way would show the item under both stamps.
        let removed = |former: &Stamp| Item::removed(*former, self.stamp.unix_ms()).into();
        self.former.iter().map(removed).for_each(|removal| _ = self.delta.merge(removal));
        replicas.start_over();
    }

    fn finish<S: RecordStore>(
        &mut self,
        env: &mut Env<S, A>,
        now: Now,
        result: Result<WriteOutcome, WriteError>,
    ) {
        if result.is_ok() {
            let taken = |(contact, answer): (&Contact<A>, &Answer)| contact.id != env.own && answer.is_ok();
            if self.replicas.as_ref().is_some_and(|replicas| replicas.answers().any(taken)) {
                env.wall.prove(now);
            }
            self.send_to_the_rest(env, now);
        }
        env.events.push_back(Event::Written { operation: self.id, result });
    }

    /// Copies to the responsible nodes that were not needed for the quorum, without hurry.
    fn send_to_the_rest<S: RecordStore>(&mut self, env: &mut Env<S, A>, now: Now) {
        let Some(replicas) = self.replicas.take() else { return };
        let rest: Vec<_> = replicas
            .closest_iter()
            .filter(|replica| matches!(replica.state, State::Idle))
            .map(|replica| replica.contact)
            .collect();
        for to in rest {
            env.replicate(now, to, self.put(PutMode::Replicate));
        }
    }

    fn put(&self, mode: PutMode) -> Put {
        let if_newest = self.if_newest.filter(|_| mode != PutMode::Replicate);
        Put {
            key: self.record.key,
            name: self.record.name.clone(),
            mode,
            delta: self.delta.clone(),
            if_newest,
        }
    }

    fn outcome(&self, need: usize, responsible: usize) -> WriteOutcome {
        let mut outcome = WriteOutcome {
            stamp: self.stamp,
            version: Version::ABSENT,
            size: None,
            acks: Vec::with_capacity(need),
            need,
            replicas: responsible,
            refused: Vec::new(),
            silent: Vec::new(),
        };
        let Some(replicas) = &self.replicas else { return outcome };
        for (contact, answer) in replicas.answers() {
            match answer {
                Ok(stored) => {
                    outcome.acks.push(contact.id);
                    outcome.version = stored.version;
                    outcome.size = fuller(outcome.size, stored);
                }
                Err(refusal) => outcome.refused.push((contact.id, refusal.clone())),
            }
        }
        outcome.silent = replicas.silent();
        outcome
    }

    fn refused(&self, responsible: usize) -> WriteError {
        let outcome = self.outcome(0, responsible);
        let count = |wanted: &Refusal| outcome.refused.iter().filter(|(_, is)| is == wanted).count();
        let most = outcome.refused.iter().map(|(_, refusal)| refusal).max_by_key(|refusal| count(refusal));
        match most {
            Some(refusal) => WriteError::Refused {
                refusal: refusal.clone(),
                refused: outcome.refused.clone(),
                replicas: responsible,
            },
            None => self.too_few_acks(),
        }
    }

    fn too_few_acks(&self) -> WriteError {
        let responsible = self.replicas.as_ref().map_or(0, Replicas::responsible);
        let need = self.consistency.writes_needed(responsible);
        let outcome = self.outcome(need, responsible);
        WriteError::TooFewAcks { acks: outcome.acks, need, refused: outcome.refused, silent: outcome.silent }
    }
}

/// The delta that makes this change.
fn delta_of(change: &Change, options: &WriteOptions, stamp: Stamp) -> Record {
    let expires_ms = options
        .ttl
        .map(|ttl| stamp.unix_ms().saturating_add(u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX)));
    let item = |field: Option<Bytes>, payload| Record::from(Item { stamp, field, payload, expires_ms });
    match change.clone() {
        Change::Put { payload, shape } => Base { stamp, shape, payload: Some(payload), expires_ms }.into(),
        Change::Delete => Base { stamp, shape: Shape::Value, payload: None, expires_ms: None }.into(),
        Change::Append { payload } => item(None, Some(payload)),
        Change::PutField { field, payload } => item(Some(field), Some(payload)),
        Change::DeleteField { field } => item(Some(field), None),
        Change::Remove { stamp: removed } => Item::removed(removed, stamp.unix_ms()).into(),
        Change::Trim { up_to } => {
            let payload = Some(Payload::new(Codec::Json, EMPTY_LIST));
            Base { stamp: up_to, shape: Shape::List, payload, expires_ms: None }.into()
        }
    }
}

/// The size that is nearer to its limit: what was known, or what another replica says.
fn fuller(known: Option<RecordSize>, stored: &StoredBody) -> Option<RecordSize> {
    let told = stored.bytes.zip(stored.bytes_max).map(|(bytes, bytes_max)| RecordSize { bytes, bytes_max });
    known.into_iter().chain(told).max_by_key(|size| (size.percent(), size.bytes))
}
