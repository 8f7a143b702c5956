//! Lists and announcements over real sockets.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

use kadmap::{
    AnnounceError, Base, Dht, Head, ItemId, ItemPage, ItemRange, Keep, ListError, MemoryStore, Merged,
    NodeId, PutError, Record, RecordId, RecordStore, Refusal, Shape, Stamp, StoreConfig, StoreError, Ticket,
    Usage, Value, WriteError,
};
use support::{eventually, node, swarm};

async fn numbers(dht: &Dht, name: &str, page_items: usize) -> Vec<u32> {
    let mut items = dht.items(name).page_items(page_items);
    let mut numbers = Vec::new();
    while let Some(item) = items.next().await.unwrap() {
        numbers.push(item.value.parse().unwrap());
    }
    numbers
}

async fn append_all(dht: &Dht, name: &str, numbers: std::ops::Range<u32>) -> Vec<Stamp> {
    let mut ids = Vec::new();
    for number in numbers {
        ids.push(dht.append(name, &number).await.unwrap().stamp);
    }
    ids
}

#[tokio::test]
async fn a_list_is_read_item_by_item_on_every_node() {
    let nodes = swarm(3, node).await;
    nodes[0].put("list", &[0, 1, 2]).await.unwrap();
    let ids = append_all(&nodes[1], "list", 3..40).await;
    for dht in &nodes {
        for page_items in [1, 7, 512] {
            assert_eq!(numbers(dht, "list", page_items).await, (0..40).collect::<Vec<_>>());
        }
    }
    let page = nodes[2].items_page("list", None, 5).await.unwrap();
    let found: Vec<_> = page.items.iter().map(|item| item.id).collect();
    let expected = [None; 3].into_iter().chain(ids[..5].iter().map(|id| Some(*id)));
    assert_eq!(found, expected.collect::<Vec<_>>(), "the list that was put comes whole, and has no ids");
    let page = nodes[2].items_page("list", Some(ids[34]), 5).await.unwrap();
    assert_eq!((page.items.len(), page.next_after, page.shape), (2, None, Some(Shape::List)));
    assert_eq!(nodes[0].items_page("nothing", None, 5).await.unwrap().shape, None);
    nodes[0].put("colour", "red").await.unwrap();
    let error = nodes[1].items("colour").next().await.unwrap_err();
    assert_eq!(error.to_string(), "'colour' holds a value, not a list");
    nodes[0].put_field("map", "a", &1).await.unwrap();
    assert!(matches!(nodes[1].items("map").next().await, Err(ListError::NotAList { found: Shape::Map, .. })));
}

#[tokio::test]
async fn an_item_that_expires_says_when_and_is_left_out_when_it_has() {
    let dht = node().spawn().await.unwrap();
    let long = dht.append("list", &1).ttl(Duration::from_secs(600)).await.unwrap().stamp;
    dht.append("list", &2).ttl(Duration::from_millis(1)).await.unwrap();
    let dht = &dht;
    eventually("the short one is gone", || async move { numbers(dht, "list", 10).await == [1] }).await;
    let page = dht.items_page("list", None, 10).await.unwrap();
    assert_eq!((page.items[0].id, page.items[0].expires_ms), (Some(long), Some(long.unix_ms() + 600_000)));
}

#[tokio::test]
async fn an_item_is_removed_by_its_id_once_and_from_a_list_only() {
    let nodes = swarm(3, node).await;
    let ids = append_all(&nodes[0], "list", 0..5).await;
    nodes[2].remove("list", ids[2]).await.unwrap();
    assert_eq!(nodes[1].get::<Vec<u32>>("list").await.unwrap(), Some(vec![0, 1, 3, 4]));
    for id in [ids[2], ids[2].successor()] {
        let error = nodes[1].remove("list", id).await.unwrap_err();
        assert_eq!(error.to_string(), format!("the list under 'list' has no item {id}"));
    }
    assert!(matches!(nodes[0].remove("nothing", ids[0]).await, Err(ListError::NoSuchItem { .. })));
    nodes[0].put("list", &7).await.unwrap();
    assert!(matches!(nodes[1].remove("list", ids[0]).await, Err(ListError::NotAList { .. })));
}

