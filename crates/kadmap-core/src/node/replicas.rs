//! The nodes responsible for a record, nearest first, and how far each has come in one operation.

use std::time::Duration;

use super::env::Env;
use super::requests::Waits;
use crate::wire::RequestId;
use crate::{Address, Contact, Key, NodeId};

/// One responsible node.
#[derive(Debug)]
pub(super) struct Replica<T, A> {
    pub(super) contact: Contact<A>,
    pub(super) state: State<T>,
    /// It has let a request be lost and was not heard since: whether it is there is in doubt.
    unresponsive: bool,
}

impl<T, A: Address> Replica<T, A> {
    fn is_given_up(&self) -> bool {
        matches!(self.state, State::Silent)
    }

    /// Whether it counts where those in doubt do not.
    fn counts(&self) -> bool {
        match self.state {
            State::Silent => false,
            State::Done(_) => true,
            State::Idle | State::Waiting { .. } => !self.unresponsive,
        }
    }
}

/// How far one node has come.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum State<T> {
    /// Not asked yet.
    Idle,
    /// Asked; `slow` once the answer is overdue.
    Waiting { request: RequestId, slow: bool },
    /// Answered.
    Done(T),
    /// Given up: counts no longer among the responsible.
    Silent,
}

/// The candidates of one operation in distance order: the first `replication` that respond are responsible, those
/// behind stand in for them.
#[derive(Debug)]
pub(super) struct Replicas<T, A> {
    list: Vec<Replica<T, A>>,
    replication: usize,
    /// Whether the first answer has set the pace for the others.
    paced: bool,
    /// Nodes that were in doubt when the operation began or have come to be since.
    doubtful: usize,
    /// Whether nodes in doubt, which let a request be lost and were not heard since, are passed over.
    passes_over_doubtful: bool,
}

/// Nodes in doubt at once that are passed over: so many do not come from lost packets unless many are lost, and then
/// [`Peers::cries_wolf`](super::peers::Peers::cries_wolf) tells.
const DOUBTFUL_MIN: usize = 4;

/// How many times the first answer's round trip the others may take before they are hedged.
const PACE_SLOW_FACTOR: u32 = 3;
/// And before they count as lost, if that is more than the configured floor.
const PACE_LOST_FACTOR: u32 = 10;

impl<T, A: Address> Replicas<T, A> {
    /// The candidates among `contacts` (nearest first), and this node itself if it is a member.
    pub(super) fn new<S>(env: &Env<S, A>, key: &Key, contacts: Vec<Contact<A>>) -> Self {
        let replica = |contact: Contact<A>| {
            let unresponsive = env.peers.is_unresponsive(&contact.id);
            Replica { contact, state: State::Idle, unresponsive }
        };
        let mut list: Vec<_> = contacts.into_iter().map(replica).collect();
        if !env.is_client() {
            let own = env.own.distance(key);
            let place = list.partition_point(|replica| replica.contact.id.distance(key) < own);
            list.insert(place, replica(env.own_contact()));
        }
        let doubtful = list.iter().filter(|replica| replica.unresponsive).count();
        let replication = env.config.replication;
        Self { list, replication, paced: false, doubtful, passes_over_doubtful: false }
    }

    /// Decides of which nodes a quorum is taken; to be called before one is counted.
    ///
    /// Of the closest, as long as enough of them can answer: any two quorums of the same nodes share one. Where too
    /// many are in doubt at once, as when half of the swarm has died, those who respond are counted with the ones who
    /// stand in, rather than waiting until the dead are given up.
    pub(super) fn choose_responsible<S>(&mut self, env: &Env<S, A>, needed: impl Fn(usize) -> usize) {
        if self.doubtful < DOUBTFUL_MIN {
            self.passes_over_doubtful = false;
            return;
        }
        let closest = self.closest_iter().count();
        let responsive = self.closest_iter().filter(|replica| replica.counts()).count();
        let is_short = responsive < needed(closest) && closest - responsive >= DOUBTFUL_MIN;
        self.passes_over_doubtful = is_short && !env.peers.cries_wolf();
    }

    /// Takes the first answer's round trip as the measure for the others: what is known of each from a busier time
    /// would have them waited for too long when half of them are dead.
    pub(super) fn pace<S>(&mut self, env: &mut Env<S, A>, round_trip: Duration) {
        if std::mem::replace(&mut self.paced, true) {
            return;
        }
        let timeouts = &env.config.timeouts;
        let waits = Waits {
            slow_after: PACE_SLOW_FACTOR * round_trip + timeouts.hedge_floor,
            lost_after: (PACE_LOST_FACTOR * round_trip).max(timeouts.timeout_floor),
        };
        for replica in &self.list {
            if let State::Waiting { request, slow: false } = replica.state
                && replica.contact.id != env.own
            {
                env.requests.hasten(request, waits);
            }
        }
    }

    /// How many nodes are responsible, at most the replication.
    pub(super) fn responsible(&self) -> usize {
        self.responsible_iter().count()
    }

