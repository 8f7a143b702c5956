//! What the tree must look like: the rules of the house that no compiler knows.

mod core_purity;
mod layers;
mod manifest;
mod promises;
mod text;
mod tree;

use std::fmt;
use std::path::Path;

use tree::{SourceFile, Tree};

/// A place that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Complaint {
    path: String,
    /// Counted from 1.
    line: usize,
    what: String,
}

impl Complaint {
    fn new(file: &SourceFile, line: usize, what: impl Into<String>) -> Self {
        Self { path: file.path.clone(), line, what: what.into() }
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

/// A rule: what it is called and what breaks it.
type Rule = (&'static str, fn(&Tree) -> Vec<Complaint>);

const RULES: [Rule; 10] = [
    ("layers", layers::crates_depend_downwards),
    ("network", layers::only_the_library_speaks_to_the_network),
    ("lints", layers::crates_inherit_the_lints),
    ("core", core_purity::core_is_pure),
    ("length", text::files_are_short),
    ("tabs", text::no_tabs),
    ("spaces", text::no_trailing_spaces),
    ("leftovers", text::nothing_left_over),
    ("paths", text::no_machine_paths),
    ("promises", promises::every_promise_names_its_tests),
];

/// Checks the tree below `root` and prints what breaks a rule.
///
/// # Errors
/// One line that counts the complaints.
pub(crate) fn check(root: &Path) -> Result<(), String> {
    let tree = Tree::read(root)?;
    let complaints: Vec<_> = RULES.iter().flat_map(|(_, rule)| rule(&tree)).collect();
    complaints.iter().for_each(|complaint| crate::say(&complaint.to_string()));
    match complaints.len() {
        0 => Ok(()),
        count => Err(format!("{count} places break the rules of xtask/src/tidy")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a rule says of the checkout that these tests were built from.
    fn complaints_here(name: &str) -> Vec<String> {
        let tree = Tree::read(&crate::root()).unwrap();
        assert!(tree.files().any(|file| file.path == "crates/kadmap-core/src/lib.rs"), "the wrong folder");
        let (_, rule) = RULES.iter().find(|(known, _)| *known == name).unwrap();
        rule(&tree).iter().map(Complaint::to_string).collect()
    }

    macro_rules! keeps {
        ($($test:ident: $rule:literal,)*) => {
            $(
                #[test]
                fn $test() {
                    assert_eq!(complaints_here($rule), Vec::<String>::new());
                }
            )*

            #[test]
            fn every_rule_has_its_test() {
                assert_eq!(RULES.map(|(name, _)| name), [$($rule),*]);
            }
        };
    }
    keeps! {
        crates_here_depend_downwards: "layers",
        only_the_library_here_speaks_to_the_network: "network",
        crates_here_inherit_the_lints: "lints",
        the_core_here_is_pure: "core",
        files_here_are_short: "length",
        files_here_have_no_tabs: "tabs",
        lines_here_end_without_spaces: "spaces",
        nothing_is_left_over_here: "leftovers",
        no_file_here_names_a_machine: "paths",
        promises_here_name_their_tests: "promises",
    }

    #[test]
    fn complaints_name_file_and_line() {
        let tree = Tree::of(&[("crates/x/src/lib.rs", "//! X.\n\tlet x = 1;\n")]);
        let told: Vec<_> = text::no_tabs(&tree).iter().map(Complaint::to_string).collect();
        assert_eq!(told, ["crates/x/src/lib.rs:2: a tab: indent with spaces"]);
    }
}
