//! Coming back after so long that the swarm may have deleted, and forgotten that it deleted, what this node holds.
//!
//! Such a node says nothing of what it holds and sends none of it. It asks the holders of each record in which state they
//! have it, and believes those that have been there since before it went: what they do not have is gone.
//! What was written to this node after it lost touch stays, and so do tombstones.
//! Where too few can tell, because they have been away themselves or are new, what it holds stands: a swarm that was
//! switched off as a whole loses nothing.
//!
//! Source: our own; see docs/guarantees.md, "Coming back after the grace time".

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::env::Env;
use super::requests::Owner;
use super::signal::{Signal, SignalKind};
use crate::operation::Event;
use crate::record::{Record, Stamp, Version};
use crate::store::{RecordId, RecordStore, StoreError};
use crate::wire::{Get, NameEntry, Recall, Refusal, Request, RequestId, Response, Want};
use crate::{Address, Consistency, Contact, Instant, Now};

/// Records asked about in one request: with their places they fit a packet.
const PAGE_RECORDS: usize = 16;
/// Pages under way at once.
const PAGES_MAX: usize = 8;
/// Records on their way at once; with more, no new page begins.
const FETCHES_MAX: usize = 32;
/// Times that a record is asked about while too few can tell, before it stands.
const ROUNDS_MAX: u32 = 4;
/// How long after the first round the second begins, and twice as long each time.
const ROUND_WAIT: Duration = Duration::from_secs(1);

/// A record in doubt.
#[derive(Debug)]
struct Question<A> {
    id: RecordId,
    asked: usize,
    /// Those that are not yet in a position to say anything.
    mute: usize,
    told: Vec<(Contact<A>, Version)>,
}

/// Questions asked together.
#[derive(Debug)]
struct Page<A> {
    questions: Vec<Question<A>>,
    /// Answers that are still out.
    waiting: usize,
}

/// A record that others have in another state than this node.
#[derive(Debug)]
struct Fetch {
    id: RecordId,
    theirs: Record,
    waiting: usize,
    failed: bool,
}

/// What a request is about.
#[derive(Debug)]
enum Asked {
    /// The questions of a page, by their places in it.
    Page(u64, Vec<usize>),
    Record(u64),
}

/// The walk of a node that is back over all that it holds.
#[derive(Debug)]
struct Doubt<A> {
    /// When this node last heard of a member, in milliseconds since 1970, and how long ago that was when it came back.
    until_ms: u64,
    away_ms: u64,
    after: Option<RecordId>,
    /// Whether the walk has come to the end of the store.
    is_through: bool,
    /// Records of which too few could tell, to be asked about in this round.
    again: Vec<RecordId>,
    /// And in the next.
    undecided: BTreeSet<RecordId>,
    round: u32,
    /// When the next round begins.
    round_at: Option<Instant>,
    last_number: u64,
    pages: BTreeMap<u64, Page<A>>,
    fetches: BTreeMap<u64, Fetch>,
    asked: BTreeMap<RequestId, Asked>,
    checked: u64,
    dropped: u64,
    changed: u64,
}

/// A node's way back after a long absence.
#[derive(Debug)]
pub(super) struct Absence<A> {
    doubt: Option<Box<Doubt<A>>>,
}

impl<A> Default for Absence<A> {
    fn default() -> Self {
        Self { doubt: None }
    }
}

impl<A: Address> Absence<A> {
    /// When there is something to do next.
    pub(super) fn next_timer<S>(&self, env: &Env<S, A>, now: Instant) -> Option<Instant> {
        if !env.attendance.is_doubting() {
            return None;
        }
        match &self.doubt {
            Some(doubt) => doubt.round_at,
            None => env.attendance.has_joined.then_some(now),
        }
    }

    /// Notes that this node is there, and begins or goes on with what is in doubt.
    pub(super) fn run<S: RecordStore>(&mut self, env: &mut Env<S, A>, now: Now) {
        env.store.keep_presence(env.attendance.presence(now));
        if !env.attendance.is_doubting() {
            self.doubt = None;
            return;
        }
        if !env.attendance.has_joined {
            return;
        }
        if env.table.is_empty() {
            self.doubt = None;
            env.attendance.put_off();
            (env.is_syncing, env.sync_due) = (false, false);
            return;
        }
        let last_heard = env.attendance.last_heard(now);
        let doubt = self.doubt.get_or_insert_with(|| Box::new(Doubt::new(last_heard)));
        if doubt.round_at.take_if(|at| *at <= now.instant).is_some() {
            doubt.again = std::mem::take(&mut doubt.undecided).into_iter().collect();
        }
        self.go_on(env, now);
    }

