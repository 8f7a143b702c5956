//! The watcher's side of watching, for all watches together: which there are, when each has something to do, and
//! whether the replicas they rely on are still there.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use rustc_hash::FxHashMap;

use crate::operation::OperationId;
use crate::store::RecordId;
use crate::wire::Changed;
use crate::{Instant, NodeId};

/// How often each peer that is relied on is asked for a sign of life: one request for all watches together. Shorter
/// than the silence after which a connection is forgotten, so that clients stay connected.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);
/// Watches that do something because of the same peer in one go; the others follow after [`ERRAND_PAUSE`], so that
/// 10,000 watches of a peer that restarted come at 12,800 a second.
const ERRANDS_PER_TURN: usize = 128;
/// Nodes that came lately which watches compare; of more at once, the next renewal takes note.
const NEWCOMERS_MAX: usize = 64;
/// How long newcomers are gathered before watches look at them.
const NEWCOMERS_WAIT: Duration = Duration::from_secs(2);
/// The pause between two such goes.
const ERRAND_PAUSE: Duration = Duration::from_millis(10);

/// What a watch is to do because of a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Errand {
    /// Ask it whether it still knows of the watch.
    Ask(NodeId),
    /// The same, on behalf of all watches.
    Check(NodeId),
    /// Find another one in its place: it is gone.
    Replace(NodeId),
    /// See whether one of the newcomers is closer.
    Newcomers,
    /// End: nobody listens any more.
    End,
}

/// A peer that some watch relies on.
#[derive(Debug)]
struct Relied {
    watches: Vec<OperationId>,
    /// Which of them asks next.
    turn: usize,
    check_at: Instant,
}

/// All watches of a node.
#[derive(Debug, Default)]
pub(super) struct Watches {
    by_record: FxHashMap<RecordId, Vec<OperationId>>,
    timers: BTreeSet<(Instant, OperationId)>,
    peers: FxHashMap<NodeId, Relied>,
    /// Invariant: one entry for each peer.
    checks: BTreeSet<(Instant, NodeId)>,
    errands: VecDeque<(OperationId, Errand)>,
    errands_at: Instant,
    /// Nodes that came lately.
    pub(super) newcomers: Vec<NodeId>,
    /// When watches are to look at them.
    newcomers_at: Option<Instant>,
    /// Changes that were told to this node and not yet to its watches.
    heard: VecDeque<(NodeId, Changed)>,
    last_number: u64,
    count: usize,
}

impl Watches {
    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn insert(&mut self, record: RecordId, id: OperationId) {
        self.by_record.entry(record).or_insert_with(|| Vec::with_capacity(1)).push(id);
        self.count += 1;
    }

    pub(super) fn remove(&mut self, record: &RecordId, id: OperationId) {
        if let Some(ids) = self.by_record.get_mut(record) {
            let before = ids.len();
            ids.retain(|other| *other != id);
            self.count -= before - ids.len();
            if ids.is_empty() {
                self.by_record.remove(record);
            }
        }
    }

    /// The watches of a record.
    pub(super) fn of(&self, record: &RecordId) -> Vec<OperationId> {
        self.by_record.get(record).cloned().unwrap_or_default()
    }

    /// Whether a record is watched here.
    pub(super) fn has(&self, record: &RecordId) -> bool {
        !self.by_record.is_empty() && self.by_record.contains_key(record)
    }

    /// The number for the next request to a replica.
    pub(super) fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    /// Queues what a replica told.
    pub(super) fn hear(&mut self, from: NodeId, changed: Changed) {
        self.heard.push_back((from, changed));
    }

    pub(super) fn next_heard(&mut self) -> Option<(NodeId, Changed)> {
        self.heard.pop_front()
    }

    /// Moves the timer of a watch.
    pub(super) fn set_timer(&mut self, id: OperationId, old: Option<Instant>, new: Option<Instant>) {
        if old != new {
            old.map(|at| self.timers.remove(&(at, id)));
            new.map(|at| self.timers.insert((at, id)));
        }
    }

