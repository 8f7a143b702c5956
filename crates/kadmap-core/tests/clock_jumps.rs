//! A wall clock that is set a year ahead or back, and set right again: nothing is lost, and what is refused says why.

mod support;

use std::time::Duration;

use kadmap_core::testing::Network;
use kadmap_core::wire::Refusal;
use kadmap_core::{Change, Config, Event, RecordStore, WriteError, WriteOptions};
use support::{append, items, put, put_change, read, record, swarm, text, write};

const YEAR_MS: i64 = 365 * 24 * 3_600 * 1_000;
const MINUTE: Duration = Duration::from_secs(60);
const NODES: usize = 5;
const WRONG: usize = 2;

fn ttl(ttl: Duration) -> WriteOptions {
    WriteOptions { ttl: Some(ttl), ..WriteOptions::default() }
}

/// The payload under a name as one node reads it, whatever its clock says.
fn payload(network: &mut Network, node: usize, name: &str) -> Option<String> {
    let found = read(network, node, name).unwrap().record?;
    let payload = found.base()?.payload.clone()?;
    Some(String::from_utf8(payload.bytes.to_vec()).unwrap())
}

/// Whether one node holds the payload of a name.
fn holds(network: &mut Network, node: usize, name: &str) -> bool {
    let held = network.with(node, |node, _| node.store_mut().load(&record(name)).unwrap());
    held.is_some_and(|held| held.base().is_some_and(|base| base.payload.is_some()))
}

fn jumps(network: &mut Network, node: usize) -> Vec<i64> {
    network.take_events(node, |event| match event {
        Event::ClockJumped { by_ms } => Some(*by_ms),
        _ => None,
    })
}

/// Things that expire, things that do not, a list and something deleted.
fn filled() -> Network {
    let mut network = swarm(11, NODES, &Config::default());
    put(&mut network, 0, "lasting", "1");
    write(&mut network, 0, "brief", put_change("2"), ttl(240 * MINUTE)).unwrap();
    append(&mut network, 1, "list", "3");
    put(&mut network, 1, "deleted", "4");
    write(&mut network, 1, "deleted", Change::Delete, WriteOptions::default()).unwrap();
    network.run_for(MINUTE);
    network
}

/// What was there before is there, for every reader and on every holder.
fn check_all_is_there(network: &mut Network) {
    for node in 0..NODES {
        assert_eq!(payload(network, node, "lasting").as_deref(), Some("1"), "at {node}");
        assert_eq!(payload(network, node, "brief").as_deref(), Some("2"), "at {node}");
        assert_eq!(items(network, node, "list"), ["3"], "at {node}");
        assert_eq!(payload(network, node, "deleted"), None, "at {node}");
        assert!(holds(network, node, "lasting") && holds(network, node, "brief"), "{node} holds them");
    }
}

#[test]
fn a_clock_that_jumps_a_year_ahead_and_is_set_right_within_the_hour_takes_nothing_away() {
    let mut network = filled();
    network.set_clock_offset_ms(WRONG, YEAR_MS);
    network.run_for(30 * MINUTE);
    assert_eq!(jumps(&mut network, WRONG), [YEAR_MS], "told once");
    for reader in (0..NODES).filter(|reader| *reader != WRONG) {
        assert_eq!(payload(&mut network, reader, "brief").as_deref(), Some("2"), "at {reader} meanwhile");
    }
    assert!(holds(&mut network, WRONG, "brief"), "nothing is swept by a clock that is doubted");
    network.set_clock_offset_ms(WRONG, 0);
    network.run_for(MINUTE);
    assert_eq!(jumps(&mut network, WRONG), [-YEAR_MS]);
    check_all_is_there(&mut network);
}

#[test]
fn what_a_clock_that_stays_a_year_ahead_has_dropped_comes_back_once_it_is_right() {
    let mut network = filled();
    network.set_clock_offset_ms(WRONG, YEAR_MS);
    network.run_for(90 * MINUTE);
    assert!(!holds(&mut network, WRONG, "brief"), "it is believed in the end");
    network.set_clock_offset_ms(WRONG, 0);
    network.run_for(60 * MINUTE);
    check_all_is_there(&mut network);
}

