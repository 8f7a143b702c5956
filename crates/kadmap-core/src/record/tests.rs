//! The laws of merging.

use super::*;
use proptest::prelude::*;

fn any_payload() -> impl Strategy<Value = Option<Payload>> {
    let bytes = prop::collection::vec(any::<u8>(), 0..4);
    prop::option::weighted(0.8, bytes.prop_map(|bytes| Payload::new(Codec::Bytes, bytes)))
}

/// Few distinct stamps, so that bases hide items and fields collide often.
fn any_stamp() -> impl Strategy<Value = Stamp> {
    (1u64..12, 0u64..3).prop_map(|(ms, writer)| Stamp { time: ms << 16, writer })
}

fn any_expiry() -> impl Strategy<Value = Option<u64>> {
    prop::option::weighted(0.3, 0u64..20)
}

fn any_base() -> impl Strategy<Value = Base> {
    let shape = prop_oneof![Just(Shape::Value), Just(Shape::List), Just(Shape::Map)];
    (any_stamp(), shape, any_payload(), any_expiry()).prop_map(|(stamp, shape, payload, expires_ms)| Base {
        stamp,
        shape,
        payload,
        expires_ms,
    })
}

fn any_item() -> impl Strategy<Value = Item> {
    let field = prop::option::of(prop_oneof![Just(Bytes::from("a")), Just(Bytes::from("b"))]);
    (any_stamp(), field, any_payload(), any_expiry()).prop_map(|(stamp, field, payload, expires_ms)| Item {
        stamp,
        field,
        payload,
        expires_ms,
    })
}

fn any_record() -> impl Strategy<Value = Record> {
    (prop::option::of(any_base()), prop::collection::vec(any_item(), 0..8))
        .prop_map(|(base, items)| Record::from_parts(base, items))
}

/// A list as writers make it: each item appended once under its own stamp, some of them removed.
fn any_history() -> impl Strategy<Value = Record> {
    let appended = |number: u64| {
        let payload = Some(Payload::new(Codec::Json, number.to_string()));
        Item { stamp: Stamp { time: number << 16, writer: 1 }, field: None, payload, expires_ms: None }
    };
    let item = (1u64..4, prop::option::of(1u64..4)).prop_map(move |(number, removed)| match removed {
        Some(at) => Item::removed(appended(number).stamp, at),
        None => appended(number),
    });
    prop::collection::vec(item, 0..4).prop_map(|items| Record::from_parts(None, items))
}

fn merged(mut a: Record, b: &Record) -> Record {
    a.merge(b.clone());
    a
}

