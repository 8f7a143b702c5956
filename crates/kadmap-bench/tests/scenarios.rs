//! A tiny run of each scenario: all figures are there and nothing was lost.

use clap::Parser;
use kadmap_bench::{BenchArgs, Launch, Report, run};

#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    bench: BenchArgs,
}

fn tiny(arguments: &str) -> (Report, String) {
    let words = std::iter::once("kadmap-bench").chain(arguments.split(' '));
    let mut args = Cli::parse_from(words).bench;
    args.launch =
        Launch { program: Some(env!("CARGO_BIN_EXE_kadmap-bench").into()), leading_args: Vec::new() };
    let mut out = Vec::new();
    let report = run(args, &mut out).unwrap();
    (report, String::from_utf8(out).unwrap())
}

/// Runs one scenario and checks that it has these figures and lost nothing.
fn check(arguments: &str, figures: &[&str]) {
    let (report, text) = tiny(arguments);
    let [scenario] = &report.scenarios[..] else { panic!("not one scenario: {report:?}") };
    assert_eq!((scenario.failed, scenario.wrong), (0, 0), "{text}");
    for name in figures {
        let value = scenario.figure(name).unwrap_or_else(|| panic!("no figure '{name}' in {text}"));
        assert!(value.is_finite() && value >= 0.0, "{name} is {value}");
        assert!(text.contains(name), "no '{name}' in {text}");
    }
}

#[test]
fn rpc_answers_every_request() {
    check("rpc --ops 100 --in-flight 8", &["UDP echoes", "pings", "gets, consistency one"]);
}

#[test]
fn swarm_reads_back_what_it_put_and_appended() {
    let figures = ["puts", "gets", "appends", "put p50", "put p99", "get p50", "get p99", "joined in"];
    let figures = figures.map(|figure| format!("r=3 quorum {figure}"));
    check(
        "swarm --nodes 5 --ops 60 --in-flight 8 --replication 3 --consistency quorum",
        &figures.each_ref().map(String::as_str),
    );
}

#[test]
fn swarm_reads_back_from_disk() {
    check(
        "swarm --nodes 4 --ops 20 --in-flight 4 --replication 3 --consistency quorum --data --only gets",
        &["r=3 quorum gets"],
    );
}

#[test]
fn lost_packets_lose_no_puts() {
    check("loss --nodes 5 --ops 20", &["put p50 without loss", "put p50 with loss", "put p99 with loss"]);
}

#[test]
fn half_the_nodes_killed_or_frozen_lose_no_records() {
    let (report, text) = tiny("churn --nodes 8 --ops 20");
    for blow in ["killed", "frozen"] {
        assert_eq!(report.scenarios[0].figure(&format!("{blow}: reads that found")), Some(100.0), "{text}");
    }
}

#[test]
fn a_node_at_rest_holds_every_record() {
    let (report, text) = tiny("rest --nodes 3 --ops 50 --seconds 1");
    assert_eq!(report.scenarios[0].figure("records held"), Some(50.0), "{text}");
}

#[test]
fn drift_reads_every_time() {
    check("drift --nodes 4 --ops 50", &["first gets p50", "old swarm p50", "fresh swarm p50", "old / fresh"]);
}

#[test]
fn json_is_one_object_with_all_scenarios() {
    let (report, text) = tiny("memory --nodes 3 --json");
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(text.lines().count(), 1);
    assert_eq!(json["seed"], report.seed);
    assert_eq!(json["scenarios"][0]["name"], "memory");
    assert!(json["scenarios"][0]["figures"].is_array());
}

#[test]
fn settings_that_measure_nothing_are_refused() {
    let mut args = Cli::parse_from(["kadmap-bench", "swarm"]).bench;
    args.value_bytes = 3;
    let error = run(args, &mut Vec::new()).unwrap_err();
    assert_eq!(error.to_string(), "--value-bytes is 3: choose at least 8");
}
