//! How long a store takes to open after its process was killed, and what it costs to be quick at that.
//!
//! `cargo run --release -p kadmap-store --example open_speed [megabytes of values] [rounds]`
//!
//! Each round opens the file as the kill left it, in a process of its own that is killed in turn, once with the file
//! in the system's cache and once without (which takes root; it says so where it cannot).
//! `waited` is what the process waited for a processor, which is other people's doing.

use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use kadmap_core::{Base, Codec, Item, Key, Payload, RecordId, RecordStore, Shape, Stamp};
use kadmap_store::{Durability, RedbStore, StoreConfig};

const MEGABYTES: u64 = 256;
const ROUNDS: usize = 3;
const VALUE_BYTES: usize = 1_000;
/// Heads that one step of the walk asks for, as a node does when it starts.
const PAGE_HEADS: usize = 512;

/// How long small appends are measured.
const APPENDING: Duration = Duration::from_secs(3);
/// Lists they go to.
const LISTS: u32 = 1_000;
const ITEM_BYTES: usize = 50;

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// Writes so much, waits until it is on disk, and dies without closing anything.
fn fill_and_die(folder: &Path, megabytes: u64) -> Outcome {
    let (notify, flushed) = std::sync::mpsc::channel();
    let notify = Box::new(move || notify.send(()).unwrap_or(()));
    let config = StoreConfig { durability: Durability::Synced, ..StoreConfig::default() };
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

/// Milliseconds that this thread waited for a processor so far, where the system tells.
fn waited_ms() -> u64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    told.split_whitespace().nth(1).and_then(|nanos| nanos.parse::<u64>().ok()).unwrap_or(0) / 1_000_000
}

/// Opens the store, walks over its heads, and dies.
fn open_and_die(folder: &Path, state: &str) -> Outcome {
    let bytes = std::fs::metadata(folder.join("records.redb"))?.len();
    let (start, waited) = (Instant::now(), waited_ms());
    let mut store = RedbStore::open(folder, StoreConfig::default(), Box::new(|| ()))?.store;
    let (took, waited) = (start.elapsed(), waited_ms() - waited);
    let start = Instant::now();
    let (mut after, mut heads) = (None, 0);
    loop {
        let page = store.heads(after.as_ref(), PAGE_HEADS)?;
        heads += page.len();
        let Some((last, _)) = page.into_iter().next_back() else { break };
        after = Some(last);
    }
    let per_gb = took.as_secs_f64() / (bytes as f64 / 1e9);
    let walk = start.elapsed();
    writeln!(
        std::io::stdout(),
        "{state}: {bytes} bytes, opened in {took:.2?} (waited {waited} ms), {per_gb:.2} s/GB; {heads} heads in {walk:.2?}"
    )?;
    std::process::abort()
}

/// Bytes that this process has handed to the system to write so far, where the system tells.
fn written_bytes() -> u64 {
    let told = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    let line = told.lines().find_map(|line| line.strip_prefix("wchar: "));
    line.and_then(|bytes| bytes.parse().ok()).unwrap_or(0)
}

/// Appends small items to a file that is large, and tells what each commit and each item costs.
fn append_and_die(folder: &Path, durability: Durability) -> Outcome {
    let (notify, flushed) = std::sync::mpsc::channel();
    let notify = Box::new(move || notify.send(()).unwrap_or(()));
    let config = StoreConfig { durability, ..StoreConfig::default() };
    let mut store = RedbStore::open(folder, config, notify)?.store;
    let (mut last, mut appended, mut latencies) = (None, 0u32, Vec::new());
    let (start, written, flushes) = (Instant::now(), written_bytes(), store.counters().flushes);
    while start.elapsed() < APPENDING {
        let one = Instant::now();
        let name = format!("list {}", appended % LISTS);
        let id = RecordId::new(Key::of_name(name.as_bytes()), name);
        let time = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos() as u64;
        let payload = Some(Payload::new(Codec::Bytes, vec![b'x'; ITEM_BYTES]));
        let item = Item { stamp: Stamp { time, writer: 1 }, field: None, payload, expires_ms: None };
        last = store.merge(&id, item.into())?.ticket.or(last);
        appended += 1;
        while durability == Durability::Synced && last.is_some_and(|last| store.flushed() < last) {
            flushed.recv()?;
        }
        latencies.push(one.elapsed());
    }
    let (took, flushes) = (start.elapsed(), store.counters().flushes - flushes);
    latencies.sort_unstable();
    writeln!(
        std::io::stdout(),
        "{durability:?}: {appended} appends, {:.0}/s, median {:.2?}, p99 {:.2?}, {} KiB for each of {flushes} commits",
        f64::from(appended) / took.as_secs_f64(),
        latencies[latencies.len() / 2],
        latencies[latencies.len() * 99 / 100],
        (written_bytes() - written) / flushes.max(1) / 1_024,
    )?;
    std::process::abort()
}

/// Empties the system's cache of files; tells whether it could.
fn drop_caches() -> bool {
    let _ = Command::new("sync").status();
    std::fs::write("/proc/sys/vm/drop_caches", "1").is_ok()
}

fn main() -> Outcome {
    let args: Vec<_> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["fill", folder, megabytes] => return fill_and_die(Path::new(folder), megabytes.parse()?),
        ["open", folder, state] => return open_and_die(Path::new(folder), state),
        ["append", folder, "synced"] => return append_and_die(Path::new(folder), Durability::Synced),
        ["append", folder, _] => return append_and_die(Path::new(folder), Durability::Replicated),
        _ => {}
    }
    let megabytes = args.first().map_or(Ok(MEGABYTES), |text| text.parse())?;
    let rounds = args.get(1).map_or(Ok(ROUNDS), |text| text.parse())?;
    let folder = tempfile::tempdir()?;
    let me = || Command::new(std::env::current_exe().unwrap_or_default());
    me().arg("fill").arg(folder.path()).arg(megabytes.to_string()).status()?;
    me().arg("append").arg(folder.path()).arg("synced").status()?;
    me().arg("append").arg(folder.path()).arg("replicated").status()?;
    for _ in 0..rounds {
        me().arg("open").arg(folder.path()).arg("killed, warm").status()?;
        let cold = if drop_caches() { "killed, cold" } else { "killed, warm (the cache cannot be emptied)" };
        me().arg("open").arg(folder.path()).arg(cold).status()?;
    }
    RedbStore::open(folder.path(), StoreConfig::default(), Box::new(|| ()))?.store.close()?;
    me().arg("open").arg(folder.path()).arg("closed").status()?;
    Ok(())
}
