//! `kadmap watch` in processes of its own.

mod support;

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Stdio};

use serde_json::Value;
use support::{Node, command, eventually};

/// A watch whose lines are read as they come; killed when dropped.
struct Watching {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Watching {
    fn start(node: &Node, args: &[&str]) -> Self {
        let mut command = command();
        command.env("KADMAP_NODE", &node.address).arg("watch").args(args);
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines }
    }

    /// The next line, as soon as it is written.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line
    }

    /// Its exit code.
    fn end(&mut self) -> Option<i32> {
        let mut status = None;
        eventually("the watch ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.and_then(|status| status.code())
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn each_change_is_a_line_as_it_happens() {
    let nodes = Node::swarm(3, &[]);
    nodes[0].run(&["put", "colour", "red"]).ok();
    let mut watch = Watching::start(&nodes[1], &["colour", "--count", "6"]);
    assert_eq!(watch.line(), "state \"red\"\n");
    nodes[2].run(&["put", "colour", "blue"]).ok();
    assert_eq!(watch.line(), "put \"blue\"\n");
    nodes[0].run(&["rm", "colour"]).ok();
    nodes[0].run(&["append", "colour", "1"]).ok();
    nodes[0].run(&["put", "colour", "{}"]).ok();
    nodes[0].run(&["put", "colour", "--field", "depth", "5"]).ok();
    let rest: Vec<_> = (0..4).map(|_| watch.line()).collect();
    assert_eq!(rest, ["deleted\n", "appended 1\n", "put {}\n", "field_put depth 5\n"]);
    assert_eq!(watch.end(), Some(0), "after as many lines as were asked for");
}

#[test]
fn a_script_reads_the_stamp_of_each_change() {
    let nodes = Node::swarm(3, &[]);
    let mut watch = Watching::start(&nodes[0], &["list", "--json", "--count", "2"]);
    let state: Value = serde_json::from_str(&watch.line()).unwrap();
    assert_eq!(state["change"], "absent");
    nodes[1].run(&["append", "list", "[1]"]).ok();
    let change: Value = serde_json::from_str(&watch.line()).unwrap();
    assert_eq!((&change["change"], &change["value"]), (&"appended".into(), &serde_json::json!([1])));
    assert_eq!(change["stamp"].as_str().unwrap().len(), 32);
    assert_eq!(watch.end(), Some(0));
}

#[test]
fn a_watch_ends_after_its_time_and_without_anybody_to_ask() {
    let nodes = Node::swarm(1, &[]);
    let run = nodes[0].run(&["watch", "colour", "--no-initial", "--for", "1ms"]).ok();
    assert_eq!(run.text(), "");
    let mut other = command();
    other.args(["watch", "colour", "--node", "127.0.0.1:1", "--timeout", "200ms"]);
    support::finish(&mut other, b"").fails(3, &["cannot join"]);
}

#[cfg(unix)]
#[test]
fn an_interrupted_watch_is_no_failure() {
    let nodes = Node::swarm(3, &[]);
    let mut watch = Watching::start(&nodes[0], &["colour"]);
    assert_eq!(watch.line(), "absent\n");
    let sent = std::process::Command::new("kill").args(["-INT", &watch.child.id().to_string()]).status();
    assert!(sent.unwrap().success());
    assert_eq!(watch.end(), Some(0));
}
