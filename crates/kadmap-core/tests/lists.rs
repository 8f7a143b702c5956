//! Lists are looked after under virtual time: items removed, lists trimmed and read in pages.

mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use kadmap_core::testing::{Link, Network};
use kadmap_core::wire::{Put, PutMode, Refusal, Request, Response};
use kadmap_core::{
    Change, Config, Consistency, Event, Item, ItemRange, ItemsOutcome, Limits, OVERHEAD_BYTES, ReadOptions,
    Record, Shape, Stamp, WriteError, WriteOptions, WriteOutcome,
};
use support::*;

fn page(network: &mut Network, node: usize, name: &str, range: ItemRange) -> ItemsOutcome {
    page_with(network, node, name, range, ReadOptions::default())
}

fn page_with(
    network: &mut Network,
    node: usize,
    name: &str,
    range: ItemRange,
    options: ReadOptions,
) -> ItemsOutcome {
    let operation = network.with(node, |node, now| node.items(now, record(name), range, true, options));
    match network.outcome(node, operation) {
        Event::Items { result, .. } => result.unwrap(),
        other => panic!("unexpected {other:?}"),
    }
}

/// All items of a list, read in pages of so many, those that are gone left out.
fn paged(network: &mut Network, node: usize, name: &str, range: ItemRange) -> Vec<Item> {
    paged_with(network, node, name, range, ReadOptions::default())
}

fn paged_with(
    network: &mut Network,
    node: usize,
    name: &str,
    mut range: ItemRange,
    options: ReadOptions,
) -> Vec<Item> {
    let mut all = Vec::new();
    loop {
        let page = page_with(network, node, name, range, options);
        assert!(page.items.len() <= range.items_max);
        all.extend(page.items.into_iter().filter(|item| item.is_live(0)));
        match page.next {
            Some(next) => range = range.starting_at(next),
            None => return all,
        }
    }
}

fn texts(items: &[Item]) -> Vec<String> {
    let payloads = items.iter().map(|item| item.payload.as_ref().unwrap());
    payloads.map(|payload| String::from_utf8(payload.bytes.to_vec()).unwrap()).collect()
}

fn pages_of(items_max: usize) -> ItemRange {
    ItemRange { items_max, ..ItemRange::default() }
}

fn change(network: &mut Network, node: usize, change: Change) -> Result<WriteOutcome, WriteError> {
    write(network, node, "list", change, WriteOptions::default())
}

fn remove(network: &mut Network, node: usize, stamp: Stamp) {
    change(network, node, Change::Remove { stamp }).unwrap();
}

fn trim(network: &mut Network, node: usize, up_to: Stamp) {
    change(network, node, Change::Trim { up_to }).unwrap();
}

#[test]
fn a_removed_item_is_gone_for_every_reader_and_the_others_stay() {
    let mut network = swarm(1, 24, &Config::default());
    let stamps: Vec<_> = (0..5).map(|n| append(&mut network, n, "list", &n.to_string()).stamp).collect();
    remove(&mut network, 9, stamps[1]);
    remove(&mut network, 3, stamps[4]);
    remove(&mut network, 4, stamps[4]);
    for node in 0..24 {
        assert_eq!(items(&mut network, node, "list"), ["0", "2", "3"], "node {node}");
        assert_eq!(texts(&paged(&mut network, node, "list", pages_of(2))), ["0", "2", "3"], "node {node}");
    }
}

#[test]
fn a_removal_of_an_old_item_outlives_the_sweep_and_the_item_does_not_come_back() {
    let mut network = swarm(2, 8, &Config::default());
    let stamp = append(&mut network, 0, "list", "\"old\"").stamp;
    append(&mut network, 0, "list", "\"stays\"");
    network.settle();
    // The item is three days old when it is removed, longer than tombstones are kept.
    network.run_for(Duration::from_secs(3 * 86_400));
    network.set_up(5, false);
    remove(&mut network, 1, stamp);
    network.run_for(Duration::from_secs(3_600));
    network.set_up(5, true);
    network.run_for(Duration::from_secs(7_200));
    for node in 0..8 {
        assert_eq!(items(&mut network, node, "list"), ["\"stays\""], "node {node}");
    }
}

