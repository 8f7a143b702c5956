//! A node of the swarm as a state machine: messages and commands in, actions and events out.

mod absence;
mod action;
mod attempts;
mod attendance;
mod background;
mod checks;
mod counters;
mod env;
mod expiry;
mod finder;
mod gleaned;
mod hearsay;
mod leave;
mod lists;
mod paces;
mod page_copies;
mod pages;
mod peers;
mod purpose;
mod read;
mod read_quorum;
mod record_copies;
mod repair;
mod replicas;
mod requests;
mod scan;
mod second_look;
mod serve;
mod signal;
mod tell;
mod upkeep;
mod wall;
mod watch;
mod watchers;
mod watches;
mod watching;
mod write;

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use rustc_hash::FxHashMap;

pub use action::Action;
pub use counters::Counters;
pub use purpose::Purpose;

use crate::config::Config;
use crate::indexed::Indexed;
use crate::operation::{Change, Event, OperationId, ReadOptions, WriteOptions};
use crate::record::{Clock, ItemRange};
use crate::routing::{Removal, RoutingTable};
use crate::store::{RecordId, RecordStore, Scrubbed, Usage};
use crate::wire::{Body, Message, PeerReport, Request, RequestId, Response, StatusReport, WireContact};
use crate::{Address, Contact, Instant, Key, NodeId, Now};
use absence::Absence;
use attendance::Attendance;
use background::Background;
use env::{AfterFlush, Env};
use finder::Finder;
use hearsay::Hearsay;
use leave::Leaving;
use pages::PageRead;
use peers::Peers;
use read::Read;
use repair::{Misplaced, Outbox, Repair};
use requests::{Overdue, Owner, Requests, Waits, without_attempt};
use scan::Scan;
use serve::MessageHead;
use signal::{Signal, SignalKind};
use tell::{advance_lookup, tell_answer, tell_items, tell_lookup, tell_read};
use upkeep::{Refresh, Upkeep};
use wall::WallClock;
use watch::Watch;
use watchers::Watchers;
use watches::Watches;
use write::Write;

/// How many times what it should take at most a large answer that was announced may take, and how long at least, before
/// another node is asked as well: its transfer may have broken off.
const LARGE_SLOW_FACTOR: u32 = 4;
const LARGE_SLOW_MIN: Duration = Duration::from_millis(200);
/// Actions for which a node with operations under way keeps room between bursts: as many as a quorum is. Without any it
/// keeps none: many idle nodes may share a process.
const ACTIONS_KEPT_ROOM_FOR: usize = 32;

/// A node of the swarm: the protocol without sockets, clock, threads or OS randomness.
///
/// Inputs are the `handle_*` methods and the commands ([`write`](Self::write), [`read`](Self::read),
/// [`lookup`](Self::lookup), [`scan`](Self::scan), [`ask`](Self::ask), [`join`](Self::join),
/// [`leave`](Self::leave)); outputs are [`poll_action`](Self::poll_action), [`poll_event`](Self::poll_event) and
/// [`poll_timeout`](Self::poll_timeout).
/// **After every input, take actions and events until there are none, then ask for the timeout and call
/// [`handle_timeout`](Self::handle_timeout) when it is reached.**
/// The same seed and the same inputs give the same outputs, on any machine.
///
/// ```
/// use kadmap_core::{Config, Change, Codec, Event, Key, Node, NodeId, Now, Payload, RecordId, Shape, WriteOptions};
/// use kadmap_core::testing::MapStore;
///
/// let now = Now::default();
/// let own = NodeId::of_public_key(b"key");
/// let mut node: Node<MapStore> = Node::new(own, Config::default(), MapStore::default(), 1, now);
/// node.join(now, &[]);
/// let id = RecordId::new(Key::of_name(b"colour"), "colour");
/// let change = Change::Put { payload: Payload::new(Codec::Json, "\"red\""), shape: Shape::Value };
/// let operation = node.write(now, id, change, WriteOptions::default());
/// assert!(matches!(node.poll_event(), Some(Event::Joined { contacts: 0 })));
/// assert!(matches!(node.poll_event(), Some(Event::Written { operation: id, result: Ok(_) }) if id == operation));
/// ```
pub struct Node<S, A: Address = SocketAddr> {
    env: Env<S, A>,
    operations: FxHashMap<OperationId, Operation<A>>,
    /// When each operation's time is over; one entry for each operation that has a limit.
    deadlines: BTreeSet<(Instant, OperationId)>,
    /// Operations that wait for a large answer, and how long they may; looked at when their time is over.
    extended: FxHashMap<OperationId, Instant>,
    upkeep: Upkeep,
    repair: Repair<A>,
    absence: Absence<A>,
    last_operation: u64,
}

