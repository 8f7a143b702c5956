//! `kadmap demo`: the main job, watched.
//!
//! **Invariant**: nothing here reaches into a node; it does what any program with a `Dht` can do, and kills nodes by
//! dropping the runtime under them.

mod dice;
mod examples;
mod figures;
mod group;
mod memory;
mod swarm;

use std::time::Instant;

use self::dice::Dice;
use self::figures::{Figures, Times};
use self::swarm::Swarm;
use crate::failure::Failure;
use crate::output::Output;
use crate::progress::bar;
use crate::quantity::shown_duration;
use crate::signals::StopSignals;
use crate::typed::DemoArgs;

pub(crate) fn run(args: &DemoArgs, output: &Output) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| Failure::System { what: "start the runtime", source })?;
    let figures = runtime.block_on(async {
        let mut signals =
            StopSignals::listen().map_err(|source| Failure::System { what: "listen to signals", source })?;
        tokio::select! {
            figures = watch(args, output) => figures,
            // Ends the swarm in passing, which removes its folder.
            _ = signals.next() => Err(Failure::Interrupted),
        }
    })?;
    output.result(&figures, |out| figures.print(out))?;
    if figures.is_perfect() {
        return Ok(());
    }
    let (lost, wrong) = (figures.lost(), figures.examples_wrong);
    Err(Failure::Lost { lost, keys: figures.keys, wrong })
}

/// The whole show.
async fn watch(args: &DemoArgs, output: &Output) -> Result<Figures, Failure> {
    let tell = |text: &str| if output.is_json() { Ok(()) } else { output.line(text) };
    let (nodes, keys) = (args.nodes as usize, args.keys as usize);
    let mut dice = Dice::new();
    let bytes_before = memory::resident_bytes();

    tell(&format!("Starting {nodes} nodes on loopback, each with a data folder of its own"))?;
    let start = Instant::now();
    let (mut swarm, join) = Swarm::start(nodes, &mut dice).await?;
    tell(&format!("  one swarm after {}", shown_duration(start.elapsed())))?;

    tell("\nThe examples of gevent_dht and kad.py, each step at another node")?;
    let examples_wrong = examples::play(&swarm, &mut dice, &tell).await?;

    tell(&format!("\nPutting {keys} keys, each at a random node, and getting them at others"))?;
    let put = put_all(&swarm, keys, &mut dice).await;
    let get = get_all(&swarm, keys, &mut dice, "getting").await;
    let bytes_after = memory::resident_bytes();

    let killed = swarm.kill_the_doomed();
    tell(&format!("\nKilled {killed} of {nodes} nodes at once, without a goodbye"))?;
    tell("Getting everything back from the others\n")?;
    let get_after_kill = get_all(&swarm, keys, &mut dice, "getting from the survivors").await;

    let memory_bytes = bytes_after.zip(bytes_before).map(|(after, before)| after.saturating_sub(before));
    Ok(Figures {
        nodes,
        killed,
        keys,
        examples_wrong,
        join,
        put,
        get,
        get_after_kill,
        memory_bytes_per_node: memory_bytes.map(|bytes| bytes / nodes as u64),
    })
}

fn name_of(number: usize) -> String {
    format!("demo/{number}")
}

/// What is stored under a name: an object, so that a value that went astray is noticed.
fn value_of(number: usize) -> serde_json::Value {
    serde_json::json!({ "number": number, "text": format!("the value of {}", name_of(number)) })
}

async fn put_all(swarm: &Swarm, keys: usize, dice: &mut Dice) -> Times {
    let (bar, mut times) = (bar("putting", keys), Times::default());
    for number in 0..keys {
        let done = swarm.at_random(dice, move |dht| async move {
            let start = Instant::now();
            let result = dht.put(name_of(number), &value_of(number)).await;
            (start.elapsed(), result.map(|_| true).map_err(|error| error.to_string()))
        });
        times.take(&name_of(number), done.await);
        bar.inc(1);
    }
    bar.finish_and_clear();
    times
}

async fn get_all(swarm: &Swarm, keys: usize, dice: &mut Dice, what: &'static str) -> Times {
    let (bar, mut times) = (bar(what, keys), Times::default());
    for number in 0..keys {
        let done = swarm.at_random(dice, move |dht| async move {
            let start = Instant::now();
            let result = dht.get::<serde_json::Value>(name_of(number)).await;
            let time = start.elapsed();
            (time, result.map(|value| value == Some(value_of(number))).map_err(|error| error.to_string()))
        });
        times.take(&name_of(number), done.await);
        bar.inc(1);
    }
    bar.finish_and_clear();
    times
}