    /// Takes note of an answer, or that there will be none.
    pub(super) fn on_signal<S: RecordStore>(&mut self, env: &mut Env<S, A>, now: Now, signal: Signal<A>) {
        let Some(doubt) = &mut self.doubt else { return };
        if !signal.kind.is_final() {
            return;
        }
        match doubt.asked.remove(&signal.request) {
            Some(Asked::Page(number, places)) => doubt.told(env, now, number, &places, &signal),
            Some(Asked::Record(number)) => doubt.fetched(env, number, signal.kind),
            None => return,
        }
        self.go_on(env, now);
    }

    fn go_on<S: RecordStore>(&mut self, env: &mut Env<S, A>, now: Now) {
        let Some(doubt) = &mut self.doubt else { return };
        if doubt.round_at.is_some() {
            return;
        }
        while doubt.pages.len() < PAGES_MAX && doubt.fetches.len() < FETCHES_MAX && doubt.next_page(env, now)
        {
        }
        if !doubt.is_at_rest() {
            return;
        }
        doubt.round += 1;
        if doubt.undecided.is_empty() || doubt.round == ROUNDS_MAX {
            let away_ms = doubt.away_ms;
            let (checked, dropped, changed) = (doubt.checked, doubt.dropped, doubt.changed);
            let unconfirmed = doubt.undecided.len() as u64;
            env.events.push_back(Event::CameBack { away_ms, checked, dropped, changed, unconfirmed });
            self.doubt = None;
            env.attendance.resolve(now);
            env.sync_due = true;
        } else {
            doubt.round_at = Some(now.instant + ROUND_WAIT * (1 << (doubt.round - 1)));
        }
    }
}

impl<A: Address> Doubt<A> {
    fn new((until_ms, away_ms): (u64, u64)) -> Self {
        Self {
            until_ms,
            away_ms,
            after: None,
            is_through: false,
            again: Vec::new(),
            undecided: BTreeSet::new(),
            round: 0,
            round_at: None,
            last_number: 0,
            pages: BTreeMap::new(),
            fetches: BTreeMap::new(),
            asked: BTreeMap::new(),
            checked: 0,
            dropped: 0,
            changed: 0,
        }
    }

    /// Whether this round is over.
    fn is_at_rest(&self) -> bool {
        self.is_through && self.again.is_empty() && self.pages.is_empty() && self.fetches.is_empty()
    }

    /// The records to ask about next; none when the round has asked about all.
    fn next_records<S: RecordStore>(&mut self, env: &mut Env<S, A>) -> Vec<RecordId> {
        if self.is_through {
            let rest = self.again.len().saturating_sub(PAGE_RECORDS);
            return self.again.split_off(rest);
        }
        // A store that fails has reported itself; what it cannot tell now is asked about after the next start.
        let page = env.store.heads(self.after.as_ref(), PAGE_RECORDS).unwrap_or_default();
        self.is_through = page.len() < PAGE_RECORDS;
        self.after = page.last().map(|(id, _)| id.clone());
        self.checked += page.len() as u64;
        page.into_iter().map(|(id, _)| id).collect()
    }

    /// Asks about some more records; tells whether there were any.
    fn next_page<S: RecordStore>(&mut self, env: &mut Env<S, A>, now: Now) -> bool {
        let records = self.next_records(env);
        if records.is_empty() {
            return false;
        }
        self.last_number += 1;
        let mut questions = Vec::with_capacity(records.len());
        let mut by_holder: BTreeMap<Contact<A>, Vec<usize>> = BTreeMap::new();
        for (place, id) in records.into_iter().enumerate() {
            let holders = env.table.closest(&id.key, env.config.replication, |_| true);
            questions.push(Question { id, asked: holders.len(), mute: 0, told: Vec::new() });
            for holder in holders {
                by_holder.entry(holder).or_default().push(place);
            }
        }
        for (holder, places) in &by_holder {
            let entry = |place: &usize| questions.get(*place).map(|question: &Question<A>| &question.id);
            let records = places.iter().filter_map(entry);
            let records = records.map(|id| NameEntry { key: id.key, name: id.name.clone() }).collect();
            let recall = Recall { away_ms: self.away_ms, records };
            let request = env.request(now, *holder, Request::Recall(recall), Owner::Absence);
            self.asked.insert(request, Asked::Page(self.last_number, places.clone()));
        }
        let page = Page { questions, waiting: by_holder.len() };
        self.pages.insert(self.last_number, page);
        true
    }

