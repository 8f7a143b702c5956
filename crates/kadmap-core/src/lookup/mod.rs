//! The lookup: finding the nodes closest to a place by asking ever closer ones.
//!
//! The iterative lookup of the Kademlia paper (section 2.3) over disjoint paths (S/Kademlia, section 4.4), as
//! a state machine without sockets, clock or randomness.
//!
//! Differs from the papers:
//! - Each path keeps a shortlist of its own, and an answer feeds only the path that asked. So one liar misleads
//!   one path, and the result is the union of all (S/Kademlia lets a path die at its first liar).
//! - A node asked by one path counts as asked in all, with its outcome; that is what makes paths disjoint.
//! - A slow node is passed over instead of awaited (hedged), and welcome when it answers after all.
//! - A node named with two addresses is two candidates until one of them answers: otherwise a liar could name
//!   honest nodes with dead addresses and so take them away from the other paths.

mod config;
mod hop;
mod path;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use self::path::Path;
use crate::{Address, Contact, Key, NodeId};

pub use config::LookupConfig;
pub use hop::{Hop, HopOutcome};

/// Slow nodes from which it no longer asks only those that have to answer.
const SLOW_MANY: usize = 2;

/// A search for the nodes closest to a place, driven by its caller.
///
/// **After [`new`](Self::new) and after every input, call [`next`](Self::next) until it gives `None`, and
/// send each contact a request for the nodes it knows closest to the target.**
/// Inputs are [`answered`](Self::answered), [`failed`](Self::failed) and [`slow`](Self::slow); they name the
/// contact as `next` gave it. Every contact given must in the end be answered or failed, unless the lookup
/// [is done](Self::is_done) before.
///
/// It is done when in every path the `want` closest candidates that are neither failed nor slow have answered (fewer
/// if [told so](Self::settle_for)), and at least `answers_min` nodes have answered or nobody is slow. It sends at most
/// [`LookupConfig::requests_max`] requests and asks nobody twice at the same address.
///
/// ```
/// use kadmap_core::{Contact, Key, Lookup, LookupConfig, NodeId};
/// use std::net::SocketAddr;
/// use std::time::Duration;
/// let address: SocketAddr = "127.0.0.1:8339".parse().unwrap();
/// let peer = |name: &[u8]| Contact { id: NodeId::of_public_key(name), address };
/// let own = NodeId::of_public_key(b"own");
/// let mut lookup = Lookup::new(Key::of_name(b"colour"), own, vec![peer(b"a")], LookupConfig::default());
/// assert_eq!(lookup.next(), Some(peer(b"a")));
/// lookup.answered(&peer(b"a"), vec![peer(b"b")], Duration::from_millis(1));
/// assert_eq!(lookup.next(), Some(peer(b"b")));
/// lookup.failed(&peer(b"b"));
/// assert!(lookup.is_done());
/// assert_eq!(lookup.closest(), [peer(b"a")]);
/// ```
#[derive(Debug, Clone)]
pub struct Lookup<A: Address = SocketAddr> {
    target: Key,
    own: NodeId,
    config: LookupConfig,
    /// The result when the seeds are known to be complete; empty otherwise.
    seeds: Vec<Contact<A>>,
    paths: Vec<Path<A>>,
    trace: Vec<Hop<A>>,
    /// Where in the trace each contact was asked.
    asked: BTreeMap<Contact<A>, usize>,
    answers: usize,
    /// How many of the closest have to answer.
    front: usize,
    /// How many of the closest are asked.
    reach: usize,
    done: bool,
}

impl<A: Address> Lookup<A> {
    /// A lookup of the nodes closest to `target`, on behalf of the node `own`, which begins at `seeds`.
    ///
    /// Without seeds, or with seeds known to be complete, it is done at once.
    pub fn new(target: Key, own: NodeId, seeds: Vec<Contact<A>>, config: LookupConfig) -> Self {
        let seeds = sorted_seeds(seeds, own, &target);
        let front = config.want.max(1);
        let mut lookup = Self {
            target,
            own,
            config,
            seeds: Vec::new(),
            paths: Vec::new(),
            trace: Vec::new(),
            asked: BTreeMap::new(),
            answers: 0,
            front,
            reach: front,
            done: false,
        };
        if lookup.config.seeds_known_complete {
            lookup.seeds = seeds;
            lookup.seeds.truncate(lookup.want());
            lookup.done = true;
        } else {
            lookup.deal(&seeds);
            lookup.settle();
        }
        lookup
    }

