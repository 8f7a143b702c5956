//! The life of a node: settings, restarts, signals, and swarms that do not mix.

mod support;

use std::process::Command;

use support::{Node, command, eventually, text};

#[test]
fn a_restart_on_the_same_folder_finds_everything() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["--data", text(folder.path()), "--durability", "synced"];
    let node = Node::start(&args);
    let id = node.id.clone();
    node.run(&["put", "colour", "red"]).ok();
    node.run(&["append", "list", "1"]).ok();
    node.kill();

    let node = Node::start(&args);
    assert_eq!(node.id, id);
    assert_eq!(node.run(&["get", "colour"]).ok().text(), "\"red\"\n");
    node.run(&["append", "list", "2"]).ok();
    assert_eq!(node.run(&["get", "list"]).ok().text(), "[1,2]\n");
    node.kill();

    let node = Node::start(&args);
    assert_eq!(node.run(&["get", "list"]).ok().text(), "[1,2]\n");
}

#[cfg(unix)]
#[test]
fn a_node_that_is_told_to_stop_hands_over_and_ends_with_0() {
    for signal in ["TERM", "INT"] {
        let mut nodes = Node::swarm(2, &["--replication", "1"]);
        let names: Vec<_> = (0..20).map(|number| format!("name {number:02}")).collect();
        for name in &names {
            nodes[0].run(&["put", name, name]).ok();
        }
        let held = nodes[0].run(&["keys"]).ok().sorted_lines().len();
        assert!(held < names.len(), "with one replica each node holds its part, not {held}");
        let leaver = nodes.remove(0);
        leaver.signal(signal);
        assert_eq!(leaver.wait().code(), Some(0));
        for name in &names {
            assert_eq!(nodes[0].run(&["get", name, "--raw"]).ok().text(), name);
        }
        assert_eq!(nodes[0].run(&["keys"]).ok().sorted_lines(), names);
    }
}

#[cfg(unix)]
#[test]
fn a_clean_stop_keeps_what_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["--data", text(folder.path())];
    let node = Node::start(&args);
    node.run(&["put", "colour", "red"]).ok();
    node.signal("TERM");
    assert_eq!(node.wait().code(), Some(0));
    assert_eq!(Node::start(&args).run(&["get", "colour"]).ok().text(), "\"red\"\n");
}

#[test]
fn swarms_with_different_secrets_do_not_mix() {
    let red = Node::swarm(2, &["--secret=the red secret"]);
    let blue = Node::swarm(2, &["--secret=the blue secret"]);
    red[0].run(&["put", "colour", "red", "--secret", "the red secret"]).ok();
    blue[0].run(&["put", "colour", "blue", "--secret", "the blue secret"]).ok();
    for (swarm, secret, colour) in [(&red, "the red secret", "red"), (&blue, "the blue secret", "blue")] {
        for node in swarm {
            assert_eq!(node.run(&["get", "colour", "--raw", "--secret", secret]).ok().text(), colour);
            assert_eq!(node.run(&["peers", "--secret", secret]).ok().text().lines().count(), 1);
        }
    }
    red[0].run(&["get", "colour", "--secret", "the blue secret"]).fails(3, &["cannot join"]);
    // The secret moves every name to another place.
    let place = |node: &Node, secret: &str| {
        node.run(&["lookup", "colour", "--json", "--secret", secret]).ok().json()["key"].clone()
    };
    assert_ne!(place(&red[0], "the red secret"), place(&blue[0], "the blue secret"));
}

#[test]
fn flags_win_over_environment_and_environment_over_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("node.toml");
    let config = "listen = \"127.0.0.1:0\"\nreplication = 3\nsecret-file = \"secret\"\ndata = \"data\"\n";
    std::fs::write(&path, config).unwrap();
    std::fs::write(folder.path().join("secret"), "the file's secret\n").unwrap();
    let start = |env: &[(&str, &str)], args: &[&str]| {
        let mut run = command();
        Node::spawn(run.envs(env.iter().copied()).args(["run", "--json", "--config", text(&path)]).args(args))
    };
    let replication = |node: &Node, secret: &str| {
        node.run(&["status", "--json", "--secret", secret]).ok().json()["replication"].clone()
    };
    let node = start(&[], &[]);
    assert_eq!(replication(&node, "the file's secret"), 3);
    assert!(folder.path().join("data").is_dir(), "paths in a file start at its folder");
    node.kill();
    let env = [("KADMAP_REPLICATION", "4"), ("KADMAP_SECRET", "the environment's")];
    let node = start(&env, &[]);
    assert_eq!(replication(&node, "the environment's"), 4);
    node.kill();
    let node = start(&env, &["--replication", "5", "--secret", "the flag's secret"]);
    assert_eq!(replication(&node, "the flag's secret"), 5);
}

#[test]
fn with_retry_a_node_waits_for_its_swarm() {
    // A port that was free a moment ago, so that the first node can start after the second.
    let later = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let join = later.clone();
    let early = std::thread::spawn(move || Node::start(&["--retry", "--join", &join]));
    let first = Node::spawn(command().args(["run", "--json", "--listen", &later]));
    let early = early.join().unwrap();
    eventually("both know each other", || first.run(&["peers"]).text().contains(&early.address));
}

#[cfg(unix)]
#[test]
fn a_node_that_still_waits_for_its_swarm_can_be_told_to_stop() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut node = command()
        .args([
            "run",
            "--listen",
            "127.0.0.1:0",
            "--retry",
            "--join",
            &silent.local_addr().unwrap().to_string(),
        ])
        .stderr(std::fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    eventually("it has begun", || std::fs::read_to_string(&log).unwrap().contains("no secret"));
    assert!(Command::new("kill").arg(node.id().to_string()).status().unwrap().success());
    assert_eq!(node.wait().unwrap().code(), Some(0));
}

#[test]
fn logs_go_to_standard_error_and_as_much_as_was_asked() {
    let node = Node::start(&["--log", "info"]);
    assert!(node.log().contains("no secret"), "{}", node.log());
    let quiet = Node::start(&["--log", "warn"]);
    assert_eq!(quiet.log(), "");
    let get = node.run(&["-v", "get", "x"]);
    assert!(get.stderr.lines().count() > 1, "{get:?}");
}
