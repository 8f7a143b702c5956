//! Whether an acknowledged put is visible or covered by a later one, and nobody reads what nobody wrote.
//!
//! For each complete read the *floor* is the highest stamp of a put or delete of its key that was acknowledged before the
//! read was called. A read must show a write of at least that stamp; what it shows without a known stamp (a write that
//! was never acknowledged) may be newer and is let pass. That is what `docs/guarantees.md` promises and all of it:
//! two reads at the same moment may differ, and what was never acknowledged may come and go.
//!
//! Below the floor a read is *lost*; it is *stale* where something had been done to the swarm before it and not all was
//! settled yet, since others stand in for nodes that are gone.

use std::collections::HashMap;

use super::{Verdict, by_key};
use crate::history::{History, Kind, Mark, Operation, Outcome, Seen};

/// Judges the puts of a history: `lost`, `phantom` and `unstamped` are breaches.
///
/// ```
/// use kadmap_chaos::{History, Kind, Operation, Seen};
/// let operations = vec![
///     Operation::new(1, Kind::Put, "colour", Seen::Value(7)).at(0, 5).stamped(1),
///     Operation::new(2, Kind::Get, "colour", Seen::Nothing).at(6, 9),
/// ];
/// let history = History { operations, settled_ns: Some(5), ..History::default() };
/// assert_eq!(kadmap_chaos::checker::register(&history).count("lost"), 1);
/// ```
pub fn register(history: &History) -> Verdict {
    let mut verdict = Verdict::new("register", &["lost", "phantom", "unstamped"], &["stale", "never read"]);
    for (key, operations) in by_key(history) {
        if operations.iter().any(|operation| operation.kind == Kind::Put) {
            judge_key(history, key, &operations, &mut verdict);
        }
    }
    verdict
}

fn judge_key(history: &History, key: &str, operations: &[&Operation], verdict: &mut Verdict) {
    // A list that was put and appended to is judged by its items.
    if operations.iter().any(|operation| operation.kind == Kind::Append) {
        return;
    }
    let writes: Vec<_> = operations.iter().copied().filter(|operation| operation.kind.is_write()).collect();
    for write in writes.iter().filter(|write| write.is_acknowledged_write() && write.stamp.is_none()) {
        verdict.add("unstamped", || format!("'{key}': {write}"));
    }
    let puts: HashMap<u64, &Operation> =
        writes.iter().filter_map(|put| Some((put_value(put)?, *put))).collect();
    let deletes: Vec<_> = writes.iter().copied().filter(|write| write.kind == Kind::Delete).collect();
    let mut reads = operations.iter().copied().filter(|read| read.is_answered_read()).peekable();
    if reads.peek().is_none() {
        verdict.tally("never read");
    }
    for read in reads {
        verdict.judged += 1;
        match &read.value {
            Seen::Value(number) => match puts.get(number) {
                Some(put) if put.outcome != Outcome::Fail && put.start_ns <= read.end_ns => {
                    let is_below =
                        |floor: &Operation| put.stamp.is_some_and(|stamp| Some(stamp) < floor.stamp);
                    judge_floor(history, key, &writes, read, is_below, verdict);
                }
                _ => verdict.add("phantom", || format!("nobody put {number:x} under '{key}' before {read}")),
            },
            Seen::Nothing => {
                let may_cover = |delete: &&Operation, floor: Option<Mark>| {
                    delete.outcome != Outcome::Fail
                        && delete.start_ns <= read.end_ns
                        && delete.stamp.is_none_or(|stamp| Some(stamp) >= floor)
                };
                let is_below =
                    |floor: &Operation| !deletes.iter().any(|delete| may_cover(delete, floor.stamp));
                judge_floor(history, key, &writes, read, is_below, verdict);
            }
            other => verdict.add("phantom", || format!("'{key}' reads {other:?} in {read}")),
        }
    }
}

fn judge_floor(
    history: &History,
    key: &str,
    writes: &[&Operation],
    read: &Operation,
    is_below: impl Fn(&Operation) -> bool,
    verdict: &mut Verdict,
) {
    let before = writes.iter().filter(|write| write.is_acknowledged_write() && write.end_ns < read.start_ns);
    if let Some(floor) = before.max_by_key(|write| write.stamp).filter(|floor| is_below(floor)) {
        let what = if history.is_strict(read) { "lost" } else { "stale" };
        verdict.add(what, || format!("'{key}': {floor} is not in {read}"));
    }
}

