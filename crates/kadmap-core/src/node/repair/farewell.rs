//! Leaving: what this node holds is brought to others, pass by pass until all of it has been taken.

use std::collections::BTreeSet;
use std::time::Duration;

use super::super::env::Env;
use super::super::leave::Leaving;
use super::neighbours::{Neighbours, PARTNERS_PER_RANGE};
use super::{BUSY_WAIT_LEAVING, Reach, Repair, departed_for};
use crate::ranges::Prefix;
use crate::store::RecordStore;
use crate::{Address, Contact, Instant, NodeId, Now};

/// How long others are asked to take what some did not.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often everything is gone through at most: whoever claims each time to have lacked something is not waited for
/// any longer.
const PASSES_MAX: u32 = 64;

/// How far this node has come in bringing what it holds to others.
#[derive(Debug)]
pub(super) struct Farewell<A> {
    /// Since when it has offered what is left.
    since: Instant,
    /// Whether it means to be back: others need only have what it has, nobody takes its place.
    is_brief: bool,
    /// Those whose places have to be filled as well.
    departed: Vec<NodeId>,
    /// Those who leave as well, as they said when they were to take something.
    leavers: Vec<Contact<A>>,
    /// Whether somebody has not taken what was meant for it in this pass.
    pub(super) is_incomplete: bool,
    /// The sum of what was held when this pass began, and how many copies had been taken.
    held: u64,
    delivered: u64,
    /// Passes begun.
    passes: u32,
}

impl<A> Farewell<A> {
    /// How long this node has been leaving.
    pub(super) fn lasts(&self, now: Instant) -> Duration {
        now.since(self.since)
    }
}

impl<A: Address> Repair<A> {
    /// Begins to bring everything to those that stay; or, where this node leaves briefly, makes sure that others have it:
    /// where they do, nothing travels.
    pub(in super::super) fn leave<S: RecordStore>(&mut self, env: &mut Env<S, A>, now: Now, is_brief: bool) {
        let (since, departed, leavers) = (now.instant, Vec::new(), Vec::new());
        let farewell = Farewell {
            since,
            is_brief,
            departed,
            leavers,
            is_incomplete: false,
            held: 0,
            delivered: 0,
            passes: 0,
        };
        self.farewell = Some(Box::new(farewell));
        (self.arrivals_at, self.departures_at, self.round_at) = (None, None, None);
        if is_brief {
            // It will be back before what waits for others would have been looked after.
            self.tasks.clear();
        }
        // What it has not learnt by now it need not learn.
        (self.sync, env.awaited) = (None, None);
        env.misplaced.hurry(now.instant);
        self.bring(env, now, now.instant);
    }

    /// Whether so many of those who hold with this node what it holds have gone that it cannot go as well without bringing
    /// its own to others.
    pub(in super::super) fn is_missed<S: RecordStore>(env: &Env<S, A>) -> bool {
        Neighbours::of_change(env, &[], &[], false).may_read_past()
    }

    /// Whether everything has been brought, or nobody is there to take it, or there is no more time; begins another pass
    /// where some of it was not taken, or was written since the last one began, or may have been overlooked by it.
    pub(in super::super) fn has_handed_over<S: RecordStore>(
        &mut self,
        env: &mut Env<S, A>,
        now: Now,
    ) -> bool {
        if !self.is_idle(env) {
            return false;
        }
        let Some(farewell) = &mut self.farewell else { return true };
        if env.table.is_empty() || farewell.passes == PASSES_MAX {
            return true;
        }
        let has_brought = env.outbox.delivered > farewell.delivered;
        let pause = if farewell.is_incomplete && farewell.lasts(now.instant) < PATIENCE {
            BUSY_WAIT_LEAVING
        } else if has_brought && env.outbox.take_overflowed() {
            farewell.since = now.instant;
            Duration::ZERO
        } else if has_brought || farewell.held != held_by(env) {
            // What is written from now on would come too late; and a comparison goes by short hashes, so that only one
            // that finds nothing more tells that nothing is left. Each pass leaves less to the next.
            env.leaving = Leaving::Closing;
            farewell.since = now.instant;
            Duration::ZERO
        } else {
            return true;
        };
        self.bring(env, now, now.instant + pause);
        self.is_idle(env)
    }

    /// Takes note that something was not taken by the one it was meant for; if that one leaves as well, nothing more is
    /// brought there.
    pub(super) fn was_not_taken<S: RecordStore>(
        &mut self,
        env: &mut Env<S, A>,
        now: Now,
        by: Contact<A>,
        leaves: bool,
    ) {
        let Some(farewell) = &mut self.farewell else { return };
        farewell.is_incomplete = true;
        if leaves {
            env.goodbye(now, &by.id);
            farewell.leavers.push(by);
        }
    }

    /// Those who leave as well and are in no table any more; they wait to hear that this node has gone.
    pub(in super::super) fn take_leavers(&mut self) -> Vec<Contact<A>> {
        let leavers = self.farewell.as_mut().map(|farewell| std::mem::take(&mut farewell.leavers));
        let unique: BTreeSet<_> = leavers.into_iter().flatten().collect();
        unique.into_iter().collect()
    }

    /// Begins a pass.
    fn bring<S: RecordStore>(&mut self, env: &mut Env<S, A>, now: Now, not_before: Instant) {
        let Some(farewell) = &mut self.farewell else { return };
        farewell.is_incomplete = false;
        farewell.passes += 1;
        (farewell.held, farewell.delivered) = (held_by(env), env.outbox.delivered);
        farewell.departed.extend(departed_for(env, now.instant, Duration::ZERO));
        let tasks = if farewell.is_brief {
            // Who is back has kept its place; or others would seem to hold what is its own, and be brought that.
            let newcomers = env.arrived.iter().filter(|arrival| !arrival.keeps_place);
            let newcomers: Vec<_> = newcomers.map(|arrival| arrival.contact).collect();
            let neighbours = Neighbours::of_change(env, &newcomers, &farewell.departed, false);
            neighbours.partners(env, PARTNERS_PER_RANGE)
        } else {
            Neighbours::of_leaving(env).handovers(env)
        };
        self.add(tasks, not_before, Reach::All);
        self.run(env, now);
    }
}

/// The sum of everything that this node holds.
fn held_by<S, A: Address>(env: &Env<S, A>) -> u64 {
    env.store.tree().sum(&Prefix::ALL).hash
}
