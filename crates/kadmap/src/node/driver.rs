//! The loop itself.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use kadmap_core::wire;
use kadmap_core::{Action, Consistency, Contact, Event, Node, Now, ReadOptions, RecordId};
use kadmap_store::AnyStore;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Sleep;
use tracing::{debug, info, warn};

use super::command::Command;
use super::contacts_file::ContactsFile;
use super::join::{Join, JoinPlan, Step};
use super::later_joins::LaterJoins;
use super::scrub::{RECORDS_PER_STEP, ScrubPace};
use super::storage_word::StorageWord;
use super::waiters::{Delivered, Waiter, Waiters};
use crate::Status;
use crate::error::StartError;
use crate::guard::GuardHandle;
use crate::transport::{Transport, TransportEvent};

/// Commands taken up in one turn: what one turn emits shares packets, and no caller waits longer than this many.
const COMMANDS_PER_TURN: usize = 256;
/// How often the contacts are written down, if they have changed.
const SAVE_CONTACTS_INTERVAL: Duration = Duration::from_secs(60);
/// How long a hand-over may take at most when a node leaves.
const LEAVE_WAIT: Duration = Duration::from_secs(5);

/// What a node is made of.
pub(crate) struct Parts {
    pub(crate) node: Node<AnyStore>,
    pub(crate) transport: Transport,
    pub(crate) commands: mpsc::UnboundedReceiver<Command>,
    /// Rung by the store after each flush.
    pub(crate) flushed: Arc<Notify>,
    pub(crate) contacts_file: Option<ContactsFile>,
    pub(crate) join: JoinPlan,
    /// Told once the node serves, or why it cannot.
    pub(crate) ready: oneshot::Sender<Result<(), StartError>>,
    pub(crate) guard: Option<GuardHandle>,
    /// How long one pass over the stored records takes, if they are on a disk.
    pub(crate) scrub_interval: Option<Duration>,
    /// The zero of the node's monotonic clock.
    pub(crate) start: Instant,
}

/// Where the node stands.
enum Stage {
    /// Looking for a first member.
    Joining(Join),
    /// Getting to know the swarm, then serving.
    Member,
    /// Handing over; gives up at the time given.
    Leaving {
        reply: Option<oneshot::Sender<u64>>,
        until: Instant,
    },
    Ended,
}

/// The loop that owns a node.
pub(crate) struct Driver {
    node: Node<AnyStore>,
    transport: Transport,
    commands: mpsc::UnboundedReceiver<Command>,
    flushed: Arc<Notify>,
    contacts_file: Option<ContactsFile>,
    ready: Option<oneshot::Sender<Result<(), StartError>>>,
    /// Told once the socket is closed.
    stop_replies: Vec<oneshot::Sender<()>>,
    later_joins: LaterJoins,
    guard: Option<GuardHandle>,
    stage: Stage,
    waiters: Waiters,
    start: Instant,
    /// The node's own alarm; set anew only when it would ring too late.
    alarm: Pin<Box<Sleep>>,
    alarm_at: Option<Instant>,
    save_contacts_at: Instant,
    frames_malformed: u64,
    storage_word: StorageWord,
    scrub: ScrubPace,
}

/// Why the loop woke up.
// It lives for one match; a box would cost an allocation for each command.
#[expect(clippy::large_enum_variant)]
enum Wake {
    Network,
    Command(Option<Command>),
    Alarm,
    Flushed,
}

impl Driver {
    pub(crate) fn new(parts: Parts) -> Self {
        let now = Instant::now();
        Self {
            node: parts.node,
            transport: parts.transport,
            commands: parts.commands,
            flushed: parts.flushed,
            contacts_file: parts.contacts_file,
            ready: Some(parts.ready),
            stop_replies: Vec::new(),
            later_joins: LaterJoins::new(&parts.join),
            guard: parts.guard,
            stage: Stage::Joining(Join::new(parts.join, now)),
            waiters: Waiters::default(),
            start: parts.start,
            alarm: Box::pin(tokio::time::sleep(Duration::ZERO)),
            alarm_at: None,
            save_contacts_at: now + SAVE_CONTACTS_INTERVAL,
            frames_malformed: 0,
            storage_word: StorageWord::default(),
            scrub: ScrubPace::new(parts.scrub_interval, now),
        }
    }

