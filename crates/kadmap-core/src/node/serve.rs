//! Answering other nodes, and this node's own share of its operations: what may enter the store and what leaves
//! it.

use super::env::{AfterFlush, Env, LARGE_BYTES, Large};
use super::leave::Reception;
use super::lists::check_trim;
use super::requests::without_attempt;
use crate::indexed::before;
use crate::operation::Event;
use crate::record::{Head, Item, Record, Shape, Stamp, Version};
use crate::store::{Merged, RecordId, RecordStore, StoreError, Ticket};
use crate::wire::{
    Coming, Empty, FindNode, FindValue, Found, Get, Held, NameEntry, Names, NamesPage, Nodes, PeerList,
    PeerReport, Peers, Put, PutMode, Recall, Recalled, Refusal, Request, RequestId, Response, StatusReport,
    Stored as StoredBody, Summary, Want, WireContact,
};
use crate::{Address, Contact, Key, NodeId, Now};

/// Contacts in one page of a peer list.
const PEERS_PER_PAGE: usize = 128;
/// Large answers that wait at most; an asker beyond asks again or asks somebody else.
const LARGE_GETS_MAX: usize = 256;

/// Records that one request may ask the states of: more than anybody asks.
const RECALLED_MAX: usize = 256;

/// What of a request's frame matters beside its body.
#[derive(Debug, Clone, Copy)]
pub(super) struct MessageHead {
    pub(super) id: RequestId,
    /// The answer may wait to share a packet.
    pub(super) unhurried: bool,
    pub(super) from_client: bool,
}

/// A delta that entered the store.
pub(super) struct Stored {
    pub(super) body: StoredBody,
    /// Whether it was news.
    pub(super) changed: bool,
    /// What the acknowledgement has to wait for.
    pub(super) ticket: Option<Ticket>,
}

impl<S: RecordStore, A: Address> Env<S, A> {
    /// Answers one request.
    pub(super) fn serve(&mut self, now: Now, from: Contact<A>, message: MessageHead, request: Request) {
        let id = message.id;
        self.counters.requests_served += 1;
        match self.leaving.reception(&request) {
            Reception::Served => {}
            Reception::TurnedAway => {
                return self.reply(now, from.id, id, Response::Refused(Refusal::Leaving));
            }
            Reception::Unanswered => return,
        }
        let response = match request {
            Request::Ping(ping) => Response::Pong(ping),
            Request::FindNode(find) => self.serve_find_node(now, find, &from.id),
            Request::Get(get) => self.serve_get(now, get, from.id, id),
            Request::Put(put) => match self.store_put(now, put) {
                Ok(Stored { body, ticket: None, .. }) => Response::Stored(body),
                Ok(Stored { body, ticket: Some(ticket), .. }) => {
                    let response = Response::Stored(body);
                    let reply = AfterFlush::Reply { to: from.id, id, response };
                    self.after_flush.push_back((ticket, reply));
                    return;
                }
                Err(refusal) => Response::Refused(refusal),
            },
            Request::Divide(_) | Request::Fetch(_) | Request::Watch(_) if self.attendance.is_doubting() => {
                Response::Refused(Refusal::Starting)
            }
            Request::Recall(recall) => self.serve_recall(now, recall),
            Request::Compare(compare) => self.serve_compare(now, &from.id, &compare),
            Request::Divide(divide) => self.serve_divide(from, &divide),
            Request::Fetch(fetch) => self.serve_fetch(from, &fetch),
            Request::Copies(copies) => match self.take_copies(now, &from.id, copies) {
                (response, None) => response,
                (response, Some(ticket)) => {
                    let reply = AfterFlush::Reply { to: from.id, id, response };
                    self.after_flush.push_back((ticket, reply));
                    return;
                }
            },
            Request::Names(_) if self.is_syncing => Response::Refused(Refusal::Starting),
            Request::Names(names) => Response::Names(self.names_here(now, &names)),
            Request::Items(items) => self.serve_items(now, items, from.id, id),
            Request::Status(_) => Response::Status(self.status(now)),
            Request::Peers(peers) => self.serve_peers(&peers),
            Request::Leave(_) => {
                self.goodbye(now, &from.id);
                Response::Left(Empty {})
            }
            Request::Watch(watch) => self.serve_watch(now, from, message.from_client, watch),
            Request::Changed(changed) => self.serve_changed(&from, changed),
            Request::Unknown(_) => Response::Unsupported(Empty {}),
        };
        if message.unhurried {
            self.reply_in_background(now, from.id, id, response);
        } else {
            self.reply(now, from.id, id, response);
        }
    }

