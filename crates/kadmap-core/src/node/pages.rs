//! One read of a stretch of a list under way: one replica is asked for the page, the others for what tells it from
//! theirs; pages that differ are fetched and merged, and those that lack something are repaired.

use super::env::Env;
use super::finder::Finder;
use super::page_copies::PageCopies;
use super::read_quorum::ReadQuorum;
use super::replicas::Replicas;
use super::requests::Owner;
use super::second_look::SecondLook;
use super::signal::Signal;
use crate::operation::{ItemsOutcome, OperationId, ReadError, ReadOptions};
use crate::record::ItemRange;
use crate::store::{RecordId, RecordStore};
use crate::{Address, Consistency, Now};

/// How a read of a page ends.
pub(super) type PageResult = Result<ItemsOutcome, ReadError>;

/// A read of some items under way.
pub(super) struct PageRead<A: Address> {
    id: OperationId,
    record_id: RecordId,
    range: ItemRange,
    with_base: bool,
    consistency: Consistency,
    finder: Option<Finder<A>>,
    quorum: Option<ReadQuorum<PageCopies, A>>,
}

impl<A: Address> PageRead<A> {
    pub(super) fn new<S>(
        env: &mut Env<S, A>,
        now: Now,
        id: OperationId,
        record_id: RecordId,
        range: ItemRange,
        with_base: bool,
        options: ReadOptions,
    ) -> Self {
        let finder = Some(Finder::new(env, now, record_id.key));
        let consistency = options.consistency.unwrap_or(env.config.consistency);
        Self { id, record_id, range, with_base, consistency, finder, quorum: None }
    }

    /// Takes in news; tells the result once the read has ended.
    pub(super) fn on_signal<S: RecordStore>(
        &mut self,
        env: &mut Env<S, A>,
        now: Now,
        signal: Signal<A>,
    ) -> Option<PageResult> {
        if let Some(finder) = &mut self.finder {
            finder.on_signal(env, now, &signal);
        } else if let Some(quorum) = &mut self.quorum {
            quorum.on_signal(env, now, signal);
        }
        self.advance(env, now)
    }

    /// Does what can be done now; tells the result once the read has ended.
    pub(super) fn advance<S: RecordStore>(&mut self, env: &mut Env<S, A>, now: Now) -> Option<PageResult> {
        if let Some(finder) = self.finder.take() {
            self.find(env, now, finder);
        }
        let quorum = self.quorum.as_mut()?;
        quorum.choose(env, now);
        quorum.ask_all_needed(env, now, self.id);
        let result = quorum.result(env)?;
        Some(result.map(|need| quorum.outcome(env, now, need)))
    }

    /// Looks for the replicas.
    fn find<S>(&mut self, env: &mut Env<S, A>, now: Now, mut finder: Finder<A>) {
        finder.advance(env, now, Owner::Operation(self.id));
        if !finder.is_done() {
            self.finder = Some(finder);
            return;
        }
        let replicas = Replicas::new(env, &self.record_id.key, finder.candidates());
        let copies = PageCopies::new(self.record_id.clone(), self.range, self.with_base);
        let second_look = SecondLook::after(&finder);
        self.quorum = Some(ReadQuorum::new(replicas, copies, second_look, self.consistency));
    }

    /// What is to be told when the read's time is over.
    pub(super) fn expired(&self) -> ReadError {
        ReadQuorum::expired(self.quorum.as_ref())
    }
}

impl<A: Address> ReadQuorum<PageCopies, A> {
    /// Hands the items out as far as all pages reach, and sends them to those that answered with less.
    fn outcome<S: RecordStore>(&self, env: &mut Env<S, A>, now: Now, need: usize) -> ItemsOutcome {
        let copies = self.copies();
        let (base_stamp, next) = (copies.base_stamp(), copies.next());
        let merged = copies.merged();
        let repaired = self.repair(env, now, |told| copies.lacking(told, &merged));
        let (base, items) = merged.into_parts();
        let mut items: Vec<_> = items.collect();
        // What is written after this read belongs after what it saw.
        let newest = items.last().map_or(base_stamp, |item| item.stamp.max(base_stamp));
        env.observe(now, newest);
        if copies.range().newest_first {
            items.reverse();
        }
        let (answers, replicas) = (self.answered(), self.replicas().responsible());
        let shape = copies.shape();
        ItemsOutcome { shape, base_stamp, base, items, next, answers, need, replicas, repaired }
    }
}