    /// Runs the node until it has left, failed to join, or nobody holds a handle to it any more.
    pub(crate) async fn run(mut self) {
        loop {
            self.go_on_joining();
            self.pump();
            if matches!(self.stage, Stage::Ended) {
                break;
            }
            self.set_alarm();
            match self.wake().await {
                Wake::Network | Wake::Alarm => {}
                Wake::Command(Some(command)) => self.take_commands(command),
                Wake::Command(None) => break,
                Wake::Flushed => {
                    let now = self.now();
                    self.node.handle_flushed(now);
                }
            }
            self.turn();
        }
        self.save_contacts();
        self.transport.close().await;
        let Self { node, transport, commands, waiters, stop_replies, .. } = self;
        // Whoever hears of the end finds the node stopped, its socket closed and its folder free.
        drop((commands, waiters, transport, node));
        for reply in stop_replies {
            let _ = reply.send(());
        }
    }

    async fn wake(&mut self) -> Wake {
        tokio::select! {
            () = self.transport.ready() => Wake::Network,
            command = self.commands.recv() => Wake::Command(command),
            () = self.flushed.notified() => Wake::Flushed,
            () = self.alarm.as_mut(), if self.alarm_at.is_some() => {
                self.alarm_at = None;
                Wake::Alarm
            }
        }
    }

    /// Takes in what the network and the clock have brought.
    fn turn(&mut self) {
        self.transport.receive();
        while let Some(event) = self.transport.poll_event() {
            self.handle_transport(event);
        }
        let now = self.now();
        if self.node.poll_timeout(now).is_some_and(|at| at <= now.instant) {
            self.node.handle_timeout(now);
        }
        let at = Instant::now();
        self.scrub(at);
        if at >= self.save_contacts_at {
            self.save_contacts();
            self.save_contacts_at = at + SAVE_CONTACTS_INTERVAL;
        }
        if let Stage::Leaving { until, .. } = &self.stage
            && at >= *until
        {
            warn!("left before everything was handed over: it took too long");
            self.left(0);
        }
    }