    /// Brings a replica a copy without hurry, and this node at once.
    pub(super) fn replicate(&mut self, now: Now, to: Contact<A>, put: Put) {
        if to.id == self.own {
            // A store that refuses is reported by the store itself; whoever reads or writes has its quorum.
            let _ = self.store_put(now, put);
        } else {
            self.request_in_background(now, to, Request::Put(put));
        }
    }

    /// Merges a delta into the store if it may enter.
    pub(super) fn store_put(&mut self, now: Now, put: Put) -> Result<Stored, Refusal> {
        let id = RecordId { key: put.key, name: put.name };
        let checked = self.head_here(&id).and_then(|head| {
            let head = head.unwrap_or_default();
            self.check_put(now, &id, &put.delta, put.mode, put.if_newest, head).map(|()| head)
        });
        let head = match checked {
            Ok(head) => head,
            Err(refusal) => {
                self.counters.puts_refused += 1;
                return Err(refusal);
            }
        };
        self.store.keep_presence(self.attendance.presence(now));
        let is_new = matches!(put.mode, PutMode::Publish | PutMode::Trim);
        let watched = self.watchers.has(&id).then(|| put.delta.clone());
        let merged = self.admit(now, &id, put.delta, &head).and_then(|delta| {
            // Nothing is left of it but that it was seen.
            let nothing = Merged { head, changed: false, ticket: None };
            if delta.is_empty() { Ok(nothing) } else { self.store.merge(&id, delta) }
        });
        match merged {
            Ok(merged) => {
                if let Some(delta) = watched.filter(|_| merged.changed) {
                    self.tell_watchers(now, &id, merged.head.version, delta);
                }
                if is_new && merged.changed {
                    self.note_written(now, &id);
                }
                self.observe(now, merged.head.newest);
                let Head { version, bytes, .. } = merged.head;
                let bytes_max = self.config.limits.record_bytes_max;
                let body = StoredBody { version, bytes: Some(bytes), bytes_max: Some(bytes_max) };
                Ok(Stored { body, changed: merged.changed, ticket: merged.ticket })
            }
            Err(error) => Err(self.storage_failed(&id, error)),
        }
    }

    /// Tells the state of records to a node that was away, if this one has been there all the while.
    fn serve_recall(&mut self, now: Now, recall: Recall) -> Response<A> {
        if self.is_syncing {
            return Response::Refused(Refusal::Starting);
        }
        if !self.attendance.vouches_for(now, recall.away_ms) || recall.records.len() > RECALLED_MAX {
            return Response::Recalled(Recalled::default());
        }
        let mut versions = Vec::with_capacity(recall.records.len());
        for entry in recall.records {
            match self.head_here(&RecordId { key: entry.key, name: entry.name }) {
                Ok(head) => versions.push(head.unwrap_or_default().version),
                Err(refusal) => return Response::Refused(refusal),
            }
        }
        Response::Recalled(Recalled { versions })
    }

    /// This node's own word on a record in a read of its own; none while it does not hold what belongs to it.
    pub(super) fn own_word(&mut self, now: Now, id: &RecordId) -> Result<(Version, Record), Refusal> {
        if self.is_syncing { Err(Refusal::Starting) } else { self.load_here(now, id) }
    }

