//! Watches under virtual time: what they promise, whatever happens to messages and replicas.

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use kadmap_core::testing::{Link, Network};
use kadmap_core::{
    Change, Config, Consistency, Event, ItemId, Limits, News, OperationId, Role, Stamp, WatchError,
    WatchOptions, WriteOptions,
};
use support::*;

fn watch_with(network: &mut Network, node: usize, name: &str, options: WatchOptions) -> OperationId {
    let watch = network.with(node, |node, now| node.watch(now, record(name), options));
    network
        .wait_for(node, |event| match event {
            Event::Watching { operation, result } if *operation == watch => Some(result.clone()),
            _ => None,
        })
        .unwrap();
    watch
}

fn watch(network: &mut Network, node: usize, name: &str) -> OperationId {
    watch_with(network, node, name, WatchOptions::default())
}

/// What a watch has told since it was last asked.
fn news(network: &mut Network, node: usize, watch: OperationId) -> Vec<News> {
    network.take_events(node, |event| match event {
        Event::Changed { operation, news } if *operation == watch => Some(news.clone()),
        _ => None,
    })
}

/// News in short.
fn short(news: &[News]) -> Vec<String> {
    let text = |payload: &Option<kadmap_core::Payload>| {
        payload.as_ref().map_or("-".to_owned(), |payload| String::from_utf8(payload.bytes.to_vec()).unwrap())
    };
    let short = |news: &News| match news {
        News::State(record) if record.is_empty() => "nothing".to_owned(),
        News::State(record) => {
            let base = record.base().map(|base| text(&base.payload));
            let items = record.items().map(|item| text(&item.payload));
            base.into_iter().chain(items).collect::<Vec<_>>().join(" ")
        }
        News::Base(base) => format!("={}", text(&base.payload)),
        News::Item(item) => match &item.field {
            None => format!("+{}", text(&item.payload)),
            Some(field) => format!("{}={}", String::from_utf8_lossy(field), text(&item.payload)),
        },
        News::Expired(id) => format!("expired {}", if id.is_some() { "item" } else { "value" }),
    };
    news.iter().map(short).collect()
}

/// The appended items that were told, as text, by writer, in the order in which they were told.
fn appended(news: &[News]) -> BTreeMap<u64, Vec<String>> {
    let mut writers: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for news in news {
        let News::Item(item) = news else { continue };
        let text = String::from_utf8(item.payload.as_ref().unwrap().bytes.to_vec()).unwrap();
        writers.entry(item.stamp.writer).or_default().push(text);
    }
    writers
}

fn watchers(network: &Network, nodes: usize) -> usize {
    (0..nodes).map(|node| network.node(node).watchers()).sum()
}

fn client(network: &mut Network, through: usize) -> usize {
    let node = network.add(Config { role: Role::Client, ..Config::default() });
    let contact = network.contact(through);
    network.with(node, |node, now| node.join(now, &[contact]));
    node
}

#[test]
fn a_watch_tells_the_state_and_then_each_change_once() {
    for nodes in [1, 2, 3, 5, 32] {
        let mut network = swarm(1, nodes, &Config::default());
        put(&mut network, 0, "colour", "\"red\"");
        let (value, list) =
            (watch(&mut network, nodes - 1, "colour"), watch(&mut network, nodes - 1, "list"));
        put(&mut network, nodes / 2, "colour", "\"blue\"");
        write(&mut network, 0, "colour", Change::Delete, WriteOptions::default()).unwrap();
        for (field, payload) in [("a", "1"), ("b", "2")] {
            let change = Change::PutField { field: field.into(), payload: text(payload) };
            write(&mut network, 0, "colour", change, WriteOptions::default()).unwrap();
        }
        let change = Change::DeleteField { field: "a".into() };
        write(&mut network, 0, "colour", change, WriteOptions::default()).unwrap();
        append(&mut network, 0, "list", "1");
        append(&mut network, nodes - 1, "list", "2");
        network.run_for(Duration::from_millis(60));
        let told = news(&mut network, nodes - 1, value);
        assert_eq!(short(&told), ["\"red\"", "=\"blue\"", "=-", "a=1", "b=2", "a=-"], "{nodes} nodes");
        let told = news(&mut network, nodes - 1, list);
        assert_eq!(short(&told), ["nothing", "+1", "+2"], "{nodes} nodes");
        network.run_for(Duration::from_secs(400));
        assert!(news(&mut network, nodes - 1, value).is_empty(), "{nodes} nodes: renewals tell nothing");
    }
}

