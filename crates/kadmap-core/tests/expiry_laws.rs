//! Replicas agree on what has expired, whenever each of them looks.

use std::collections::BTreeSet;

use kadmap_core::{Base, Codec, Item, Payload, Record, Shape, Stamp, Version};
use proptest::prelude::*;

/// Longer than all that happens here.
const LONG_GRACE_MS: u64 = 1_000;

/// One write: a value, a delete, an append, a field or the removal of one; each under a stamp of its own.
fn any_write(number: u64) -> impl Strategy<Value = Record> {
    let stamp = Stamp { time: number << 16, writer: 1 };
    let expiry = prop::option::weighted(0.6, 0u64..20);
    let payload = prop::option::weighted(0.8, Just(Payload::new(Codec::Bytes, number.to_string())));
    (0usize..4, expiry, payload).prop_map(move |(kind, expires_ms, payload)| {
        let expires_ms = expires_ms.filter(|_| payload.is_some());
        let field = [None, Some("a".into()), Some("b".into())];
        match kind {
            0 => Base { stamp, shape: Shape::Value, payload, expires_ms }.into(),
            1 => {
                let payload = Some(Payload::new(Codec::Bytes, number.to_string()));
                Item { stamp, field: None, payload, expires_ms }.into()
            }
            kind => Item { stamp, field: field[kind - 1].clone(), payload, expires_ms }.into(),
        }
    })
}

fn any_writes() -> impl Strategy<Value = Vec<Record>> {
    (1u64..8).prop_flat_map(|count| (1..=count).map(any_write).collect::<Vec<_>>())
}

/// An order of arrival, and when each write arrives.
fn any_arrivals() -> impl Strategy<Value = (u64, BTreeSet<u64>)> {
    (any::<u64>(), prop::collection::btree_set(0u64..20, 0..8))
}

/// A replica that takes the writes in some order while time passes, sweeps at some of the moments, and at the end.
fn replica(writes: &[Record], (order, sweeps): &(u64, BTreeSet<u64>), end_ms: u64, grace_ms: u64) -> Record {
    let mut record = Record::default();
    let mut left: Vec<_> = writes.iter().collect();
    let mut toss = *order;
    for unix_ms in 0..=end_ms {
        let count = if unix_ms == end_ms { left.len() } else { (toss % 3) as usize };
        for _ in 0..count.min(left.len()) {
            toss = toss.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            let mut delta = left.swap_remove((toss >> 33) as usize % left.len()).clone();
            delta.expire(unix_ms, grace_ms);
            record.merge(delta);
        }
        if sweeps.contains(&unix_ms) {
            record.expire(unix_ms, grace_ms);
        }
    }
    record.expire(end_ms, grace_ms);
    record
}

fn version(record: &Record) -> Version {
    record.head().version
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn replicas_that_saw_the_same_writes_hold_the_same_whenever_they_sweep(
        writes in any_writes(), one in any_arrivals(), other in any_arrivals(), end_ms in 0u64..25,
    ) {
        let (one, other) =
            (replica(&writes, &one, end_ms, LONG_GRACE_MS), replica(&writes, &other, end_ms, LONG_GRACE_MS));
        prop_assert_eq!(&one, &other);
        let unexpired = writes.into_iter().fold(Record::default(), |mut all, write| {
            all.merge(write);
            all
        });
        prop_assert_eq!(one.live_base(end_ms), unexpired.live_base(end_ms));
        prop_assert_eq!(
            one.live_items(end_ms).collect::<Vec<_>>(),
            unexpired.live_items(end_ms).collect::<Vec<_>>()
        );
    }

    #[test]
    fn after_an_exchange_replicas_hold_the_same_however_short_the_grace_was(
        writes in any_writes(), one in any_arrivals(), other in any_arrivals(), end_ms in 0u64..40, grace_ms in 0u64..10,
    ) {
        let mut one = replica(&writes, &one, end_ms, grace_ms);
        let mut other = replica(&writes, &other, end_ms, grace_ms);
        one.merge(other.clone());
        other.merge(one.clone());
        prop_assert_eq!(&one, &other);
        // Nothing is left to exchange, and nothing comes back.
        prop_assert!(!one.expire(end_ms, grace_ms));
        prop_assert!(!one.merge(other));
    }

    #[test]
    fn a_replica_that_sweeps_late_brings_nothing_back(
        writes in any_writes(), end_ms in 0u64..40, grace_ms in 0u64..10,
    ) {
        let mut late = Record::default();
        for write in &writes {
            late.merge(write.clone());
        }
        let mut swept = late.clone();
        swept.expire(end_ms, grace_ms);
        let before = swept.clone();
        late.expire(end_ms, grace_ms);
        prop_assert!(!swept.merge(late));
        prop_assert_eq!(swept, before);
    }

    #[test]
    fn burying_changes_no_version_and_frees_the_payload(writes in any_writes(), unix_ms in 0u64..25) {
        let bases_and_fields = writes.into_iter().filter(|write| {
            write.items().all(|item| item.field.is_some())
        });
        let mut record = Record::default();
        bases_and_fields.for_each(|write| _ = record.merge(write));
        let buried = record.clone().without_expired(unix_ms);
        prop_assert_eq!(version(&buried), version(&record));
        let expired = |expires_ms: Option<u64>| expires_ms.is_some_and(|at| at <= unix_ms);
        prop_assert!(buried.base().is_none_or(|base| base.payload.is_none() || !expired(base.expires_ms)));
        prop_assert!(buried.items().all(|item| item.payload.is_none() || !expired(item.expires_ms)));
    }

    #[test]
    fn a_node_whose_clock_is_ahead_takes_nothing_live_from_another(
        writes in any_writes(), unix_ms in 0u64..20, ahead_ms in 0u64..20, grace_ms in 20u64..30,
    ) {
        let mut right = Record::default();
        writes.into_iter().for_each(|write| _ = right.merge(write));
        let mut ahead = right.clone();
        ahead.expire(unix_ms + ahead_ms, grace_ms);
        let (base, items) = (right.live_base(unix_ms).cloned(), right.live_items(unix_ms).cloned().collect::<Vec<_>>());
        right.merge(ahead);
        prop_assert_eq!(right.live_base(unix_ms).cloned(), base);
        prop_assert_eq!(right.live_items(unix_ms).cloned().collect::<Vec<_>>(), items);
    }
}
