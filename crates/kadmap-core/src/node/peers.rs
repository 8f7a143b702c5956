//! What a node knows of the nodes it talks to: how fast they answer and whether they do.

use std::time::Duration;

use rustc_hash::FxHashMap;

use super::paces::Paces;
use crate::routing::RoutingTable;
use crate::rtt::{RoundTrip, TimeoutConfig};
use crate::time::Tick;
use crate::{Address, Instant, NodeId};

/// Nodes with trouble remembered at most; beyond it the half whose trouble is oldest is forgotten.
const TROUBLES_MAX: usize = 4096;
/// How long trouble with a node is remembered that is not in the routing table.
const STRANGERS_REMEMBERED: Duration = Duration::from_secs(60);
/// How many times the typical wait a node is given that was never measured: a handshake takes two round trips more.
const UNMEASURED_FACTOR: u32 = 4;
/// How long an answer stands before a contact is confirmed in the routing table again.
const CONFIRM_INTERVAL: Duration = Duration::from_secs(1);
/// A node that is silent is left alone by lookups for this long; as long as it takes until a member probes it again.
const GIVEN_UP_FIRST: Duration = Duration::from_secs(5);
/// And twice as long each time, up to 10 minutes.
const GIVEN_UP_DOUBLINGS_MAX: u32 = 7;
/// How long after its goodbye a node may still be heard of: twice as long as it waits at most for goodbyes to be answered,
/// and a busy machine twice as long again.
const GOODBYE_ECHO: Duration = Duration::from_secs(2);
/// How long a node that was not counted and is heard again counts as back of late. What was written past it meanwhile has
/// come to it by then: those who stood in for it look twice for whom it belongs to, three seconds apart.
const BACK_LATELY: Duration = Duration::from_secs(15);
/// How long after it fell silent a node still counts as one that may stand still: the longer it is silent the more likely it is
/// gone, and others hold what it held.
const STANDSTILL_MAX: Duration = Duration::from_secs(10);
/// Requests left unanswered in a row from which it means something that a node is back.
const RETURN_SILENCES_MIN: u32 = 2;
/// Weight of one request in the share of lost ones: 1/64, so that some hundred requests tell.
const LOSS_SMOOTHING_SHIFT: u32 = 6;
/// The share of proven false alarms, as one in so many, from which a lost request says little about its node. Half
/// the nodes dead prove none; 10% of packets lost prove 19%.
const FALSE_ALARMS_MANY: u32 = 32;
/// One as a fixed-point number with 16 bits of fraction.
const ONE: u32 = 1 << 16;

/// What is wrong with a node; most have no trouble at all.
#[derive(Debug, Clone, Copy, Default)]
struct Trouble {
    /// It owes an answer for longer than it usually takes.
    suspect: bool,
    /// When the first request was sent that it has let be lost since it was last heard.
    in_doubt_since: Option<Instant>,
    /// A quorum was taken without it since it was last heard.
    passed_over: bool,
    /// It said goodbye and was not heard since.
    left: bool,
    /// Requests that it did not answer at all since it was last heard.
    silences: u32,
    /// When it last failed to answer at all, or left.
    since: Tick,
    /// When it first failed to answer at all since it was last heard.
    first_silence: Tick,
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
    paces: Paces,
    /// Those with trouble, and no others.
    troubles: FxHashMap<NodeId, Trouble>,
    /// Those that were not counted and are back, and since when; older ones may still be among them.
    back: FxHashMap<NodeId, Tick>,
    /// Round trips to all nodes together: the first guess for one we have not measured.
    typical: RoundTrip,
    /// Whether somebody is back that had been silent more than once, and nobody has taken note of it.
    has_returned: bool,
    /// Share of requests whose first attempt was lost, smoothed; 16 bits of fraction.
    loss: u32,
    /// Share of requests whose first attempt was lost though their node was there, smoothed; 16 bits of fraction.
    false_alarms: u32,
}