#[test]
fn a_client_is_told_and_the_state_is_left_out_when_not_wanted() {
    let mut network = swarm(2, 24, &Config::default());
    put(&mut network, 0, "colour", "\"red\"");
    let client = client(&mut network, 3);
    let options = WatchOptions { initial: false, ..WatchOptions::default() };
    let watch = watch_with(&mut network, client, "colour", options);
    put(&mut network, 7, "colour", "\"blue\"");
    network.run_for(Duration::from_millis(5));
    assert_eq!(short(&news(&mut network, client, watch)), ["=\"blue\""]);
}

#[test]
fn a_change_is_told_as_soon_as_it_is_acknowledged() {
    let mut network = swarm(3, 32, &Config::default());
    let watch = watch(&mut network, 9, "colour");
    for n in 0..20 {
        put(&mut network, n, "colour", &n.to_string());
        network.run_for(Duration::from_micros(600));
        let told = news(&mut network, 9, watch);
        assert_eq!(short(&told).last(), Some(&format!("={n}")));
    }
}

#[test]
fn every_acknowledged_change_is_told_once_and_in_its_writers_order_under_loss() {
    for seed in 0..6 {
        let mut network = swarm(10 + seed, 24, &Config::default());
        let client = client(&mut network, 0);
        let watches: Vec<_> =
            [5, 11, client].into_iter().map(|node| (node, watch(&mut network, node, "list"))).collect();
        network.link = Link {
            delay_min: Duration::from_micros(100),
            delay_max: Duration::from_millis(5),
            loss: 0.1,
            duplicates: 0.1,
        };
        let mut written: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        let mut under_way: BTreeMap<usize, OperationId> = BTreeMap::new();
        for round in 0..40 {
            for writer in [1, 5, 8, 13] {
                let item = format!("\"{writer}.{round}\"");
                let change = Change::Append { payload: text(&item) };
                let options =
                    WriteOptions { timeout: Some(Duration::from_secs(60)), ..WriteOptions::default() };
                under_way.insert(
                    writer,
                    network.with(writer, |node, now| node.write(now, record("list"), change, options)),
                );
                written.entry(writer).or_default().push(item);
            }
            for (&writer, &operation) in &under_way {
                let Event::Written { result, .. } = network.outcome(writer, operation) else {
                    unreachable!()
                };
                result.unwrap();
            }
        }
        network.run_for(Duration::from_secs(30));
        for (node, watch) in watches {
            let told = appended(&news(&mut network, node, watch));
            let mut told: Vec<_> = told.into_values().collect();
            told.sort_by_key(|items| items[0].len() * 1000 + items[0].as_bytes()[1] as usize);
            let mut expected: Vec<_> = written.values().cloned().collect();
            expected.sort_by_key(|items| items[0].len() * 1000 + items[0].as_bytes()[1] as usize);
            assert_eq!(told, expected, "seed {seed}, node {node}");
        }
    }
}

#[test]
fn every_acknowledged_put_is_told_once_in_stamp_order_under_loss() {
    for seed in 0..6 {
        let mut network = swarm(30 + seed, 24, &Config::default());
        let watch = watch(&mut network, 5, "colour");
        let delay_max = Duration::from_millis(5);
        network.link = Link { delay_max, loss: 0.1, duplicates: 0.1, ..Link::default() };
        let mut stamps: Vec<Stamp> = Vec::new();
        for round in 0..60 {
            let options = WriteOptions { timeout: Some(Duration::from_secs(60)), ..WriteOptions::default() };
            let node = round * 7 % 24;
            stamps.push(write(&mut network, node, "colour", put_change("1"), options).unwrap().stamp);
        }
        network.run_for(Duration::from_secs(30));
        let told: Vec<_> = news(&mut network, 5, watch)
            .into_iter()
            .filter_map(|news| if let News::Base(base) = news { Some(base.stamp) } else { None })
            .collect();
        assert!(told.windows(2).all(|pair| pair[0] < pair[1]), "seed {seed}");
        let missed: Vec<_> = stamps.iter().filter(|stamp| !told.contains(stamp)).collect();
        assert!(missed.is_empty(), "seed {seed}: {missed:?}");
    }
}

