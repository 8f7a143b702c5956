//! A swarm under virtual time keeps its promises.

mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use kadmap_core::testing::{Link, Network};
use kadmap_core::{
    Change, Config, Consistency, Event, OperationId, ReadOptions, Role, Version, WriteError, WriteOptions,
};
use support::*;

#[test]
fn everyone_knows_everyone_in_a_small_swarm() {
    let network = swarm(1, 32, &Config::default());
    for node in 0..32 {
        assert_eq!(network.node(node).contacts().len(), 31, "node {node}");
    }
}

#[test]
fn nodes_that_start_at_once_find_each_other() {
    let mut network = Network::new(2);
    let nodes: Vec<_> = (0..24).map(|_| network.add(Config::default())).collect();
    for &node in &nodes {
        // Each joins through its neighbour, which has not joined itself; the first is alone.
        let through: Vec<_> = (node > 0).then(|| network.contact(node - 1)).into_iter().collect();
        network.with(node, |node, now| node.join(now, &through));
    }
    network.run_for(Duration::from_secs(20));
    for &node in &nodes {
        assert_eq!(network.node(node).contacts().len(), 23, "node {node}");
    }
}

#[test]
fn quorums_count_the_nodes_that_exist() {
    for (count, need) in [(1, 1), (2, 2), (3, 2), (8, 5), (32, 13)] {
        let mut network = swarm(3, count, &Config::default());
        let outcome = put(&mut network, count - 1, "colour", "\"red\"");
        assert_eq!((outcome.need, outcome.replicas), (need, count.min(20)), "{count} nodes");
        assert!(outcome.acks.len() >= need);
        for node in 0..count {
            assert_eq!(
                value(&mut network, node, "colour").as_deref(),
                Some("\"red\""),
                "{count} nodes, node {node}"
            );
        }
    }
}

#[test]
fn a_small_swarm_is_asked_for_nothing_but_the_record() {
    let mut network = swarm(4, 32, &Config::default());
    network.run_for(Duration::from_secs(40));
    let before = network.messages_sent;
    put(&mut network, 5, "colour", "\"red\"");
    let messages = network.messages_sent - before;
    assert!(
        messages <= 2 * 13,
        "a put with a quorum of 13 sent {messages} messages before it was acknowledged"
    );
    network.run_for(Duration::from_millis(300));
    let messages = network.messages_sent - before;
    assert!(messages <= 2 * 20, "{messages} messages for 20 replicas");
    let before = network.messages_sent;
    value(&mut network, 9, "colour");
    assert!(network.messages_sent - before <= 2 * 8);
}

#[test]
fn a_missing_key_is_told_by_the_whole_replica_set() {
    let mut network = swarm(5, 32, &Config::default());
    let outcome = read(&mut network, 7, "nothing").unwrap();
    assert_eq!((outcome.record, outcome.answers, outcome.version), (None, 20, Version::ABSENT));
}

#[test]
fn the_later_put_wins_whatever_the_clocks_say() {
    let mut network = swarm(6, 16, &Config::default());
    network.set_clock_offset_ms(0, 5_000);
    put(&mut network, 0, "colour", "\"red\"");
    put(&mut network, 1, "colour", "\"blue\"");
    for node in 0..16 {
        assert_eq!(value(&mut network, node, "colour").as_deref(), Some("\"blue\""));
    }
}

#[test]
fn a_clock_that_is_far_ahead_is_refused() {
    let mut network = swarm(7, 8, &Config::default());
    network.set_clock_offset_ms(2, 600_000);
    let error = write(&mut network, 2, "colour", put_change("1"), WriteOptions::default()).unwrap_err();
    assert!(matches!(error, WriteError::Refused { .. }), "{error}");
    assert!(error.to_string().contains("clock"), "{error}");
}

#[test]
fn concurrent_appends_are_neither_lost_nor_doubled_under_loss() {
    let mut network = swarm(8, 24, &Config::default());
    network.link = Link {
        delay_min: Duration::from_micros(50),
        delay_max: Duration::from_millis(3),
        loss: 0.05,
        duplicates: 0.02,
    };
    let mut operations = Vec::new();
    for round in 0..20 {
        for node in 0..24 {
            let change = Change::Append { payload: text(&format!("{}", node * 1_000 + round)) };
            let operation =
                network.with(node, |it, now| it.write(now, record("list"), change, WriteOptions::default()));
            operations.push((node, operation));
        }
        network.run_for(Duration::from_millis(2));
    }
    for (node, operation) in operations {
        match network.outcome(node, operation) {
            Event::Written { result, .. } => assert!(result.is_ok(), "{result:?}"),
            other => panic!("unexpected {other:?}"),
        }
    }
    let seen = items(&mut network, 3, "list");
    for node in 0..24 {
        assert_eq!(items(&mut network, node, "list"), seen, "node {node}");
        let own: Vec<usize> =
            seen.iter().map(|item| item.parse().unwrap()).filter(|item| item / 1_000 == node).collect();
        let expected: Vec<_> = (0..20).map(|round| node * 1_000 + round).collect();
        assert_eq!(own, expected, "items of node {node} in its own order");
    }
}

