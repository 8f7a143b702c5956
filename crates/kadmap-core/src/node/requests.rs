//! Requests in flight: who was asked, who wants the answer, and when to grow impatient.

use std::collections::BTreeSet;
use std::time::Duration;

use rustc_hash::FxHashMap;

use crate::operation::OperationId;
use crate::wire::{Request, RequestId};
use crate::{Address, Contact, Instant, NodeId};

/// Who wants to hear of a request's fate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// An operation, which may have ended meanwhile.
    Operation(OperationId),
    /// A probe of a contact: the answer itself is the news.
    Probe(ProbeCause),
    /// A copy sent in the background: retried, then forgotten.
    Background,
    /// A comparison with another holder, or a record sent to it.
    Repair,
    /// A question of a node that was away for long.
    Absence,
    /// A change told to a watcher.
    Watcher(super::watchers::SubscriptionId),
}

/// Why a contact is probed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProbeCause {
    /// Somebody told of it.
    Hearsay,
    /// It was not heard of for long.
    Quiet,
    /// It had fallen silent and may be back.
    Silent,
}

/// One request in flight.
#[derive(Debug)]
pub(super) struct InFlight<A> {
    pub(super) to: Contact<A>,
    pub(super) request: Request,
    pub(super) owner: Owner,
    /// Times it was sent so far.
    pub(super) attempts: u32,
    /// When it was sent first.
    pub(super) sent: Instant,
    /// And when again.
    repeats: Vec<Instant>,
    /// Whether its owner was told that it is slow.
    pub(super) slow: bool,
    /// What its first attempt is waited for at least.
    pub(super) wait_min: Duration,
    /// When this attempt counts as lost.
    pub(super) deadline: Instant,
    /// When the timer fires next: slow or lost.
    timer: Instant,
}

/// Bits of an id on the wire that tell the attempt: the answer brings them back, so that it is known to which attempt
/// it is, and how long it took.
const ATTEMPT_BITS: u32 = 3;
/// Ids on this side are those of the wire without these bits.
const ID_MAX: RequestId = RequestId::MAX >> ATTEMPT_BITS;

/// What a request is called by whoever answers it, whichever attempt it was.
pub(super) fn without_attempt(wire_id: RequestId) -> RequestId {
    wire_id >> ATTEMPT_BITS
}

/// Whether an id on the wire is not that of the first attempt.
pub(super) fn is_repeat(wire_id: RequestId) -> bool {
    wire_id & !(RequestId::MAX << ATTEMPT_BITS) != 0
}

/// The id that the next request will have after this one.
pub(super) fn next_id(id: RequestId) -> RequestId {
    (id + 1) & ID_MAX
}

impl<A> InFlight<A> {
    /// Its id on the wire in the attempt being made.
    pub(super) fn wire_id(&self, id: RequestId) -> RequestId {
        let attempt = (self.attempts - 1).min((1 << ATTEMPT_BITS) - 1);
        id << ATTEMPT_BITS | attempt
    }

    /// When the attempt was made that an answer with this id is to.
    pub(super) fn sent_as(&self, wire_id: RequestId) -> Option<Instant> {
        match (wire_id & !(RequestId::MAX << ATTEMPT_BITS)) as usize {
            0 => Some(self.sent),
            again => self.repeats.get(again - 1).copied(),
        }
    }
}

/// What a timer found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Overdue {
    /// Not answered when most answers come; the owner may ask somebody else.
    Slow,
    /// Not answered at all; send it again or give up.
    Lost,
}

/// All requests in flight of one node, by id.
#[derive(Debug)]
pub(super) struct Requests<A> {
    in_flight: FxHashMap<RequestId, InFlight<A>>,
    /// Invariant: exactly one entry for each request in flight.
    timers: BTreeSet<(Instant, RequestId)>,
    last_id: RequestId,
}

impl<A: Address> Requests<A> {
    /// Nothing in flight. `drawn` decides the first id: an answer to what this node asked before it was started again, which
    /// whoever stood still may send only now, must not be taken for one to what it asks now.
    pub(super) fn new(drawn: u64) -> Self {
        Self {
            in_flight: FxHashMap::default(),
            timers: BTreeSet::new(),
            last_id: drawn as RequestId & ID_MAX,
        }
    }

    /// Takes note of a request that is being sent now; tells its id.
    pub(super) fn insert(
        &mut self,
        now: Instant,
        to: Contact<A>,
        request: Request,
        owner: Owner,
        waits: Waits,
    ) -> RequestId {
        let id = self.free_id();
        let (timer, deadline) = (now + waits.slow_after, now + waits.lost_after);
        let in_flight = InFlight {
            to,
            request,
            owner,
            attempts: 1,
            sent: now,
            repeats: Vec::new(),
            slow: false,
            wait_min: Duration::ZERO,
            deadline,
            timer,
        };
        self.timers.insert((timer, id));
        self.in_flight.insert(id, in_flight);
        id
    }

