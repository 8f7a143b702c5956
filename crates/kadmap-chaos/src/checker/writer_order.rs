//! Whether each writer's items stand in the order in which it appended them, in every read.

use std::collections::HashMap;

use super::{Verdict, by_key};
use crate::history::{History, Seen, item_parts};

/// Judges the reads of a history: `out of order` is a breach.
///
/// An item's number tells its writer and how many that writer had appended before. A double is not out of order.
///
/// ```
/// use kadmap_chaos::{History, Kind, Operation, Seen};
/// let read = Operation::new(1, Kind::Get, "list", Seen::Items(vec![2, 1]));
/// let verdict = kadmap_chaos::checker::writer_order(&History { operations: vec![read], ..History::default() });
/// assert_eq!(verdict.breaches(), 1);
/// ```
pub fn writer_order(history: &History) -> Verdict {
    let mut verdict = Verdict::new("per-writer order", &["out of order"], &[]);
    let mut last: HashMap<u32, u32> = HashMap::new();
    for (key, operations) in by_key(history) {
        for read in operations.iter().filter(|operation| operation.is_answered_read()) {
            let Seen::Items(items) = &read.value else { continue };
            verdict.judged += 1;
            last.clear();
            for (writer, sequence) in items.iter().copied().map(item_parts) {
                let before = last.insert(writer, sequence);
                if let Some(before) = before.filter(|before| *before > sequence) {
                    verdict.add("out of order", || {
                        format!(
                            "item {sequence} of writer {writer} after its item {before} in '{key}' in {read}"
                        )
                    });
                }
            }
        }
    }
    verdict
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::history::{Kind, Operation, item};

    fn breaches(items: Vec<u64>) -> u64 {
        let read = Operation::new(1, Kind::Get, "list", Seen::Items(items));
        writer_order(&History { operations: vec![read], ..History::default() }).breaches()
    }

    #[test]
    fn writers_may_interleave_but_not_overtake_themselves() {
        assert_eq!(breaches(vec![item(1, 0), item(2, 5), item(1, 3), item(2, 6)]), 0);
        assert_eq!(breaches(vec![item(1, 1), item(2, 5), item(1, 0)]), 1);
        assert_eq!(breaches(vec![item(1, 1), item(1, 1)]), 0);
    }

    proptest! {
        #[test]
        fn a_swap_of_two_items_of_one_writer_is_found(count in 2_u32..50, at in 0_u32..50, by in 1_u32..50) {
            let (one, other) = (at % count, (at + by) % count);
            prop_assume!(one != other);
            let mut items: Vec<_> = (0..count).map(|sequence| item(7, sequence)).collect();
            items.swap(one as usize, other as usize);
            prop_assert!(breaches(items) > 0);
        }
    }
}
