//! One of the disjoint paths of a lookup: a shortlist of its own.

use super::hop::{Hop, HopOutcome};
use crate::{Address, Contact, Distance, NodeId};

/// A contact inside a lookup.
#[derive(Debug, Clone)]
pub(super) struct Candidate<A> {
    pub(super) distance: Distance,
    pub(super) contact: Contact<A>,
    pub(super) told_by: Option<NodeId>,
    pub(super) depth: usize,
    /// The request that decides about this candidate, sent by this path or another; an index of the trace.
    pub(super) hop: Option<usize>,
}

/// The candidates of one path.
#[derive(Debug, Clone)]
pub(super) struct Path<A> {
    /// By distance, closest first; one per id; none whose request has failed.
    shortlist: Vec<Candidate<A>>,
    /// Requests it may still send.
    pub(super) requests_left: usize,
    /// Requests of its own that are under way and not slow.
    pub(super) waiting: usize,
    /// Whether the last answer named nobody closer than the closest known.
    pub(super) arrived: bool,
}

impl<A: Address> Path<A> {
    pub(super) fn new(requests_left: usize) -> Self {
        Self { shortlist: Vec::new(), requests_left, waiting: 0, arrived: false }
    }

    /// Takes up a candidate unless its id is known here or `limit` closer ones are.
    pub(super) fn hear(&mut self, candidate: Candidate<A>, limit: usize) -> bool {
        let Err(place) = self.place(&candidate.distance) else {
            return false;
        };
        if place >= limit {
            return false;
        }
        self.shortlist.truncate(limit - 1);
        self.shortlist.insert(place, candidate);
        true
    }

    /// Distances to one target are equal only for equal ids.
    fn place(&self, distance: &Distance) -> Result<usize, usize> {
        self.shortlist.binary_search_by(|known| known.distance.cmp(distance))
    }

    pub(super) fn at(&mut self, distance: &Distance) -> Option<&mut Candidate<A>> {
        let place = self.place(distance).ok()?;
        self.shortlist.get_mut(place)
    }

    pub(super) fn forget_failed(&mut self, distance: &Distance, hop: usize) {
        if let Ok(place) = self.place(distance)
            && self.shortlist[place].hop == Some(hop)
        {
            self.shortlist.remove(place);
        }
    }

    pub(super) fn closest_distance(&self) -> Option<Distance> {
        self.shortlist.first().map(|candidate| candidate.distance)
    }

    /// The `want` closest candidates that are neither failed nor slow: those this path has to hear.
    fn front<'a>(&'a self, trace: &'a [Hop<A>], want: usize) -> impl Iterator<Item = &'a Candidate<A>> {
        let slow = |hop: usize| trace[hop].outcome == HopOutcome::Slow;
        self.shortlist.iter().filter(move |candidate| !candidate.hop.is_some_and(slow)).take(want)
    }

    /// The closest candidate to ask, if this path has one and may still ask.
    pub(super) fn unasked<'a>(&'a self, trace: &'a [Hop<A>], want: usize) -> Option<&'a Candidate<A>> {
        let mut front = self.front(trace, want).filter(|_| self.requests_left > 0);
        front.find(|candidate| candidate.hop.is_none())
    }

    /// Whether its `want` closest candidates that are neither failed nor slow have all answered, as far as it
    /// may still ask them.
    pub(super) fn is_done(&self, trace: &[Hop<A>], want: usize) -> bool {
        self.front(trace, want).all(|candidate| match candidate.hop {
            Some(hop) => trace[hop].is_answered(),
            None => self.requests_left == 0,
        })
    }
}
