//! The core has no clock, no sockets, no threads, no disk, no chance of its own, and no order that differs from
//! run to run.

use super::tree::Tree;
use super::{Complaint, SourceFile};

/// The sources that must be pure; tests beside them may do as they like.
const CORE: &str = "crates/kadmap-core/src/";
/// Names whose mere use is impure. `FxHashMap` has no random seed and is another word.
const WORDS: [&str; 11] = [
    "SystemTime",
    "UdpSocket",
    "TcpStream",
    "TcpListener",
    "HashMap",
    "HashSet",
    "RandomState",
    "thread_rng",
    "OsRng",
    "ThreadRng",
    "getrandom",
];
/// Paths to what is impure; the last parts alone are words that the core may use.
const PATHS: [&[&str]; 6] = [
    &["std", "time", "Instant"],
    &["std", "thread"],
    &["std", "fs"],
    &["std", "env"],
    &["std", "process"],
    &["rand", "rng"],
];

/// The core is a pure function of its inputs.
pub(super) fn core_is_pure(tree: &Tree) -> Vec<Complaint> {
    let is_core = |file: &&SourceFile| file.path.starts_with(CORE) && file.path.ends_with(".rs");
    tree.files().filter(is_core).flat_map(impurities).collect()
}

fn impurities(file: &SourceFile) -> Vec<Complaint> {
    let complain = |(line, what): (usize, String)| {
        Complaint::new(file, line, format!("'{what}' in the core: take it as an argument instead"))
    };
    let tokens = tokens(file);
    let words = tokens.iter().filter(|(_, token)| WORDS.contains(token));
    let words = words.map(|(line, word)| (*line, (*word).to_owned()));
    words.chain(impure_paths(&tokens)).map(complain).collect()
}

/// Names and punctuation of a file's code, each with its line; comments may speak of what the code must not do.
fn tokens(file: &SourceFile) -> Vec<(usize, &str)> {
    let mut tokens = Vec::new();
    for (number, line) in file.lines() {
        let mut rest = line.split("//").next().unwrap_or_default();
        while let Some(first) = rest.chars().next() {
            let is_name = |c: char| c.is_alphanumeric() || c == '_';
            let name = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
            let (token, after) = match name {
                0 if rest.starts_with("::") => rest.split_at(2),
                0 => rest.split_at(first.len_utf8()),
                length => rest.split_at(length),
            };
            if !token.trim().is_empty() {
                tokens.push((number, token));
            }
            rest = after;
        }
    }
    tokens
}

/// Paths to impure things, as they stand and as `use` with braces builds them.
fn impure_paths(tokens: &[(usize, &str)]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    // The path that leads to the current token, and the lengths it had at each open brace.
    let mut path: Vec<&str> = Vec::new();
    let mut braces: Vec<usize> = Vec::new();
    let mut after_colons = false;
    for (line, token) in tokens.iter().copied() {
        match token {
            "::" => {
                after_colons = true;
                continue;
            }
            "{" if after_colons => braces.push(path.len()),
            "}" => {
                braces.pop();
                path.truncate(braces.last().copied().unwrap_or(0));
            }
            "," | ";" => path.truncate(braces.last().copied().unwrap_or(0)),
            name if name.starts_with(|c: char| c.is_alphabetic() || c == '_') => {
                if !after_colons {
                    path.truncate(braces.last().copied().unwrap_or(0));
                }
                path.push(name);
                if PATHS.iter().any(|impure| path[..] == **impure) {
                    found.push((line, path.join("::")));
                }
            }
            _ => path.truncate(braces.last().copied().unwrap_or(0)),
        }
        after_colons = false;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(code: &str) -> Vec<(usize, String)> {
        let tree = Tree::of(&[("crates/kadmap-core/src/node/mod.rs", code)]);
        core_is_pure(&tree).into_iter().map(|complaint| (complaint.line, complaint.what)).collect()
    }

    #[test]
    fn each_impure_word_is_found() {
        for word in WORDS {
            assert_eq!(complaints(&format!("\nlet x = {word}::new();")).len(), 1, "{word}");
        }
    }

    #[test]
    fn each_impure_path_is_found_however_it_is_written() {
        for path in PATHS {
            let last = path[path.len() - 1];
            let before = path[..path.len() - 1].join("::");
            let whole = path.join("::");
            for code in [
                format!("\nuse {whole};"),
                format!("\nlet x = {whole}::now();"),
                format!("\nuse {before}::{{fmt, {last}}};"),
                format!("\nuse {before}::{{{last}::Inner, fmt}};"),
            ] {
                assert_eq!(complaints(&code).first().map(|(line, _)| *line), Some(2), "{code}");
            }
        }
        assert_eq!(complaints("use std::{\n    fmt,\n    time::{Duration, Instant},\n    fs,\n};").len(), 2);
    }

    #[test]
    fn what_only_looks_alike_is_fine() {
        let fine = "use std::time::Duration;\nuse crate::time::Instant;\nuse rustc_hash::FxHashMap;\n\
            use std::net::{IpAddr, SocketAddr};\n// HashMap and std::fs are for others.\n\
            let fs = env!(\"X\"); match rng { std::fmt::Error => thread, }";
        assert_eq!(complaints(fine), []);
    }

    #[test]
    fn other_crates_and_tests_may_be_impure() {
        let tree = Tree::of(&[
            ("crates/kadmap/src/lib.rs", "use std::fs;"),
            ("crates/kadmap-core/tests/golden.rs", "use std::fs;"),
        ]);
        assert_eq!(core_is_pure(&tree), []);
    }
}
