//! Watches as the node's user and its own parts see them.

use super::env::Env;
use super::watch::Watch;
use super::watches::Errand;
use super::{Node, Operation};
use crate::operation::{Event, OperationId, WatchError, WatchOptions};
use crate::store::{RecordId, RecordStore};
use crate::wire::{Changed, Heard, Response};
use crate::{Address, Contact, NodeId, Now};

impl<S: RecordStore, A: Address> Node<S, A> {
    /// Starts to watch a record; [`Event::Watching`] tells that it has begun, or why not, and [`Event::Changed`] each
    /// change from then on, until [`end_watch`](Self::end_watch).
    pub fn watch(&mut self, now: Now, record: RecordId, options: WatchOptions) -> OperationId {
        let id = self.next_operation();
        let limits = &self.env.config.limits;
        let error = if record.name.len() > limits.name_bytes_max {
            Some(WatchError::NameTooLong { bytes: record.name.len(), bytes_max: limits.name_bytes_max })
        } else if self.env.watches.len() >= limits.watches_max {
            Some(WatchError::TooManyWatches { watches_max: limits.watches_max })
        } else {
            None
        };
        if let Some(error) = error {
            self.env.events.push_back(Event::Watching { operation: id, result: Err(error) });
            return id;
        }
        let watch = Watch::new(&mut self.env, now, id, record, options);
        self.start(now, id, options.timeout, 0, Operation::Watch(Box::new(watch)));
        id
    }

    /// Ends a watch: the replicas are told, and nothing of it remains here.
    pub fn end_watch(&mut self, now: Now, id: OperationId) {
        self.extended.remove(&id);
        if let Some(Operation::Watch(mut watch)) = self.operations.remove(&id) {
            watch.end(&mut self.env, now);
        }
    }

    /// Stops telling changes until [`resume_watch`](Self::resume_watch), because whoever listens cannot follow.
    pub fn pause_watch(&mut self, id: OperationId) {
        if let Some(Operation::Watch(watch)) = self.operations.get_mut(&id) {
            watch.mute();
        }
    }

    /// Goes on with a paused watch: tells the record as it stands, and every change after that.
    pub fn resume_watch(&mut self, now: Now, id: OperationId) {
        self.with_watch(id, |watch, env| watch.resume(env, now));
    }

    /// How many records this node watches.
    pub fn watches(&self) -> usize {
        self.env.watches.len()
    }

    /// How many watches this node serves as a replica.
    pub fn watchers(&self) -> usize {
        self.env.watchers.len()
    }

    /// Ends all watches.
    pub(super) fn end_watches(&mut self, now: Now) {
        let is_watch = |(id, operation): (&OperationId, &Operation<A>)| {
            matches!(operation, Operation::Watch(_)).then_some(*id)
        };
        let mut ids: Vec<_> = self.operations.iter().filter_map(is_watch).collect();
        ids.sort_unstable();
        ids.into_iter().for_each(|id| self.end_watch(now, id));
    }

    /// Brings what replicas told to the watches it concerns.
    pub(super) fn settle_watches(&mut self, now: Now) {
        while let Some((from, changed)) = self.env.watches.next_heard() {
            let record = RecordId { key: changed.key, name: changed.name.clone() };
            for id in self.env.watches.of(&record) {
                self.with_watch(id, |watch, env| watch.on_changed(env, now, &from, changed.clone()));
            }
        }
    }

    /// Does what is due at this time.
    pub(super) fn run_watches(&mut self, now: Now) {
        self.env.watchers.expire(now.instant);
        self.settle_watches(now);
        while let Some(id) = self.env.watches.pop_due(now.instant) {
            self.with_watch(id, |watch, env| watch.on_timer(env, now));
        }
        for (id, errand) in self.env.watches.due_errands(now.instant) {
            match errand {
                Errand::End => self.end_watch(now, id),
                _ => self.with_watch(id, |watch, env| watch.on_errand(env, now, errand)),
            }
        }
    }

    fn with_watch(&mut self, id: OperationId, action: impl FnOnce(&mut Watch<A>, &mut Env<S, A>)) {
        if let Some(Operation::Watch(watch)) = self.operations.get_mut(&id) {
            action(watch, &mut self.env);
        }
    }
}

impl<S, A: Address> Env<S, A> {
    /// Takes in what a replica tells of a record.
    pub(super) fn serve_changed(&mut self, from: &Contact<A>, changed: Changed) -> Response<A> {
        let record = RecordId { key: changed.key, name: changed.name.clone() };
        let interested = self.watches.has(&record);
        if interested {
            self.watches.hear(from.id, changed);
        }
        Response::Heard(Heard { interested })
    }

    /// Takes note that somebody is there who was not.
    pub(super) fn newcomer_for_watches(&mut self, now: Now, id: NodeId) {
        if !self.is_client() {
            self.watches.newcomer(now.instant, id);
        }
    }
}