    /// Sends what the node has to say, and tells its users what it has found.
    fn pump(&mut self) {
        loop {
            while let Some(action) = self.node.poll_action() {
                self.perform(action);
            }
            let Some(event) = self.node.poll_event() else { break };
            self.handle_event(event);
        }
        self.transport.flush();
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Send { to, message } => self.transport.send(to, wire::encode(&message)),
            Action::Reply { to, message } => self.transport.reply(to, wire::encode(&message)),
        }
    }

    fn take_commands(&mut self, first: Command) {
        self.handle_command(first);
        for _ in 1..COMMANDS_PER_TURN {
            match self.commands.try_recv() {
                Ok(command) => self.handle_command(command),
                Err(_) => break,
            }
        }
    }

    fn handle_command(&mut self, command: Command) {
        let now = self.now();
        match command {
            Command::Write { record, change, options, reply } => {
                let operation = self.node.write(now, record, change, options);
                self.waiters.insert(operation, Waiter::Write(reply));
            }
            Command::Read { record, options, reply } => {
                let operation = self.node.read(now, record, options);
                self.waiters.insert(operation, Waiter::Read(reply));
            }
            Command::Items { record, range, with_base, options, reply } => {
                let operation = self.node.items(now, record, range, with_base, options);
                self.waiters.insert(operation, Waiter::Items(reply));
            }
            Command::Lookup { target, reply } => {
                let operation = self.node.lookup(now, target);
                self.waiters.insert(operation, Waiter::Lookup(reply));
            }
            Command::Scan { pages } => {
                let operation = self.node.scan(now);
                self.waiters.insert(operation, Waiter::Scan(pages));
            }
            Command::ContinueScan { operation } => self.node.continue_scan(now, operation),
            Command::Watch { record, options, news, reply } => {
                let operation = self.node.watch(now, record, options);
                self.waiters.insert(operation, Waiter::Watch(Some(reply), news));
            }
            Command::ResumeWatch { operation } => self.node.resume_watch(now, operation),
            Command::EndWatch { operation } => {
                self.waiters.remove(operation);
                self.node.end_watch(now, operation);
            }
            Command::Ask { contact, request, reply } => {
                let operation = self.node.ask(now, contact, request);
                self.waiters.insert(operation, Waiter::Answer(reply));
            }
            Command::Names { after, limit, reply } => {
                let _ = reply.send(self.node.names(now, after.as_ref(), limit));
            }
            Command::Peers { reply } => {
                let _ = reply.send(self.node.peers());
            }
            Command::Status { reply } => {
                let _ = reply.send(self.status(now));
            }
            Command::Leave { briefly, reply } => self.leave(now, briefly, reply),
            Command::Join { plan, reply } => self.later_joins.begin(plan, reply),
            Command::Stop { reply } => {
                self.stop_replies.push(reply);
                self.stage = Stage::Ended;
            }
        }
    }

    fn leave(&mut self, now: Now, briefly: bool, reply: oneshot::Sender<u64>) {
        if matches!(self.stage, Stage::Member) {
            self.stage = Stage::Leaving { reply: Some(reply), until: Instant::now() + LEAVE_WAIT };
            if briefly { self.node.leave_briefly(now) } else { self.node.leave(now) }
        } else if matches!(self.stage, Stage::Joining(_)) {
            let _ = reply.send(0);
            self.stage = Stage::Ended;
        }
    }

    fn left(&mut self, handed_over: u64) {
        if let Stage::Leaving { reply: Some(reply), .. } = std::mem::replace(&mut self.stage, Stage::Ended) {
            let _ = reply.send(handed_over);
        }
    }

    fn handle_transport(&mut self, event: TransportEvent) {
        match event {
            TransportEvent::Received { from, frame } => self.handle_frame(from, &frame),
            TransportEvent::Connected { contact, dialled } => {
                if let Some(dialled) = dialled {
                    self.handle_connected(contact, &dialled);
                }
            }
            TransportEvent::Unreachable { id: Some(id), address, reason } => {
                debug!("{id:?} at {address}: {reason}");
                let now = self.now();
                self.node.handle_unreachable(now, &id);
            }
            TransportEvent::Unreachable { id: None, address, reason } => {
                debug!("{address}: {reason}");
                self.later_joins.failed(address, &reason);
                if let Stage::Joining(join) = &mut self.stage {
                    join.failed(Instant::now(), address, reason);
                }
            }
            TransportEvent::Closed { id } => debug!("connection to {id:?} closed"),
        }
    }

    fn handle_frame(&mut self, from: Contact, frame: &[u8]) {
        match wire::decode(frame) {
            Ok(message) => {
                let now = self.now();
                let Some(guard) = &self.guard else {
                    return self.node.handle_message(now, from, message);
                };
                if let Some(message) = guard.0.begin(&from, message) {
                    self.node.handle_message(now, from, message);
                    guard.0.end();
                }
            }
            Err(error) => {
                self.frames_malformed += 1;
                debug!("{from}: {error}");
            }
        }
    }

    /// A member that we dialled has proved its id: the first one while joining is our way in.
    fn handle_connected(&mut self, contact: Contact, dialled: &SocketAddr) {
        let now = self.now();
        if matches!(self.stage, Stage::Joining(_)) {
            self.stage = Stage::Member;
            self.node.join(now, &[contact]);
        } else if self.later_joins.connected(dialled) {
            self.node.join(now, &[contact]);
        } else {
            self.node.handle_connected(now, contact);
        }
    }

    fn go_on_joining(&mut self) {
        let is_alone = matches!(self.stage, Stage::Member) && self.node.is_alone();
        self.later_joins.step(is_alone).into_iter().for_each(|address| self.transport.dial(address));
        let Stage::Joining(join) = &mut self.stage else { return };
        match join.step(Instant::now()) {
            Step::Wait => {}
            Step::Dial(addresses) => addresses.into_iter().for_each(|address| self.transport.dial(address)),
            Step::StartAlone => {
                self.stage = Stage::Member;
                let now = self.now();
                self.node.join(now, &[]);
            }
            Step::GiveUp(error) => {
                if let Some(ready) = self.ready.take() {
                    let _ = ready.send(Err(error));
                }
                self.stage = Stage::Ended;
            }
        }
    }

    fn handle_event(&mut self, event: Event) {
        let event = match self.waiters.deliver(event) {
            Delivered::Done => return,
            Delivered::ScanAbandoned(operation) => return self.node.cancel(operation),
            Delivered::WatchAbandoned(operation) => {
                let now = self.now();
                return self.node.end_watch(now, operation);
            }
            Delivered::WatchFull(operation) => return self.node.pause_watch(operation),
            Delivered::NotAnOutcome(event) => event,
        };
        match event {
            Event::Joined { contacts } => {
                info!("joined: {contacts} contacts");
                self.save_contacts();
                self.later_joins.joined();
                if let Some(ready) = self.ready.take()
                    && ready.send(Ok(())).is_err()
                {
                    // Whoever started the node has stopped waiting for it.
                    self.stage = Stage::Ended;
                }
            }
            Event::Left { handed_over } => self.left(handed_over),
            Event::Damaged { record } => self.fetch_again(record),
            Event::ClockJumped { by_ms } => super::clock::warn(by_ms),
            Event::CameBack { away_ms, checked, dropped, changed, unconfirmed } => info!(
                "back after {:?}, longer than deletions are remembered: of {checked} records {dropped} had been \
                 deleted and are dropped, {changed} had changed; {unconfirmed} nobody could tell about, they stay",
                Duration::from_millis(away_ms)
            ),
            Event::StorageFailed { reason } => self.storage_word.failed(Instant::now(), reason),
            other => debug!("unclaimed outcome: {other:?}"),
        }
    }

    /// Reads some of what is stored, if it is time to.
    fn scrub(&mut self, at: Instant) {
        if !matches!(self.stage, Stage::Member) || !self.scrub.take_due(at, self.node.usage().records) {
            return;
        }
        // A store that fails reports itself with what it refuses.
        let scrubbed = self.node.scrub(RECORDS_PER_STEP);
        scrubbed.damaged.into_iter().for_each(|record| self.fetch_again(record));
    }

    /// Brings a record that was damaged here back from the swarm.
    fn fetch_again(&mut self, record: RecordId) {
        let name = String::from_utf8_lossy(&record.name).into_owned();
        warn!("the stored record '{name}' was damaged; fetching it again from the swarm");
        // A read repairs every replica that lacks something, this node included; every replica has to be asked, for
        // those that answer first may lack it too.
        let options = ReadOptions { consistency: Some(Consistency::All), ..ReadOptions::default() };
        let now = self.now();
        self.node.read(now, record, options);
    }

    fn status(&self, now: Now) -> Status {
        let (report, counters, stats) = (self.node.status(now), self.node.counters(), self.transport.stats());
        Status {
            id: self.node.id(),
            address: self.transport.local_address(),
            software: report.software,
            contacts: report.contacts,
            connections: stats.connections as u64,
            records: report.records,
            record_bytes: report.bytes,
            requests_served: report.requests_served,
            requests_sent: counters.requests_sent,
            requests_repeated: counters.requests_repeated,
            requests_unanswered: counters.requests_unanswered,
            puts_refused: report.puts_refused,
            replicas_repaired: counters.replicas_repaired,
            watches: self.node.watches() as u64,
            watchers: self.node.watchers() as u64,
            changes_told: counters.changes_told,
            watches_refused: counters.watches_refused,
            packets: (stats.packets_in, stats.packets_out),
            frames_malformed: self.frames_malformed,
            uptime: Duration::from_millis(report.uptime_ms),
            replication: report.replication,
        }
    }

    fn save_contacts(&mut self) {
        if let Some(file) = &mut self.contacts_file {
            file.save(self.node.contacts());
        }
    }

    fn now(&self) -> Now {
        let micros = self.start.elapsed().as_micros() as u64;
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now {
            instant: kadmap_core::Instant::from_micros(micros),
            unix_ms: u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// Sets the alarm to when there is something to do. An alarm that rings early wakes the loop in vain, which costs
    /// less than moving it on every turn.
    fn set_alarm(&mut self) {
        let now = self.now();
        let node = self.node.poll_timeout(now).map(|at| self.start + Duration::from_micros(at.as_micros()));
        let stage = match &self.stage {
            Stage::Joining(join) => Some(join.next_timer()),
            Stage::Leaving { until, .. } => Some(*until),
            _ => None,
        };
        let scrub = self.scrub.next().filter(|_| matches!(self.stage, Stage::Member));
        let own = stage.into_iter().chain(scrub).chain(self.later_joins.next_timer());
        let Some(at) = node.into_iter().chain(own).min() else {
            return;
        };
        if self.alarm_at.is_none_or(|set| at < set) {
            self.alarm.as_mut().reset(at.into());
            self.alarm_at = Some(at);
        }
    }
}