#[tokio::test]
async fn a_trim_keeps_what_it_is_told_to() {
    let nodes = swarm(3, node).await;
    nodes[0].put("list", &[100, 101]).await.unwrap();
    let ids = append_all(&nodes[0], "list", 0..10).await;
    let trim = async |keep| nodes[1].trim("list", keep).await.unwrap();
    let left = async || nodes[2].get::<Vec<u32>>("list").await.unwrap().unwrap();
    assert_eq!(trim(Keep::Last(12)).await.up_to, None, "there are no more");
    assert_eq!(trim(Keep::Last(11)).await.up_to, None, "a list that was put goes as a whole or not at all");
    assert_eq!(left().await.len(), 12);
    assert!(trim(Keep::Last(10)).await.outcome.is_some());
    assert_eq!(left().await, (0..10).collect::<Vec<_>>());
    assert_eq!(trim(Keep::Last(7)).await.up_to, Some(ids[2]));
    assert_eq!(left().await, (3..10).collect::<Vec<_>>());
    assert_eq!(trim(Keep::After(ids[4])).await.up_to, Some(ids[4]));
    assert_eq!(trim(Keep::After(ids[1])).await.up_to, None, "that is gone already");
    assert_eq!(left().await, (5..10).collect::<Vec<_>>());
    let since = |id: Stamp| Keep::Since(SystemTime::UNIX_EPOCH + Duration::from_millis(id.unix_ms()));
    trim(since(ids[7])).await;
    assert!(left().await.ends_with(&[7, 8, 9]), "{:?}", left().await);
    assert_eq!(trim(Keep::Last(1)).await.up_to, Some(ids[8]));
    nodes[0].append("list", &10).await.unwrap();
    assert_eq!(left().await, [9, 10]);
    trim(Keep::Last(0)).await;
    assert_eq!(left().await, [] as [u32; 0]);
    assert_eq!(nodes[0].trim("nothing", Keep::Last(0)).await.unwrap().up_to, None);
    nodes[0].put_field("map", "a", &1).await.unwrap();
    assert!(matches!(nodes[1].trim("map", Keep::Last(1)).await, Err(ListError::NotAList { .. })));
}

/// Counts how often the whole record is read.
struct Watched(MemoryStore, Arc<AtomicU64>);

impl RecordStore for Watched {
    fn head(&mut self, id: &RecordId) -> Result<Option<Head>, StoreError> {
        self.0.head(id)
    }
    fn item_stamp(&mut self, id: &RecordId, item: &ItemId) -> Result<Option<Stamp>, StoreError> {
        self.0.item_stamp(id, item)
    }
    fn load(&mut self, id: &RecordId) -> Result<Option<Record>, StoreError> {
        self.1.fetch_add(1, Relaxed);
        self.0.load(id)
    }
    fn base(&mut self, id: &RecordId) -> Result<Option<Base>, StoreError> {
        self.0.base(id)
    }
    fn items(&mut self, id: &RecordId, range: &ItemRange) -> Result<ItemPage, StoreError> {
        self.0.items(id, range)
    }
    fn merge(&mut self, id: &RecordId, delta: Record) -> Result<Merged, StoreError> {
        self.0.merge(id, delta)
    }
    fn forget(&mut self, id: &RecordId) -> Result<(), StoreError> {
        self.0.forget(id)
    }
    fn heads(&mut self, after: Option<&RecordId>, limit: usize) -> Result<Vec<(RecordId, Head)>, StoreError> {
        self.0.heads(after, limit)
    }
    fn expire(&mut self, unix_ms: u64, limit: usize) -> Result<Vec<RecordId>, StoreError> {
        self.0.expire(unix_ms, limit)
    }
    fn flushed(&self) -> Ticket {
        self.0.flushed()
    }
    fn usage(&self) -> Usage {
        self.0.usage()
    }
}

#[tokio::test]
async fn a_long_list_is_read_and_looked_after_without_ever_being_loaded_whole() {
    let loads = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&loads);
    let store = move || -> Result<Box<dyn RecordStore + Send>, std::io::Error> {
        Ok(Box::new(Watched(MemoryStore::new(StoreConfig::default()), Arc::clone(&counter))))
    };
    let member = node().store(store).spawn().await.unwrap();
    let dht = node().client().join([member.address().to_string()]).spawn().await.unwrap();
    let ids = append_all(&member, "list", 0..2_000).await;
    assert_eq!(numbers(&dht, "list", 512).await.len(), 2_000);
    dht.remove("list", ids[1_000]).await.unwrap();
    dht.trim("list", Keep::Last(1_500)).await.unwrap();
    assert_eq!(numbers(&dht, "list", 300).await.len(), 1_500);
    assert_eq!(loads.load(Relaxed), 0, "pages and their bounds are enough");
}

