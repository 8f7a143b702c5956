//! The replicas that one read hears: whom to ask next and for what, how many have to answer, and when that is enough.

use std::time::Duration;

use super::env::Env;
use super::replicas::{Replica, Replicas, State};
use super::second_look::SecondLook;
use super::signal::{Signal, SignalKind};
use crate::operation::{OperationId, ReadError};
use crate::record::Record;
use crate::store::{RecordId, RecordStore};
use crate::wire::{Put, PutMode, Request, Response, Want};
use crate::{Address, Consistency, Contact, NodeId, Now};

/// How long nodes have to leave requests unanswered until a read passes them over, if they are many: processes that stand
/// still for less have what they acknowledged, maybe they alone. A write does without: it leaves copies with those who stand
/// in.
const PATIENCE: Duration = Duration::from_millis(60);

/// What a read collects from the replicas.
pub(super) trait Copies {
    /// What one replica told of its copy.
    type Told;

    /// Whose copies they are.
    fn record_id(&self) -> &RecordId;

    /// Whether no copy has come yet.
    fn is_empty(&self) -> bool;

    /// Whether the copy of which a replica told is still to be fetched.
    fn lacks(&self, told: &Self::Told) -> bool;

    /// Whether a replica told that it holds nothing.
    fn is_nothing(told: &Self::Told) -> bool;

    /// What to ask a replica.
    fn request(&self, want: Want) -> Request;

    /// Takes in this node's own copy; `None` if it has no say or cannot read it.
    fn take_in_own<S: RecordStore, A: Address>(
        &mut self,
        env: &mut Env<S, A>,
        now: Now,
    ) -> Option<Self::Told>;

    /// Takes in an answer; `None` if it does not tell of a copy.
    fn take_in<A>(&mut self, now: Now, response: Response<A>) -> Option<Self::Told>;
}

/// The replicas of one read and the copies they sent.
pub(super) struct ReadQuorum<C: Copies, A: Address> {
    replicas: Replicas<C::Told, A>,
    copies: C,
    second_look: SecondLook<A>,
    consistency: Consistency,
    /// A replica whose copy is on its way.
    fetching: Option<NodeId>,
    /// Whether this node was to answer itself while it still learnt what belongs to it.
    own_had_no_say: bool,
}

impl<C: Copies, A: Address> ReadQuorum<C, A> {
    pub(super) fn new(
        replicas: Replicas<C::Told, A>,
        copies: C,
        second_look: SecondLook<A>,
        consistency: Consistency,
    ) -> Self {
        Self { replicas, copies, second_look, consistency, fetching: None, own_had_no_say: false }
    }

    pub(super) fn replicas(&self) -> &Replicas<C::Told, A> {
        &self.replicas
    }

    pub(super) fn copies(&self) -> &C {
        &self.copies
    }

    pub(super) fn copies_mut(&mut self) -> &mut C {
        &mut self.copies
    }

    /// Takes in news of a replica.
    pub(super) fn on_signal<S>(&mut self, env: &mut Env<S, A>, now: Now, signal: Signal<A>) {
        if let SignalKind::Answer { round_trip, .. } = &signal.kind {
            self.replicas.pace(env, *round_trip);
        }
        // Whatever has come of it: if the copy is not here now, another holder may be asked for it.
        self.fetching.take_if(|asked| *asked == signal.from.id);
        if matches!(signal.kind, SignalKind::Lost) {
            return self.replicas.set_unresponsive(&signal.from.id);
        }
        let Some(state) = self.replicas.asked_mut(&signal.from.id, signal.request) else { return };
        *state = match signal.kind {
            SignalKind::Answer { response, .. } => {
                self.copies.take_in(now, response).map_or(State::Silent, State::Done)
            }
            SignalKind::Slow => State::Waiting { request: signal.request, slow: true },
            SignalKind::Silent | SignalKind::Lost | SignalKind::Durable { .. } => State::Silent,
        };
    }

