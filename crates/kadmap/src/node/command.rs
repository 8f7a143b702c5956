//! What the handle asks of the task that runs the node.

use kadmap_core::wire::{PeerReport, Request, Response};
use kadmap_core::{
    AskError, Change, Contact, ItemRange, ItemsOutcome, Key, LookupOutcome, OperationId, ReadError,
    ReadOptions, ReadOutcome, RecordId, WatchError, WatchOptions, WriteError, WriteOptions, WriteOutcome,
};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

use super::join::JoinPlan;
use super::news::NewsSender;
use crate::Status;
use crate::error::StartError;

/// One page of a scan, and whether it is the last.
pub(crate) struct ScanPage {
    pub(crate) operation: OperationId,
    pub(crate) names: Vec<RecordId>,
    pub(crate) done: bool,
}

/// The answer of one node to one request, and how long it took.
pub(crate) type Answer = Result<(Response, Duration), AskError>;

/// One thing asked of the node; each carries the way back.
pub(crate) enum Command {
    Write {
        record: RecordId,
        change: Change,
        options: WriteOptions,
        reply: oneshot::Sender<Result<WriteOutcome, WriteError>>,
    },
    Read {
        record: RecordId,
        options: ReadOptions,
        reply: oneshot::Sender<Result<ReadOutcome, ReadError>>,
    },
    Items {
        record: RecordId,
        range: ItemRange,
        with_base: bool,
        options: ReadOptions,
        reply: oneshot::Sender<Result<ItemsOutcome, ReadError>>,
    },
    Lookup {
        target: Key,
        reply: oneshot::Sender<LookupOutcome>,
    },
    Scan {
        pages: mpsc::UnboundedSender<ScanPage>,
    },
    ContinueScan {
        operation: OperationId,
    },
    Watch {
        record: RecordId,
        options: WatchOptions,
        news: NewsSender,
        reply: oneshot::Sender<Result<OperationId, WatchError>>,
    },
    ResumeWatch {
        operation: OperationId,
    },
    EndWatch {
        operation: OperationId,
    },
    Ask {
        contact: Contact,
        request: Request,
        reply: oneshot::Sender<Answer>,
    },
    Names {
        after: Option<RecordId>,
        limit: usize,
        reply: oneshot::Sender<(Vec<RecordId>, Option<RecordId>)>,
    },
    Peers {
        reply: oneshot::Sender<Vec<PeerReport>>,
    },
    Status {
        reply: oneshot::Sender<Status>,
    },
    Leave {
        /// Whether it will be back in a moment.
        briefly: bool,
        reply: oneshot::Sender<u64>,
    },
    Join {
        plan: JoinPlan,
        reply: oneshot::Sender<Result<(), StartError>>,
    },
    Stop {
        reply: oneshot::Sender<()>,
    },
}
