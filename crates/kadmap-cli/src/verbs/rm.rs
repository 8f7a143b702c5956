//! `kadmap rm`: a whole record, one field of a map, or one item of a list.

use super::written;
use crate::client::Client;
use crate::failure::Failure;
use crate::input::name_bytes;
use crate::output::Output;
use crate::progress::patiently;
use crate::typed::RmArgs;

pub(crate) async fn run(args: RmArgs, output: &Output) -> Result<(), Failure> {
    let name = name_bytes(&args.name);
    let client = Client::join(&args.node).await?;
    if let Some(id) = args.item {
        let remove = client.dht().remove(name, id).consistency(args.consistency.into());
        let removed = patiently("removing", remove.timeout(args.node.timeout).into_future()).await;
        client.leave().await;
        let outcome = removed.map_err(|error| Failure::of_list("remove from", name, error))?;
        return written::report(name, &outcome, output);
    }
    let mut write = match &args.field {
        Some(field) => client.dht().delete_field(name, field),
        None => client.dht().delete(name),
    };
    write = write.consistency(args.consistency.into());
    if let Some(version) = args.if_version {
        write = write.if_version(version);
    }
    let result = client.write("remove", name, write).await;
    client.leave().await;
    written::report(name, &result?, output)
}
