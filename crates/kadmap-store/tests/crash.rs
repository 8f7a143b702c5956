//! A process killed at any moment has lost nothing that the store let it acknowledge.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;

use kadmap_core::{
    Base, Codec, Item, ItemId, Key, Payload, Record, RecordId, RecordStore, Shape, Stamp, Ticket,
};
use kadmap_store::{Durability, RedbStore, StoreConfig};

/// Set for the child: the folder it writes to, and the number it begins with.
const CHILD_FOLDER: &str = "KADMAP_STORE_CHILD_FOLDER";
const CHILD_FIRST: &str = "KADMAP_STORE_CHILD_FIRST";
/// Rounds of killing, for a long night.
const ROUNDS: &str = "KADMAP_LONG_ROUNDS";
const ROUNDS_DEFAULT: u64 = 5;
/// Writes on their way to the disk at once.
const IN_FLIGHT: usize = 64;
/// Rounds with the same file; then a fresh one, or a long night would be spent on reading all that was written in it.
const ROUNDS_PER_FILE: u64 = 20;
/// Every so many writes one is an append to the same list.
const APPEND_EVERY: u64 = 3;

fn stamp(number: u64) -> Stamp {
    Stamp { time: number + 1, writer: 1 }
}

fn payload(number: u64) -> Payload {
    Payload::new(Codec::Json, number.to_string().repeat(1 + number as usize % 50))
}

fn list() -> RecordId {
    RecordId::new(Key::of_name(b"list"), "list")
}

/// The write of this number: a record of its own, or an item of the list.
fn write(number: u64) -> (RecordId, Record) {
    let payload = Some(payload(number));
    if number.is_multiple_of(APPEND_EVERY) {
        let item = Item { stamp: stamp(number), field: None, payload, expires_ms: None };
        return (list(), item.into());
    }
    let name = format!("record {number}");
    let base = Base { stamp: stamp(number), shape: Shape::Value, payload, expires_ms: None };
    (RecordId::new(Key::of_name(name.as_bytes()), name), base.into())
}

/// Not a test: what the child of the test below does until it is killed.
#[test]
fn child_writes_until_killed() {
    let Ok(folder) = std::env::var(CHILD_FOLDER) else { return };
    let first: u64 = std::env::var(CHILD_FIRST).unwrap().parse().unwrap();
    let (notify, flushed) = mpsc::channel();
    let config = StoreConfig { durability: Durability::Synced, ..StoreConfig::default() };
    let notify = Box::new(move || notify.send(()).unwrap_or(()));
    let mut store = RedbStore::open(Path::new(&folder), config, notify).unwrap().store;
    let mut waiting: VecDeque<(Ticket, u64)> = VecDeque::new();
    let mut out = std::io::stdout().lock();
    for number in first.. {
        let (id, delta) = write(number);
        waiting.push_back((store.merge(&id, delta).unwrap().ticket.unwrap(), number));
        while waiting.len() >= IN_FLIGHT {
            flushed.recv().unwrap();
            let done = store.flushed();
            while let Some((_, number)) = waiting.front().filter(|(ticket, _)| *ticket <= done) {
                writeln!(out, "acked {number}").unwrap();
                waiting.pop_front();
            }
            out.flush().unwrap();
        }
    }
}

/// Runs a child until it has acknowledged `kill_after` writes, kills it and gives what it acknowledged.
fn acked_by_a_killed_child(folder: &Path, first: u64, kill_after: usize) -> Vec<u64> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["child_writes_until_killed", "--exact", "--nocapture"])
        .env(CHILD_FOLDER, folder)
        .env(CHILD_FIRST, first.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut acked = Vec::new();
    for line in lines {
        // The last line may be cut short, and is then no acknowledgement.
        if let Some(number) = line.unwrap().strip_prefix("acked ") {
            acked.push(number.parse().unwrap());
        }
        if acked.len() >= kill_after {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    acked
}

#[test]
fn kill_9_under_load_loses_no_acknowledged_write() {
    let rounds = std::env::var(ROUNDS).ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(ROUNDS_DEFAULT);
    let mut folder = tempfile::tempdir().unwrap();
    let mut acked: BTreeMap<u64, ()> = BTreeMap::new();
    let (mut first, mut all_acked) = (0, 0);
    for round in 0..rounds {
        if round > 0 && round % ROUNDS_PER_FILE == 0 {
            folder = tempfile::tempdir().unwrap();
            acked.clear();
            first = 0;
        }
        // A different number each time; none kills the child while it mends what the last one left.
        let kill_after = if round % 4 == 3 { 0 } else { 1 + (round * 977 % 1_500) as usize };
        let new = acked_by_a_killed_child(folder.path(), first, kill_after);
        assert!(new.len() >= kill_after, "the child ended by itself");
        all_acked += new.len();
        acked.extend(new.into_iter().map(|number| (number, ())));
        // Beyond all that the child may have written, whether or not it came to say so.
        first = acked.last_key_value().map_or(first, |(last, ())| first.max(last + 1)) + IN_FLIGHT as u64;

        let opened = RedbStore::open(folder.path(), StoreConfig::default(), Box::new(|| ())).unwrap();
        assert_eq!(opened.set_aside, None);
        let mut store = opened.store;
        let items = store.load(&list()).unwrap().unwrap();
        for number in acked.keys().copied() {
            let (id, written) = write(number);
            if id == list() {
                let item = items.item(&ItemId::Appended(stamp(number)));
                assert_eq!(item, written.items().next(), "round {round}");
            } else {
                assert_eq!(store.load(&id).unwrap().as_ref(), Some(&written), "round {round}");
            }
        }
        let heads = store.heads(None, usize::MAX).unwrap();
        assert_eq!(store.usage().records, heads.len() as u64);
        let bytes = heads.iter().map(|(id, head)| head.bytes + id.name.len() as u64).sum::<u64>();
        assert_eq!(store.usage().bytes, bytes);
        store.close().unwrap();
    }
    let told = format!("{rounds} kills, {all_acked} writes acknowledged, none lost\n");
    std::io::stderr().write_all(told.as_bytes()).unwrap();
}