/// One operation under way.
enum Operation<A: Address> {
    Write(Box<Write<A>>),
    Read(Box<Read<A>>),
    Items(Box<PageRead<A>>),
    Lookup(Box<Finder<A>>),
    Scan(Box<Scan<A>>),
    Refresh(Refresh<A>),
    Ask { contact: Contact<A> },
    Watch(Box<Watch<A>>),
}

impl<S: RecordStore, A: Address> Node<S, A> {
    /// A node of its own that knows nobody; `seed` decides all its random choices and its writer tag, so it must be
    /// new at each start.
    ///
    /// Many nodes of one process may share one configuration.
    pub fn new(own: NodeId, config: impl Into<Arc<Config>>, store: S, seed: u64, now: Now) -> Self {
        let config = config.into();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let clock = Clock::new(rng.next_u64());
        let requests = Requests::new(rng.next_u64());
        let holds_records = store.usage().records > 0;
        let grace = config.tombstone_grace;
        let attendance = Attendance::new(store.presence(), holds_records, grace, now);
        let env = Env {
            own,
            table: RoutingTable::new(own, config.table.clone()),
            config,
            peers: Peers::default(),
            requests,
            store: Indexed::new(store),
            clock,
            rng,
            actions: VecDeque::new(),
            events: VecDeque::new(),
            background: Background::default(),
            outbox: Outbox::default(),
            misplaced: Misplaced::default(),
            after_flush: VecDeque::new(),
            hearsay: Hearsay::default(),
            is_newcomer: false,
            is_syncing: false,
            attendance,
            sync_due: false,
            awaited: None,
            leaving: Leaving::No,
            arrived: Vec::new(),
            departed: Vec::new(),
            large_gets: VecDeque::new(),
            watchers: Watchers::default(),
            watches: Watches::default(),
            wall: WallClock::default(),
            counters: Counters { started: now.instant, ..Counters::default() },
        };
        Self {
            env,
            operations: FxHashMap::default(),
            deadlines: BTreeSet::new(),
            extended: FxHashMap::default(),
            upkeep: Upkeep::new(),
            repair: Repair::default(),
            absence: Absence::default(),
            last_operation: 0,
        }
    }

    /// Starts a write; [`Event::Written`] tells its end.
    pub fn write(
        &mut self,
        now: Now,
        record: RecordId,
        change: Change,
        options: WriteOptions,
    ) -> OperationId {
        let id = self.next_operation();
        if let Err(error) = self.check_write(&record, &change) {
            self.env.events.push_back(Event::Written { operation: id, result: Err(error) });
            return id;
        }
        let bytes = change.value_bytes() as u64;
        let write = Write::new(&mut self.env, now, id, record, change, options);
        self.start(now, id, options.timeout, bytes, Operation::Write(Box::new(write)));
        id
    }

    /// Starts a read; [`Event::Read`] tells its end.
    pub fn read(&mut self, now: Now, record: RecordId, options: ReadOptions) -> OperationId {
        let id = self.next_operation();
        if let Err(error) = self.check_read(&record) {
            self.env.events.push_back(Event::Read { operation: id, result: Err(error) });
            return id;
        }
        self.env.wake(now);
        let read = Read::new(&mut self.env, now, id, record, options);
        self.start(now, id, options.timeout, 0, Operation::Read(Box::new(read)));
        id
    }

