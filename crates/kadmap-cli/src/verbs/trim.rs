//! `kadmap trim`: drops the oldest of a list.

use std::time::SystemTime;

use kadmap::Keep;

use super::written;
use crate::client::Client;
use crate::failure::Failure;
use crate::input::name_bytes;
use crate::output::Output;
use crate::progress::patiently;
use crate::typed::TrimArgs;

pub(crate) async fn run(args: TrimArgs, output: &Output) -> Result<(), Failure> {
    let name = name_bytes(&args.name);
    let keep = match (args.keep, args.up_to, args.older_than) {
        (Some(count), ..) => Keep::Last(count),
        (_, Some(id), _) => Keep::After(id),
        (.., age) => Keep::Since(SystemTime::now() - age.unwrap_or_default()),
    };
    let client = Client::join(&args.node).await?;
    let trim = client.dht().trim(name, keep);
    let trim = trim.consistency(args.consistency.into()).timeout(args.node.timeout);
    let trimmed = patiently("trimming", trim.into_future()).await;
    client.leave().await;
    let trimmed = trimmed.map_err(|error| Failure::of_list("trim", name, error))?;
    match &trimmed.outcome {
        Some(outcome) => written::report(name, outcome, output),
        None => Ok(()),
    }
}
