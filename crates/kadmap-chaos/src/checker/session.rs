//! Whether a client reads what it has itself written.

use std::collections::{HashMap, HashSet};

use super::Verdict;
use crate::history::{History, Kind, Mark, Operation, Seen};

/// What one client has written under one key so far.
#[derive(Debug, Default)]
struct Own {
    items: Vec<u64>,
    last: Option<Mark>,
    last_number: Option<u64>,
}

/// Judges what each client reads against its own acknowledged writes: `own write missing` is a breach.
///
/// It is only `late` where something had been done to the swarm before the read and not all was settled yet.
/// Only the client's operations that had ended before the read was called count. Another's later write may be there
/// instead; another's earlier one may not.
///
/// ```
/// use kadmap_chaos::{History, Kind, Operation, Seen};
/// let operations = vec![
///     Operation::new(1, Kind::Append, "list", Seen::Value(7)).at(0, 5),
///     Operation::new(1, Kind::Get, "list", Seen::Items(vec![8])).at(6, 9),
/// ];
/// let verdict = kadmap_chaos::checker::session(&History { operations, ..History::default() });
/// assert_eq!(verdict.breaches(), 1);
/// ```
pub fn session(history: &History) -> Verdict {
    let mut verdict = Verdict::new("session", &["own write missing"], &["late"]);
    let stamps = stamps_of_values(history);
    let cut = keys_with(history, &[Kind::Put, Kind::Delete]);
    let deleted = keys_with(history, &[Kind::Delete]);
    let mut own: HashMap<(u32, &str), Own> = HashMap::new();
    // A client's operations do not overlap where this judge is used, so they ended in the order of their calls.
    for operation in &history.operations {
        let mine = own.entry((operation.process, &operation.key)).or_default();
        if operation.is_answered_read() {
            verdict.judged += u64::from(!mine.is_empty());
            let key = operation.key.as_str();
            let others = Others { may_cut: cut.contains(key), may_delete: deleted.contains(key) };
            if !mine.is_in(operation, &stamps, others) {
                let what = if history.is_strict(operation) { "own write missing" } else { "late" };
                verdict.add(what, || format!("'{}' in {operation}", operation.key));
            }
        } else if operation.is_acknowledged_write() {
            mine.take_in(operation);
        }
    }
    verdict
}

/// The stamp of each value that was acknowledged, by key and number.
fn stamps_of_values(history: &History) -> HashMap<(&str, u64), Mark> {
    let puts = history.operations.iter().filter(|operation| operation.kind == Kind::Put);
    let stamp = |put: &'_ Operation| match put.value {
        Seen::Value(number) => Some((number, put.stamp?)),
        _ => None,
    };
    puts.filter_map(|put| stamp(put).map(|(number, mark)| ((put.key.as_str(), number), mark))).collect()
}

/// Keys that anyone tried to change in one of these ways.
fn keys_with<'a>(history: &'a History, kinds: &[Kind]) -> HashSet<&'a str> {
    let writes = history.operations.iter().filter(|operation| kinds.contains(&operation.kind));
    writes.map(|operation| operation.key.as_str()).collect()
}

/// What anyone may have done to what a client wrote.
#[derive(Debug, Clone, Copy)]
struct Others {
    /// Put or deleted in place of a list.
    may_cut: bool,
    may_delete: bool,
}

impl Own {
    fn take_in(&mut self, write: &Operation) {
        match (write.kind, &write.value) {
            (Kind::Append, Seen::Value(number)) => self.items.push(*number),
            (Kind::Put, Seen::Value(number)) => {
                (self.last, self.last_number) = (write.stamp, Some(*number));
            }
            (Kind::Delete, _) => {
                (self.last, self.last_number) = (write.stamp, None);
                self.items.clear();
            }
            _ => {}
        }
    }

    fn is_in(&self, read: &Operation, stamps: &HashMap<(&str, u64), Mark>, others: Others) -> bool {
        match &read.value {
            Seen::Items(items) if !others.may_cut => {
                let shown: HashSet<_> = items.iter().collect();
                self.items.iter().all(|item| shown.contains(item))
            }
            Seen::Value(number) if Some(*number) != self.last_number => {
                // A value of unknown stamp may be newer.
                stamps.get(&(read.key.as_str(), *number)).is_none_or(|stamp| Some(*stamp) >= self.last)
            }
            // Who deleted what when is for the judge of registers to tell.
            Seen::Nothing => self.is_empty() || others.may_delete,
            _ => true,
        }
    }

    fn is_empty(&self) -> bool {
        self.items.is_empty() && self.last_number.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(process: u32, number: u64, stamp: u128) -> Operation {
        Operation::new(process, Kind::Put, "x", Seen::Value(number)).stamped(stamp)
    }

    fn append(process: u32, number: u64) -> Operation {
        Operation::new(process, Kind::Append, "x", Seen::Value(number))
    }

    fn read(process: u32, value: Seen) -> Operation {
        Operation::new(process, Kind::Get, "x", value)
    }

    fn breaches(operations: Vec<Operation>) -> u64 {
        session(&History { operations, ..History::default() }).breaches()
    }

    #[test]
    fn an_own_value_or_a_newer_one_is_read() {
        assert_eq!(breaches(vec![put(1, 1, 1), read(1, Seen::Value(1))]), 0);
        assert_eq!(breaches(vec![put(2, 2, 2), put(1, 1, 1), read(1, Seen::Value(2))]), 0);
        assert_eq!(breaches(vec![put(2, 2, 1), put(1, 1, 2), read(1, Seen::Value(2))]), 1);
        assert_eq!(breaches(vec![put(1, 1, 1), read(1, Seen::Nothing)]), 1);
    }

    #[test]
    fn all_own_items_are_read() {
        assert_eq!(breaches(vec![append(1, 1), append(1, 2), read(1, Seen::Items(vec![1, 2]))]), 0);
        assert_eq!(breaches(vec![append(1, 1), append(1, 2), read(1, Seen::Items(vec![2]))]), 1);
        assert_eq!(breaches(vec![append(1, 1), read(1, Seen::Nothing)]), 1);
        assert_eq!(breaches(vec![append(1, 1), read(2, Seen::Items(vec![]))]), 0);
    }

    #[test]
    fn what_it_has_itself_deleted_may_be_gone() {
        let delete = Operation::new(1, Kind::Delete, "x", Seen::Nothing).stamped(2);
        assert_eq!(breaches(vec![put(1, 1, 1), delete.clone(), read(1, Seen::Nothing)]), 0);
        assert_eq!(breaches(vec![put(1, 1, 1), delete, read(1, Seen::Value(1))]), 1);
    }
}
