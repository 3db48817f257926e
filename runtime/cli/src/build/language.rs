//! What steps are written in.

use std::path::Path;

/// A language that `wflo build` knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    Rust,
    JavaScript,
    TypeScript,
    Python,
    Go,
    C,
}

impl Language {
    /// The language of the steps in a folder, by the files that its own tools look for.
    pub(super) fn of(folder: &Path) -> Option<Self> {
        let has = |file: &str| folder.join(file).is_file();
        if has("Cargo.toml") {
            Some(Self::Rust)
        } else if has("package.json") {
            Some(if has("tsconfig.json") { Self::TypeScript } else { Self::JavaScript })
        } else if has("go.mod") {
            Some(Self::Go)
        } else if has(super::c::MARK) {
            Some(Self::C)
        } else if has("requirements.txt") || has("pyproject.toml") {
            Some(Self::Python)
        } else {
            None
        }
    }

    /// Its name, as people write it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Rust => "Rust",
            Self::JavaScript => "JavaScript",
            Self::TypeScript => "TypeScript",
            Self::Python => "Python",
            Self::Go => "Go",
            Self::C => "C",
        }
    }
}
