//! What a read finds while all nodes that hold a record stand still for a moment, as processes on a busy machine do.
//!
//! Found by `kadmap-chaos soak`, beside four simulations on two cores: ten of 311,760 reads were told by five nodes, which
//! stood in for the five holders, that nothing was there.

mod support;

use std::time::Duration;

use kadmap_core::testing::Network;
use kadmap_core::{Config, Event, ItemRange, ReadOptions, Role};
use support::{append, by_distance, put, record, swarm, value};

const REPLICATION: usize = 5;
const NODES: usize = 12;
/// Longer than four attempts take, shorter than a user has patience.
const STANDSTILL: Duration = Duration::from_millis(900);
/// What a read may take of which the holders are dead: both looks, and the way to them.
const TOLD_AFTER_MAX: Duration = Duration::from_secs(4);

/// A swarm that holds a value and a list, whoever reads them, and the holders of the value and those of the list.
struct Scene {
    network: Network,
    reader: usize,
    holders: [Vec<usize>; 2],
}

impl Scene {
    fn new(seed: u64, role: Role) -> Self {
        let config = Config { replication: REPLICATION, ..Config::default() };
        let mut network = swarm(seed, NODES, &config);
        let reader = network.spawn(Config { role, ..config }, &[0]);
        network.settle();
        put(&mut network, reader, "value", "\"there\"");
        append(&mut network, reader, "list", "\"there\"");
        let others: Vec<_> = (0..NODES).collect();
        let holders =
            ["value", "list"].map(|name| by_distance(&network, &others, name)[..REPLICATION].to_vec());
        Self { network, reader, holders }
    }

    fn set_up(&mut self, nodes: &[usize], up: bool) {
        nodes.iter().for_each(|&node| self.network.set_up(node, up));
    }
}

#[test]
fn a_value_is_found_whose_holders_all_stand_still_for_a_moment() {
    for (seed, role) in (0..10).zip([Role::Client, Role::Member].into_iter().cycle()) {
        let mut scene = Scene::new(seed, role);
        let holders = scene.holders[0].clone();
        scene.set_up(&holders, false);
        // The second one begins when the reader already knows who is silent.
        let begin = |scene: &mut Scene| {
            let options = ReadOptions::default();
            scene.network.with(scene.reader, |node, now| node.read(now, record("value"), options))
        };
        let first = begin(&mut scene);
        scene.network.run_for(STANDSTILL / 2);
        let second = begin(&mut scene);
        scene.network.run_for(STANDSTILL / 2);
        scene.set_up(&holders, true);
        for operation in [first, second] {
            let Event::Read { result, .. } = scene.network.outcome(scene.reader, operation) else { panic!() };
            let found = result.as_ref().is_ok_and(|outcome| outcome.record.is_some());
            assert!(found, "seed {seed}, {role:?}: {result:?}");
        }
    }
}

#[test]
fn items_are_found_whose_holders_all_stand_still_for_a_moment() {
    for (seed, role) in (0..10).zip([Role::Client, Role::Member].into_iter().cycle()) {
        let mut scene = Scene::new(seed, role);
        let holders = scene.holders[1].clone();
        scene.set_up(&holders, false);
        let options = ReadOptions::default();
        let operation = scene.network.with(scene.reader, |node, now| {
            node.items(now, record("list"), ItemRange::default(), false, options)
        });
        scene.network.run_for(STANDSTILL);
        scene.set_up(&holders, true);
        let Event::Items { result, .. } = scene.network.outcome(scene.reader, operation) else { panic!() };
        let found = result.as_ref().is_ok_and(|outcome| outcome.items.len() == 1);
        assert!(found, "seed {seed}, {role:?}: {result:?}");
    }
}

/// As where many reads begin at once on a busy machine: those asked first are all late, those asked in their place are not, and
/// by then whoever was late has been heard again.
#[test]
fn a_value_is_found_whose_holders_all_answer_too_late() {
    for (seed, role) in (0..10).zip([Role::Client, Role::Member].into_iter().cycle()) {
        let mut scene = Scene::new(seed, role);
        let set_delay = |scene: &mut Scene, ms| {
            scene.network.link.delay_min = Duration::from_millis(ms);
            scene.network.link.delay_max = Duration::from_millis(ms);
        };
        set_delay(&mut scene, 200);
        let options = ReadOptions::default();
        let operation =
            scene.network.with(scene.reader, |node, now| node.read(now, record("value"), options));
        scene.network.run_for(Duration::from_millis(290));
        set_delay(&mut scene, 60);
        let Event::Read { result, .. } = scene.network.outcome(scene.reader, operation) else { panic!() };
        let found = result.as_ref().is_ok_and(|outcome| outcome.record.is_some());
        assert!(found, "seed {seed}, {role:?}: {result:?}");
    }
}

#[test]
fn nobody_waits_long_for_holders_that_are_dead() {
    for seed in 0..10 {
        let mut scene = Scene::new(seed, Role::Client);
        let holders = scene.holders[0].clone();
        scene.set_up(&holders, false);
        let start = scene.network.now();
        // Who has more patience than this waits once; afterwards the dead are known to be dead.
        while scene.network.now().since(start) < Duration::from_secs(15) {
            let begun = scene.network.now();
            assert_eq!(value(&mut scene.network, scene.reader, "value"), None, "seed {seed}");
            let took = scene.network.now().since(begun);
            assert!(took < TOLD_AFTER_MAX, "seed {seed}: {took:?}");
            scene.network.run_for(Duration::from_millis(100));
        }
        let begun = scene.network.now();
        value(&mut scene.network, scene.reader, "value");
        let took = scene.network.now().since(begun);
        assert!(took < Duration::from_millis(500), "seed {seed}: {took:?} when they were known to be dead");
    }
}
