//! Coming to hold what belongs to a node that has just joined, before it has a say in reads.

use std::time::Duration;

use super::super::env::Env;
use super::RANGES_PER_SESSION_MAX;
use super::neighbours::Held;
use super::session::Session;
use crate::ranges::{Prefix, joined};
use crate::{Address, Contact, Instant, NodeId};

/// How long a node may take at most; then it speaks for what it has, and the rounds of repair do the rest.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long the next of the copies that were asked for may take before what is still lacking is asked for again: longer
/// than a copy that was lost takes to be sent again, so that nothing comes twice.
const COPIES_WAIT: Duration = Duration::from_secs(1);
/// How many times the replication is looked through for somebody who knows a range of which all holders are newcomers.
const LOOK_FURTHER_FACTOR: usize = 3;

/// Copies that a holder is sending to a node that asked for them.
#[derive(Debug)]
pub(in super::super) struct Awaited {
    from: NodeId,
    copies: u64,
    until: Instant,
}

impl Awaited {
    /// Takes note of copies that came.
    pub(super) fn came(&mut self, now: Instant, from: &NodeId, copies: u64) {
        if self.from == *from {
            self.copies = self.copies.saturating_sub(copies);
            self.until = now + COPIES_WAIT;
        }
    }

    /// When to look at what came.
    fn ends(&self, now: Instant) -> Instant {
        if self.copies == 0 { now } else { self.until }
    }
}

/// A range that belongs to this node.
#[derive(Debug)]
struct Share {
    range: Prefix,
    /// Positions of those who hold it.
    holders: Vec<u16>,
    /// How many of them are left to be compared with.
    left: usize,
    /// With how many more of them this node has to be even.
    missing: usize,
    /// Whether it has been compared with anybody, or nobody but those named is left to be asked.
    is_met: bool,
}

impl Share {
    fn is_open(&self) -> bool {
        self.missing > 0 && self.left > 0
    }
}

/// Somebody who holds something together with this node.
#[derive(Debug)]
struct Holder<A> {
    contact: Contact<A>,
    /// Positions of the ranges.
    shares: Vec<u16>,
    /// How many of these are open.
    open: usize,
    /// Whether it has been compared with, or has nothing to tell.
    is_done: bool,
}

/// The holders with whom a node compares what belongs to it: each range with as many as a read asks, so that one of them
/// has whatever was acknowledged before.
///
/// One after the other, so that nothing comes twice: the first has most of it sent, the others little or nothing.
#[derive(Debug)]
pub(super) struct Sync<A> {
    until: Instant,
    holders: Vec<Holder<A>>,
    shares: Vec<Share>,
    /// The position of the one it is being compared with, and the ranges.
    current: Option<(u16, Vec<Prefix>)>,
    /// Whether that one is sending something.
    is_fetching: bool,
}

impl<A: Address> Sync<A> {
    /// Begins with what belongs to a node: each range with the positions of its other holders among the contacts.
    pub(super) fn new(now: Instant, contacts: Vec<Contact<A>>, held: Vec<Held>, needed: usize) -> Self {
        let holder = |contact| Holder { contact, shares: Vec::new(), open: 0, is_done: false };
        let holders = contacts.into_iter().map(holder).collect();
        let (shares, until) = (Vec::with_capacity(held.len()), now + PATIENCE);
        let mut sync = Self { until, holders, shares, current: None, is_fetching: false };
        for (range, holders) in held {
            sync.add(range, holders, needed, false);
        }
        sync
    }

    fn add(&mut self, range: Prefix, holders: Vec<u16>, missing: usize, is_met: bool) {
        let position = self.shares.len() as u16;
        let share = Share { range, left: holders.len(), holders, missing, is_met };
        for &holder in &share.holders {
            let holder = &mut self.holders[usize::from(holder)];
            holder.shares.push(position);
            holder.open += usize::from(share.is_open());
        }
        self.shares.push(share);
    }

    /// When there is something to do: now if a comparison is to be made or all are, else when to stop waiting.
    pub(super) fn next_timer<S>(&self, env: &Env<S, A>, now: Instant) -> Instant {
        match &self.current {
            None => now,
            Some(_) if self.is_fetching => {
                env.awaited.as_ref().map_or(now, |awaited| awaited.ends(now)).min(self.until)
            }
            Some(_) => self.until,
        }
    }

    pub(super) fn is_done(&self, now: Instant) -> bool {
        let is_settled = |share: &Share| !share.is_open() && (share.is_met || share.missing == 0);
        now >= self.until || self.current.is_none() && self.shares.iter().all(is_settled)
    }

