//! One read of a stretch of a list under way: one replica is asked for the page, the others for what tells it from
//! theirs; pages that differ are fetched and merged, and those that lack something are repaired.

use super::env::Env;
use super::finder::Finder;
use super::replicas::{Replica, Replicas, State};
use super::requests::Owner;
use super::second_look::SecondLook;
use super::signal::{Signal, SignalKind};
use crate::operation::{ItemsOutcome, OperationId, ReadError, ReadOptions};
use crate::record::{Item, ItemRange, Record, Stamp};
use crate::store::{RecordId, RecordStore};
use crate::wire::{Items, Page, PageSummary, Put, PutMode, Request, Response, Want};
use crate::{Address, Consistency, Contact, NodeId, Now};

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
    replicas: Option<Replicas<PageSummary, A>>,
    second_look: SecondLook<A>,
    /// The pages received so far, no two alike.
    pages: Vec<(PageSummary, Page)>,
    /// A replica whose page is on its way.
    fetching: Option<NodeId>,
    /// Whether this node was to answer itself while it still learnt what belongs to it.
    own_had_no_say: bool,
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
        let (replicas, pages, fetching) = (None, Vec::new(), None);
        let own_had_no_say = false;
        Self {
            id,
            record_id,
            range,
            with_base,
            consistency,
            finder,
            replicas,
            second_look: SecondLook::default(),
            pages,
            fetching,
            own_had_no_say,
        }
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
        } else {
            if let (SignalKind::Answer { round_trip, .. }, Some(replicas)) =
                (&signal.kind, &mut self.replicas)
            {
                replicas.pace(env, *round_trip);
            }
            self.on_replica(signal);
        }
        self.advance(env, now)
    }

    /// Does what can be done now; tells the result once the read has ended.
    pub(super) fn advance<S: RecordStore>(&mut self, env: &mut Env<S, A>, now: Now) -> Option<PageResult> {
        if let Some(finder) = &mut self.finder {
            finder.advance(env, now, Owner::Operation(self.id));
            if !finder.is_done() {
                return None;
            }
            self.replicas = Some(Replicas::new(env, &self.record_id.key, finder.candidates()));
            self.second_look = SecondLook::after(finder);
            self.finder = None;
        }
        if let Some(replicas) = &mut self.replicas {
            replicas.hear_own_word(env, &mut self.own_had_no_say);
            replicas.hear_stand_ins(env, now, self.consistency);
            replicas.choose_responsible(env, |nodes| self.consistency.reads_needed(nodes));
        }
        self.ask_all_needed(env, now);
        if self.looks_again(env, now) {
            self.ask_all_needed(env, now);
        }
        let result = self.result(env)?;
        Some(result.map(|need| self.outcome(env, now, need)))
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

    /// What is to be told when the read's time is over.
    pub(super) fn expired(&self) -> ReadError {
        self.too_few_answers()
    }

    fn on_replica(&mut self, signal: Signal<A>) {
        let Some(replicas) = &mut self.replicas else { return };
        // Whatever has come of it: if the page is not here now, another holder may be asked for it.
        if self.fetching == Some(signal.from.id) {
            self.fetching = None;
        }
        if matches!(signal.kind, SignalKind::Lost) {
            return replicas.set_unresponsive(&signal.from.id);
        }
        let Some(state) = replicas.asked_mut(&signal.from.id, signal.request) else { return };
        match signal.kind {
            SignalKind::Answer { response: Response::Page(page), .. } if goes_on(&self.range, page.next) => {
                let summary = page.summary();
                *state = State::Done(summary.clone());
                self.take_in(summary, page);
            }
            SignalKind::Answer { response: Response::PageSummary(summary), .. }
                if goes_on(&self.range, summary.next) =>
            {
                *state = State::Done(summary);
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

    fn take_in(&mut self, summary: PageSummary, page: Page) {
        if !summary.record.is_absent() && !self.has_page(&summary) {
            self.pages.push((summary, page));
        }
    }

    /// Whether the page of a replica that said so is here. The rest of its record does not matter.
    fn has_page(&self, told: &PageSummary) -> bool {
        let same = |(known, _): &(PageSummary, Page)| is_same_page(known, told);
        told.record.is_absent() || self.pages.iter().any(same)
    }

    /// Whom to ask now, and for what.
    fn next_to_ask<S>(&mut self, env: &Env<S, A>) -> Option<(Contact<A>, Want)> {
        let replicas = self.replicas.as_ref()?;
        let enough = self.answered() + replicas.awaited() >= self.wanted(env);
        if self.fetching.is_none()
            && let Some(contact) = self.holder_of_another_page()
        {
            return Some((contact, Want::Record));
        }
        if enough {
            // Nobody had it so far: ask also those that let requests be lost, for they may have it all the same.
            let unheard = if self.has_found() { None } else { self.unasked_closest() };
            return unheard.map(|contact| (contact, Want::Summary));
        }
        let next = replicas.next_idle(env)?;
        let is_first = self.pages.is_empty() && self.fetching.is_none();
        Some((next, if is_first || next.id == env.own { Want::Record } else { Want::Summary }))
    }

    /// A node to which the record belongs and that has not been asked, once the responsible ones have answered.
    fn unasked_closest(&self) -> Option<Contact<A>> {
        let replicas = self.replicas.as_ref()?;
        if self.answered() < replicas.needed(|nodes| self.consistency.reads_needed(nodes)) {
            return None;
        }
        let idle = |replica: &&Replica<PageSummary, A>| matches!(replica.state, State::Idle);
        replicas.closest_iter().find(idle).map(|replica| replica.contact)
    }

    fn holder_of_another_page(&self) -> Option<Contact<A>> {
        let replicas = self.replicas.as_ref()?;
        replicas.answers().find(|(_, told)| !self.has_page(told)).map(|(contact, _)| *contact)
    }

    fn ask<S: RecordStore>(&mut self, env: &mut Env<S, A>, now: Now, to: Contact<A>, want: Want) {
        let state = if to.id == env.own {
            match env.page_here(now, &self.record_id, &self.range, self.with_base) {
                Ok(page) if !env.is_syncing => {
                    let summary = page.summary();
                    self.take_in(summary.clone(), page);
                    State::Done(summary)
                }
                _ => {
                    self.own_had_no_say = env.is_syncing;
                    State::Silent
                }
            }
        } else {
            if want == Want::Record {
                self.fetching = Some(to.id);
            }
            let items = Items { want, ..Items::new(&self.record_id, &self.range, self.with_base) };
            let request = self.second_look.request(env, now, to, Request::Items(items), self.id);
            State::Waiting { request, slow: false }
        };
        if let Some(slot) = self.replicas.as_mut().and_then(|replicas| replicas.state_mut(&to.id)) {
            *slot = state;
        }
    }

    /// Responsible replicas that have answered.
    fn answered(&self) -> usize {
        let done = |state: &State<PageSummary>| matches!(state, State::Done(_));
        self.replicas.as_ref().map_or(0, |replicas| replicas.count_responsible(done))
    }

    /// How many replicas must answer: the quorum if one of them holds something, all of them otherwise.
    fn need(&self) -> usize {
        let Some(replicas) = &self.replicas else { return 1 };
        let need = replicas.needed(|nodes| self.consistency.reads_needed(nodes));
        if self.answered() < need || self.has_found() { need } else { replicas.closest_iter().count() }
    }

    fn has_found(&self) -> bool {
        let holds = |(_, told): (&Contact<A>, &PageSummary)| !told.record.is_absent();
        self.replicas.as_ref().is_some_and(|replicas| replicas.answers().any(holds))
    }

    /// Whether every node to which the record belongs has answered or been given up: only then nothing is there.
    fn has_heard_all(&self) -> bool {
        let heard = |replica: &Replica<PageSummary, A>| matches!(replica.state, State::Done(_));
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
        let has_all_pages =
            self.holder_of_another_page().is_none() && (self.fetching.is_none() || !self.pages.is_empty());
        let enough = self.answered() >= need && (self.has_found() || self.has_heard_all());
        if enough && has_all_pages && replicas.responsible() > 0 {
            return Some(Ok(need));
        }
        let exhausted = replicas.waiting() == 0 && replicas.next_idle(env).is_none();
        exhausted.then(|| Err(self.too_few_answers()))
    }

    fn too_few_answers(&self) -> ReadError {
        ReadError::TooFewAnswers { answers: self.answered(), need: self.need() }
    }

    /// Merges the pages as far as all of them reach, repairs, and hands the items out.
    fn outcome<S: RecordStore>(&mut self, env: &mut Env<S, A>, now: Now, need: usize) -> ItemsOutcome {
        let nexts = self.pages.iter().filter_map(|(told, _)| told.next);
        let next = nexts.reduce(|one, other| self.range.earlier(one, other));
        let told = next.map_or(self.range, |next| self.range.ending_before(next));
        let base_stamp = self.pages.iter().map(|(told, _)| told.base_stamp).max().unwrap_or(Stamp::MIN);
        let mut merged = Record::default();
        for (_, page) in &self.pages {
            merged.merge(page.part.clone());
        }
        let (base, items) = merged.into_parts();
        let base = base.filter(|base| base.stamp == base_stamp);
        let is_told = |item: &Item| item.stamp > base_stamp && told.contains(item.stamp);
        let mut items: Vec<_> = items.filter(|item| item.field.is_none() && is_told(item)).collect();
        let repaired = self.repair(env, now, &Record::from_parts(base.clone(), items.iter().cloned()));
        // What is written after this read belongs after what it saw.
        let newest = items.last().map_or(base_stamp, |item| item.stamp.max(base_stamp));
        env.observe(now, newest);
        if self.range.newest_first {
            items.reverse();
        }
        let (answers, replicas) = (self.answered(), self.replicas.as_ref().map_or(0, Replicas::responsible));
        let shape = self.shape(base_stamp);
        ItemsOutcome { shape, base_stamp, base, items, next, answers, need, replicas, repaired }
    }

    /// What is there, as those say that have the newest base.
    fn shape(&self, base_stamp: Stamp) -> Option<crate::Shape> {
        let newest = self.pages.iter().filter(|(told, _)| told.base_stamp == base_stamp);
        newest.filter_map(|(_, page)| page.shape).max()
    }

    /// Sends what they lack of the merged page to those that answered with less; tells to how many.
    fn repair<S: RecordStore>(&mut self, env: &mut Env<S, A>, now: Now, merged: &Record) -> usize {
        let Some(replicas) = &self.replicas else { return 0 };
        let nothing = Record::default();
        let mut lacking = Vec::new();
        for (contact, told) in replicas.answers() {
            let page = self.pages.iter().find(|(known, _)| is_same_page(known, told));
            let part = page.map_or(&nothing, |(_, page)| &page.part);
            let delta = merged.difference(part);
            let is_owner = replicas.owners_iter().any(|replica| replica.contact.id == contact.id);
            if is_owner && !delta.is_empty() {
                lacking.push((*contact, delta));
            }
        }
        let repaired = lacking.len();
        for (to, delta) in lacking {
            let (key, name) = (self.record_id.key, self.record_id.name.clone());
            let put = Put { key, name, mode: PutMode::Replicate, delta, if_newest: None };
            if to.id == env.own {
                // A store that refuses is reported by the store itself; the reader has its answer.
                let _ = env.store_put(now, put);
            } else {
                env.request_in_background(now, to, Request::Put(put));
            }
        }
        env.counters.replicas_repaired += repaired as u64;
        repaired
    }
}

/// Whether a page that ends here brings its reader on: whoever would have it ask for the same page for ever is not heard.
fn goes_on(range: &ItemRange, next: Option<Stamp>) -> bool {
    let start = if range.newest_first { range.to } else { range.from };
    next.is_none_or(|next| next != start && range.contains(next))
}

/// Whether two replicas have the same page, whatever else their records hold.
fn is_same_page(one: &PageSummary, other: &PageSummary) -> bool {
    (one.page, one.base_stamp, one.next) == (other.page, other.base_stamp, other.next)
        && one.record.is_absent() == other.record.is_absent()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_would_have_a_page_asked_for_again_and_again_is_not_heard() {
        let at = |time| Stamp { time, writer: 1 };
        let forward = ItemRange { from: at(3), to: at(9), ..ItemRange::default() };
        let backward = ItemRange { newest_first: true, ..forward };
        let heard = |range: &ItemRange| -> Vec<u64> {
            (2..11).filter(|&time| goes_on(range, Some(at(time)))).collect()
        };
        assert_eq!(heard(&forward), [4, 5, 6, 7, 8, 9]);
        assert_eq!(heard(&backward), [3, 4, 5, 6, 7, 8]);
        assert!(goes_on(&forward, None) && goes_on(&backward, None));
    }
}
