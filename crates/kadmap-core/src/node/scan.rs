//! A walk over all names of the swarm, region by region in key order.
//!
//! A region is the largest subtree around the cursor all of whose keys have the same responsible nodes, so a read
//! quorum of these tells all its names.

use std::collections::{BTreeMap, BTreeSet};

use super::env::Env;
use super::finder::Finder;
use super::requests::Owner;
use super::signal::{Signal, SignalKind};
use crate::operation::{Event, OperationId};
use crate::store::{RecordId, RecordStore};
use crate::wire::{Names, NamesPage, Request, Response};
use crate::{Address, Consistency, Contact, Key, NodeId, Now};

/// Names asked of one node at a time.
const NAMES_PER_REQUEST: u32 = 512;

/// Where the walk stands.
enum Stage<A: Address> {
    /// Looking for the nodes of the region at the cursor.
    Finding(Box<Finder<A>>),
    /// Asking them for their names after the cursor.
    Asking(Round<A>),
    /// A page was told; the user has not asked for more.
    Paused,
}

/// One round of questions to the nodes of a region.
struct Round<A> {
    last_key: Key,
    /// Nodes to turn to when one of those asked does not answer.
    spare: Vec<Contact<A>>,
    waiting: BTreeSet<NodeId>,
    pages: Vec<NamesPage>,
}

/// A scan under way.
pub(super) struct Scan<A: Address> {
    id: OperationId,
    stage: Stage<A>,
    /// Everything up to here was told; `None` before the first.
    cursor: Cursor,
    /// The last key of the region being asked and its responsible nodes, kept over its pages.
    region: Option<(Key, Vec<Contact<A>>)>,
}

/// A position in (key, name) order.
#[derive(Debug, Clone)]
struct Cursor {
    key: Key,
    after: Option<RecordId>,
}

impl<A: Address> Scan<A> {
    pub(super) fn new<S>(env: &mut Env<S, A>, now: Now, id: OperationId) -> Self {
        let finder = Finder::new(env, now, Key::MIN);
        let cursor = Cursor { key: Key::MIN, after: None };
        Self { id, stage: Stage::Finding(Box::new(finder)), cursor, region: None }
    }

    /// Goes on after a page; tells whether the scan has ended.
    pub(super) fn go_on<S: RecordStore>(&mut self, env: &mut Env<S, A>, now: Now) -> bool {
        if matches!(self.stage, Stage::Paused) {
            self.enter_region(env, now);
        }
        self.advance(env, now)
    }

    /// Takes in news; tells whether the scan has ended.
    pub(super) fn on_signal<S: RecordStore>(
        &mut self,
        env: &mut Env<S, A>,
        now: Now,
        signal: Signal<A>,
    ) -> bool {
        match &mut self.stage {
            Stage::Finding(finder) => finder.on_signal(env, now, &signal),
            Stage::Asking(round) => {
                let failed = round.on_signal(&signal);
                if failed && let Some(next) = round.spare.pop() {
                    self.ask(env, now, next);
                }
            }
            Stage::Paused => {}
        }
        self.advance(env, now)
    }

    /// Does what can be done now; tells whether the scan has ended.
    pub(super) fn advance<S: RecordStore>(&mut self, env: &mut Env<S, A>, now: Now) -> bool {
        loop {
            match &mut self.stage {
                Stage::Finding(finder) => {
                    finder.advance(env, now, Owner::Operation(self.id));
                    if !finder.is_done() {
                        return false;
                    }
                    let mut closest = finder.candidates();
                    if !env.is_client() {
                        let own = env.own.distance(&self.cursor.key);
                        let place =
                            closest.partition_point(|contact| contact.id.distance(&self.cursor.key) < own);
                        closest.insert(place, env.own_contact());
                    }
                    self.region = Some(region(&self.cursor.key, closest, env.config.replication));
                    self.enter_region(env, now);
                }
                Stage::Asking(round) if round.waiting.is_empty() => {
                    if self.tell_page(env) {
                        return true;
                    }
                }
                Stage::Asking(_) | Stage::Paused => return false,
            }
        }
    }

    /// Ends the scan with what was told so far.
    pub(super) fn expire<S>(&mut self, env: &mut Env<S, A>) {
        env.events.push_back(Event::Scanned { operation: self.id, names: Vec::new(), done: true });
    }

    /// Asks the nodes of the region for their names after the cursor, or finds the region first.
    fn enter_region<S: RecordStore>(&mut self, env: &mut Env<S, A>, now: Now) {
        let Some((last_key, contacts)) = self.region.clone() else {
            self.stage = Stage::Finding(Box::new(Finder::new(env, now, self.cursor.key)));
            return;
        };
        let need = Consistency::Quorum.reads_needed(contacts.len());
        let mut round = Round { last_key, spare: contacts, waiting: BTreeSet::new(), pages: Vec::new() };
        if let Some(own) = round.spare.iter().position(|contact| contact.id == env.own) {
            // What this node holds itself costs nothing.
            round.spare.remove(own);
            if !env.is_syncing {
                let names = self.names(last_key);
                round.pages.push(env.names_here(now, &names));
            }
        }
        let need = need.saturating_sub(round.pages.len());
        round.spare.reverse();
        let asked: Vec<_> = (0..need).map_while(|_| round.spare.pop()).collect();
        self.stage = Stage::Asking(round);
        for contact in asked {
            self.ask(env, now, contact);
        }
    }