#[test]
fn appending_to_a_value_is_a_shape_error_and_to_a_deleted_key_starts_a_list() {
    let mut network = swarm(9, 8, &Config::default());
    put(&mut network, 0, "colour", "\"red\"");
    let change = Change::Append { payload: text("1") };
    let error = write(&mut network, 1, "colour", change, WriteOptions::default()).unwrap_err();
    assert!(error.to_string().contains("holds a value, not a list"), "{error}");
    write(&mut network, 2, "colour", Change::Delete, WriteOptions::default()).unwrap();
    assert_eq!(value(&mut network, 3, "colour"), None);
    append(&mut network, 4, "colour", "1");
    assert_eq!(items(&mut network, 5, "colour"), ["1"]);
}

#[test]
fn fields_of_many_writers_live_side_by_side() {
    let mut network = swarm(10, 8, &Config::default());
    for node in 0..8 {
        let field = format!("field {node}").into();
        let change = Change::PutField { field, payload: text(&node.to_string()) };
        write(&mut network, node, "map", change, WriteOptions::default()).unwrap();
    }
    let again = Change::PutField { field: "field 3".into(), payload: text("33") };
    write(&mut network, 0, "map", again, WriteOptions::default()).unwrap();
    let gone = Change::DeleteField { field: "field 4".into() };
    write(&mut network, 1, "map", gone, WriteOptions::default()).unwrap();
    assert_eq!(items(&mut network, 7, "map"), ["0", "1", "2", "33", "5", "6", "7"]);
}

#[test]
fn put_if_version_detects_a_lost_race() {
    let mut network = swarm(11, 8, &Config::default());
    let if_absent = WriteOptions { if_version: Some(Version::ABSENT), ..WriteOptions::default() };
    let first = write(&mut network, 0, "lock", put_change("1"), if_absent).unwrap();
    let error = write(&mut network, 1, "lock", put_change("2"), if_absent).unwrap_err();
    assert!(error.to_string().contains(&first.version.to_string()), "{error}");
    let if_first = WriteOptions { if_version: Some(first.version), ..WriteOptions::default() };
    write(&mut network, 2, "lock", put_change("3"), if_first).unwrap();
    assert_eq!(value(&mut network, 3, "lock").as_deref(), Some("3"));
}

#[test]
fn a_lone_node_works_and_its_records_spread_when_others_join() {
    let mut network = Network::new(12);
    let first = network.spawn(Config::default(), &[]);
    put(&mut network, first, "colour", "\"red\"");
    append(&mut network, first, "list", "1");
    let second = network.spawn(Config::default(), &[first]);
    let third = network.spawn(Config::default(), &[second]);
    network.settle();
    network.set_up(first, false);
    network.run_for(Duration::from_secs(2));
    assert_eq!(value(&mut network, second, "colour").as_deref(), Some("\"red\""));
    assert_eq!(items(&mut network, third, "list"), ["1"]);
    assert_eq!(network.node(third).usage().records, 2);
}

#[test]
fn half_the_swarm_may_die_at_once() {
    let mut network = swarm(13, 32, &Config::default());
    for n in 0..200 {
        put(&mut network, n % 32, &format!("key {n}"), &n.to_string());
    }
    network.run_for(Duration::from_millis(200));
    (0..16).for_each(|node| network.set_up(node * 2, false));
    for n in 0..200 {
        let node = (n % 16) * 2 + 1;
        let start = network.now();
        assert_eq!(value(&mut network, node, &format!("key {n}")), Some(n.to_string()));
        let took = network.now().since(start);
        assert!(took < Duration::from_millis(50), "get {n} took {took:?} of virtual time");
        let start = network.now();
        put(&mut network, node, &format!("new {n}"), "1");
        let took = network.now().since(start);
        assert!(took < Duration::from_millis(200), "put {n} took {took:?} of virtual time");
    }
}

