//! Writes that reach nodes to which they do not belong.

mod support;

use std::time::Duration;

use kadmap_core::{Config, Role};
use support::*;

/// Nodes by their distance to a name.
#[test]
fn what_a_client_wrote_past_nodes_that_it_took_for_dead_comes_to_whom_it_belongs() {
    let config = Config { replication: 5, ..Config::default() };
    let mut network = swarm(41, 8, &config);
    let (list, nodes) = ("list", by_distance(&network, &[0, 1, 2, 3, 4, 5, 6, 7], "list"));
    // Two that hold nothing of the list.
    let (rest, two) = nodes.split_at(6);
    let client = network.spawn(Config { role: Role::Client, ..config.clone() }, two);
    append(&mut network, client, list, "\"before\"");
    network.run_for(Duration::from_secs(60));
    // The others are cut off long enough to be given up, and are back while the client still takes them for dead.
    network.cut(&[two[0], two[1], client], rest);
    append(&mut network, client, list, "\"cut off\"");
    network.run_for(Duration::from_secs(1));
    network.heal();
    network.run_for(Duration::from_millis(2_500));
    let outcome = append(&mut network, client, list, "\"meanwhile\"");
    assert_eq!(outcome.acks.len(), 2, "the client knows better by now");
    network.run_for(config.repair_interval * 15 / 4);
    for reader in 0..8 {
        let seen = items(&mut network, reader, list);
        assert_eq!(seen, ["\"before\"", "\"cut off\"", "\"meanwhile\""], "node {reader}");
    }
}