    /// What this node holds under an id. A store that fails has no answer: to say that nothing is here would count
    /// towards a quorum that then misses what is stored.
    /// What has expired is left out.
    pub(super) fn load_here(&mut self, now: Now, id: &RecordId) -> Result<(Version, Record), Refusal> {
        let absent = (Version::ABSENT, Record::default());
        let Some(head) = self.head_here(id)? else { return Ok(absent) };
        let unix_ms = self.steady_ms(now);
        match self.store.load(id) {
            Ok(record) => Ok(record.map_or(absent, |record| (head.version, record.without_expired(unix_ms)))),
            Err(error) => {
                let is_set_aside = error == StoreError::Damaged;
                let refusal = self.storage_failed(id, error);
                if is_set_aside { Ok(absent) } else { Err(refusal) }
            }
        }
    }

    /// Releases the acknowledgements whose writes have become durable; tells the node's own.
    pub(super) fn release_flushed(&mut self, now: Now) -> Vec<AfterFlush<A>> {
        let flushed = self.store.flushed();
        let mut own = Vec::new();
        while self.after_flush.front().is_some_and(|(ticket, _)| *ticket <= flushed) {
            match self.after_flush.pop_front() {
                Some((_, AfterFlush::Reply { to, id, response })) => self.reply(now, to, id, response),
                Some((_, after)) => own.push(after),
                None => break,
            }
        }
        own
    }

    /// How this node is.
    pub(super) fn status(&self, now: Now) -> StatusReport {
        let usage = self.store.usage();
        StatusReport {
            software: self.config.software.clone(),
            contacts: self.table.len() as u64,
            records: usage.records,
            bytes: usage.bytes,
            requests_served: self.counters.requests_served,
            puts_refused: self.counters.puts_refused,
            uptime_ms: now.instant.since(self.counters.started).as_millis() as u64,
            replication: self.config.replication as u64,
            info: self.config.info.clone(),
            value_bytes_max: self.config.limits.value_bytes_max as u64,
        }
    }

    /// The live contacts after an id, in id order, with what is known of them.
    pub(super) fn peer_page(&self, after: Option<NodeId>) -> PeerList<A> {
        let live = self.table.iter().map(|contact| (contact, true));
        let silent = self.table.unresponsive().map(|contact| (contact, false));
        let mut all: Vec<_> =
            live.chain(silent).filter(|(contact, _)| after.is_none_or(|after| contact.id > after)).collect();
        all.sort_unstable();
        let more = all.len() > PEERS_PER_PAGE;
        all.truncate(PEERS_PER_PAGE);
        let report = |(contact, live): (Contact<A>, bool)| {
            let smoothed = self.peers.round_trip(&self.table, &contact.id).smoothed();
            let rtt_us = smoothed.map(|rtt| rtt.as_micros() as u64);
            PeerReport { contact: WireContact(contact), rtt_us, live }
        };
        PeerList { peers: all.into_iter().map(report).collect(), more }
    }

    fn serve_find_node(&mut self, now: Now, find: FindNode, asker: &NodeId) -> Response<A> {
        let count = (find.count as usize).min(self.config.limits.contacts_per_answer_max);
        let useful = |contact: &Contact<A>| contact.id != *asker && !self.peers.is_suspect(&contact.id);
        let mut closest = self.table.closest(&find.target, count, useful);
        if let Some(known) = &find.known {
            closest.retain(|contact| !known.covers(&contact.id));
        }
        let held = find.value.and_then(|value| self.tell_on_the_way(now, find.target, value)).map(Box::new);
        Response::Nodes(Nodes { contacts: closest.into_iter().map(WireContact).collect(), held })
    }

