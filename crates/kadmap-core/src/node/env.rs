//! What every part of a node works with: tables, store, clock, and the way out.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_core::Rng;

use super::attendance::Attendance;
use super::background::{Background, Unhurried};
use super::hearsay::Hearsay;
use super::leave::Leaving;
use super::peers::{Heard, Peers};
use super::repair::{Awaited, Misplaced, Outbox};
use super::requests::{Owner, Requests, Waits};
use super::wall::WallClock;
use super::watchers::Watchers;
use super::watches::Watches;
use super::{Action, Counters};
use crate::config::{Config, Role};
use crate::indexed::Indexed;
use crate::operation::{Event, OperationId};
use crate::record::{Clock, OVERHEAD_BYTES, Record, Stamp};
use crate::routing::{Admission, Removal, RoutingTable};
use crate::store::{RecordId, RecordStore, Ticket};
use crate::wire::{Body, Items, Message, RecordCopy, Request, RequestId, Response, Stored, WireContact};
use crate::{Address, Contact, Instant, NodeId, Now};

/// A contact that did not answer is not probed again on hearsay for this long.
const HEARSAY_SILENCE: Duration = Duration::from_secs(60);
/// Requests and answers beyond this do not fit a packet: they are waited for by size, and not repeated.
pub(super) const LARGE_BYTES: u64 = 1024;

/// What a copy has beside its name and payloads: its key, and a stamp.
const COPY_HEAD_BYTES: u64 = 68;

/// How long all attempts together of a request take that is waited for patiently: processes on a busy machine, and machines
/// whose network is set up anew, stand still for some hundred milliseconds.
const PATIENCE: Duration = Duration::from_secs(2);
/// Attempts over which this is spread.
const PATIENT_ATTEMPTS_MAX: u32 = 8;

/// A contact that has come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival<A> {
    pub(super) contact: Contact<A>,
    /// Whether it is back before anybody took its place: it holds what it held.
    pub(super) keeps_place: bool,
}

/// What waits for the store to flush.
#[derive(Debug)]
pub(super) enum AfterFlush<A> {
    /// An answer to a peer.
    Reply { to: NodeId, id: RequestId, response: Response<A> },
    /// This node's own share of an operation.
    Own { operation: OperationId, request: RequestId, stored: Stored },
}

/// A large answer that was announced.
#[derive(Debug)]
pub(super) enum Large {
    Record(RecordId),
    Page(Items),
}

/// The parts that a node's state machines share.
pub(super) struct Env<S, A: Address> {
    pub(super) own: NodeId,
    pub(super) config: Arc<Config>,
    pub(super) table: RoutingTable<A>,
    pub(super) peers: Peers,
    pub(super) requests: Requests<A>,
    pub(super) store: Indexed<S>,
    pub(super) clock: Clock,
    pub(super) wall: WallClock,
    pub(super) rng: ChaCha8Rng,
    pub(super) actions: VecDeque<Action<A>>,
    pub(super) events: VecDeque<Event<A>>,
    pub(super) background: Background<A>,
    /// Copies on their way to other holders.
    pub(super) outbox: Outbox<A>,
    /// Records that were written here and belong elsewhere.
    pub(super) misplaced: Misplaced,
    /// In ticket order.
    pub(super) after_flush: VecDeque<(Ticket, AfterFlush<A>)>,
    /// Contacts we were told of and have room for.
    pub(super) hearsay: Hearsay<A>,
    /// Whether this node has just started and still gets to know the swarm, its first refresh included: whom it meets was
    /// there before it.
    pub(super) is_newcomer: bool,
    /// Whether this node has come to a swarm and does not yet hold what belongs to it: it takes writes, but has no say in
    /// reads, for a quorum that counted it could miss what was acknowledged before it came.
    pub(super) is_syncing: bool,
    /// Since when it has been part of the swarm, and whether it may rely on what it holds.
    pub(super) attendance: Attendance,
    /// Whether it has just come to know the swarm, and is to learn now what belongs to it.
    pub(super) sync_due: bool,
    /// What it is being sent of that.
    pub(super) awaited: Option<Awaited>,
    /// How far it has come in leaving.
    pub(super) leaving: Leaving,
    /// Contacts that are new or back, and have not been handed their records.
    pub(super) arrived: Vec<Arrival<A>>,
    /// Contacts that fell silent or left, whose records lack a replica, and since when.
    pub(super) departed: Vec<(NodeId, Instant)>,
    /// Large answers that were announced and go out one a turn, so that the announcements overtake them.
    pub(super) large_gets: VecDeque<(NodeId, RequestId, Large)>,
    /// Who is to be told of changes here.
    pub(super) watchers: Watchers<A>,
    /// What this node itself watches.
    pub(super) watches: Watches,
    pub(super) counters: Counters,
}

impl<S, A: Address> Env<S, A> {
    /// Sends a request; its owner hears of the answer, of slowness and of silence.
    pub(super) fn request(&mut self, now: Now, to: Contact<A>, request: Request, owner: Owner) -> RequestId {
        let waits = self.waits(&to.id, &request, owner);
        let id = self.requests.insert(now.instant, to, request.clone(), owner, waits);
        self.counters.requests_sent += 1;
        self.push_request(to, id, request, false);
        self.send_background_to(now, &to.id);
        id
    }

