//! `kadmap lookup`: the nodes closest to a place, and how they were found.

use std::io::{self, Write};

use kadmap::{Hop, HopOutcome, Key, LookupOutcome};
use serde::Serialize;

use crate::client::Client;
use crate::failure::Failure;
use crate::input::name_bytes;
use crate::output::Output;
use crate::progress::patiently;
use crate::quantity::shown_duration;
use crate::typed::LookupArgs;

/// What a lookup found.
#[derive(Serialize)]
struct Found {
    key: String,
    closest: Vec<Close>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace: Option<Vec<Request>>,
}

/// One of the closest nodes.
#[derive(Serialize)]
struct Close {
    id: String,
    address: String,
    /// Leading bits that its id has in common with the key.
    common_bits: usize,
}

/// One request of the lookup.
#[derive(Serialize)]
struct Request {
    path: usize,
    depth: usize,
    id: String,
    address: String,
    told_by: Option<String>,
    outcome: &'static str,
    contacts: Option<usize>,
    new: Option<usize>,
    round_trip_us: Option<u128>,
}

pub(crate) async fn run(args: LookupArgs, output: &Output) -> Result<(), Failure> {
    let client = Client::join(&args.node).await?;
    let name = name_bytes(&args.target);
    let typed_key = std::str::from_utf8(name).ok().and_then(|text| text.parse::<Key>().ok());
    let key = typed_key.unwrap_or_else(|| client.dht().key_of(name));
    let outcome = patiently("looking up", client.dht().lookup(key)).await;
    client.close().await;
    let outcome = outcome?;
    output.result(&found(&key, &outcome, args.trace), |out| print(&key, &outcome, args.trace, out))
}

fn found(key: &Key, outcome: &LookupOutcome, with_trace: bool) -> Found {
    let close = outcome.closest.iter().map(|contact| Close {
        id: contact.id.to_string(),
        address: contact.address.to_string(),
        common_bits: contact.id.key().common_prefix_bits(key),
    });
    let trace = with_trace.then(|| outcome.trace.iter().map(request).collect());
    Found { key: key.to_string(), closest: close.collect(), trace }
}

fn request(hop: &Hop) -> Request {
    let (contacts, new, round_trip_us) = match hop.outcome {
        HopOutcome::Answered { contacts, new, round_trip } => {
            (Some(contacts), Some(new), Some(round_trip.as_micros()))
        }
        _ => (None, None, None),
    };
    Request {
        path: hop.path,
        depth: hop.depth,
        id: hop.contact.id.to_string(),
        address: hop.contact.address.to_string(),
        told_by: hop.told_by.map(|id| id.to_string()),
        outcome: word(hop.outcome),
        contacts,
        new,
        round_trip_us,
    }
}

fn word(outcome: HopOutcome) -> &'static str {
    match outcome {
        HopOutcome::Waiting => "waiting",
        HopOutcome::Answered { .. } => "answered",
        HopOutcome::Slow => "slow",
        HopOutcome::Failed => "failed",
    }
}

fn print(key: &Key, outcome: &LookupOutcome, with_trace: bool, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "key {key}")?;
    if with_trace {
        writeln!(out, "\npath  depth  asked     at                     told by   round trip  outcome")?;
        outcome.trace.iter().try_for_each(|hop| print_hop(hop, out))?;
        writeln!(out, "\n{} asked; the closest:", outcome.trace.len())?;
    }
    outcome.closest.iter().try_for_each(|contact| {
        let bits = contact.id.key().common_prefix_bits(key);
        writeln!(out, "{}  {:<21}  {bits} bits in common", contact.id.short(), contact.address.to_string())
    })
}

fn print_hop(hop: &Hop, out: &mut dyn Write) -> io::Result<()> {
    let (id, address) = (hop.contact.id.short(), hop.contact.address.to_string());
    let told_by = hop.told_by.map_or("us".to_owned(), |id| id.short());
    let (round_trip, what) = match hop.outcome {
        HopOutcome::Answered { contacts, new, round_trip } => {
            (shown_duration(round_trip), format!("named {contacts}, {new} of them new"))
        }
        other => ("-".to_owned(), word(other).to_owned()),
    };
    writeln!(
        out,
        "{:>4}  {:>5}  {id}  {address:<21}  {told_by:<8}  {round_trip:>10}  {what}",
        hop.path, hop.depth
    )
}
