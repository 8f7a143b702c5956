//! What users watch, and what they are told.

use std::collections::BTreeMap;

use kadmap_core::{News, OperationId, WatchOptions};

use super::operations::record;
use super::{Condition, NodeIndex, Sim};

/// A watch that was started; what it told is asked for with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Watch(usize);

/// What a watch has told.
#[derive(Debug, Default)]
struct Told {
    has_begun: bool,
    has_ended: bool,
    news: Vec<News>,
}

/// All watches that were ever started.
#[derive(Debug, Default)]
pub(super) struct Watches {
    /// Those whose node has been up all along.
    running: BTreeMap<(NodeIndex, OperationId), Watch>,
    told: Vec<Told>,
}

impl Watches {
    /// Notes whether a watch has begun.
    pub(super) fn answered(&mut self, node: NodeIndex, id: OperationId, has_begun: bool) {
        if let Some(watch) = self.running.get(&(node, id)) {
            self.told[watch.0].has_begun |= has_begun;
            self.told[watch.0].has_ended |= !has_begun;
        }
    }

    pub(super) fn tell(&mut self, node: NodeIndex, id: OperationId, news: News) {
        if let Some(watch) = self.running.get(&(node, id)) {
            self.told[watch.0].news.push(news);
        }
    }

    /// Ends the watches of a node that is down.
    pub(super) fn abandon(&mut self, node: NodeIndex) {
        for (_, watch) in self.running.extract_if(.., |(at, _), _| *at == node) {
            self.told[watch.0].has_ended = true;
        }
    }
}

impl Sim {
    /// Starts to watch a record at a node, until that goes down.
    pub fn watch(&mut self, at: NodeIndex, name: &str) -> Watch {
        let watch = Watch(self.watches.told.len());
        self.watches.told.push(Told::default());
        let slot = &mut self.nodes[at.0 as usize];
        let now = slot.clock.read(self.now_us);
        match slot.node.as_deref_mut() {
            Some(node) => {
                let id = node.watch(now, record(name), WatchOptions::default());
                self.watches.running.insert((at, id), watch);
            }
            None => self.watches.told[watch.0].has_ended = true,
        }
        if self.nodes[at.0 as usize].condition == Condition::Up {
            self.drive(at, |_, _| ());
        }
        watch
    }

    /// Whether a watch has begun, so that what is written from now on is told.
    pub fn has_begun(&self, watch: Watch) -> bool {
        self.watches.told[watch.0].has_begun
    }

    /// Whether a watch could not begin, or its node went down.
    pub fn has_ended(&self, watch: Watch) -> bool {
        self.watches.told[watch.0].has_ended
    }

    /// What a watch has told so far, the state it began with first.
    pub fn told(&self, watch: Watch) -> &[News] {
        &self.watches.told[watch.0].news
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use kadmap_core::News;

    use crate::{Link, Sim};

    #[test]
    fn a_watch_tells_what_is_written_until_its_node_goes_down() {
        let mut sim = Sim::new(3, Link::lan());
        let nodes = sim.grow(5, Duration::from_millis(10));
        let watch = sim.watch(nodes[4], "list");
        sim.run_for(Duration::from_secs(1));
        assert!(sim.has_begun(watch) && !sim.has_ended(watch));
        sim.append(nodes[0], "list", "one").written().unwrap();
        sim.run_for(Duration::from_secs(1));
        assert!(matches!(sim.told(watch), [News::State(_), News::Item(_)]));
        sim.kill(nodes[4]);
        assert!(sim.has_ended(watch));
        let late = sim.watch(nodes[4], "list");
        assert!(sim.has_ended(late) && sim.told(late).is_empty());
    }
}
