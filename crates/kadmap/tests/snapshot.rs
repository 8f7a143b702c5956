//! A data folder that is put back as it was some time ago.

mod support;

use std::collections::BTreeSet;
use std::path::Path;

use kadmap::{Dht, StartError};
use support::{node, swarm};

/// Copies what a stopped node left.
fn copy(from: &Path, to: &Path) {
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

/// Starts on a folder that a node gave up just now.
async fn start_on(folder: &Path, join: &str) -> Dht {
    loop {
        match node().data_dir(folder).join([join]).spawn().await {
            Ok(dht) => return dht,
            Err(StartError::Store(error)) if error.to_string().contains("in use") => {
                tokio::task::yield_now().await;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

async fn list(dht: &Dht) -> BTreeSet<u32> {
    let items = dht.get::<Vec<u32>>("list").await.unwrap().unwrap_or_default();
    let set: BTreeSet<_> = items.iter().copied().collect();
    assert_eq!(set.len(), items.len(), "an item twice");
    set
}

#[tokio::test]
async fn an_old_snapshot_brings_nothing_back_and_takes_nothing_away() {
    let (folder, snapshot) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let others = swarm(3, node).await;
    let join = others[0].address().to_string();
    let dht = start_on(folder.path(), &join).await;
    dht.put("changed", &1).await.unwrap();
    dht.put("deleted", &1).await.unwrap();
    for number in 0..20 {
        dht.append("list", &number).await.unwrap();
    }
    dht.leave().await.unwrap();
    let dht = start_on(folder.path(), &join).await;
    dht.leave().await.unwrap();
    // The lock is free once the file is closed.
    drop(start_on(folder.path(), &join).await);
    copy(folder.path(), snapshot.path());

    let dht = start_on(folder.path(), &join).await;
    dht.put("changed", &2).await.unwrap();
    dht.delete("deleted").await.unwrap();
    for number in 20..40 {
        dht.append("list", &number).await.unwrap();
    }
    dht.leave().await.unwrap();

    let restored = start_on(snapshot.path(), &join).await;
    assert_eq!(restored.id(), dht_id(&folder, &join).await, "the snapshot has the same key");
    for number in 40..60 {
        restored.append("list", &number).await.unwrap();
    }
    for reader in others.iter().chain([&restored]) {
        assert_eq!(reader.get::<u32>("changed").await.unwrap(), Some(2));
        assert_eq!(reader.get::<u32>("deleted").await.unwrap(), None);
        assert_eq!(list(reader).await, (0..60).collect(), "no dot was used twice");
    }
}

/// The id that a folder's key has.
async fn dht_id(folder: &tempfile::TempDir, join: &str) -> kadmap::NodeId {
    let dht = start_on(folder.path(), join).await;
    let id = dht.id();
    dht.leave().await.unwrap();
    id
}