    /// Takes out the request that this node answered; `None` when it was not asked of that node.
    pub(super) fn complete(&mut self, id: RequestId, from: &NodeId) -> Option<InFlight<A>> {
        if self.in_flight.get(&id)?.to.id != *from {
            return None;
        }
        self.remove(id)
    }

    /// Takes a request out unanswered.
    pub(super) fn remove(&mut self, id: RequestId) -> Option<InFlight<A>> {
        let request = self.in_flight.remove(&id)?;
        self.timers.remove(&(request.timer, id));
        Some(request)
    }

    /// The request that is due, if any, and how; call until `None`.
    ///
    /// A slow one goes on waiting for its deadline; a lost one is still in flight and must be
    /// [`repeat`](Self::repeat)ed or [`remove`](Self::remove)d.
    pub(super) fn pop_overdue(&mut self, now: Instant) -> Option<(RequestId, Overdue)> {
        let &(timer, id) = self.timers.first()?;
        if timer > now {
            return None;
        }
        let request = self.in_flight.get_mut(&id)?;
        if request.slow || timer >= request.deadline {
            return Some((id, Overdue::Lost));
        }
        request.slow = true;
        let deadline = request.deadline;
        self.set_timer(id, deadline);
        Some((id, Overdue::Slow))
    }

    /// Notes that a request is being sent once more.
    pub(super) fn repeat(&mut self, now: Instant, id: RequestId, lost_after: Duration) {
        if let Some(request) = self.in_flight.get_mut(&id) {
            request.attempts += 1;
            request.repeats.push(now);
            request.deadline = now + lost_after;
            let deadline = request.deadline;
            self.set_timer(id, deadline);
        }
    }

    /// Grows impatient earlier with a request, because others that were sent with it have been answered.
    pub(super) fn hasten(&mut self, id: RequestId, waits: Waits) {
        let Some(request) = self.in_flight.get_mut(&id).filter(|request| request.attempts == 1) else {
            return;
        };
        request.deadline = request.deadline.min(request.sent + waits.lost_after);
        let slow = request.sent + waits.slow_after;
        let timer = if request.slow { request.deadline } else { slow.min(request.timer) };
        if timer < request.timer {
            self.set_timer(id, timer);
        }
    }

    /// Waits for the first attempt at least this long, and for the others accordingly longer.
    pub(super) fn wait_at_least(&mut self, id: RequestId, wait_min: Duration) {
        let Some(request) = self.in_flight.get_mut(&id) else { return };
        request.wait_min = wait_min;
        request.deadline = request.deadline.max(request.sent + wait_min);
    }

    /// Grants a request other waits from now on, because its answer is known to be on its way; tells whose it is, unless it
    /// was not asked of that node.
    pub(super) fn extend(
        &mut self,
        now: Instant,
        id: RequestId,
        from: &NodeId,
        waits: Waits,
    ) -> Option<Owner> {
        let request = self.in_flight.get_mut(&id).filter(|request| request.to.id == *from)?;
        request.deadline = request.deadline.max(now + waits.lost_after);
        request.slow = false;
        let (timer, owner) = (request.deadline.min(now + waits.slow_after), request.owner);
        self.set_timer(id, timer);
        Some(owner)
    }

    pub(super) fn in_flight(&self, id: RequestId) -> Option<&InFlight<A>> {
        self.in_flight.get(&id)
    }

    /// When [`pop_overdue`](Self::pop_overdue) has something next.
    pub(super) fn next_timer(&self) -> Option<Instant> {
        self.timers.first().map(|&(at, _)| at)
    }

    /// The id of the request made last.
    pub(super) fn last_id(&self) -> RequestId {
        self.last_id
    }

    /// Takes out all requests to a node, oldest first; costs all that are in flight.
    pub(super) fn take_all_to(&mut self, id: &NodeId) -> Vec<(RequestId, InFlight<A>)> {
        let to_it = self.timers.iter().filter(|(_, request)| {
            self.in_flight.get(request).is_some_and(|in_flight| in_flight.to.id == *id)
        });
        let mut ids: Vec<_> = to_it.map(|&(_, request)| request).collect();
        ids.sort_unstable();
        ids.into_iter().filter_map(|id| Some((id, self.remove(id)?))).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.in_flight.len()
    }

    /// Gives back the memory of busier times.
    pub(super) fn shrink(&mut self) {
        self.in_flight.shrink_to_fit();
        if self.timers.is_empty() {
            self.timers = BTreeSet::new();
        }
    }

    fn set_timer(&mut self, id: RequestId, at: Instant) {
        if let Some(request) = self.in_flight.get_mut(&id) {
            self.timers.remove(&(request.timer, id));
            request.timer = at;
            self.timers.insert((at, id));
        }
    }