impl Peers {
    /// Notes that a node said something.
    pub(super) fn heard(&mut self, now: Instant, id: &NodeId) -> Heard {
        let trouble = if self.troubles.is_empty() { None } else { self.troubles.remove(id) };
        let is_back = trouble.is_some_and(|trouble| trouble.silences > 0);
        if trouble.is_some_and(|trouble| trouble.in_doubt_since.is_some() && trouble.silences == 0) {
            self.false_alarms += (ONE - self.false_alarms) >> LOSS_SMOOTHING_SHIFT;
        }
        if trouble.is_some_and(|trouble| trouble.passed_over || trouble.silences > 0) {
            self.note_back(now, *id);
        }
        self.has_returned |= trouble.is_some_and(|trouble| trouble.silences >= RETURN_SILENCES_MIN);
        // Most who are heard are never asked anything: nothing is kept of them, and they are confirmed each time.
        let pace = self.paces.recent_mut(id);
        let lately = pace.as_ref().is_some_and(|pace| pace.confirmed.age(now) < CONFIRM_INTERVAL);
        if is_back || !lately {
            pace.into_iter().for_each(|pace| pace.confirmed = Tick::at(now));
        }
        match (is_back, lately) {
            (true, _) => Heard::Back,
            (false, true) => Heard::Lately,
            (false, false) => Heard::Confirm,
        }
    }

    fn note_back(&mut self, now: Instant, id: NodeId) {
        self.back.retain(|_, since| since.age(now) < BACK_LATELY);
        if self.back.len() < TROUBLES_MAX {
            self.back.insert(id, Tick::at(now));
        }
    }

    /// Notes how long an answer took that was asked for once.
    pub(super) fn answered<A: Address>(
        &mut self,
        table: &mut RoutingTable<A>,
        now: Instant,
        id: &NodeId,
        round_trip: Duration,
    ) {
        self.paces.sample(table, now, id, round_trip);
        self.typical.sample(round_trip);
        self.loss -= self.loss >> LOSS_SMOOTHING_SHIFT;
        self.false_alarms -= self.false_alarms >> LOSS_SMOOTHING_SHIFT;
    }

    /// After how long an answer is late, and after how long it counts as lost.
    ///
    /// A node that was never measured is given several times what the others take, as it may have to be dialled
    /// first; before anybody was measured, the configured first guesses.
    ///
    /// Nobody is given up faster than most answer these days: a network that becomes slow does so for all, and what is
    /// known of one node is soon out of date. Asking somebody else as well goes by what is known of the node.
    pub(super) fn patience<A: Address>(
        &self,
        table: &RoutingTable<A>,
        id: &NodeId,
        timeouts: &TimeoutConfig,
    ) -> (Duration, Duration) {
        let round_trip = self.round_trip(table, id);
        if round_trip.smoothed().is_some() {
            let lost = round_trip.timeout(timeouts).max(self.typical.timeout(timeouts));
            return (round_trip.hedge_delay(timeouts), lost);
        }
        let slow = UNMEASURED_FACTOR * self.typical.hedge_delay(timeouts);
        let lost = UNMEASURED_FACTOR * self.typical.timeout(timeouts);
        (slow.min(timeouts.hedge_initial), lost.min(timeouts.timeout_initial))
    }

    /// What its answers have taken so far.
    pub(super) fn round_trip<A: Address>(&self, table: &RoutingTable<A>, id: &NodeId) -> RoundTrip {
        self.paces.round_trip(table, id)
    }

    /// Notes that an answer is overdue.
    pub(super) fn suspect(&mut self, id: &NodeId) {
        self.trouble_mut(id).suspect = true;
    }

    /// Notes that one attempt was lost of a request that was `sent` then: the node counts as unresponsive until it is heard.
    pub(super) fn lost(&mut self, sent: Instant, id: &NodeId) {
        let trouble = self.trouble_mut(id);
        trouble.suspect = true;
        trouble.in_doubt_since.get_or_insert(sent);
        self.loss += (ONE - self.loss) >> LOSS_SMOOTHING_SHIFT;
    }

    /// Notes that a request went unanswered however often it was sent.
    pub(super) fn silent(&mut self, now: Instant, id: &NodeId) {
        let trouble = self.trouble_mut(id);
        trouble.suspect = true;
        trouble.in_doubt_since.get_or_insert(now);
        if trouble.silences == 0 {
            trouble.first_silence = Tick::at(now);
        }
        trouble.silences = trouble.silences.saturating_add(1);
        trouble.since = Tick::at(now);
    }

    /// Notes that a quorum is taken without a node that let requests be lost.
    pub(super) fn passed_over(&mut self, id: &NodeId) {
        self.trouble_mut(id).passed_over = true;
    }

    /// Whether it was not counted until lately: what was written meanwhile went past it.
    pub(super) fn is_back_lately(&self, now: Instant, id: &NodeId) -> bool {
        self.back.get(id).is_some_and(|since| since.age(now) < BACK_LATELY)
    }