#[test]
fn a_leaving_node_hands_over_what_it_alone_holds() {
    let mut network = Network::new(14);
    let first = network.spawn(Config::default(), &[]);
    put(&mut network, first, "colour", "\"red\"");
    let second = network.spawn(Config::default(), &[first]);
    network.wait_for(second, |event| matches!(event, Event::Joined { .. }).then_some(()));
    // Before the hand-over to the newcomer was due.
    network.with(first, |node, now| node.leave(now));
    network.wait_for(first, |event| matches!(event, Event::Left { handed_over: 1 }).then_some(()));
    network.set_up(first, false);
    assert_eq!(value(&mut network, second, "colour").as_deref(), Some("\"red\""));
}

#[test]
fn both_sides_of_a_partition_go_on_and_merge_afterwards() {
    let mut network = swarm(15, 10, &Config::default());
    let (left, right): (Vec<_>, Vec<_>) = (0..10).partition(|node| node % 2 == 0);
    network.cut(&left, &right);
    network.run_for(Duration::from_secs(10));
    append(&mut network, 0, "list", "\"left\"");
    append(&mut network, 1, "list", "\"right\"");
    network.heal();
    network.run_for(Duration::from_secs(60));
    for node in 0..10 {
        let mut seen = items(&mut network, node, "list");
        seen.sort();
        assert_eq!(seen, ["\"left\"", "\"right\""], "node {node}");
    }
}

#[test]
fn a_client_reads_and_writes_but_enters_no_table() {
    let mut network = swarm(16, 12, &Config::default());
    let client = network.spawn(Config { role: Role::Client, ..Config::default() }, &[4]);
    put(&mut network, client, "colour", "\"red\"");
    assert_eq!(value(&mut network, 2, "colour").as_deref(), Some("\"red\""));
    assert_eq!(value(&mut network, client, "colour").as_deref(), Some("\"red\""));
    let id = network.contact(client).id;
    for node in 0..12 {
        assert!(network.node(node).contacts().iter().all(|contact| contact.id != id));
    }
    assert_eq!(network.node(client).usage().records, 0);
}

#[test]
fn who_joins_by_the_address_of_a_client_finds_the_members_and_does_not_take_it_for_one() {
    let mut network = swarm(16, 12, &Config::default());
    let client = network.spawn(Config { role: Role::Client, ..Config::default() }, &[4]);
    assert_eq!(value(&mut network, client, "colour"), None);
    let newcomer = network.spawn(Config::default(), &[client]);
    network.wait_for(newcomer, |event| matches!(event, Event::Joined { .. }).then_some(()));
    network.run_for(Duration::from_secs(60));
    let known = network.node(newcomer).contacts();
    assert_eq!(known.len(), 12);
    assert!(!known.contains(&network.contact(client)));
}

#[test]
fn a_scan_tells_every_name_of_the_swarm_once() {
    // Few replicas in many nodes, so that the walk crosses many regions; more names than one page holds.
    let config = Config { replication: 4, ..Config::default() };
    let mut network = swarm(17, 24, &config);
    let mut expected: Vec<String> = (0..700).map(|n| format!("name {n}")).collect();
    for (n, name) in expected.iter().enumerate() {
        put(&mut network, n % 24, name, "1");
    }
    write(&mut network, 0, "name 5", Change::Delete, WriteOptions::default()).unwrap();
    expected.retain(|name| name != "name 5");
    expected.sort();
    network.run_for(Duration::from_millis(200));
    let operation = network.with(3, |node, now| node.scan(now));
    let mut seen = Vec::new();
    loop {
        let Event::Scanned { names, done, .. } = network.outcome(3, operation) else { unreachable!() };
        seen.extend(names.into_iter().map(|id| String::from_utf8(id.name.to_vec()).unwrap()));
        if done {
            break;
        }
        network.with(3, |node, now| node.continue_scan(now, operation));
    }
    seen.sort();
    assert_eq!(seen, expected);
}

#[test]
fn expired_records_are_neither_read_nor_kept() {
    let mut network = swarm(18, 8, &Config::default());
    let options = WriteOptions { ttl: Some(Duration::from_secs(3)), ..WriteOptions::default() };
    write(&mut network, 0, "list", Change::Append { payload: text("1") }, options).unwrap();
    assert_eq!(items(&mut network, 1, "list"), ["1"]);
    network.run_for(Duration::from_secs(3));
    let outcome = read(&mut network, 1, "list").unwrap();
    let unix_ms = 1_790_000_000_000 + network.now().as_micros() / 1_000;
    assert!(outcome.record.is_none_or(|record| !record.is_live(unix_ms)));
    network.run_for(Duration::from_secs(86_400 + 10));
    for node in 0..8 {
        assert_eq!(network.node(node).usage().records, 0, "node {node}");
    }
}

