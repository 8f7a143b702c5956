//! Which steps there are, in which order.

use std::path::Path;

use crate::fuzz;
use crate::step::Step;

/// The run of real processes, small unless a variable says how long it is to soak; not one of the tests above, which
/// start no process that they could not do without.
const CHAOS: &str = "test --workspace --test chaos -- --nocapture";
/// The same in full, where an unoptimized build would show little but its own slowness.
const CHAOS_LONG: &str = "test --release -p kadmap-chaos --test chaos -- --nocapture";
/// Processes killed by the crash tests of `--long`.
const LONG_ROUNDS: u32 = 100;
/// Bits flipped by the damage test of `--long`.
const LONG_FLIPS: u32 = 10_000;

/// The checks before a push, quick ones first as far as builds are shared.
///
/// All steps build the whole workspace in the dev profile with the same features, so that each dependency is
/// compiled once for checking and once for running.
pub(crate) fn test() -> Vec<Step> {
    vec![
        Step::cargo("fmt", "fmt --all --check"),
        Step::cargo("fmt/fuzz", "fmt --manifest-path fuzz/Cargo.toml --check"),
        Step::cargo("clippy", "clippy --workspace --all-targets -- -D warnings"),
        Step::cargo("doc", "doc --workspace --no-deps").with("RUSTDOCFLAGS", "-D warnings"),
        // Benches are built by clippy; running them would measure, not test.
        Step::cargo("test", "test --workspace --lib --bins --tests --examples"),
        Step::cargo("test/doc", "test --workspace --doc"),
        Step::tidy(),
        Step::cargo("chaos", CHAOS),
        Step::python(),
    ]
}

/// What `--long` adds; the soak of real processes takes so many minutes.
pub(crate) fn long(root: &Path, soak_minutes: u32) -> Vec<Step> {
    let crashes = Step::cargo("crash", "test --workspace --test *crash* --test damage -- --nocapture")
        .with("KADMAP_LONG_ROUNDS", LONG_ROUNDS)
        .with("KADMAP_LONG_FLIPS", LONG_FLIPS);
    let simulations =
        Step::cargo("sim", "test --release -p kadmap-sim --test full -- --ignored --test-threads 1");
    let fuzzers = fuzz::targets(root).into_iter().map(|target| Step::fuzz(&target));
    let chaos = Step::cargo("chaos-long", CHAOS_LONG).with("KADMAP_LONG_MINUTES", soak_minutes);
    [crashes, simulations, chaos].into_iter().chain(fuzzers).collect()
}

/// What makes the formatter content.
pub(crate) fn fix() -> Vec<Step> {
    vec![Step::cargo("fmt", "fmt --all"), Step::cargo("fmt/fuzz", "fmt --manifest-path fuzz/Cargo.toml")]
}
