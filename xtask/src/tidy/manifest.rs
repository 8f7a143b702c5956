//! The little of a Cargo manifest that rules need.

use super::SourceFile;

/// A dependency that a manifest names.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Dependency {
    /// The package, even if it is renamed.
    pub(super) package: String,
    /// The line that names it.
    pub(super) line: usize,
    /// What is said of it: version, path, features.
    pub(super) details: String,
}

impl Dependency {
    /// Whether it asks for a feature.
    pub(super) fn has_feature(&self, feature: &str) -> bool {
        let features = self.details.split_once("features").map_or("", |(_, after)| after);
        features.split(']').next().is_some_and(|list| list.contains(&format!("\"{feature}\"")))
    }
}

/// The lines of each table, with their numbers: `[a.b]` is told as `a.b`.
fn tables(manifest: &SourceFile) -> Vec<(String, Vec<(usize, String)>)> {
    let mut tables = vec![(String::new(), Vec::new())];
    for (number, line) in manifest.lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            // An array that is spread over lines has brackets too, but no table is called like its items.
            tables.push((name.to_owned(), Vec::new()));
        } else if let Some((_, lines)) = tables.last_mut() {
            lines.push((number, line.to_owned()));
        }
    }
    tables
}

/// Whether a table says `key = value`.
pub(super) fn says(manifest: &SourceFile, table: &str, key: &str, value: &str) -> bool {
    let said = |line: &str| line.split_once('=').is_some_and(|(k, v)| k.trim() == key && v.trim() == value);
    tables(manifest).iter().any(|(name, lines)| name == table && lines.iter().any(|(_, line)| said(line)))
}

/// All dependencies: of the crate, its tests and its build script, for every target.
pub(super) fn dependencies(manifest: &SourceFile) -> Vec<Dependency> {
    let mut found = Vec::new();
    for (table, lines) in tables(manifest) {
        let Some((_, after)) = table.rsplit_once("dependencies") else { continue };
        match after.strip_prefix('.') {
            // [dependencies.name]: the whole table is about one.
            Some(name) => {
                let details = lines.iter().map(|(_, line)| line.as_str()).collect::<Vec<_>>().join("\n");
                let line = lines.first().map_or(1, |(number, _)| number - 1);
                found.push(dependency(name, line, details));
            }
            None => found.extend(entries(&lines)),
        }
    }
    found
}

/// The entries of a table of dependencies; a list of features may take several lines.
fn entries(lines: &[(usize, String)]) -> Vec<Dependency> {
    let mut found: Vec<Dependency> = Vec::new();
    let mut open = 0;
    for (number, line) in lines.iter().filter(|(_, line)| !line.is_empty()) {
        match (open, line.split_once('=')) {
            (0, Some((key, details))) => {
                let name = key.trim().split('.').next().unwrap_or_default();
                found.push(dependency(name, *number, details.trim().to_owned()));
            }
            _ => {
                if let Some(last) = found.last_mut() {
                    last.details.push_str(line);
                }
            }
        }
        let count = |c: &[char]| line.matches(c).count();
        open = (open + count(&['[', '{'])).saturating_sub(count(&[']', '}']));
    }
    found
}

fn dependency(name: &str, line: usize, details: String) -> Dependency {
    let renamed = details.split(['{', ',', '\n']).find_map(|part| {
        let (key, value) = part.split_once('=')?;
        (key.trim() == "package").then(|| value.trim().trim_matches(['"', '}', ' ']).to_owned())
    });
    let package = renamed.unwrap_or_else(|| name.trim_matches('"').to_owned());
    Dependency { package, line, details }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(text: &str) -> SourceFile {
        SourceFile { path: "crates/x/Cargo.toml".into(), text: text.into() }
    }

    #[test]
    fn dependencies_are_found_in_every_form() {
        let text = "[package]\nname = \"x\"\n[dependencies]\na.workspace = true # why\nb = \"1\"\n\
            c = { version = \"1\", package = \"real-c\" }\n\
            d = { version = \"1\", features = [\n  \"one\",\n  \"two\",\n] }\n\
            [dev-dependencies]\ne = { workspace = true }\n\
            [target.'cfg(unix)'.dependencies]\nf.workspace = true\n\
            [build-dependencies.g]\nversion = \"1\"\n[lints]\nworkspace = true\n";
        let found = dependencies(&manifest(text));
        let names: Vec<_> = found.iter().map(|dependency| dependency.package.as_str()).collect();
        assert_eq!(names, ["a", "b", "real-c", "d", "e", "f", "g"]);
        assert_eq!(found[0].line, 4);
        assert!(
            found[3].has_feature("two") && !found[3].has_feature("three") && !found[1].has_feature("one")
        );
    }

    #[test]
    fn tables_say_what_they_say() {
        let text = "[package]\nname = \"x\"\n\n[lints]\nworkspace = true\n";
        assert!(says(&manifest(text), "lints", "workspace", "true"));
        assert!(!says(&manifest(text), "package", "workspace", "true"));
    }
}
