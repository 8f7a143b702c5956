//! Prints what a list of 100,000 items costs: `cargo run --release -p kadmap --example long_list`.
//!
//! Three nodes with data folders in one process; appends go through one of them, reads through another.

use std::fmt::Display;
use std::io::Write;
use std::time::{Duration, Instant};

use kadmap::{Dht, Keep};
use tokio::task::JoinSet;

const ITEMS: u64 = 100_000;
/// Appends timed one by one at each length.
const TIMED: u32 = 500;
const IN_FLIGHT: usize = 64;
/// Time for copies and flushes.
const SETTLING: Duration = Duration::from_secs(2);

type Fallible<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn say(what: &str, how_much: impl Display) {
    let _ = writeln!(std::io::stdout(), "{what:<44} {how_much}");
}

/// Memory that the process holds, in KiB; 0 where the system does not say.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).unwrap_or(0)
}

async fn one_by_one(dht: &Dht) -> Fallible<Duration> {
    let start = Instant::now();
    for number in 0..TIMED {
        dht.append("list", &number).await?;
    }
    Ok(start.elapsed() / TIMED)
}

async fn fill(dht: &Dht) -> Fallible<()> {
    let mut running = JoinSet::new();
    for number in 0..ITEMS {
        if running.len() >= IN_FLIGHT
            && let Some(done) = running.join_next().await
        {
            done??;
        }
        let dht = dht.clone();
        running.spawn(async move { dht.append("list", &format!("an item of some words, {number}")).await });
    }
    while let Some(done) = running.join_next().await {
        done??;
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Fallible<()> {
    let folder = tempfile::tempdir()?;
    let mut nodes: Vec<Dht> = Vec::new();
    for number in 0..3 {
        let join: Vec<_> = nodes.first().map(|first| first.address().to_string()).into_iter().collect();
        let builder = Dht::builder().listen("127.0.0.1:0").join(join);
        nodes.push(builder.data_dir(folder.path().join(number.to_string())).spawn().await?);
    }
    let [writer, reader, ..] = &nodes[..] else { return Ok(()) };
    say("append to a short list", format_args!("{:.2?}", one_by_one(writer).await?));
    let start = Instant::now();
    fill(writer).await?;
    say("100,000 appends, 64 in flight", format_args!("{:.1?}", start.elapsed()));
    // What waits for the disk is written down first, so that it is not measured with what comes next.
    tokio::time::sleep(SETTLING).await;
    say("append to a list of 100,000", format_args!("{:.2?}", one_by_one(writer).await?));
    tokio::time::sleep(SETTLING).await;

    let before = resident_kib();
    let (start, mut items, mut pages, mut most) = (Instant::now(), reader.items("list"), 0, before);
    while items.next_page().await?.is_some() {
        pages += 1;
        most = most.max(resident_kib());
    }
    let each = start.elapsed() / pages.max(1);
    say("all items, page by page", format_args!("{:.1?}: {pages} pages, {each:.2?} each", start.elapsed()));
    say("memory that takes", format_args!("{} KiB", most - before));
    let (start, before) = (Instant::now(), resident_kib());
    let whole = reader.get_value("list").await?.map_or(0, |value| value.to_string().len());
    say("the whole list at once", format_args!("{:.1?}, {whole} bytes", start.elapsed()));
    say("memory that takes", format_args!("{} KiB", resident_kib().saturating_sub(before)));
    let start = Instant::now();
    let trimmed = reader.trim("list", Keep::Last(1_000)).await?;
    say("trim to the last 1,000", format_args!("{:.1?}, {}", start.elapsed(), trimmed.outcome.is_some()));
    Ok(())
}
