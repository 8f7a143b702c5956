//! Every failure has its exit code and one line that names the thing and the remedy.

mod support;

use std::net::UdpSocket;

use support::{Node, kadmap, text};

#[test]
fn what_is_not_there_is_1() {
    let node = Node::start::<&str>(&[]);
    node.run(&["get", "colour"]).fails(1, &["nothing is stored under 'colour'"]);
    node.run(&["put", "map", "{\"a\":1}"]).ok();
    node.run(&["get", "map", "--field", "b"]).fails(1, &["the map under 'map' has no field 'b'"]);
}

#[test]
fn wrong_usage_is_2() {
    kadmap(&["get", "x", "--jason"]).fails(2, &["'--jason'", "'--json'", "kadmap --help"]);
    kadmap(&["gett", "x"]).fails(2, &["'gett'", "'get'"]);
    kadmap(&["put", "x"]).fails(2, &["<VALUE>"]);
    kadmap(&["put", "x", "1", "--ttl", "10"]).fails(2, &["'10'", "--ttl"]);
    kadmap(&["put", "x", "1", "--if-version", "1"])
        .fails(2, &["'1' is not a version", "32 hexadecimal digits"]);
    kadmap(&["run", "--value-bytes-max", "big"]).fails(2, &["'big' is no size", "16MiB"]);
    kadmap(&["run", "--consistency", "some"]).fails(2, &["'some'", "quorum"]);
    kadmap(&["run", "--replication", "65"]).fails(2, &["replication is 65", "choose 1 to 64"]);
    kadmap(&["run", "--log", "loud"]).fails(2, &["'loud' is no log level", "debug"]);
    let help = kadmap::<&str>(&[]);
    assert_eq!((help.code, help.stdout.len()), (2, 0));
    assert!(help.stderr.contains("Usage: kadmap"), "{help:?}");
    let json = kadmap(&["get", "--json"]);
    let line: serde_json::Value = serde_json::from_str(&json.stderr).unwrap();
    assert_eq!((json.code, &line["kind"]), (2, &"usage".into()));
}

#[test]
fn a_bad_address_is_2() {
    let remedy = "give it as host:port";
    kadmap(&["run", "--listen", "localhost"]).fails(2, &["'localhost'", remedy]);
    kadmap(&["run", "--listen", "127.0.0.1:0", "--join", "nowhere"]).fails(2, &["'nowhere'", remedy]);
    kadmap(&["get", "x", "--node", "nowhere:port"]).fails(2, &["'nowhere:port'", remedy]);
    kadmap(&["run", "--listen", "192.0.2.1:0"]).fails(2, &["192.0.2.1:0 is not an address of this machine"]);
}

#[test]
fn a_port_in_use_is_2() {
    let node = Node::start::<&str>(&[]);
    kadmap(&["run", "--listen", &node.address]).fails(2, &[&node.address, "in use", "choose another port"]);
}

#[test]
fn a_data_folder_in_use_or_of_no_use_is_2() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let _node = Node::start(&["--data", text(&data)]);
    let run = |data: &str| kadmap(&["run", "--listen", "127.0.0.1:0", "--data", data]);
    run(text(&data)).fails(2, &[text(&data), "in use by another process", "choose another"]);
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    run(text(&file)).fails(2, &[text(&file), "make it a folder"]);
}

#[test]
fn a_wrong_config_file_is_2() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("node.toml");
    let run = |content: &str| {
        std::fs::write(&path, content).unwrap();
        kadmap(&["run", "--config", text(&path)])
    };
    run("lisen = \"127.0.0.1:0\"").fails(2, &["'lisen'", text(&path), "did you mean 'listen'?"]);
    run("\nreplication = \"many\"").fails(2, &["line 2", text(&path), "many"]);
    run("listen = ").fails(2, &["line 1", text(&path)]);
    run("secret = \"correct horse\"\nca = \"ca.pem\"").fails(2, &["the config file", "give one"]);
    let missing = folder.path().join("missing.toml");
    kadmap(&["run", "--config", text(&missing)]).fails(2, &["cannot read the config file", text(&missing)]);
}

