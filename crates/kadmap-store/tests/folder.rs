//! What opening a folder says, and what an open store promises.

use std::fs;
use std::sync::mpsc;
use std::time::Duration;

use kadmap_core::{
    Base, Codec, Item, Key, Payload, Presence, Record, RecordId, RecordStore, Shape, Stamp, StoreError,
};
use kadmap_store::{Durability, OpenError, RedbStore, StoreConfig};

fn id(name: &str) -> RecordId {
    RecordId::new(Key::of_name(name.as_bytes()), name.to_owned())
}

fn value(number: u64, size: usize) -> Record {
    let payload = Some(Payload::new(Codec::Bytes, vec![number as u8; size]));
    let stamp = Stamp { time: number, writer: 1 };
    Base { stamp, shape: Shape::Value, payload, expires_ms: None }.into()
}

fn item(number: u64) -> Record {
    let payload = Some(Payload::new(Codec::Json, number.to_string()));
    Item { stamp: Stamp { time: number, writer: 1 }, field: None, payload, expires_ms: None }.into()
}

fn open(folder: &std::path::Path) -> Result<RedbStore, OpenError> {
    RedbStore::open(folder, StoreConfig::default(), Box::new(|| ())).map(|opened| opened.store)
}

/// A store whose writes stay in memory until it is closed, or whose ticket channel says when they are not.
fn open_synced(folder: &std::path::Path) -> (RedbStore, mpsc::Receiver<()>) {
    let (notify, flushed) = mpsc::channel();
    let config = StoreConfig { durability: Durability::Synced, ..StoreConfig::default() };
    let notify = Box::new(move || notify.send(()).unwrap_or(()));
    (RedbStore::open(folder, config, notify).unwrap().store, flushed)
}

#[test]
fn a_folder_in_use_is_refused_with_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path()).unwrap();
    let error = open(folder.path()).unwrap_err();
    assert!(matches!(&error, OpenError::InUse { path } if path == folder.path()));
    assert!(error.to_string().contains("--data"), "{error}");
    drop(first);
    assert!(open(folder.path()).is_ok());
}

#[test]
fn a_folder_that_cannot_be_one_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "mine").unwrap();
    for path in [file.clone(), file.join("below")] {
        let error = open(&path).unwrap_err();
        assert!(matches!(&error, OpenError::Folder { path: named, .. } if *named == path));
        assert!(error.to_string().contains("--data"), "{error}");
    }
    assert_eq!(fs::read_to_string(file).unwrap(), "mine");
}

#[test]
fn a_file_that_is_a_folder_is_no_damage() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("records.redb");
    fs::create_dir(&inner).unwrap();
    fs::write(inner.join("something"), "mine").unwrap();
    assert!(matches!(open(folder.path()).unwrap_err(), OpenError::Disk { .. }));
    assert!(inner.join("something").exists());
}

#[cfg(unix)]
#[test]
fn a_new_folder_and_its_file_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let new = folder.path().join("a/b");
    drop(open(&new).unwrap());
    assert_eq!(fs::metadata(&new).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(fs::metadata(new.join("records.redb")).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn dropping_the_store_writes_everything_down() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path()).unwrap();
    for number in 1..=500 {
        store.merge(&id(&number.to_string()), value(number, 10)).unwrap();
    }
    let usage = store.usage();
    drop(store);
    let mut store = open(folder.path()).unwrap();
    assert_eq!(store.usage(), usage);
    assert_eq!(usage.records, 500);
    for number in 1..=500 {
        assert_eq!(store.load(&id(&number.to_string())).unwrap(), Some(value(number, 10)));
    }
}

#[test]
fn a_synced_write_is_on_disk_once_its_ticket_is_reached() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, flushed) = open_synced(folder.path());
    for number in 1..=20 {
        let ticket = store.merge(&id("a"), value(number, 10)).unwrap().ticket.unwrap();
        let again = store.merge(&id("a"), value(number, 10)).unwrap();
        assert!(!again.changed);
        // A repetition is not acknowledged before the first.
        assert!(again.ticket == Some(ticket) || store.flushed() >= ticket);
        while store.flushed() < ticket {
            flushed.recv().unwrap();
        }
        assert_eq!(store.merge(&id("a"), value(number, 10)).unwrap().ticket, None);
    }
}

#[test]
fn a_replicated_write_needs_no_ticket_and_reaches_the_disk_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let (notify, flushed) = mpsc::channel();
    let config = StoreConfig { flush_interval: Duration::from_millis(1), ..StoreConfig::default() };
    let notify = Box::new(move || notify.send(()).unwrap_or(()));
    let mut store = RedbStore::open(folder.path(), config, notify).unwrap().store;
    assert_eq!(store.merge(&id("a"), value(1, 10)).unwrap().ticket, None);
    flushed.recv().unwrap();
    assert_eq!(store.counters().flushes, 1);
    // At rest nothing is written: the next flush is the next write's.
    store.merge(&id("b"), value(1, 10)).unwrap();
    flushed.recv().unwrap();
    assert_eq!(store.counters().flushes, 2);
}