    fn ask<S>(&mut self, env: &mut Env<S, A>, now: Now, to: Contact<A>) {
        let Stage::Asking(round) = &mut self.stage else { return };
        round.waiting.insert(to.id);
        let names = self.names_of_stage();
        env.request(now, to, Request::Names(names), Owner::Operation(self.id));
    }

    fn names_of_stage(&self) -> Names {
        let last_key = match &self.stage {
            Stage::Asking(round) => round.last_key,
            _ => Key::MAX,
        };
        self.names(last_key)
    }

    fn names(&self, to: Key) -> Names {
        let after_name = self.cursor.after.as_ref().map(|id| id.name.clone());
        let from = self.cursor.after.as_ref().map_or(self.cursor.key, |id| id.key);
        Names { from, to, after_name, limit: NAMES_PER_REQUEST }
    }

    /// Tells the names that all answers agree to be complete up to, and moves the cursor there.
    /// Tells whether the scan has ended.
    fn tell_page<S>(&mut self, env: &mut Env<S, A>) -> bool {
        let Stage::Asking(round) = std::mem::replace(&mut self.stage, Stage::Paused) else { return false };
        let last_of = |page: &NamesPage| {
            page.last.as_ref().map(|entry| RecordId { key: entry.key, name: entry.name.clone() })
        };
        // A node that has more knows nothing yet of what follows its last entry.
        let complete_to = round.pages.iter().filter(|page| page.more).filter_map(last_of).min();
        let names: BTreeMap<RecordId, ()> = round
            .pages
            .into_iter()
            .flat_map(|page| page.entries)
            .map(|entry| (RecordId { key: entry.key, name: entry.name }, ()))
            .filter(|(id, ())| complete_to.as_ref().is_none_or(|to| id <= to))
            .collect();
        let done = match complete_to {
            Some(id) => {
                self.cursor = Cursor { key: id.key, after: Some(id) };
                false
            }
            None => {
                self.region = None;
                let next = round.last_key.successor();
                self.cursor = Cursor { key: next.unwrap_or(Key::MAX), after: None };
                next.is_none()
            }
        };
        let names = names.into_keys().collect();
        env.events.push_back(Event::Scanned { operation: self.id, names, done });
        done
    }
}

impl<A: Address> Round<A> {
    /// Takes in an answer; tells whether the node failed.
    fn on_signal(&mut self, signal: &Signal<A>) -> bool {
        if !self.waiting.contains(&signal.from.id) || !signal.kind.is_final() {
            return false;
        }
        self.waiting.remove(&signal.from.id);
        match &signal.kind {
            SignalKind::Answer { response: Response::Names(page), .. } => {
                self.pages.push(page.clone());
                false
            }
            _ => true,
        }
    }
}

/// The last key of the region around `cursor`, and its responsible nodes; `closest` are the nodes nearest to the
/// cursor, nearest first, of which one more than the responsible ones are needed.
///
/// Which of two nodes is closer to a key is decided by the key's bit at which their ids first differ. So all keys that
/// agree with the cursor up to where the first node left out differs from the responsible ones have the same
/// responsible nodes; and whoever is farther still differs from these earlier.
fn region<A: Address>(
    cursor: &Key,
    mut closest: Vec<Contact<A>>,
    replication: usize,
) -> (Key, Vec<Contact<A>>) {
    let Some(left_out) = closest.get(replication).map(|contact| contact.id.key()) else {
        return (Key::MAX, closest);
    };
    closest.truncate(replication);
    let shared = closest.iter().map(|contact| contact.id.key().common_prefix_bits(&left_out));
    let prefix_bits = shared.max().map_or(0, |bits| bits + 1);
    (cursor.subtree_last(prefix_bits), closest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn nearest(nodes: &[Contact], key: &Key) -> Vec<Contact> {
        let mut nodes = nodes.to_vec();
        nodes.sort_by_key(|contact| contact.id.distance(key));
        nodes
    }

    proptest! {
        #[test]
        fn all_keys_of_a_region_have_the_same_responsible_nodes(
            ids in prop::collection::btree_set(any::<u16>(), 1..40),
            cursor: u16,
            other: u16,
            replication in 1usize..8,
        ) {
            // Ids and keys that differ in their first two bytes, so that regions are met by chance.
            let place = |n: u16| {
                let mut bytes = [0; 32];
                bytes[..2].copy_from_slice(&n.to_be_bytes());
                bytes
            };
            let address = ([127, 0, 0, 1], 1).into();
            let nodes: Vec<_> =
                ids.into_iter().map(|n| Contact { id: NodeId::from_bytes(place(n)), address }).collect();
            let (cursor, other) = (Key::from_bytes(place(cursor)), Key::from_bytes(place(other)));
            let (last, responsible) = region(&cursor, nearest(&nodes, &cursor), replication);
            prop_assert!(last >= cursor);
            if (cursor..=last).contains(&other) {
                let mut expected = nearest(&nodes, &other);
                expected.truncate(replication);
                expected.sort_unstable();
                let mut responsible = responsible;
                responsible.sort_unstable();
                prop_assert_eq!(responsible, expected);
            }
        }
    }
}
