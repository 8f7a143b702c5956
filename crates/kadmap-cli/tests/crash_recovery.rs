//! kill -9 under load: what a `synced` node acknowledged is there after the restart, every time.

mod support;

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use kadmap::{Consistency, Dht};
use support::{Node, text};
use tokio::sync::Notify;

/// Crashes by default; the long test suite sets `KADMAP_LONG_ROUNDS`.
const ROUNDS: usize = 5;
/// Writers at once, so that a crash always meets writes in every stage.
const WRITERS: usize = 16;
/// A crash comes after at most so many acknowledgements of its round.
const ACKS_MAX: u64 = 400;

/// What the swarm has acknowledged so far.
#[derive(Default)]
struct Acknowledged {
    keys: Mutex<Vec<(usize, usize)>>,
    items: Mutex<Vec<(usize, usize)>>,
    bell: Notify,
}

impl Acknowledged {
    fn count(&self) -> usize {
        self.keys.lock().unwrap().len() + self.items.lock().unwrap().len()
    }

    async fn reach(&self, count: usize) {
        while self.count() < count {
            self.bell.notified().await;
        }
    }
}

async fn client(node: &Node) -> Dht {
    Dht::builder().client().listen("127.0.0.1:0").join([node.address.clone()]).spawn().await.unwrap()
}

/// Writes until the node is gone; `next` numbers the writes of this writer over all rounds.
async fn write(dht: Dht, writer: usize, mut next: usize, acknowledged: Arc<Acknowledged>) -> usize {
    loop {
        let name = format!("key {writer} {next}");
        let patience = Duration::from_secs(2);
        if dht.put(&name, &next).timeout(patience).await.is_err() {
            return next + 1;
        }
        acknowledged.keys.lock().unwrap().push((writer, next));
        if dht.append("list", &(writer, next)).timeout(patience).await.is_err() {
            return next + 1;
        }
        acknowledged.items.lock().unwrap().push((writer, next));
        acknowledged.bell.notify_one();
        next += 1;
    }
}

async fn check(dht: &Dht, acknowledged: &Acknowledged) {
    let list = dht.get::<Vec<(usize, usize)>>("list").await.unwrap().unwrap_or_default();
    let seen: std::collections::BTreeSet<_> = list.iter().copied().collect();
    assert_eq!(seen.len(), list.len(), "no item twice");
    let items = acknowledged.items.lock().unwrap().clone();
    let lost: Vec<_> = items.iter().filter(|item| !seen.contains(item)).collect();
    assert!(lost.is_empty(), "acknowledged items lost: {lost:?}");
    let keys = acknowledged.keys.lock().unwrap().clone();
    for (writer, number) in keys {
        let value = dht.read(format!("key {writer} {number}")).consistency(Consistency::All).await.unwrap();
        assert_eq!(value.parse::<usize>().unwrap(), Some(number), "key {writer} {number}");
    }
}

#[tokio::test]
async fn no_acknowledged_write_is_missing_after_a_crash() {
    let rounds =
        std::env::var("KADMAP_LONG_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(ROUNDS);
    let folder = tempfile::tempdir().unwrap();
    let acknowledged = Arc::new(Acknowledged::default());
    let mut next = [0; WRITERS];
    for round in 0..rounds {
        let node = Node::start(&["--data", text(folder.path()), "--durability", "synced"]);
        let dht = client(&node).await;
        check(&dht, &acknowledged).await;
        let writers: Vec<_> = next
            .iter()
            .enumerate()
            .map(|(writer, &next)| tokio::spawn(write(dht.clone(), writer, next, Arc::clone(&acknowledged))))
            .collect();
        let more = 1 + RandomState::new().hash_one(round) % ACKS_MAX;
        acknowledged.reach(acknowledged.count() + more as usize).await;
        node.kill();
        for (writer, task) in writers.into_iter().enumerate() {
            next[writer] = task.await.unwrap();
        }
        // Only what is new needs to be read back in full the next time; the first rounds' keys have been seen twice.
        let keep_from = acknowledged.keys.lock().unwrap().len().saturating_sub(4 * ACKS_MAX as usize);
        acknowledged.keys.lock().unwrap().drain(..keep_from);
    }
    let node = Node::start(&["--data", text(folder.path()), "--durability", "synced"]);
    check(&client(&node).await, &acknowledged).await;
}
