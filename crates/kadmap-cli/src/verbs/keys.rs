//! `kadmap keys`: names, of one node or of the swarm.

use crate::client::Client;
use crate::failure::Failure;
use crate::json_text;
use crate::output::Output;
use crate::progress::patiently;
use crate::typed::KeysArgs;

pub(crate) async fn run(args: KeysArgs, output: &Output) -> Result<(), Failure> {
    let client = Client::join(&args.node).await?;
    let result = if args.all { print_all(&client, output).await } else { print_held(&client, output).await };
    client.close().await;
    result
}

async fn print_held(client: &Client, output: &Output) -> Result<(), Failure> {
    let names = patiently("asking", client.remote().keys()).await?;
    names.iter().try_for_each(|name| print(name, output))
}

async fn print_all(client: &Client, output: &Output) -> Result<(), Failure> {
    let mut names = client.dht().scan()?;
    while let Some(name) = names.next().await {
        print(&name, output)?;
    }
    Ok(())
}

fn print(name: &[u8], output: &Output) -> Result<(), Failure> {
    let is_json = output.is_json();
    output.line(&if is_json { json_text::of_name(name) } else { json_text::of_name_on_a_line(name) })
}
