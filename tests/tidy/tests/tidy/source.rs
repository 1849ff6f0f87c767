//! The Rust files of the project, each split into its production part and its inline tests.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Folders with code of ours.
const ROOTS: &[&str] = &["proto", "gateway", "providers", "deploy", "tests"];

/// The folder of the workspace.
pub(crate) fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// The text of a file, named from the folder of the workspace.
pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(workspace().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every file with this name or ending below the folders with code, as paths from the workspace.
pub(crate) fn files(ending: &str) -> Vec<String> {
    let workspace = workspace();
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = ROOTS
        .iter()
        .map(|root| workspace.join(root))
        .filter(|root| root.is_dir())
        .collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                if !path.ends_with("target") && !path.ends_with("node_modules") {
                    folders.push(path);
                }
            } else if path.to_str().is_some_and(|name| name.ends_with(ending)) {
                found.push(
                    path.strip_prefix(&workspace)
                        .unwrap()
                        .to_str()
                        .unwrap()
                        .to_owned(),
                );
            }
        }
    }
    found.sort();
    found
}

/// A Rust file.
pub(crate) struct Source {
    /// Path from the folder of the workspace.
    pub(crate) path: String,
    /// All of it.
    pub(crate) text: String,
}

impl Source {
    /// Every Rust file of the project.
    pub(crate) fn all() -> Vec<Self> {
        files(".rs")
            .into_iter()
            .map(|path| Self {
                text: read(&path),
                path,
            })
            .collect()
    }

    /// Lines before the first `#[cfg(test)]`.
    pub(crate) fn production_lines(&self) -> usize {
        self.text
            .lines()
            .take_while(|line| line.trim() != "#[cfg(test)]")
            .count()
    }

    /// Lines from there to the end.
    pub(crate) fn test_lines(&self) -> usize {
        self.text.lines().count() - self.production_lines()
    }

    /// The name without folders.
    pub(crate) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// Whether nothing of it reaches a caller: a test crate, or a file of tests.
    pub(crate) fn is_test(&self) -> bool {
        self.path.starts_with("tests/") || self.holds_tests_only()
    }

    /// Whether it stands in a crate's `tests` folder, or holds the tests of the file beside it.
    pub(crate) fn holds_tests_only(&self) -> bool {
        let name = self.name();
        name == "tests.rs" || name.ends_with("_tests.rs") || self.path.contains("/tests/")
    }
}