    /// As [`request`](Self::request), of a node that left one unanswered a moment ago: it is waited for through
    /// [`PATIENCE`], as four attempts at the usual pace would tell nothing new of one that stands still.
    pub(super) fn request_patiently(
        &mut self,
        now: Now,
        to: Contact<A>,
        request: Request,
        owner: Owner,
    ) -> RequestId {
        let id = self.request(now, to, request, owner);
        let doublings = self.config.attempts_max.clamp(1, PATIENT_ATTEMPTS_MAX);
        self.requests.wait_at_least(id, PATIENCE / ((1 << doublings) - 1));
        id
    }

    /// Sends a request once more.
    pub(super) fn repeat(&mut self, now: Now, id: RequestId) {
        let Some(in_flight) = self.requests.in_flight(id) else { return };
        let (to, request, owner) = (in_flight.to, in_flight.request.clone(), in_flight.owner);
        let base = self.waits(&to.id, &request, owner).lost_after.max(in_flight.wait_min);
        let lost_after = self.wait_after_repeat(in_flight, base);
        self.requests.repeat(now.instant, id, lost_after);
        self.counters.requests_repeated += 1;
        self.push_request(to, id, request, owner == Owner::Background);
    }

    /// Queues a copy that nobody waits for; it shares a packet, or goes within `background_delay`.
    pub(super) fn request_in_background(&mut self, now: Now, to: Contact<A>, request: Request) {
        let due = now.instant + self.config.background_delay;
        self.background.push(to.id, due, Unhurried::Request { to, request });
    }

    /// Queues an answer that nobody waits for; it shares a packet, or goes within `background_delay`.
    pub(super) fn reply_in_background(&mut self, now: Now, to: NodeId, id: RequestId, response: Response<A>) {
        let due = now.instant + self.config.background_delay;
        self.background.push(to, due, Unhurried::Reply { id, response });
    }

    /// Sends what has waited long enough.
    pub(super) fn send_due_background(&mut self, now: Now) {
        while let Some(to) = self.background.due(now.instant) {
            self.send_background_to(now, &to);
        }
    }

    /// Sends everything that waits.
    pub(super) fn flush_background(&mut self, now: Now) {
        while let Some(to) = self.background.first() {
            self.send_background_to(now, &to);
        }
    }

    /// Sends what waits for one peer; called whenever something else goes there.
    fn send_background_to(&mut self, now: Now, to: &NodeId) {
        for message in self.background.take(to) {
            match message {
                Unhurried::Request { to, request } => {
                    let waits = self.waits(&to.id, &request, Owner::Background);
                    let id = self.requests.insert(now.instant, to, request.clone(), Owner::Background, waits);
                    self.counters.requests_sent += 1;
                    self.push_request(to, id, request, true);
                }
                Unhurried::Reply { id, response } => self.push_reply(*to, id, response),
            }
        }
    }

    /// Answers a request.
    pub(super) fn reply(&mut self, now: Now, to: NodeId, id: RequestId, response: Response<A>) {
        self.push_reply(to, id, response);
        self.send_background_to(now, &to);
    }

    /// This node among candidates; its address is never used, for it does not send to itself.
    pub(super) fn own_contact(&self) -> Contact<A> {
        Contact { id: self.own, address: A::of_own(&self.own) }
    }

    /// Whether this node only asks.
    pub(super) fn is_client(&self) -> bool {
        self.config.role == Role::Client
    }

    /// Stamps later writes of this node above what it has seen, unless that is from a clock too far ahead to follow.
    pub(super) fn observe(&mut self, now: Now, stamp: Stamp) {
        if stamp.unix_ms() <= now.unix_ms.saturating_add(self.config.clock_drift_max.as_millis() as u64) {
            self.clock.observe(stamp);
        }
    }

    /// Considers contacts that somebody told us of: those the table has room for are probed. Tells whether any of them
    /// is lacking in the table.
    pub(super) fn hear_of(&mut self, now: Now, contacts: &[WireContact<A>]) -> bool {
        let mut is_news = false;
        for &WireContact(contact) in contacts {
            let is_lacking = contact.id != self.own
                && self.table.lacks(&contact.id)
                && !self.peers.was_silent_within(now.instant, &contact.id, HEARSAY_SILENCE);
            if !is_lacking {
                continue;
            }
            is_news = true;
            self.table.told_of(&contact.id);
            self.hearsay.push(contact);
        }
        is_news
    }

    /// Forgets what is not needed any more and gives the memory of busier times back.
    pub(super) fn tidy_up(&mut self, now: Now) {
        self.peers.forget_strangers(now.instant, &mut self.table);
        self.requests.shrink();
        self.hearsay.shrink();
        self.arrived.shrink_to_fit();
        self.departed.shrink_to_fit();
        self.after_flush.shrink_to_fit();
    }

