//! Every scenario at the size of its bar: `cargo xtask test --long` runs these, an hour or more on two cores.

use std::time::Duration;

use kadmap_sim::scenarios;

/// An hour of virtual time.
const HOUR: u64 = 3_600;

fn holds(name: &str, nodes: usize, keys: usize, seconds: u64) {
    let scenario = scenarios().iter().find(|scenario| scenario.name == name).unwrap();
    let mut plan = scenario.plan(1);
    plan.nodes = nodes;
    plan.keys = keys;
    plan.span = Duration::from_secs(seconds);
    let report = scenario.run(&plan, &mut |_| {});
    assert!(report.holds(), "{report:#?}");
}

#[test]
#[ignore = "takes minutes"]
fn ten_thousand_nodes_join_and_are_small() {
    holds("join", 10_000, 0, 720);
}

#[test]
#[ignore = "takes minutes and 2 GB"]
fn half_of_ten_thousand_nodes_with_a_million_keys_are_killed() {
    holds("half-killed", 10_000, 1_000_000, 0);
}

#[test]
#[ignore = "takes minutes"]
fn ten_thousand_nodes_become_312() {
    holds("rolling", 10_000, 10_000, 600);
}

#[test]
#[ignore = "takes minutes"]
fn a_day_of_churn() {
    holds("churn", 1_000, 1_000, 24 * HOUR);
    holds("churn-weibull", 1_000, 1_000, 24 * HOUR);
}

#[test]
#[ignore = "takes minutes"]
fn heavy_churn() {
    holds("churn-5min", 1_000, 1_000, HOUR);
    holds("churn-84s", 1_000, 1_000, HOUR / 4);
}

#[test]
#[ignore = "takes minutes"]
fn a_bad_network_and_a_narrow_connection() {
    holds("loss", 1_000, 1_000, 1_200);
    holds("narrow", 100, 2_000, 300);
}

#[test]
#[ignore = "takes a minute"]
fn an_hour_of_partition() {
    holds("partition", 200, 400, HOUR);
}

#[test]
#[ignore = "takes minutes"]
fn a_swarm_grows_to_ten_thousand_in_ten_minutes() {
    holds("mass-join", 10_000, 20_000, 600);
}

#[test]
#[ignore = "takes half an hour"]
fn ten_million_appends() {
    holds("appends", 16, 10_000_000, 0);
}

#[test]
#[ignore = "takes a minute"]
fn deletes_and_rest() {
    holds("deletes", 100, 1_000, 4 * HOUR);
    holds("rest", 200, 20_000, 4 * HOUR);
}