#[test]
fn the_death_of_any_replica_in_turn_loses_nothing() {
    let nodes = 24;
    let mut network = swarm(50, nodes, &Config::default());
    let client = client(&mut network, 0);
    let watch = watch(&mut network, client, "list");
    let mut expected = Vec::new();
    for dead in 1..nodes {
        network.set_up(dead, false);
        for n in 0..3 {
            let item = format!("\"{dead}.{n}\"");
            append(&mut network, 0, "list", &item);
            expected.push(format!("+{item}"));
        }
        network.run_for(Duration::from_secs(10));
        network.set_up(dead, true);
        network.run_for(Duration::from_millis(50 * dead as u64));
    }
    let told = short(&news(&mut network, client, watch));
    assert_eq!(told[1..], expected);
}

#[test]
fn the_death_of_half_the_swarm_at_once_loses_nothing() {
    let nodes = 40;
    let mut network = swarm(51, nodes, &Config::default());
    let watch = watch(&mut network, 1, "list");
    let mut expected = vec!["nothing".to_owned()];
    for round in 0..3 {
        for dead in (2 + round..nodes).step_by(4) {
            network.set_up(dead, false);
        }
        for n in 0..10 {
            let item = format!("\"{round}.{n}\"");
            append(&mut network, 0, "list", &item);
            expected.push(format!("+{item}"));
        }
    }
    network.run_for(Duration::from_secs(70));
    assert_eq!(short(&news(&mut network, 1, watch)), expected);
}

#[test]
fn a_watcher_frozen_past_its_lease_catches_up() {
    let config = Config { watch_lease: Duration::from_secs(30), ..Config::default() };
    let mut network = swarm(52, 24, &config);
    let watch = watch(&mut network, 23, "list");
    network.set_up(23, false);
    for n in 0..20 {
        append(&mut network, n, "list", &n.to_string());
        network.run_for(Duration::from_secs(10));
    }
    assert_eq!(watchers(&network, 23), 0, "its leases are over");
    network.set_up(23, true);
    network.run_for(Duration::from_secs(15));
    let expected: Vec<_> = (0..20).map(|n| format!("+{n}")).collect();
    assert_eq!(short(&news(&mut network, 23, watch))[1..], expected);
    append(&mut network, 3, "list", "20");
    network.run_for(Duration::from_millis(5));
    assert_eq!(short(&news(&mut network, 23, watch)), ["+20"]);
}

#[test]
fn a_watcher_frozen_for_less_than_its_lease_catches_up_within_seconds() {
    let mut network = swarm(53, 24, &Config::default());
    let watch = watch(&mut network, 23, "list");
    network.run_for(Duration::from_secs(1));
    network.set_up(23, false);
    for n in 0..5 {
        append(&mut network, n, "list", &n.to_string());
    }
    network.run_for(Duration::from_secs(2));
    network.set_up(23, true);
    network.run_for(Duration::from_secs(8));
    assert_eq!(short(&news(&mut network, 23, watch)), ["nothing", "+0", "+1", "+2", "+3", "+4"]);
}

#[test]
fn a_watch_that_has_ended_leaves_nothing_behind() {
    let mut network = swarm(54, 24, &Config::default());
    let client = client(&mut network, 0);
    let nodes = 25;
    let one = watch(&mut network, client, "colour");
    let two = watch(&mut network, client, "colour");
    let three = watch(&mut network, 7, "colour");
    assert!(watchers(&network, nodes) >= 2 * 8);
    network.with(client, |node, now| node.end_watch(now, one));
    network.run_for(Duration::from_secs(1));
    put(&mut network, 0, "colour", "1");
    network.run_for(Duration::from_millis(5));
    assert!(news(&mut network, client, one).len() == 1, "only the first state");
    assert_eq!(short(&news(&mut network, client, two)), ["nothing", "=1"], "the other watch goes on");
    network.with(client, |node, now| node.end_watch(now, two));
    network.with(7, |node, now| node.end_watch(now, three));
    network.run_for(Duration::from_secs(1));
    assert_eq!(watchers(&network, nodes), 0);
    assert!((0..nodes).all(|node| network.node(node).watches() == 0));
}

