//! Contacts that somebody told of, until they are probed.

use std::collections::VecDeque;

use rustc_hash::FxHashSet;

use crate::{Address, Contact, NodeId};

/// Contacts that wait at most; of more than that others will tell again.
const WAITING_MAX: usize = 1024;

/// Contacts to be probed, each once, in the order in which they were told of.
#[derive(Debug)]
pub(super) struct Hearsay<A> {
    waiting: VecDeque<Contact<A>>,
    /// Invariant: the ids of all that wait, for a node that joins hears of each of hundreds again and again.
    ids: FxHashSet<NodeId>,
}

impl<A> Default for Hearsay<A> {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), ids: FxHashSet::default() }
    }
}

impl<A: Address> Hearsay<A> {
    /// Takes in a contact, unless it waits already or too many do.
    pub(super) fn push(&mut self, contact: Contact<A>) {
        if self.waiting.len() < WAITING_MAX && self.ids.insert(contact.id) {
            self.waiting.push_back(contact);
        }
    }

    /// The one that has waited longest.
    pub(super) fn pop(&mut self) -> Option<Contact<A>> {
        let contact = self.waiting.pop_front()?;
        self.ids.remove(&contact.id);
        Some(contact)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Gives back the memory of busier times.
    pub(super) fn shrink(&mut self) {
        self.waiting.shrink_to_fit();
        self.ids.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    fn contact(n: usize) -> Contact<SocketAddr> {
        Contact { id: NodeId::of_public_key(&n.to_be_bytes()), address: SocketAddr::FIRST }
    }

    #[test]
    fn each_waits_once_in_order_and_may_come_again() {
        let mut hearsay = Hearsay::default();
        [1, 2, 1, 3, 2].into_iter().for_each(|n| hearsay.push(contact(n)));
        assert_eq!(hearsay.pop(), Some(contact(1)));
        hearsay.push(contact(1));
        let rest: Vec<_> = std::iter::from_fn(|| hearsay.pop()).collect();
        assert_eq!(rest, [2, 3, 1].map(contact));
        assert!(hearsay.is_empty() && hearsay.ids.is_empty());
    }

    #[test]
    fn memory_is_bounded() {
        let mut hearsay = Hearsay::default();
        (0..2 * WAITING_MAX).for_each(|n| hearsay.push(contact(n)));
        assert_eq!((hearsay.waiting.len(), hearsay.ids.len()), (WAITING_MAX, WAITING_MAX));
    }
}
