//! What is going to happen, in order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use kadmap_core::wire::Message;

use crate::SimAddress;

/// A message under way.
#[derive(Debug)]
pub(crate) struct Flight {
    pub(crate) from: u32,
    pub(crate) to: u32,
    /// The run of the receiver that it is meant for: a restarted node has no connection with the sender.
    pub(crate) incarnation: u32,
    pub(crate) message: Message<SimAddress>,
}

/// What happens next.
// It is moved once or twice; to box the message would cost an allocation for each.
#[allow(clippy::large_enum_variant)]
#[derive(Debug)]
pub(crate) enum Happening {
    Arrival(Flight),
    /// A node's timer is due, unless it has set another one since.
    Timer {
        node: u32,
    },
}

/// The events of a simulation in the order of their times, and of their making where times are equal.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    /// Time in microseconds, number of the event, what it is. Small, because it is moved about in the heap.
    heap: BinaryHeap<Reverse<(u64, u64, Ticket)>>,
    /// The messages under way; tickets are places here.
    flights: Vec<Option<Flight>>,
    free: Vec<u32>,
    pushed: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Ticket {
    Arrival(u32),
    Timer(u32),
}

impl Queue {
    pub(crate) fn push_flight(&mut self, at_us: u64, flight: Flight) {
        let place = match self.free.pop() {
            Some(place) => {
                self.flights[place as usize] = Some(flight);
                place
            }
            None => {
                self.flights.push(Some(flight));
                (self.flights.len() - 1) as u32
            }
        };
        self.push(at_us, Ticket::Arrival(place));
    }

    pub(crate) fn push_timer(&mut self, at_us: u64, node: u32) {
        self.push(at_us, Ticket::Timer(node));
    }

    fn push(&mut self, at_us: u64, ticket: Ticket) {
        self.pushed += 1;
        self.heap.push(Reverse((at_us, self.pushed, ticket)));
    }

    /// The next thing that happens by `end_us`, and when.
    pub(crate) fn pop_until(&mut self, end_us: u64) -> Option<(u64, Happening)> {
        if self.heap.peek().is_none_or(|Reverse((at, ..))| *at > end_us) {
            return None;
        }
        let Reverse((at, _, ticket)) = self.heap.pop()?;
        let happening = match ticket {
            Ticket::Timer(node) => Happening::Timer { node },
            Ticket::Arrival(place) => {
                self.free.push(place);
                Happening::Arrival(self.flights[place as usize].take()?)
            }
        };
        Some((at, happening))
    }

    /// Gives back the memory of busier times.
    pub(crate) fn shrink(&mut self) {
        let end = self.flights.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
        self.flights.truncate(end);
        self.flights.shrink_to_fit();
        self.free.retain(|place| (*place as usize) < end);
        self.free.shrink_to_fit();
        self.heap.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_in_order_of_time_and_then_of_making() {
        let mut queue = Queue::default();
        for (at, node) in [(5, 1), (3, 2), (5, 3), (4, 4)] {
            queue.push_timer(at, node);
        }
        let mut order = Vec::new();
        while let Some((at, Happening::Timer { node })) = queue.pop_until(5) {
            order.push((at, node));
        }
        assert_eq!(order, [(3, 2), (4, 4), (5, 1), (5, 3)]);
        queue.push_timer(6, 1);
        assert!(queue.pop_until(5).is_none());
    }
}
