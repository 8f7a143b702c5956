//! Laws that hold for every lookup, whatever it is answered and in whatever order.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;

use crate::lookup::{HopOutcome, Lookup, LookupConfig};
use crate::{Contact, ID_BYTES, Key, NodeId};

const OWN: NodeId = NodeId::from_bytes([0xff; ID_BYTES]);
/// The place that all lookups here aim at: a node's distance is its id.
const TARGET: Key = Key::MIN;
const ROUND_TRIP: Duration = Duration::from_millis(1);

/// The node at this distance from the target.
fn node(distance: u64) -> Contact {
    let mut bytes = [0; ID_BYTES];
    bytes[..8].copy_from_slice(&distance.to_be_bytes());
    Contact { id: NodeId::from_bytes(bytes), address: ([127, 0, 0, 1], 8339).into() }
}

fn elsewhere(mut contact: Contact) -> Contact {
    contact.address.set_port(9);
    contact
}

fn narrow(want: usize, disjoint_paths: usize) -> LookupConfig {
    LookupConfig { want, disjoint_paths, answers_min: 2, ..LookupConfig::default() }
}

fn begin(seeds: &[u64], config: LookupConfig) -> Lookup {
    Lookup::new(TARGET, OWN, seeds.iter().copied().map(node).collect(), config)
}

fn ask_all(lookup: &mut Lookup) -> Vec<Contact> {
    std::iter::from_fn(|| lookup.next()).collect()
}

fn answer(lookup: &mut Lookup, distance: u64, heard: &[u64]) {
    lookup.answered(&node(distance), heard.iter().copied().map(node).collect(), ROUND_TRIP);
}

#[derive(Debug, Clone)]
enum Event {
    Next,
    Answered(prop::sample::Index, Vec<(u64, bool)>),
    Failed(prop::sample::Index),
    Slow(prop::sample::Index),
}

fn any_event() -> impl Strategy<Value = Event> {
    let heard = prop::collection::vec((1u64..60, any::<bool>()), 0..12);
    prop_oneof![
        4 => Just(Event::Next),
        3 => (any::<prop::sample::Index>(), heard).prop_map(|(who, heard)| Event::Answered(who, heard)),
        1 => any::<prop::sample::Index>().prop_map(Event::Failed),
        1 => any::<prop::sample::Index>().prop_map(Event::Slow),
    ]
}

/// Ids and addresses from few, our own and port 0 among them.
fn named((distance, moved): (u64, bool)) -> Contact {
    match distance {
        1 => Contact { id: OWN, ..node(1) },
        2 => Contact { address: ([127, 0, 0, 1], 0).into(), ..node(2) },
        _ if moved => elsewhere(node(distance)),
        _ => node(distance),
    }
}

fn check(lookup: &Lookup, config: &LookupConfig) -> Result<(), TestCaseError> {
    let trace = lookup.trace();
    prop_assert!(trace.len() <= config.requests_max());
    let asked: BTreeSet<Contact> = trace.iter().map(|hop| hop.contact).collect();
    prop_assert_eq!(asked.len(), trace.len(), "somebody was asked twice");
    prop_assert!(asked.iter().all(|contact| contact.id != OWN && contact.address.port() != 0));
    for hop in trace {
        // An answer feeds only the path that asked.
        let told = |teller| {
            trace.iter().any(|other| {
                other.is_answered()
                    && other.contact.id == teller
                    && (other.path, other.depth + 1) == (hop.path, hop.depth)
            })
        };
        prop_assert!(hop.told_by.map_or(hop.depth == 1, told));
    }
    let mut answered: Vec<NodeId> =
        trace.iter().filter(|hop| hop.is_answered()).map(|hop| hop.contact.id).collect();
    answered.sort_by_key(|id| id.distance(&TARGET));
    answered.dedup();
    answered.truncate(config.want);
    let closest: Vec<NodeId> = lookup.closest().iter().map(|contact| contact.id).collect();
    prop_assert_eq!(closest, answered);
    Ok(())
}