    /// Starts a read of some items of a list, and of the list that was put if `with_base`; [`Event::Items`] tells its end.
    ///
    /// However long the list, no more travels and is held than a page, see [`ItemRange::bounded`].
    pub fn items(
        &mut self,
        now: Now,
        record: RecordId,
        range: ItemRange,
        with_base: bool,
        options: ReadOptions,
    ) -> OperationId {
        let id = self.next_operation();
        if let Err(error) = self.check_read(&record) {
            self.env.events.push_back(Event::Items { operation: id, result: Err(error) });
            return id;
        }
        self.env.wake(now);
        let read = PageRead::new(&mut self.env, now, id, record, range.bounded(), with_base, options);
        self.start(now, id, options.timeout, 0, Operation::Items(Box::new(read)));
        id
    }

    /// Starts a lookup of the nodes closest to a key, asking even when the table knows them all;
    /// [`Event::LookedUp`] tells its end.
    pub fn lookup(&mut self, now: Now, target: Key) -> OperationId {
        let id = self.next_operation();
        let finder = Finder::by_asking(&mut self.env, now, target);
        self.start(now, id, None, 0, Operation::Lookup(Box::new(finder)));
        id
    }

    /// Starts a walk over all names of the swarm; [`Event::Scanned`] tells each page, after which
    /// [`continue_scan`](Self::continue_scan) asks for the next.
    pub fn scan(&mut self, now: Now) -> OperationId {
        let id = self.next_operation();
        self.env.wake(now);
        let scan = Scan::new(&mut self.env, now, id);
        self.operations.insert(id, Operation::Scan(Box::new(scan)));
        self.advance(now, id);
        id
    }

    /// Asks for the next page of a scan; does nothing when it has ended.
    pub fn continue_scan(&mut self, now: Now, id: OperationId) {
        let Some(Operation::Scan(mut scan)) = self.operations.remove(&id) else { return };
        if !scan.go_on(&mut self.env, now) {
            self.operations.insert(id, Operation::Scan(scan));
        }
    }

    /// Ends an operation without an outcome: nobody waits for it any more.
    pub fn cancel(&mut self, id: OperationId) {
        if let Some(Operation::Watch(_)) = self.operations.get(&id) {
            return self.env.watches.end(id);
        }
        self.operations.remove(&id);
    }

    /// Asks one node for something; [`Event::Answered`] tells its answer.
    pub fn ask(&mut self, now: Now, contact: Contact<A>, request: Request) -> OperationId {
        let id = self.next_operation();
        self.operations.insert(id, Operation::Ask { contact });
        self.env.request(now, contact, request, Owner::Operation(id));
        id
    }

    /// Comes to know the swarm from contacts that have proved themselves, or starts one when there are none;
    /// [`Event::Joined`] tells when it is done.
    pub fn join(&mut self, now: Now, contacts: &[Contact<A>]) {
        // Who was part of another swarm, or the first of one, has to hand over what belongs to those it meets now.
        let had_joined = std::mem::take(&mut self.env.attendance.has_joined);
        let has_to_give = had_joined && self.env.store.usage().records > 0;
        self.env.is_newcomer = !contacts.is_empty() && !has_to_give;
        self.env.is_syncing = !contacts.is_empty() && !self.env.is_client();
        for contact in contacts {
            self.env.verified(now, *contact);
        }
        if self.env.table.is_empty() || self.env.is_client() {
            // A client knows nobody's neighbourhood; its table stays unfilled and its operations look up.
            if self.env.is_client() {
                let contacts = self.env.table.len();
                self.env.events.push_back(Event::Joined { contacts });
            } else {
                self.upkeep.joined(&mut self.env, now);
            }
            return;
        }
        self.upkeep.joining();
        self.refresh(now);
    }

