//! How long a store takes to open after its process was killed.
//!
//! `cargo run --release -p kadmap-store --example open_speed [megabytes]`

use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use kadmap_core::{Base, Codec, Key, Payload, RecordId, RecordStore, Shape, Stamp};
use kadmap_store::{RedbStore, StoreConfig};

const MEGABYTES: u64 = 256;
const VALUE_BYTES: usize = 1_000;

/// Writes so much, waits until it is on disk, and dies without closing anything.
fn fill_and_die(folder: &Path, megabytes: u64) -> Result<(), Box<dyn std::error::Error>> {
    let (notify, flushed) = std::sync::mpsc::channel();
    let notify = Box::new(move || notify.send(()).unwrap_or(()));
    let config = StoreConfig { durability: kadmap_store::Durability::Synced, ..StoreConfig::default() };
    let mut store = RedbStore::open(folder, config, notify)?.store;
    let mut last = None;
    for number in 0..(megabytes << 20) / VALUE_BYTES as u64 {
        let name = number.to_string();
        let id = RecordId::new(Key::of_name(name.as_bytes()), name);
        let payload = Some(Payload::new(Codec::Bytes, vec![number as u8; VALUE_BYTES]));
        let base =
            Base { stamp: Stamp { time: 1, writer: 1 }, shape: Shape::Value, payload, expires_ms: None };
        last = store.merge(&id, base.into())?.ticket;
    }
    while last.is_some_and(|last| store.flushed() < last) {
        flushed.recv()?;
    }
    std::process::abort()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let megabytes = args.next().map_or(Ok(MEGABYTES), |text| text.parse())?;
    if let Some(folder) = args.next() {
        return fill_and_die(Path::new(&folder), megabytes);
    }
    let folder = tempfile::tempdir()?;
    Command::new(std::env::current_exe()?).arg(megabytes.to_string()).arg(folder.path()).status()?;
    let bytes = std::fs::metadata(folder.path().join("records.redb"))?.len();
    for state in ["killed", "closed"] {
        let start = Instant::now();
        let store = RedbStore::open(folder.path(), StoreConfig::default(), Box::new(|| ()))?.store;
        let (took, records) = (start.elapsed(), store.usage().records);
        writeln!(std::io::stdout(), "{state}: {bytes} bytes, {records} records, opened in {took:?}")?;
        store.close()?;
    }
    Ok(())
}
