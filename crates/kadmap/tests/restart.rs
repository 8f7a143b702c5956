//! What was stored is there after a restart, and damage is neither served nor hidden.

mod support;

use std::path::Path;

use kadmap::{Dht, Durability, StartError};
use support::{eventually, node, swarm};

async fn stop(dht: Dht) {
    dht.leave().await.unwrap();
}

/// Starts on a folder that a node just gave up; the lock is released a moment after the node said it has left.
async fn start_on(folder: &Path, join: Option<String>) -> Dht {
    loop {
        match node().data_dir(folder).join(join.clone()).spawn().await {
            Ok(dht) => return dht,
            Err(StartError::Store(error)) if error.to_string().contains("in use") => {
                tokio::task::yield_now().await;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn a_lone_node_finds_everything_again() {
    let folder = tempfile::tempdir().unwrap();
    let dht = node().data_dir(folder.path()).spawn().await.unwrap();
    let id = dht.id();
    for n in 0..500 {
        dht.put(format!("key {n}"), &n).await.unwrap();
        dht.append("list", &n).await.unwrap();
    }
    stop(dht).await;
    let dht = start_on(folder.path(), None).await;
    assert_eq!(dht.id(), id, "the identity is kept");
    for n in 0..500 {
        assert_eq!(dht.get::<u32>(format!("key {n}")).await.unwrap(), Some(n));
    }
    assert_eq!(dht.get::<Vec<u32>>("list").await.unwrap(), Some((0..500).collect()));
}

#[tokio::test]
async fn a_node_finds_its_swarm_again_without_being_told_an_address() {
    let folder = tempfile::tempdir().unwrap();
    let others = swarm(2, node).await;
    let dht = node().data_dir(folder.path()).join([others[0].address().to_string()]).spawn().await.unwrap();
    stop(dht).await;
    others[1].put("written meanwhile", &1).await.unwrap();
    let dht = start_on(folder.path(), None).await;
    assert_eq!(dht.get::<u8>("written meanwhile").await.unwrap(), Some(1));
}

#[tokio::test]
async fn a_second_node_on_the_same_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let _first = node().data_dir(folder.path()).spawn().await.unwrap();
    let error = node().data_dir(folder.path()).spawn().await.unwrap_err();
    assert!(error.to_string().contains("in use by another process"), "{error}");
    assert!(error.to_string().contains(&folder.path().display().to_string()), "{error}");
}

#[tokio::test]
async fn a_folder_that_is_a_file_is_a_clear_error() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = node().data_dir(file.path()).spawn().await.unwrap_err();
    assert!(error.to_string().contains(&file.path().display().to_string()), "{error}");
}

#[tokio::test]
async fn a_damaged_file_is_set_aside_and_the_node_is_filled_by_the_swarm() {
    let folder = tempfile::tempdir().unwrap();
    let others = swarm(2, node).await;
    let join = others[0].address().to_string();
    let dht = node().data_dir(folder.path()).join([join.clone()]).spawn().await.unwrap();
    for n in 0..50 {
        dht.put(format!("key {n}"), &n).await.unwrap();
    }
    stop(dht).await;
    std::fs::write(folder.path().join("records.redb"), vec![0xa5; 200_000]).unwrap();
    let dht = start_on(folder.path(), Some(join)).await;
    let names = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let aside = names.filter(|name| name.to_string_lossy().starts_with("records.redb.damaged-")).count();
    assert_eq!(aside, 1);
    for n in 0..50 {
        assert_eq!(dht.get::<u32>(format!("key {n}")).await.unwrap(), Some(n));
    }
    let filled = &dht;
    eventually("the swarm has filled it", || async move { filled.keys().await.unwrap().len() == 50 }).await;
}

#[tokio::test]
async fn synced_writes_wait_for_the_disk_and_succeed() {
    let folders: Vec<_> = (0..3).map(|_| tempfile::tempdir().unwrap()).collect();
    let synced = |n: usize| node().data_dir(folders[n].path()).durability(Durability::Synced);
    let first = synced(0).spawn().await.unwrap();
    let join = first.address().to_string();
    let second = synced(1).join([join.clone()]).spawn().await.unwrap();
    let third = synced(2).join([join]).spawn().await.unwrap();
    for n in 0..100 {
        third.put(format!("key {n}"), &n).await.unwrap();
    }
    for n in 0..100 {
        assert_eq!(second.get::<u32>(format!("key {n}")).await.unwrap(), Some(n));
    }
}