proptest! {
    #[test]
    fn every_interleaving_ends_within_the_bounds(
        seeds in prop::collection::vec((1u64..60, any::<bool>()), 0..12),
        events in prop::collection::vec(any_event(), 0..120),
        want in 1usize..8,
        disjoint_paths in 0usize..6,
        parallelism in 0usize..4,
        enough in 1usize..10,
    ) {
        let config = LookupConfig { parallelism, ..narrow(want, disjoint_paths) };
        let seeds = seeds.into_iter().map(named).collect();
        let (mut lookup, mut open) = (Lookup::new(TARGET, OWN, seeds, config.clone()), Vec::new());
        lookup.settle_for(enough);
        for event in events {
            match event {
                Event::Next => open.extend(lookup.next()),
                Event::Answered(who, heard) if !open.is_empty() => {
                    let contact = open.swap_remove(who.index(open.len()));
                    lookup.answered(&contact, heard.into_iter().map(named).collect(), ROUND_TRIP);
                }
                Event::Failed(who) if !open.is_empty() => {
                    lookup.failed(&open.swap_remove(who.index(open.len())));
                }
                Event::Slow(who) if !open.is_empty() => lookup.slow(who.get(&open)),
                _ => {}
            }
            check(&lookup, &config)?;
        }
        lookup.go_on();
        while !lookup.is_done() {
            open.extend(ask_all(&mut lookup));
            prop_assert!(!open.is_empty(), "the lookup waits for nobody");
            open.drain(..).for_each(|contact| lookup.failed(&contact));
            check(&lookup, &config)?;
        }
        prop_assert_eq!(lookup.next(), None);
        prop_assert!(lookup.is_complete());
    }

    #[test]
    fn seeds_known_to_be_complete_are_the_result(
        seeds in prop::collection::vec(1u64..200, 0..60),
        want in 1usize..30,
    ) {
        let mut lookup = begin(&seeds, LookupConfig { want, seeds_known_complete: true, ..narrow(want, 4) });
        let expected: BTreeSet<u64> = seeds.into_iter().collect();
        prop_assert!(lookup.is_done() && lookup.next().is_none() && lookup.trace().is_empty());
        prop_assert_eq!(lookup.closest(), expected.into_iter().take(want).map(node).collect::<Vec<_>>());
    }
}

#[test]
fn a_lookup_without_seeds_is_done_at_once() {
    let lookup = begin(&[], LookupConfig::default());
    assert!(lookup.is_done() && lookup.closest().is_empty());
}

#[test]
fn endless_closer_lies_end_at_the_documented_bound() {
    let config = LookupConfig::default();
    let mut lookup =
        begin(&[u64::MAX / 2, u64::MAX / 2 + 1, u64::MAX / 2 + 2, u64::MAX / 2 + 3], config.clone());
    let mut closer = u64::MAX / 2;
    while let Some(contact) = lookup.next() {
        let heard = (1..=1_000).map(|step| node(closer - step)).collect();
        closer -= 1_000;
        lookup.answered(&contact, heard, ROUND_TRIP);
    }
    assert!(lookup.is_done());
    assert_eq!(lookup.trace().len(), config.requests_max());
}

#[test]
fn one_answer_is_heard_up_to_twice_what_is_wanted() {
    let mut lookup = begin(&[50], narrow(3, 1));
    ask_all(&mut lookup);
    answer(&mut lookup, 50, &[20, 21, 22, 23, 24, 25, 1, 2, 3]);
    let outcome = HopOutcome::Answered { contacts: 9, new: 6, round_trip: ROUND_TRIP };
    assert_eq!(lookup.trace()[0].outcome, outcome);
    assert!(ask_all(&mut lookup).contains(&node(20)));
}

#[test]
fn a_slow_node_frees_its_slot_and_does_not_hold_up_the_end() {
    let mut lookup = begin(&[1, 2, 3], LookupConfig { parallelism: 1, ..narrow(2, 1) });
    assert_eq!(ask_all(&mut lookup), [node(1)]);
    lookup.slow(&node(1));
    assert_eq!(ask_all(&mut lookup), [node(2)]);
    answer(&mut lookup, 2, &[]);
    assert_eq!(ask_all(&mut lookup), [node(3)]);
    answer(&mut lookup, 3, &[]);
    assert!(lookup.is_done());
    assert_eq!(lookup.closest(), [node(2), node(3)]);
}

