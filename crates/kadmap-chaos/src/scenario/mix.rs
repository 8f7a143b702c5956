//! Load of every kind: values, lists, and keys that are deleted for good.

use std::sync::Arc;
use std::time::Duration;

use crate::client::Client;
use crate::dice::Dice;
use crate::history::item;
use crate::load::StopFlag;
use crate::stage::key_names;

/// Of so many steps ...
const STEPS: usize = 20;
/// ... so many put a value, so many append, one deletes, and the others read.
const PUTS: usize = 7;
const APPENDS: usize = 4;
/// Keys of values for each list.
const VALUES_PER_LIST: usize = 10;

/// Keys of three kinds, and how fast each client goes through them.
#[derive(Debug, Clone)]
pub(super) struct Mix {
    /// Put and read.
    pub(super) values: Arc<[String]>,
    /// Appended to and read.
    pub(super) lists: Arc<[String]>,
    /// How many of the lists are appended to and read at a time.
    lists_at_a_time: usize,
    /// Steps of a client after which the first of these is left and the next one joins them; `None`: never.
    steps_per_list: Option<usize>,
    /// Put before, deleted by some client and never put again.
    pub(super) mortals: Arc<[String]>,
    /// Time between the calls of two operations of one client, unless the first takes longer.
    pub(super) pace: Duration,
    /// Where the clients' choices start.
    pub(super) seed: u64,
}

impl Mix {
    /// So many keys of values, a tenth of that in lists, and as many that are deleted.
    pub(super) fn new(keys: usize, pace: Duration, seed: u64) -> Self {
        let lists = keys.div_ceil(VALUES_PER_LIST);
        Self {
            values: key_names("value", keys).into(),
            lists: key_names("list", lists).into(),
            lists_at_a_time: lists,
            steps_per_list: None,
            mortals: key_names("mortal", keys).into(),
            pace,
            seed,
        }
    }

    /// The same, but a list is left for a new one after each such time of a span, so that none grows without end.
    pub(super) fn with_new_lists(mut self, every: Duration, span: Duration) -> Self {
        let added = (span.as_secs_f64() / every.as_secs_f64()).ceil() as usize;
        self.lists = key_names("list", self.lists_at_a_time + added).into();
        self.steps_per_list = Some((every.as_secs_f64() / self.pace.as_secs_f64()).round().max(1.0) as usize);
        self
    }

    /// One of the lists that are in use after so many steps.
    fn list(&self, dice: &mut Dice, steps: usize) -> &str {
        let left = self.steps_per_list.map_or(0, |per_list| steps / per_list);
        let first = left.min(self.lists.len() - self.lists_at_a_time);
        &self.lists[first + dice.below(self.lists_at_a_time)]
    }

    /// All keys.
    pub(super) fn keys(&self) -> Arc<[String]> {
        self.values.iter().chain(self.lists.iter()).chain(self.mortals.iter()).cloned().collect()
    }

    /// Puts every value once and every key that is to be deleted; tells the number that comes next.
    pub(super) async fn prepare(self, client: Client, share: usize, of: usize) {
        for (at, key) in self.values.iter().chain(self.mortals.iter()).enumerate().skip(share).step_by(of) {
            client.put(key, item(client.number, at as u32)).await;
            client.progress.step();
        }
    }

    /// Goes through the keys at random until told to stop; deletes only keys of its own share, so that each is deleted
    /// on one side of a partition only.
    pub(super) async fn work(self, client: Client, stop: StopFlag, share: usize, of: usize) {
        let mut dice = Dice::new(self.seed ^ u64::from(client.number));
        // Above every number that a preparation has used.
        let first = (self.values.len() + self.mortals.len()) as u32;
        let mut sequence = first;
        let mut doomed: Vec<_> = self.mortals.iter().skip(share).step_by(of).collect();
        while !stop.is_set() {
            let next = tokio::time::Instant::now() + self.pace;
            sequence += 1;
            let number = item(client.number, sequence);
            let value = &self.values[dice.below(self.values.len())];
            let list = self.list(&mut dice, (sequence - first) as usize);
            match dice.below(STEPS) {
                step if step < PUTS => {
                    client.put(value, number).await;
                }
                step if step < PUTS + APPENDS => {
                    client.append(list, number).await;
                }
                step if step == PUTS + APPENDS && !doomed.is_empty() => {
                    let key = doomed.swap_remove(dice.below(doomed.len()));
                    client.delete(key).await;
                }
                step if step % 2 == 0 => {
                    client.get(value).await;
                }
                _ => {
                    client.get(list).await;
                }
            }
            tokio::time::sleep_until(next).await;
        }
    }
}
