//! A damaged file gives right values, or none; never wrong ones and never a panic.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use kadmap_core::{
    Base, Codec, Item, ItemRange, Key, Payload, Record, RecordId, RecordStore, Shape, Stamp, StoreError,
};
use kadmap_store::{RedbStore, StoreConfig};

const FILE: &str = "records.redb";
/// Bits flipped, for a long night.
const FLIPS: &str = "KADMAP_LONG_FLIPS";
const FLIPS_DEFAULT: u64 = 200;
const RECORDS: u64 = 120;
const ITEMS: u64 = 60;

type Expected = BTreeMap<RecordId, Record>;

fn stamp(number: u64) -> Stamp {
    Stamp { time: (number + 1) << 16, writer: 1 }
}

fn item(number: u64, field: Option<String>) -> Item {
    let payload = Some(Payload::new(Codec::Json, number.to_string()));
    Item { stamp: stamp(number), field: field.map(Into::into), payload, expires_ms: Some(u64::MAX / 2) }
}

/// Small and large values, a list and a map.
fn write_records(folder: &Path) -> Expected {
    let mut store = RedbStore::open(folder, StoreConfig::default(), Box::new(|| ())).unwrap().store;
    let mut expected = Expected::new();
    for number in 0..RECORDS {
        let name = format!("record {number}");
        let id = RecordId::new(Key::of_name(name.as_bytes()), name);
        let bytes = vec![number as u8; if number % 20 == 0 { 9_000 } else { 60 }];
        let payload = Some(Payload::new(Codec::Bytes, bytes));
        let base = Base { stamp: stamp(number), shape: Shape::Value, payload, expires_ms: None };
        expected.insert(id, base.into());
    }
    let list = (0..ITEMS).map(|number| item(number, None));
    expected.insert(RecordId::new(Key::of_name(b"list"), "list"), Record::from_parts(None, list));
    let map = (0..ITEMS).map(|number| item(number, Some(format!("field {number}"))));
    expected.insert(RecordId::new(Key::of_name(b"map"), "map"), Record::from_parts(None, map));
    for (id, record) in &expected {
        assert!(store.merge(id, record.clone()).unwrap().changed);
    }
    store.close().unwrap();
    expected
}

/// Numbers without a pattern, the same each time.
fn scatter(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^= mixed >> 27;
    mixed.wrapping_mul(0x94d0_49bb_1331_11eb) ^ (mixed >> 31)
}

/// What reading everything came to.
#[derive(Debug, Default)]
struct Seen {
    right: usize,
    absent: usize,
    damaged: usize,
    failed: usize,
    set_aside: usize,
}

/// Opens the folder, reads all there is in every way, and writes a little.
fn read_all(folder: &Path, expected: &Expected, seen: &mut Seen) -> RedbStore {
    let opened = match RedbStore::open(folder, StoreConfig::default(), Box::new(|| ())) {
        Ok(opened) => opened,
        Err(error) => panic!("a damaged file must not keep the node from starting: {error}"),
    };
    let mut store = opened.store;
    seen.set_aside += usize::from(opened.set_aside.is_some());
    if let Ok(heads) = store.heads(None, usize::MAX) {
        for (id, head) in heads {
            assert_eq!(head.version, expected[&id].head().version, "a head of something never written");
        }
    }
    for (id, record) in expected {
        match store.items(id, &ItemRange::default()) {
            Ok(page) => {
                let is_right = |item: &Item| record.item(&item.id()) == Some(item);
                assert!(page.items.iter().all(is_right), "a wrong item");
            }
            Err(StoreError::Damaged) => seen.damaged += 1,
            Err(StoreError::Failed { .. } | StoreError::Rejected { .. }) => seen.failed += 1,
        }
        match store.load(id) {
            Ok(Some(found)) => {
                assert_eq!(&found, record, "a wrong value");
                seen.right += 1;
            }
            Ok(None) => seen.absent += 1,
            Err(StoreError::Damaged) => {
                assert_eq!(store.load(id).map(|_| ()), Ok(()), "reported once");
                seen.damaged += 1;
            }
            Err(StoreError::Failed { .. } | StoreError::Rejected { .. }) => seen.failed += 1,
        }
        // What the swarm would send again.
        if store.merge(id, record.clone()).is_ok()
            && let Ok(found) = store.load(id)
        {
            assert_eq!(found.as_ref(), Some(record));
        }
    }
    store
}

/// Panics of the storage library are part of this test and would drown its output.
fn hush() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !panic.location().is_some_and(|at| at.file().contains("redb")) {
            usual(panic);
        }
    }));
}

