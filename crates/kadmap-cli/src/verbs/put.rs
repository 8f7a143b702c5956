//! `kadmap put`: a value, or one field of a map.

use kadmap::{Value, Version};
use serde_json::value::RawValue;

use super::written;
use crate::client::Client;
use crate::failure::Failure;
use crate::input::{name_bytes, read_value};
use crate::json_text;
use crate::output::Output;
use crate::typed::PutArgs;

pub(crate) async fn run(args: PutArgs, output: &Output) -> Result<(), Failure> {
    let name = name_bytes(&args.name);
    let value = read_value(&args.value, args.form)?;
    let client = Client::join(&args.node).await?;
    let result = client.write("put", name, draft(&args, name, value, &client)).await;
    client.leave().await;
    written::report(name, &result?, output)
}

fn draft<'a>(args: &PutArgs, name: &[u8], value: Value, client: &'a Client) -> kadmap::Write<'a> {
    let dht = client.dht();
    let mut write = match &args.field {
        Some(field) => {
            let json: Box<RawValue> = json_text::raw_of_value(&value);
            dht.put_field(name, field, &json)
        }
        None => dht.put_value(name, value),
    };
    write = write.consistency(args.write.consistency.into());
    if let Some(ttl) = args.write.ttl {
        write = write.ttl(ttl);
    }
    match args.if_version.or(args.if_absent.then_some(Version::ABSENT)) {
        Some(version) => write.if_version(version),
        None => write,
    }
}