    /// A wait drawn between two bounds, so that neighbours do not act at once.
    pub(super) fn jitter(&mut self, (least, most): (Duration, Duration)) -> Duration {
        let span = most.saturating_sub(least).as_micros() as u64;
        let drawn = self.rng.next_u64().checked_rem(span + 1).unwrap_or(0);
        least + Duration::from_micros(drawn)
    }

    /// How long to wait for an answer or a request of this many bytes.
    pub(super) fn transfer_time(&self, bytes: u64) -> Duration {
        Duration::from_micros(bytes.saturating_mul(1_000_000) / self.config.transfer_rate_min.max(1))
    }

    fn waits(&self, to: &NodeId, request: &Request, owner: Owner) -> Waits {
        let (slow_after, lost_after) = self.peers.patience(&self.table, to, &self.config.timeouts);
        let transfer = match request_bytes(request) {
            bytes if bytes > LARGE_BYTES => self.transfer_time(bytes),
            _ => Duration::ZERO,
        };
        // The answer to a copy waits for company as long as the copy did.
        let company =
            if owner == Owner::Background { 2 * self.config.background_delay } else { Duration::ZERO };
        Waits { slow_after: slow_after + transfer + company, lost_after: lost_after + transfer + company }
    }

    fn push_request(&mut self, to: Contact<A>, id: RequestId, request: Request, unhurried: bool) {
        // Whoever hears a request after the goodbye takes this node for one that is back.
        if self.leaving.asks_nothing() && !matches!(request, Request::Leave(_)) {
            return;
        }
        let id = self.requests.in_flight(id).map_or(id, |in_flight| in_flight.wire_id(id));
        let body = Body::Request(request);
        let message = Message { id, from_client: self.is_client(), unhurried, body };
        // A client is told of changes over the connection that it opened.
        let is_client = to.address == A::FIRST;
        let action =
            if is_client { Action::Reply { to: to.id, message } } else { Action::Send { to, message } };
        self.actions.push_back(action);
    }

    fn push_reply(&mut self, to: NodeId, id: RequestId, response: Response<A>) {
        let body = Body::Response(response);
        let message = Message { id, from_client: self.is_client(), unhurried: false, body };
        self.actions.push_back(Action::Reply { to, message });
    }
}

impl<S: RecordStore, A: Address> Env<S, A> {
    /// Looks whether this node stood still for so long, or was alone, that it is not to rely on what it holds.
    pub(super) fn wake(&mut self, now: Now) {
        let is_away = !self.attendance.is_doubting() && self.attendance.is_away(now);
        if is_away && !self.table.is_empty() {
            self.come_back();
        }
    }

    /// Begins to doubt what is held.
    fn come_back(&mut self) {
        if !self.is_client() {
            self.attendance.doubt();
            self.is_syncing = true;
        }
    }

    /// Takes note that a node leaves.
    pub(super) fn goodbye(&mut self, now: Now, id: &NodeId) {
        // A client that leaves was nobody's replica.
        if self.table.remove(id) != Removal::Unknown {
            self.departed.push((*id, now.instant));
        }
        self.peers.left(now.instant, id);
        self.watches.abandon(id);
    }

    /// Takes in a contact that has just proved itself at its address.
    pub(super) fn verified(&mut self, now: Now, contact: Contact<A>) {
        if self.attendance.heard(now) {
            self.come_back();
        }
        let heard = self.peers.heard(now.instant, &contact.id);
        if heard == Heard::Lately {
            return;
        }
        let admission = self.table.verified(now.instant, contact);
        let is_new = matches!(admission, Admission::Added { .. });
        if !self.is_newcomer && (is_new || heard == Heard::Back) {
            let keeps_place = self.departed.extract_if(.., |(id, _)| *id == contact.id).count() > 0;
            let mut known = self.arrived.extract_if(.., |known| known.contact.id == contact.id);
            let keeps_place = keeps_place || known.next().is_some_and(|known| known.keeps_place);
            drop(known);
            // Who holds nothing has nothing to hand over.
            if self.store.usage().records > 0 {
                self.arrived.push(Arrival { contact, keeps_place });
            }
        }
        if is_new {
            self.newcomer_for_watches(now, contact.id);
        }
    }
}

/// Roughly how many bytes a request takes on the wire.
pub(super) fn request_bytes(request: &Request) -> u64 {
    match request {
        Request::Put(put) => record_bytes(&put.delta) + put.name.len() as u64,
        Request::Copies(copies) => copies.records.iter().map(copy_bytes).sum(),
        Request::Ping(ping) => ping.payload.len() as u64,
        _ => 0,
    }
}

/// Roughly how many bytes a copy of a record takes on the wire.
pub(super) fn copy_bytes(copy: &RecordCopy) -> u64 {
    record_bytes(&copy.delta) + copy.name.len() as u64 + COPY_HEAD_BYTES
}

/// Roughly how many bytes a record takes on the wire; costs its number of items.
pub(super) fn record_bytes(record: &Record) -> u64 {
    let base = record.base().map_or(0, |base| base.bytes());
    let items: usize = record.items().map(|item| item.bytes() + OVERHEAD_BYTES / 4).sum();
    (base + items) as u64
}
