//! Leaving: hand over, say goodbye, be gone.

use std::time::Duration;

use super::Node;
use super::requests::Owner;
use crate::operation::Event;
use crate::store::RecordStore;
use crate::wire::{Empty, Request};
use crate::{Address, Instant, Now};

/// How long goodbyes are waited for.
const GOODBYE_WAIT: Duration = Duration::from_millis(500);

/// How far a node has come in leaving.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Leaving {
    #[default]
    No,
    HandingOver,
    SayingGoodbye {
        until: Instant,
    },
    Left,
}

impl Leaving {
    /// When goodbyes are no longer waited for.
    pub(super) fn next_timer(self) -> Option<Instant> {
        match self {
            Self::SayingGoodbye { until } => Some(until),
            _ => None,
        }
    }
}

impl<S: RecordStore, A: Address> Node<S, A> {
    /// Starts to leave: hands records over and says goodbye; [`Event::Left`] tells when it is done.
    pub fn leave(&mut self, now: Now) {
        if self.leaving != Leaving::No {
            return;
        }
        self.env.flush_background(now);
        self.leaving = Leaving::HandingOver;
        if !self.env.is_client() {
            self.repair.leave(&mut self.env, now);
        }
        self.go_on_leaving(now);
    }

    /// Takes the next step of leaving, if the one before is done.
    pub(super) fn go_on_leaving(&mut self, now: Now) {
        if self.leaving == Leaving::HandingOver && self.repair.is_idle(&self.env) {
            for contact in self.env.table.iter().collect::<Vec<_>>() {
                self.env.request(now, contact, Request::Leave(Empty {}), Owner::Background);
            }
            self.leaving = Leaving::SayingGoodbye { until: now.instant + GOODBYE_WAIT };
        }
        if let Leaving::SayingGoodbye { until } = self.leaving
            && (now.instant >= until || self.env.requests.len() == 0)
        {
            self.leaving = Leaving::Left;
            self.env.events.push_back(Event::Left { handed_over: self.env.outbox.delivered });
        }
    }
}
