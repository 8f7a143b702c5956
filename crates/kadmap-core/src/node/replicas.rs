//! The nodes responsible for a record, nearest first, and how far each has come in one operation.

use std::time::Duration;

use super::env::Env;
use super::requests::Waits;
use crate::wire::RequestId;
use crate::{Address, Consistency, Contact, Key, NodeId, Now};

/// One responsible node.
#[derive(Debug)]
pub(super) struct Replica<T, A> {
    pub(super) contact: Contact<A>,
    pub(super) state: State<T>,
    /// It has let a request be lost and was not heard since: whether it is there is in doubt.
    unresponsive: bool,
    /// And has been so for as long as the operation waits for such: it does not count where those in doubt do not.
    is_doubted: bool,
    /// It was not counted until lately: others stood in for it. Only readers take note of that.
    back_lately: bool,
}

impl<T, A: Address> Replica<T, A> {
    fn new(contact: Contact<A>, state: State<T>, unresponsive: bool) -> Self {
        Self { contact, state, unresponsive, is_doubted: false, back_lately: false }
    }

    fn is_given_up(&self) -> bool {
        matches!(self.state, State::Silent)
    }

    /// Whether it counts where those in doubt do not.
    fn counts(&self) -> bool {
        match self.state {
            State::Silent => false,
            State::Done(_) => true,
            State::Idle | State::Waiting { .. } => !self.is_doubted,
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
/// behind stand in for them. For a reader those stay responsible beside whom they have stood in for until lately.
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
            Replica::new(contact, State::Idle, unresponsive)
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

    /// Has a reader hear those as well that stood in for nodes which are back, as what it wrote meanwhile may lie with them
    /// alone; to be called before [`choose_responsible`](Self::choose_responsible).
    ///
    /// Whichever of those that are back a write did without, its replicas are among the first nodes that hold `replication`
    /// others. Of so many more nodes as many more have to answer, so one of its quorum does.
    pub(super) fn hear_stand_ins<S>(&mut self, env: &Env<S, A>, now: Now, consistency: Consistency) {
        if consistency > Consistency::One && env.peers.back_lately(now.instant) > 0 {
            for replica in &mut self.list {
                replica.back_lately |= env.peers.is_back_lately(now.instant, &replica.contact.id);
            }
        }
    }

    /// Decides of which nodes a quorum is taken; to be called before one is counted.
    ///
    /// Of the closest, as long as enough of them can answer: any two quorums of the same nodes share one. Where too
    /// many have been in doubt at once for as long as the `patience` says, as when half of the swarm has died, those who
    /// respond are counted with the ones who stand in, rather than waiting until the dead are given up.
    pub(super) fn choose_responsible<S>(
        &mut self,
        env: &mut Env<S, A>,
        now: Now,
        patience: Duration,
        needed: impl Fn(usize) -> usize,
    ) {
        self.passes_over_doubtful = false;
        if self.doubtful < DOUBTFUL_MIN {
            return;
        }
        for replica in &mut self.list {
            let is_in_doubt = || env.peers.is_in_doubt_for(now.instant, &replica.contact.id, patience);
            replica.is_doubted = replica.unresponsive && is_in_doubt();
        }
        let closest = self.responsible();
        let responsive = self.responsible_iter().filter(|replica| replica.counts()).count();
        let is_short = responsive < self.needed(needed) && closest - responsive >= DOUBTFUL_MIN;
        self.passes_over_doubtful = is_short && !env.peers.cries_wolf();
        if self.passes_over_doubtful {
            let doubtful = self.list.iter().filter(|replica| !replica.is_given_up() && !replica.counts());
            doubtful.for_each(|replica| env.peers.passed_over(&replica.contact.id));
        }
    }

    /// How many of the responsible nodes have to answer, where `needed` tells it of a number of nodes: as many may stay
    /// silent as if none had come back.
    pub(super) fn needed(&self, needed: impl Fn(usize) -> usize) -> usize {
        let all = self.responsible();
        let back = self.responsible_iter().filter(|replica| replica.back_lately).count();
        (needed(all - back) + back).min(all.max(1))
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

    /// How many nodes are responsible: at most the replication, and for a reader those that are back lately.
    pub(super) fn responsible(&self) -> usize {
        self.responsible_iter().count()
    }

    /// The responsible nodes in distance order.
    pub(super) fn responsible_iter(&self) -> impl Iterator<Item = &Replica<T, A>> {
        let is_candidate = |replica: &&Replica<T, A>| {
            if self.passes_over_doubtful { replica.counts() } else { !replica.is_given_up() }
        };
        first_of(self.list.iter().filter(is_candidate), self.replication)
    }

    /// How many of the responsible nodes have come so far.
    pub(super) fn count_responsible(&self, is: impl Fn(&State<T>) -> bool) -> usize {
        self.responsible_iter().filter(|replica| is(&replica.state)).count()
    }

    /// The closest nodes, responsive or not, unless given up: as many as are responsible where nobody is passed over.
    pub(super) fn closest_iter(&self) -> impl Iterator<Item = &Replica<T, A>> {
        first_of(self.live_iter(), self.replication)
    }

    /// The nodes to which a record belongs: the closest, whoever stood in for them.
    pub(super) fn owners_iter(&self) -> impl Iterator<Item = &Replica<T, A>> {
        self.live_iter().take(self.replication)
    }

    /// All but those given up.
    fn live_iter(&self) -> impl Iterator<Item = &Replica<T, A>> + Clone {
        self.list.iter().filter(|replica| !replica.is_given_up())
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

    /// Has those asked once more that belong to the closest but were given up and `may_answer`, those among `silent` included,
    /// if they are so many that a write may have been acknowledged by them alone. Tells whether they are.
    pub(super) fn doubt_silence(
        &mut self,
        key: &Key,
        silent: &[Contact<A>],
        may_answer: impl Fn(&NodeId) -> bool,
    ) -> bool {
        for contact in silent {
            self.add_given_up(key, *contact);
        }
        let near = self.list.len().min(self.replication);
        let may_hold = |replica: &Replica<T, A>| replica.is_given_up() && may_answer(&replica.contact.id);
        let doubted = self.list[..near].iter().filter(|replica| may_hold(replica)).count();
        let is_doubted = doubted >= Consistency::Quorum.writes_needed(near);
        if is_doubted {
            // They are not to be hurried by what others took.
            self.paced = true;
            let again = self.list[..near].iter_mut().filter(|replica| may_hold(replica));
            again.for_each(|replica| replica.state = State::Idle);
        }
        is_doubted
    }

    fn add_given_up(&mut self, key: &Key, contact: Contact<A>) {
        let distance = contact.id.distance(key);
        let place = self.list.partition_point(|replica| replica.contact.id.distance(key) < distance);
        if self.list.get(place).is_none_or(|replica| replica.contact.id != contact.id) {
            self.list.insert(place, Replica::new(contact, State::Silent, true));
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
        prompt_first(env, self.idle().filter(|contact| contact.id != env.own))
    }

    /// The nearest node not asked yet, those that owe us answers last; this node itself first, as it costs nothing.
    pub(super) fn next_idle<S>(&self, env: &Env<S, A>) -> Option<Contact<A>> {
        let responsible = self.responsible_iter().any(|replica| replica.contact.id == env.own);
        let own = self.idle().find(|contact| responsible && contact.id == env.own);
        own.or_else(|| prompt_first(env, self.idle()))
    }

    /// Whom to ask yet, nearest first. Who stands in counts only where those in doubt do not.
    fn idle(&self) -> impl Iterator<Item = Contact<A>> + Clone {
        let reach = if self.passes_over_doubtful { self.list.len() } else { self.replication };
        let idle = first_of(self.live_iter(), reach).filter(|replica| matches!(replica.state, State::Idle));
        idle.map(|replica| replica.contact)
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

/// The first `count` of these, not counting those that are back lately.
fn first_of<'a, T: 'a, A: 'a>(
    replicas: impl Iterator<Item = &'a Replica<T, A>> + Clone,
    count: usize,
) -> impl Iterator<Item = &'a Replica<T, A>> + Clone {
    let mut left = count;
    replicas.take_while(move |replica| {
        let is_wanted = left > 0;
        left -= usize::from(is_wanted && !replica.back_lately);
        is_wanted
    })
}

/// The first of these that owes us no answer, or else the first.
fn prompt_first<S, A: Address>(
    env: &Env<S, A>,
    mut contacts: impl Iterator<Item = Contact<A>> + Clone,
) -> Option<Contact<A>> {
    let first = contacts.clone().next()?;
    Some(contacts.find(|contact| !env.peers.is_suspect(&contact.id)).unwrap_or(first))
}
