//! Whether what was deleted stays deleted.

use super::{Verdict, by_key};
use crate::history::{History, Kind, Operation, Outcome, Seen};

/// Judges the deletes of a history: `resurrected` is a breach.
///
/// Something is resurrected when a read that was called after a delete was acknowledged shows what an older write wrote;
/// it is only `still seen` where something had been done to the swarm before the read and not all was settled yet. Older is what has a lower stamp, or what had ended before the delete was called.
///
/// ```
/// use kadmap_chaos::{History, Kind, Operation, Seen};
/// let operations = vec![
///     Operation::new(1, Kind::Put, "colour", Seen::Value(7)).at(0, 5).stamped(1),
///     Operation::new(1, Kind::Delete, "colour", Seen::Nothing).at(6, 9).stamped(2),
///     Operation::new(2, Kind::Get, "colour", Seen::Value(7)).at(10, 12),
/// ];
/// let history = History { operations, settled_ns: Some(9), ..History::default() };
/// assert_eq!(kadmap_chaos::checker::resurrection(&history).breaches(), 1);
/// ```
pub fn resurrection(history: &History) -> Verdict {
    let mut verdict = Verdict::new("no resurrection", &["resurrected"], &["still seen"]);
    for (key, operations) in by_key(history) {
        let deletes = operations.iter().copied().filter(|operation| operation.kind == Kind::Delete);
        for delete in deletes.filter(|delete| delete.outcome == Outcome::Ok) {
            verdict.judged += 1;
            judge_delete(history, key, delete, &operations, &mut verdict);
        }
    }
    verdict
}

fn judge_delete(
    history: &History,
    key: &str,
    delete: &Operation,
    operations: &[&Operation],
    verdict: &mut Verdict,
) {
    let is_older = |write: &&Operation| match (write.stamp, delete.stamp) {
        (Some(stamp), Some(deleted)) => stamp < deleted,
        // Its stamp is unknown, but nothing can have lifted it above the delete's any more.
        _ => write.end_ns < delete.start_ns && write.outcome == Outcome::Ok,
    };
    let writes = operations.iter().copied().filter(|write| matches!(write.kind, Kind::Put | Kind::Append));
    let gone: Vec<_> = writes.filter(is_older).filter_map(|write| number(&write.value)).collect();
    for read in operations.iter().filter(|read| read.is_answered_read() && read.start_ns > delete.end_ns) {
        let shown = match &read.value {
            Seen::Value(number) => std::slice::from_ref(number),
            Seen::Items(items) => items.as_slice(),
            Seen::Nothing | Seen::Strange(_) => continue,
        };
        if let Some(number) = shown.iter().find(|number| gone.contains(number)) {
            let what = if history.is_strict(read) { "resurrected" } else { "still seen" };
            verdict.add(what, || format!("{number:x} of '{key}', deleted in {delete}, is in {read}"));
        }
    }
}

fn number(value: &Seen) -> Option<u64> {
    match value {
        Seen::Value(number) => Some(*number),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Fault;

    fn write(kind: Kind, number: u64, stamp: u128, start_ns: u64, end_ns: u64) -> Operation {
        Operation::new(1, kind, "x", Seen::Value(number)).at(start_ns, end_ns).stamped(stamp)
    }

    fn delete(stamp: u128, start_ns: u64, end_ns: u64) -> Operation {
        Operation::new(1, Kind::Delete, "x", Seen::Nothing).at(start_ns, end_ns).stamped(stamp)
    }

    fn read(value: Seen, start_ns: u64) -> Operation {
        Operation::new(2, Kind::Get, "x", value).at(start_ns, start_ns + 5)
    }

    /// Of a history with a partition at its beginning.
    fn judged(operations: Vec<Operation>) -> Verdict {
        let cut = Fault { fault: Fault::CUT.to_owned(), target: String::new(), at_ns: 0 };
        resurrection(&History { operations, settled_ns: Some(100), faults: vec![cut], ..History::default() })
    }

    #[test]
    fn a_deleted_value_or_item_must_not_come_back() {
        let value = vec![write(Kind::Put, 1, 1, 0, 5), delete(2, 6, 9), read(Seen::Value(1), 200)];
        assert_eq!(judged(value).count("resurrected"), 1);
        let item = vec![write(Kind::Append, 1, 1, 0, 5), delete(2, 6, 9), read(Seen::Items(vec![1]), 200)];
        assert_eq!(judged(item).count("resurrected"), 1);
    }

    #[test]
    fn what_is_newer_than_the_delete_may_be_there() {
        let newer = vec![delete(2, 6, 9), write(Kind::Put, 1, 3, 10, 15), read(Seen::Value(1), 200)];
        assert_eq!(judged(newer).breaches(), 0);
        let concurrent =
            vec![delete(2, 6, 9), write(Kind::Append, 1, 3, 4, 15), read(Seen::Items(vec![1]), 200)];
        assert_eq!(judged(concurrent).breaches(), 0);
    }

    #[test]
    fn during_the_faults_it_is_told_and_no_breach() {
        let early = vec![write(Kind::Put, 1, 1, 0, 5), delete(2, 6, 9), read(Seen::Value(1), 50)];
        let verdict = judged(early);
        assert_eq!((verdict.breaches(), verdict.count("still seen")), (0, 1));
    }

    #[test]
    fn a_delete_that_was_not_acknowledged_promises_nothing() {
        let unknown = delete(2, 6, 9).with_outcome(Outcome::Info);
        assert_eq!(judged(vec![write(Kind::Put, 1, 1, 0, 5), unknown, read(Seen::Value(1), 200)]).judged, 0);
    }
}
