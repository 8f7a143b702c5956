//! What the guarantees promise is shown by tests that exist.

use super::tree::Tree;
use super::{Complaint, SourceFile};

/// Where the promises stand, and under which heading.
const GUARANTEES: &str = "docs/guarantees.md";
const HEADING: &str = "## Promised";
/// Stands for the tests of the row above.
const SAME: &str = "same";

/// Each row of the table of promises has its three cells, and names tests that are there.
pub(super) fn every_promise_names_its_tests(tree: &Tree) -> Vec<Complaint> {
    let Some(file) = tree.files().find(|file| file.path == GUARANTEES) else { return Vec::new() };
    let below = file.lines().skip_while(|(_, line)| *line != HEADING).skip(1);
    let promises = below.take_while(|(_, line)| !line.starts_with("## ")).skip(2);
    let complaint =
        |(number, line): (usize, &str)| Some(Complaint::new(file, number, wrong_with(tree, line)?));
    promises.filter(|(_, line)| !line.is_empty()).filter_map(complaint).collect()
}

/// What is wrong with a row, if anything is.
fn wrong_with(tree: &Tree, row: &str) -> Option<String> {
    let cells: Vec<_> = row.split('|').map(str::trim).collect();
    let ["", _, _, tests, ""] = cells[..] else {
        return Some("a promise is a row of three cells: what, exactly, test".to_owned());
    };
    if tests == SAME {
        return None;
    }
    let mut names = tests.split('`').skip(1).step_by(2).peekable();
    if names.peek().is_none() {
        return Some("a promise names the test that shows it".to_owned());
    }
    let missing = names.find(|name| !is_there(tree, name))?;
    Some(format!("there is no test '{missing}'"))
}

/// Whether this is a file of the tree, or a function in one.
fn is_there(tree: &Tree, name: &str) -> bool {
    let holds = |file: &SourceFile| file.path == name || file.text.contains(&format!("fn {name}("));
    tree.files().any(holds)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of a table of promises with these rows.
    fn complaints(rows: &str) -> Vec<String> {
        let table = format!(
            "# G\n## Promised\n| Promise | Exactly | Test |\n|---|---|---|\n{rows}\n\n## Not\n| x |\n"
        );
        let code = ("crates/x/tests/law.rs", "#[test]\nfn it_holds() {}\n");
        let tree = Tree::of(&[(GUARANTEES, &table), code]);
        every_promise_names_its_tests(&tree).iter().map(Complaint::to_string).collect()
    }

    #[test]
    fn a_promise_with_a_test_or_a_file_of_tests_is_fine() {
        let rows = "| a | b | `it_holds`, `crates/x/tests/law.rs` |\n| c | d | same |";
        assert_eq!(complaints(rows), [""; 0]);
    }

    #[test]
    fn a_row_that_fell_apart_is_found() {
        assert_eq!(complaints("| a | b | `it_holds` | | c | d | same |").len(), 1);
        assert_eq!(complaints("| a | b,\nand more `it_holds` |").len(), 2);
    }

    #[test]
    fn a_promise_without_a_test_is_found() {
        assert_eq!(complaints("| a | b | `it_held` |"), ["docs/guarantees.md:5: there is no test 'it_held'"]);
        assert_eq!(complaints("| a | b | trust me |").len(), 1);
    }
}
