//! Laws of the routing table under any sequence of operations.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;

use super::bucket::Limits;
use super::*;
use crate::{Contact, ID_BITS, ID_BYTES, Instant, Key, NodeId};

const OWN: NodeId = NodeId::from_bytes([0; ID_BYTES]);

/// The `n`-th node whose id shares `shared` bits with [`OWN`].
fn peer(shared: usize, n: u8) -> Contact {
    let key = Key::from_bytes(*OWN.as_bytes()).with_bit(shared, true);
    let mut bytes = *key.as_bytes();
    bytes[ID_BYTES - 1] ^= n;
    let address = ([10, 0, u8::try_from(shared % 256).unwrap(), n], 8339).into();
    Contact { id: NodeId::from_bytes(bytes), address }
}

/// As [`peer`], and spread over the bucket as ids are.
fn spread_peer(shared: usize, n: u8) -> Contact {
    let place = NodeId::of_public_key(&[n]).key();
    let place = (0..=shared).fold(place, |place, bit| place.with_bit(bit, bit == shared));
    Contact { id: NodeId::from_bytes(*place.as_bytes()), ..peer(shared, n) }
}

fn small() -> TableConfig {
    TableConfig {
        bucket_size: 2,
        far_bucket_sizes: vec![4, 3],
        replacement_cache: 2,
        failures_before_eviction: 2,
    }
}

fn at(seconds: u64) -> Instant {
    Instant::from_micros(seconds * 1_000_000)
}

fn sorted_by_distance(mut contacts: Vec<Contact>, target: &Key) -> Vec<Contact> {
    contacts.sort_by_key(|contact| contact.id.distance(target));
    contacts
}

#[derive(Debug, Clone)]
enum Operation {
    Verified(usize, u8, u16),
    Failed(usize, u8),
    Remove(usize, u8),
    MarkFilled,
}

fn any_operation() -> impl Strategy<Value = Operation> {
    // Few nodes in few buckets, so that buckets overflow and nodes return.
    let who = || (prop_oneof![0usize..5, 250usize..252], 0u8..8);
    prop_oneof![
        8 => (who(), 1u16..3).prop_map(|((shared, n), port)| Operation::Verified(shared, n, port)),
        6 => who().prop_map(|(shared, n)| Operation::Failed(shared, n)),
        2 => who().prop_map(|(shared, n)| Operation::Remove(shared, n)),
        1 => Just(Operation::MarkFilled),
    ]
}

fn check_invariants(table: &RoutingTable, config: &TableConfig) -> Result<(), TestCaseError> {
    let mut ids = BTreeSet::new();
    let mut sizes = BTreeMap::<usize, (usize, usize, usize)>::new();
    for (bucket, cached, entry) in table.everybody() {
        prop_assert!(ids.insert(entry.id()), "an id is there twice");
        prop_assert_eq!(table.bucket_index(&entry.id().key()), Some(bucket));
        let (entries, live, waiting) = sizes.entry(bucket).or_default();
        match cached {
            true => *waiting += 1,
            false => *entries += 1,
        }
        *live += usize::from(!cached && entry.failures < config.failures_before_eviction);
    }
    prop_assert!(!ids.contains(&OWN));
    for (bucket, (entries, live, waiting)) in &sizes {
        let limits = Limits::of(config, *bucket);
        prop_assert!(*entries <= limits.capacity && *waiting <= limits.cached);
        prop_assert!(*waiting == 0 || *live == limits.capacity, "somebody waits although there is room");
    }
    prop_assert_eq!(table.len(), sizes.values().map(|(_, live, _)| live).sum::<usize>());
    prop_assert_eq!(table.len(), table.iter().count());
    prop_assert_eq!(table.is_empty(), table.iter().next().is_none());
    for info in table.buckets() {
        let (entries, live, waiting) = sizes.get(&info.index).copied().unwrap_or_default();
        prop_assert_eq!((info.live, info.unresponsive, info.cached), (live, entries - live, waiting));
    }
    Ok(())
}