    /// The next comparison to make, if it is time for one.
    pub(super) fn next<S>(&mut self, env: &mut Env<S, A>, now: Instant) -> Option<(Contact<A>, Vec<Prefix>)> {
        if let Some((current, ranges)) = &self.current {
            let waits = env.awaited.as_ref().is_some_and(|awaited| awaited.ends(now) > now);
            if !self.is_fetching || waits {
                return None;
            }
            env.awaited = None;
            self.is_fetching = false;
            return Some((self.holders.get(usize::from(*current))?.contact, ranges.clone()));
        }
        self.look_further(env);
        let current = self.widest()?;
        let holder = self.holders.get(usize::from(current))?;
        let shares = holder.shares.iter().filter_map(|share| self.shares.get(usize::from(*share)));
        let open = shares.filter(|share| share.is_open()).map(|share| share.range);
        let ranges: Vec<_> = open.take(RANGES_PER_SESSION_MAX).collect();
        self.current = Some((current, ranges.clone()));
        Some((holder.contact, ranges))
    }

    /// Takes note of the end of a comparison.
    pub(super) fn compared<S>(&mut self, env: &mut Env<S, A>, now: Instant, session: &Session<A>) {
        let id = session.partner().id;
        let Some((current, _)) = &self.current else { return };
        let current = *current;
        if self.holders.get(usize::from(current)).is_none_or(|holder| holder.contact.id != id) {
            return;
        }
        self.disclaim(session.foreign());
        if session.lacked() {
            let (copies, until) = (session.awaited_copies(), now + COPIES_WAIT);
            env.awaited = Some(Awaited { from: id, copies, until });
            self.is_fetching = true;
            return;
        }
        self.current = None;
        self.end(current, true);
    }

    /// Has nothing to do with ranges any more that somebody knows to belong to others: that the next one may not know it
    /// yet is no reason to learn what is in them.
    fn disclaim(&mut self, foreign: &[Prefix]) {
        for share in self.shares.iter_mut().filter(|share| foreign.contains(&share.range)) {
            if share.is_open() {
                share.holders.iter().for_each(|holder| self.holders[usize::from(*holder)].open -= 1);
            }
            share.missing = 0;
        }
    }

    /// Takes note that a holder has nothing to tell, as it is a newcomer itself or does not answer.
    pub(super) fn let_go(&mut self, id: &NodeId) {
        let Some(gone) = self.holders.iter().position(|holder| holder.contact.id == *id) else { return };
        let gone = gone as u16;
        if self.current.as_ref().is_some_and(|(current, _)| *current == gone) {
            self.current = None;
            self.is_fetching = false;
        }
        self.end(gone, false);
    }

    /// Is through with a holder, with which this node is even or not.
    fn end(&mut self, position: u16, is_even: bool) {
        let holder = &mut self.holders[usize::from(position)];
        if std::mem::replace(&mut holder.is_done, true) {
            return;
        }
        for (count, share) in std::mem::take(&mut holder.shares).into_iter().enumerate() {
            let share = &mut self.shares[usize::from(share)];
            let was_open = share.is_open();
            share.left -= 1;
            // What exceeded one comparison was not compared; others are left for it.
            if is_even && count < RANGES_PER_SESSION_MAX {
                share.missing = share.missing.saturating_sub(1);
                share.is_met = true;
            }
            if was_open && !share.is_open() {
                share.holders.iter().for_each(|holder| self.holders[usize::from(*holder)].open -= 1);
            }
        }
    }

    /// The holder of most ranges that are to be compared; of equals the first.
    fn widest(&self) -> Option<u16> {
        let open = self.holders.iter().map(|holder| if holder.is_done { 0 } else { holder.open });
        let most = open.clone().max().filter(|most| *most > 0)?;
        open.into_iter().position(|count| count == most).map(|position| position as u16)
    }

    /// Where many have come at once and all holders of a range are newcomers, those who held it before them know more.
    fn look_further<S>(&mut self, env: &Env<S, A>) {
        let is_dry = |share: &&mut Share| share.left == 0 && share.missing > 0 && !share.is_met;
        let mut dry = Vec::new();
        for share in self.shares.iter_mut().filter(is_dry) {
            share.is_met = true;
            dry.push(share.range);
        }
        let count = LOOK_FURTHER_FACTOR * env.config.replication;
        for range in joined(dry) {
            let nearest = env.table.closest(&range.first_key(), count, |_| true);
            let others = nearest.into_iter().skip(env.config.replication - 1);
            let positions: Vec<_> = others.map(|contact| self.position_of(contact)).collect();
            let unasked = |position: &u16| !self.holders[usize::from(*position)].is_done;
            let holders: Vec<_> = positions.into_iter().filter(unasked).collect();
            // One who knows is enough: most who held the range before know what was acknowledged.
            self.add(range, holders, 1, true);
        }
    }

    fn position_of(&mut self, contact: Contact<A>) -> u16 {
        let known = self.holders.iter().position(|known| known.contact.id == contact.id);
        let position = known.unwrap_or_else(|| {
            self.holders.push(Holder { contact, shares: Vec::new(), open: 0, is_done: false });
            self.holders.len() - 1
        });
        position as u16
    }
}
