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
fn every_read_finds_what_was_acknowledged_before_while_nodes_stand_still_join_and_leave() {
    let strict = scenarios().iter().find(|scenario| scenario.name == "strict").unwrap();
    // With 3, 5 and 20 replicas.
    for seed in [3, 1, 2] {
        let plan = kadmap_sim::Plan { span: Duration::from_secs(20), ..strict.plan(seed) };
        holds(&strict.run(&plan, &mut |_| {}));
    }
}

#[test]
fn replicas_are_restored_when_half_of_the_nodes_are_killed_again_and_again() {
    holds(&run("rolling", 700, 30, 600));
}

#[test]
fn gets_are_answered_while_nodes_come_and_go() {
    holds(&run("churn", 60, 50, 600));
    holds(&run("churn-weibull", 60, 50, 600));
    holds(&run("churn-5min", 60, 50, 300));
    holds(&run("churn-84s", 60, 50, 120));
}

#[test]
fn both_sides_of_a_split_keep_what_they_wrote_and_come_to_agree() {
    holds(&run("partition", 40, 24, 120));
}

#[test]
fn a_narrow_connection_makes_nobody_give_up_its_node() {
    holds(&run("narrow", 40, 50, 10));
}

#[test]
fn values_stay_readable_while_a_swarm_grows_tenfold() {
    holds(&run("mass-join", 200, 400, 60));
}

#[test]
fn appends_are_kept_once_whatever_happens() {
    let report = run("appends", 6, 1_000, 0);
    holds(&report);
    assert!(report.figure("appends_acknowledged").unwrap() > 1_000.0);
}

#[test]
fn wrong_clocks_break_no_promise() {
    holds(&run("clocks", 30, 30, 60));
}

#[test]
fn what_was_deleted_does_not_come_back_with_those_who_were_away() {
    holds(&run("deletes", 24, 24, 1_800));
    holds(&run("deletes-long", 24, 24, 1_800));
}

#[test]
fn a_bad_network_costs_time_and_no_answers() {
    holds(&run("loss", 60, 50, 300));
}

#[test]
fn upkeep_at_rest_costs_a_fraction_of_publishing_again() {
    holds(&run("rest", 30, 2_000, 1_800));
}

#[test]
fn a_short_hunt_finds_nothing() {
    for seed in 1..=40 {
        let verdict = hunt::run(&Plan::of_seed(seed));
        assert!(verdict.breaches.is_empty(), "{verdict:#?}");
    }
}
