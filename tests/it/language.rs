//! The languages that steps are written in, and where their tools are.
//!
//! The tools of a language are in its folder of `tests/conformance`, where `cargo xtask test` has them installed. Where
//! they cannot be had it says so, and sets a variable such as `WFLO_TEST_PYTHON` to `none`.

use std::path::{Path, PathBuf};

use crate::harness::root;

/// A language, and where its tools are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    Rust,
    JavaScript,
    Python,
    Go,
    C,
}

impl Language {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::JavaScript => "javascript",
            Self::Python => "python",
            Self::Go => "go",
            Self::C => "c",
        }
    }

    pub(crate) fn folder(self) -> PathBuf {
        conformance().join(self.name())
    }

    /// What holds what a project is built with: for Rust the libraries, compiled, and else the tools.
    pub(crate) const fn tools(self) -> &'static str {
        match self {
            Self::Rust => "target",
            Self::JavaScript => "node_modules",
            Self::Python | Self::Go | Self::C => ".venv",
        }
    }

    /// Whether its tools are here; a failure of the test if they should be.
    pub(crate) fn is_here(self) -> bool {
        if self == Self::Rust {
            return true;
        }
        let variable = format!("WFLO_TEST_{}", self.name().to_uppercase());
        #[expect(clippy::disallowed_methods, reason = "`cargo xtask test` says so by the environment")]
        let is_none = std::env::var(&variable).is_ok_and(|value| value == "none");
        if is_none {
            return false;
        }
        let tools = self.folder().join(self.tools());
        assert!(
            tools.is_dir(),
            "`{}` is not there: run `cargo xtask test`, or set {variable}=none",
            tools.display()
        );
        true
    }

    /// Lends the tools to a project's steps, so that nothing is installed twice.
    pub(crate) fn lend(self, steps: &Path) {
        let tools = self.folder().join(self.tools());
        std::fs::create_dir_all(&tools).expect("a folder for what is compiled");
        std::os::unix::fs::symlink(tools, steps.join(self.tools())).expect("a link to the tools");
    }
}

/// Where many tests run at once, Python's ten seconds of compiling may take minutes.
pub(crate) fn be_patient(deployment: &Path) {
    let text = std::fs::read_to_string(deployment).expect("a deployment");
    std::fs::write(deployment, format!("{text}\n[sandbox]\ncompile_seconds = 600\n")).expect("a deployment");
}

pub(crate) fn conformance() -> PathBuf {
    root().join("tests/conformance")
}
