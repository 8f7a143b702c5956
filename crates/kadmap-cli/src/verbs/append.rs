//! `kadmap append`: one more item on a list.

use super::written;
use crate::client::Client;
use crate::failure::Failure;
use crate::input::{name_bytes, read_value};
use crate::output::Output;
use crate::typed::AppendArgs;

pub(crate) async fn run(args: AppendArgs, output: &Output) -> Result<(), Failure> {
    let name = name_bytes(&args.name);
    let item = read_value(&args.item, args.form)?;
    let client = Client::join(&args.node).await?;
    let mut write = client.dht().append_value(name, item).consistency(args.write.consistency.into());
    if let Some(ttl) = args.write.ttl {
        write = write.ttl(ttl);
    }
    let result = client.write("append to", name, write).await;
    client.leave().await;
    written::report(name, &result?, output)
}
