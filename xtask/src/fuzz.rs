//! Running the fuzzers of `fuzz/`.

use std::path::Path;

use crate::step::cargo;

/// Seconds that one fuzzer runs.
const SECONDS: u32 = 60;
/// Long inputs from the start: in a minute libFuzzer would not get beyond some thirty bytes, a handful of messages.
const LENGTHS: &str = "-len_control=0";
/// Where fuzzers are built: instrumented code shares nothing with the rest, but the folder to clean is the same.
const BUILDS: &str = "target/fuzz";
/// Where tools are installed that the checkout needs: below the target directory, so that `cargo clean` removes them.
const TOOLS: &str = "target/tools";
/// `-Z` flags, which cargo-fuzz passes for its instrumentation, without a nightly toolchain.
const ALLOW_UNSTABLE: (&str, &str) = ("RUSTC_BOOTSTRAP", "1");

/// The names of the fuzzers, in order: one for each file in `fuzz/fuzz_targets`.
pub(crate) fn targets(root: &Path) -> Vec<String> {
    let Ok(files) = std::fs::read_dir(root.join("fuzz/fuzz_targets")) else { return Vec::new() };
    let mut names: Vec<_> = files
        .flatten()
        .map(|file| file.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort_unstable();
    names
}

/// Runs a fuzzer for a minute, after installing cargo-fuzz if it is not there.
///
/// # Errors
/// One line that tells what failed; the fuzzer has printed the input and where it wrote it.
pub(crate) fn run(root: &Path, target: &str) -> Result<(), String> {
    let tools = root.join(TOOLS);
    if !tools.join("bin").join(format!("cargo-fuzz{}", std::env::consts::EXE_SUFFIX)).exists() {
        let folder = tools.to_string_lossy();
        cargo(root, &["install", "cargo-fuzz", "--locked", "--root", folder.as_ref()], &[])?;
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(tools.join("bin")).chain(std::env::split_paths(&path));
    let path = std::env::join_paths(folders).map_err(|error| format!("cannot extend the PATH: {error}"))?;
    let path = path.into_string().map_err(|_| "the PATH is not valid Unicode".to_owned())?;
    let seconds = format!("-max_total_time={SECONDS}");
    let (variable, value) = ALLOW_UNSTABLE;
    let environment = [("PATH", path), (variable, value.to_owned())];
    cargo(root, &["fuzz", "run", "--target-dir", BUILDS, target, "--", &seconds, LENGTHS], &environment)
}
