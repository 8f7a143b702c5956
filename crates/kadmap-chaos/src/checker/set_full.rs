//! Whether what was appended is read: the set-full analysis of Jepsen, for each item of each list.
//!
//! An item is *known* from its acknowledgement, or from the first read that showed it.
//! With the reads in the order of their calls it is
//! - *stable* when the last read that could have shown it did,
//! - *lost* when it was acknowledged and some read called later than that, and later than every read that showed it,
//!   did not,
//! - *vanished* when that happened to an item that was never acknowledged, about which nothing is promised,
//! - *never read* when no read tells,
//! - *stale* when it is stable, but a read called after it was known lacked it; the lateness is the time between.
//!
//! A read that shows an item twice has it *duplicated*; an item that nobody can have appended is a *phantom*.

use std::collections::HashMap;

use super::{Verdict, by_key};
use crate::history::{History, Kind, Operation, Outcome, Seen, item_parts};

/// What is known of one item.
#[derive(Debug)]
struct Item<'a> {
    append: &'a Operation,
    /// When it was acknowledged, or first seen.
    known_ns: Option<u64>,
    last_present_ns: Option<u64>,
    last_absent_ns: Option<u64>,
    last_absent: Option<&'a Operation>,
}

/// Judges the appends of a history: `lost`, `duplicated` and `phantom` are breaches.
///
/// ```
/// use kadmap_chaos::{History, Kind, Operation, Seen};
/// let operations = vec![
///     Operation::new(1, Kind::Append, "list", Seen::Value(7)).at(0, 5),
///     Operation::new(2, Kind::Get, "list", Seen::Items(vec![])).at(6, 9),
/// ];
/// let verdict = kadmap_chaos::checker::set_full(&History { operations, ..History::default() });
/// assert_eq!(verdict.count("lost"), 1);
/// ```
pub fn set_full(history: &History) -> Verdict {
    let mut verdict = Verdict::new(
        "set-full",
        &["lost", "duplicated", "phantom"],
        &["stable", "stale", "never read", "vanished", "not acknowledged"],
    );
    let mut late_ns = Vec::new();
    for (key, operations) in by_key(history) {
        judge_list(key, &operations, &mut verdict, &mut late_ns);
    }
    verdict.set_late(late_ns);
    verdict
}

fn judge_list(key: &str, operations: &[&Operation], verdict: &mut Verdict, late_ns: &mut Vec<u64>) {
    let mut items = appended(operations);
    if items.is_empty() && !operations.iter().any(|operation| matches!(operation.value, Seen::Items(_))) {
        return;
    }
    // A delete or a put takes a list away on purpose; judging that is for others.
    let is_replaced = operations.iter().any(|operation| matches!(operation.kind, Kind::Put | Kind::Delete));
    for read in operations.iter().copied().filter(|operation| operation.is_answered_read()) {
        let shown = match &read.value {
            Seen::Items(shown) => shown.as_slice(),
            Seen::Nothing => &[],
            Seen::Value(_) => continue,
            Seen::Strange(text) => {
                verdict.add("phantom", || format!("'{key}' reads {text:.60} in {read}"));
                continue;
            }
        };
        let counts = count_shown(key, read, shown, &items, verdict);
        for (number, item) in &mut items {
            item.take_in(read, counts.contains_key(number));
        }
    }
    for (number, item) in &items {
        verdict.judged += 1;
        if !is_replaced {
            item.judge(key, *number, verdict, late_ns);
        }
    }
}

/// Every item that may be there, with its append.
fn appended<'a>(operations: &[&'a Operation]) -> HashMap<u64, Item<'a>> {
    let appends = operations.iter().copied().filter(|operation| operation.kind == Kind::Append);
    let possible = appends.filter(|append| append.outcome != Outcome::Fail);
    let item = |append: &'a Operation| match append.value {
        Seen::Value(number) => Some((number, Item::of(append))),
        _ => None,
    };
    possible.filter_map(item).collect()
}

/// How often a read shows each item; tells of doubles and phantoms.
fn count_shown(
    key: &str,
    read: &Operation,
    shown: &[u64],
    items: &HashMap<u64, Item<'_>>,
    verdict: &mut Verdict,
) -> HashMap<u64, u32> {
    let mut counts: HashMap<u64, u32> = HashMap::with_capacity(shown.len());
    for number in shown {
        *counts.entry(*number).or_default() += 1;
    }
    for (number, count) in &counts {
        if *count > 1 {
            verdict.add("duplicated", || format!("{} is {count} times in '{key}' in {read}", name(*number)));
        }
        if items.get(number).is_none_or(|item| item.append.start_ns > read.end_ns) {
            verdict.add("phantom", || format!("nobody appended {} to '{key}' before {read}", name(*number)));
        }
    }
    counts
}

impl<'a> Item<'a> {
    fn of(append: &'a Operation) -> Self {
        let known_ns = (append.outcome == Outcome::Ok).then_some(append.end_ns);
        Self { append, known_ns, last_present_ns: None, last_absent_ns: None, last_absent: None }
    }

    fn take_in(&mut self, read: &'a Operation, is_shown: bool) {
        if is_shown {
            let first_known = self.known_ns.map_or(read.end_ns, |known_ns| known_ns.min(read.end_ns));
            self.known_ns = Some(first_known);
            self.last_present_ns = self.last_present_ns.max(Some(read.start_ns));
        } else if Some(read.start_ns) > self.last_absent_ns {
            (self.last_absent_ns, self.last_absent) = (Some(read.start_ns), Some(read));
        }
    }