#[test]
fn the_lease_of_a_watcher_that_is_gone_ends() {
    let mut network = swarm(55, 24, &Config::default());
    let client = client(&mut network, 0);
    watch(&mut network, client, "colour");
    network.set_up(client, false);
    network.run_for(Duration::from_secs(100));
    assert!(watchers(&network, 24) >= 8);
    network.run_for(Duration::from_secs(90));
    assert_eq!(watchers(&network, 24), 0);
}

#[test]
fn a_silent_watcher_is_dropped_with_the_first_change() {
    let mut network = swarm(56, 24, &Config::default());
    let client = client(&mut network, 0);
    watch(&mut network, client, "colour");
    network.set_up(client, false);
    put(&mut network, 0, "colour", "1");
    network.run_for(Duration::from_secs(5));
    assert_eq!(watchers(&network, 24), 0);
}

#[test]
fn a_replica_that_restarts_is_asked_again() {
    let mut network = swarm(57, 3, &Config::default());
    let watch = watch(&mut network, 0, "list");
    // Both others forget all they were told, one after the other, between two renewals.
    for node in [1, 2] {
        network.restart(node, Config::default(), &[0]);
        network.run_for(Duration::from_secs(12));
        append(&mut network, node, "list", &node.to_string());
    }
    network.run_for(Duration::from_secs(1));
    assert_eq!(short(&news(&mut network, 0, watch)), ["nothing", "+1", "+2"]);
}

#[test]
fn newcomers_that_are_closer_are_relied_on_within_seconds() {
    let config = Config { replication: 5, ..Config::default() };
    let mut network = swarm(58, 6, &config);
    let watch = watch(&mut network, 0, "list");
    let mut newcomers: Vec<_> = (0..40).map(|_| network.spawn(config.clone(), &[0])).collect();
    network.run_for(Duration::from_secs(10));
    for n in 0..20 {
        append(&mut network, newcomers.pop().unwrap(), "list", &n.to_string());
    }
    network.run_for(Duration::from_secs(2));
    let expected: Vec<_> = (0..20).map(|n| format!("+{n}")).collect();
    assert_eq!(short(&news(&mut network, 0, watch))[1..], expected);
}

#[test]
fn large_values_are_told_too() {
    let mut network = swarm(59, 24, &Config::default());
    let watch = watch(&mut network, 5, "colour");
    for n in 0..5 {
        let value = format!("\"{}\"", n.to_string().repeat(100_000));
        put(&mut network, n, "colour", &value);
        network.run_for(Duration::from_millis(200));
        assert_eq!(short(&news(&mut network, 5, watch)).pop(), Some(format!("={value}")));
    }
}

#[test]
fn many_writers_to_a_long_list_cause_no_fetches_of_it() {
    let mut network = swarm(60, 24, &Config::default());
    for n in 0..300 {
        append(&mut network, 0, "list", &n.to_string());
    }
    let watch = watch(&mut network, 23, "list");
    network.run_for(Duration::from_secs(1));
    network.link.delay_max = Duration::from_millis(3);
    news(&mut network, 23, watch);
    let (rounds, writers) = (30, 20);
    let served: u64 = (0..24).map(|node| network.node(node).counters().records_served).sum();
    for round in 0..rounds {
        let operations: Vec<_> = (0..writers)
            .map(|writer| {
                let change = Change::Append { payload: text(&format!("{}", round * 100 + writer)) };
                let options = WriteOptions::default();
                (writer, network.with(writer, |node, now| node.write(now, record("list"), change, options)))
            })
            .collect();
        for (writer, operation) in operations {
            network.outcome(writer, operation);
        }
    }
    network.run_for(Duration::from_secs(1));
    let told = appended(&news(&mut network, 23, watch));
    assert_eq!(told.values().map(Vec::len).sum::<usize>(), rounds * writers);
    let served = (0..24).map(|node| network.node(node).counters().records_served).sum::<u64>() - served;
    assert_eq!(served, 0, "the record was fetched {served} times");
}

