//! A walk over all names of the swarm, region by region in key order.
//!
//! A region is the largest subtree around the cursor of which the `replication` nodes closest to the cursor are
//! known to include every node: whatever lies in it is held by those nodes, so a read quorum of them tells all.

use std::collections::{BTreeMap, BTreeSet};

use super::env::Env;
use super::finder::Finder;
use super::requests::Owner;
use super::signal::{Signal, SignalKind};
use crate::operation::{Event, OperationId};
use crate::store::{RecordId, RecordStore};
use crate::wire::{Names, NamesPage, Request, Response};
use crate::{Consistency, Contact, Key, NodeId, Now};

/// Names asked of one node at a time.
const NAMES_PER_REQUEST: u32 = 512;

/// Where the walk stands.
enum Stage {
    /// Looking for the nodes of the region at the cursor.
    Finding(Finder),
    /// Asking them for their names after the cursor.
    Asking(Round),
    /// A page was told; the user has not asked for more.
    Paused,
}

/// One round of questions to the nodes of a region.
struct Round {
    last_key: Key,
    /// Nodes to turn to when one of those asked does not answer.
    spare: Vec<Contact>,
    waiting: BTreeSet<NodeId>,
    pages: Vec<NamesPage>,
}

/// A scan under way.
pub(super) struct Scan {
    id: OperationId,
    stage: Stage,
    /// Everything up to here was told; `None` before the first.
    cursor: Cursor,
    /// The region being asked, kept over its pages.
    region: Option<(Key, Vec<Contact>)>,
}

/// A position in (key, name) order.
#[derive(Debug, Clone)]
struct Cursor {
    key: Key,
    after: Option<RecordId>,
}

impl Scan {
    pub(super) fn new<S>(env: &mut Env<S>, now: Now, id: OperationId) -> Self {
        let finder = Finder::new(env, now, Key::MIN);
        let cursor = Cursor { key: Key::MIN, after: None };
        Self { id, stage: Stage::Finding(finder), cursor, region: None }
    }

    /// Goes on after a page; tells whether the scan has ended.
    pub(super) fn go_on<S: RecordStore>(&mut self, env: &mut Env<S>, now: Now) -> bool {
        if matches!(self.stage, Stage::Paused) {
            self.enter_region(env, now);
        }
        self.advance(env, now)
    }

    /// Takes in news; tells whether the scan has ended.
    pub(super) fn on_signal<S: RecordStore>(&mut self, env: &mut Env<S>, now: Now, signal: Signal) -> bool {
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
    pub(super) fn advance<S: RecordStore>(&mut self, env: &mut Env<S>, now: Now) -> bool {
        loop {
            match &mut self.stage {
                Stage::Finding(finder) => {
                    finder.advance(env, now, Owner::Operation(self.id));
                    if !finder.is_done() {
                        return false;
                    }
                    let closest = finder.closest();
                    self.region = Some((region_end(env, &self.cursor.key, &closest), closest));
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
    pub(super) fn expire<S>(&mut self, env: &mut Env<S>) {
        env.events.push_back(Event::Scanned { operation: self.id, names: Vec::new(), done: true });
    }

    /// Asks the nodes of the region for their names after the cursor, or finds the region first.
    fn enter_region<S: RecordStore>(&mut self, env: &mut Env<S>, now: Now) {
        let Some((last_key, contacts)) = self.region.clone() else {
            self.stage = Stage::Finding(Finder::new(env, now, self.cursor.key));
            return;
        };
        let mut round = Round { last_key, spare: contacts, waiting: BTreeSet::new(), pages: Vec::new() };
        let mut responsible = round.spare.len().min(env.config.replication);
        if !env.is_client() {
            // This node asks itself first: what it holds costs nothing.
            responsible = (responsible + 1).min(env.config.replication);
            let names = self.names(last_key);
            round.pages.push(env.names_here(now, &names));
        }
        let need = Consistency::Quorum.reads_needed(responsible).saturating_sub(round.pages.len());
        round.spare.reverse();
        let asked: Vec<_> = (0..need).map_while(|_| round.spare.pop()).collect();
        self.stage = Stage::Asking(round);
        for contact in asked {
            self.ask(env, now, contact);
        }
    }

    fn ask<S>(&mut self, env: &mut Env<S>, now: Now, to: Contact) {
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
    fn tell_page<S>(&mut self, env: &mut Env<S>) -> bool {
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

impl Round {
    /// Takes in an answer; tells whether the node failed.
    fn on_signal(&mut self, signal: &Signal) -> bool {
        if !self.waiting.contains(&signal.from.id) || matches!(signal.kind, SignalKind::Slow) {
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

/// The last key of the region around `cursor` that the closest nodes are known to cover.
fn region_end<S>(env: &Env<S>, cursor: &Key, closest: &[Contact]) -> Key {
    if closest.len() < env.config.replication {
        // Fewer nodes than replicas: every one of them holds everything.
        return Key::MAX;
    }
    let shared = |contact: &Contact| contact.id.key().common_prefix_bits(cursor);
    let farthest = closest.iter().take(env.config.replication).map(shared).min().unwrap_or(0);
    // Nodes that share one bit more than the farthest known one are all among the closest.
    cursor.subtree_last(farthest + 1)
}
