//! Watches of small swarms in which everything goes wrong that a seed can think of.

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use kadmap_core::testing::{Link, Network};
use kadmap_core::{
    Change, Config, Event, Item, News, OperationId, Record, WatchOptions, WriteError, WriteOptions,
};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use support::*;

/// What may go wrong.
#[derive(Debug, Clone, Copy)]
struct Faults {
    /// Cuts between two halves, which leave each with a quorum of its own.
    partitions: bool,
    /// Nodes that stand still or restart at the same time, at most.
    down_max: usize,
}

struct Writer {
    node: usize,
    next: usize,
    under_way: Option<OperationId>,
    acknowledged: Vec<String>,
}

struct Watcher {
    node: usize,
    watch: OperationId,
    told: Vec<Item>,
}

struct Chaos {
    network: Network,
    rng: ChaCha8Rng,
    nodes: usize,
    writers: Vec<Writer>,
    watchers: Vec<Watcher>,
    down: Vec<usize>,
    is_cut: bool,
}

impl Chaos {
    fn new(seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let nodes = 4 + (rng.next_u64() % 9) as usize;
        let config = Config { watch_lease: Duration::from_secs(40), ..Config::default() };
        let mut network = swarm(seed, nodes, &config);
        let writer = |node| Writer { node, next: 0, under_way: None, acknowledged: Vec::new() };
        let writers = [0, 1, 2].map(writer).into();
        let watchers = [1, 3].map(|node| {
            let options = WatchOptions { initial: false, timeout: Some(Duration::from_secs(60)) };
            let watch = network.with(node, |node, now| node.watch(now, record("list"), options));
            Watcher { node, watch, told: Vec::new() }
        });
        network.run_for(Duration::from_secs(1));
        network.link = Link {
            delay_max: Duration::from_millis(1 + rng.next_u64() % 10),
            loss: [0.0, 0.02, 0.1][(rng.next_u64() % 3) as usize],
            duplicates: 0.05,
            ..Link::default()
        };
        let (down, is_cut) = (Vec::new(), false);
        Self { network, rng, nodes, writers, watchers: watchers.into(), down, is_cut }
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.rng.next_u64() % bound as u64) as usize
    }

    fn step(&mut self, faults: Faults) {
        match self.below(16) {
            0..=8 => self.write(),
            9 if self.down.len() < faults.down_max => {
                let node = self.below(self.nodes);
                if !self.down.contains(&node) {
                    self.network.set_up(node, false);
                    self.down.push(node);
                }
            }
            10 | 11 => self.revive(),
            // Those that write or watch would forget what they are at.
            12 if faults.down_max > 0 && self.nodes > 4 => {
                let node = 4 + self.below(self.nodes - 4);
                if !self.down.contains(&node) {
                    self.network.restart(node, Config::default(), &[0]);
                }
            }
            13 if faults.partitions && !self.is_cut => {
                let middle = 1 + self.below(self.nodes - 1);
                let (one, other): (Vec<_>, Vec<_>) = (0..self.nodes).partition(|node| *node < middle);
                self.network.cut(&one, &other);
                self.is_cut = true;
            }
            14 if self.is_cut => {
                self.network.heal();
                self.is_cut = false;
            }
            _ => {}
        }
        let most_ms = [5, 300, 20_000][self.below(3)];
        let ms = self.below(most_ms) as u64;
        self.network.run_for(Duration::from_millis(ms));
        self.collect();
    }

    /// Lets a writer whose last append has ended make the next one.
    fn write(&mut self) {
        let at = self.below(self.writers.len());
        let writer = &mut self.writers[at];
        if writer.under_way.is_some() {
            return;
        }
        let change = Change::Append { payload: text(&format!("\"{}.{}\"", writer.node, writer.next)) };
        writer.next += 1;
        let options = WriteOptions { timeout: Some(Duration::from_secs(5)), ..WriteOptions::default() };
        let write = |node: &mut kadmap_core::Node<_>, now| node.write(now, record("list"), change, options);
        writer.under_way = Some(self.network.with(writer.node, write));
    }

    fn revive(&mut self) {
        if let Some(node) = self.down.pop() {
            self.network.set_up(node, true);
        }
    }

    fn collect(&mut self) {
        for writer in &mut self.writers {
            let ended: Vec<(OperationId, Result<(), WriteError>)> =
                self.network.take_events(writer.node, |event| match event {
                    Event::Written { operation, result } => Some((*operation, result.clone().map(drop))),
                    _ => None,
                });
            for (operation, result) in ended {
                if writer.under_way == Some(operation) {
                    writer.under_way = None;
                    if result.is_ok() {
                        writer.acknowledged.push(format!("\"{}.{}\"", writer.node, writer.next - 1));
                    }
                }
            }
        }
        for watcher in &mut self.watchers {
            let watch = watcher.watch;
            let told = self.network.take_events(watcher.node, |event| match event {
                Event::Changed { operation, news: News::Item(item) } if *operation == watch => {
                    Some(item.clone())
                }
                _ => None,
            });
            watcher.told.extend(told);
        }
    }

    /// Mends everything and gives the swarm time to come to itself.
    fn mend(&mut self) {
        self.network.heal();
        self.network.link = Link::default();
        while !self.down.is_empty() {
            self.revive();
        }
        self.network.run_for(Duration::from_secs(60));
        // A read of all replicas brings what one side of a cut acknowledged to the other.
        for node in 0..self.nodes {
            let options = kadmap_core::ReadOptions {
                consistency: Some(kadmap_core::Consistency::All),
                ..kadmap_core::ReadOptions::default()
            };
            self.network.with(node, |node, now| node.read(now, record("list"), options));
            self.network.run_for(Duration::from_secs(1));
        }
        self.network.run_for(Duration::from_secs(60));
        self.collect();
    }
}

