//! `kadmap run`: a node that serves until it is told to stop.

use std::time::Duration;

use kadmap::{Dht, Stopped};
use serde::Serialize;
use tracing::{info, warn};

use crate::client::stop;
use crate::failure::Failure;
use crate::output::Output;
use crate::settings::Settings;
use crate::signals::StopSignals;
use crate::typed::RunArgs;

/// How often the node is asked whether it still runs.
const HEALTH_INTERVAL: Duration = Duration::from_secs(5);

/// The line that says that the node serves.
#[derive(Serialize)]
struct Serving {
    id: String,
    address: String,
    contacts: u64,
}

pub(crate) async fn run(args: RunArgs, output: &Output) -> Result<(), Failure> {
    let builder = Settings::resolve(args)?.builder();
    let mut signals =
        StopSignals::listen().map_err(|source| Failure::System { what: "listen to signals", source })?;
    let dht = tokio::select! {
        started = builder.spawn() => started?,
        () = signals.next() => return Ok(()),
    };
    announce(&dht, output).await?;
    tokio::select! {
        () = signals.next() => leave(dht, &mut signals).await,
        failure = end_of(&dht) => Err(failure.into()),
    }
}

async fn announce(dht: &Dht, output: &Output) -> Result<(), Failure> {
    let contacts = dht.status().await?.contacts;
    let serving = Serving { id: dht.id().to_string(), address: dht.address().to_string(), contacts };
    let told = output.result(&serving, |out| {
        writeln!(out, "serving at {} as {}, contacts: {contacts}", serving.address, dht.id().short())
    });
    match told {
        // A server goes on without its reader.
        Err(failure) if failure.is_closed_pipe() => Ok(()),
        told => told,
    }
}

async fn leave(dht: Dht, signals: &mut StopSignals) -> Result<(), Failure> {
    info!("leaving: handing records over; a second signal ends at once");
    tokio::select! {
        handed_over = dht.leave() => info!("left: {} records handed over", handed_over?),
        () = signals.next() => warn!("ended before everything was handed over"),
    }
    stop(dht).await;
    Ok(())
}

/// Waits for the node to end by itself, which it does not unless something is broken.
async fn end_of(dht: &Dht) -> Stopped {
    loop {
        tokio::time::sleep(HEALTH_INTERVAL).await;
        if let Err(stopped) = dht.status().await {
            return stopped;
        }
    }
}
