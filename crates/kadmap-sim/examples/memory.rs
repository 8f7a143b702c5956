//! How much memory an idle node takes, all in: `cargo run --release -p kadmap-sim --example memory -- 10000`.
#![allow(clippy::print_stdout)]

use std::time::{Duration, Instant};

use kadmap_sim::{Link, Sim};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Bytes of a page, as Linux has them.
const PAGE_BYTES: u64 = 4096;

fn resident_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * PAGE_BYTES
}

fn main() {
    let argument = |at: usize| std::env::args().nth(at).and_then(|text| text.parse().ok());
    let (nodes, idle_seconds): (u64, u64) = (argument(1).unwrap_or(10_000), argument(2).unwrap_or(140));
    let started = Instant::now();
    let mut sim = Sim::new(1, Link::lan());
    let empty = resident_bytes();
    for _ in 0..nodes / 250 {
        sim.grow(250, Duration::from_micros(50));
    }
    println!("{nodes} joined in {:?}, {} events", started.elapsed(), sim.events());
    // Strangers are forgotten after a minute, with the next refresh.
    sim.run_for(Duration::from_secs(idle_seconds));
    sim.shrink();
    // The allocator gives memory back some time after it was freed.
    std::thread::sleep(Duration::from_secs(15));
    let per_node = (resident_bytes() - empty) / nodes;
    println!(
        "{per_node} bytes a node after {:?}, {} events, {:?}",
        sim.now(),
        sim.events(),
        started.elapsed()
    );
}