/// Runs one operation and checks what it promises of itself.
fn run(table: &mut RoutingTable, operation: &Operation, now: Instant) -> Result<(), TestCaseError> {
    let before: Vec<Contact> = table.iter().collect();
    match *operation {
        Operation::Verified(shared, n, port) => {
            let mut contact = peer(shared, n);
            contact.address.set_port(port);
            let (room, known) = (table.has_room(&contact.id), table.contact(&contact.id));
            let admission = table.verified(now, contact);
            for old in &before {
                let kept = table.contact(&old.id);
                prop_assert!(kept.is_some(), "a responsive entry was displaced");
                prop_assert!(old.id == contact.id || kept == Some(*old));
            }
            let became_live = table.len() > before.len();
            prop_assert_eq!(room, became_live);
            match admission {
                Admission::Added { .. } => prop_assert!(room && known.is_none()),
                Admission::Refreshed => prop_assert_eq!(known, Some(contact)),
                Admission::AddressChanged => prop_assert!(known.is_some() && known != Some(contact)),
                Admission::Cached => prop_assert!(!room && !table.contains(&contact.id)),
                Admission::Ignored => prop_assert_eq!(contact.id, OWN),
            }
            if !matches!(admission, Admission::Cached) {
                prop_assert_eq!(table.contact(&contact.id), Some(contact));
            }
        }
        Operation::Failed(shared, n) => {
            let id = peer(shared, n).id;
            let known = table.contains(&id);
            match table.failed(&id) {
                Removal::Kept | Removal::Unresponsive => prop_assert!(known && table.contains(&id)),
                Removal::Replaced { by } => {
                    prop_assert!(known && !table.contains(&id) && table.contains(&by.id));
                }
                Removal::Dropped | Removal::Unknown => prop_assert!(!known),
            }
        }
        Operation::Remove(shared, n) => {
            let id = peer(shared, n).id;
            table.remove(&id);
            prop_assert!(!table.contains(&id));
        }
        Operation::MarkFilled => table.mark_filled(),
    }
    Ok(())
}

fn any_contact() -> impl Strategy<Value = Contact> {
    // Ids that agree in their first byte or in all but the last, so that deep and tied cases come up.
    let id = prop_oneof![
        any::<[u8; ID_BYTES]>(),
        any::<[u8; 2]>().prop_map(|[low, high]| {
            let mut bytes = [0; ID_BYTES];
            (bytes[ID_BYTES - 1], bytes[ID_BYTES - 2]) = (low, high & 1);
            bytes
        }),
    ];
    (id, 1u16..)
        .prop_map(|(id, port)| Contact { id: NodeId::from_bytes(id), address: ([127, 0, 0, 1], port).into() })
}

