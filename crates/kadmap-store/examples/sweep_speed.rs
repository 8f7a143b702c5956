//! What a sweep costs: a million records of which ten expire, in memory and on disk.
//!
//! `cargo run --release -p kadmap-store --example sweep_speed [records]`

use std::io::Write;
use std::time::Instant;

use kadmap_core::{Base, Codec, Key, Payload, RecordId, RecordStore, Shape, Stamp};
use kadmap_store::{MemoryStore, RedbStore, StoreConfig};

const RECORDS: u64 = 1_000_000;
const EXPIRING: u64 = 10;
const EXPIRY_MS: u64 = 1_000;
const SWEEPS: u32 = 1_000;

fn id(number: u64) -> RecordId {
    let name = number.to_string();
    RecordId::new(Key::of_name(name.as_bytes()), name)
}

fn fill(store: &mut impl RecordStore, records: u64) {
    for number in 0..records {
        let expires_ms = (number % (records / EXPIRING).max(1) == 0).then_some(EXPIRY_MS);
        let payload = Some(Payload::new(Codec::Bytes, vec![1; 100]));
        let base = Base { stamp: Stamp { time: 1, writer: 1 }, shape: Shape::Value, payload, expires_ms };
        store.merge(&id(number), base.into()).expect("the store takes it");
    }
}

fn measure(name: &str, store: &mut impl RecordStore, out: &mut impl Write) -> std::io::Result<()> {
    let sweep = |store: &mut dyn FnMut() -> usize| {
        let start = Instant::now();
        let touched = store();
        (start.elapsed(), touched)
    };
    let (with, touched) = sweep(&mut || store.expire(EXPIRY_MS, usize::MAX).expect("it sweeps").len());
    let (idle, none) = sweep(&mut || {
        (0..SWEEPS).map(|_| store.expire(EXPIRY_MS, usize::MAX).expect("it sweeps").len()).sum()
    });
    writeln!(
        out,
        "{name}: {} records, {touched} expired: {with:?}; a sweep that finds nothing ({none}): {:?}",
        store.usage().records,
        idle / SWEEPS
    )
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let records = std::env::args().nth(1).map_or(Ok(RECORDS), |text| text.parse())?;
    let mut out = std::io::stdout();
    let mut memory = MemoryStore::new(StoreConfig::default());
    fill(&mut memory, records);
    measure("memory", &mut memory, &mut out)?;
    drop(memory);
    let folder = tempfile::tempdir()?;
    let mut disk = RedbStore::open(folder.path(), StoreConfig::default(), Box::new(|| ()))?.store;
    fill(&mut disk, records);
    disk.close()?;
    let mut disk = RedbStore::open(folder.path(), StoreConfig::default(), Box::new(|| ()))?.store;
    measure("disk", &mut disk, &mut out)?;
    Ok(disk.close()?)
}