#[test]
fn a_bad_secret_or_certificate_is_2() {
    kadmap(&["run", "--secret", "short"]).fails(2, &["secret is 5 bytes long", "at least 8 bytes"]);
    kadmap(&["get", "x", "--secret", "short"]).fails(2, &["secret is 5 bytes long"]);
    kadmap(&["run", "--secret-file", "/nowhere/secret"]).fails(2, &["/nowhere/secret"]);
    kadmap(&["run", "--secret", "correct horse", "--ca", "x"]).fails(2, &["--secret"]);
    kadmap(&["run", "--ca", "x"]).fails(2, &["--cert", "--key"]);
    let pki = ["run", "--ca", "/nowhere/ca.pem", "--cert", "/nowhere/cert.pem", "--key", "/nowhere/key.pem"];
    kadmap(&pki).fails(2, &["/nowhere/ca.pem", "certificate authority"]);
}

#[test]
fn nobody_there_is_3() {
    let nobody = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    for address in [nobody, silent.local_addr().unwrap().to_string()] {
        let get = kadmap(&["get", "x", "--node", &address, "--timeout", "300ms"]);
        get.fails(3, &["cannot join", &address, "is a node running there"]);
    }
}

#[test]
fn a_swarm_that_does_not_want_us_is_3() {
    let closed = Node::start(&["--secret", "correct horse"]);
    closed.run(&["get", "x"]).fails(3, &["cannot join", &closed.address, "--secret"]);
    closed.run(&["get", "x", "--secret", "wrong horse"]).fails(3, &["cannot join", "--secret"]);
    closed.run(&["get", "x", "--secret", "correct horse"]).fails(1, &["nothing is stored"]);
    let open = Node::start::<&str>(&[]);
    open.run(&["get", "x", "--secret", "correct horse"]).fails(3, &["cannot join", &open.address]);
    let join = ["run", "--listen", "127.0.0.1:0", "--secret", "wrong horse", "--join", &closed.address];
    kadmap(&join).fails(3, &["cannot join", &closed.address]);
}

#[test]
fn what_does_not_fit_what_is_there_is_6() {
    let node = Node::start::<&str>(&[]);
    node.run(&["put", "colour", "red"]).ok();
    node.run(&["append", "colour", "1"])
        .fails(6, &["cannot append to 'colour'", "not a list", "another name"]);
    node.run(&["put", "colour", "1", "--field", "f"]).fails(6, &["cannot put 'colour'", "not a map"]);
    node.run(&["get", "colour", "--field", "f"]).fails(6, &["under 'colour' is no map"]);
}

#[test]
fn a_lost_race_is_6() {
    let node = Node::start::<&str>(&[]);
    let first = node.run(&["put", "seat", "me", "--if-absent", "--json"]).ok().json();
    let version = first["version"].as_str().unwrap();
    node.run(&["put", "seat", "you", "--if-absent"])
        .fails(6, &["cannot put 'seat'", version, "read it again"]);
    let other = "0123456789abcdef0123456789abcdef";
    node.run(&["put", "seat", "you", "--if-version", other]).fails(6, &[version]);
    node.run(&["rm", "seat", "--if-version", other]).fails(6, &["cannot remove 'seat'", version]);
    assert_eq!(node.run(&["get", "seat", "--raw"]).ok().text(), "me");
    node.run(&["rm", "seat", "--if-version", version]).ok();
    node.run(&["get", "seat"]).fails(1, &["'seat'"]);
    node.run(&["put", "seat", "you", "--if-absent"]).ok();
}

#[test]
fn too_large_is_6() {
    let node = Node::start(&["--value-bytes-max", "1k"]);
    node.run_with(&["put", "fits", "-", "--raw"], &[0; 1_024]).ok();
    let refused = node.run_with(&["put", "large", "-", "--raw"], &[0; 1_025]);
    refused.fails(6, &["cannot put 'large'", "too large: 1025 bytes", "1024", "--value-bytes-max"]);
}

#[test]
fn a_full_store_is_6() {
    let node = Node::start(&["--store-bytes-max", "10k"]);
    node.run_with(&["put", "small", "-", "--raw"], &[0; 5_000]).ok();
    node.run_with(&["put", "more", "-", "--raw"], &[0; 9_000]).fails(6, &["cannot put 'more'", "full"]);
    node.run(&["get", "small"]).ok();
}
