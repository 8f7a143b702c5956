//! Swarms whose members hold certificates of an operator's own authority.

mod support;

use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ED25519};
use support::{Node, eventually, text};
use tempfile::TempDir;

/// An authority and the folder that its files are in.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    folder: TempDir,
}

impl Authority {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(folder.path().join("ca.pem"), certificate.pem()).unwrap();
        Self { issuer: Issuer::new(params, key), folder }
    }

    /// The flags of a new member.
    fn member(&self, name: &str) -> Vec<String> {
        let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        let certificate = CertificateParams::default().signed_by(&key, &self.issuer).unwrap();
        let path = |ending: &str| self.folder.path().join(format!("{name}.{ending}"));
        std::fs::write(path("pem"), certificate.pem()).unwrap();
        std::fs::write(path("key"), key.serialize_pem()).unwrap();
        let flag = |flag: &str, path: &Path| format!("--{flag}={}", text(path));
        vec![
            flag("ca", &self.folder.path().join("ca.pem")),
            flag("cert", &path("pem")),
            flag("key", &path("key")),
        ]
    }
}

fn with<'a>(verb: &[&'a str], flags: &'a [String]) -> Vec<&'a str> {
    verb.iter().copied().chain(flags.iter().map(String::as_str)).collect()
}

#[test]
fn only_who_is_certified_by_the_same_authority_gets_in() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let first = Node::start(&ours.member("first"));
    let join = format!("--join={}", first.address);
    let second = Node::start(&with(&[&join], &ours.member("second")));
    let client = ours.member("client");
    eventually("the nodes know each other", || {
        first.run(&with(&["peers"], &client)).ok().text().contains(&second.address)
    });
    first.run(&with(&["put", "colour", "red"], &client)).ok();
    assert_eq!(second.run(&with(&["get", "colour"], &client)).ok().text(), "\"red\"\n");

    let refusal = ["cannot join", &first.address, "certificate authority"];
    first.run(&with(&["get", "colour"], &theirs.member("stranger"))).fails(3, &refusal);
    first.run(&["get", "colour"]).fails(3, &refusal);
    first.run(&["get", "colour", "--secret", "a swarm secret"]).fails(3, &refusal);
}

#[test]
fn a_key_that_is_not_the_certificates_is_wrong_usage() {
    let authority = Authority::new();
    let (one, other) = (authority.member("one"), authority.member("other"));
    let mixed = [one[0].clone(), one[1].clone(), other[2].clone()];
    support::kadmap(&with(&["run", "--listen", "127.0.0.1:0"], &mixed)).fails(2, &["certificate"]);
}
