//! Coming to hold what belongs to a node that has just joined, before it has a say in reads.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::ranges::Prefix;
use crate::{Address, Contact, Instant, NodeId};

/// How long a node may take at most; then it speaks for what it has, and the rounds of repair do the rest.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long the records that were asked for may take before what came is compared with what should have.
const NEXT_LOOK: Duration = Duration::from_millis(100);

/// Ranges to compare with a holder, and when.
pub(super) type Look<A> = (Contact<A>, Vec<Prefix>, Instant);

/// The holders from which a node learns what belongs to it: as many as a read asks, so that one of them has whatever was
/// acknowledged before; one after the other, so that nothing comes twice.
#[derive(Debug)]
pub(super) struct Sync<A> {
    until: Instant,
    /// With whom it is being compared.
    current: Option<NodeId>,
    /// Those it has not come even with.
    waiting: BTreeMap<NodeId, (Contact<A>, Vec<Prefix>)>,
}

impl<A: Address> Sync<A> {
    pub(super) fn new(now: Instant, partners: BTreeMap<Contact<A>, Vec<Prefix>>) -> Self {
        let waiting = partners.into_iter().map(|(contact, ranges)| (contact.id, (contact, ranges)));
        Self { until: now + PATIENCE, current: None, waiting: waiting.collect() }
    }

    /// When there is something to do: now if a comparison is to be made or all are, else when to stop waiting.
    pub(super) fn next_timer(&self, now: Instant) -> Instant {
        if self.current.is_none() { now } else { self.until }
    }

    pub(super) fn is_done(&self, now: Instant) -> bool {
        self.waiting.is_empty() || now >= self.until
    }

    /// The next comparison to make, if none is under way.
    pub(super) fn next(&mut self, now: Instant) -> Option<Look<A>> {
        if self.current.is_some() {
            return None;
        }
        let (contact, ranges) = self.waiting.values().next()?;
        self.current = Some(contact.id);
        Some((*contact, ranges.clone(), now))
    }

    /// Takes note of the end of a comparison; tells what is to be compared again if something was lacking.
    pub(super) fn compared(&mut self, now: Instant, id: &NodeId, lacked: bool) -> Option<Look<A>> {
        if !lacked {
            self.let_go(id);
            return None;
        }
        let (contact, ranges) = self.waiting.get(id)?;
        Some((*contact, ranges.clone(), now + NEXT_LOOK))
    }

    /// Takes note that a holder has nothing more to tell, or cannot be compared with.
    pub(super) fn let_go(&mut self, id: &NodeId) {
        self.waiting.remove(id);
        if self.current == Some(*id) {
            self.current = None;
        }
    }
}