    /// How many were not counted until lately.
    pub(super) fn back_lately(&self, now: Instant) -> usize {
        self.back.values().filter(|since| since.age(now) < BACK_LATELY).count()
    }

    /// Whether it owes us an answer, so that others are better asked first.
    pub(super) fn is_suspect(&self, id: &NodeId) -> bool {
        self.trouble(id).suspect
    }

    /// Whether it has let a request be lost since it was last heard: it counts among nobody's replicas meanwhile.
    pub(super) fn is_unresponsive(&self, id: &NodeId) -> bool {
        self.trouble(id).in_doubt_since.is_some()
    }

    /// Whether it has left a request unanswered that was sent at least so long ago.
    pub(super) fn is_in_doubt_for(&self, now: Instant, id: &NodeId, least: Duration) -> bool {
        self.trouble(id).in_doubt_since.is_some_and(|since| now.since(since) >= least)
    }

    /// Whether it failed to answer within the last `window`.
    pub(super) fn was_silent_within(&self, now: Instant, id: &NodeId, window: Duration) -> bool {
        let trouble = self.trouble(id);
        trouble.silences > 0 && trouble.since.age(now) < window
    }

    /// Whether it has been silent for longer than nodes stand still on a busy machine, or has left.
    pub(super) fn is_gone(&self, now: Instant, id: &NodeId) -> bool {
        let trouble = self.trouble(id);
        trouble.left || trouble.silences > 0 && trouble.first_silence.age(now) >= STANDSTILL_MAX
    }

    /// Whether it left all attempts of a request unanswered so lately that asking again is no use: for longer with every
    /// time.
    pub(super) fn is_given_up(&self, now: Instant, id: &NodeId) -> bool {
        let trouble = self.trouble(id);
        let doublings = trouble.silences.saturating_sub(1).min(GIVEN_UP_DOUBLINGS_MAX);
        trouble.silences > 0 && trouble.since.age(now) < GIVEN_UP_FIRST * (1 << doublings)
    }

    /// Whether somebody is back that had been silent for long: others may be as well, as when a cut has healed.
    pub(super) fn has_returned(&self) -> bool {
        self.has_returned
    }

    /// Takes note of who is back; tells whether somebody was.
    pub(super) fn take_returned(&mut self) -> bool {
        std::mem::take(&mut self.has_returned)
    }