    /// What is held of a record, for an asker that is still looking for its holders. Whoever has no say is asked again if
    /// it matters, and tells why then.
    fn tell_on_the_way(&mut self, now: Now, key: Key, value: FindValue) -> Option<Held> {
        if self.is_syncing || !self.leaving.serves_records() {
            return None;
        }
        let id = RecordId { key, name: value.name };
        let Head { version, bytes, .. } = self.head_here(&id).ok()?.unwrap_or_default();
        if value.want == Want::Summary || version.is_absent() || bytes > LARGE_BYTES {
            return Some(Held { version, record: None });
        }
        let (version, record) = self.load_here(now, &id).ok()?;
        self.counters.records_served += 1;
        Some(Held { version, record: Some(record).filter(|_| !version.is_absent()) })
    }

    fn serve_peers(&self, peers: &Peers) -> Response<A> {
        Response::Peers(self.peer_page(peers.after))
    }

    /// Answers at once, unless the answer is large: then it is announced and goes out with a later turn.
    fn serve_get(&mut self, now: Now, get: Get, from: NodeId, id: RequestId) -> Response<A> {
        if self.is_syncing {
            return Response::Refused(Refusal::Starting);
        }
        let record_id = RecordId { key: get.key, name: get.name };
        let head = match self.head_here(&record_id) {
            Ok(head) => head.unwrap_or_default(),
            Err(refusal) => return Response::Refused(refusal),
        };
        if get.want == Want::Summary || head.version.is_absent() {
            return Response::Summary(Summary { version: head.version, bytes: head.bytes });
        }
        if head.bytes <= LARGE_BYTES {
            return self.found(now, &record_id);
        }
        self.announce_large(from, id, Large::Record(record_id), head.bytes)
    }

    /// Says that a large answer comes with a later turn.
    pub(super) fn announce_large(
        &mut self,
        from: NodeId,
        id: RequestId,
        large: Large,
        bytes: u64,
    ) -> Response<A> {
        let is_it =
            |to: &NodeId, request: RequestId| *to == from && without_attempt(request) == without_attempt(id);
        let already_announced = self.large_gets.iter().any(|(to, request, _)| is_it(to, *request));
        if !already_announced && self.large_gets.len() < LARGE_GETS_MAX {
            self.large_gets.push_back((from, id, large));
        }
        Response::Coming(Coming { bytes })
    }

    /// Sends the next of the large answers that were announced.
    pub(super) fn send_large_answer(&mut self, now: Now) {
        if let Some((to, id, large)) = self.large_gets.pop_front() {
            let response = match large {
                Large::Record(record) => self.found(now, &record),
                Large::Page(items) => self.page(now, &items),
            };
            self.reply(now, to, id, response);
        }
    }

    fn found(&mut self, now: Now, id: &RecordId) -> Response<A> {
        let (version, record) = match self.load_here(now, id) {
            Ok(found) => found,
            Err(refusal) => return Response::Refused(refusal),
        };
        if version.is_absent() {
            return Response::Summary(Summary { version, bytes: 0 });
        }
        self.counters.records_served += 1;
        Response::Found(Found { version, record })
    }

    /// The names held here in a range.
    pub(super) fn names_here(&mut self, now: Now, names: &Names) -> NamesPage {
        let limit = (names.limit as usize).clamp(1, self.config.limits.names_per_page_max);
        let after = start_after(names);
        let Ok(mut heads) = self.store.heads(after.as_ref(), limit + 1) else {
            return NamesPage { entries: Vec::new(), more: false, last: None };
        };
        heads.retain(|(id, _)| id.key <= names.to);
        let more = heads.len() > limit;
        heads.truncate(limit);
        let entry = |id: &RecordId| NameEntry { key: id.key, name: id.name.clone() };
        let last = heads.last().map(|(id, _)| entry(id));
        let unix_ms = self.steady_ms(now);
        let live = heads.iter().filter(|(_, head)| head.shape(unix_ms).is_some());
        NamesPage { entries: live.map(|(id, _)| entry(id)).collect(), more, last }
    }