#[test]
fn consistency_all_needs_every_responsible_node() {
    let mut network = swarm(19, 6, &Config::default());
    let options = WriteOptions { consistency: Some(Consistency::All), ..WriteOptions::default() };
    let outcome = write(&mut network, 0, "colour", put_change("1"), options).unwrap();
    assert_eq!((outcome.acks.len(), outcome.need), (6, 6));
}

#[test]
fn what_is_too_large_never_travels() {
    let mut network = swarm(20, 6, &Config::default());
    let before = network.messages_sent;
    let large = "x".repeat(1024 * 1024 + 1);
    let error = write(&mut network, 0, "large", put_change(&large), WriteOptions::default()).unwrap_err();
    assert_eq!(error, WriteError::ValueTooLarge { bytes: 1024 * 1024 + 1, bytes_max: 1024 * 1024 });
    let error =
        write(&mut network, 0, &"n".repeat(1025), put_change("1"), WriteOptions::default()).unwrap_err();
    assert_eq!(error, WriteError::NameTooLong { bytes: 1025, bytes_max: 1024 });
    assert_eq!(network.messages_sent, before);
}

#[test]
fn a_large_record_whose_transfer_breaks_off_is_fetched_from_another_holder() {
    let mut network = swarm(31, 12, &Config { replication: 4, ..Config::default() });
    let large = "x".repeat(5_000);
    put(&mut network, 0, "large", &large);
    network.link.loss = 0.2;
    for n in 0..60 {
        let start = network.now();
        assert_eq!(value(&mut network, n % 12, "large").as_deref(), Some(&*large), "read {n}");
        let took = network.now().since(start);
        assert!(took < Duration::from_secs(3), "read {n} took {took:?} of virtual time");
    }
}

#[test]
fn a_node_that_joins_is_sent_only_what_it_lacks() {
    let mut network = swarm(32, 6, &Config::default());
    for n in 0..300 {
        put(&mut network, n % 6, &format!("key {n}"), &n.to_string());
    }
    let sent =
        |network: &Network| (0..6).map(|node| network.node(node).counters().requests_sent).sum::<u64>();
    let before = sent(&network);
    network.run_for(Duration::from_secs(3));
    // Everyone came at nearly the same time, so everyone offers; nobody lacks anything.
    let after = sent(&network) - before;
    assert!(after < 150, "{after} requests although nothing was lacking");
}

#[test]
fn what_is_appended_after_a_read_stands_after_what_was_read_whatever_the_clocks_say() {
    let mut network = swarm(33, 12, &Config { replication: 3, ..Config::default() });
    for node in 1..12 {
        network.set_clock_offset_ms(node, -5_000);
    }
    for n in 0..36 {
        let list = format!("list {n}");
        append(&mut network, 0, &list, "first");
        assert_eq!(items(&mut network, 1 + n % 11, &list), ["first"]);
        append(&mut network, 1 + n % 11, &list, "second");
        assert_eq!(items(&mut network, 0, &list), ["first", "second"]);
    }
}

#[test]
fn a_node_that_holds_an_item_appends_after_it_whatever_its_clock_says() {
    let mut network = swarm(34, 2, &Config::default());
    network.set_clock_offset_ms(1, -5_000);
    append(&mut network, 0, "list", "first");
    append(&mut network, 1, "list", "second");
    assert_eq!(items(&mut network, 0, "list"), ["first", "second"]);
}

