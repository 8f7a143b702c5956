//! `kadmap announce`: says under a name who has it.

use std::time::Duration;

use kadmap::{Announce, Key, NodeId, WriteOutcome};
use serde::Serialize;

use crate::client::Client;
use crate::failure::Failure;
use crate::input::{name_bytes, read_value};
use crate::json_text;
use crate::output::Output;
use crate::progress::patiently;
use crate::signals::StopSignals;
use crate::trust::Trust;
use crate::typed::{AnnounceArgs, TrustArgs, ValueForm};

/// An announcement that was acknowledged.
#[derive(Serialize)]
struct Announced {
    name: Box<serde_json::value::RawValue>,
    id: String,
    ttl_ms: u64,
    acks: usize,
    need: usize,
    replicas: usize,
}

pub(crate) async fn run(args: AnnounceArgs, output: &Output) -> Result<(), Failure> {
    let name = name_bytes(&args.name);
    let has_own_id = matches!(Trust::resolve(&args.node.trust, &TrustArgs::default())?, Trust::Pki(_));
    if args.speaker.is_none() && !has_own_id && !args.hold {
        return Err(Failure::NobodyToAnnounce);
    }
    let payload = match &args.payload {
        Some(payload) => read_value(payload, args.form)?,
        None => read_value("null".as_ref(), ValueForm::default())?,
    };
    let mut signals =
        StopSignals::listen().map_err(|source| Failure::System { what: "listen to signals", source })?;
    let client = Client::join(&args.node).await?;
    let id = args.speaker.as_deref().map_or(client.dht().id(), id_of);
    let failed = |error| Failure::of_announcement(name, error);
    if args.withdraw {
        let withdraw = client.dht().withdraw(name, id).consistency(args.consistency.into());
        let withdrawn = withdraw.timeout(args.node.timeout).await;
        client.leave().await;
        return super::written::report(name, &withdrawn.map_err(failed)?, output);
    }
    let announce = client.dht().announce_value(name, payload).on_behalf_of(id).ttl(args.ttl);
    let announce = announce.consistency(args.consistency.into()).timeout(args.node.timeout);
    let done = if args.hold {
        hold(name, announce, args.ttl, &mut signals, output).await
    } else {
        let outcome = patiently("announcing", announce.once()).await;
        outcome.map_err(failed).and_then(|outcome| report(name, id, args.ttl, &outcome, output))
    };
    client.leave().await;
    done
}

/// Announces until told to stop, and withdraws then.
async fn hold(
    name: &[u8],
    announce: Announce,
    ttl: Duration,
    signals: &mut StopSignals,
    output: &Output,
) -> Result<(), Failure> {
    let failed = |error| Failure::of_announcement(name, error);
    let announcement = patiently("announcing", announce.into_future()).await.map_err(failed)?;
    report(name, announcement.id(), ttl, announcement.outcome(), output)?;
    signals.next().await;
    patiently("withdrawing", announcement.stop()).await.map_err(failed)?;
    Ok(())
}

/// The id that was typed: 64 hexadecimal digits, or any text that stands for one.
fn id_of(text: &str) -> NodeId {
    text.parse().unwrap_or_else(|_| NodeId::from_bytes(*Key::of_name(text.as_bytes()).as_bytes()))
}

fn report(
    name: &[u8],
    id: NodeId,
    ttl: Duration,
    outcome: &WriteOutcome,
    output: &Output,
) -> Result<(), Failure> {
    let announced = Announced {
        name: json_text::raw_of_name(name),
        id: id.to_string(),
        ttl_ms: u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX),
        acks: outcome.acks.len(),
        need: outcome.need,
        replicas: outcome.replicas,
    };
    output.result(&announced, |out| writeln!(out, "announced as {}", announced.id))
}
