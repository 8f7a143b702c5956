//! What goes in comes out: values, names and sizes over real sockets.

mod support;

use kadmap::{Consistency, Dht, PutError, Value, ValueError, WriteError};
use std::time::Duration;
use support::{eventually, node, swarm};

async fn three() -> Vec<Dht> {
    swarm(3, node).await
}

#[tokio::test]
async fn values_that_are_empty_or_false_round_trip() {
    let nodes = three().await;
    for text in ["null", "false", "0", "\"\"", "[]", "{}", "\"żółw 🐢\"", "123456789012345678901234567890"]
    {
        let value = Value::from_json_text(text).unwrap();
        nodes[0].put_value("value", value.clone()).await.unwrap();
        assert_eq!(nodes[2].get_value("value").await.unwrap(), Some(value), "{text}");
    }
    nodes[1].put_bytes("raw", Vec::new()).await.unwrap();
    assert_eq!(nodes[0].get_value("raw").await.unwrap(), Some(Value::Bytes(bytes::Bytes::new())));
    assert_eq!(nodes[0].get_value("nothing").await.unwrap(), None);
    assert!(nodes[0].contains("raw").await.unwrap());
    assert!(!nodes[0].contains("nothing").await.unwrap());
}

#[tokio::test]
async fn names_are_told_apart_to_the_last_bit() {
    let nodes = three().await;
    let long = vec![7u8; 1024];
    let mut flipped = long.clone();
    flipped[1023] ^= 1;
    let names: Vec<Vec<u8>> =
        vec![long, flipped, b"a".to_vec(), b"A".to_vec(), Vec::new(), "żółw".into(), vec![0, 255]];
    for (n, name) in names.iter().enumerate() {
        nodes[n % 3].put(name, &n).await.unwrap();
    }
    for (n, name) in names.iter().enumerate() {
        assert_eq!(nodes[(n + 1) % 3].get::<usize>(name).await.unwrap(), Some(n));
    }
    let error = nodes[0].put(vec![1u8; 1025], &1).await.unwrap_err();
    assert_eq!(error.to_string(), "name too long: 1025 bytes, allowed are 1024");
}

#[tokio::test]
async fn sixteen_mebibytes_round_trip_and_one_byte_more_is_refused_at_the_writer() {
    const MAX: usize = 16 * 1024 * 1024;
    let nodes = swarm(4, || node().value_bytes_max(MAX)).await;
    let value: Vec<u8> = (0..MAX).map(|n| (n * 31 % 251) as u8).collect();
    nodes[0].put_bytes("large", value.clone()).await.unwrap();
    let read = nodes[3].get_value("large").await.unwrap();
    assert!(read == Some(Value::Bytes(value.into())), "the value read is not the one written");
    let nodes = &nodes;
    eventually("the copies beyond the quorum have arrived", || async move {
        let mut copies = 0;
        for node in nodes {
            copies += node.keys().await.unwrap().len();
        }
        copies == nodes.len()
    })
    .await;
    // Packets that the value would take, the largest loopback carries; the node's own upkeep takes a few.
    let many = (MAX / 9_000) as u64;
    let (_, before) = nodes[0].status().await.unwrap().packets;
    let error = nodes[0].put_bytes("larger", vec![0; MAX + 1]).await.unwrap_err();
    let PutError::Write(WriteError::ValueTooLarge { bytes, bytes_max }) = error else { panic!("{error}") };
    assert_eq!((bytes, bytes_max), (MAX as u64 + 1, MAX as u64));
    let (_, after) = nodes[0].status().await.unwrap().packets;
    assert!(after - before < many / 4, "{} packets although nothing was to travel", after - before);
}

