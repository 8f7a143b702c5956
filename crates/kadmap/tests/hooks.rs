//! What callers may put in: a store, a guard, places, and addresses to join by while a node runs.

mod support;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kadmap::wire::{Body, Message, Request};
use kadmap::{
    Base, Consistency, Contact, Dht, Guard, Head, ItemId, Key, MemoryStore, Merged, Payload, Place, PutError,
    Record, RecordId, RecordStore, Refusal, Stamp, StartError, StoreConfig, StoreError, Ticket, Usage, Value,
    WriteError,
};
use support::{eventually, node, swarm};

/// Far more than a member on loopback takes to answer.
const JOIN_TIMEOUT: Duration = Duration::from_secs(20);

/// A store in memory that takes no record whose name starts with "bad".
struct Picky(MemoryStore);

impl RecordStore for Picky {
    fn head(&mut self, id: &RecordId) -> Result<Option<Head>, StoreError> {
        self.0.head(id)
    }

    fn item_stamp(&mut self, id: &RecordId, item: &ItemId) -> Result<Option<Stamp>, StoreError> {
        self.0.item_stamp(id, item)
    }

    fn load(&mut self, id: &RecordId) -> Result<Option<Record>, StoreError> {
        self.0.load(id)
    }

    fn merge(&mut self, id: &RecordId, delta: Record) -> Result<Merged, StoreError> {
        if id.name.starts_with(b"bad") {
            return Err(StoreError::Rejected { reason: "bad names are not kept here".into() });
        }
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

fn refusal(error: PutError) -> String {
    match error {
        PutError::Write(WriteError::Refused { refusal: Refusal::Rejected { reason }, .. }) => reason,
        other => panic!("not a rejection: {other}"),
    }
}

#[tokio::test]
async fn what_a_store_rejects_is_refused_and_the_node_goes_on() {
    let open = || -> Result<Box<dyn RecordStore + Send>, std::io::Error> {
        Ok(Box::new(Picky(MemoryStore::new(StoreConfig::default()))))
    };
    let picky = node().store(open).spawn().await.unwrap();
    let other = node().join([picky.address().to_string()]).spawn().await.unwrap();
    for writer in [&picky, &other] {
        let refused = writer.put("bad", &1).consistency(Consistency::All).await.unwrap_err();
        assert_eq!(refusal(refused), "bad names are not kept here");
        writer.put("good", &2).consistency(Consistency::All).await.unwrap();
    }
    assert_eq!(picky.keys().await.unwrap(), ["good"]);
}

#[tokio::test]
async fn a_store_that_does_not_open_is_told_with_its_reason() {
    let open = || -> Result<Box<dyn RecordStore + Send>, &str> { Err("no table") };
    let error = node().store(open).spawn().await.unwrap_err();
    assert!(matches!(error, StartError::CustomStore(_)), "{error}");
    assert_eq!(error.to_string(), "cannot open the store: no table");
}

/// Remembers what it was shown; drops what asks for the name "hidden", and upper-cases values before they are stored.
#[derive(Default)]
struct Watch {
    /// Whose put is being handled.
    putting: Mutex<Option<Contact>>,
    /// Names and whether another node asked for them to be kept.
    stored: Mutex<BTreeSet<(String, bool)>>,
}

impl Guard for Watch {
    fn begin(&self, from: &Contact, message: Message) -> Option<Message> {
        match &message.body {
            Body::Request(Request::Get(get)) if &get.name[..] == b"hidden" => return None,
            Body::Request(Request::Put(_)) => *self.putting.lock().unwrap() = Some(*from),
            _ => {}
        }
        Some(message)
    }

    fn end(&self) {
        *self.putting.lock().unwrap() = None;
    }

    fn store(&self, record: &RecordId, delta: Record) -> Result<Record, String> {
        let name = String::from_utf8_lossy(&record.name).into_owned();
        if name == "vetoed" {
            return Err("vetoed".to_owned());
        }
        self.stored.lock().unwrap().insert((name, self.putting.lock().unwrap().is_some()));
        let (base, items) = delta.into_parts();
        let upper = |payload: Payload| Payload::new(payload.codec, payload.bytes.to_ascii_uppercase());
        let base = base.map(|base| Base { payload: base.payload.map(upper), ..base });
        Ok(Record::from_parts(base, items))
    }
}

#[tokio::test]
async fn a_guard_sees_changes_and_vetoes_what_is_to_be_kept() {
    let watch = Arc::new(Watch::default());
    let guard: Arc<dyn Guard> = Arc::<Watch>::clone(&watch);
    let guarded = node().guard(guard).spawn().await.unwrap();
    let other = node().join([guarded.address().to_string()]).spawn().await.unwrap();
    for (writer, name) in [(&guarded, "own"), (&other, "foreign")] {
        writer.put(name, "value").consistency(Consistency::All).await.unwrap();
        let refused = writer.put("vetoed", "value").consistency(Consistency::All).await.unwrap_err();
        assert_eq!(refusal(refused), "vetoed");
        let read = guarded.get_value(name).await.unwrap();
        assert_eq!(read, Some(Value::Json("\"VALUE\"".into())), "{name}");
    }
    let stored = watch.stored.lock().unwrap().clone();
    assert_eq!(stored, [("foreign".to_owned(), true), ("own".to_owned(), false)].into());
}

#[tokio::test]
async fn a_message_that_a_guard_drops_is_never_answered() {
    let guarded = node().guard(Arc::new(Watch::default())).spawn().await.unwrap();
    let other = node().join([guarded.address().to_string()]).spawn().await.unwrap();
    other.put("seen", &1).consistency(Consistency::All).await.unwrap();
    other.read("seen").consistency(Consistency::All).await.unwrap();
    let read = other.read("hidden").consistency(Consistency::All).timeout(Duration::from_millis(500));
    // The silent node is taken for gone, so the other one may be all there is.
    if let Ok(reading) = read.await {
        assert_eq!(reading.answers, 1);
    }
}

#[tokio::test]
async fn places_keep_names_together_and_apart_from_their_usual_place() {
    let nodes = swarm(3, node).await;
    let family = Place::Hashed(b"family".to_vec());
    let exact = Place::Exact(Key::MAX);
    for name in ["one", "two"] {
        nodes[0].put(name, name).place(&family).await.unwrap();
        nodes[1].append(name, name).place(&exact).await.unwrap();
    }
    assert_eq!(nodes[2].read("one").await.unwrap().value, None);
    assert_eq!(nodes[2].read("one").place(&family).await.unwrap().parse().unwrap(), Some("one".to_owned()));
    for place in [&family, &exact] {
        let nodes = &nodes;
        let key = nodes[2].place_of(place);
        eventually("every node tells both names", || async move {
            for node in nodes {
                if node.names_at(key).await.unwrap() != ["one", "two"] {
                    return false;
                }
            }
            true
        })
        .await;
    }
    assert!(nodes[0].names_at(Key::MIN).await.unwrap().is_empty());
}

#[tokio::test]
async fn two_swarms_become_one() {
    let (left, right) = (swarm(2, node).await, swarm(2, node).await);
    left[0].put("left", &1).await.unwrap();
    right[1].join([left[1].address().to_string()], JOIN_TIMEOUT).await.unwrap();
    let all: Vec<&Dht> = left.iter().chain(&right).collect();
    let all = &all;
    eventually("everyone knows everyone", || async move {
        for node in all {
            if node.peers().await.unwrap().len() != 3 {
                return false;
            }
        }
        true
    })
    .await;
    assert_eq!(right[0].get::<u32>("left").await.unwrap(), Some(1));
}

#[tokio::test]
async fn a_later_join_that_finds_nobody_changes_nothing() {
    let dht = node().spawn().await.unwrap();
    dht.put("kept", &1).await.unwrap();
    let own = dht.address().to_string();
    let error = dht.join([own], JOIN_TIMEOUT).await.unwrap_err();
    assert!(matches!(&error, StartError::Join { attempts } if attempts.len() == 1), "{error}");
    assert!(matches!(dht.join::<String>([], JOIN_TIMEOUT).await, Err(StartError::Setting { .. })));
    assert_eq!(dht.get::<u32>("kept").await.unwrap(), Some(1));
}

#[tokio::test]
async fn a_stopped_node_gives_its_port_and_folder_free_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let dht = node().data_dir(folder.path()).spawn().await.unwrap();
    let address = dht.address().to_string();
    dht.put("kept", &1).await.unwrap();
    let waiting = tokio::spawn({
        let dht = dht.clone();
        async move { dht.join(["127.0.0.1:1"], JOIN_TIMEOUT).await }
    });
    dht.stop().await;
    assert!(dht.is_stopped());
    assert!(matches!(dht.put("lost", &1).await, Err(PutError::Stopped(_))));
    assert!(waiting.await.unwrap().is_err());
    dht.stop().await;
    let again = Dht::builder().listen(address).data_dir(folder.path()).spawn().await.unwrap();
    assert_eq!(again.get::<u32>("kept").await.unwrap(), Some(1));
}
