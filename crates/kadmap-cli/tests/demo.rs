//! The demo does what it shows.

mod support;

use std::process::{Command, Stdio};

use support::{command, eventually, kadmap};

#[test]
fn half_the_nodes_may_die_and_everything_is_found() {
    let demo = kadmap(&["demo", "--nodes", "6", "--keys", "50"]).ok();
    for part in ["get key_1 -> [1,2,3,4]", "Killed 3 of 6 nodes", "50 of 50", "found after the kill: 100.0 %"]
    {
        assert!(demo.text().contains(part), "'{part}' is not in: {}", demo.text());
    }
    assert!(!demo.text().contains("WRONG"), "{}", demo.text());
}

#[test]
fn its_figures_are_there_for_scripts() {
    let figures = kadmap(&["demo", "--nodes", "4", "--keys", "10", "--json"]).ok().json();
    assert_eq!((&figures["nodes"], &figures["killed"], &figures["keys"]), (&4.into(), &2.into(), &10.into()));
    for times in ["put", "get", "get_after_kill"] {
        assert_eq!((&figures[times]["count"], &figures[times]["good"]), (&10.into(), &10.into()), "{times}");
        assert!(figures[times]["p99_us"].as_u64() >= figures[times]["p50_us"].as_u64(), "{times}");
    }
    assert_eq!(figures["examples_wrong"], 0);
}

#[cfg(unix)]
#[test]
fn an_interrupted_demo_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let entries = || std::fs::read_dir(folder.path()).unwrap().count();
    let mut demo = command()
        .args(["demo", "--nodes", "8", "--keys", "1000000"])
        .env("TMPDIR", folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    eventually("it has a folder", || entries() == 1);
    assert!(Command::new("kill").arg(demo.id().to_string()).status().unwrap().success());
    assert_eq!(demo.wait().unwrap().code(), Some(1));
    assert_eq!(entries(), 0);
}

#[test]
fn it_needs_nodes_and_keys() {
    kadmap(&["demo", "--nodes", "1"]).fails(2, &["--nodes", "2..=1024"]);
    kadmap(&["demo", "--keys", "0"]).fails(2, &["--keys"]);
}
