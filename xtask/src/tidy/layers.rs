//! Who may build on whom.

use super::manifest::{Dependency, dependencies, says};
use super::tree::Tree;
use super::{Complaint, SourceFile};

/// Each crate and those of ours that it may build on, tests included; each stands below those that name it.
const LAYERS: [(&str, &[&str]); 9] = [
    ("kadmap-core", &[]),
    ("kadmap-store", &["kadmap-core"]),
    ("kadmap-sim", &["kadmap-core", "kadmap-store"]),
    ("kadmap", &["kadmap-core", "kadmap-store"]),
    ("kadmap-bench", &["kadmap"]),
    ("kadmap-cli", &["kadmap", "kadmap-bench", "kadmap-sim"]),
    ("kadmap-chaos", &["kadmap", "kadmap-cli"]),
    // The folder's name; the package is kadmap-python.
    ("python", &["kadmap-core", "kadmap-store", "kadmap", "kadmap-cli"]),
    ("xtask", &[]),
];
/// The only crate that opens connections.
const NETWORK_CRATE: &str = "kadmap";
/// Packages that open connections.
const NETWORK_PACKAGES: [&str; 6] = ["quinn", "quinn-proto", "quinn-udp", "rustls", "socket2", "mio"];
/// Crates that may open sockets through tokio: the bench compares kadmap with bare UDP.
const TOKIO_NET_CRATES: [&str; 2] = [NETWORK_CRATE, "kadmap-bench"];

/// Crates depend on those below them and on no others of ours.
pub(super) fn crates_depend_downwards(tree: &Tree) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for manifest in tree.member_manifests() {
        let name = crate_name(manifest);
        let Some((_, allowed)) = LAYERS.iter().find(|(known, _)| *known == name) else {
            let what = format!("'{name}' has no layer: say in xtask/src/tidy/layers.rs what it may build on");
            complaints.push(Complaint::new(manifest, 1, what));
            continue;
        };
        let is_ours = |package: &str| LAYERS.iter().any(|(known, _)| *known == package);
        let upward = dependencies(manifest)
            .into_iter()
            .filter(|found| is_ours(&found.package) && !allowed.contains(&found.package.as_str()));
        complaints.extend(upward.map(|found| {
            let what = format!("'{name}' must not build on '{}'", found.package);
            Complaint::new(manifest, found.line, what)
        }));
    }
    complaints
}

/// Only the library opens connections.
pub(super) fn only_the_library_speaks_to_the_network(tree: &Tree) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for manifest in tree.member_manifests() {
        let name = crate_name(manifest);
        let offends = |found: &Dependency| {
            let network = NETWORK_PACKAGES.contains(&found.package.as_str()) && name != NETWORK_CRATE;
            let sockets = found.package == "tokio"
                && (found.has_feature("net") || found.has_feature("full"))
                && !TOKIO_NET_CRATES.contains(&name);
            network || sockets
        };
        complaints.extend(dependencies(manifest).iter().filter(|found| offends(found)).map(|found| {
            let what =
                format!("'{}' with sockets in '{name}': only '{NETWORK_CRATE}' opens them", found.package);
            Complaint::new(manifest, found.line, what)
        }));
    }
    complaints
}

/// Every crate is held to the workspace's lints.
pub(super) fn crates_inherit_the_lints(tree: &Tree) -> Vec<Complaint> {
    let lacking = tree.member_manifests().filter(|manifest| !says(manifest, "lints", "workspace", "true"));
    lacking.map(|manifest| Complaint::new(manifest, 1, "no '[lints] workspace = true'")).collect()
}

/// The folder's name, which is the package's.
fn crate_name(manifest: &SourceFile) -> &str {
    manifest.path.trim_end_matches("/Cargo.toml").rsplit('/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(rule: fn(&Tree) -> Vec<Complaint>, name: &str, manifest: &str) -> Vec<usize> {
        let path = format!("crates/{name}/Cargo.toml");
        rule(&Tree::of(&[(&path, manifest)])).iter().map(|complaint| complaint.line).collect()
    }

    #[test]
    fn a_dependency_upwards_is_found_in_every_table() {
        for table in
            ["dependencies", "dev-dependencies", "build-dependencies", "target.'cfg(unix)'.dependencies"]
        {
            let text = format!("[{table}]\nkadmap.workspace = true\n");
            assert_eq!(complaints(crates_depend_downwards, "kadmap-core", &text), [2], "{table}");
            assert_eq!(complaints(crates_depend_downwards, "kadmap-cli", &text), [0; 0], "{table}");
        }
        let renamed = "[dependencies]\ninnocent = { path = \"../kadmap\", package = \"kadmap\" }\n";
        assert_eq!(complaints(crates_depend_downwards, "kadmap-store", renamed), [2]);
        let sideways = "[dependencies]\nkadmap-cli.workspace = true\n";
        assert_eq!(complaints(crates_depend_downwards, "kadmap-bench", sideways), [2]);
    }

    #[test]
    fn a_crate_without_a_layer_is_found() {
        assert_eq!(complaints(crates_depend_downwards, "kadmap-new", "[package]\n"), [1]);
    }

    #[test]
    fn the_layers_have_no_circle() {
        for (at, (name, allowed)) in LAYERS.iter().enumerate() {
            let below: Vec<_> = LAYERS[..at].iter().map(|(below, _)| *below).collect();
            assert!(allowed.iter().all(|other| below.contains(other)), "{name}");
        }
    }

    #[test]
    fn sockets_outside_the_library_are_found() {
        for package in NETWORK_PACKAGES {
            let text = format!("[dependencies]\n{package}.workspace = true\n");
            assert_eq!(
                complaints(only_the_library_speaks_to_the_network, "kadmap-cli", &text),
                [2],
                "{package}"
            );
            assert_eq!(
                complaints(only_the_library_speaks_to_the_network, "kadmap", &text),
                [0; 0],
                "{package}"
            );
        }
        let net = "[dependencies]\ntokio = { workspace = true, features = [\"rt\", \"net\"] }\n";
        assert_eq!(complaints(only_the_library_speaks_to_the_network, "kadmap-store", net), [2]);
        let rt = "[dependencies]\ntokio = { workspace = true, features = [\"rt\"] }\n";
        assert_eq!(complaints(only_the_library_speaks_to_the_network, "kadmap-store", rt), [0; 0]);
    }

    #[test]
    fn a_crate_with_lints_of_its_own_is_found() {
        assert_eq!(
            complaints(crates_inherit_the_lints, "kadmap", "[package]\n[lints.rust]\nx = \"allow\"\n"),
            [1]
        );
        assert_eq!(complaints(crates_inherit_the_lints, "kadmap", "[lints]\nworkspace = true\n"), [0; 0]);
    }
}
