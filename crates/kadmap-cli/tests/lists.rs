//! Lists and announcements from the shell, on three nodes.

mod support;

use support::Node;

#[test]
fn a_list_is_listed_an_item_removed_and_the_oldest_dropped() {
    let nodes = Node::swarm(3, &[]);
    nodes[0].run(&["put", "list", "[\"put\"]"]).ok();
    for number in 0..5 {
        nodes[1].run(&["append", "list", &number.to_string()]).ok();
    }
    let listed = nodes[2].run(&["items", "list"]).ok();
    let lines: Vec<_> = listed.text().lines().map(|line| line.split_once('\t').unwrap()).collect();
    let values: Vec<_> = lines.iter().map(|(_, value)| *value).collect();
    assert_eq!((lines[0].0, &values[..]), ("-", &["\"put\"", "0", "1", "2", "3", "4"][..]));
    let after = nodes[0].run(&["items", "list", "--after", lines[2].0, "--limit", "2", "--json"]).ok();
    let items: Vec<serde_json::Value> =
        after.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((items.len(), &items[0]["value"], &items[1]["id"]), (2, &2.into(), &lines[4].0.into()));
    assert!(items[0]["written_ms"].as_u64() <= items[1]["written_ms"].as_u64());

    nodes[0].run(&["rm", "list", "--item", lines[3].0]).ok();
    nodes[0].run(&["rm", "list", "--item", lines[3].0]).fails(1, &["has no item", lines[3].0]);
    assert_eq!(nodes[1].run(&["get", "list"]).ok().text(), "[\"put\",0,1,3,4]\n");
    nodes[2].run(&["trim", "list", "--up-to", lines[1].0]).ok();
    assert_eq!(nodes[1].run(&["get", "list"]).ok().text(), "[1,3,4]\n");
    nodes[2].run(&["trim", "list", "--older-than", "1h"]).ok();
    nodes[2].run(&["trim", "list", "--keep", "1"]).ok();
    assert_eq!(nodes[0].run(&["get", "list"]).ok().text(), "[4]\n");

    nodes[0].run(&["put", "colour", "red"]).ok();
    nodes[1].run(&["items", "colour"]).fails(6, &["'colour' is a value, not a list"]);
    nodes[1].run(&["trim", "colour", "--keep", "1"]).fails(6, &["'colour' is a value, not a list"]);
    nodes[1].run(&["items", "nothing"]).fails(1, &["nothing is stored under 'nothing'"]);
    nodes[1].run(&["items", "list", "--after", "4"]).fails(2, &["'4' is not an item's id"]);
}

#[cfg(unix)]
#[test]
fn who_announces_is_told_until_it_withdraws() {
    use std::io::{BufRead, BufReader};
    use std::process::Stdio;
    use support::{command, eventually};

    let nodes = Node::swarm(3, &[]);
    nodes[0].run(&["providers", "model"]).fails(1, &["nobody is announced under 'model'"]);
    nodes[0].run(&["announce", "model"]).fails(2, &["--as", "--hold"]);
    nodes[0].run(&["announce", "model", "--as", "me", "--ttl", "1s"]).fails(2, &["3s to 24h"]);
    for _ in 0..2 {
        nodes[0].run(&["announce", "model", "10.0.0.7:80", "--as", "me"]).ok();
    }
    let told = nodes[1].run(&["providers", "model", "--json"]).ok().json();
    assert_eq!((told.as_array().unwrap().len(), &told[0]["payload"]), (1, &"10.0.0.7:80".into()));

    let mut holder = command()
        .env("KADMAP_NODE", &nodes[2].address)
        .args(["announce", "model", "7", "--hold", "--json"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let held: serde_json::Value = serde_json::from_str(&line).unwrap();
    let providers = nodes[1].run(&["providers", "model"]).ok();
    assert_eq!(providers.text().lines().count(), 2);
    assert!(providers.text().contains(held["id"].as_str().unwrap()), "{providers:?}");
    let stopped = std::process::Command::new("kill").args(["-TERM", &holder.id().to_string()]).status();
    assert!(stopped.unwrap().success());
    assert!(holder.wait().unwrap().success());
    eventually("the holder has withdrawn", || {
        nodes[0].run(&["providers", "model"]).ok().text().lines().count() == 1
    });
    nodes[1].run(&["announce", "model", "--as", "me", "--withdraw"]).ok();
    nodes[2].run(&["providers", "model"]).fails(1, &["nobody is announced"]);
    nodes[2].run(&["append", "list", "4"]).ok();
    nodes[1].run(&["providers", "list"]).fails(6, &["'list' holds a list, not announcements"]);
}

#[test]
fn a_record_that_comes_near_its_limit_is_warned_of() {
    const MIB: usize = 1024 * 1024;
    let node = Node::start(&["--value-bytes-max", "60MiB"]);
    let put = node.run_with(&["put", "large", "-", "--raw", "--json"], &vec![7; 54 * MIB]).ok();
    assert_eq!(put.json()["record_bytes_max"], 64 * MIB);
    assert!(put.stderr.contains("has used 84% of what it may have: trim it"), "{}", put.stderr);
    let small = node.run(&["put", "small", "1", "--json"]).ok();
    assert_eq!(small.stderr, "");
}
