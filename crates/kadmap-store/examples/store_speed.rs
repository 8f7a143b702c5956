//! Prints how fast the stores are: `cargo run --release -p kadmap-store --example store_speed`.

use std::fmt::Display;
use std::io::Write;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use kadmap_core::{Base, Codec, Item, ItemRange, Key, Payload, Record, RecordId, RecordStore, Shape, Stamp};
use kadmap_store::{Durability, MemoryStore, RedbStore, StoreConfig};

/// More than a node of a large swarm holds.
const RECORDS: u64 = 200_000;
/// As many as a store takes before it waits for the disk.
const BURST: u64 = 20_000;
const VALUE_BYTES: usize = 100;
/// Synced writes on their way at once.
const IN_FLIGHT: u64 = 1_000;
const SYNCED_WRITES: u64 = 50_000;

fn id(number: u64) -> RecordId {
    let name = format!("name-{number}");
    RecordId::new(Key::of_name(name.as_bytes()), name)
}

fn stamp(number: u64) -> Stamp {
    Stamp { time: number + 1, writer: 1 }
}

fn payload() -> Option<Payload> {
    Some(Payload::new(Codec::Bytes, vec![7; VALUE_BYTES]))
}

fn value(number: u64) -> Record {
    Base { stamp: stamp(number), shape: Shape::Value, payload: payload(), expires_ms: None }.into()
}

fn item(number: u64) -> Record {
    Item { stamp: stamp(number), field: None, payload: payload(), expires_ms: None }.into()
}

fn say(what: &str, how_much: impl Display) {
    let _ = writeln!(std::io::stdout(), "{what:<52} {how_much}");
}

/// Times `count` calls with inputs made beforehand.
fn time<T>(what: &str, inputs: Vec<T>, mut call: impl FnMut(T)) -> Duration {
    let count = inputs.len() as u32;
    let start = Instant::now();
    inputs.into_iter().for_each(&mut call);
    let each = start.elapsed() / count;
    say(what, format_args!("{each:>10.2?} each, {:>9.0}/s", 1.0 / each.as_secs_f64()));
    each
}

fn measure(name: &str, records: u64, store: &mut impl RecordStore) {
    let news = (0..records).map(|number| (id(number), value(number))).collect();
    time(&format!("{name}: merge of a new 100 B record"), news, |(id, delta)| {
        store.merge(&id, delta).unwrap();
    });
    let puts = (0..records).map(|number| (id(number), value(records + number))).collect();
    time(&format!("{name}: put over an old record"), puts, |(id, delta)| {
        store.merge(&id, delta).unwrap();
    });
    let repeats = (0..records).map(|number| (id(number), value(number))).collect();
    time(&format!("{name}: merge of what is older"), repeats, |(id, delta)| {
        store.merge(&id, delta).unwrap();
    });
    let list = RecordId::new(Key::of_name(b"list"), "list");
    time(&format!("{name}: append to one list"), (0..records).map(item).collect(), |delta| {
        store.merge(&list, delta).unwrap();
    });
    let range = |from: u64| ItemRange { from: stamp(from), ..ItemRange::default() };
    let from = (0..records - 512).step_by(512).map(range).collect();
    time(&format!("{name}: page of the list"), from, |range| {
        assert!(store.items(&list, &range).unwrap().next.is_some());
    });
    time(&format!("{name}: head"), (0..records).map(id).collect(), |id| {
        store.head(&id).unwrap();
    });
    time(&format!("{name}: load"), (0..records).map(id).collect(), |id| {
        store.load(&id).unwrap();
    });
    let start = Instant::now();
    let (mut after, mut seen) = (None, 0);
    while let Some((last, _)) = {
        let page = store.heads(after.as_ref(), 1_000).unwrap();
        seen += page.len() as u32;
        page.last().cloned()
    } {
        after = Some(last);
    }
    say(&format!("{name}: walk over the heads"), format_args!("{:>10.2?} each", start.elapsed() / seen));
}

/// Bytes of memory that are the process's own, where the system tells.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1_024)
}

fn main() {
    let before = resident_bytes();
    let mut store = MemoryStore::new(StoreConfig::default());
    for number in 0..RECORDS {
        store.merge(&id(number), value(number)).unwrap();
    }
    if let (Some(before), Some(after)) = (before, resident_bytes()) {
        say("memory: bytes of a 100 B record", (after - before) / RECORDS);
    }
    drop(store);
    measure("memory, 200k records", RECORDS, &mut MemoryStore::new(StoreConfig::default()));
    measure("memory, 20k records", BURST, &mut MemoryStore::new(StoreConfig::default()));

    let folder = tempfile::tempdir().unwrap();
    let mut store = RedbStore::open(folder.path(), StoreConfig::default(), Box::new(|| ())).unwrap().store;
    measure("redb replicated, 20k records", BURST, &mut store);
    drop(store);

    let folder = tempfile::tempdir().unwrap();
    let mut store = RedbStore::open(folder.path(), StoreConfig::default(), Box::new(|| ())).unwrap().store;
    measure("redb replicated, 200k records", RECORDS, &mut store);
    // A copy of an open file is what a crash leaves.
    let crashed = tempfile::tempdir().unwrap();
    std::fs::copy(folder.path().join("records.redb"), crashed.path().join("records.redb")).unwrap();
    let start = Instant::now();
    drop(RedbStore::open(crashed.path(), StoreConfig::default(), Box::new(|| ())).unwrap());
    say("redb: open and close after a crash", format_args!("{:>10.2?}", start.elapsed()));
    let start = Instant::now();
    store.close().unwrap();
    say("redb replicated: close", format_args!("{:>10.2?}", start.elapsed()));
    let bytes = std::fs::metadata(folder.path().join("records.redb")).unwrap().len();
    say("redb: file", format_args!("{:>8} MiB", bytes >> 20));
    let start = Instant::now();
    let store = RedbStore::open(folder.path(), StoreConfig::default(), Box::new(|| ())).unwrap().store;
    say("redb: open after a clean close", format_args!("{:>10.2?}", start.elapsed()));
    drop(store);
    synced();
}

fn synced() {
    let folder = tempfile::tempdir().unwrap();
    let (notify, flushed) = mpsc::channel();
    let config = StoreConfig { durability: Durability::Synced, ..StoreConfig::default() };
    let notify = Box::new(move || notify.send(()).unwrap_or(()));
    let mut store = RedbStore::open(folder.path(), config, notify).unwrap().store;
    let mut one = |in_flight: u64, writes: u64, first: u64| {
        let start = Instant::now();
        let mut waiting = std::collections::VecDeque::new();
        for number in first..first + writes {
            waiting.push_back(store.merge(&id(number), value(number)).unwrap().ticket.unwrap());
            while waiting.len() as u64 >= in_flight {
                flushed.recv().unwrap();
                let done = store.flushed();
                while waiting.front().is_some_and(|ticket| *ticket <= done) {
                    waiting.pop_front();
                }
            }
        }
        let each = start.elapsed() / writes as u32;
        let rate = 1.0 / each.as_secs_f64();
        say(
            &format!("redb synced: {in_flight} in flight"),
            format_args!("{each:>10.2?} each, {rate:>9.0}/s"),
        );
    };
    one(1, 500, 0);
    one(IN_FLIGHT, SYNCED_WRITES, 1_000);
}