#[test]
fn slow_nodes_are_among_the_closest_asked_and_failed_ones_and_those_beyond_the_wanted_are_not() {
    let mut lookup = begin(&[1, 2, 3, 4, 5], LookupConfig { parallelism: 5, ..narrow(2, 1) });
    assert_eq!(ask_all(&mut lookup), [node(1), node(2)]);
    lookup.slow(&node(1));
    lookup.failed(&node(2));
    assert_eq!(ask_all(&mut lookup), [node(3), node(4)]);
    lookup.slow(&node(4));
    answer(&mut lookup, 3, &[]);
    assert_eq!(lookup.closest_asked(), [node(1), node(3), node(4)]);
    assert_eq!(ask_all(&mut lookup), [node(5)]);
    answer(&mut lookup, 5, &[]);
    assert!(lookup.is_done());
    assert_eq!(
        (lookup.closest(), lookup.closest_asked()),
        ([3, 5].map(node).into(), [1, 3, 4, 5].map(node).into())
    );
    answer(&mut lookup, 1, &[]);
    assert_eq!(lookup.closest_asked(), [node(1), node(3)], "two that answered are enough");
}

#[test]
fn a_lookup_that_settles_for_fewer_ends_earlier_and_can_go_on_where_it_ended() {
    let mut lookup = begin(&[1, 2, 3, 4, 5], LookupConfig { parallelism: 5, ..narrow(4, 1) });
    lookup.settle_for(2);
    assert_eq!(ask_all(&mut lookup), [node(1), node(2)]);
    lookup.failed(&node(2));
    assert_eq!(ask_all(&mut lookup), [node(3)]);
    answer(&mut lookup, 3, &[6]);
    answer(&mut lookup, 1, &[]);
    assert_eq!((lookup.is_done(), lookup.is_complete()), (true, false));
    assert_eq!(ask_all(&mut lookup), []);
    assert_eq!(lookup.closest_heard(), [1, 3, 4, 5, 6].map(node), "asked or not, but not who failed");
    lookup.go_on();
    assert_eq!(ask_all(&mut lookup), [node(4), node(5)]);
    answer(&mut lookup, 4, &[]);
    answer(&mut lookup, 5, &[]);
    assert!(lookup.is_complete());
    assert_eq!(lookup.closest(), [1, 3, 4, 5].map(node));
}

#[test]
fn a_lookup_that_settles_for_fewer_asks_all_at_once_when_two_are_slow() {
    let mut lookup = begin(&[1, 2, 3, 4, 5, 6, 7], LookupConfig { parallelism: 9, ..narrow(6, 1) });
    lookup.settle_for(3);
    assert_eq!(ask_all(&mut lookup), [1, 2, 3].map(node));
    lookup.slow(&node(1));
    assert_eq!(ask_all(&mut lookup), [node(4)], "one is passed over");
    lookup.slow(&node(2));
    assert_eq!(ask_all(&mut lookup), [5, 6, 7].map(node));
    [5, 3, 4].into_iter().for_each(|distance| answer(&mut lookup, distance, &[]));
    assert_eq!(
        (lookup.is_done(), lookup.is_complete()),
        (true, false),
        "the three closest that are not slow"
    );
}

#[test]
fn a_node_heard_of_at_two_addresses_is_heard_of_once_where_it_answered() {
    let mut lookup = begin(&[10, 20], narrow(3, 2));
    ask_all(&mut lookup);
    lookup.answered(&node(10), vec![elsewhere(node(20))], ROUND_TRIP);
    answer(&mut lookup, 20, &[]);
    assert_eq!(lookup.closest_heard(), [node(10), node(20)]);
}

#[test]
fn a_slow_node_that_answers_late_counts_even_after_the_end() {
    let mut lookup = begin(&[1, 2, 3], narrow(2, 1));
    ask_all(&mut lookup);
    lookup.slow(&node(1));
    answer(&mut lookup, 2, &[]);
    ask_all(&mut lookup);
    answer(&mut lookup, 3, &[]);
    assert!(lookup.is_done());
    answer(&mut lookup, 1, &[0]);
    assert_eq!(lookup.closest(), [node(1), node(2)]);
    assert_eq!(lookup.next(), None);
}

