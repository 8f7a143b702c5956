//! One read under way: one replica is asked for the record, the others for its version only; what they hold is
//! merged, and those that lack something are repaired. What they told already while they were looked for counts.

use super::env::Env;
use super::finder::Finder;
use super::gleaned::Gleaned;
use super::read_quorum::ReadQuorum;
use super::record_copies::{RecordCopies, Told};
use super::replicas::{Replicas, State};
use super::requests::Owner;
use super::second_look::SecondLook;
use super::signal::Signal;
use crate::operation::{OperationId, ReadError, ReadOptions, ReadOutcome};
use crate::record::{Record, Stamp};
use crate::store::{RecordId, RecordStore};
use crate::wire::Want;
use crate::{Address, Consistency, Contact, Now};

/// How a read ends.
pub(super) type ReadResult = Result<ReadOutcome, ReadError>;

/// A get under way.
pub(super) struct Read<A: Address> {
    id: OperationId,
    record_id: RecordId,
    consistency: Consistency,
    finder: Option<Finder<A>>,
    quorum: Option<ReadQuorum<RecordCopies, A>>,
    /// What was told on the way to the replicas.
    gleaned: Option<Gleaned>,
    /// Answers needed at least, however few replicas were heard of: not all of them were looked for.
    least: usize,
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
        let finder = Some(Finder::of_record(env, now, &record_id, enough));
        Self { id, record_id, consistency, finder, quorum: None, gleaned: None, least: 1 }
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
        } else if let Some(quorum) = &mut self.quorum {
            quorum.on_signal(env, now, signal);
        }
        self.advance(env, now)
    }

    /// Does what can be done now; tells the result once the read has ended.
    pub(super) fn advance<S: RecordStore>(&mut self, env: &mut Env<S, A>, now: Now) -> Option<ReadResult> {
        if let Some(finder) = self.finder.take() {
            self.find(env, now, finder);
        }
        self.quorum.as_mut()?.choose(env, now);
        self.hear_gleaned(env, now);
        self.quorum.as_mut()?.ask_all_needed(env, now, self.id);
        self.pace(env);
        let quorum = self.quorum.as_mut()?;
        let result = quorum.result(env)?;
        Some(result.map(|need| quorum.outcome(env, now, need)))
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
                self.least = least;
                return self.hear_from(heard, SecondLook::default(), finder);
            }
            finder.go_on();
            finder.advance(env, now, Owner::Operation(self.id));
        }
        if finder.is_done() {
            let replicas = Replicas::new(env, &self.record_id.key, finder.candidates());
            self.hear_from(replicas, SecondLook::after(&finder), finder);
        } else {
            self.finder = Some(finder);
        }
    }

    /// Goes on with these replicas.
    fn hear_from(&mut self, replicas: Replicas<Told, A>, second_look: SecondLook<A>, finder: Finder<A>) {
        let copies = RecordCopies::new(self.record_id.clone());
        self.quorum = Some(ReadQuorum::new(replicas, copies, second_look, self.consistency));
        self.gleaned = finder.into_gleaned();
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
        let (Some(gleaned), Some(quorum)) = (&mut self.gleaned, &mut self.quorum) else { return };
        let responsible = quorum.replicas().responsible_iter();
        let idle = responsible.filter(|replica| matches!(replica.state, State::Idle));
        let mut idle: Vec<_> = idle.map(|replica| replica.contact).collect();
        let rank = |contact: &Contact<A>| {
            let has_sent = gleaned.of(&contact.id).is_some_and(|held| held.record.is_some());
            if contact.id == env.own { 0 } else { 2 - u8::from(has_sent) }
        };
        idle.sort_by_key(rank);
        for contact in idle {
            if quorum.answered() >= quorum.need().max(self.least) {
                break;
            }
            if contact.id == env.own {
                quorum.ask(env, now, contact, Want::Record, self.id);
            } else if let Some(held) = gleaned.take(&contact.id) {
                quorum.hear(&contact.id, |copies| copies.take_in_held(now, held));
            }
        }
    }

    /// Takes the round trips of the way as the measure for the answers that are awaited now.
    fn pace<S>(&mut self, env: &mut Env<S, A>) {
        let round_trip = self.gleaned.as_mut().and_then(|gleaned| gleaned.round_trip.take());
        if let (Some(round_trip), Some(quorum)) = (round_trip, &mut self.quorum) {
            quorum.pace(env, round_trip);
        }
    }

    /// What is to be told when the read's time is over.
    pub(super) fn expired(&self) -> ReadError {
        ReadQuorum::expired(self.quorum.as_ref())
    }
}

impl<A: Address> ReadQuorum<RecordCopies, A> {
    /// Hands the merged record out, and sends it to those that answered with less.
    fn outcome<S: RecordStore>(&mut self, env: &mut Env<S, A>, now: Now, need: usize) -> ReadOutcome {
        let (record, version) = self.copies_mut().take_merged();
        let delta = |told: &Told| {
            let lacking = record.as_ref().filter(|_| told.version != version)?;
            Some(lacking.clone().without_expired(now.unix_ms))
        };
        let repaired = self.repair(env, now, delta);
        // What is written after this read belongs after what it saw.
        env.observe(now, record.as_ref().map_or(Stamp::MIN, Record::newest));
        let (answers, replicas) = (self.answered(), self.replicas().responsible());
        ReadOutcome { record, version, answers, need, replicas, repaired }
    }
}
