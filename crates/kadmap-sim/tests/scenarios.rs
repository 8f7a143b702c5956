//! Every scenario keeps its bounds at a small size, and hunts find nothing.

use std::time::Duration;

use kadmap_sim::hunt::{self, Plan};
use kadmap_sim::{Report, scenarios};

fn run(name: &str, nodes: usize, keys: usize, seconds: u64) -> Report {
    let scenario = scenarios().iter().find(|scenario| scenario.name == name).unwrap();
    let mut plan = scenario.plan(1);
    plan.nodes = nodes;
    plan.keys = keys;
    plan.span = Duration::from_secs(seconds);
    scenario.run(&plan, &mut |_| {})
}

fn holds(report: &Report) {
    assert!(report.holds(), "{report:#?}");
}

#[test]
fn two_hundred_nodes_join_and_find_each_other() {
    let report = run("join", 200, 0, 0);
    holds(&report);
    assert!(report.figure("messages_per_join").unwrap() > 10.0);
}

#[test]
fn every_key_with_a_living_holder_is_read_when_half_of_the_nodes_are_killed() {
    holds(&run("half-killed", 100, 300, 0));
}

#[test]
fn gets_are_answered_while_nodes_come_and_go() {
    holds(&run("churn", 60, 50, 600));
    holds(&run("churn-weibull", 60, 50, 600));
}

#[test]
fn both_sides_of_a_split_keep_what_they_wrote() {
    holds(&run("partition", 40, 20, 120));
}

#[test]
fn wrong_clocks_break_no_promise() {
    holds(&run("clocks", 30, 30, 60));
}

#[test]
fn a_bad_network_costs_time_and_no_answers() {
    holds(&run("loss", 60, 50, 300));
}

#[test]
fn a_short_hunt_finds_nothing() {
    for seed in 1..=40 {
        let verdict = hunt::run(&Plan::of_seed(seed));
        assert!(verdict.breaches.is_empty(), "{verdict:#?}");
    }
}