#[test]
fn when_too_few_answer_the_slow_ones_are_awaited() {
    let mut lookup = begin(&[1, 2], narrow(2, 1));
    ask_all(&mut lookup);
    lookup.slow(&node(1));
    answer(&mut lookup, 2, &[]);
    assert!(!lookup.is_done());
    answer(&mut lookup, 1, &[]);
    assert!(lookup.is_done());
    assert_eq!(lookup.closest(), [node(1), node(2)]);
}

#[test]
fn a_node_asked_by_one_path_is_not_asked_by_another() {
    let mut lookup = begin(&[10, 20], narrow(3, 2));
    assert_eq!(ask_all(&mut lookup), [node(10), node(20)]);
    answer(&mut lookup, 10, &[5]);
    assert_eq!(ask_all(&mut lookup), [node(5)]);
    answer(&mut lookup, 20, &[5, 10]);
    assert_eq!(ask_all(&mut lookup), []);
    answer(&mut lookup, 5, &[1]);
    // Only the path that asked goes on to what it was told.
    assert_eq!(ask_all(&mut lookup), [node(1)]);
    assert_eq!(lookup.trace().last().map(|hop| (hop.path, hop.depth)), Some((0, 3)));
    answer(&mut lookup, 1, &[]);
    assert!(lookup.is_done());
}

#[test]
fn honest_nodes_named_with_dead_addresses_are_still_reached() {
    let mut lookup = begin(&[10, 20], narrow(3, 2));
    ask_all(&mut lookup);
    let lie = vec![elsewhere(node(1)), elsewhere(node(2))];
    lookup.answered(&node(10), lie.clone(), ROUND_TRIP);
    assert_eq!(ask_all(&mut lookup), lie);
    lookup.slow(&lie[0]);
    lookup.failed(&lie[1]);
    answer(&mut lookup, 20, &[1, 2]);
    assert_eq!(ask_all(&mut lookup), [node(1), node(2)]);
    answer(&mut lookup, 1, &[]);
    answer(&mut lookup, 2, &[]);
    assert!(lookup.is_done());
    assert_eq!(lookup.closest(), [node(1), node(2), node(10)]);
}

#[test]
fn answers_nobody_asked_for_change_nothing() {
    let mut lookup = begin(&[10], narrow(3, 1));
    ask_all(&mut lookup);
    answer(&mut lookup, 7, &[1]);
    answer(&mut lookup, 10, &[]);
    answer(&mut lookup, 10, &[1]);
    assert!(lookup.is_done());
    assert_eq!(lookup.trace().len(), 1);
}

#[test]
fn two_addresses_of_a_node_are_two_candidates_until_one_answers() {
    let mut lookup = begin(&[10, 20], LookupConfig { parallelism: 10, ..narrow(3, 2) });
    ask_all(&mut lookup);
    answer(&mut lookup, 20, &[1, 2, 3]);
    let lie = [elsewhere(node(1)), elsewhere(node(2)), node(30), node(40)];
    lookup.answered(&node(10), lie.to_vec(), ROUND_TRIP);
    assert_eq!(ask_all(&mut lookup), [lie[0], node(1), lie[1], node(2), node(3)]);
    answer(&mut lookup, 1, &[]);
    answer(&mut lookup, 2, &[]);
    lookup.failed(&lie[0]);
    lookup.failed(&lie[1]);
    // The other path has the answers it needs, so it does not turn to farther candidates.
    assert_eq!(ask_all(&mut lookup), []);
    answer(&mut lookup, 3, &[]);
    assert!(lookup.is_done());
    assert_eq!(lookup.closest(), [node(1), node(2), node(3)]);
}

#[test]
fn a_node_that_answered_is_not_asked_at_another_address() {
    let mut lookup = begin(&[10, 20], narrow(3, 2));
    ask_all(&mut lookup);
    answer(&mut lookup, 10, &[5]);
    ask_all(&mut lookup);
    answer(&mut lookup, 5, &[]);
    lookup.answered(&node(20), vec![elsewhere(node(5))], ROUND_TRIP);
    assert_eq!(ask_all(&mut lookup), []);
    assert!(lookup.is_done());
}