#[tokio::test]
async fn a_full_record_names_the_limit_and_the_remedy_before_anything_is_lost() {
    let dht = node().value_bytes_max(1_000).record_bytes_max(2_000).spawn().await.unwrap();
    let mut sizes = Vec::new();
    let error = loop {
        match dht.append("list", "12345678").await {
            Ok(outcome) => sizes.push(outcome.size.unwrap()),
            Err(error) => break error,
        }
    };
    assert!(sizes.iter().any(|size| size.is_nearly_full()), "{sizes:?}");
    let PutError::Write(WriteError::Refused { refusal: Refusal::RecordFull { bytes_max, .. }, .. }) = &error
    else {
        panic!("{error}")
    };
    assert_eq!(*bytes_max, 2_000);
    assert!(error.to_string().ends_with("trim it or use another key"), "{error}");
    assert_eq!(dht.items_page("list", None, 512).await.unwrap().items.len(), sizes.len(), "nothing is lost");
    dht.trim("list", Keep::Last(1)).await.unwrap();
    dht.append("list", "12345678").await.unwrap();
}

#[tokio::test]
async fn each_announcer_is_told_once_until_it_stops() {
    let nodes = swarm(3, node).await;
    let mut announcements = Vec::new();
    for (number, dht) in nodes.iter().enumerate() {
        announcements.push(dht.announce("model", &number).await.unwrap());
        announcements.push(dht.announce("model", &(number + 10)).await.unwrap());
    }
    for dht in &nodes {
        let providers = dht.providers("model").await.unwrap();
        let mut told: Vec<_> =
            providers.iter().map(|provider| (provider.id, provider.payload.parse().unwrap())).collect();
        told.sort_unstable();
        let mut expected: Vec<_> = nodes.iter().map(Dht::id).zip([10usize, 11, 12]).collect();
        expected.sort_unstable();
        assert_eq!(told, expected);
    }
    announcements.remove(0).stop().await.unwrap();
    let left: Vec<_> = nodes[1].providers("model").await.unwrap().iter().map(|one| one.id).collect();
    assert!(left.len() == 2 && !left.contains(&nodes[0].id()));
}

#[tokio::test]
async fn an_announcement_is_renewed_until_it_is_dropped_and_then_runs_out() {
    let nodes = swarm(2, node).await;
    let ttl = Duration::from_secs(3);
    let kept = nodes[0].announce("model", "kept").ttl(ttl).await.unwrap();
    let id = NodeId::of_public_key(b"a service");
    nodes[1]
        .announce_value("model", Value::Bytes("once".into()))
        .ttl(ttl)
        .on_behalf_of(id)
        .once()
        .await
        .unwrap();
    let first = nodes[1].providers("model").await.unwrap();
    assert_eq!(first.len(), 2);
    let asker = &nodes[1];
    eventually(
        "who does not renew is gone",
        || async move { asker.providers("model").await.unwrap().len() == 1 },
    )
    .await;
    let renewed = asker.providers("model").await.unwrap();
    assert_eq!(renewed[0].id, nodes[0].id());
    let before = first.iter().find(|provider| provider.id == renewed[0].id).unwrap();
    assert!(renewed[0].expires_ms > before.expires_ms);
    drop(kept);
    eventually(
        "who was dropped is gone",
        || async move { asker.providers("model").await.unwrap().is_empty() },
    )
    .await;
}

#[tokio::test]
async fn a_name_that_is_used_for_something_else_is_named() {
    let dht = node().spawn().await.unwrap();
    dht.put("colour", "red").await.unwrap();
    dht.append("list", &4).await.unwrap();
    dht.put_field("map", "a", &1).await.unwrap();
    for (name, found) in [("colour", "value"), ("list", "list")] {
        let expected = format!("'{name}' holds a {found}, not announcements: choose another name");
        assert_eq!(dht.announce(name, &7).once().await.unwrap_err().to_string(), expected);
        assert_eq!(dht.providers(name).await.unwrap_err().to_string(), expected);
    }
    assert!(matches!(dht.providers("map").await, Err(AnnounceError::Taken { found: Shape::Map, .. })));
}
