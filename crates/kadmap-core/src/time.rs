//! The two clocks the core is told: one that only goes forward, one that people set.

use std::time::Duration;

/// A point on the driver's monotonic clock, in microseconds since some start of its choosing.
///
/// ```
/// use kadmap_core::Instant;
/// use std::time::Duration;
/// let start = Instant::from_micros(5);
/// assert_eq!((start + Duration::from_millis(1)).since(start), Duration::from_millis(1));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instant(u64);

impl Instant {
    /// The point `micros` microseconds after the clock's start.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since the clock's start.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// The time from `earlier` to here; zero when `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl std::ops::Add<Duration> for Instant {
    type Output = Self;
    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)))
    }
}

/// Length of a [`Tick`], in microseconds: 32 bits of them last 13 years.
const TICK_US: u64 = 100_000;

/// Time in tenths of a second: fine enough for schedules of seconds and half the size of an [`Instant`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Tick(u32);

impl Tick {
    pub(crate) fn at(instant: Instant) -> Self {
        Self(u32::try_from(instant.as_micros() / TICK_US).unwrap_or(u32::MAX))
    }

    pub(crate) fn age(self, now: Instant) -> Duration {
        now.since(Instant::from_micros(u64::from(self.0) * TICK_US))
    }
}

/// What time it is, on both clocks; an argument of everything the core does.
///
/// ```
/// use kadmap_core::{Instant, Now};
/// let now = Now { instant: Instant::from_micros(0), unix_ms: 1_700_000_000_000 };
/// assert_eq!(now.instant, Instant::default());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// Monotonic time: for timeouts and round trips.
    pub instant: Instant,
    /// Milliseconds since 1970 on the machine's wall clock: for stamps and expiry.
    pub unix_ms: u64,
}