    pub(super) fn head_here(&mut self, id: &RecordId) -> Result<Option<Head>, Refusal> {
        self.store.head(id).or_else(|error| match error {
            StoreError::Damaged => {
                self.storage_failed(id, error);
                Ok(None)
            }
            StoreError::Failed { .. } | StoreError::Rejected { .. } => Err(self.storage_failed(id, error)),
        })
    }

    /// Reports a store's error; a damaged record is fetched again from the swarm.
    pub(super) fn storage_failed(&mut self, id: &RecordId, error: StoreError) -> Refusal {
        let event = match error {
            StoreError::Rejected { reason } => return Refusal::Rejected { reason },
            StoreError::Damaged => Event::Damaged { record: id.clone() },
            StoreError::Failed { reason } => Event::StorageFailed { reason },
        };
        if self.events.back() != Some(&event) {
            self.events.push_back(event);
        }
        Refusal::StorageFailed
    }

    fn check_put(
        &mut self,
        now: Now,
        id: &RecordId,
        delta: &Record,
        mode: PutMode,
        if_newest: Option<Stamp>,
        head: Head,
    ) -> Result<(), Refusal> {
        self.check_clock(now, delta)?;
        self.check_size(id, delta, mode, &head)?;
        if mode == PutMode::Replicate {
            return Ok(());
        }
        // A write that is repeated because its acknowledgement got lost finds itself, not a conflict.
        let repeated = delta.base().is_some_and(|base| base.stamp == head.base_stamp);
        if let Some(newest) = if_newest
            && head.newest > newest
            && !repeated
        {
            return Err(Refusal::Conflict { found: head.version });
        }
        if mode == PutMode::Trim {
            return check_trim(now, delta, &head);
        }
        if let Some(base) = delta.base()
            && base.stamp < head.newest
        {
            return Err(Refusal::Superseded { newest: head.newest });
        }
        self.check_items(now, id, delta, &head)
    }

    fn check_items(&mut self, now: Now, id: &RecordId, delta: &Record, head: &Head) -> Result<(), Refusal> {
        for item in delta.items() {
            let removes = item.field.is_none() && item.payload.is_none();
            if item.stamp < head.base_stamp && !removes {
                return Err(Refusal::Superseded { newest: head.base_stamp });
            }
            let wanted = if item.field.is_some() { Shape::Map } else { Shape::List };
            if let Some(found) = head.shape(now.unix_ms)
                && found != wanted
            {
                return Err(Refusal::WrongShape { wanted, found });
            }
            if item.field.is_some()
                && let Ok(Some(newest)) = self.store.item_stamp(id, &item.id())
                && newest > item.stamp
            {
                return Err(Refusal::Superseded { newest });
            }
        }
        Ok(())
    }

    fn check_clock(&self, now: Now, delta: &Record) -> Result<(), Refusal> {
        let written_ms = |item: &Item| {
            // The tombstone of an appended item carries the time of its removal.
            let removed_ms = if item.payload.is_none() { item.death_ms() } else { None };
            item.stamp.unix_ms().max(removed_ms.unwrap_or(0))
        };
        let base_ms = delta.base().map_or(0, |base| base.stamp.unix_ms());
        let newest_ms = delta.items().map(written_ms).fold(base_ms, u64::max);
        let ahead_ms = newest_ms.saturating_sub(now.unix_ms);
        let ahead_ms_max = self.config.clock_drift_max.as_millis() as u64;
        if ahead_ms > ahead_ms_max {
            return Err(Refusal::ClockAhead { ahead_ms, ahead_ms_max });
        }
        Ok(())
    }
}

/// The record after which a page of names starts; `None` for the very first.
fn start_after(names: &Names) -> Option<RecordId> {
    match &names.after_name {
        Some(name) => Some(RecordId { key: names.from, name: name.clone() }),
        None if names.from == Key::MIN => None,
        None => before(&names.from),
    }
}
