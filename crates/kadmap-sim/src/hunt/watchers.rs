//! Users that watch while everything goes wrong.

use kadmap_core::Record;

use crate::sim::Watch;
use crate::{Breach, Ledger, NodeIndex, Sim};

/// Watches that run at any time, as far as their nodes do.
const WATCHES: usize = 2;

/// A watch of a record.
struct Watcher {
    watch: Watch,
    name: String,
    /// When it began, by the ledger's clock.
    began: Option<u64>,
}

/// All that watch.
#[derive(Default)]
pub(super) struct Watchers {
    watchers: Vec<Watcher>,
}

impl Watchers {
    /// Whether somebody should begin to watch.
    pub(super) fn are_too_few(&self) -> bool {
        self.watchers.len() < WATCHES
    }

    pub(super) fn begin(&mut self, sim: &mut Sim, at: NodeIndex, name: String) {
        let watch = sim.watch(at, &name);
        self.watchers.push(Watcher { watch, name, began: None });
    }

    /// Notes who has begun, and forgets those who have ended: nothing more is promised to them.
    pub(super) fn collect(&mut self, sim: &Sim, ledger: &Ledger) {
        self.watchers.retain(|watcher| !sim.has_ended(watcher.watch));
        for watcher in &mut self.watchers {
            if watcher.began.is_none() && sim.has_begun(watcher.watch) {
                watcher.began = Some(ledger.clock());
            }
        }
    }

    /// What was not told of a record that is as it was `found` in the end, or not as promised.
    pub(super) fn judge(
        &self,
        sim: &Sim,
        ledger: &Ledger,
        name: &str,
        found: Option<&Record>,
    ) -> Vec<Breach> {
        let of_record = self.watchers.iter().filter(|watcher| watcher.name == name);
        let began = of_record.filter_map(|watcher| Some((watcher, watcher.began?)));
        let judged =
            began.flat_map(|(watcher, began)| ledger.judge_told(name, began, sim.told(watcher.watch), found));
        judged.collect()
    }
}