    /// Takes a round trip as the measure for the answers that are awaited now.
    pub(super) fn pace<S>(&mut self, env: &mut Env<S, A>, round_trip: Duration) {
        self.replicas.pace(env, round_trip);
    }

    /// Decides who counts; to be called before anybody is asked or counted.
    pub(super) fn choose<S>(&mut self, env: &mut Env<S, A>, now: Now) {
        self.replicas.hear_own_word(env, &mut self.own_had_no_say);
        self.replicas.hear_stand_ins(env, now, self.consistency);
        let needed = |nodes| self.consistency.reads_needed(nodes);
        self.replicas.choose_responsible(env, now, PATIENCE, needed);
    }

    /// Takes in what a replica told before this read has asked it.
    pub(super) fn hear(&mut self, id: &NodeId, take_in: impl FnOnce(&mut C) -> C::Told) {
        let told = take_in(&mut self.copies);
        self.set(id, State::Done(told));
    }

    /// Asks whoever is to be asked now, those included that may only stand still if nothing was found.
    pub(super) fn ask_all_needed<S: RecordStore>(
        &mut self,
        env: &mut Env<S, A>,
        now: Now,
        operation: OperationId,
    ) {
        self.ask_needed(env, now, operation);
        if self.looks_again(env, now) {
            self.ask_needed(env, now, operation);
        }
    }

    fn ask_needed<S: RecordStore>(&mut self, env: &mut Env<S, A>, now: Now, operation: OperationId) {
        while let Some((to, want)) = self.next_to_ask(env) {
            self.ask(env, now, to, want, operation);
        }
    }

    /// Begins the second look if nothing was found by the first and it may have missed who holds the record.
    fn looks_again<S>(&mut self, env: &Env<S, A>, now: Now) -> bool {
        let found_nothing = !self.has_found() && matches!(self.result(env), Some(Ok(_)));
        let key = &self.copies.record_id().key;
        found_nothing && self.second_look.begin(env, now, key, &mut self.replicas)
    }

    /// Whom to ask now, and for what.
    fn next_to_ask<S>(&self, env: &Env<S, A>) -> Option<(Contact<A>, Want)> {
        let settled = self.answered() + self.replicas.awaited();
        let enough = self.answered() >= self.need() || settled >= self.wanted(env);
        // First the record itself, from a node that is known to have it if there is one.
        if self.fetching.is_none()
            && let Some(contact) = self.holder_of_another()
        {
            return Some((contact, Want::Record));
        }
        if enough {
            // Nobody had it so far: ask also those that let requests be lost, for they may have it all the same.
            let unheard = if self.has_found() { None } else { self.unasked_closest() };
            return unheard.map(|contact| (contact, Want::Summary));
        }
        let next = self.replicas.next_idle(env)?;
        let is_first = self.copies.is_empty() && self.fetching.is_none();
        Some((next, if is_first || next.id == env.own { Want::Record } else { Want::Summary }))
    }

    /// A node to which the record belongs and that has not been asked, once the responsible ones have answered.
    fn unasked_closest(&self) -> Option<Contact<A>> {
        if self.answered() < self.quorum() {
            return None;
        }
        let idle = |replica: &&Replica<C::Told, A>| matches!(replica.state, State::Idle);
        self.replicas.closest_iter().find(idle).map(|replica| replica.contact)
    }

    /// A replica whose copy differs from those that are here.
    fn holder_of_another(&self) -> Option<Contact<A>> {
        self.replicas.answers().find(|(_, told)| self.copies.lacks(told)).map(|(contact, _)| *contact)
    }

    /// Asks a replica, or this node itself.
    pub(super) fn ask<S: RecordStore>(
        &mut self,
        env: &mut Env<S, A>,
        now: Now,
        to: Contact<A>,
        want: Want,
        operation: OperationId,
    ) {
        let state = if to.id == env.own {
            let told = self.copies.take_in_own(env, now);
            self.own_had_no_say = told.is_none() && env.is_syncing;
            told.map_or(State::Silent, State::Done)
        } else {
            if want == Want::Record {
                self.fetching = Some(to.id);
            }
            let request = self.copies.request(want);
            let request = self.second_look.request(env, now, to, request, operation);
            State::Waiting { request, slow: false }
        };
        self.set(&to.id, state);
    }

