//! A swarm as numbers: who exists, who knows whom, who is dead, slow or lying.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use crate::lookup::{HopOutcome, Lookup, LookupConfig};
use crate::{Contact, ID_BYTES, Key, NodeId};

/// Contacts per bucket and per answer.
pub(super) const BUCKET_SIZE: usize = 20;
const ROUND_TRIP: Duration = Duration::from_millis(1);

/// How a node of the network behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    Honest,
    /// The request fails.
    Dead,
    /// The request never ends.
    Frozen,
    /// Names the colluders closest to the target.
    Liar,
}

pub(super) struct Network {
    seed: u64,
    /// In order of id.
    nodes: Vec<Contact>,
    manners: Vec<Manner>,
    /// Contacts that an honest node names; as many as are wanted unless a test says otherwise.
    pub(super) answer_size: usize,
    /// Contacts with which a lookup begins.
    pub(super) seeds: usize,
    /// Made when first needed; a function of the seed and the node.
    tables: RefCell<BTreeMap<usize, Vec<usize>>>,
}

/// What one lookup came to.
pub(super) struct Outcome {
    pub(super) lookup: Lookup,
    /// Times that requests were sent and answered together.
    pub(super) rounds: usize,
    /// Times that only slow nodes were left to wait for.
    pub(super) timeouts: usize,
}

pub(super) fn random_key(rng: &mut ChaCha8Rng) -> Key {
    let mut bytes = [0; ID_BYTES];
    rng.fill_bytes(&mut bytes);
    Key::from_bytes(bytes)
}

pub(super) fn below(rng: &mut ChaCha8Rng, bound: usize) -> usize {
    usize::try_from(rng.next_u64() % bound as u64).unwrap()
}

impl Network {
    /// `size` nodes, of which `share` percent behave in `manner` and the rest are honest.
    pub(super) fn new(seed: u64, size: usize, share: usize, manner: Manner) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut ids: Vec<Key> = (0..size).map(|_| random_key(&mut rng)).collect();
        ids.sort();
        let contact = |(index, id): (usize, &Key)| Contact {
            id: NodeId::from_bytes(*id.as_bytes()),
            address: ([10, 0, (index >> 8) as u8, index as u8], 8339).into(),
        };
        let nodes = ids.iter().enumerate().map(contact).collect();
        let mut pick = |_| if below(&mut rng, 100) < share { manner } else { Manner::Honest };
        let manners = (0..size).map(&mut pick).collect();
        Self {
            seed,
            nodes,
            manners,
            answer_size: BUCKET_SIZE,
            seeds: BUCKET_SIZE,
            tables: RefCell::default(),
        }
    }

    fn index(&self, id: &NodeId) -> usize {
        self.nodes.binary_search_by(|node| node.id.cmp(id)).unwrap()
    }

    pub(super) fn manner(&self, id: &NodeId) -> Manner {
        self.manners[self.index(id)]
    }

    pub(super) fn random_honest(&self, rng: &mut ChaCha8Rng) -> NodeId {
        loop {
            let index = below(rng, self.nodes.len());
            if self.manners[index] == Manner::Honest {
                return self.nodes[index].id;
            }
        }
    }

    /// The nodes closest to `target` among those of which `filter` likes id and manner, by brute force.
    pub(super) fn closest(
        &self,
        target: &Key,
        count: usize,
        filter: impl Fn(&NodeId, Manner) -> bool,
    ) -> Vec<Contact> {
        let nodes = self.nodes.iter().zip(&self.manners);
        let liked = nodes.filter(|&(node, &manner)| filter(&node.id, manner)).map(|(&node, _)| node);
        closest_of(liked, target, count)
    }

    /// Up to a bucketful of random nodes from every bucket.
    fn table(&self, node: usize) -> Vec<usize> {
        let own = self.nodes[node].id.key();
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed ^ (node as u64) << 32);
        let mut table = Vec::new();
        let place = |key: &Key| self.nodes.partition_point(|other| other.id.key() < *key);
        for depth in 0.. {
            let subtree = |prefix: &Key, bits| {
                let last = prefix.subtree_last(bits);
                place(&prefix.subtree_first(bits))..self.nodes.partition_point(|other| other.id.key() <= last)
            };
            if subtree(&own, depth).len() <= 1 {
                return table;
            }
            let bucket = subtree(&own.with_bit(depth, !own.bit(depth)), depth + 1);
            let mut chosen = BTreeSet::new();
            while chosen.len() < bucket.len().min(BUCKET_SIZE) {
                chosen.insert(bucket.start + below(&mut rng, bucket.len()));
            }
            table.extend(chosen);
        }
        table
    }

    /// What an honest node answers.
    pub(super) fn known_to(&self, id: &NodeId, target: &Key, count: usize) -> Vec<Contact> {
        let index = self.index(id);
        let mut tables = self.tables.borrow_mut();
        let table = tables.entry(index).or_insert_with(|| self.table(index));
        closest_of(table.iter().map(|&known| self.nodes[known]), target, count)
    }

    /// Runs a lookup by `own` in rounds: all requests of a round are answered before the next.
    pub(super) fn look_up(&self, own: NodeId, target: Key, config: &LookupConfig) -> Outcome {
        let lies = self.closest(&target, BUCKET_SIZE, |_, manner| manner == Manner::Liar);
        let seeds = self.known_to(&own, &target, self.seeds);
        let mut lookup = Lookup::new(target, own, seeds, config.clone());
        let (mut rounds, mut timeouts) = (0, 0);
        while !lookup.is_done() {
            let asked: Vec<Contact> = std::iter::from_fn(|| lookup.next()).collect();
            rounds += 1;
            if asked.is_empty() {
                timeouts += 1;
                self.time_out(&mut lookup);
            }
            for contact in &asked {
                match self.manner(&contact.id) {
                    Manner::Honest => {
                        lookup.answered(
                            contact,
                            self.known_to(&contact.id, &target, self.answer_size),
                            ROUND_TRIP,
                        );
                    }
                    Manner::Liar => lookup.answered(contact, lies.clone(), ROUND_TRIP),
                    Manner::Dead => lookup.failed(contact),
                    Manner::Frozen => lookup.slow(contact),
                }
            }
        }
        assert_eq!(lookup.next(), None);
        Outcome { lookup, rounds, timeouts }
    }
}

impl Network {
    fn time_out(&self, lookup: &mut Lookup) {
        let slow = lookup.trace().iter().filter(|hop| hop.outcome == HopOutcome::Slow);
        let slow: Vec<Contact> = slow.map(|hop| hop.contact).collect();
        assert!(!slow.is_empty(), "the lookup stalls");
        slow.iter().for_each(|contact| lookup.failed(contact));
    }
}

fn closest_of(nodes: impl Iterator<Item = Contact>, target: &Key, count: usize) -> Vec<Contact> {
    let start = |key: &Key| u128::from_be_bytes(std::array::from_fn(|byte| key.as_bytes()[byte]));
    let mut nodes: Vec<(u128, Contact)> =
        nodes.map(|node| (start(&node.id.key()) ^ start(target), node)).collect();
    if count < nodes.len() {
        nodes.select_nth_unstable_by_key(count, |(distance, _)| *distance);
        nodes.truncate(count);
    }
    nodes.sort_unstable_by_key(|(distance, _)| *distance);
    nodes.into_iter().map(|(_, node)| node).collect()
}