#[test]
fn nothing_can_be_removed_from_what_is_no_list() {
    let mut network = swarm(3, 4, &Config::default());
    let stamp = put(&mut network, 0, "list", "\"red\"").stamp;
    for wanted in [Change::Remove { stamp }, Change::Trim { up_to: stamp }] {
        let error = change(&mut network, 1, wanted).unwrap_err();
        assert!(error.to_string().contains("holds a value, not a list"), "{error}");
    }
    let field = Change::PutField { field: "a".into(), payload: text("1") };
    change(&mut network, 2, Change::Delete).unwrap();
    change(&mut network, 2, field).unwrap();
    // Until every replica has the copy of it.
    network.run_for(Duration::from_millis(200));
    let error = change(&mut network, 3, Change::Trim { up_to: stamp }).unwrap_err();
    assert!(error.to_string().contains("holds a map, not a list"), "{error}");
}

#[test]
fn a_trim_hides_the_oldest_with_one_small_message_and_keeps_the_rest() {
    let mut network = swarm(4, 16, &Config::default());
    let list = Change::Put { payload: text("[-1]"), shape: Shape::List };
    change(&mut network, 0, list).unwrap();
    let mut stamps = Vec::new();
    for n in 0..50 {
        stamps.push(append(&mut network, n % 16, "list", &n.to_string()).stamp);
        // Whoever appends next has a copy, and so stamps above it.
        network.run_for(Duration::from_millis(100));
    }
    trim(&mut network, 7, stamps[46]);
    for node in 0..16 {
        assert_eq!(items(&mut network, node, "list"), ["47", "48", "49"], "node {node}");
        assert_eq!(value(&mut network, node, "list").as_deref(), Some("[]"), "the put list went first");
    }
    let size = change(&mut network, 7, Change::Append { payload: text("50") }).unwrap().size.unwrap();
    assert_eq!(size.bytes, 5 * OVERHEAD_BYTES as u64 + 2 + 4 * 2, "what is dropped counts no more");
    trim(&mut network, 2, stamps[10]);
    assert_eq!(items(&mut network, 3, "list").len(), 4, "a lower floor changes nothing");
}

#[test]
fn whoever_appends_while_a_list_is_trimmed_loses_and_doubles_nothing_above_the_floor() {
    for seed in 0..4 {
        let mut network = swarm(5 + seed, 16, &Config::default());
        network.link =
            Link { delay_max: Duration::from_millis(3), loss: 0.03, duplicates: 0.02, ..Link::default() };
        // One writer's clock is behind: its appends are stamped below floors, and again above them.
        network.set_clock_offset_ms(3, -5_000);
        let mut floor = Stamp::MIN;
        let mut acknowledged = BTreeSet::new();
        for round in 0..10 {
            let mut operations = Vec::new();
            for node in 0..16 {
                let payload = text(&(round * 16 + node).to_string());
                let change = Change::Append { payload };
                let start = |it: &mut kadmap_core::Node<_>, now| {
                    it.write(now, record("list"), change, WriteOptions::default())
                };
                operations.push((node, round * 16 + node, network.with(node, start)));
            }
            if round % 3 == 2 {
                trim(&mut network, 9, floor);
            }
            for (node, number, operation) in operations {
                let Event::Written { result, .. } = network.outcome(node, operation) else { panic!() };
                acknowledged.insert((result.unwrap().stamp, number.to_string()));
            }
            floor = acknowledged.iter().nth(acknowledged.len() / 2).unwrap().0;
        }
        network.settle();
        trim(&mut network, 9, floor);
        let expected: Vec<_> = acknowledged.into_iter().filter(|(stamp, _)| *stamp > floor).collect();
        let expected: Vec<_> = expected.into_iter().map(|(_, number)| number).collect();
        for node in [0, 3, 9, 15] {
            assert_eq!(items(&mut network, node, "list"), expected, "seed {seed}, node {node}");
            assert_eq!(texts(&paged(&mut network, node, "list", pages_of(7))), expected, "seed {seed}");
        }
    }
}

