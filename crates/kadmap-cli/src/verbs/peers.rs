//! `kadmap peers`: whom the node knows.

use serde::Serialize;

use crate::client::Client;
use crate::failure::Failure;
use crate::output::Output;
use crate::progress::patiently;
use crate::quantity::shown_duration;
use crate::typed::PeersArgs;

/// One contact of the node.
#[derive(Serialize)]
struct Peer {
    id: String,
    address: String,
    live: bool,
    round_trip_us: Option<u64>,
}

pub(crate) async fn run(args: PeersArgs, output: &Output) -> Result<(), Failure> {
    let client = Client::join(&args.node).await?;
    let peers = patiently("asking", client.remote().peers()).await;
    client.close().await;
    let peers = peers?;
    let listed: Vec<_> = peers
        .iter()
        .map(|peer| Peer {
            id: peer.id.to_string(),
            address: peer.address.to_string(),
            live: peer.live,
            round_trip_us: peer.round_trip.and_then(|time| u64::try_from(time.as_micros()).ok()),
        })
        .collect();
    output.result(&listed, |out| {
        peers.iter().try_for_each(|peer| {
            let round_trip = peer.round_trip.map_or("-".to_owned(), shown_duration);
            let state = if peer.live { "live" } else { "silent" };
            writeln!(out, "{}  {:<21}  {:>9}  {state}", peer.id.short(), peer.address.to_string(), round_trip)
        })
    })
}
