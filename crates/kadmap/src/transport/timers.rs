//! When each connection next wants attention.

use std::collections::BTreeSet;
use std::time::Instant;

/// One pending wake-up per connection, in order of time. Every operation is O(log connections).
#[derive(Debug, Default)]
pub(super) struct Timers {
    due: BTreeSet<(Instant, usize)>,
}

impl Timers {
    /// Makes sure that `handle` wakes no later than `wanted`; `armed` is the wake-up it has.
    ///
    /// An earlier wake-up is left as it is: it fires in vain once, while moving it with every packet would cost more.
    pub(super) fn arm(&mut self, handle: usize, armed: &mut Option<Instant>, wanted: Option<Instant>) {
        let Some(wanted) = wanted else { return };
        match *armed {
            Some(current) if current <= wanted => return,
            Some(current) => self.due.remove(&(current, handle)),
            None => false,
        };
        self.due.insert((wanted, handle));
        *armed = Some(wanted);
    }

    /// Forgets the wake-up of `handle`.
    pub(super) fn disarm(&mut self, handle: usize, armed: &mut Option<Instant>) {
        if let Some(current) = armed.take() {
            self.due.remove(&(current, handle));
        }
    }

    /// The time of the next wake-up.
    pub(super) fn next(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Takes the next wake-up that is due at `now`; its `armed` is to be cleared by the caller.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<usize> {
        if self.next()? > now {
            return None;
        }
        self.due.pop_first().map(|(_, handle)| handle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn wake_ups_come_in_order_and_never_late() {
        let start = Instant::now();
        let at = |ms| Some(start + Duration::from_millis(ms));
        let (mut one, mut two) = (None, None);
        let mut timers = Timers::default();
        timers.arm(1, &mut one, at(30));
        timers.arm(2, &mut two, at(20));
        timers.arm(1, &mut one, at(10));
        timers.arm(1, &mut one, at(50));
        assert_eq!(timers.next(), at(10));
        assert_eq!(timers.pop_due(start), None);
        let late = start + Duration::from_millis(60);
        assert_eq!(
            [timers.pop_due(late), timers.pop_due(late), timers.pop_due(late)],
            [Some(1), Some(2), None]
        );
        one = None;
        timers.arm(1, &mut one, at(5));
        timers.disarm(1, &mut one);
        assert_eq!(timers.next(), None);
    }
}