#[test]
fn one_flipped_bit_never_gives_a_wrong_value_nor_a_panic() {
    hush();
    let flips = std::env::var(FLIPS).ok().and_then(|flips| flips.parse().ok()).unwrap_or(FLIPS_DEFAULT);
    let whole = tempfile::tempdir().unwrap();
    let expected = write_records(whole.path());
    let bytes = fs::read(whole.path().join(FILE)).unwrap();
    // Most of a young file is empty; flips there say little.
    let used: Vec<_> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
    let mut seen = Seen::default();
    for flip in 0..flips {
        let random = scatter(flip);
        let at = match flip % 4 {
            0 => (random >> 3) as usize % bytes.len(),
            _ => used[(random >> 3) as usize % used.len()],
        };
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (random % 8);
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), flipped).unwrap();
        // Damage that a run met must not meet the next one. One that no run has met yet, such as a page that says it has a few
        // entries less, may show only once that page has been written anew.
        let mut failures = [0; 3];
        for run in &mut failures[..2] {
            let before = seen.failed;
            let _ = read_all(folder.path(), &expected, &mut seen).close();
            *run = seen.failed - before;
        }
        let before = seen.failed;
        let mut store = read_all(folder.path(), &expected, &mut seen);
        failures[2] = seen.failed - before;
        let goes_on = failures.windows(2).any(|runs| runs[0] > 0 && runs[1] > 0);
        assert!(!goes_on, "byte {at} keeps failing after a restart: {failures:?}");
        // The index of what dies may be what was hit.
        let _ = store.expire(u64::MAX, 1_000);
        for (id, record) in &expected {
            let live = store.load(id).ok().flatten();
            assert!(live.is_none_or(|live| live.difference(record).is_empty()), "a wrong value");
        }
    }
    let told = format!("{flips} flips: {seen:?}\n");
    std::io::Write::write_all(&mut std::io::stderr(), told.as_bytes()).unwrap();
    assert!(seen.right > seen.absent && seen.damaged > 0, "{told}");
}

#[test]
fn a_file_that_is_none_is_set_aside_and_kept() {
    hush();
    let whole = tempfile::tempdir().unwrap();
    let expected = write_records(whole.path());
    let bytes = fs::read(whole.path().join(FILE)).unwrap();
    let garbage = (0..100_000).map(|number| scatter(number) as u8).collect();
    let cut = [1, 100, 4_096, bytes.len() / 8, bytes.len() / 2].map(|length| bytes[..length].to_vec());
    for content in cut.into_iter().chain([Vec::new(), garbage, b"not a database".to_vec()]) {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), &content).unwrap();
        let opened = RedbStore::open(folder.path(), StoreConfig::default(), Box::new(|| ())).unwrap();
        let aside =
            opened.set_aside.unwrap_or_else(|| panic!("{} bytes were taken for a file", content.len()));
        assert!(aside.file_name().unwrap().to_str().unwrap().starts_with("records.redb.damaged-"));
        // redb may have begun to mend it, but not to shorten it.
        assert!(fs::metadata(aside).unwrap().len() >= content.len() as u64);
        assert_eq!(opened.store.usage().records, 0);
        drop(opened.store);
        drop(read_all(folder.path(), &expected, &mut Seen::default()));
    }
}

#[test]
fn a_scrub_finds_every_damaged_record_in_one_pass_and_names_it() {
    hush();
    let folder = tempfile::tempdir().unwrap();
    let expected = write_records(folder.path());
    let path = folder.path().join(FILE);
    let mut bytes = fs::read(&path).unwrap();
    // The values of every tenth record: 60 times its number.
    let numbers: Vec<_> = (1..RECORDS).filter(|number| number % 10 == 1).collect();
    for number in &numbers {
        let value = [*number as u8; 60];
        let at = bytes.windows(value.len()).position(|window| window == value).unwrap();
        bytes[at] ^= 1;
    }
    fs::write(&path, bytes).unwrap();
    let mut store = RedbStore::open(folder.path(), StoreConfig::default(), Box::new(|| ())).unwrap().store;
    let (mut damaged, mut sound) = (Vec::new(), 0);
    // It begins anywhere: with as many steps again it has been round.
    for _ in 0..2 * expected.len().div_ceil(7) {
        let scrubbed = store.scrub(7).unwrap();
        damaged.extend(scrubbed.damaged);
        sound += scrubbed.sound;
    }
    damaged.sort();
    let mut wanted: Vec<_> = numbers.iter().map(|number| format!("record {number}")).collect();
    wanted.sort_by_key(|name| Key::of_name(name.as_bytes()));
    let found: Vec<_> = damaged.iter().map(|id| String::from_utf8(id.name.to_vec()).unwrap()).collect();
    assert_eq!(found, wanted);
    assert!(sound >= (expected.len() - numbers.len()) as u64);
    assert_eq!(store.counters().damaged_records, numbers.len() as u64);
    for id in damaged {
        assert_eq!(store.load(&id).unwrap(), None, "set aside");
        assert!(store.merge(&id, expected[&id].clone()).unwrap().changed);
        assert_eq!(store.load(&id).unwrap().as_ref(), Some(&expected[&id]), "held again");
    }
}
