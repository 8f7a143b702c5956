//! Rules about any text.

use super::tree::Tree;
use super::{Complaint, SourceFile};

/// Lines of a file at most; past this it is split.
const LINES_MAX: usize = 800;
/// What must not stay in a commit. Written in two parts, so that this file keeps the rule.
const LEFTOVERS: [&str; 5] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("to", "do!"),
    concat!("unimple", "mented!"),
    concat!("db", "g!"),
];
/// Folders of one machine.
const MACHINE_PATHS: [&str; 3] = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/")];

/// No file is longer than 800 lines.
pub(super) fn files_are_short(tree: &Tree) -> Vec<Complaint> {
    let long = |file: &SourceFile| {
        let lines = file.text.lines().count();
        (lines > LINES_MAX)
            .then(|| Complaint::new(file, lines, format!("more than {LINES_MAX} lines: split it")))
    };
    tree.files().filter_map(long).collect()
}

/// No tab characters.
pub(super) fn no_tabs(tree: &Tree) -> Vec<Complaint> {
    each_line(tree, |line| line.contains('\t').then(|| "a tab: indent with spaces".to_owned()))
}

/// No spaces at the ends of lines.
pub(super) fn no_trailing_spaces(tree: &Tree) -> Vec<Complaint> {
    let ends_in_space = |line: &str| line.ends_with(char::is_whitespace);
    each_line(tree, |line| ends_in_space(line).then(|| "spaces at the end of the line".to_owned()))
}

/// No notes to oneself and no debugging aids.
pub(super) fn nothing_left_over(tree: &Tree) -> Vec<Complaint> {
    each_line(tree, |line| {
        let word = LEFTOVERS.iter().find(|word| line.contains(**word))?;
        Some(format!("'{word}': do it or leave it out"))
    })
}

/// No paths that exist on one machine only.
pub(super) fn no_machine_paths(tree: &Tree) -> Vec<Complaint> {
    each_line(tree, |line| {
        let path = MACHINE_PATHS.iter().find(|path| line.contains(**path))?;
        Some(format!("'{path}' is a folder of one machine: write it relative to the checkout"))
    })
}

fn each_line(tree: &Tree, rule: impl Fn(&str) -> Option<String>) -> Vec<Complaint> {
    tree.files()
        .flat_map(|file| file.lines().map(move |(number, line)| (file, number, line)))
        .filter_map(|(file, number, line)| Some(Complaint::new(file, number, rule(line)?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of which a rule complains.
    fn lines(rule: fn(&Tree) -> Vec<Complaint>, text: &str) -> Vec<usize> {
        let tree = Tree::of(&[("crates/x/src/lib.rs", text)]);
        rule(&tree).iter().map(|complaint| complaint.line).collect()
    }

    #[test]
    fn a_file_of_801_lines_is_too_long() {
        assert_eq!(lines(files_are_short, &"x\n".repeat(800)), [0; 0]);
        assert_eq!(lines(files_are_short, &"x\n".repeat(801)), [801]);
    }

    #[test]
    fn tabs_are_found() {
        assert_eq!(lines(no_tabs, "fn a() {\n\tb();\n    c();\n}\n"), [2]);
    }

    #[test]
    fn spaces_and_carriage_returns_at_line_ends_are_found() {
        assert_eq!(lines(no_trailing_spaces, "a\nb \n\nc\r\n  \nd"), [2, 4, 5]);
    }

    #[test]
    fn each_leftover_is_found() {
        for word in LEFTOVERS {
            assert_eq!(lines(nothing_left_over, &format!("fine\n    {word}(x);\n")), [2], "{word}");
        }
        assert_eq!(lines(nothing_left_over, "to do = \"deny\"\ndbg_macro = \"deny\"\n"), [0; 0]);
    }

    #[test]
    fn each_machine_path_is_found() {
        for path in MACHINE_PATHS {
            assert_eq!(lines(no_machine_paths, &format!("fine\nopen(\"{path}x\")\n")), [2], "{path}");
        }
        assert_eq!(lines(no_machine_paths, "~/data, ./work, network/x\n"), [0; 0]);
    }
}
