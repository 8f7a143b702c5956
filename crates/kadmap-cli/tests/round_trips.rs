//! What every verb does on three nodes, each a process of its own.

mod support;

use support::{Node, command, eventually, finish, kadmap};

#[test]
fn what_one_node_takes_every_node_gives() {
    let nodes = Node::swarm(3, &[]);
    nodes[0].run(&["put", "colour", "red"]).ok();
    nodes[1].run(&["put", "list", "[1, 2, 3]"]).ok();
    nodes[2].run(&["append", "list", "4"]).ok();
    nodes[0].run(&["append", "fresh", "first"]).ok();
    nodes[1].run(&["put", "map", "{\"a\": 1, \"b\": 2}"]).ok();
    nodes[2].run(&["put", "map", "--field", "c", "[3]"]).ok();
    nodes[0].run(&["rm", "map", "--field", "a"]).ok();
    for node in &nodes {
        assert_eq!(node.run(&["get", "colour"]).ok().text(), "\"red\"\n");
        assert_eq!(node.run(&["get", "colour", "--raw"]).ok().text(), "red");
        assert_eq!(node.run(&["get", "list"]).ok().text(), "[1,2,3,4]\n");
        assert_eq!(node.run(&["get", "fresh"]).ok().text(), "[\"first\"]\n");
        assert_eq!(node.run(&["get", "map"]).ok().text(), "{\"b\":2,\"c\":[3]}\n");
        assert_eq!(node.run(&["get", "map", "--field", "c"]).ok().text(), "[3]\n");
        let all = node.run(&["keys", "--all"]).ok();
        assert_eq!(all.sorted_lines(), ["colour", "fresh", "list", "map"]);
    }
    nodes[1].run(&["rm", "colour"]).ok();
    nodes[1].run(&["rm", "colour"]).ok();
    for node in &nodes {
        node.run(&["get", "colour"]).fails(1, &["nothing is stored under 'colour'"]);
        eventually("all nodes hold what is left", || {
            node.run(&["keys"]).ok().sorted_lines() == ["fresh", "list", "map"]
        });
    }
}

#[test]
fn json_tells_the_version_and_who_answered() {
    let nodes = Node::swarm(3, &[]);
    let put = nodes[0].run(&["put", "answer", "42", "--json", "--consistency", "all"]).ok().json();
    assert_eq!((&put["name"], put["acks"].as_array().unwrap().len()), (&"answer".into(), 3));
    assert_eq!((&put["need"], &put["replicas"]), (&3.into(), &3.into()));
    let got = nodes[1].run(&["get", "answer", "--json"]).ok().json();
    assert_eq!((&got["value"], &got["version"]), (&42.into(), &put["version"]));
    assert_eq!((&got["answers"], &got["need"], &got["replicas"]), (&2.into(), &2.into(), &3.into()));
    let version = got["version"].as_str().unwrap();
    let next = nodes[2].run(&["put", "answer", "43", "--json", "--if-version", version]).ok().json();
    assert_ne!(next["version"], got["version"]);
    let error = nodes[0].run(&["get", "question", "--json"]);
    let line: serde_json::Value = serde_json::from_str(&error.stderr).unwrap();
    assert_eq!((error.code, &line["kind"], &line["code"]), (1, &"not_found".into(), &1.into()));
    assert!(line["error"].as_str().unwrap().contains("'question'"));
    assert_eq!(nodes[0].run(&["keys", "--all", "--json"]).ok().text(), "\"answer\"\n");
}

#[test]
fn a_node_tells_of_itself_and_of_those_it_knows() {
    let nodes = Node::swarm(3, &[]);
    let status = nodes[0].run(&["status", "--json"]).ok().json();
    assert_eq!((&status["id"], &status["contacts"]), (&nodes[0].id.clone().into(), &2.into()));
    let text = nodes[0].run(&["status"]).ok();
    assert!(text.text().contains(&nodes[0].id), "{text:?}");

    let peers = nodes[0].run(&["peers", "--json"]).ok().json();
    let mut ids: Vec<_> = peers.as_array().unwrap().iter().map(|peer| peer["id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    let mut others = [nodes[1].id.as_str(), nodes[2].id.as_str()];
    others.sort_unstable();
    assert_eq!(ids, others);
    assert_eq!(nodes[0].run(&["peers"]).ok().text().lines().count(), 2);

    let pings = nodes[0].run(&["ping", "--count", "3", "--json"]).ok().json();
    assert_eq!((&pings["answered"], pings["round_trips_us"].as_array().unwrap().len()), (&3.into(), 3));
    assert_eq!(nodes[0].run(&["ping", "-c", "2"]).ok().text().lines().count(), 3);
}

#[test]
fn a_lookup_finds_every_node_and_tells_each_hop() {
    let nodes = Node::swarm(3, &[]);
    let found = nodes[0].run(&["lookup", "colour", "--trace", "--json"]).ok().json();
    let closest = found["closest"].as_array().unwrap();
    assert_eq!(closest.len(), 3);
    let trace = found["trace"].as_array().unwrap();
    assert!(trace.iter().any(|hop| hop["depth"] == 1 && hop["told_by"].is_null()), "{trace:?}");
    assert!(trace.iter().any(|hop| hop["depth"] == 2 && hop["told_by"] == nodes[0].id.as_str()), "{trace:?}");
    assert!(trace.iter().all(|hop| hop["outcome"] == "answered"), "{trace:?}");
    // The key itself leads to the same place as the name.
    let by_key = nodes[1].run(&["lookup", found["key"].as_str().unwrap(), "--json"]).ok().json();
    assert_eq!((&by_key["key"], &by_key["closest"]), (&found["key"], &found["closest"]));
    assert_eq!(nodes[0].run(&["lookup", "colour"]).ok().text().lines().count(), 4);
}

#[test]
fn any_of_several_members_will_do() {
    let node = Node::start::<&str>(&[]);
    let nobody = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let members = format!("{},{}", nobody.local_addr().unwrap(), node.address);
    kadmap(&["put", "colour", "red", "--node", &members]).ok();
    assert_eq!(node.run(&["get", "colour"]).ok().text(), "\"red\"\n");
}

#[test]
fn what_has_a_time_to_live_goes_when_it_is_over() {
    let node = Node::start::<&str>(&[]);
    node.run(&["put", "brief", "moment", "--ttl", "1s"]).ok();
    node.run(&["put", "long", "moment", "--ttl", "10m"]).ok();
    eventually("the brief value is gone", || node.run(&["get", "brief"]).code == 1);
    node.run(&["get", "long"]).ok();
}

#[test]
fn a_reader_that_had_enough_is_no_error() {
    let node = Node::start::<&str>(&[]);
    node.run(&["put", "colour", "red"]).ok();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut child =
        command().args(["keys", "--all", "--node", &node.address]).stdout(writer).spawn().unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn every_shell_gets_completions() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = finish(command().args(["completions", shell]), b"").ok();
        assert!(script.text().contains("consistency"), "{shell}");
    }
}