#[test]
fn an_append_to_a_long_list_writes_as_much_as_to_a_short_one() {
    const ITEMS: u64 = 100_000;
    let folder = tempfile::tempdir().unwrap();
    let (mut store, flushed) = open_synced(folder.path());
    let written_by_one = |store: &mut RedbStore, number| {
        let before = store.counters();
        let ticket = store.merge(&id("list"), item(number)).unwrap().ticket.unwrap();
        while store.flushed() < ticket {
            flushed.recv().unwrap();
        }
        store.counters().bytes_written - before.bytes_written
    };
    let first = written_by_one(&mut store, 100_001);
    for number in 100_002..100_002 + ITEMS {
        store.merge(&id("list"), item(number)).unwrap();
    }
    store.close().unwrap();
    let (mut store, flushed) = open_synced(folder.path());
    assert_eq!(store.head(&id("list")).unwrap().unwrap().appended, ITEMS + 1);
    let before = store.counters();
    let ticket = store.merge(&id("list"), item(900_000)).unwrap().ticket.unwrap();
    while store.flushed() < ticket {
        flushed.recv().unwrap();
    }
    let last = store.counters().bytes_written - before.bytes_written;
    assert_eq!(store.counters().rows_written, 3, "the item, the head and the usage");
    assert!(last <= first + 32, "{last} bytes after {first}");
    assert_eq!(store.load(&id("list")).unwrap().unwrap().items().len() as u64, ITEMS + 2);
}

#[test]
fn a_record_is_replaced_in_one_flush_so_that_no_crash_comes_between() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, flushed) = open_synced(folder.path());
    for number in 0..50 {
        store.merge(&id("a"), value(1_000 + number, 10)).unwrap();
        let ticket = store.merge(&id("b"), item(number + 1)).unwrap().ticket.unwrap();
        while store.flushed() < ticket {
            flushed.recv().unwrap();
        }
        let before = store.counters().flushes;
        // Older than what is there: it would not win a merge.
        store.replace(&id("a"), value(number, 10)).unwrap();
        while store.flushed() <= ticket {
            flushed.recv().unwrap();
        }
        let barrier = store.merge(&id("b"), item(500 + number)).unwrap().ticket.unwrap();
        while store.flushed() < barrier {
            flushed.recv().unwrap();
        }
        assert_eq!(
            store.counters().flushes - before,
            2,
            "one for the record and one for what was written after it"
        );
        assert_eq!(store.load(&id("a")).unwrap(), Some(value(number, 10)));
    }
}

#[test]
fn when_the_node_was_there_is_noted_with_the_next_write_and_now_and_then_without() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path()).unwrap();
    assert_eq!(store.presence(), None);
    let presence = |until_ms| Presence { member_ms: Some(5), until_ms };
    store.keep_presence(presence(1_000));
    store.close().unwrap();

    let mut store = open(folder.path()).unwrap();
    assert_eq!(store.presence(), Some(presence(1_000)), "the first is a write of its own");
    store.keep_presence(presence(2_000));
    assert_eq!(store.presence(), Some(presence(2_000)));
    store.close().unwrap();
    let mut store = open(folder.path()).unwrap();
    assert_eq!(store.presence(), Some(presence(1_000)), "a second more is not worth one");
    store.keep_presence(presence(3_000));
    store.merge(&id("a"), value(1, 10)).unwrap();
    store.close().unwrap();
    assert_eq!(open(folder.path()).unwrap().presence(), Some(presence(3_000)));
}

#[test]
fn writes_beyond_the_bound_wait_for_the_disk_and_arrive() {
    let folder = tempfile::tempdir().unwrap();
    let config = StoreConfig {
        flush_interval: Duration::from_secs(3_600),
        unflushed_bytes_max: 1 << 20,
        ..StoreConfig::default()
    };
    let mut store = RedbStore::open(folder.path(), config, Box::new(|| ())).unwrap().store;
    for number in 1..=100 {
        store.merge(&id(&number.to_string()), value(number, 100_000)).unwrap();
    }
    assert!(store.counters().flushes >= 5);
    for number in 1..=100 {
        assert_eq!(store.load(&id(&number.to_string())).unwrap(), Some(value(number, 100_000)));
    }
}

#[test]
fn a_notifier_that_panics_is_told_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let config = StoreConfig { durability: Durability::Synced, ..StoreConfig::default() };
    let notify = Box::new(|| panic!("on purpose"));
    let mut store = RedbStore::open(folder.path(), config, notify).unwrap().store;
    store.merge(&id("a"), value(1, 10)).unwrap();
    assert!(matches!(store.close(), Err(StoreError::Failed { .. })));
    assert!(open(folder.path()).unwrap().head(&id("a")).unwrap().is_some());
}