proptest! {
    #[test]
    fn invariants_hold_under_any_operations(operations in prop::collection::vec(any_operation(), 0..200)) {
        let mut table = RoutingTable::new(OWN, small());
        for (step, operation) in operations.iter().enumerate() {
            run(&mut table, operation, at(step as u64))?;
            check_invariants(&table, &small())?;
        }
    }

    #[test]
    fn closest_is_what_brute_force_finds(
        own in any::<[u8; ID_BYTES]>(),
        contacts in prop::collection::vec(any_contact(), 0..300),
        target in prop_oneof![any::<[u8; ID_BYTES]>(), Just([0; ID_BYTES])],
        count in 0usize..60,
        odd_ports_only in any::<bool>(),
    ) {
        let own = NodeId::from_bytes(if odd_ports_only { own } else { [0; ID_BYTES] });
        let target = Key::from_bytes(target);
        let mut table = RoutingTable::new(own, TableConfig::default());
        for contact in &contacts {
            table.verified(at(0), *contact);
        }
        for contact in contacts.iter().take(20) {
            table.failed(&contact.id);
            table.failed(&contact.id);
        }
        let filter = |contact: &Contact| !odd_ports_only || contact.address.port() % 2 == 1;
        let mut expected = sorted_by_distance(table.iter().filter(filter).collect(), &target);
        expected.truncate(count);
        prop_assert_eq!(table.closest(&target, count, filter), expected);
    }

    #[test]
    fn a_random_key_falls_into_its_bucket(own in any::<[u8; ID_BYTES]>(), bucket in 0..ID_BITS, seed: u64) {
        let table: RoutingTable = RoutingTable::new(NodeId::from_bytes(own), TableConfig::default());
        let key = table.random_key_in(bucket, &mut ChaCha8Rng::seed_from_u64(seed));
        prop_assert_eq!(table.bucket_index(&key), Some(bucket));
    }

    #[test]
    fn a_table_that_knows_all_near_holds_every_node_that_showed_up(
        operations in prop::collection::vec(any_operation(), 0..100),
        target in any::<[u8; ID_BYTES]>(),
        count in 1usize..12,
    ) {
        let (mut table, mut present) = (RoutingTable::new(OWN, small()), BTreeMap::new());
        look_around(&mut table);
        for (step, operation) in operations.iter().enumerate() {
            match *operation {
                Operation::Verified(shared, n, port) => {
                    let mut contact = peer(shared, n);
                    contact.address.set_port(port);
                    present.insert(contact.id, contact);
                    table.verified(at(step as u64), contact);
                }
                Operation::Failed(shared, n) | Operation::Remove(shared, n) => {
                    present.remove(&peer(shared, n).id);
                    table.remove(&peer(shared, n).id);
                }
                Operation::MarkFilled => {}
            }
        }
        agree_on_all(&mut table);
        let target = Key::from_bytes(target);
        if table.knows_all_near(&target, count) {
            let mut expected = sorted_by_distance(present.into_values().collect(), &target);
            expected.truncate(count);
            prop_assert_eq!(table.closest(&target, count, |_| true), expected);
        }
    }
}

/// Lookups in all buckets have just ended and have brought nobody new.
fn look_around(table: &mut RoutingTable) {
    table.mark_filled();
    agree_on_all(table);
}

fn agree_on_all(table: &mut RoutingTable) {
    let own = table.own().key();
    table.told_of_nobody_new(&own);
    for bucket in 0..ID_BITS {
        let target = table.random_key_in(bucket, &mut ChaCha8Rng::seed_from_u64(1));
        (0..20).for_each(|_| table.told_of_nobody_new(&target));
    }
}

#[test]
fn the_own_id_never_enters() {
    let mut table = RoutingTable::new(OWN, TableConfig::default());
    let ourselves = Contact { id: OWN, ..peer(0, 0) };
    assert_eq!(table.verified(at(0), ourselves), Admission::Ignored);
    assert!(table.is_empty() && !table.has_room(&OWN) && !table.contains(&OWN));
}

#[test]
fn an_entry_gives_way_after_its_second_missed_probe_to_the_newest_in_the_cache() {
    let mut table = RoutingTable::new(OWN, small());
    for n in 0..4 {
        table.verified(at(0), peer(5, n));
    }
    assert_eq!(table.verified(at(1), peer(5, 2)), Admission::Cached);
    assert_eq!(table.failed(&peer(5, 0).id), Removal::Kept);
    assert_eq!(table.failed(&peer(5, 0).id), Removal::Replaced { by: peer(5, 2) });
    assert_eq!(table.remove(&peer(5, 1).id), Removal::Replaced { by: peer(5, 3) });
    assert_eq!(table.remove(&peer(5, 2).id), Removal::Dropped);
    assert_eq!(table.len(), 1);
}

#[test]
fn an_answer_forgives_missed_probes() {
    let mut table = RoutingTable::new(OWN, small());
    table.verified(at(0), peer(5, 0));
    table.failed(&peer(5, 0).id);
    assert_eq!(table.verified(at(1), peer(5, 0)), Admission::Refreshed);
    assert_eq!(table.failed(&peer(5, 0).id), Removal::Kept);
}