fn put_value(write: &Operation) -> Option<u64> {
    match (write.kind, &write.value) {
        (Kind::Put, Seen::Value(number)) => Some(*number),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::history::Fault;

    fn put(number: u64, stamp: u128, start_ns: u64, end_ns: u64) -> Operation {
        Operation::new(1, Kind::Put, "x", Seen::Value(number)).at(start_ns, end_ns).stamped(stamp)
    }

    fn delete(stamp: u128, start_ns: u64, end_ns: u64) -> Operation {
        Operation::new(1, Kind::Delete, "x", Seen::Nothing).at(start_ns, end_ns).stamped(stamp)
    }

    fn read(value: Seen, start_ns: u64, end_ns: u64) -> Operation {
        Operation::new(2, Kind::Get, "x", value).at(start_ns, end_ns)
    }

    /// Of a history with a partition at its beginning.
    fn judged(operations: Vec<Operation>, settled_ns: u64) -> Verdict {
        let cut = Fault { fault: Fault::CUT.to_owned(), target: String::new(), at_ns: 0 };
        register(&History {
            operations,
            settled_ns: Some(settled_ns),
            faults: vec![cut],
            ..History::default()
        })
    }

    #[test]
    fn what_is_below_an_acknowledged_put_is_lost_unless_a_partition_is_not_over() {
        for seen in [Seen::Nothing, Seen::Value(1)] {
            let operations = vec![put(1, 1, 0, 5), put(2, 2, 6, 9), read(seen, 10, 20)];
            let (after, before) = (judged(operations.clone(), 10), judged(operations, 15));
            assert_eq!((after.count("lost"), after.count("stale")), (1, 0));
            assert_eq!((before.count("lost"), before.count("stale")), (0, 1));
        }
    }

    #[test]
    fn without_a_partition_there_is_no_excuse() {
        let operations = vec![put(1, 1, 0, 5), read(Seen::Nothing, 10, 20)];
        assert_eq!(register(&History { operations, ..History::default() }).count("lost"), 1);
    }

    #[test]
    fn a_later_put_or_delete_covers_an_earlier_one() {
        let covered = vec![put(1, 1, 0, 5), put(2, 2, 6, 9), read(Seen::Value(2), 10, 20)];
        assert_eq!(judged(covered, 0).breaches(), 0);
        let deleted = vec![put(1, 1, 0, 5), delete(2, 6, 9), read(Seen::Nothing, 10, 20)];
        assert_eq!(judged(deleted, 0).breaches(), 0);
        let too_early = vec![delete(1, 0, 5), put(1, 2, 6, 9), read(Seen::Nothing, 10, 20)];
        assert_eq!(judged(too_early, 0).count("lost"), 1);
    }

    #[test]
    fn a_write_of_unknown_outcome_may_show_or_not() {
        let mut unknown = put(2, 0, 6, 9).with_outcome(Outcome::Info);
        unknown.stamp = None;
        for seen in [1, 2] {
            let operations = vec![put(1, 1, 0, 5), unknown.clone(), read(Seen::Value(seen), 10, 20)];
            assert_eq!(judged(operations, 0).breaches(), 0);
        }
    }

    #[test]
    fn what_nobody_wrote_is_a_phantom() {
        let failed = put(1, 1, 0, 5).with_outcome(Outcome::Fail);
        assert_eq!(judged(vec![failed, read(Seen::Value(1), 10, 20)], 0).count("phantom"), 1);
        for seen in [Seen::Value(9), Seen::Strange("?".into())] {
            assert_eq!(judged(vec![put(1, 1, 0, 5), read(seen, 10, 20)], 0).count("phantom"), 1);
        }
        assert_eq!(judged(vec![put(1, 1, 50, 60), read(Seen::Value(1), 10, 20)], 0).count("phantom"), 1);
    }

    #[test]
    fn a_read_called_before_the_acknowledgement_may_show_the_old() {
        let operations = vec![put(1, 1, 0, 5), put(2, 2, 6, 30), read(Seen::Value(1), 10, 20)];
        assert_eq!(judged(operations, 0).breaches(), 0);
    }

    proptest! {
        /// One register that every operation meets in turn has nothing wrong with it, and a read of any value but the
        /// last is found.
        #[test]
        fn only_the_last_value_will_do(puts in 1_u64..20, shown in 0_u64..20) {
            let shown = shown % puts;
            let mut operations: Vec<_> =
                (0..puts).map(|number| put(number, u128::from(number), number * 10, number * 10 + 5)).collect();
            operations.push(read(Seen::Value(shown), 500, 600));
            prop_assert_eq!(judged(operations, 0).count("lost"), u64::from(shown + 1 != puts));
        }
    }
}
