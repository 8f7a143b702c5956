//! The help of every verb is as the files in `snapshots` say; `KADMAP_UPDATE_SNAPSHOTS=1` writes them anew.

mod support;

use std::path::PathBuf;

use support::kadmap;

const VERBS: [&str; 19] = [
    "run",
    "put",
    "get",
    "append",
    "rm",
    "items",
    "trim",
    "announce",
    "providers",
    "keys",
    "watch",
    "peers",
    "lookup",
    "status",
    "ping",
    "demo",
    "bench",
    "sim",
    "completions",
];

fn check(name: &str, help: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots").join(format!("{name}.txt"));
    if std::env::var_os("KADMAP_UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&path, help).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(help, expected, "{name}: set KADMAP_UPDATE_SNAPSHOTS=1 if this is how it should be");
}

#[test]
fn help_is_as_it_was() {
    check("kadmap", kadmap(&["--help"]).ok().text());
    for verb in VERBS {
        check(verb, kadmap(&[verb, "--help"]).ok().text());
    }
}

#[test]
fn every_verb_has_its_snapshot() {
    let help = kadmap(&["--help"]).ok();
    let commands = help.text().split("Commands:").nth(1).unwrap().split("\n\n").next().unwrap().to_owned();
    let listed: Vec<_> = commands.lines().filter_map(|line| line.split_whitespace().next()).collect();
    for verb in VERBS {
        assert!(listed.contains(&verb), "{verb}");
    }
    assert_eq!(listed.len(), VERBS.len() + 1, "{listed:?} are the verbs and help");
}