#[test]
fn an_unresponsive_entry_is_not_given_out_until_it_answers() {
    let mut table = RoutingTable::new(OWN, small());
    table.verified(at(0), peer(5, 0));
    table.failed(&peer(5, 0).id);
    assert_eq!(table.failed(&peer(5, 0).id), Removal::Unresponsive);
    assert!(table.is_empty() && table.contains(&peer(5, 0).id) && table.has_room(&peer(5, 0).id));
    assert_eq!(table.unresponsive().collect::<Vec<_>>(), [peer(5, 0)]);
    assert!(table.closest(&Key::MAX, 20, |_| true).is_empty());
    assert_eq!(table.verified(at(1), peer(5, 0)), Admission::Refreshed);
    assert_eq!(table.closest(&Key::MAX, 20, |_| true), [peer(5, 0)]);
}

#[test]
fn a_newcomer_displaces_an_unresponsive_entry_at_once() {
    let mut table = RoutingTable::new(OWN, small());
    table.verified(at(0), peer(5, 0));
    table.verified(at(0), peer(5, 1));
    table.failed(&peer(5, 0).id);
    table.failed(&peer(5, 0).id);
    let replaced = Some(peer(5, 0).id);
    assert_eq!(table.verified(at(1), peer(5, 2)), Admission::Added { replaced });
}

#[test]
fn a_table_knows_all_near_only_when_filled_and_never_full() {
    let mut table = RoutingTable::new(OWN, small());
    table.verified(at(0), peer(5, 0));
    assert!(!table.knows_all_near(&Key::MIN, 20));
    look_around(&mut table);
    assert!(table.knows_all_near(&Key::MIN, 20));
    table.verified(at(0), peer(5, 1));
    assert!(!table.knows_all_near(&Key::MIN, 20), "the bucket is full now");
    table.remove(&peer(5, 1).id);
    assert!(!table.knows_all_near(&Key::MIN, 20), "while it was full, somebody may have been passed over");
    look_around(&mut table);
    assert!(table.knows_all_near(&Key::MIN, 20));
}

#[test]
fn a_bucket_that_was_full_is_not_trusted_again_because_a_few_of_it_have_died() {
    let mut table = RoutingTable::new(OWN, small());
    for n in 0..4 {
        table.verified(at(0), peer(0, n));
    }
    table.remove(&peer(0, 0).id);
    look_around(&mut table);
    assert!(!table.knows_all_near(&Key::MIN, 20), "three of four say nothing of those that were passed over");
    table.remove(&peer(0, 1).id);
    look_around(&mut table);
    assert!(table.knows_all_near(&Key::MIN, 20));
}

#[test]
fn a_bucket_is_trusted_when_so_many_lookups_brought_nobody_new_that_each_of_its_nodes_was_named() {
    let mut table = RoutingTable::new(OWN, TableConfig::default());
    for n in 0..50 {
        table.verified(at(0), spread_peer(0, n));
    }
    table.mark_filled();
    let far = Key::from_bytes(*peer(0, 0).id.as_bytes());
    for _ in 0..3 {
        assert!(!table.knows_all_near(&far, 20), "with 20 in an answer, two lookups name 40 of 50");
        table.told_of_nobody_new(&far);
    }
    assert!(table.knows_all_near(&far, 20));
    table.told_of(&spread_peer(0, 50).id);
    table.verified(at(0), spread_peer(0, 50));
    assert!(!table.knows_all_near(&far, 20), "where one was lacking there may be others");
    table.verified(at(0), peer(1, 0));
    assert!(!table.knows_all_near(&peer(1, 0).id.key(), 1), "nobody was asked there");
}

#[test]
fn a_bucket_of_which_lookups_have_seen_one_half_is_not_trusted() {
    let mut table = RoutingTable::new(OWN, TableConfig::default());
    let half = |of: bool| (0..100).map(|n| spread_peer(0, n)).filter(move |peer| peer.id.key().bit(1) == of);
    half(false).for_each(|peer| _ = table.verified(at(0), peer));
    look_around(&mut table);
    for target in [Key::MIN.with_bit(0, true), Key::MAX] {
        assert!(!table.knows_all_near(&target, 20), "ids are hashes: there must be others in the other half");
    }
    half(true).for_each(|peer| _ = table.verified(at(0), peer));
    look_around(&mut table);
    assert!(table.knows_all_near(&Key::MAX, 20));
}

