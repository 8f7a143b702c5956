//! The files that rules look at.

use std::fs;
use std::path::Path;

/// Endings of files that people write; everything else is data.
const ENDINGS: [&str; 13] =
    ["rs", "toml", "md", "py", "pyi", "sh", "yml", "yaml", "hex", "js", "css", "html", "service"];
/// Folders below which nothing is written by people.
const FOREIGN_FOLDERS: [&str; 5] = ["target", "corpus", "artifacts", "node_modules", "__pycache__"];
/// Hidden folders that are part of the project.
const HIDDEN_FOLDERS: [&str; 3] = [".ci", ".cargo", ".github"];
/// Folders whose files need no ending to be looked at.
const SCRIPT_FOLDER: &str = ".ci/";

/// A file that somebody wrote.
#[derive(Debug)]
pub(super) struct SourceFile {
    /// From the root, with '/' between folders.
    pub(super) path: String,
    /// What it says.
    pub(super) text: String,
}

impl SourceFile {
    /// Its lines with their numbers, counted from 1.
    pub(super) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        // Not `lines`, which would hide a carriage return.
        self.text.split('\n').enumerate().map(|(index, line)| (index + 1, line))
    }

    /// Whether it is the manifest of a crate that belongs to the workspace.
    pub(super) fn is_member_manifest(&self) -> bool {
        let folders: Vec<_> = self.path.split('/').collect();
        matches!(folders[..], ["crates", _, "Cargo.toml"] | ["xtask" | "python", "Cargo.toml"])
    }
}

/// The files that somebody wrote.
#[derive(Debug)]
pub(super) struct Tree {
    files: Vec<SourceFile>,
}

impl Tree {
    /// Reads the files below a folder.
    ///
    /// # Errors
    /// One line that names the file that cannot be read.
    pub(super) fn read(root: &Path) -> Result<Self, String> {
        let mut files = Vec::new();
        read_folder(root, "", &mut files)?;
        files.sort_unstable_by(|a: &SourceFile, b| a.path.cmp(&b.path));
        Ok(Self { files })
    }

    /// A tree that is not on disk.
    #[cfg(test)]
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        let file = |(path, text): &(&str, &str)| SourceFile { path: (*path).into(), text: (*text).into() };
        Self { files: files.iter().map(file).collect() }
    }

    /// All files, by path.
    pub(super) fn files(&self) -> impl Iterator<Item = &SourceFile> {
        self.files.iter()
    }

    /// The manifests of the crates that belong to the workspace.
    pub(super) fn member_manifests(&self) -> impl Iterator<Item = &SourceFile> {
        self.files().filter(|file| file.is_member_manifest())
    }
}

fn read_folder(folder: &Path, prefix: &str, files: &mut Vec<SourceFile>) -> Result<(), String> {
    let cannot = |error| format!("cannot read '{}': {error}", folder.display());
    for entry in fs::read_dir(folder).map_err(cannot)? {
        let entry = entry.map_err(cannot)?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let path = format!("{prefix}{name}");
        let kind = entry.file_type().map_err(cannot)?;
        if kind.is_dir() && is_ours(&name) {
            read_folder(&entry.path(), &format!("{path}/"), files)?;
        } else if kind.is_file() && is_written(&path) {
            let text =
                fs::read_to_string(entry.path()).map_err(|error| format!("cannot read '{path}': {error}"))?;
            files.push(SourceFile { path, text });
        }
    }
    Ok(())
}

fn is_ours(folder: &str) -> bool {
    if folder.starts_with('.') {
        HIDDEN_FOLDERS.contains(&folder)
    } else {
        !FOREIGN_FOLDERS.contains(&folder)
    }
}

fn is_written(path: &str) -> bool {
    let ending = Path::new(path).extension().and_then(|ending| ending.to_str());
    path.starts_with(SCRIPT_FOLDER) || ending.is_some_and(|ending| ENDINGS.contains(&ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_machines_write_is_left_out() {
        assert!(is_ours("crates") && is_ours(".ci"));
        assert!(!is_ours("target") && !is_ours(".git") && !is_ours(".venv"));
        assert!(is_written("crates/kadmap/src/lib.rs") && is_written(".ci/run"));
        assert!(!is_written("Cargo.lock") && !is_written("docs/ring.png"));
    }
}
