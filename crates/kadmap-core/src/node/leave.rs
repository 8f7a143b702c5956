//! Leaving: hand over, say goodbye, be gone.
//!
//! Who leaves for good brings each of its records to the node that moves up in its place, as far as that lacks it.
//! Who means to be back in seconds with all it has only makes sure that others have whatever it has: its place is filled
//! by those that stay 5 to 30 s later ([`Config::repair_delay`](crate::Config::repair_delay)), or not at all when it is
//! back by then.

use std::time::Duration;

use super::Node;
use super::env::Env;
use super::repair::Repair;
use super::requests::Owner;
use crate::operation::Event;
use crate::store::RecordStore;
use crate::wire::{Empty, Request};
use crate::{Address, Consistency, Instant, Now};

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
    /// Starts to leave for good: hands records over and says goodbye; [`Event::Left`] tells when it is done.
    pub fn leave(&mut self, now: Now) {
        self.begin_leaving(now, Repair::leave);
    }

    /// Starts to leave for so short a time that nobody need take this node's place: it will be back with its store
    /// within seconds, as when a program is upgraded. [`Event::Left`] tells when it is done.
    ///
    /// It leaves as if for good where so many others have gone lately, and were not replaced yet, that a quorum could
    /// consist of nodes that have moved up and hold nothing.
    pub fn leave_briefly(&mut self, now: Now) {
        let others = self.env.config.replication.min(self.env.table.len());
        let away = self.env.departed.len() + 1;
        if away < Consistency::Quorum.reads_needed(others) {
            self.begin_leaving(now, Repair::leave_briefly);
        } else {
            self.leave(now);
        }
    }

    fn begin_leaving(&mut self, now: Now, hand_over: fn(&mut Repair<A>, &mut Env<S, A>, Now)) {
        if self.leaving != Leaving::No {
            return;
        }
        self.env.attendance.leave();
        self.end_watches(now);
        self.env.flush_background(now);
        self.env.outbox.delivered = 0;
        self.leaving = Leaving::HandingOver;
        if !self.env.is_client() {
            hand_over(&mut self.repair, &mut self.env, now);
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