    fn judge(&self, key: &str, number: u64, verdict: &mut Verdict, late_ns: &mut Vec<u64>) {
        let is_acknowledged = self.append.outcome == Outcome::Ok;
        if !is_acknowledged {
            verdict.tally("not acknowledged");
        }
        let is_absent_last = self.last_absent_ns > self.last_present_ns;
        match self.known_ns {
            Some(known_ns) if is_absent_last && self.last_absent_ns > Some(known_ns) => {
                let what = if is_acknowledged { "lost" } else { "vanished" };
                verdict.add(what, || {
                    let read = self.last_absent.map(ToString::to_string).unwrap_or_default();
                    format!("{} of '{key}', appended in {}, is not in {read}", name(number), self.append)
                });
            }
            _ if self.last_present_ns.is_none() || is_absent_last => verdict.tally("never read"),
            known_ns => {
                verdict.tally("stable");
                let late = self.last_absent_ns.zip(known_ns).filter(|(absent, known)| absent > known);
                if let Some((absent_ns, known_ns)) = late {
                    verdict.tally("stale");
                    late_ns.push(absent_ns - known_ns);
                }
            }
        }
    }
}

fn name(number: u64) -> String {
    let (writer, sequence) = item_parts(number);
    format!("item {sequence} of writer {writer}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn append(number: u64, start_ns: u64, end_ns: u64) -> Operation {
        Operation::new(1, Kind::Append, "list", Seen::Value(number)).at(start_ns, end_ns)
    }

    fn read(items: &[u64], start_ns: u64, end_ns: u64) -> Operation {
        Operation::new(2, Kind::Get, "list", Seen::Items(items.to_vec())).at(start_ns, end_ns)
    }

    fn judged(operations: Vec<Operation>) -> Verdict {
        set_full(&History { operations, ..History::default() })
    }

    #[test]
    fn an_item_in_the_last_read_is_stable() {
        let verdict = judged(vec![append(1, 0, 10), read(&[1], 20, 30)]);
        assert_eq!((verdict.count("stable"), verdict.breaches(), verdict.count("stale")), (1, 0, 0));
    }

    #[test]
    fn an_item_that_later_reads_lack_is_lost() {
        let shown_once = vec![append(1, 0, 10), read(&[1], 20, 30), read(&[], 40, 50)];
        assert_eq!(judged(shown_once).count("lost"), 1);
        assert_eq!(judged(vec![append(1, 0, 10), read(&[], 20, 30)]).count("lost"), 1);
    }

    #[test]
    fn an_item_that_was_late_is_stale_for_so_long() {
        let late =
            vec![append(1, 0, 1_000_000), read(&[], 3_000_000, 4_000_000), read(&[1], 5_000_000, 6_000_000)];
        let verdict = judged(late);
        assert_eq!((verdict.count("stale"), verdict.count("lost")), (1, 0));
        assert_eq!(verdict.late_ms, Some([2.0, 2.0, 2.0]));
    }

    #[test]
    fn a_read_called_before_the_acknowledgement_may_lack_the_item() {
        let verdict = judged(vec![append(1, 0, 10), read(&[], 5, 40)]);
        assert_eq!((verdict.count("lost"), verdict.count("never read")), (0, 1));
    }

    #[test]
    fn nothing_is_promised_of_what_was_not_acknowledged() {
        let unknown = append(1, 0, 10).with_outcome(Outcome::Info);
        assert_eq!(judged(vec![unknown.clone(), read(&[], 20, 30)]).count("never read"), 1);
        let verdict = judged(vec![unknown.clone(), read(&[1], 20, 30), read(&[], 40, 50)]);
        assert_eq!((verdict.count("vanished"), verdict.breaches()), (1, 0));
        assert_eq!(judged(vec![unknown, read(&[1], 20, 30)]).count("stable"), 1);
    }

    #[test]
    fn doubles_and_phantoms_are_found() {
        let verdict = judged(vec![append(1, 0, 10), read(&[1, 1, 2], 20, 30)]);
        assert_eq!((verdict.count("duplicated"), verdict.count("phantom")), (1, 1));
        let failed = append(1, 0, 10).with_outcome(Outcome::Fail);
        assert_eq!(judged(vec![failed, read(&[1], 20, 30)]).count("phantom"), 1);
        assert_eq!(judged(vec![append(1, 50, 60), read(&[1], 20, 30)]).count("phantom"), 1);
    }

    #[test]
    fn a_read_that_failed_tells_nothing() {
        let failed = read(&[], 20, 30).with_outcome(Outcome::Fail);
        assert_eq!(judged(vec![append(1, 0, 10), failed]).count("never read"), 1);
    }

    proptest! {
        /// A list in one place that every operation meets in turn: nothing is ever wrong with it.
        #[test]
        fn a_correct_list_has_no_breach(steps in prop::collection::vec(0_u8..3, 1..60)) {
            let (mut list, mut operations) = (Vec::new(), Vec::new());
            for (turn, step) in steps.into_iter().enumerate() {
                let start_ns = turn as u64 * 10;
                if step == 0 {
                    operations.push(read(&list, start_ns, start_ns + 5));
                } else {
                    list.push(turn as u64);
                    operations.push(append(turn as u64, start_ns, start_ns + 5));
                }
            }
            prop_assert_eq!(judged(operations).breaches(), 0);
        }

        /// The same list from which the last read leaves any one item out.
        #[test]
        fn any_item_left_out_is_found(count in 1_u64..40, left_out in 0_u64..40) {
            let left_out = left_out % count;
            let mut operations: Vec<_> =
                (0..count).map(|number| append(number, number * 10, number * 10 + 5)).collect();
            let rest: Vec<_> = (0..count).filter(|number| *number != left_out).collect();
            operations.push(read(&rest, 1_000, 1_010));
            prop_assert_eq!(judged(operations).count("lost"), 1);
        }
    }
}