#[test]
fn what_expires_is_told() {
    let mut network = swarm(61, 8, &Config::default());
    let ttl = |seconds| WriteOptions { ttl: Some(Duration::from_secs(seconds)), ..WriteOptions::default() };
    let (value, list) = (watch(&mut network, 1, "colour"), watch(&mut network, 1, "list"));
    write(&mut network, 0, "colour", put_change("1"), ttl(10)).unwrap();
    let change = Change::Append { payload: text("1") };
    let stamp = write(&mut network, 0, "list", change, ttl(5)).unwrap().stamp;
    network.run_for(Duration::from_secs(4));
    assert_eq!(news(&mut network, 1, list).len(), 2);
    network.run_for(Duration::from_secs(2));
    assert_eq!(news(&mut network, 1, list), [News::Expired(Some(ItemId::Appended(stamp)))]);
    network.run_for(Duration::from_secs(100));
    assert_eq!(short(&news(&mut network, 1, value)), ["nothing", "=1", "expired value"]);
}

#[test]
fn a_paused_watch_goes_on_with_the_state_it_finds() {
    let mut network = swarm(62, 24, &Config::default());
    let watch = watch(&mut network, 5, "list");
    network.with(5, |node, _| node.pause_watch(watch));
    for n in 0..3 {
        append(&mut network, n, "list", &n.to_string());
    }
    network.run_for(Duration::from_secs(20));
    assert_eq!(short(&news(&mut network, 5, watch)), ["nothing"]);
    network.with(5, |node, now| node.resume_watch(now, watch));
    network.run_for(Duration::from_millis(20));
    assert_eq!(short(&news(&mut network, 5, watch)), ["0 1 2"]);
    append(&mut network, 1, "list", "3");
    network.run_for(Duration::from_millis(5));
    assert_eq!(short(&news(&mut network, 5, watch)), ["+3"]);
}

#[test]
fn watches_are_bounded_at_both_ends() {
    let limits = Limits { watches_max: 2, watchers_max: 3, ..Limits::default() };
    let mut network = swarm(63, 3, &Config { limits, ..Config::default() });
    let name = |n: usize| format!("name {n}");
    for n in 0..2 {
        watch(&mut network, 0, &name(n));
    }
    let third = network.with(0, |node, now| node.watch(now, record("third"), WatchOptions::default()));
    let result = |network: &mut Network, node, watch| {
        network.wait_for(node, |event| match event {
            Event::Watching { operation, result } if *operation == watch => Some(result.clone()),
            _ => None,
        })
    };
    assert_eq!(result(&mut network, 0, third), Err(WatchError::TooManyWatches { watches_max: 2 }));
    watch(&mut network, 1, &name(3));
    let refused = network.with(2, |node, now| node.watch(now, record("refused"), WatchOptions::default()));
    assert_eq!(result(&mut network, 2, refused), Err(WatchError::TooFewReplicas { replicas: 0, need: 2 }));
    assert!(network.node(1).counters().watches_refused > 0);
}

#[test]
fn a_write_that_one_replica_acknowledged_is_told_though_no_other_ever_has_it() {
    let mut network = swarm(64, 24, &Config::default());
    let watch = watch(&mut network, 5, "list");
    let operation = network.with(9, |node, now| {
        let consistency = Some(Consistency::One);
        let options = WriteOptions { consistency, ..WriteOptions::default() };
        node.write(now, record("list"), Change::Append { payload: text("1") }, options)
    });
    network.outcome(9, operation);
    network.run_for(Duration::from_millis(1));
    network.set_up(9, false);
    network.run_for(Duration::from_secs(1));
    assert!((0..24).filter(|&node| node != 9).all(|node| network.node(node).usage().records == 0));
    assert_eq!(short(&news(&mut network, 5, watch)), ["nothing", "+1"]);
}

#[test]
fn the_two_sides_of_a_partition_are_told_of_each_other_when_it_is_over() {
    let mut network = swarm(65, 12, &Config::default());
    let (left, right): (Vec<_>, Vec<_>) = (0..12).partition(|node| *node < 6);
    let watch = watch(&mut network, 0, "list");
    network.cut(&left, &right);
    network.run_for(Duration::from_secs(20));
    append(&mut network, 1, "list", "1");
    append(&mut network, 7, "list", "7");
    network.run_for(Duration::from_secs(5));
    assert_eq!(short(&news(&mut network, 0, watch)), ["nothing", "+1"]);
    network.heal();
    network.run_for(Duration::from_secs(120));
    assert_eq!(short(&news(&mut network, 0, watch)), ["+7"]);
}