    fn free_id(&mut self) -> RequestId {
        loop {
            self.last_id = next_id(self.last_id);
            if !self.in_flight.contains_key(&self.last_id) {
                return self.last_id;
            }
        }
    }
}

/// How long a request is waited for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waits {
    /// Until its owner may ask somebody else.
    pub(super) slow_after: Duration,
    /// Until the attempt counts as lost.
    pub(super) lost_after: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Ping;

    const WAITS: Waits =
        Waits { slow_after: Duration::from_millis(2), lost_after: Duration::from_millis(20) };

    fn contact(name: &[u8]) -> Contact {
        Contact { id: NodeId::of_public_key(name), address: ([127, 0, 0, 1], 1).into() }
    }

    fn at(ms: u64) -> Instant {
        Instant::from_micros(ms * 1_000)
    }

    fn ping() -> Request {
        Request::Ping(Ping::default())
    }

    #[test]
    fn a_request_is_slow_once_then_lost_and_may_be_repeated() {
        let mut requests = Requests::new(7);
        let id = requests.insert(at(0), contact(b"a"), ping(), Owner::Probe(ProbeCause::Quiet), WAITS);
        assert_eq!(requests.pop_overdue(at(1)), None);
        assert_eq!(requests.pop_overdue(at(2)), Some((id, Overdue::Slow)));
        assert_eq!(requests.pop_overdue(at(19)), None);
        assert_eq!(requests.pop_overdue(at(20)), Some((id, Overdue::Lost)));
        requests.repeat(at(20), id, Duration::from_millis(40));
        assert_eq!(requests.pop_overdue(at(59)), None);
        assert_eq!(requests.pop_overdue(at(60)), Some((id, Overdue::Lost)));
        assert_eq!(requests.remove(id).map(|request| request.attempts), Some(2));
        assert_eq!((requests.len(), requests.next_timer()), (0, None));
    }

    #[test]
    fn a_hastened_request_is_slow_and_lost_earlier_but_never_later() {
        let mut requests = Requests::new(7);
        let id = requests.insert(at(0), contact(b"a"), ping(), Owner::Probe(ProbeCause::Quiet), WAITS);
        requests.hasten(
            id,
            Waits { slow_after: Duration::from_millis(9), lost_after: Duration::from_millis(90) },
        );
        assert_eq!(requests.next_timer(), Some(at(2)), "not later");
        requests
            .hasten(id, Waits { slow_after: Duration::from_millis(1), lost_after: Duration::from_millis(9) });
        assert_eq!(requests.pop_overdue(at(1)), Some((id, Overdue::Slow)));
        assert_eq!(requests.pop_overdue(at(8)), None);
        assert_eq!(requests.pop_overdue(at(9)), Some((id, Overdue::Lost)));
    }

    #[test]
    fn an_answer_tells_to_which_attempt_it_is() {
        let mut requests = Requests::new(7);
        let id = requests.insert(at(0), contact(b"a"), ping(), Owner::Probe(ProbeCause::Quiet), WAITS);
        let first = requests.in_flight(id).unwrap().wire_id(id);
        requests.repeat(at(20), id, Duration::from_millis(40));
        let second = requests.in_flight(id).unwrap().wire_id(id);
        assert_eq!([first, second].map(without_attempt), [id, id]);
        let in_flight = requests.complete(id, &contact(b"a").id).unwrap();
        assert_eq!(
            [first, second, second + 1].map(|id| in_flight.sent_as(id)),
            [Some(at(0)), Some(at(20)), None]
        );
    }

    #[test]
    fn only_the_node_that_was_asked_may_answer() {
        let mut requests = Requests::new(7);
        let id = requests.insert(at(0), contact(b"a"), ping(), Owner::Probe(ProbeCause::Quiet), WAITS);
        assert!(requests.complete(id, &contact(b"b").id).is_none());
        assert!(requests.complete(id, &contact(b"a").id).is_some());
        assert!(requests.complete(id, &contact(b"a").id).is_none(), "an answer counts once");
    }

    #[test]
    fn an_answer_on_its_way_is_waited_for() {
        let mut requests = Requests::new(7);
        let id = requests.insert(at(0), contact(b"a"), ping(), Owner::Probe(ProbeCause::Quiet), WAITS);
        let waits = Waits { slow_after: Duration::from_millis(200), lost_after: Duration::from_secs(1) };
        requests.extend(at(1), id, &contact(b"a").id, waits);
        assert_eq!(requests.pop_overdue(at(200)), None);
        assert_eq!(requests.pop_overdue(at(201)), Some((id, Overdue::Slow)));
        assert_eq!(requests.pop_overdue(at(1_000)), None);
        assert_eq!(requests.pop_overdue(at(1_001)), Some((id, Overdue::Lost)));
    }
}