    /// Deals the seeds round by round, closest first, so that every path gets near and far ones.
    fn deal(&mut self, seeds: &[Contact<A>]) {
        let paths = self.config.disjoint_paths.clamp(1, seeds.len().max(1));
        self.paths = vec![Path::new(self.target, self.config.requests_per_path_max()); paths];
        let limit = self.config.shortlist_max();
        for (turn, seed) in seeds.iter().enumerate() {
            let path = &mut self.paths[turn % paths];
            if let Some(place) = path.place_for(&seed.id, limit) {
                path.take_up(place, *seed, None, None, limit);
            }
        }
    }

    fn want(&self) -> usize {
        self.config.want.max(1)
    }

    /// Has it end as soon as the `count` closest have answered, rather than the `want` closest; to be called before
    /// anybody is asked. [`go_on`](Self::go_on) takes up the rest.
    ///
    /// No others are asked, unless two of them are slow: then many may be, and passing over one after the other would
    /// take long.
    pub fn settle_for(&mut self, count: usize) {
        self.front = count.clamp(1, self.want());
        self.reach = self.front;
    }

    /// Goes on to the `want` closest.
    pub fn go_on(&mut self) {
        self.front = self.want();
        self.reach = self.front;
        self.done = false;
        self.settle();
    }

    /// The next contact to ask, or `None` until there is another input.
    // Not an iterator: it goes on after `None`.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Option<Contact<A>> {
        if self.done {
            return None;
        }
        let path = self.path_to_ask()?;
        let candidate = self.paths[path].unasked(&self.trace, self.reach)?;
        let contact = candidate.contact();
        let teller = candidate.told_by.map(|hop| &self.trace[hop as usize]);
        let (depth, told_by) = (teller.map_or(1, |hop| hop.depth + 1), teller.map(|hop| hop.contact.id));
        let hop = self.trace.len();
        self.trace.push(Hop { contact, path, depth, told_by, outcome: HopOutcome::Waiting });
        self.asked.insert(contact, hop);
        self.paths[path].requests_left -= 1;
        self.paths[path].waiting += 1;
        for path in &mut self.paths {
            if let Some(known) = path.candidate_mut(&contact.id).filter(|known| known.contact() == contact) {
                known.hop = Some(hop as u32);
            }
        }
        Some(contact)
    }

    /// The path with the fewest requests under way among those that have a free slot and somebody to ask.
    fn path_to_ask(&self) -> Option<usize> {
        let waiting: usize = self.paths.iter().map(|path| path.waiting).sum();
        let slots = self.config.parallelism.max(self.paths.len());
        let free = |path: &Path<A>| {
            waiting < slots || path.arrived && path.waiting < self.config.parallelism_arrived
        };
        let able = self
            .paths
            .iter()
            .enumerate()
            .filter(|(_, path)| free(path) && path.unasked(&self.trace, self.reach).is_some());
        able.min_by_key(|(_, path)| path.waiting).map(|(index, _)| index)
    }

    /// The `count` closest of whom the path has heard that asks a contact: whoever is asked need not name them.
    ///
    /// Not those of which other paths have heard: one of them may have been misled, and never ask them.
    pub fn heard_by_path_of(&self, contact: &Contact<A>, count: usize) -> impl Iterator<Item = NodeId> {
        let path = self.asked.get(contact).map(|&hop| &self.paths[self.trace[hop].path]);
        path.into_iter().flat_map(Path::ids).take(count)
    }

    /// Takes in the answer of a node: the contacts it knows closest to the target, and the time it took.
    ///
    /// Considers the first `2 * want` contacts and of these not ourselves, nobody twice, and no port 0. An
    /// answer after [`slow`](Self::slow) or [`failed`](Self::failed) counts; one from a contact that was not
    /// asked, or a second one, does not. After the end the node still counts as responsive, but the lookup
    /// does not go on.
    pub fn answered(&mut self, contact: &Contact<A>, contacts: Vec<Contact<A>>, round_trip: Duration) {
        let Some(hop) = self.asked.get(contact).copied().filter(|&hop| !self.trace[hop].is_answered()) else {
            return;
        };
        self.free_slot(hop);
        self.answers += 1;
        let heard = contacts.len();
        // Set before the contacts are heard, as the node may name itself.
        self.trace[hop].outcome = HopOutcome::Answered { contacts: heard, new: 0, round_trip };
        for path in &mut self.paths {
            if let Some(known) = path.candidate_mut(&contact.id) {
                known.hop = Some(hop as u32);
            }
        }
        if !self.done {
            let new = self.hear(hop, contacts);
            self.trace[hop].outcome = HopOutcome::Answered { contacts: heard, new, round_trip };
            self.settle();
        }
    }

    fn hear(&mut self, hop: usize, contacts: Vec<Contact<A>>) -> usize {
        let path = self.trace[hop].path;
        let limit = self.config.shortlist_max();
        let closest_before = self.paths[path].closest();
        let mut new = 0;
        for contact in contacts.into_iter().take(self.config.heard_max()) {
            if contact.id == self.own || !contact.address.is_dialable() {
                continue;
            }
            // Most contacts are told several times: those that change nothing are looked at no further.
            let Some(place) = self.paths[path].place_for(&contact.id, limit) else { continue };
            let decided = self.deciding_hop(&contact);
            if decided.is_some_and(|hop| self.trace[hop].outcome == HopOutcome::Failed) {
                continue;
            }
            let decided = decided.map(|hop| hop as u32);
            self.paths[path].take_up(place, contact, Some(hop as u32), decided, limit);
            new += 1;
        }
        self.paths[path].arrived = self.paths[path].closest() == closest_before;
        new
    }

    /// The request that decides about a contact: one that its id answered, or one to this very address.
    fn deciding_hop(&self, contact: &Contact<A>) -> Option<usize> {
        let first = Contact { id: contact.id, address: A::FIRST };
        let mut same_id = self.asked.range(first..).take_while(|(asked, _)| asked.id == contact.id);
        let answered = same_id.find(|&(_, &hop)| self.trace[hop].is_answered()).map(|(_, &hop)| hop);
        answered.or_else(|| self.asked.get(contact).copied())
    }

    /// Takes note that a node will not answer.
    pub fn failed(&mut self, contact: &Contact<A>) {
        let Some(hop) = self.pending(contact) else {
            return;
        };
        self.free_slot(hop);
        self.trace[hop].outcome = HopOutcome::Failed;
        for path in &mut self.paths {
            path.forget_failed(&contact.id, hop as u32);
        }
        self.settle();
    }

    /// Takes note that a node has not answered for so long that somebody else should be asked as well.
    ///
    /// The request stays under way, but no longer takes a slot nor holds up the end.
    pub fn slow(&mut self, contact: &Contact<A>) {
        if let Some(hop) = self.pending(contact) {
            self.free_slot(hop);
            self.trace[hop].outcome = HopOutcome::Slow;
            if self.slow_now() >= SLOW_MANY {
                self.reach = self.want();
            }
            self.settle();
        }
    }

    fn slow_now(&self) -> usize {
        self.trace.iter().filter(|hop| hop.outcome == HopOutcome::Slow).count()
    }

    /// The request to a contact, if it is still under way.
    fn pending(&self, contact: &Contact<A>) -> Option<usize> {
        let under_way = |outcome| matches!(outcome, HopOutcome::Waiting | HopOutcome::Slow);
        self.asked.get(contact).copied().filter(|&hop| under_way(self.trace[hop].outcome))
    }

    fn free_slot(&mut self, hop: usize) {
        let Hop { path, outcome, .. } = self.trace[hop];
        self.paths[path].waiting -= usize::from(outcome == HopOutcome::Waiting);
    }

    /// Finds out whether the lookup has come to its end, which is for good.
    fn settle(&mut self) {
        self.done |= self.has_heard(self.front) && !self.awaits_slow();
    }

    /// Whether in every path the `count` closest have answered.
    fn has_heard(&self, count: usize) -> bool {
        self.paths.iter().all(|path| path.is_done(&self.trace, count))
    }

    /// Whether it ended with the `want` closest, as far as there are so many.
    pub fn is_complete(&self) -> bool {
        self.done && (self.config.seeds_known_complete || self.has_heard(self.want()))
    }

    fn awaits_slow(&self) -> bool {
        let few = self.answers < self.config.answers_min.min(self.front);
        few && self.trace.iter().any(|hop| hop.outcome == HopOutcome::Slow)
    }

    /// Whether the result is there and nobody more will be asked.
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// The closest nodes that answered, at most `want`, closest first; before the end, those so far.
    ///
    /// When the seeds were known to be complete: the closest seeds, without their having been asked.
    /// Cost: sorts the answers.
    pub fn closest(&self) -> Vec<Contact<A>> {
        if self.config.seeds_known_complete {
            return self.seeds.clone();
        }
        let answered = self.trace.iter().filter(|hop| hop.is_answered());
        let mut closest: Vec<Contact<A>> = answered.map(|hop| hop.contact).collect();
        closest.sort_by_cached_key(|contact| contact.id.distance(&self.target));
        closest.dedup_by_key(|contact| contact.id);
        closest.truncate(self.want());
        closest
    }

    /// The closest nodes that answered, at most `want`, and those among them in distance that were asked and may still
    /// answer: who is merely slow still holds what belongs to it. Closest first.
    ///
    /// Cost: sorts the requests.
    pub fn closest_asked(&self) -> Vec<Contact<A>> {
        if self.config.seeds_known_complete {
            return self.seeds.clone();
        }
        let asked = self.trace.iter().filter(|hop| hop.outcome != HopOutcome::Failed);
        let mut asked: Vec<_> = asked.map(|hop| (hop.contact, hop.is_answered())).collect();
        asked.sort_by_cached_key(|(contact, answered)| (contact.id.distance(&self.target), !answered));
        asked.dedup_by_key(|(contact, _)| contact.id);
        let mut wanted = self.want();
        let is_near = |&(contact, answered): &(Contact<A>, bool)| {
            let is_wanted = wanted > 0;
            wanted -= usize::from(is_wanted && answered);
            is_wanted.then_some(contact)
        };
        asked.iter().map_while(is_near).collect()
    }

    /// The nodes heard of, asked or not, but for those that did not answer. Closest first.
    ///
    /// Cost: sorts the candidates of all paths.
    pub fn closest_heard(&self) -> Vec<Contact<A>> {
        let asked = self.trace.iter().filter(|hop| hop.outcome != HopOutcome::Failed);
        let asked = asked.map(|hop| (hop.contact, !hop.is_answered()));
        let unasked = self.paths.iter().flat_map(|path| path.unasked_all());
        let mut heard: Vec<_> = asked.chain(unasked.map(|contact| (contact, true))).collect();
        heard.sort_by_cached_key(|(contact, unanswered)| (contact.id.distance(&self.target), *unanswered));
        heard.dedup_by_key(|(contact, _)| contact.id);
        heard.into_iter().map(|(contact, _)| contact).collect()
    }

    /// Every request so far, in the order in which they were sent.
    pub fn trace(&self) -> &[Hop<A>] {
        &self.trace
    }

    /// The place that the lookup aims at.
    pub fn target(&self) -> Key {
        self.target
    }
}

/// The usable seeds, closest first. Seeds from a routing table come sorted, which makes this one pass.
fn sorted_seeds<A: Address>(mut seeds: Vec<Contact<A>>, own: NodeId, target: &Key) -> Vec<Contact<A>> {
    seeds.retain(|seed| seed.id != own && seed.address.is_dialable());
    if !seeds.is_sorted_by(|a, b| a.id.distance(target) < b.id.distance(target)) {
        seeds.sort_by_cached_key(|seed| seed.id.distance(target));
        let mut seen = BTreeSet::new();
        seeds.retain(|seed| seen.insert(seed.id));
    }
    seeds
}
