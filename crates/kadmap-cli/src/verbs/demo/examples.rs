//! What the documents of gevent_dht and kad.py show, done by this swarm: set a list, read it elsewhere, append,
//! store an object, iterate over keys.

use std::collections::BTreeSet;

use kadmap::{Dht, Value};
use serde_json::{Value as Json, json};

use super::dice::Dice;
use super::swarm::Swarm;
use crate::failure::Failure;
use crate::json_text;

/// What an example puts in, or expects.
enum Step {
    Put(&'static str, Json),
    Append(&'static str, Json),
    Get(&'static str, Json),
    Keys(&'static [&'static str]),
}

fn steps() -> Vec<Step> {
    use Step::{Append, Get, Keys, Put};
    vec![
        Put("key_1", json!([1, 2, 3])),
        Get("key_1", json!([1, 2, 3])),
        Append("key_1", json!(4)),
        Get("key_1", json!([1, 2, 3, 4])),
        Put("my_key", json!(["My", "json-serializable", "Object"])),
        Get("my_key", json!(["My", "json-serializable", "Object"])),
        Put("ciao", json!({ "hola": 12 })),
        Get("ciao", json!({ "hola": 12 })),
        Put("hello", json!("world")),
        Keys(&["ciao", "hello", "key_1", "my_key"]),
    ]
}

/// Plays all steps, each at a random node, and tells how many went wrong.
pub(super) async fn play(
    swarm: &Swarm,
    dice: &mut Dice,
    tell: &impl Fn(&str) -> Result<(), Failure>,
) -> Result<usize, Failure> {
    let mut wrong = 0;
    for step in steps() {
        let (number, dht) = swarm.random_node(dice);
        let (line, outcome) = step.play(&dht).await;
        let verdict = match outcome {
            Ok(()) => String::new(),
            Err(why) => {
                wrong += 1;
                format!("  WRONG: {why}")
            }
        };
        tell(&format!("  node {number:<4} {line}{verdict}"))?;
    }
    Ok(wrong)
}

impl Step {
    /// Does the step; returns a line that tells what happened, and what is wrong with that.
    async fn play(&self, dht: &Dht) -> (String, Result<(), String>) {
        match self {
            Self::Put(name, value) => {
                let result = dht.put(name, value).await;
                (format!("put {name} {value}"), result.map(drop).map_err(|error| error.to_string()))
            }
            Self::Append(name, item) => {
                let result = dht.append(name, item).await;
                (format!("append {name} {item}"), result.map(drop).map_err(|error| error.to_string()))
            }
            Self::Get(name, expected) => match dht.get_value(name).await {
                Ok(found) => {
                    let shown = found.as_ref().map_or("nothing".to_owned(), json_text::of_value);
                    (format!("get {name} -> {shown}"), check(found.as_ref(), expected))
                }
                Err(error) => (format!("get {name}"), Err(error.to_string())),
            },
            Self::Keys(expected) => {
                let found = names(dht).await;
                let line = format!("keys -> {}", found.iter().cloned().collect::<Vec<_>>().join(", "));
                let expected: BTreeSet<_> = expected.iter().map(ToString::to_string).collect();
                (line, if found == expected { Ok(()) } else { Err(format!("expected {expected:?}")) })
            }
        }
    }
}

fn check(found: Option<&Value>, expected: &Json) -> Result<(), String> {
    let same = found.is_some_and(|value| value.parse::<Json>().is_ok_and(|json| json == *expected));
    if same { Ok(()) } else { Err(format!("expected {expected}")) }
}

/// All names of the swarm; none when the node has stopped.
async fn names(dht: &Dht) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    if let Ok(mut scan) = dht.scan() {
        while let Some(name) = scan.next().await {
            found.insert(String::from_utf8_lossy(&name).into_owned());
        }
    }
    found
}