use bytes::Bytes;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn merge_is_commutative(a in any_record(), b in any_record()) {
        prop_assert_eq!(merged(a.clone(), &b), merged(b, &a));
    }

    #[test]
    fn merge_is_associative(a in any_record(), b in any_record(), c in any_record()) {
        prop_assert_eq!(merged(merged(a.clone(), &b), &c), merged(a, &merged(b, &c)));
    }

    #[test]
    fn merge_is_idempotent_and_says_so(a in any_record(), b in any_record()) {
        let mut both = merged(a, &b);
        let once = both.clone();
        prop_assert!(!both.merge(b));
        prop_assert_eq!(both, once);
    }

    #[test]
    fn merging_the_difference_is_merging_the_whole(a in any_record(), b in any_record()) {
        prop_assert_eq!(merged(b.clone(), &a.difference(&b)), merged(b, &a));
    }

    #[test]
    fn the_difference_is_empty_exactly_when_nothing_is_lacking(a in any_record(), b in any_record()) {
        let lacking = merged(b.clone(), &a) != b;
        prop_assert_eq!(!a.difference(&b).is_empty(), lacking);
    }

    #[test]
    fn no_item_is_at_or_below_the_base(a in any_record(), b in any_record()) {
        let both = merged(a, &b);
        if let Some(base) = both.base() {
            prop_assert!(both.items().all(|item| item.stamp > base.stamp));
        }
    }

    #[test]
    fn expiry_never_touches_what_can_be_read(mut a in any_record(), now in 0u64..40, grace in 0u64..10) {
        let base = a.live_base(now).cloned();
        let items: Vec<_> = a.live_items(now).cloned().collect();
        a.expire(now, grace);
        prop_assert_eq!(a.live_base(now).cloned(), base);
        prop_assert_eq!(a.live_items(now).cloned().collect::<Vec<_>>(), items);
    }

    #[test]
    fn the_next_expiry_is_when_something_first_goes(mut a in any_record(), grace in 0u64..10) {
        match a.next_expiry_ms(grace) {
            None => prop_assert!(!a.expire(u64::MAX - grace, grace)),
            Some(at) => {
                prop_assert!(at == 0 || !a.expire(at - 1, grace));
                prop_assert!(a.expire(at, grace));
            }
        }
    }

    #[test]
    fn of_one_item_the_removed_state_stays_whatever_the_order(
        stamp in any_stamp(), payload in any_payload(), removals in prop::collection::vec(0u64..40, 1..4)
    ) {
        let present = Item { stamp, field: None, payload, expires_ms: None };
        let removed = removals.iter().map(|&at| Record::from(Item::removed(stamp, at)));
        let mut record = Record::from(present.clone());
        removed.for_each(|removal| _ = record.merge(removal));
        prop_assert!(present.payload.is_none() || !record.merge(present.into()));
        let last = removals.iter().max().unwrap();
        let grace_ms = 5;
        prop_assert!(!record.is_live(0));
        prop_assert_eq!(record.next_expiry_ms(grace_ms), Some(stamp.unix_ms().max(*last) + grace_ms));
    }

    #[test]
    fn whoever_has_the_same_version_has_the_same_items(
        one in any_history(), other in any_history()
    ) {
        prop_assert_eq!(one.head().version == other.head().version, one == other);
    }

    #[test]
    fn pages_of_any_size_from_either_end_make_the_whole_list(
        record in any_record(), items_max in 1usize..4, bytes_max in 0usize..400, newest_first: bool
    ) {
        let mut range = ItemRange { newest_first, items_max, bytes_max, ..ItemRange::default() };
        let mut found = Vec::new();
        loop {
            let page = record.items_in(&range);
            prop_assert!(!page.items.is_empty() || page.next.is_none());
            prop_assert!(page.items.len() <= items_max);
            let within = |range: ItemRange| page.items.iter().all(|item| range.contains(item.stamp));
            prop_assert!(within(page.next.map_or(range, |next| range.ending_before(next))));
            found.extend(page.items);
            let Some(next) = page.next else { break };
            range = range.starting_at(next);
        }
        let mut whole: Vec<_> = record.items().filter(|item| item.field.is_none()).cloned().collect();
        if newest_first {
            whole.reverse();
        }
        prop_assert_eq!(found, whole);
    }

    #[test]
    fn cbor_round_trips(a in any_record()) {
        let bytes = minicbor::to_vec(&a).unwrap();
        prop_assert_eq!(minicbor::decode::<Record>(&bytes).unwrap(), a);
    }
}

#[test]
fn an_append_after_a_delete_starts_the_list_anew() {
    let at = |time| Stamp { time, writer: 1 };
    let item = |time| Item {
        stamp: at(time),
        field: None,
        payload: Some(Payload::new(Codec::Json, "1")),
        expires_ms: None,
    };
    let mut record = Record::from_parts(None, [item(1), item(2)]);
    record.merge(Base { stamp: at(3), shape: Shape::Value, payload: None, expires_ms: None }.into());
    record.merge(item(2).into());
    assert!(!record.is_live(0));
    record.merge(item(4).into());
    assert_eq!(record.live_items(0).count(), 1);
}

#[test]
fn equal_content_has_equal_heads_whatever_the_order() {
    let at = |time| Stamp { time, writer: 1 };
    let item = |time| Item {
        stamp: at(time),
        field: None,
        payload: Some(Payload::new(Codec::Json, "1")),
        expires_ms: None,
    };
    let one = Record::from_parts(None, [item(1), item(2)]);
    let mut two = Record::from(item(2));
    assert_ne!(one.head().version, two.head().version);
    two.merge(item(1).into());
    assert_eq!(one.head(), two.head());
}
