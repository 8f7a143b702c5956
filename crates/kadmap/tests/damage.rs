//! A record that the disk has damaged is read right all the same, and the node holds it again soon after.

mod support;

use std::path::Path;
use std::time::Duration;

use kadmap::{Dht, DhtBuilder, Key, RecordId, RecordStore, StoreConfig};
use kadmap_store::RedbStore;
use support::{eventually, node, swarm};

const RECORDS: usize = 40;

fn name(number: usize) -> String {
    format!("key {number}")
}

/// Long enough to be found in a file.
fn value(number: usize) -> String {
    format!("<value {number}>").repeat(8)
}

/// Flips a bit in each of some values of a stopped node's file.
fn damage(folder: &Path, numbers: impl Iterator<Item = usize>) {
    let path = folder.join("records.redb");
    let mut bytes = std::fs::read(&path).unwrap();
    for number in numbers {
        let value = value(number).into_bytes();
        let at =
            bytes.windows(value.len()).position(|window| window == value).expect("the value is in the file");
        bytes[at + 9] ^= 4;
    }
    std::fs::write(&path, bytes).unwrap();
}

/// How many of the records a folder holds, each of them right; `None` while a node uses it.
fn held(folder: &Path) -> Option<usize> {
    let mut store = RedbStore::open(folder, StoreConfig::default(), Box::new(|| ())).ok()?.store;
    let is_held = |number: &usize| {
        let name = name(*number);
        let record = store.load(&RecordId::new(Key::of_name(name.as_bytes()), name)).ok().flatten();
        let payload = record.and_then(|record| record.live_base(0)?.payload.clone());
        payload.is_some_and(|payload| String::from_utf8_lossy(&payload.bytes).contains(&value(*number)))
    };
    Some((0..RECORDS).filter(is_held).count())
}

/// How many a running node holds on its disk: a copy of its file, as a crash would leave it.
fn held_now(folder: &Path) -> Option<usize> {
    let copy = tempfile::tempdir().unwrap();
    std::fs::copy(folder.join("records.redb"), copy.path().join("records.redb")).ok()?;
    held(copy.path())
}

/// Stops a node, damages its file, and demands that it holds everything again after it was read from, or by itself.
async fn is_repaired(builder: impl Fn() -> DhtBuilder, read: bool) {
    let folder = tempfile::tempdir().unwrap();
    let others = swarm(2, node).await;
    let join = others[0].address().to_string();
    let dht = node().data_dir(folder.path()).join([join.clone()]).spawn().await.unwrap();
    for number in 0..RECORDS {
        dht.put(name(number), &value(number)).await.unwrap();
    }
    // The last copies travel in the background.
    eventually("all hold everything", || async {
        let mut records = others.iter().map(Dht::status).collect::<Vec<_>>();
        let mut fewest = dht.status().await.unwrap().records;
        while let Some(status) = records.pop() {
            fewest = fewest.min(status.await.unwrap().records);
        }
        fewest == RECORDS as u64
    })
    .await;
    dht.leave().await.unwrap();
    eventually("its file is closed", || async { held(folder.path()) == Some(RECORDS) }).await;
    damage(folder.path(), (0..RECORDS).step_by(4));

    let dht = builder().data_dir(folder.path()).join([join]).spawn().await.unwrap();
    eventually("it holds everything again", || async {
        // A node that has just come back reads from others at first, and meets its own damage a little later.
        for number in (0..RECORDS).filter(|_| read) {
            assert_eq!(dht.get::<String>(name(number)).await.unwrap(), Some(value(number)));
        }
        held_now(folder.path()) == Some(RECORDS)
    })
    .await;
    dht.leave().await.unwrap();
}

#[tokio::test]
async fn a_damaged_record_is_read_right_and_held_again_afterwards() {
    is_repaired(node, true).await;
}

#[tokio::test]
async fn a_scrub_finds_damage_that_nobody_reads_and_brings_it_back() {
    is_repaired(|| node().scrub_interval(Duration::from_millis(1)), false).await;
}