    fn set(&mut self, id: &NodeId, state: State<C::Told>) {
        if let Some(slot) = self.replicas.state_mut(id) {
            *slot = state;
        }
    }

    /// Responsible replicas that have answered.
    pub(super) fn answered(&self) -> usize {
        self.replicas.count_responsible(|state| matches!(state, State::Done(_)))
    }

    /// How many of the responsible nodes make a quorum.
    fn quorum(&self) -> usize {
        self.replicas.needed(|nodes| self.consistency.reads_needed(nodes))
    }

    /// How many replicas must answer: the quorum if one of them holds something, all of them otherwise.
    pub(super) fn need(&self) -> usize {
        let quorum = self.quorum();
        if self.answered() < quorum || self.has_found() {
            quorum
        } else {
            self.replicas.closest_iter().count()
        }
    }

    fn has_found(&self) -> bool {
        self.replicas.answers().any(|(_, told)| !C::is_nothing(told))
    }

    /// Whether every node to which the record belongs has answered or been given up: only then nothing is there.
    /// A node that is merely late may be the one that holds it.
    fn has_heard_all(&self) -> bool {
        self.replicas.closest_iter().all(|replica| matches!(replica.state, State::Done(_)))
    }

    /// How many replicas to ask at once: a few more where packets get lost.
    fn wanted<S>(&self, env: &Env<S, A>) -> usize {
        let need = self.need();
        let responsible = self.replicas.responsible();
        if env.peers.is_lossy() { (need + need.div_ceil(2)).min(responsible.max(need)) } else { need }
    }

    /// Whether the read is settled, and with how many answers needed.
    pub(super) fn result<S>(&self, env: &Env<S, A>) -> Option<Result<usize, ReadError>> {
        let need = self.need();
        // A copy on its way is not waited for when another of the same state is already here.
        let has_all =
            self.holder_of_another().is_none() && (self.fetching.is_none() || !self.copies.is_empty());
        let enough = self.answered() >= need && (self.has_found() || self.has_heard_all());
        if enough && has_all && self.replicas.responsible() > 0 {
            return Some(Ok(need));
        }
        let exhausted = self.replicas.waiting() == 0 && self.replicas.next_idle(env).is_none();
        exhausted.then(|| Err(self.too_few_answers()))
    }

    fn too_few_answers(&self) -> ReadError {
        ReadError::TooFewAnswers { answers: self.answered(), need: self.need() }
    }

    /// What is to be told when a read's time is over, with the replicas it had found by then.
    pub(super) fn expired(found: Option<&Self>) -> ReadError {
        found.map_or(ReadError::TooFewAnswers { answers: 0, need: 1 }, Self::too_few_answers)
    }

    /// Sends those to which the record belongs what they lack, as `delta` makes it of what each told; tells to how many.
    pub(super) fn repair<S: RecordStore>(
        &self,
        env: &mut Env<S, A>,
        now: Now,
        delta: impl Fn(&C::Told) -> Option<Record>,
    ) -> usize {
        let owners: Vec<_> = self.replicas.owners_iter().map(|replica| replica.contact.id).collect();
        let RecordId { key, name } = self.copies.record_id();
        let mut repaired = 0;
        for (contact, told) in self.replicas.answers().filter(|(contact, _)| owners.contains(&contact.id)) {
            let Some(delta) = delta(told) else { continue };
            let (key, name) = (*key, name.clone());
            env.replicate(now, *contact, Put { key, name, mode: PutMode::Replicate, delta, if_newest: None });
            repaired += 1;
        }
        env.counters.replicas_repaired += repaired as u64;
        repaired
    }
}
