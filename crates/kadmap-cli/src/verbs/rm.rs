//! `kadmap rm`: a whole record, or one field of a map.

use super::written;
use crate::client::Client;
use crate::failure::Failure;
use crate::input::name_bytes;
use crate::output::Output;
use crate::typed::RmArgs;

pub(crate) async fn run(args: RmArgs, output: &Output) -> Result<(), Failure> {
    let name = name_bytes(&args.name);
    let client = Client::join(&args.node).await?;
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
