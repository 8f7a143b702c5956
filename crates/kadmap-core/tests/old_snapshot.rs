//! A node whose disk is set back by a week takes nothing from the others and hands out no stamp twice.

mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use kadmap_core::testing::Network;
use kadmap_core::{Config, ItemId, RecordStore, Stamp};
use support::{append, items, put, read, record, swarm, value};

const DAY: Duration = Duration::from_secs(24 * 3_600);
const NODES: usize = 5;
const RESTORED: usize = 1;

fn stamps(network: &mut Network, node: usize, name: &str) -> BTreeSet<Stamp> {
    let found = read(network, node, name).unwrap().record.unwrap();
    found
        .items()
        .map(|item| if let ItemId::Appended(stamp) = item.id() { stamp } else { item.stamp })
        .collect()
}

#[test]
fn a_node_that_is_set_back_by_a_week_catches_up_and_hands_out_no_stamp_twice() {
    let config = Config { repair_interval: DAY / 4, ..Config::default() };
    let mut network = swarm(31, NODES, &config);
    put(&mut network, RESTORED, "value", "old");
    append(&mut network, RESTORED, "list", "1");
    network.run_for(Duration::from_secs(60));
    let snapshot = network.with(RESTORED, |node, _| node.store_mut().clone());

    let mut written = vec!["1".to_owned()];
    for day in 2..9 {
        network.run_for(DAY);
        put(&mut network, RESTORED, "value", &format!("of day {day}"));
        put(&mut network, RESTORED, &format!("only of day {day}"), "kept");
        written.push(day.to_string());
        append(&mut network, RESTORED, "list", &day.to_string());
    }
    network.run_for(Duration::from_secs(60));
    let before = stamps(&mut network, 0, "list");

    network.with(RESTORED, |node, _| *node.store_mut() = snapshot);
    network.restart(RESTORED, config.clone(), &[0]);
    network.run_for(Duration::from_secs(60));
    for reader in 0..NODES {
        assert_eq!(value(&mut network, reader, "value").as_deref(), Some("of day 8"), "at {reader}");
        assert_eq!(items(&mut network, reader, "list"), written, "at {reader}");
    }
    for day in 2..9 {
        let name = record(&format!("only of day {day}"));
        let held = network.with(RESTORED, |node, _| node.store_mut().load(&name).unwrap());
        assert!(held.is_some(), "day {day} is held again");
    }

    // What it writes now is new, and stands above what it wrote in the week that its disk forgot.
    append(&mut network, RESTORED, "list", "9");
    put(&mut network, RESTORED, "value", "new");
    let after = stamps(&mut network, 0, "list");
    let new: Vec<_> = after.difference(&before).collect();
    assert_eq!((new.len(), after.len()), (1, before.len() + 1));
    assert!(before.iter().all(|stamp| stamp < new[0] && stamp.writer != new[0].writer));
    assert_eq!(value(&mut network, 2, "value").as_deref(), Some("new"));
}