#[test]
fn pages_tell_the_whole_list_whatever_each_replica_lacks() {
    for (seed, items_max, newest_first) in [(20, 1, false), (21, 6, true), (22, 7, false), (23, 512, true)] {
        let mut network = swarm(seed, 20, &Config::default());
        // Each append misses three other replicas, and no repair has run yet.
        let mut stamps = Vec::new();
        for number in 0..40 {
            let away: Vec<_> = (1..20).filter(|node| (node + number) % 7 == 0).collect();
            away.iter().for_each(|&node| network.set_up(node, false));
            stamps.push(append(&mut network, 0, "list", &number.to_string()).stamp);
            away.iter().for_each(|&node| network.set_up(node, true));
        }
        remove(&mut network, 0, stamps[17]);
        let options = ReadOptions { consistency: Some(Consistency::All), ..ReadOptions::default() };
        let range = ItemRange { newest_first, ..pages_of(items_max) };
        let mut found = texts(&paged_with(&mut network, 4, "list", range, options));
        if newest_first {
            found.reverse();
        }
        let expected = (0..40).filter(|number| *number != 17).map(|number| number.to_string());
        assert_eq!(found, expected.collect::<Vec<_>>(), "pages of {items_max}");
    }
}

#[test]
fn a_page_read_repairs_those_that_lack_something_and_asks_one_replica_for_the_page() {
    let mut network = swarm(30, 20, &Config::default());
    network.set_up(6, false);
    for number in 0..30 {
        append(&mut network, 0, "list", &number.to_string());
    }
    network.settle();
    network.set_up(6, true);
    let mut repaired = 0;
    for node in 0..20 {
        repaired += page(&mut network, node, "list", pages_of(10)).repaired;
    }
    assert!(repaired > 0, "somebody has asked the node that was away");
    // Until the returned node has been compared with as well.
    network.run_for(Duration::from_secs(60));
    let before = network.messages_sent;
    let outcome = page(&mut network, 3, "list", pages_of(10));
    let messages = network.messages_sent - before;
    assert_eq!((outcome.repaired, outcome.items.len()), (0, 10));
    // A node that has seen requests get lost of late, as to the one that was away, asks half as many more.
    assert!(messages <= 3 * outcome.need as u64, "{messages} messages for a quorum of {}", outcome.need);
}

#[test]
fn an_empty_page_of_a_missing_list_is_the_word_of_the_whole_replica_set() {
    let mut network = swarm(31, 32, &Config::default());
    let outcome = page(&mut network, 3, "nothing", ItemRange::default());
    assert_eq!((outcome.shape, outcome.answers, outcome.next), (None, 20, None));
}

#[test]
fn a_page_is_bounded_in_items_and_in_bytes() {
    let mut network = swarm(32, 4, &Config::default());
    let large = format!("\"{}\"", "x".repeat(20_000));
    for _ in 0..10 {
        append(&mut network, 0, "list", &large);
    }
    let outcome = page(&mut network, 1, "list", ItemRange { bytes_max: usize::MAX, ..pages_of(usize::MAX) });
    assert_eq!(outcome.items.len(), 3, "64 KiB hold three items of 20 kB");
    assert_eq!(paged(&mut network, 2, "list", ItemRange::default()).len(), 10);
}

#[test]
fn an_append_costs_as_much_on_a_long_list_as_on_a_short_one() {
    let mut network = swarm(33, 8, &Config::default());
    let cost = |network: &mut Network| {
        let before = network.messages_sent;
        append(network, 1, "list", "1");
        network.messages_sent - before
    };
    let short = cost(&mut network);
    for number in 0..400 {
        let change = Change::Append { payload: text(&number.to_string()) };
        network.with(0, |node, now| node.write(now, record("list"), change, WriteOptions::default()));
    }
    network.settle();
    assert!(cost(&mut network) <= short + 2);
    assert_eq!(paged(&mut network, 5, "list", ItemRange::default()).len(), 402);
}