    /// A watch whose time has come; its timer is gone.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<OperationId> {
        let &(at, id) = self.timers.first()?;
        (at <= now).then(|| {
            self.timers.pop_first();
            id
        })
    }

    /// Takes note that a watch relies on a peer.
    pub(super) fn rely(&mut self, now: Instant, peer: NodeId, id: OperationId) {
        let check_at = now + CHECK_INTERVAL;
        let relied = self.peers.entry(peer).or_insert_with(|| {
            self.checks.insert((check_at, peer));
            Relied { watches: Vec::new(), turn: 0, check_at }
        });
        relied.watches.push(id);
    }

    /// Takes note that a watch relies on a peer no more; costs the watches that do.
    pub(super) fn rely_no_more(&mut self, peer: &NodeId, id: OperationId) {
        let Some(relied) = self.peers.get_mut(peer) else { return };
        if let Some(place) = relied.watches.iter().position(|other| *other == id) {
            relied.watches.swap_remove(place);
        }
        if relied.watches.is_empty() {
            self.checks.remove(&(relied.check_at, *peer));
            self.peers.remove(peer);
        }
    }

    /// Sends all watches that rely on a peer on an errand because of it.
    pub(super) fn send_all(&mut self, peer: &NodeId, errand: Errand) {
        if let Some(relied) = self.peers.get(peer) {
            self.errands.extend(relied.watches.iter().map(|id| (*id, errand)));
        }
    }

    /// Sends all watches that rely on a peer to find another: it is gone.
    pub(super) fn abandon(&mut self, peer: &NodeId) {
        if let Some(relied) = self.peers.remove(peer) {
            self.checks.remove(&(relied.check_at, *peer));
            self.errands.extend(relied.watches.iter().map(|id| (*id, Errand::Replace(*peer))));
        }
    }

    /// Ends a watch with the next turn.
    pub(super) fn end(&mut self, id: OperationId) {
        self.errands.push_front((id, Errand::End));
    }

    /// Takes note of a node that has come; every watch will see whether it is closer.
    pub(super) fn newcomer(&mut self, now: Instant, id: NodeId) {
        if self.by_record.is_empty() {
            return;
        }
        if self.newcomers_at.is_none() {
            self.newcomers.clear();
            self.newcomers_at = Some(now + NEWCOMERS_WAIT);
        }
        if self.newcomers.len() < NEWCOMERS_MAX {
            self.newcomers.push(id);
        }
    }

    /// What is to be done now because of peers.
    pub(super) fn due_errands(&mut self, now: Instant) -> Vec<(OperationId, Errand)> {
        while let Some(&(at, peer)) = self.checks.first()
            && at <= now
        {
            self.checks.pop_first();
            let check_at = now + CHECK_INTERVAL;
            self.checks.insert((check_at, peer));
            if let Some(relied) = self.peers.get_mut(&peer) {
                relied.check_at = check_at;
                relied.turn = (relied.turn + 1) % relied.watches.len().max(1);
                let id = relied.watches.get(relied.turn).copied();
                self.errands.extend(id.map(|id| (id, Errand::Check(peer))));
            }
        }
        if self.newcomers_at.is_some_and(|at| at <= now) && self.errands.is_empty() {
            self.newcomers_at = None;
            // In the order of the records, which is the same whatever the hash function.
            let mut all: Vec<_> = self.by_record.values().flatten().copied().collect();
            all.sort_unstable();
            self.errands.extend(all.into_iter().map(|id| (id, Errand::Newcomers)));
        }
        if self.errands.is_empty() || now < self.errands_at {
            return Vec::new();
        }
        self.errands_at = now + ERRAND_PAUSE;
        let count = self.errands.len().min(ERRANDS_PER_TURN);
        let due = self.errands.drain(..count).collect();
        if self.errands.is_empty() {
            self.errands = VecDeque::new();
        }
        due
    }

    /// When there is something to do next.
    pub(super) fn next_timer(&self, now: Instant) -> Option<Instant> {
        let timer = self.timers.first().map(|&(at, _)| at);
        let check = self.checks.first().map(|&(at, _)| at);
        let errand = (!self.errands.is_empty()).then_some(self.errands_at);
        let heard = (!self.heard.is_empty()).then_some(now);
        // Newcomers wait for the errands before them.
        let newcomers = self.newcomers_at.filter(|_| self.errands.is_empty());
        [timer, check, errand, heard, newcomers].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_micros(ms * 1_000)
    }

    #[test]
    fn a_peer_is_asked_once_in_a_while_however_many_watches_rely_on_it() {
        let (mut watches, peer) = (Watches::default(), NodeId::of_public_key(b"peer"));
        (0..100).for_each(|n| watches.rely(at(0), peer, OperationId(n)));
        assert_eq!(watches.next_timer(at(0)), Some(at(5_000)));
        let first = watches.due_errands(at(5_000));
        let second = watches.due_errands(at(10_000));
        assert!(matches!(first[..], [(_, Errand::Check(asked))] if asked == peer));
        assert_ne!(first, second, "the watches take turns");
        (0..100).for_each(|n| watches.rely_no_more(&peer, OperationId(n)));
        assert_eq!(watches.next_timer(at(10_000)), None);
    }

    #[test]
    fn errands_of_many_watches_are_spread_out() {
        let (mut watches, peer) = (Watches::default(), NodeId::of_public_key(b"peer"));
        (0..200).for_each(|n| watches.rely(at(0), peer, OperationId(n)));
        watches.abandon(&peer);
        assert_eq!(watches.due_errands(at(1)).len(), ERRANDS_PER_TURN);
        assert!(watches.due_errands(at(2)).is_empty());
        assert_eq!(watches.due_errands(at(11)).len(), 200 - ERRANDS_PER_TURN);
    }
}