    /// Requests it left unanswered since it was last heard.
    pub(super) fn silences(&self, id: &NodeId) -> u32 {
        self.trouble(id).silences
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
    pub(super) fn left(&mut self, now: Instant, id: &NodeId) {
        self.paces.remove(id);
        *self.trouble_mut(id) = Trouble { left: true, since: Tick::at(now), ..Trouble::default() };
    }

    /// Whether a node said goodbye a moment ago and has not been heard since: it may still be there, to say goodbye to
    /// others.
    pub(super) fn has_left(&self, now: Instant, id: &NodeId) -> bool {
        let trouble = self.trouble(id);
        trouble.left && trouble.since.age(now) < GOODBYE_ECHO
    }

    /// Whether a node said goodbye and has not been heard since.
    pub(super) fn said_goodbye(&self, id: &NodeId) -> bool {
        self.trouble(id).left
    }

    /// Forgets the nodes that are no contacts of the table, trouble of the last minute excepted, and gives their memory
    /// back; costs one step for each contact.
    pub(super) fn forget_strangers<A: Address>(&mut self, now: Instant, table: &mut RoutingTable<A>) {
        self.paces.settle(table);
        let is_recent = |tick: Tick| tick.age(now) < STRANGERS_REMEMBERED;
        self.troubles.retain(|id, trouble| is_recent(trouble.since) || table.contains(id));
        self.troubles.shrink_to_fit();
        self.back.retain(|_, since| since.age(now) < BACK_LATELY);
        self.back.shrink_to_fit();
    }

    fn trouble(&self, id: &NodeId) -> Trouble {
        if self.troubles.is_empty() {
            return Trouble::default();
        }
        self.troubles.get(id).copied().unwrap_or_default()
    }

    fn trouble_mut(&mut self, id: &NodeId) -> &mut Trouble {
        if self.troubles.len() >= TROUBLES_MAX && !self.troubles.contains_key(id) {
            let mut since: Vec<_> = self.troubles.iter().map(|(id, trouble)| (trouble.since, *id)).collect();
            since.sort_unstable();
            for (_, id) in &since[..since.len() / 2] {
                self.troubles.remove(id);
            }
        }
        self.troubles.entry(*id).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Contact, TableConfig};

    fn id(n: u16) -> NodeId {
        NodeId::of_public_key(&n.to_be_bytes())
    }

    fn at(ms: u64) -> Instant {
        Instant::from_micros(ms * 1_000)
    }

    /// A table of nobody.
    fn table() -> RoutingTable {
        RoutingTable::new(NodeId::of_public_key(b"own"), TableConfig::default())
    }

    #[test]
    fn a_word_from_a_suspect_clears_it() {
        let mut peers = Peers::default();
        peers.answered(&mut table(), at(0), &id(1), Duration::from_millis(1));
        peers.suspect(&id(1));
        assert!(peers.is_suspect(&id(1)));
        assert_eq!(peers.heard(at(5_000), &id(1)), Heard::Confirm);
        assert!(!peers.is_suspect(&id(1)));
        assert_eq!(peers.heard(at(5_010), &id(1)), Heard::Lately);
        assert_eq!(peers.heard(at(6_000), &id(1)), Heard::Confirm);
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
    fn that_somebody_is_back_is_told_once_and_only_after_two_silences() {
        let mut peers = Peers::default();
        peers.silent(at(5), &id(1));
        peers.heard(at(6), &id(1));
        assert!(!peers.take_returned());
        (0..2).for_each(|_| peers.silent(at(7), &id(1)));
        peers.heard(at(9), &id(1));
        assert!(peers.has_returned());
        assert_eq!([peers.take_returned(), peers.take_returned()], [true, false]);
    }

    #[test]
    fn who_was_not_counted_and_is_heard_is_back_for_a_while() {
        let mut peers = Peers::default();
        peers.silent(at(0), &id(1));
        peers.lost(at(0), &id(2));
        peers.lost(at(0), &id(3));
        peers.passed_over(&id(3));
        assert_eq!(peers.back_lately(at(0)), 0);
        (1..4).for_each(|n| _ = peers.heard(at(1_000), &id(n)));
        let is_back = |now| [1, 2, 3].map(|n| peers.is_back_lately(now, &id(n)));
        assert_eq!(is_back(at(15_000)), [true, false, true]);
        assert_eq!(peers.back_lately(at(15_000)), 2);
        assert_eq!(is_back(at(17_000)), [false; 3]);
    }

    #[test]
    fn a_stranger_is_given_a_multiple_of_what_others_take() {
        let timeouts = TimeoutConfig::default();
        let mut peers = Peers::default();
        let first = (timeouts.hedge_initial, timeouts.timeout_initial);
        assert_eq!(peers.patience(&table(), &id(1), &timeouts), first);
        (0..100).for_each(|_| peers.answered(&mut table(), at(0), &id(2), Duration::from_micros(300)));
        let (slow, lost) = peers.patience(&table(), &id(1), &timeouts);
        assert_eq!((slow, lost), (4 * timeouts.hedge_floor, 4 * timeouts.timeout_floor));
        assert!(peers.patience(&table(), &id(2), &timeouts) < (slow, lost));
    }

    #[test]
    fn loss_is_noticed_and_forgotten() {
        let mut peers = Peers::default();
        for _ in 0..50 {
            (0..19).for_each(|_| peers.answered(&mut table(), at(0), &id(1), Duration::from_millis(1)));
            peers.lost(at(0), &id(1));
        }
        assert!(peers.is_lossy());
        (0..1_000).for_each(|_| peers.answered(&mut table(), at(0), &id(1), Duration::from_millis(1)));
        assert!(!peers.is_lossy());
    }

    #[test]
    fn strangers_are_forgotten_and_contacts_are_not() {
        let (mut peers, mut table) = (Peers::default(), table());
        let address = "127.0.0.1:8339".parse().expect("that is an address");
        table.verified(at(0), Contact { id: id(1), address });
        peers.answered(&mut table, at(0), &id(1), Duration::from_micros(200));
        peers.answered(&mut table, at(0), &id(2), Duration::from_micros(200));
        peers.silent(at(0), &id(3));
        peers.silent(at(1_000), &id(4));
        let late = at(STRANGERS_REMEMBERED.as_millis() as u64);
        peers.forget_strangers(late, &mut table);
        assert_eq!(peers.round_trip(&table, &id(1)).smoothed(), Some(Duration::from_micros(200)));
        assert_eq!(peers.round_trip(&table, &id(2)).smoothed(), None);
        assert_eq!((peers.silences(&id(3)), peers.silences(&id(4))), (0, 1));
    }
}
