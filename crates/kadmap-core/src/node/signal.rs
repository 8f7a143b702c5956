//! What becomes of a request, as its owner hears it.

use std::time::Duration;

use crate::Contact;
use crate::wire::{Refusal, RequestId, Response, Stored};

/// News of one request.
#[derive(Debug, Clone)]
pub(super) struct Signal<A> {
    /// The contact that was asked.
    pub(super) from: Contact<A>,
    pub(super) request: RequestId,
    pub(super) kind: SignalKind<A>,
}

/// What the news is.
#[derive(Debug, Clone)]
pub(super) enum SignalKind<A> {
    /// It was answered.
    Answer { response: Response<A>, round_trip: Duration },
    /// The answer is overdue; it may still come.
    Slow,
    /// The answer is so late that the request has been sent again; the node counts as unresponsive until it is heard.
    Lost,
    /// It was given up.
    Silent,
    /// This node's own store has made its share durable.
    Durable { stored: Stored },
}

impl<A> SignalKind<A> {
    /// Whether a watcher that was told of a change wants to hear more; `None` while that is open.
    pub(super) fn watcher_stays(&self) -> Option<bool> {
        match self {
            Self::Answer { response: Response::Heard(heard), .. } => Some(heard.interested),
            Self::Answer { .. } | Self::Silent => Some(false),
            Self::Slow | Self::Lost | Self::Durable { .. } => None,
        }
    }

    /// Whether whoever was asked said that it leaves.
    pub(super) fn is_of_leaver(&self) -> bool {
        matches!(self, Self::Answer { response: Response::Refused(Refusal::Leaving), .. })
    }

    /// Whether no more news of the request will come.
    pub(super) fn is_final(&self) -> bool {
        !matches!(self, Self::Slow | Self::Lost)
    }
}
