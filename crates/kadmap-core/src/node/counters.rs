//! What a node has done, in numbers.

use crate::Instant;

/// Counts since the node started.
///
/// ```
/// assert_eq!(kadmap_core::Counters::default().requests_served, 0);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// When the node started.
    pub started: Instant,
    /// Requests answered.
    pub requests_served: u64,
    /// Requests made, repeats not counted.
    pub requests_sent: u64,
    /// Requests sent once more.
    pub requests_repeated: u64,
    /// Requests whose answer was overdue.
    pub requests_slow: u64,
    /// Requests given up.
    pub requests_unanswered: u64,
    /// Responses that answer nothing that was asked of their sender.
    pub responses_unexpected: u64,
    /// Puts refused.
    pub puts_refused: u64,
    /// Writes stamped again because something newer was there.
    pub restamps: u64,
    /// Replicas that a read found lacking and sent what they lacked.
    pub replicas_repaired: u64,
    /// Times that all ranges were compared with other holders.
    pub repair_rounds: u64,
    /// Comparisons begun with other holders.
    pub repair_comparisons: u64,
    /// Records sent to other holders that lacked them.
    pub repair_copies: u64,
    /// Records dropped because others, to whom they belong, hold them.
    pub strays_dropped: u64,
    /// Whole records sent to who asked for them.
    pub records_served: u64,
    /// Changes told to watchers, repeats not counted.
    pub changes_told: u64,
    /// Watches of others that were refused because there were too many.
    pub watches_refused: u64,
}