    /// The responsible nodes in distance order.
    pub(super) fn responsible_iter(&self) -> impl Iterator<Item = &Replica<T, A>> {
        let is_candidate = |replica: &&Replica<T, A>| {
            if self.passes_over_doubtful { replica.counts() } else { !replica.is_given_up() }
        };
        self.list.iter().filter(is_candidate).take(self.replication)
    }

    /// How many of the responsible nodes have come so far.
    pub(super) fn count_responsible(&self, is: impl Fn(&State<T>) -> bool) -> usize {
        self.responsible_iter().filter(|replica| is(&replica.state)).count()
    }

    /// The nodes to which a record belongs: the closest, responsive or not, unless given up.
    pub(super) fn closest_iter(&self) -> impl Iterator<Item = &Replica<T, A>> {
        self.list.iter().filter(|replica| !replica.is_given_up()).take(self.replication)
    }

    /// Has this node answer after all if it had no say before, as it still learnt what belongs to it, and has one now: the
    /// others that were to tell it what it missed may be gone, and its own word is what is left.
    pub(super) fn hear_own_word<S>(&mut self, env: &Env<S, A>, had_no_say: &mut bool) {
        if *had_no_say
            && !env.is_syncing
            && let Some(state) = self.state_mut(&env.own)
        {
            *had_no_say = false;
            *state = State::Idle;
        }
    }

    /// Takes note that a node let a request be lost.
    pub(super) fn set_unresponsive(&mut self, id: &NodeId) {
        if let Some(replica) = self.list.iter_mut().find(|replica| replica.contact.id == *id) {
            self.doubtful += usize::from(!replica.unresponsive);
            replica.unresponsive = true;
        }
    }

    /// Responsible nodes asked whose answer is not overdue.
    pub(super) fn awaited(&self) -> usize {
        self.count_responsible(|state| matches!(state, State::Waiting { slow: false, .. }))
    }

    /// Nodes whose answer may still come.
    pub(super) fn waiting(&self) -> usize {
        self.count(|state| matches!(state, State::Waiting { .. }))
    }

    pub(super) fn count(&self, is: impl Fn(&State<T>) -> bool) -> usize {
        self.list.iter().filter(|replica| is(&replica.state)).count()
    }

    /// What the nodes answered, in distance order.
    pub(super) fn answers(&self) -> impl Iterator<Item = (&Contact<A>, &T)> {
        self.list.iter().filter_map(|replica| match &replica.state {
            State::Done(answer) => Some((&replica.contact, answer)),
            _ => None,
        })
    }

    /// Nodes given up on or overdue.
    pub(super) fn silent(&self) -> Vec<NodeId> {
        let silent = |replica: &&Replica<T, A>| {
            matches!(replica.state, State::Silent | State::Waiting { slow: true, .. })
        };
        self.list.iter().filter(silent).map(|replica| replica.contact.id).collect()
    }

    /// The nearest other node not asked yet, those that owe us answers last.
    pub(super) fn next_idle_elsewhere<S>(&self, env: &Env<S, A>) -> Option<Contact<A>> {
        let reach = if self.passes_over_doubtful { self.list.len() } else { self.replication };
        let candidates = self.list.iter().filter(|replica| !replica.is_given_up()).take(reach);
        let mut idle = candidates
            .filter(|replica| matches!(replica.state, State::Idle) && replica.contact.id != env.own);
        let first = idle.clone().next()?;
        let prompt = idle.find(|replica| !env.peers.is_suspect(&replica.contact.id));
        Some(prompt.unwrap_or(first).contact)
    }

    /// The nearest node not asked yet, those that owe us answers last; this node itself first, as it costs nothing.
    pub(super) fn next_idle<S>(&self, env: &Env<S, A>) -> Option<Contact<A>> {
        // Who stands in counts only where those in doubt do not.
        let reach = if self.passes_over_doubtful { self.list.len() } else { self.replication };
        let candidates = self.list.iter().filter(|replica| !replica.is_given_up()).take(reach);
        let mut idle = candidates.filter(|replica| matches!(replica.state, State::Idle));
        let first = idle.clone().next()?;
        let responsible = self.responsible_iter().any(|replica| replica.contact.id == env.own);
        if responsible && let Some(own) = idle.clone().find(|replica| replica.contact.id == env.own) {
            return Some(own.contact);
        }
        let prompt = idle.find(|replica| !env.peers.is_suspect(&replica.contact.id));
        Some(prompt.unwrap_or(first).contact)
    }

    /// The state of one node.
    pub(super) fn state_mut(&mut self, id: &NodeId) -> Option<&mut State<T>> {
        self.list.iter_mut().find(|replica| replica.contact.id == *id).map(|replica| &mut replica.state)
    }

    /// The state of the node that this request waits for.
    pub(super) fn asked_mut(&mut self, id: &NodeId, request: RequestId) -> Option<&mut State<T>> {
        self.state_mut(id)
            .filter(|state| matches!(state, State::Waiting { request: asked, .. } if *asked == request))
    }

    /// Makes all but the silent ones idle, to ask them again.
    pub(super) fn start_over(&mut self) {
        for replica in &mut self.list {
            if !matches!(replica.state, State::Silent) {
                replica.state = State::Idle;
            }
        }
    }
}