#[test]
fn a_record_that_grows_tells_how_full_it_is_and_a_full_one_names_the_remedy_and_can_be_trimmed() {
    let limits = Limits { record_bytes_max: 2_000, store_bytes_max: 100_000, ..Limits::default() };
    let mut network = swarm(34, 4, &Config { limits, ..Config::default() });
    let mut stamps = Vec::new();
    let mut warned = 0;
    let refusal = loop {
        match change(&mut network, 0, Change::Append { payload: text("12345678") }) {
            Ok(outcome) => {
                stamps.push(outcome.stamp);
                let size = outcome.size.unwrap();
                assert_eq!((size.bytes, size.bytes_max), (stamps.len() as u64 * 136, 2_000));
                warned += usize::from(size.is_nearly_full());
            }
            Err(WriteError::Refused { refusal, .. }) => break refusal,
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(refusal, Refusal::RecordFull { bytes: 15 * 136, bytes_max: 2_000 });
    assert!(refusal.to_string().contains("trim"), "{refusal}");
    assert_eq!((stamps.len(), warned), (14, 3), "the last three writes told that it is nearly full");
    remove(&mut network, 1, stamps[3]);
    trim(&mut network, 2, stamps[9]);
    assert_eq!(items(&mut network, 3, "list").len(), 4);
    append(&mut network, 0, "list", "1");
}

/// What node 1 says to a delta that node 0 sends it as it is.
fn answer_to(network: &mut Network, mode: PutMode, delta: Record) -> Response {
    let id = record("list");
    let put = Put { key: id.key, name: id.name, mode, delta, if_newest: None };
    let to = network.contact(1);
    let operation = network.with(0, |node, now| node.ask(now, to, Request::Put(put)));
    match network.outcome(0, operation) {
        Event::Answered { result, .. } => result.unwrap().0,
        other => panic!("unexpected {other:?}"),
    }
}

#[test]
fn a_removal_from_a_clock_that_is_ahead_and_a_trim_that_is_none_are_refused() {
    let mut network = swarm(35, 4, &Config::default());
    let stamp = append(&mut network, 0, "list", "1").stamp;
    let later = Item::removed(stamp, stamp.unix_ms() + 3_600_000);
    for mode in [PutMode::Publish, PutMode::Replicate] {
        let answer = answer_to(&mut network, mode, later.clone().into());
        assert!(matches!(answer, Response::Refused(Refusal::ClockAhead { .. })), "{answer:?}");
    }
    let removal = Item::removed(stamp, stamp.unix_ms());
    let answer = answer_to(&mut network, PutMode::Trim, removal.into());
    assert!(matches!(answer, Response::Refused(Refusal::Rejected { .. })), "{answer:?}");
    assert_eq!(items(&mut network, 2, "list"), ["1"]);
}

#[test]
fn an_append_that_was_stamped_again_is_read_once_even_where_what_stood_in_its_way_is_unknown() {
    let mut network = swarm(36, 20, &Config::default());
    append(&mut network, 0, "list", "0");
    network.settle();
    // A floor ahead of the others' clocks that only one node has heard of.
    let others: Vec<_> = (1..20).collect();
    network.cut(&[0], &others);
    let unix_ms = network.with(0, |_, now| now.unix_ms);
    let options = WriteOptions { consistency: Some(Consistency::One), ..WriteOptions::default() };
    let floor = Change::Trim { up_to: Stamp::before_ms(unix_ms + 5_000) };
    write(&mut network, 0, "list", floor, options).unwrap();
    network.run_for(Duration::from_secs(1));
    network.heal();
    // The other nodes take the append, then the one that has the floor has it stamped again.
    let all = WriteOptions { consistency: Some(Consistency::All), ..WriteOptions::default() };
    write(&mut network, 1, "list", Change::Append { payload: text("1") }, all).unwrap();
    network.cut(&[0], &others);
    for node in 1..20 {
        let items = items(&mut network, node, "list");
        assert_eq!(items.iter().filter(|item| *item == "1").count(), 1, "node {node}: {items:?}");
    }
}
