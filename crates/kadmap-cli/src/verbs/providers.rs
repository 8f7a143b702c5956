//! `kadmap providers`: who is announced under a name.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde_json::value::RawValue;

use crate::client::Client;
use crate::failure::Failure;
use crate::input::{name_bytes, shown_name};
use crate::json_text;
use crate::output::Output;
use crate::progress::patiently;
use crate::typed::ProvidersArgs;

/// Somebody who is announced.
#[derive(Serialize)]
struct Provider {
    id: String,
    payload: Box<RawValue>,
    expires_ms: u64,
}

pub(crate) async fn run(args: ProvidersArgs, output: &Output) -> Result<(), Failure> {
    let name = name_bytes(&args.name);
    let client = Client::join(&args.node).await?;
    let ask = client.dht().providers(name).consistency(args.consistency.into()).timeout(args.node.timeout);
    let found = patiently("asking", ask.into_future()).await;
    client.leave().await;
    let found = found.map_err(|error| Failure::of_announcement(name, error))?;
    if found.is_empty() {
        return Err(Failure::NobodyAnnounced { name: shown_name(name) });
    }
    let provider = |one: &kadmap::Provider| Provider {
        id: one.id.to_string(),
        payload: json_text::raw_of_value(&one.payload),
        expires_ms: one.expires_ms,
    };
    let listed: Vec<_> = found.iter().map(provider).collect();
    output.result(&listed, |out| {
        listed.iter().try_for_each(|one| {
            let left = humantime::format_duration(time_left(one.expires_ms));
            writeln!(out, "{}\t{left}\t{}", one.id, one.payload)
        })
    })
}

/// Whole seconds until then.
fn time_left(expires_ms: u64) -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Duration::from_secs(Duration::from_millis(expires_ms).saturating_sub(now).as_secs())
}
