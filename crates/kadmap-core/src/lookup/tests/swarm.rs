//! What lookups find, and at what price, in swarms of honest, dead, frozen and lying nodes.

use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;

use super::network::{BUCKET_SIZE, Manner, Network, random_key};
use crate::LookupConfig;

/// Sums over many lookups.
#[derive(Debug, Default)]
struct Tally {
    lookups: usize,
    /// Lookups whose result was exactly the closest nodes that answer.
    exact: usize,
    /// Of the nodes that should have been found, those that were.
    found: usize,
    /// Lookups that reached an honest one of the closest.
    reached: usize,
    requests: usize,
    rounds: usize,
    timeouts: usize,
}

fn paths(disjoint_paths: usize) -> LookupConfig {
    LookupConfig { disjoint_paths, ..LookupConfig::default() }
}

fn run(network: &Network, lookups: usize, config: &LookupConfig) -> Tally {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut tally = Tally { lookups, ..Tally::default() };
    for _ in 0..lookups {
        let own = network.random_honest(&mut rng);
        let target = random_key(&mut rng);
        let outcome = network.look_up(own, target, config);
        let answers = |manner| matches!(manner, Manner::Honest | Manner::Liar);
        let expected = network.closest(&target, BUCKET_SIZE, |id, manner| *id != own && answers(manner));
        let found = outcome.lookup.closest();
        let good = found.iter().filter(|contact| expected.contains(contact));
        tally.exact += usize::from(found == expected);
        tally.found += good.clone().count();
        tally.reached += usize::from(good.clone().any(|good| network.manner(&good.id) == Manner::Honest));
        tally.requests += outcome.lookup.trace().len();
        tally.rounds += outcome.rounds;
        tally.timeouts += outcome.timeouts;
    }
    tally
}

#[test]
fn a_calm_lookup_returns_exactly_the_closest() {
    for size in [1, 2, 15, 200, 1_000, 5_000] {
        let network = Network::new(7, size, 0, Manner::Honest);
        for disjoint_paths in [1, 4, 8] {
            let tally = run(&network, 30, &paths(disjoint_paths));
            assert_eq!(tally.exact, tally.lookups, "{size} nodes, {disjoint_paths} paths: {tally:?}");
        }
    }
}

#[test]
fn a_lookup_returns_exactly_the_closest_when_a_third_is_dead_or_frozen() {
    for manner in [Manner::Dead, Manner::Frozen] {
        for size in [200, 1_000, 5_000] {
            let mut network = Network::new(7, size, 33, manner);
            network.answer_size = 2 * BUCKET_SIZE;
            let tally = run(&network, 40, &paths(4));
            assert_eq!(tally.exact, tally.lookups, "{size} nodes, {manner:?}: {tally:?}");
            assert_eq!(tally.timeouts, 0, "frozen nodes must be passed over");
        }
    }
}

/// Nodes that do not know yet that others are dead name them, so twenty names hold thirteen nodes.
#[test]
fn short_answers_full_of_dead_nodes_cost_little_of_the_result() {
    for size in [200, 5_000] {
        let mut network = Network::new(7, size, 33, Manner::Dead);
        network.seeds = 2 * BUCKET_SIZE;
        let tally = run(&network, 60, &paths(4));
        assert!(tally.found * 100 >= tally.lookups * BUCKET_SIZE * 98, "{size} nodes: {tally:?}");
    }
}

#[test]
fn disjoint_paths_get_past_colluding_liars_where_one_path_does_not() {
    let network = Network::new(7, 5_000, 25, Manner::Liar);
    // One request at a time, as the sources measure it: parallel requests already help a single path.
    let patient =
        |disjoint_paths| LookupConfig { parallelism: 1, parallelism_arrived: 1, ..paths(disjoint_paths) };
    let (one, four) = (run(&network, 100, &patient(1)), run(&network, 300, &patient(4)));
    assert!(four.reached * 100 >= four.lookups * 97, "{four:?}");
    assert!(one.reached * 100 <= one.lookups * 90, "{one:?}");
    let tally = run(&network, 100, &paths(8));
    assert_eq!(tally.reached, tally.lookups, "{tally:?}");
}

#[test]
fn disjoint_paths_cost_at_most_half_more_requests_when_calm() {
    for size in [200, 5_000] {
        let network = Network::new(7, size, 0, Manner::Honest);
        let (one, four) = (run(&network, 60, &paths(1)), run(&network, 60, &paths(4)));
        assert!(four.requests * 2 <= one.requests * 3, "{one:?} {four:?}");
        let most_rounds = 5;
        assert!(four.rounds <= four.lookups * most_rounds, "{four:?}");
    }
}

#[test]
fn the_same_inputs_give_the_same_lookup() {
    let network = Network::new(7, 1_000, 33, Manner::Dead);
    let own = network.random_honest(&mut ChaCha8Rng::seed_from_u64(2));
    let target = random_key(&mut ChaCha8Rng::seed_from_u64(3));
    let trace = || network.look_up(own, target, &paths(4)).lookup.trace().to_vec();
    assert_eq!(trace(), trace());
}
