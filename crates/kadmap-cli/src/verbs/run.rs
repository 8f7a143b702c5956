//! `kadmap run`: a node that serves until it is told to stop.

use std::time::Duration;

use kadmap::{Dht, Stopped};
use serde::Serialize;
use tracing::{info, warn};

use crate::client::stop;
use crate::failure::Failure;
use crate::output::Output;
use crate::settings::Settings;
use crate::signals::{StopSignal, StopSignals};
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
    let settings = Settings::resolve(args)?;
    let has_disk = settings.has_disk();
    let builder = settings.builder();
    let mut signals =
        StopSignals::listen().map_err(|source| Failure::System { what: "listen to signals", source })?;
    let dht = tokio::select! {
        started = builder.spawn() => started?,
        _ = signals.next() => return Ok(()),
    };
    announce(&dht, output).await?;
    tokio::select! {
        signal = signals.next() => {
            let briefly = has_disk && signal == StopSignal::Terminate;
            leave(dht, briefly, &mut signals).await
        }
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

/// A supervisor starts a node again that it has stopped; with its disk that is the same node, and nobody need hold its
/// records meanwhile. Without, and for who types Ctrl-C, it may never return.
async fn leave(dht: Dht, briefly: bool, signals: &mut StopSignals) -> Result<(), Failure> {
    let how = if briefly {
        "for a restart: others are given what they lack"
    } else {
        "for good: records are handed over"
    };
    info!("leaving {how}; a second signal ends at once");
    let left = async { if briefly { dht.leave_briefly().await } else { dht.leave().await } };
    tokio::select! {
        handed_over = left => info!("left: {} records handed over", handed_over?),
        _ = signals.next() => warn!("ended before everything was handed over"),
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
