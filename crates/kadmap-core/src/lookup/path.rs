//! One of the disjoint paths of a lookup: a shortlist of its own.

use super::hop::{Hop, HopOutcome};
use crate::{Address, Contact, Key, NodeId};

/// A contact inside a lookup: packed, as a lookup remembers hundreds and a refresh makes many lookups at once.
#[derive(Debug, Clone)]
pub(super) struct Candidate<A: Address> {
    /// The first 64 bits of its distance to the target, which decide almost every comparison.
    nearness: u64,
    contact: A::Packed,
    /// The request whose answer named it, an index of the trace; `None` for a node of our own table.
    pub(super) told_by: Option<u32>,
    /// The request that decides about this candidate, sent by this path or another; an index of the trace.
    pub(super) hop: Option<u32>,
}

impl<A: Address> Candidate<A> {
    pub(super) fn contact(&self) -> Contact<A> {
        A::unpack(&self.contact)
    }
}

/// The candidates of one path.
#[derive(Debug, Clone)]
pub(super) struct Path<A: Address> {
    target: Key,
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
    pub(super) fn new(target: Key, requests_left: usize) -> Self {
        Self { target, shortlist: Vec::new(), requests_left, waiting: 0, arrived: false }
    }

    /// Where a contact is to be taken up, unless its id is known here or `limit` closer ones are.
    pub(super) fn place_for(&self, id: &NodeId, limit: usize) -> Option<usize> {
        self.place(id).err().filter(|place| *place < limit)
    }

    /// Takes up a contact at the place that [`place_for`](Self::place_for) told.
    pub(super) fn take_up(
        &mut self,
        place: usize,
        contact: Contact<A>,
        told_by: Option<u32>,
        hop: Option<u32>,
        limit: usize,
    ) {
        let nearness = self.nearness(&contact.id);
        self.shortlist.truncate(limit - 1);
        self.shortlist.insert(place, Candidate { nearness, contact: A::pack(contact), told_by, hop });
    }

    fn nearness(&self, id: &NodeId) -> u64 {
        id.distance(&self.target).first_word()
    }

    /// Where a node stands, or belongs: distances to one target are equal only for equal ids.
    fn place(&self, id: &NodeId) -> Result<usize, usize> {
        let wanted = self.nearness(id);
        self.shortlist.binary_search_by(|known| {
            let whole = || A::packed_id(&known.contact).distance(&self.target);
            known.nearness.cmp(&wanted).then_with(|| whole().cmp(&id.distance(&self.target)))
        })
    }

    pub(super) fn candidate_mut(&mut self, id: &NodeId) -> Option<&mut Candidate<A>> {
        let place = self.place(id).ok()?;
        self.shortlist.get_mut(place)
    }

    pub(super) fn forget_failed(&mut self, id: &NodeId, hop: u32) {
        if let Ok(place) = self.place(id)
            && self.shortlist[place].hop == Some(hop)
        {
            self.shortlist.remove(place);
        }
    }

    /// The ids of all candidates, closest first.
    pub(super) fn ids(&self) -> impl Iterator<Item = NodeId> {
        self.shortlist.iter().map(|candidate| A::packed_id(&candidate.contact))
    }

    /// The id of the closest candidate.
    pub(super) fn closest(&self) -> Option<NodeId> {
        self.shortlist.first().map(|candidate| A::packed_id(&candidate.contact))
    }

    /// The candidates that were not asked, closest first.
    pub(super) fn unasked_all(&self) -> impl Iterator<Item = Contact<A>> {
        self.shortlist.iter().filter(|candidate| candidate.hop.is_none()).map(Candidate::contact)
    }

    /// The `want` closest candidates that are neither failed nor slow: those this path has to hear.
    fn front<'a>(&'a self, trace: &'a [Hop<A>], want: usize) -> impl Iterator<Item = &'a Candidate<A>> {
        let slow = |hop: u32| trace[hop as usize].outcome == HopOutcome::Slow;
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
            Some(hop) => trace[hop as usize].is_answered(),
            None => self.requests_left == 0,
        })
    }
}
