//! Every scenario on real processes: small, or in full where `KADMAP_LONG_MINUTES` says how long the soak is to be.

use std::process::Command;

/// Everything but the soak, in full.
const FULL: [&str; 8] = [
    "control-weak",
    "control-forgetful",
    "half-killed",
    "rolling",
    "partition",
    "frozen-halves",
    "restarts",
    "appends",
];

#[track_caller]
fn play(arguments: &[&str]) {
    let played = Command::new(env!("CARGO_BIN_EXE_kadmap-chaos")).args(arguments).status().unwrap();
    assert!(played.success(), "kadmap-chaos {}: {played}", arguments.join(" "));
}

#[test]
fn nothing_is_lost_whatever_happens_to_processes() {
    match std::env::var("KADMAP_LONG_MINUTES") {
        Ok(minutes) => {
            play(&FULL);
            play(&["soak", "--minutes", &minutes]);
        }
        Err(_) => play(&["--short", "all"]),
    }
}
