//! What was sent, and what for.

use std::collections::BTreeMap;
use std::iter::Sum;
use std::ops::AddAssign;

use kadmap_core::Purpose;

/// Requests for one purpose, and all that was sent for them.
///
/// A request that is repeated because no answer came is one request and several packets.
///
/// ```
/// assert_eq!(kadmap_sim::Tally::default().requests, 0);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Requests, each counted when it is sent first.
    pub requests: u64,
    /// Those whose receiver was down then.
    pub requests_to_the_dead: u64,
    /// Requests and their repeats.
    pub packets: u64,
    /// Those whose receiver was down when they were sent.
    pub packets_to_the_dead: u64,
    /// Bytes of the requests, their repeats and their answers, as frames.
    pub bytes: u64,
}

impl Tally {
    fn since(self, earlier: Self) -> Self {
        Self {
            requests: self.requests - earlier.requests,
            requests_to_the_dead: self.requests_to_the_dead - earlier.requests_to_the_dead,
            packets: self.packets - earlier.packets,
            packets_to_the_dead: self.packets_to_the_dead - earlier.packets_to_the_dead,
            bytes: self.bytes - earlier.bytes,
        }
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.requests += other.requests;
        self.requests_to_the_dead += other.requests_to_the_dead;
        self.packets += other.packets;
        self.packets_to_the_dead += other.packets_to_the_dead;
        self.bytes += other.bytes;
    }
}

impl Sum for Tally {
    fn sum<I: Iterator<Item = Self>>(tallies: I) -> Self {
        tallies.fold(Self::default(), |mut sum, tally| {
            sum += tally;
            sum
        })
    }
}

/// One message that was sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent {
    /// The name of its kind.
    pub(crate) kind: &'static str,
    pub(crate) is_request: bool,
    pub(crate) is_repeat: bool,
    pub(crate) to_the_dead: bool,
    pub(crate) bytes: u64,
}

/// All that was sent, by what it was for and by kind of message.
///
/// ```
/// assert_eq!(kadmap_sim::Purposes::default().rows().count(), 0);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Purposes {
    tallies: BTreeMap<(Option<Purpose>, &'static str), Tally>,
}

impl Purposes {
    pub(crate) fn note(&mut self, purpose: Option<Purpose>, sent: Sent) {
        let tally = self.tallies.entry((purpose, sent.kind)).or_default();
        tally.bytes += sent.bytes;
        if sent.is_request {
            let first = u64::from(!sent.is_repeat);
            let dead = u64::from(sent.to_the_dead);
            tally.requests += first;
            tally.requests_to_the_dead += first * dead;
            tally.packets += 1;
            tally.packets_to_the_dead += dead;
        }
    }

    /// Each purpose and kind of message with what was sent; answers to requests that nobody waits for any more have no
    /// purpose.
    pub fn rows(&self) -> impl Iterator<Item = (Option<Purpose>, &'static str, Tally)> {
        self.tallies.iter().map(|(&(purpose, kind), &tally)| (purpose, kind, tally))
    }

    /// Everything together.
    pub fn total(&self) -> Tally {
        self.tallies.values().copied().sum()
    }

    /// What keeps the swarm together: all that is not an operation of a user; what is for nobody any more counts.
    pub fn upkeep(&self) -> Tally {
        let is_upkeep = |purpose: Option<Purpose>| purpose.is_none_or(Purpose::is_upkeep);
        self.rows().filter(|(purpose, ..)| is_upkeep(*purpose)).map(|(.., tally)| tally).sum()
    }

    /// What was sent since an earlier time.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let before = |row| earlier.tallies.get(row).copied().unwrap_or_default();
        Self { tallies: self.tallies.iter().map(|(row, tally)| (*row, tally.since(before(row)))).collect() }
    }
}