#[tokio::test]
async fn lists_maps_and_deletes_work_from_any_node() {
    let nodes = three().await;
    nodes[0].put("list", &[1, 2, 3]).await.unwrap();
    nodes[1].append("list", &4).await.unwrap();
    assert_eq!(nodes[2].get::<Vec<u8>>("list").await.unwrap(), Some(vec![1, 2, 3, 4]));
    let error = nodes[2].put_field("list", "a", &1).await.unwrap_err();
    assert!(error.to_string().contains("the key holds a list, not a map"), "{error}");

    nodes[0].put_field("map", "a", &1).await.unwrap();
    nodes[1].put_field("map", "b", &2).await.unwrap();
    nodes[2].delete_field("map", "a").await.unwrap();
    assert_eq!(nodes[0].get_value("map").await.unwrap().unwrap().to_string(), r#"{"b":2}"#);

    nodes[1].delete("list").await.unwrap();
    assert_eq!(nodes[0].get_value("list").await.unwrap(), None);
    nodes[1].append("list", "anew").await.unwrap();
    assert_eq!(nodes[0].get::<Vec<String>>("list").await.unwrap(), Some(vec!["anew".to_owned()]));
}

#[tokio::test]
async fn a_type_that_does_not_fit_is_an_error_and_not_a_missing_key() {
    let nodes = three().await;
    nodes[0].put("colour", "red").await.unwrap();
    assert!(nodes[1].get::<u32>("colour").await.is_err());
    let unencodable = std::collections::BTreeMap::from([(vec![1u8], 1)]);
    let error = nodes[0].put("map", &unencodable).await.unwrap_err();
    assert!(matches!(error, PutError::Value(ValueError::Encode(_))), "{error}");
}

#[tokio::test]
async fn what_expired_is_gone() {
    let nodes = three().await;
    nodes[0].put("brief", &1).ttl(Duration::from_millis(200)).await.unwrap();
    let reader = &nodes[1];
    eventually("the value expires", || async { reader.get_value("brief").await.unwrap().is_none() }).await;
}

#[tokio::test]
async fn sixty_four_writers_lose_and_double_nothing() {
    const WRITERS: usize = 64;
    const ITEMS: usize = 1_000;
    let nodes = swarm(16, node).await;
    let mut tasks = Vec::new();
    for writer in 0..WRITERS {
        let dht = nodes[writer % nodes.len()].clone();
        tasks.push(tokio::spawn(async move {
            for item in 0..ITEMS {
                dht.append("list", &(writer, item)).await.unwrap();
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let seen = nodes[0].get::<Vec<(usize, usize)>>("list").await.unwrap().unwrap();
    assert_eq!(seen.len(), WRITERS * ITEMS);
    let mut next = [0; WRITERS];
    for (writer, item) in &seen {
        assert_eq!(*item, next[*writer], "the items of writer {writer} are in its own order");
        next[*writer] += 1;
    }
    for node in &nodes[1..] {
        let reading = node.read("list").consistency(Consistency::Quorum).await.unwrap();
        assert!(reading.parse().unwrap().as_ref() == Some(&seen), "every node reads the same list");
    }
}

#[tokio::test]
async fn a_lost_race_is_a_conflict() {
    let nodes = three().await;
    nodes[0].put("lock", &1).await.unwrap();
    let version = nodes[1].read("lock").await.unwrap().version;
    nodes[1].put_if_version("lock", &2, version).await.unwrap();
    let error = nodes[2].put_if_version("lock", &3, version).await.unwrap_err();
    assert!(matches!(error, PutError::Write(WriteError::Refused { .. })), "{error}");
    assert_eq!(nodes[0].get::<u8>("lock").await.unwrap(), Some(2));
}

#[tokio::test]
async fn a_scan_tells_all_names_and_keys_those_held_here() {
    let nodes = swarm(6, || node().replication(2)).await;
    let mut expected: Vec<String> = (0..300).map(|n| format!("name {n}")).collect();
    for (n, name) in expected.iter().enumerate() {
        nodes[n % 6].put(name, &n).await.unwrap();
    }
    expected.sort();
    let mut scan = nodes[3].scan().unwrap();
    let mut seen = Vec::new();
    while let Some(name) = scan.next().await {
        seen.push(String::from_utf8(name.to_vec()).unwrap());
    }
    seen.sort();
    assert_eq!(seen, expected);
    let here = nodes[3].keys().await.unwrap().len();
    assert!(here > 0 && here < 300, "{here} of 300 records with 2 replicas on 6 nodes");
}