    /// Takes in what one holder says about the questions of a page.
    fn told<S: RecordStore>(
        &mut self,
        env: &mut Env<S, A>,
        now: Now,
        number: u64,
        places: &[usize],
        signal: &Signal<A>,
    ) {
        let Some(page) = self.pages.get_mut(&number) else { return };
        for (at, place) in places.iter().enumerate() {
            let Some(question) = page.questions.get_mut(*place) else { continue };
            match &signal.kind {
                SignalKind::Answer { response: Response::Recalled(recalled), .. } => {
                    question.told.extend(recalled.versions.get(at).map(|version| (signal.from, *version)));
                }
                SignalKind::Answer { response: Response::Refused(Refusal::Starting), .. } => {
                    question.mute += 1
                }
                _ => {}
            }
        }
        page.waiting -= 1;
        if page.waiting == 0 {
            let questions = self.pages.remove(&number).map(|page| page.questions);
            questions.into_iter().flatten().for_each(|question| self.decide(env, now, question));
        }
    }

    fn decide<S: RecordStore>(&mut self, env: &mut Env<S, A>, now: Now, question: Question<A>) {
        let holders = (question.asked - question.mute + 1).min(env.config.replication);
        if question.told.len() < Consistency::Quorum.reads_needed(holders) {
            self.undecided.insert(question.id);
            return;
        }
        let Ok(own) = env.store.head(&question.id) else { return };
        let own = own.unwrap_or_default().version;
        if question.told.iter().any(|(_, version)| *version == own) {
            return;
        }
        let states: BTreeMap<_, _> =
            question.told.iter().map(|(holder, version)| (*version, *holder)).collect();
        let holders: Vec<_> = states
            .into_iter()
            .filter(|(version, _)| !version.is_absent())
            .map(|(_, holder)| holder)
            .collect();
        self.last_number += 1;
        let id = question.id;
        for holder in &holders {
            let get = Get { key: id.key, name: id.name.clone(), want: Want::Record };
            let request = env.request(now, *holder, Request::Get(get), Owner::Absence);
            self.asked.insert(request, Asked::Record(self.last_number));
        }
        let fetch = Fetch { id, theirs: Record::default(), waiting: holders.len(), failed: false };
        if holders.is_empty() {
            self.take_their_word(env, fetch);
        } else {
            self.fetches.insert(self.last_number, fetch);
        }
    }

    /// Takes in a record as another holder has it.
    fn fetched<S: RecordStore>(&mut self, env: &mut Env<S, A>, number: u64, kind: SignalKind<A>) {
        let Some(fetch) = self.fetches.get_mut(&number) else { return };
        match kind {
            SignalKind::Answer { response: Response::Found(found), .. } => {
                fetch.theirs.merge(found.record);
            }
            // It has expired since.
            SignalKind::Answer { response: Response::Summary(_), .. } => {}
            _ => fetch.failed = true,
        }
        fetch.waiting -= 1;
        if fetch.waiting == 0
            && let Some(fetch) = self.fetches.remove(&number)
        {
            self.take_their_word(env, fetch);
        }
    }

    /// Replaces what this node holds by what the others do and what it was told since it lost touch.
    fn take_their_word<S: RecordStore>(&mut self, env: &mut Env<S, A>, fetch: Fetch) {
        let Fetch { id, theirs, failed, .. } = fetch;
        if failed {
            self.undecided.insert(id);
            return;
        }
        let is_gone = theirs.is_empty();
        match self.replace(env, &id, theirs) {
            Ok(true) if is_gone => self.dropped += 1,
            Ok(_) => self.changed += 1,
            // It is asked about once more, or after the next start.
            Err(_) => drop(self.undecided.insert(id)),
        }
    }

    /// Tells whether nothing of what was held is left.
    fn replace<S: RecordStore>(
        &self,
        env: &mut Env<S, A>,
        id: &RecordId,
        theirs: Record,
    ) -> Result<bool, StoreError> {
        let own = env.store.load(id)?.unwrap_or_default();
        let stays = |stamp: Stamp, is_tombstone: bool| is_tombstone || stamp.unix_ms() > self.until_ms;
        let (base, items) = own.into_parts();
        let base = base.filter(|base| stays(base.stamp, base.payload.is_none()));
        let items = items.filter(|item| stays(item.stamp, item.payload.is_none()));
        let mut record = Record::from_parts(base, items);
        let is_empty = record.is_empty();
        record.merge(theirs);
        env.store.replace(id, record)?;
        Ok(is_empty)
    }
}