fn item_text(item: &Item) -> String {
    let record = Record::from(item.clone());
    item_texts(Some(&record)).remove(0)
}

fn play(seed: u64, faults: Faults) -> Chaos {
    let mut chaos = Chaos::new(seed);
    for _ in 0..60 {
        chaos.step(faults);
    }
    chaos.mend();
    chaos
}

fn assert_each_is_told_once(seed: u64, chaos: &Chaos) {
    let mut acknowledged = 0;
    for watcher in &chaos.watchers {
        let mut times: BTreeMap<String, usize> = BTreeMap::new();
        for item in &watcher.told {
            *times.entry(item_text(item)).or_default() += 1;
        }
        let doubled: Vec<_> = times.iter().filter(|(_, times)| **times > 1).collect();
        assert!(doubled.is_empty(), "seed {seed}, node {}: {doubled:?} are told twice", watcher.node);
        for writer in &chaos.writers {
            let missed: Vec<_> =
                writer.acknowledged.iter().filter(|item| !times.contains_key(*item)).collect();
            assert!(missed.is_empty(), "seed {seed}, node {}: {missed:?} are not told", watcher.node);
            acknowledged += writer.acknowledged.len();
        }
    }
    assert!(acknowledged > 0, "seed {seed}: nothing was acknowledged");
}

fn assert_writers_order(seed: u64, chaos: &Chaos) {
    for watcher in &chaos.watchers {
        let mut last = BTreeMap::new();
        for item in &watcher.told {
            let before = last.insert(item.stamp.writer, item.stamp);
            assert!(before < Some(item.stamp), "seed {seed}, node {}: {}", watcher.node, item_text(item));
        }
    }
}

#[test]
fn every_acknowledged_append_is_told_once_whatever_goes_wrong() {
    for seed in 0..60 {
        let chaos = play(seed, Faults { partitions: true, down_max: 3 });
        assert_each_is_told_once(seed, &chaos);
    }
}

#[test]
fn writers_order_is_kept_while_one_node_at_a_time_fails() {
    for seed in 100..160 {
        let chaos = play(seed, Faults { partitions: false, down_max: 1 });
        assert_each_is_told_once(seed, &chaos);
        assert_writers_order(seed, &chaos);
    }
}