    /// Takes in a message from a node that proved its id at this address.
    pub fn handle_message(&mut self, now: Now, from: Contact<A>, message: Message<A>) {
        self.env.wake(now);
        if !message.from_client && self.stays(now, &from.id, &message.body) {
            self.env.verified(now, from);
        }
        if message.from_client && matches!(message.body, Body::Response(_)) {
            // This node took it for a member, by whose address it joined.
            self.env.table.remove(&from.id);
        }
        match message.body {
            Body::Request(request) => {
                let (id, unhurried, from_client) = (message.id, message.unhurried, message.from_client);
                let head = MessageHead { id, unhurried, from_client };
                self.env.serve(now, from, head, request);
                self.settle_watches(now);
            }
            Body::Response(Response::Coming(coming)) => {
                self.wait_for_large_answer(now, &from.id, message.id, coming.bytes);
            }
            Body::Response(response) => self.handle_response(now, from, message.id, response),
        }
    }

    /// Takes note that a member we dialled has proved its id at its address.
    pub fn handle_connected(&mut self, now: Now, contact: Contact<A>) {
        if !self.env.peers.has_left(now.instant, &contact.id) {
            self.env.verified(now, contact);
        }
    }

    /// Takes note that a contact cannot be reached under its id: nothing listens there, or somebody else does.
    pub fn handle_unreachable(&mut self, now: Now, id: &NodeId) {
        self.fell_silent(now, *id);
        for (request, in_flight) in self.env.requests.take_all_to(id) {
            let signal = Signal { from: in_flight.to, request, kind: SignalKind::Silent };
            self.route(now, in_flight.owner, signal);
        }
    }

    /// Takes note that the store has flushed: acknowledgements that waited for it go out.
    pub fn handle_flushed(&mut self, now: Now) {
        for after in self.env.release_flushed(now) {
            if let AfterFlush::Own { operation, request, stored } = after {
                let kind = SignalKind::Durable { stored };
                let from = self.env.own_contact();
                self.route(now, Owner::Operation(operation), Signal { from, request, kind });
            }
        }
    }

    /// Does what is due at this time.
    pub fn handle_timeout(&mut self, now: Now) {
        self.env.wake(now);
        while let Some((id, overdue)) = self.env.requests.pop_overdue(now.instant) {
            self.handle_overdue(now, id, overdue);
        }
        while let Some(&(at, id)) = self.deadlines.first()
            && at <= now.instant
        {
            self.deadlines.pop_first();
            match self.extended.remove(&id).filter(|until| *until > now.instant) {
                Some(until) => drop(self.deadlines.insert((until, id))),
                None => self.expire(now, id),
            }
        }
        self.env.send_large_answer(now);
        self.env.send_due_background(now);
        if self.upkeep.run(&mut self.env, now) {
            self.refresh(now);
        }
        self.absence.run(&mut self.env, now);
        self.repair.run(&mut self.env, now);
        self.run_watches(now);
        self.go_on_leaving(now);
    }

    /// The next thing to do; call until `None` after every input.
    pub fn poll_action(&mut self) -> Option<Action<A>> {
        let action = self.env.actions.pop_front();
        if action.is_none() {
            let kept = if self.operations.is_empty() { 0 } else { ACTIONS_KEPT_ROOM_FOR };
            if self.env.actions.capacity() > kept {
                self.env.actions = VecDeque::new();
            }
        }
        action
    }

