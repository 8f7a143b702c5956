//! Any damage to a store's file: right values or none, never a wrong one, never a panic, and it opens again.
#![no_main]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use kadmap_core::{Base, Codec, Item, Key, Payload, Record, RecordId, RecordStore, Shape, Stamp};
use kadmap_fuzz::Source;
use kadmap_store::{RedbStore, StoreConfig};
use libfuzzer_sys::fuzz_target;

const FILE: &str = "records.redb";
/// Records with one value in the file before it is damaged.
const VALUES: u64 = 40;
/// Items of the list and fields of the map in it.
const ITEMS: u64 = 20;
/// A folder in memory, where there is one: files are written thousands of times.
const MEMORY_FOLDER: &str = "/dev/shm";

type Records = BTreeMap<RecordId, Record>;

/// A file as a clean close leaves it, where in it there is something, and what it holds.
static WHOLE: LazyLock<(Vec<u8>, Vec<usize>, Records)> = LazyLock::new(|| {
    let folder = folder();
    let expected = records();
    let mut store = open(folder.path());
    for (id, record) in &expected {
        store.merge(id, record.clone()).expect("a new store takes a record");
    }
    store.close().expect("a new store closes");
    let bytes = fs::read(folder.path().join(FILE)).expect("the file is there");
    let used = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
    (bytes, used, expected)
});

fuzz_target!(
    init: ignore_caught_panics(),
    |bytes: &[u8]| {
        let folder = folder();
        fs::write(folder.path().join(FILE), damaged(bytes)).expect("the folder takes a file");
        let expected = &WHOLE.2;
        let mut store = open(folder.path());
        check(&mut store, expected);
        let _ = store.expire(1 << 40, 1_000);
        // What the swarm would send again must be readable, or the store must have said that it is not.
        for (id, record) in expected {
            if store.merge(id, record.clone()).is_ok() && let Ok(found) = store.load(id) {
                assert_eq!(found.as_ref(), Some(record));
            }
        }
        let _ = store.close();
        check(&mut open(folder.path()), expected);
    }
);

/// Everything that can be read is right.
fn check(store: &mut RedbStore, expected: &Records) {
    for (id, head) in store.heads(None, usize::MAX).unwrap_or_default() {
        let record = expected.get(&id).expect("only names that were written");
        assert_eq!(head, record.head());
    }
    for (id, record) in expected {
        if let Ok(Some(found)) = store.load(id) {
            assert_eq!(&found, record);
        }
        if let Some(item) = record.items().next()
            && let Ok(Some(stamp)) = store.item_stamp(id, &item.id())
        {
            assert_eq!(stamp, item.stamp);
        }
    }
}

/// The whole file with some bytes changed or its end cut off, or no file of ours at all.
fn damaged(bytes: &[u8]) -> Vec<u8> {
    let mut source = Source::new(bytes);
    let (whole, used, _) = &*WHOLE;
    match source.byte() {
        0 => return source.rest().to_vec(),
        1 => {
            let length = usize::from(source.short()) << 8 | usize::from(source.byte());
            return whole[..length.min(whole.len())].to_vec();
        }
        _ => {}
    }
    let mut file = whole.clone();
    while !source.is_empty() {
        let at = used[(usize::from(source.byte()) << 16 | usize::from(source.short())) % used.len()];
        let length = source.below(8).max(1);
        for (place, byte) in file.iter_mut().skip(at).zip(source.take(length)) {
            *place ^= byte;
        }
    }
    file
}

fn records() -> Records {
    let stamp = |number| Stamp { time: (number + 1) << 16, writer: 1 };
    let value = |number: u64| {
        let payload =
            Some(Payload::new(Codec::Bytes, vec![number as u8; if number % 20 == 0 { 5_000 } else { 50 }]));
        Record::from(Base { stamp: stamp(number), shape: Shape::Value, payload, expires_ms: None })
    };
    let item = |number: u64, field: Option<String>| {
        let payload = Some(Payload::new(Codec::Json, number.to_string()));
        Item { stamp: stamp(number), field: field.map(Into::into), payload, expires_ms: Some(u64::MAX / 2) }
    };
    let list = Record::from_parts(None, (0..ITEMS).map(|number| item(number, None)));
    let map =
        Record::from_parts(None, (0..ITEMS).map(|number| item(number, Some(format!("field {number}")))));
    let named = (0..VALUES).map(|number| (format!("record {number}"), value(number)));
    let all = named.chain([("list".to_owned(), list), ("map".to_owned(), map)]);
    all.map(|(name, record)| (RecordId::new(Key::of_name(name.as_bytes()), name), record)).collect()
}

fn open(folder: &Path) -> RedbStore {
    let opened = RedbStore::open(folder, StoreConfig::default(), Box::new(|| ()));
    opened.expect("a damaged file must not keep a node from starting").store
}

fn folder() -> tempfile::TempDir {
    let memory = PathBuf::from(MEMORY_FOLDER);
    let place = if memory.is_dir() { memory } else { std::env::temp_dir() };
    tempfile::tempdir_in(place).expect("a folder for temporary files")
}

/// The store catches panics of its storage library; the fuzzer, which aborts at the first one, must let it.
fn ignore_caught_panics() {
    let abort = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !panic.location().is_some_and(|at| at.file().contains("redb-")) {
            abort(panic);
        }
    }));
}
