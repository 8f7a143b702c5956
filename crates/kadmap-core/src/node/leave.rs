//! Leaving: hand over, say goodbye, be gone.
//!
//! Who leaves for good brings each of its records to the node that moves up in its place, as far as that lacks it.
//! Who means to be back in seconds with all it has only makes sure that others have whatever it has: its place is filled
//! by those that stay 5 to 30 s later ([`Config::repair_delay`](crate::Config::repair_delay)), or not at all when it is
//! back by then.
//!
//! It serves as before until it has brought everything; then it takes nothing more and brings what was written meanwhile.
//! Whoever does not take what it is brought is left aside, or asked again if there is nobody else, for some seconds.
//! After the goodbye it sends no request: that would tell that it is back.

use std::time::Duration;

use super::Node;
use super::repair::Repair;
use super::requests::Owner;
use crate::operation::Event;
use crate::store::RecordStore;
use crate::wire::{Empty, Request};
use crate::{Address, Instant, Now};

/// How long answers are waited for before the goodbyes, and then those to the goodbyes.
const ANSWERS_WAIT: Duration = Duration::from_millis(500);

/// How far a node has come in leaving.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) enum Leaving {
    #[default]
    No,
    /// Brings what it holds to others, and serves as before.
    HandingOver,
    /// Brings what was written meanwhile.
    Closing,
    /// Asks nothing more and waits for the answers that are out: no request may arrive after the goodbye.
    FallingSilent {
        until: Instant,
    },
    SayingGoodbye {
        until: Instant,
    },
    Left,
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reception {
    Served,
    /// Who asks is told that this node leaves.
    TurnedAway,
    /// Who asks will ask again, and is turned away then: until what was written last is where others look for it, nobody
    /// may do without this node.
    Unanswered,
}

impl Leaving {
    /// What becomes of a request now.
    pub(super) fn reception(self, request: &Request) -> Reception {
        // What is brought here now would be lost, or have to be brought further.
        let brings = matches!(request, Request::Compare(_) | Request::Copies(_));
        let of_repair = matches!(request, Request::Divide(_) | Request::Fetch(_));
        let of_records = matches!(
            request,
            Request::Get(_)
                | Request::Put(_)
                | Request::Items(_)
                | Request::Names(_)
                | Request::Recall(_)
                | Request::Watch(_)
        );
        match self {
            Self::No => Reception::Served,
            _ if brings => Reception::TurnedAway,
            Self::Closing if of_records => Reception::Unanswered,
            _ if self.asks_nothing() && (of_records || of_repair) => Reception::TurnedAway,
            _ => Reception::Served,
        }
    }

    /// Whether what this node holds is told as ever.
    pub(super) fn serves_records(self) -> bool {
        self < Self::Closing
    }

    /// Whether this node asks nobody anything any more.
    pub(super) fn asks_nothing(self) -> bool {
        self > Self::Closing
    }

    /// When answers are no longer waited for.
    pub(super) fn next_timer(self) -> Option<Instant> {
        match self {
            Self::FallingSilent { until } | Self::SayingGoodbye { until } => Some(until),
            _ => None,
        }
    }
}

impl<S: RecordStore, A: Address> Node<S, A> {
    /// Starts to leave for good: hands records over and says goodbye; [`Event::Left`] tells when it is done.
    pub fn leave(&mut self, now: Now) {
        self.begin_leaving(now, false);
    }

    /// Starts to leave for so short a time that nobody need take this node's place: it will be back with its store
    /// within seconds, as when a program is upgraded. [`Event::Left`] tells when it is done.
    ///
    /// It leaves as if for good where so many that hold the same have gone lately, and were not replaced yet, that a quorum
    /// could consist of nodes that have moved up and hold nothing.
    pub fn leave_briefly(&mut self, now: Now) {
        let is_brief = !Repair::is_missed(&self.env);
        self.begin_leaving(now, is_brief);
    }

    fn begin_leaving(&mut self, now: Now, is_brief: bool) {
        if self.env.leaving != Leaving::No {
            return;
        }
        self.env.attendance.leave();
        self.end_watches(now);
        self.env.flush_background(now);
        self.env.outbox.delivered = 0;
        self.env.leaving = Leaving::HandingOver;
        if !self.env.is_client() {
            self.repair.leave(&mut self.env, now, is_brief);
        }
        self.go_on_leaving(now);
    }

    /// Takes the next step of leaving, if the one before is done.
    pub(super) fn go_on_leaving(&mut self, now: Now) {
        let until = now.instant + ANSWERS_WAIT;
        let is_bringing = matches!(self.env.leaving, Leaving::HandingOver | Leaving::Closing);
        if is_bringing && self.repair.has_handed_over(&mut self.env, now) {
            self.env.leaving = Leaving::FallingSilent { until };
        }
        let has_all_answers =
            |until: Instant, node: &Self| now.instant >= until || node.env.requests.len() == 0;
        if let Leaving::FallingSilent { until: end } = self.env.leaving
            && has_all_answers(end, self)
        {
            self.env.leaving = Leaving::SayingGoodbye { until };
            let leavers = self.repair.take_leavers();
            for contact in self.env.table.iter().chain(leavers).collect::<Vec<_>>() {
                self.env.request(now, contact, Request::Leave(Empty {}), Owner::Background);
            }
        }
        if let Leaving::SayingGoodbye { until: end } = self.env.leaving
            && has_all_answers(end, self)
        {
            self.env.leaving = Leaving::Left;
            self.env.events.push_back(Event::Left { handed_over: self.env.outbox.delivered });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Key;
    use crate::wire::{Get, Want};

    #[test]
    fn a_leaving_node_tells_of_records_on_the_way_as_long_as_it_answers_who_asks_for_them() {
        let get = Get { key: Key::of_name(b"colour"), name: "colour".into(), want: Want::Summary };
        let until = Instant::from_micros(1);
        let steps = [
            Leaving::No,
            Leaving::HandingOver,
            Leaving::Closing,
            Leaving::FallingSilent { until },
            Leaving::SayingGoodbye { until },
            Leaving::Left,
        ];
        let serves = |step: Leaving| step.reception(&Request::Get(get.clone())) == Reception::Served;
        assert_eq!(steps.map(Leaving::serves_records), steps.map(serves));
        assert_eq!(steps.map(serves), [true, true, false, false, false, false]);
    }
}