    /// The next thing to tell the user; call until `None` after every input.
    pub fn poll_event(&mut self) -> Option<Event<A>> {
        let event = self.env.events.pop_front();
        if event.is_none() && self.operations.is_empty() && self.env.events.capacity() > 0 {
            self.env.events = VecDeque::new();
        }
        event
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called next.
    pub fn poll_timeout(&mut self, now: Now) -> Option<Instant> {
        self.repair.plan(&mut self.env, now);
        let deadline = self.deadlines.first().map(|&(at, _)| at);
        let large_answer = (!self.env.large_gets.is_empty()).then_some(now.instant);
        let timers = [
            self.env.requests.next_timer(),
            deadline,
            self.env.background.next_timer(),
            self.upkeep.next_timer(&self.env, now.instant),
            self.repair.next_timer(&self.env, now.instant),
            self.absence.next_timer(&self.env, now.instant),
            self.env.leaving.next_timer(),
            large_answer,
            self.env.watchers.next_timer(),
            self.env.watches.next_timer(now.instant),
        ];
        timers.into_iter().flatten().min()
    }

    /// This node's id.
    pub fn id(&self) -> NodeId {
        self.env.own
    }

    /// What it has done so far.
    pub fn counters(&self) -> &Counters {
        &self.env.counters
    }

    /// What its store holds.
    pub fn usage(&self) -> Usage {
        self.env.store.usage()
    }

    /// How it is, as other nodes are told.
    pub fn status(&self, now: Now) -> StatusReport {
        self.env.status(now)
    }

    /// Whether this node knows nobody who responds.
    pub fn is_alone(&self) -> bool {
        self.env.table.is_empty()
    }

    /// Live contacts, in no particular order.
    pub fn contacts(&self) -> Vec<Contact<A>> {
        self.env.table.iter().collect()
    }

    /// All contacts in id order, with what is known of them.
    pub fn peers(&self) -> Vec<PeerReport<A>> {
        let mut all = Vec::new();
        loop {
            let page = self.env.peer_page(all.last().map(|report: &PeerReport<A>| {
                let WireContact(contact) = report.contact;
                contact.id
            }));
            all.extend(page.peers);
            if !page.more {
                return all;
            }
        }
    }

    /// Live names held here, after one of them, in (key, name) order, and where to go on: `None` at the end.
    pub fn names(
        &mut self,
        now: Now,
        after: Option<&RecordId>,
        limit: usize,
    ) -> (Vec<RecordId>, Option<RecordId>) {
        let heads = self.env.store.heads(after, limit).unwrap_or_default();
        let next = if heads.len() < limit { None } else { heads.last().map(|(id, _)| id.clone()) };
        let live = heads.into_iter().filter(|(_, head)| head.shape(now.unix_ms).is_some());
        (live.map(|(id, _)| id).collect(), next)
    }

    /// Reads some more of what is stored to find damage before somebody needs it, round and round.
    ///
    /// What the store cannot read is left for the next round, and for who asks for it.
    pub fn scrub(&mut self, records_max: usize) -> Scrubbed {
        self.env.store.scrub(records_max).unwrap_or_default()
    }

    /// The store, for its owner's own questions.
    pub fn store_mut(&mut self) -> &mut S {
        self.env.store.inner_mut()
    }

    /// Whether a message shows that its sender means to stay: one that has said goodbye may still answer what it was
    /// asked before, but only a new request of its own brings it back; not even that to a node that leaves as well, for
    /// which it is no help.
    fn stays(&self, now: Now, id: &NodeId, body: &Body<A>) -> bool {
        match body {
            Body::Request(Request::Leave(_)) => false,
            Body::Request(_) if self.env.leaving == Leaving::No => true,
            _ => !self.env.peers.has_left(now.instant, id),
        }
    }

    fn next_operation(&mut self) -> OperationId {
        self.last_operation += 1;
        OperationId(self.last_operation)
    }

    /// Registers an operation with its time limit and lets it do its first step.
    fn start(
        &mut self,
        now: Now,
        id: OperationId,
        timeout: Option<Duration>,
        bytes: u64,
        operation: Operation<A>,
    ) {
        self.operations.insert(id, operation);
        self.advance(now, id);
        if self.operations.contains_key(&id) {
            let copies = self.env.config.replication as u64;
            let transfer = self.env.transfer_time(bytes.saturating_mul(copies));
            let timeout = timeout.unwrap_or(self.env.config.operation_timeout + transfer);
            self.deadlines.insert((now.instant + timeout, id));
        }
    }

    fn advance(&mut self, now: Now, id: OperationId) {
        let Some(mut operation) = self.operations.remove(&id) else { return };
        let done = match &mut operation {
            Operation::Write(write) => write.advance(&mut self.env, now),
            Operation::Read(read) => {
                let result = read.advance(&mut self.env, now);
                tell_read(&mut self.env, id, result)
            }
            Operation::Items(read) => {
                let result = read.advance(&mut self.env, now);
                tell_items(&mut self.env, id, result)
            }
            Operation::Scan(scan) => scan.advance(&mut self.env, now),
            Operation::Refresh(refresh) => {
                let done = refresh.advance(&mut self.env, now);
                if done {
                    self.upkeep.refreshed(&mut self.env, now);
                }
                done
            }
            Operation::Lookup(finder) => advance_lookup(&mut self.env, now, id, finder),
            Operation::Ask { .. } => false,
            Operation::Watch(watch) => {
                watch.advance(&mut self.env, now);
                false
            }
        };
        if !done {
            self.operations.insert(id, operation);
        }
    }

    /// Grants a request, and the operation that made it, the time that a large answer takes.
    fn wait_for_large_answer(&mut self, now: Now, from: &NodeId, wire_id: RequestId, bytes: u64) {
        let id = without_attempt(wire_id);
        let bytes = bytes.min(self.env.config.limits.record_bytes_max);
        let transfer = self.env.transfer_time(bytes);
        let more = transfer + self.env.config.timeouts.timeout_cap;
        let slow_after = LARGE_SLOW_MIN.max(LARGE_SLOW_FACTOR * transfer);
        let waits = Waits { slow_after, lost_after: more };
        let Some(owner) = self.env.requests.extend(now.instant, id, from, waits) else { return };
        if let Owner::Operation(operation) = owner
            && self.operations.contains_key(&operation)
        {
            let until = now.instant + more;
            self.extended.entry(operation).and_modify(|at| *at = until.max(*at)).or_insert(until);
        }
    }

    fn handle_response(&mut self, now: Now, from: Contact<A>, wire_id: RequestId, response: Response<A>) {
        let id = without_attempt(wire_id);
        let Some(in_flight) = self.env.requests.complete(id, &from.id) else {
            self.env.counters.responses_unexpected += 1;
            return;
        };
        let round_trip = now.instant.since(in_flight.sent_as(wire_id).unwrap_or(in_flight.sent));
        let waited_for_company = in_flight.owner == Owner::Background;
        let is_small = env::request_bytes(&in_flight.request) <= env::LARGE_BYTES;
        if is_small && !waited_for_company {
            self.env.peers.answered(&mut self.env.table, now.instant, &from.id, round_trip);
        }
        let kind = SignalKind::Answer { response, round_trip };
        self.route(now, in_flight.owner, Signal { from: in_flight.to, request: id, kind });
    }

    fn handle_overdue(&mut self, now: Now, id: RequestId, overdue: Overdue) {
        let Some(in_flight) = self.env.requests.in_flight(id) else { return };
        let (to, owner, sent, attempts) = (in_flight.to, in_flight.owner, in_flight.sent, in_flight.attempts);
        let attempts_max = self.env.attempts_max(in_flight);
        let misses = if attempts::is_of_quiet(in_flight) { 2 } else { 1 };
        match overdue {
            Overdue::Slow => {
                self.env.counters.requests_slow += 1;
                self.env.peers.suspect(&to.id);
                self.route(now, owner, Signal { from: to, request: id, kind: SignalKind::Slow });
            }
            Overdue::Lost if attempts < attempts_max => {
                self.env.peers.lost(sent, &to.id);
                self.env.repeat(now, id);
                self.route(now, owner, Signal { from: to, request: id, kind: SignalKind::Lost });
            }
            Overdue::Lost => {
                self.env.requests.remove(id);
                self.env.counters.requests_unanswered += 1;
                (0..misses).for_each(|_| self.fell_silent(now, to.id));
                self.route(now, owner, Signal { from: to, request: id, kind: SignalKind::Silent });
            }
        }
    }

    fn fell_silent(&mut self, now: Now, id: NodeId) {
        self.env.peers.silent(now.instant, &id);
        self.repair.fell_silent(&mut self.env, now, &id);
        self.env.arrived.retain(|arrival| arrival.contact.id != id);
        // Who leaves brings what it holds to the last one, should that have stood still for a moment only.
        if self.env.leaving != Leaving::No && self.env.table.len() == 1 {
            return;
        }
        let removal = self.env.table.failed(&id);
        if removal != Removal::Unknown {
            self.upkeep.fell_silent(&mut self.env, now, id);
        }
        let gone = matches!(removal, Removal::Unresponsive | Removal::Replaced { .. });
        self.env.watches.abandon(&id);
        if gone && !self.env.departed.iter().any(|(departed, _)| *departed == id) {
            self.env.departed.push((id, now.instant));
        }
    }

    /// Brings news to whom it concerns.
    fn route(&mut self, now: Now, owner: Owner, signal: Signal<A>) {
        match owner {
            Owner::Operation(id) => self.signal_operation(now, id, signal),
            Owner::Probe(_) => {
                if signal.kind.is_final() {
                    self.upkeep.probed(&mut self.env, now, &signal.from.id);
                }
            }
            Owner::Background => self.go_on_leaving(now),
            Owner::Watcher(id) => {
                if let Some(interested) = signal.kind.watcher_stays() {
                    self.env.watcher_heard(now, id, interested);
                }
            }
            Owner::Absence => self.absence.on_signal(&mut self.env, now, signal),
            Owner::Repair => {
                self.repair.on_signal(&mut self.env, now, signal);
                self.go_on_leaving(now);
            }
        }
    }

    fn signal_operation(&mut self, now: Now, id: OperationId, signal: Signal<A>) {
        let Some(mut operation) = self.operations.remove(&id) else { return };
        let done = match &mut operation {
            Operation::Write(write) => write.on_signal(&mut self.env, now, signal),
            Operation::Read(read) => {
                let result = read.on_signal(&mut self.env, now, signal);
                tell_read(&mut self.env, id, result)
            }
            Operation::Items(read) => {
                let result = read.on_signal(&mut self.env, now, signal);
                tell_items(&mut self.env, id, result)
            }
            Operation::Scan(scan) => scan.on_signal(&mut self.env, now, signal),
            Operation::Refresh(refresh) => {
                let done = refresh.on_signal(&mut self.env, now, &signal);
                if done {
                    self.upkeep.refreshed(&mut self.env, now);
                }
                done
            }
            Operation::Lookup(finder) => {
                finder.on_signal(&mut self.env, now, &signal);
                advance_lookup(&mut self.env, now, id, finder)
            }
            Operation::Ask { contact } => tell_answer(&mut self.env, id, *contact, signal),
            Operation::Watch(watch) => {
                watch.on_signal(&mut self.env, now, signal);
                false
            }
        };
        if done {
            self.extended.remove(&id);
        } else {
            self.operations.insert(id, operation);
        }
    }

    /// Ends an operation whose time is over.
    fn expire(&mut self, now: Now, id: OperationId) {
        match self.operations.remove(&id) {
            Some(Operation::Write(mut write)) => write.expire(&mut self.env, now),
            Some(Operation::Read(read)) => {
                let result = Err(read.expired());
                tell_read(&mut self.env, id, Some(result));
            }
            Some(Operation::Items(read)) => {
                let result = Err(read.expired());
                tell_items(&mut self.env, id, Some(result));
            }
            Some(Operation::Lookup(finder)) => tell_lookup(&mut self.env, id, &finder),
            Some(Operation::Scan(mut scan)) => scan.expire(&mut self.env),
            Some(Operation::Refresh(_)) => self.upkeep.refreshed(&mut self.env, now),
            Some(Operation::Watch(mut watch)) => {
                if !watch.expire(&mut self.env, now) {
                    self.operations.insert(id, Operation::Watch(watch));
                }
            }
            Some(Operation::Ask { .. }) | None => {}
        }
    }

    fn refresh(&mut self, now: Now) {
        let id = self.next_operation();
        let refresh = Refresh::new(&mut self.env, now, id, self.upkeep.is_joining());
        self.start(now, id, None, 0, Operation::Refresh(refresh));
    }
}
