//! What a node knows of the nodes it talks to: how fast they answer and whether they do.

use rustc_hash::FxHashMap;

use crate::rtt::{RoundTrip, TimeoutConfig};
use crate::{Instant, NodeId};
use std::time::Duration;

/// Nodes remembered at most; beyond it the ones that were silent longest ago are forgotten.
const PEERS_MAX: usize = 4096;
/// How many times the typical wait a node is given that was never measured: a handshake takes two round trips more.
const UNMEASURED_FACTOR: u32 = 4;
/// How long an answer stands before a contact is confirmed in the routing table again.
const CONFIRM_INTERVAL: Duration = Duration::from_secs(1);
/// Weight of one request in the share of lost ones: 1/64, so that some hundred requests tell.
const LOSS_SMOOTHING_SHIFT: u32 = 6;
/// The share of proven false alarms, as one in so many, from which a lost request says little about its node. Half
/// the nodes dead prove none; 10% of packets lost prove 19%.
const FALSE_ALARMS_MANY: u32 = 32;
/// One as a fixed-point number with 16 bits of fraction.
const ONE: u32 = 1 << 16;

/// One node's behaviour towards us.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Peer {
    pub(super) round_trip: RoundTrip,
    /// When it last said anything.
    heard: Instant,
    confirmed: Option<Instant>,
    /// It owes an answer for longer than it usually takes.
    suspect: bool,
    /// It has let a request be lost since it was last heard.
    unresponsive: bool,
    /// Requests that it did not answer at all since it was last heard.
    silences: u32,
    /// It said goodbye and was not heard since.
    left: bool,
    /// When it last failed to answer at all.
    silent_at: Option<Instant>,
}

/// How a node that said something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// Nothing new: it was confirmed a moment ago.
    Lately,
    /// It should be confirmed in the routing table.
    Confirm,
    /// It had fallen silent and is back.
    Back,
}

/// All nodes we know the behaviour of.
#[derive(Debug, Default)]
pub(super) struct Peers {
    peers: FxHashMap<NodeId, Peer>,
    /// Round trips to all nodes together: the first guess for one we have not measured.
    typical: RoundTrip,
    /// Share of requests whose first attempt was lost, smoothed; 16 bits of fraction.
    loss: u32,
    /// Share of requests whose first attempt was lost though their node was there, smoothed; 16 bits of fraction.
    false_alarms: u32,
}

impl Peers {
    /// Notes that a node said something.
    pub(super) fn heard(&mut self, now: Instant, id: &NodeId) -> Heard {
        let peer = self.entry(id);
        let back = peer.silences > 0;
        let false_alarm = peer.unresponsive && !back;
        peer.heard = now;
        peer.suspect = false;
        peer.unresponsive = false;
        peer.silences = 0;
        peer.silent_at = None;
        peer.left = false;
        let due = peer.confirmed.is_none_or(|at| now.since(at) >= CONFIRM_INTERVAL);
        if false_alarm {
            self.false_alarms += (ONE - self.false_alarms) >> LOSS_SMOOTHING_SHIFT;
        }
        let peer = self.entry(id);
        if back {
            peer.confirmed = Some(now);
            return Heard::Back;
        }
        if due {
            peer.confirmed = Some(now);
            return Heard::Confirm;
        }
        Heard::Lately
    }

    /// Notes how long an answer took that was asked for once.
    pub(super) fn answered(&mut self, id: &NodeId, round_trip: Duration) {
        self.entry(id).round_trip.sample(round_trip);
        self.typical.sample(round_trip);
        self.loss -= self.loss >> LOSS_SMOOTHING_SHIFT;
        self.false_alarms -= self.false_alarms >> LOSS_SMOOTHING_SHIFT;
    }

    /// After how long an answer is late, and after how long it counts as lost.
    ///
    /// A node that was never measured is given several times what the others take, as it may have to be dialled
    /// first; before anybody was measured, the configured first guesses.
    pub(super) fn patience(&self, id: &NodeId, timeouts: &TimeoutConfig) -> (Duration, Duration) {
        let measured = self.peers.get(id).map(|peer| peer.round_trip).filter(|rtt| rtt.smoothed().is_some());
        if let Some(round_trip) = measured {
            return (round_trip.hedge_delay(timeouts), round_trip.timeout(timeouts));
        }
        let slow = UNMEASURED_FACTOR * self.typical.hedge_delay(timeouts);
        let lost = UNMEASURED_FACTOR * self.typical.timeout(timeouts);
        (slow.min(timeouts.hedge_initial), lost.min(timeouts.timeout_initial))
    }

    /// Notes that an answer is overdue.
    pub(super) fn suspect(&mut self, id: &NodeId) {
        self.entry(id).suspect = true;
    }

    /// Notes that one attempt was lost: the node counts as unresponsive until it is heard.
    pub(super) fn lost(&mut self, id: &NodeId) {
        let peer = self.entry(id);
        peer.suspect = true;
        peer.unresponsive = true;
        self.loss += (ONE - self.loss) >> LOSS_SMOOTHING_SHIFT;
    }

    /// Notes that a request went unanswered however often it was sent.
    pub(super) fn silent(&mut self, now: Instant, id: &NodeId) {
        let peer = self.entry(id);
        peer.suspect = true;
        peer.unresponsive = true;
        peer.silences = peer.silences.saturating_add(1);
        peer.silent_at = Some(now);
    }

