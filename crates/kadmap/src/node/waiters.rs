//! Who waits for which operation of the node.

use kadmap_core::{
    Event, ItemsOutcome, LookupOutcome, News, OperationId, ReadError, ReadOutcome, WatchError, WriteError,
    WriteOutcome,
};
use rustc_hash::FxHashMap;
use tokio::sync::{mpsc, oneshot};

use super::command::{Answer, ScanPage};
use super::news::{NewsSender, Sent};

/// The way back for one operation.
pub(super) enum Waiter {
    Write(oneshot::Sender<Result<WriteOutcome, WriteError>>),
    Read(oneshot::Sender<Result<ReadOutcome, ReadError>>),
    Items(oneshot::Sender<Result<ItemsOutcome, ReadError>>),
    Lookup(oneshot::Sender<LookupOutcome>),
    Answer(oneshot::Sender<Answer>),
    Scan(mpsc::UnboundedSender<ScanPage>),
    /// The first is told whether the watch has begun.
    Watch(Option<oneshot::Sender<Result<OperationId, WatchError>>>, NewsSender),
}

/// All waiters by operation.
#[derive(Default)]
pub(super) struct Waiters {
    by_operation: FxHashMap<OperationId, Waiter>,
}

impl Waiters {
    pub(super) fn insert(&mut self, operation: OperationId, waiter: Waiter) {
        self.by_operation.insert(operation, waiter);
    }

    /// Brings an outcome to whom it concerns. A caller that stopped waiting is no error, hence the ignored results.
    ///
    /// Returns the event when it is nobody's outcome, and the operation of a scan that nobody follows any more.
    pub(super) fn deliver(&mut self, event: Event) -> Delivered {
        match event {
            Event::Written { operation, result } => {
                if let Some(Waiter::Write(reply)) = self.by_operation.remove(&operation) {
                    let _ = reply.send(result);
                }
            }
            Event::Read { operation, result } => {
                if let Some(Waiter::Read(reply)) = self.by_operation.remove(&operation) {
                    let _ = reply.send(result);
                }
            }
            Event::Items { operation, result } => {
                if let Some(Waiter::Items(reply)) = self.by_operation.remove(&operation) {
                    let _ = reply.send(result);
                }
            }
            Event::LookedUp { operation, outcome } => {
                if let Some(Waiter::Lookup(reply)) = self.by_operation.remove(&operation) {
                    let _ = reply.send(outcome);
                }
            }
            Event::Answered { operation, result } => {
                if let Some(Waiter::Answer(reply)) = self.by_operation.remove(&operation) {
                    let _ = reply.send(result);
                }
            }
            Event::Scanned { operation, names, done } => {
                return self.deliver_page(ScanPage { operation, names, done });
            }
            Event::Watching { operation, result } => return self.deliver_begin(operation, result),
            Event::Changed { operation, news } => return self.deliver_news(operation, news),
            other => return Delivered::NotAnOutcome(other),
        }
        Delivered::Done
    }

    /// Forgets who waited for an operation.
    pub(super) fn remove(&mut self, operation: OperationId) {
        self.by_operation.remove(&operation);
    }

    fn deliver_begin(&mut self, operation: OperationId, result: Result<(), WatchError>) -> Delivered {
        let Some(Waiter::Watch(reply, _)) = self.by_operation.get_mut(&operation) else {
            return Delivered::WatchAbandoned(operation);
        };
        let failed = result.is_err();
        let abandoned = reply.take().is_none_or(|reply| reply.send(result.map(|()| operation)).is_err());
        if failed || abandoned {
            self.by_operation.remove(&operation);
        }
        if abandoned { Delivered::WatchAbandoned(operation) } else { Delivered::Done }
    }

    fn deliver_news(&mut self, operation: OperationId, news: News) -> Delivered {
        let Some(Waiter::Watch(_, sender)) = self.by_operation.get(&operation) else {
            return Delivered::WatchAbandoned(operation);
        };
        match sender.send(news) {
            Sent::Queued => Delivered::Done,
            Sent::Full => Delivered::WatchFull(operation),
            Sent::Abandoned => {
                self.by_operation.remove(&operation);
                Delivered::WatchAbandoned(operation)
            }
        }
    }

    fn deliver_page(&mut self, page: ScanPage) -> Delivered {
        let (operation, done) = (page.operation, page.done);
        let Some(Waiter::Scan(pages)) = self.by_operation.get(&operation) else {
            return Delivered::ScanAbandoned(operation);
        };
        let abandoned = pages.send(page).is_err();
        if done || abandoned {
            self.by_operation.remove(&operation);
        }
        if abandoned { Delivered::ScanAbandoned(operation) } else { Delivered::Done }
    }
}

/// What became of an event.
pub(super) enum Delivered {
    Done,
    NotAnOutcome(Event),
    ScanAbandoned(OperationId),
    WatchAbandoned(OperationId),
    /// Whoever watches cannot follow.
    WatchFull(OperationId),
}
