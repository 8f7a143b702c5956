//! `kadmap items`: the elements of a list with their ids, as they come.

use kadmap::{Items, ListError, ListItem};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::client::Client;
use crate::failure::Failure;
use crate::input::{name_bytes, shown_name};
use crate::json_text;
use crate::output::Output;
use crate::typed::ItemsArgs;

/// Elements asked for at a time.
const PAGE_ITEMS: usize = 512;

/// One element of a list.
#[derive(Serialize)]
struct Line {
    id: Option<String>,
    written_ms: Option<u64>,
    writer: Option<String>,
    expires_ms: Option<u64>,
    value: Box<RawValue>,
}

pub(crate) async fn run(args: ItemsArgs, output: &Output) -> Result<(), Failure> {
    let name = name_bytes(&args.name);
    let client = Client::join(&args.node).await?;
    let limit = args.limit.unwrap_or(u64::MAX);
    let page_items = usize::try_from(limit).unwrap_or(PAGE_ITEMS).min(PAGE_ITEMS);
    let mut items = client.dht().items(name).page_items(page_items);
    items = items.consistency(args.consistency.into()).timeout(args.node.timeout);
    if let Some(id) = args.after {
        items = items.after(id);
    }
    let printed = print_all(&mut items, limit, output).await;
    // What was repaired on the way is under way still.
    client.leave().await;
    match printed {
        Ok(()) if items.shape().is_none() => Err(Failure::NameNotFound { name: shown_name(name) }),
        Ok(()) => Ok(()),
        Err(Stop::List(error)) => Err(Failure::of_list("read the items of", name, error)),
        Err(Stop::Output(failure)) => Err(failure),
    }
}

/// Why the elements came to an end early.
enum Stop {
    List(ListError),
    Output(Failure),
}

async fn print_all(items: &mut Items, limit: u64, output: &Output) -> Result<(), Stop> {
    let mut left = limit;
    while left > 0 {
        let Some(item) = items.next().await.map_err(Stop::List)? else { break };
        print(&item, output).map_err(Stop::Output)?;
        left -= 1;
    }
    Ok(())
}

fn print(item: &ListItem, output: &Output) -> Result<(), Failure> {
    let line = Line {
        id: item.id.map(|id| id.to_string()),
        written_ms: item.id.map(|id| id.unix_ms()),
        writer: item.id.map(|id| format!("{:016x}", id.writer)),
        expires_ms: item.expires_ms,
        value: json_text::raw_of_value(&item.value),
    };
    output.result(&line, |out| writeln!(out, "{}\t{}", line.id.as_deref().unwrap_or("-"), line.value))
}