    /// Whether it owes us an answer, so that others are better asked first.
    pub(super) fn is_suspect(&self, id: &NodeId) -> bool {
        self.peers.get(id).is_some_and(|peer| peer.suspect)
    }

    /// Whether it has let a request be lost since it was last heard: it counts among nobody's replicas meanwhile.
    pub(super) fn is_unresponsive(&self, id: &NodeId) -> bool {
        self.peers.get(id).is_some_and(|peer| peer.unresponsive)
    }

    /// Whether it failed to answer within the last `window`.
    pub(super) fn was_silent_within(&self, now: Instant, id: &NodeId, window: Duration) -> bool {
        let silent_at = self.peers.get(id).and_then(|peer| peer.silent_at);
        silent_at.is_some_and(|at| now.since(at) < window)
    }

    /// What we know of it.
    pub(super) fn peer(&self, id: &NodeId) -> Option<&Peer> {
        self.peers.get(id)
    }

    /// Requests it left unanswered since it was last heard.
    pub(super) fn silences(&self, id: &NodeId) -> u32 {
        self.peers.get(id).map_or(0, |peer| peer.silences)
    }

    /// Whether more than about 1% of first attempts are lost of late: then it pays to ask more nodes at once.
    pub(super) fn is_lossy(&self) -> bool {
        self.loss > ONE / 100
    }

    /// Whether nodes that let a request be lost have often turned out to be there: then only silence proves anything.
    pub(super) fn cries_wolf(&self) -> bool {
        self.false_alarms > ONE / FALSE_ALARMS_MANY
    }

    /// Notes that a node said goodbye; what was known of it is forgotten.
    pub(super) fn left(&mut self, id: &NodeId) {
        *self.entry(id) = Peer { left: true, ..Peer::default() };
    }

    /// Whether a node said goodbye and has not been heard since.
    pub(super) fn has_left(&self, id: &NodeId) -> bool {
        self.peers.get(id).is_some_and(|peer| peer.left)
    }

    fn entry(&mut self, id: &NodeId) -> &mut Peer {
        if self.peers.len() >= PEERS_MAX && !self.peers.contains_key(id) {
            self.make_room();
        }
        self.peers.entry(*id).or_default()
    }

    /// Forgets the half that was heard longest ago; rare, so its cost does not matter.
    fn make_room(&mut self) {
        let mut heard: Vec<_> = self.peers.iter().map(|(id, peer)| (peer.heard, *id)).collect();
        heard.sort_unstable();
        for (_, id) in &heard[..heard.len() / 2] {
            self.peers.remove(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u16) -> NodeId {
        NodeId::of_public_key(&n.to_be_bytes())
    }

    fn at(ms: u64) -> Instant {
        Instant::from_micros(ms * 1_000)
    }

    #[test]
    fn a_word_from_a_suspect_clears_it() {
        let mut peers = Peers::default();
        peers.suspect(&id(1));
        assert!(peers.is_suspect(&id(1)));
        assert_eq!(peers.heard(at(0), &id(1)), Heard::Confirm);
        assert!(!peers.is_suspect(&id(1)));
        assert_eq!(peers.heard(at(10), &id(1)), Heard::Lately);
        assert_eq!(peers.heard(at(1_000), &id(1)), Heard::Confirm);
    }

    #[test]
    fn a_silent_node_that_speaks_is_back() {
        let mut peers = Peers::default();
        peers.silent(at(5), &id(1));
        assert!(peers.was_silent_within(at(6), &id(1), Duration::from_millis(10)));
        assert_eq!(peers.heard(at(7), &id(1)), Heard::Back);
        assert!(!peers.was_silent_within(at(8), &id(1), Duration::from_millis(10)));
    }

    #[test]
    fn memory_is_bounded_and_the_recently_heard_stay() {
        let mut peers = Peers::default();
        for n in 0..PEERS_MAX as u16 + 10 {
            peers.heard(at(u64::from(n)), &id(n));
        }
        assert!(peers.peers.len() <= PEERS_MAX);
        assert!(peers.peer(&id(PEERS_MAX as u16 - 1)).is_some());
        assert!(peers.peer(&id(0)).is_none());
    }

    #[test]
    fn a_stranger_is_given_a_multiple_of_what_others_take() {
        let timeouts = TimeoutConfig::default();
        let mut peers = Peers::default();
        let first = (timeouts.hedge_initial, timeouts.timeout_initial);
        assert_eq!(peers.patience(&id(1), &timeouts), first);
        (0..100).for_each(|_| peers.answered(&id(2), Duration::from_micros(300)));
        let (slow, lost) = peers.patience(&id(1), &timeouts);
        assert_eq!((slow, lost), (4 * timeouts.hedge_floor, 4 * timeouts.timeout_floor));
        assert!(peers.patience(&id(2), &timeouts) < (slow, lost));
    }

    #[test]
    fn loss_is_noticed_and_forgotten() {
        let mut peers = Peers::default();
        for _ in 0..50 {
            (0..19).for_each(|_| peers.answered(&id(1), Duration::from_millis(1)));
            peers.lost(&id(1));
        }
        assert!(peers.is_lossy());
        (0..1_000).for_each(|_| peers.answered(&id(1), Duration::from_millis(1)));
        assert!(!peers.is_lossy());
    }
}
