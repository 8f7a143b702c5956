//! Who waits for which operation of the node.

use kadmap_core::{
    Event, ItemsOutcome, LookupOutcome, OperationId, ReadError, ReadOutcome, WriteError, WriteOutcome,
};
use rustc_hash::FxHashMap;
use tokio::sync::{mpsc, oneshot};

use super::command::{Answer, ScanPage};

/// The way back for one operation.
pub(super) enum Waiter {
    Write(oneshot::Sender<Result<WriteOutcome, WriteError>>),
    Read(oneshot::Sender<Result<ReadOutcome, ReadError>>),
    Items(oneshot::Sender<Result<ItemsOutcome, ReadError>>),
    Lookup(oneshot::Sender<LookupOutcome>),
    Answer(oneshot::Sender<Answer>),
    Scan(mpsc::UnboundedSender<ScanPage>),
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
            other => return Delivered::NotAnOutcome(other),
        }
        Delivered::Done
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
}