#[test]
fn writes_of_a_clock_a_year_ahead_are_refused_with_the_reason_and_leave_nothing_behind() {
    let mut network = filled();
    network.set_clock_offset_ms(WRONG, YEAR_MS);
    let refused = write(&mut network, WRONG, "lasting", put_change("wrong"), WriteOptions::default());
    let Err(WriteError::Refused { refusal: refusal @ Refusal::ClockAhead { .. }, .. }) = refused else {
        panic!("{refused:?}");
    };
    assert!(refusal.to_string().contains("clock"), "{refusal}");
    let refused = write(
        &mut network,
        WRONG,
        "list",
        Change::Append { payload: text("wrong") },
        WriteOptions::default(),
    );
    assert!(matches!(refused, Err(WriteError::Refused { refusal: Refusal::ClockAhead { .. }, .. })));
    network.set_clock_offset_ms(WRONG, 0);
    network.run_for(MINUTE);
    check_all_is_there(&mut network);
    // Nobody has to wait for a year, the one whose clock was wrong included.
    for writer in 0..NODES {
        put(&mut network, writer, "lasting", "5");
        append(&mut network, writer, "another list", "6");
        for reader in 0..NODES {
            assert_eq!(payload(&mut network, reader, "lasting").as_deref(), Some("5"));
        }
        put(&mut network, writer, "lasting", "1");
    }
    assert_eq!(items(&mut network, WRONG, "another list").len(), NODES);
}

#[test]
fn a_node_that_starts_a_year_ahead_leaves_nothing_behind_that_stands_above_later_writes() {
    let mut network = filled();
    network.set_clock_offset_ms(WRONG, YEAR_MS);
    network.restart(WRONG, Config::default(), &[0]);
    network.run_for(MINUTE);
    assert!(write(&mut network, WRONG, "lasting", put_change("wrong"), WriteOptions::default()).is_err());
    network.set_clock_offset_ms(WRONG, 0);
    network.run_for(40 * MINUTE);
    check_all_is_there(&mut network);
    put(&mut network, WRONG, "lasting", "1");
    check_all_is_there(&mut network);
}

#[test]
fn a_clock_that_jumps_a_year_back_on_a_running_node_changes_nothing_for_its_writes() {
    let mut network = filled();
    network.set_clock_offset_ms(WRONG, -YEAR_MS);
    network.run_for(MINUTE);
    assert_eq!(jumps(&mut network, WRONG), [-YEAR_MS]);
    put(&mut network, WRONG, "lasting", "5");
    append(&mut network, WRONG, "list", "6");
    write(&mut network, WRONG, "brief", put_change("7"), ttl(240 * MINUTE)).unwrap();
    // It refuses what others write, as stamped a year ahead; the others are enough.
    append(&mut network, 0, "list", "8");
    for reader in 0..NODES {
        assert_eq!(payload(&mut network, reader, "lasting").as_deref(), Some("5"), "at {reader}");
        assert_eq!(payload(&mut network, reader, "brief").as_deref(), Some("7"), "at {reader}");
        assert_eq!(items(&mut network, reader, "list"), ["3", "6", "8"], "at {reader}");
    }
    network.set_clock_offset_ms(WRONG, 0);
    network.run_for(30 * MINUTE);
    put(&mut network, 1, "lasting", "1");
    write(&mut network, 1, "brief", put_change("2"), ttl(240 * MINUTE)).unwrap();
    network.run_for(MINUTE);
    for node in 0..NODES {
        assert!(holds(&mut network, node, "lasting") && holds(&mut network, node, "brief"), "{node}");
        assert_eq!(items(&mut network, node, "list"), ["3", "6", "8"], "at {node}");
    }
}

#[test]
fn a_node_that_starts_a_year_back_puts_above_what_is_there_and_catches_up_once_its_clock_is_right() {
    let mut network = filled();
    network.set_clock_offset_ms(WRONG, -YEAR_MS);
    network.restart(WRONG, Config::default(), &[0]);
    network.run_for(MINUTE);
    let written = write(&mut network, WRONG, "lasting", put_change("5"), WriteOptions::default());
    // Either it stands above what was there, or the writer was told; never acknowledged and hidden.
    let expected = if written.is_ok() { "5" } else { "1" };
    for reader in 0..NODES {
        assert_eq!(payload(&mut network, reader, "lasting").as_deref(), Some(expected), "at {reader}");
    }
    network.set_clock_offset_ms(WRONG, 0);
    network.run_for(40 * MINUTE);
    put(&mut network, WRONG, "lasting", "1");
    check_all_is_there(&mut network);
}

#[test]
fn a_lone_node_whose_clock_was_a_year_ahead_for_a_while_writes_on_and_keeps_what_it_had() {
    let mut network = swarm(12, 1, &Config::default());
    write(&mut network, 0, "brief", put_change("2"), ttl(240 * MINUTE)).unwrap();
    network.run_for(MINUTE);
    network.set_clock_offset_ms(0, YEAR_MS);
    network.run_for(30 * MINUTE);
    put(&mut network, 0, "new", "3");
    network.set_clock_offset_ms(0, 0);
    network.run_for(MINUTE);
    assert_eq!(payload(&mut network, 0, "brief").as_deref(), Some("2"));
    assert_eq!(payload(&mut network, 0, "new").as_deref(), Some("3"));
    put(&mut network, 0, "another", "4");
    assert_eq!(payload(&mut network, 0, "another").as_deref(), Some("4"));
}
