//! Watches over real sockets.

mod support;

use std::time::Duration;

use kadmap::{Change, Dht, Value, WatchError};
use support::*;

fn json(text: &str) -> Value {
    Value::Json(text.to_owned())
}

/// What the next change is, in short.
async fn next(watch: &mut kadmap::Watch) -> String {
    match watch.next().await.unwrap() {
        Change::State { value, lagged, .. } => {
            let value = value.map_or("nothing".to_owned(), |value| value.to_string());
            format!("{}{value}", if lagged { "lagged " } else { "" })
        }
        Change::Put { value, .. } => format!("={value}"),
        Change::Deleted { .. } => "deleted".to_owned(),
        Change::Appended { item, .. } => format!("+{item}"),
        Change::FieldPut { field, value, .. } => format!("{field}={value}"),
        Change::FieldDeleted { field, .. } => format!("{field} deleted"),
        Change::Expired => "expired".to_owned(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn members_and_clients_are_told_of_every_kind_of_change() {
    let nodes = swarm(5, node).await;
    let address = nodes[0].address().to_string();
    let client = Dht::builder().client().join([address]).spawn().await.unwrap();
    nodes[0].put("colour", "red").await.unwrap();
    for watcher in [&nodes[4], &client] {
        let mut watch = watcher.watch("colour").await.unwrap();
        let mut list = watcher.watch("list").initial(false).await.unwrap();
        assert_eq!(next(&mut watch).await, "\"red\"");
        nodes[1].put("colour", "blue").await.unwrap();
        nodes[2].delete("colour").await.unwrap();
        nodes[3].put_field("colour", "a", &1).await.unwrap();
        nodes[3].delete_field("colour", "a").await.unwrap();
        nodes[1].append("list", &1).await.unwrap();
        nodes[1].append("list", &2).await.unwrap();
        for expected in ["=\"blue\"", "deleted", "a=1", "a deleted"] {
            assert_eq!(next(&mut watch).await, expected);
        }
        assert_eq!((next(&mut list).await, next(&mut list).await), ("+1".to_owned(), "+2".to_owned()));
        nodes[0].put("colour", "red").ttl(Duration::from_millis(300)).await.unwrap();
        assert_eq!(next(&mut watch).await, "=\"red\"");
        assert_eq!(next(&mut watch).await, "expired");
        nodes[0].put("colour", "red").await.unwrap();
        nodes[0].delete("list").await.unwrap();
    }
}

#[tokio::test]
async fn values_too_large_for_a_packet_are_told() {
    let nodes = swarm(3, node).await;
    let mut watch = nodes[2].watch("large").initial(false).await.unwrap();
    for byte in 1..4 {
        let value = vec![byte; 300_000];
        nodes[0].put_bytes("large", value.clone()).await.unwrap();
        let told = watch.next().await.unwrap();
        assert!(matches!(told, Change::Put { value: Value::Bytes(bytes), .. } if bytes == value));
    }
}

#[tokio::test]
async fn a_watch_survives_the_death_of_replicas() {
    let mut nodes = swarm(6, node).await;
    let mut watch = nodes[0].watch("list").initial(false).await.unwrap();
    for round in 0..3 {
        nodes.pop().unwrap().stop().await;
        nodes[1].append("list", &round).await.unwrap();
        assert_eq!(next(&mut watch).await, format!("+{round}"));
    }
}

#[tokio::test]
async fn dropping_a_watch_ends_it_at_the_replicas_and_a_stop_ends_the_watch() {
    let nodes = swarm(3, node).await;
    let watch = nodes[0].watch("colour").await.unwrap();
    let mut other = nodes[0].watch("shape").initial(false).await.unwrap();
    assert_eq!(nodes[0].status().await.unwrap().watches, 2);
    assert_eq!(nodes[1].status().await.unwrap().watchers, 2);
    drop(watch);
    for replica in &nodes[1..] {
        let ended = async || replica.status().await.unwrap().watchers == 1;
        eventually("the replica has forgotten the watch", ended).await;
    }
    assert_eq!(nodes[0].status().await.unwrap().watches, 1);
    nodes[0].stop().await;
    assert_eq!(other.next().await, None);
    assert!(matches!(nodes[0].watch("colour").await, Err(WatchError::Stopped(_))));
}

#[tokio::test]
async fn who_cannot_follow_is_told_so_and_where_things_stand() {
    let nodes = swarm(2, node).await;
    let mut watch = nodes[0].watch("list").initial(false).await.unwrap();
    // As many as wait for a watch at most, and some more.
    let count = 1_100;
    for n in 0..count {
        nodes[1].append("list", &n).await.unwrap();
    }
    let mut told = 0;
    let state = loop {
        match watch.next().await.unwrap() {
            Change::Appended { item, .. } => {
                assert_eq!(item, json(&told.to_string()));
                told += 1;
            }
            Change::State { value, lagged: true, .. } => break value.unwrap(),
            other => panic!("{other:?}"),
        }
    };
    assert!(told < count);
    assert_eq!(state.parse::<Vec<usize>>().unwrap(), (0..count).collect::<Vec<_>>());
    nodes[1].append("list", &count).await.unwrap();
    assert_eq!(next(&mut watch).await, format!("+{count}"));
}

#[tokio::test]
async fn a_node_alone_watches_itself() {
    let nodes = swarm(1, node).await;
    let mut watch = nodes[0].watch("colour").await.unwrap();
    assert_eq!(next(&mut watch).await, "nothing");
    nodes[0].put("colour", "red").await.unwrap();
    assert_eq!(next(&mut watch).await, "=\"red\"");
}