#[test]
fn an_acknowledged_append_is_in_every_read_however_many_packets_get_lost() {
    for (nodes, loss) in [(3, 0.1), (5, 0.1), (12, 0.1), (24, 0.05)] {
        for seed in 40..48 {
            let mut network = swarm(seed, nodes, &Config::default());
            network.link.loss = loss;
            let mut acknowledged = Vec::new();
            for n in 0..40 {
                let item = n.to_string();
                let change = Change::Append { payload: text(&item) };
                if write(&mut network, n % nodes, "list", change, WriteOptions::default()).is_ok() {
                    acknowledged.push(item);
                }
                // A read may fail for want of answers; it must not succeed with less than was acknowledged.
                let Ok(found) = read(&mut network, (n * 7 + 1) % nodes, "list") else { continue };
                let found: BTreeSet<_> = item_texts(found.record.as_ref()).into_iter().collect();
                let missing = acknowledged.iter().find(|item| !found.contains(*item));
                assert_eq!(missing, None, "{nodes} nodes, seed {seed}, after append {n}");
            }
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let run = |seed| {
        let mut network = swarm(seed, 16, &Config::default());
        network.link.loss = 0.1;
        network.link.duplicates = 0.05;
        for n in 0..40 {
            append(&mut network, n % 16, "list", &n.to_string());
            value(&mut network, (n * 7) % 16, "list");
        }
        network.trace_hash()
    };
    assert_eq!(run(21), run(21));
    assert_ne!(run(21), run(22));
}

#[test]
fn with_one_replica_a_leaving_node_hands_over_everything_it_holds() {
    let config = Config { replication: 1, ..Config::default() };
    let mut network = swarm(23, 3, &config);
    for n in 0..30 {
        put(&mut network, n % 3, &format!("key {n}"), &n.to_string());
    }
    let held = network.node(0).usage().records;
    assert!(held > 0);
    network.with(0, |node, now| node.leave(now));
    network.wait_for(0, |event| {
        matches!(event, Event::Left { handed_over } if *handed_over == held).then_some(())
    });
    network.set_up(0, false);
    for n in 0..30 {
        assert_eq!(value(&mut network, 1 + n % 2, &format!("key {n}")), Some(n.to_string()));
    }
}

#[test]
fn a_node_that_leaves_does_not_wait_for_goodbyes_that_were_answered() {
    let mut network = swarm(24, 8, &Config::default());
    let start = network.now();
    network.with(0, |node, now| node.leave(now));
    network.wait_for(0, |event| matches!(event, Event::Left { .. }).then_some(()));
    let took = network.now().since(start);
    assert!(took < Duration::from_millis(200), "leaving took {took:?} of virtual time");
}

#[test]
fn a_holder_that_is_late_keeps_a_record_from_being_reported_missing() {
    let mut network = swarm(25, 12, &Config::default());
    let one = WriteOptions { consistency: Some(Consistency::One), ..WriteOptions::default() };
    let first = write(&mut network, 0, "colour", put_change("1"), one).unwrap();
    // The only holder stops before its copies go out, and comes back while the reader still hopes.
    let holder = (0..12).find(|&node| network.contact(node).id == first.acks[0]).unwrap();
    assert_eq!(holder, 0, "a member keeps a copy of its own write first");
    network.set_up(holder, false);
    let options = ReadOptions { consistency: Some(Consistency::One), ..ReadOptions::default() };
    let operation = network.with(5, |node, now| node.read(now, record("colour"), options));
    network.run_for(Duration::from_millis(60));
    network.set_up(holder, true);
    let Event::Read { result, .. } = network.outcome(5, operation) else { unreachable!() };
    assert!(result.unwrap().record.is_some());
}

/// What comes of an operation while some nodes take 15 ms longer to answer: nobody is given up for that.
fn while_slow(
    network: &mut Network,
    node: usize,
    slow: &[usize],
    begin: impl FnOnce(&mut Network) -> OperationId,
) -> Event {
    network.cut(&[node], slow);
    let operation = begin(network);
    network.run_for(Duration::from_millis(15));
    network.heal();
    network.outcome(node, operation)
}

#[test]
fn what_was_acknowledged_is_read_although_other_nodes_are_slow_than_when_it_was_written() {
    let mut network = swarm(70, 32, &Config::default());
    network.run_for(Duration::from_secs(40));
    // Clients know nobody's neighbourhood and look for it each time.
    let client = Config { role: Role::Client, ..Config::default() };
    let [writer, reader] = [0, 1].map(|_| network.spawn(client.clone(), &[4, 5, 6]));
    for n in 0..20 {
        put(&mut network, writer, &format!("measured {n}"), "1");
        assert!(value(&mut network, reader, &format!("measured {n}")).is_some());
    }
    let (left, right): (Vec<_>, Vec<_>) = (0..32).partition(|node| node % 2 == 0);
    for n in 0..20 {
        let id = record(&format!("key {n}"));
        let written = while_slow(&mut network, writer, &left, |network| {
            let write = WriteOptions::default();
            network.with(writer, |node, now| node.write(now, id.clone(), put_change("1"), write))
        });
        assert!(matches!(&written, Event::Written { result: Ok(_), .. }), "{written:?}");
        let found = while_slow(&mut network, reader, &right, |network| {
            network.with(reader, |node, now| node.read(now, id, ReadOptions::default()))
        });
        let Event::Read { result: Ok(outcome), .. } = found else { panic!("key {n}: {found:?}") };
        assert!(outcome.record.is_some(), "key {n}: none of {} has it", outcome.answers);
    }
}
