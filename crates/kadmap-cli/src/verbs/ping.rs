//! `kadmap ping`: the round trip to the node.

use std::time::Duration;

use serde::Serialize;

use crate::client::Client;
use crate::failure::Failure;
use crate::output::Output;
use crate::progress::patiently;
use crate::quantity::shown_duration;
use crate::typed::PingArgs;

/// All pings together.
#[derive(Serialize)]
struct Pings {
    id: String,
    address: String,
    sent: u32,
    answered: usize,
    round_trips_us: Vec<u128>,
}

pub(crate) async fn run(args: PingArgs, output: &Output) -> Result<(), Failure> {
    let client = Client::join(&args.node).await?;
    let result = ping(&client, args.count, output).await;
    let member = client.member();
    client.close().await;
    let round_trips = result?;
    let pings = Pings {
        id: member.id.to_string(),
        address: member.address.to_string(),
        sent: args.count,
        answered: round_trips.len(),
        round_trips_us: round_trips.iter().map(Duration::as_micros).collect(),
    };
    let Some(fastest) = round_trips.iter().min() else {
        return Err(Failure::NoPong { count: args.count, member: member.to_string() });
    };
    output.result(&pings, |out| {
        let mean = round_trips.iter().sum::<Duration>() / pings.answered as u32;
        let (fastest, mean) = (shown_duration(*fastest), shown_duration(mean));
        writeln!(out, "{} of {} answered, fastest {fastest}, mean {mean}", pings.answered, pings.sent)
    })
}

/// The round trips of those that were answered.
async fn ping(client: &Client, count: u32, output: &Output) -> Result<Vec<Duration>, Failure> {
    let (remote, member) = (client.remote(), client.member());
    let mut round_trips = Vec::new();
    for number in 1..=count {
        let answer = patiently("waiting for an answer", remote.ping(number.to_be_bytes().to_vec())).await;
        let text = match answer {
            Ok(time) => {
                round_trips.push(time);
                shown_duration(time)
            }
            Err(kadmap::RemoteError::Ask(_)) => "no answer".to_owned(),
            Err(other) => return Err(other.into()),
        };
        if !output.is_json() {
            output.line(&format!("{member}: {text}"))?;
        }
    }
    Ok(round_trips)
}