#[test]
fn what_a_lookup_of_itself_told_holds_for_the_buckets_of_those_that_come_nearer() {
    let mut table = RoutingTable::new(OWN, TableConfig::default());
    for n in 0..15 {
        table.verified(at(0), peer(3, n));
    }
    table.mark_filled();
    table.told_of_nobody_new(&OWN.key());
    assert!(table.knows_all_near(&OWN.key(), 15));
    table.verified(at(0), peer(9, 0));
    assert!(table.knows_all_near(&OWN.key(), 16), "who comes near comes by itself");
}

#[test]
fn a_bucket_farther_than_a_full_one_knows_not_all_of_its_nodes_yet() {
    let mut table = RoutingTable::new(OWN, small());
    table.verified(at(0), peer(0, 0));
    table.verified(at(0), peer(5, 0));
    look_around(&mut table);
    let far = Key::from_bytes(*peer(0, 0).id.as_bytes());
    assert!(table.knows_all_near(&far, 1));
    table.verified(at(0), peer(5, 1));
    assert!(!table.knows_all_near(&far, 1), "thirty times as many belong there");
}

#[test]
fn a_full_far_bucket_does_not_matter_when_enough_are_nearer() {
    let mut table = RoutingTable::new(OWN, small());
    for n in 0..4 {
        table.verified(at(0), peer(0, n));
    }
    table.verified(at(0), peer(5, 0));
    look_around(&mut table);
    assert!(table.knows_all_near(&Key::MIN, 1));
    assert!(!table.knows_all_near(&Key::MIN, 2));
    assert!(!table.knows_all_near(&Key::MAX, 1));
}

#[test]
fn stale_buckets_end_one_past_the_deepest_entry() {
    let mut table = RoutingTable::new(OWN, small());
    let stale =
        |table: &RoutingTable, now| table.stale_buckets(now, Duration::from_secs(60)).collect::<Vec<_>>();
    assert!(stale(&table, at(100)).is_empty());
    table.verified(at(0), peer(2, 0));
    assert!(stale(&table, at(59)).is_empty());
    assert_eq!(stale(&table, at(60)), [0, 1, 2, 3]);
    table.touch(1, at(50));
    table.touch(200, at(50));
    assert_eq!(stale(&table, at(60)), [0, 2, 3]);
    table.remove(&peer(2, 0).id);
    assert!(stale(&table, at(200)).is_empty());
}

#[test]
fn probes_go_to_all_that_are_unseen_and_the_longest_unseen_first() {
    let mut table = RoutingTable::new(OWN, small());
    table.verified(at(5), peer(1, 0));
    table.verified(at(3), peer(5, 0));
    table.verified(at(4), peer(5, 1));
    table.verified(at(90), peer(6, 0));
    let due = |limit| table.probe_candidates(at(100), Duration::from_secs(30), limit);
    assert_eq!(due(10), [peer(5, 0), peer(5, 1), peer(1, 0)]);
    assert_eq!(due(1), [peer(5, 0)]);
}

#[test]
fn a_well_filled_bucket_does_well_without_one_of_many_that_cannot_all_be_known() {
    let mut table = RoutingTable::new(OWN, small());
    table.verified(at(0), peer(0, 0));
    table.verified(at(0), peer(0, 1));
    table.failed(&peer(0, 1).id);
    table.failed(&peer(0, 1).id);
    assert!(!table.does_well_without(&peer(0, 1).id), "one live entry, but there may be no more");
    table.verified(at(0), peer(3, 0));
    table.verified(at(0), peer(3, 1));
    assert!(table.does_well_without(&peer(0, 1).id), "a deeper bucket is full, so there are more");
    assert!(!table.does_well_without(&peer(4, 0).id), "all of the deepest may be known");
    table.remove(&peer(0, 0).id);
    assert!(!table.does_well_without(&peer(0, 1).id), "nobody else is left");
}
