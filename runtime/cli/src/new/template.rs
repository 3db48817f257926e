//! What new projects are made of.

use crate::args::Lang;

macro_rules! files {
    ($($from:literal => $to:literal),* $(,)?) => {
        &[$(($to, include_str!(concat!("../../templates/", $from)))),*]
    };
}

/// A file of a project, and its text with the names of what differs in double braces.
type File = (&'static str, &'static str);

const COMMON: &[File] = files! {
    "common/workflow.toml" => "workflow.toml",
    "common/wflo.toml" => "wflo.toml",
    "common/gitignore" => ".gitignore",
    "common/README.md" => "README.md",
    "common/tests/first.toml" => "tests/first.toml",
};

const RUST: &[File] = files! {
    "rust/Cargo.toml" => "steps/Cargo.toml",
    "rust/src/lib.rs" => "steps/src/lib.rs",
    "rust/src/greeting.rs" => "steps/src/greeting.rs",
};

const JAVASCRIPT: &[File] = files! {
    "javascript/package.json" => "steps/package.json",
    "javascript/steps.js" => "steps/steps.js",
    "javascript/greeting.js" => "steps/greeting.js",
    "javascript/greeting.test.js" => "steps/greeting.test.js",
};

const TYPESCRIPT: &[File] = files! {
    "typescript/package.json" => "steps/package.json",
    "typescript/tsconfig.json" => "steps/tsconfig.json",
    "typescript/steps.ts" => "steps/steps.ts",
    "typescript/greeting.ts" => "steps/greeting.ts",
    "typescript/greeting.test.ts" => "steps/greeting.test.ts",
};

const PYTHON: &[File] = files! {
    "python/requirements.txt" => "steps/requirements.txt",
    "python/steps.py" => "steps/steps.py",
    "python/greeting.py" => "steps/greeting.py",
    "python/test_greeting.py" => "steps/test_greeting.py",
};

const GO: &[File] = files! {
    "go/go.mod" => "steps/go.mod",
    "go/steps.go" => "steps/steps.go",
    "go/greeting.go" => "steps/greeting.go",
    "go/greeting_test.go" => "steps/greeting_test.go",
};

const C: &[File] = files! {
    "c/compile_flags.txt" => "steps/compile_flags.txt",
    "c/Makefile" => "steps/Makefile",
    "c/steps.c" => "steps/steps.c",
    "c/greeting.c" => "steps/greeting.c",
    "c/greeting.h" => "steps/greeting.h",
    "c/test_greeting.c" => "steps/test_greeting.c",
};

/// The files of a project in a language.
pub(super) fn files(lang: Lang) -> impl Iterator<Item = File> {
    let own = match lang {
        Lang::Rust => RUST,
        Lang::Js => JAVASCRIPT,
        Lang::Ts => TYPESCRIPT,
        Lang::Python => PYTHON,
        Lang::Go => GO,
        Lang::C => C,
    };
    COMMON.iter().chain(own).copied()
}

/// Its name, as people write it.
pub(super) const fn language(lang: Lang) -> &'static str {
    match lang {
        Lang::Rust => "Rust",
        Lang::Js => "JavaScript",
        Lang::Ts => "TypeScript",
        Lang::Python => "Python",
        Lang::Go => "Go",
        Lang::C => "C",
    }
}

/// What `wflo build` is told the first time, where tools are of the project.
pub(super) const fn install(lang: Lang) -> &'static str {
    match lang {
        Lang::Rust => "",
        Lang::Js | Lang::Ts | Lang::Python | Lang::Go | Lang::C => " --install",
    }
}

/// What runs the project's tests, in `steps/`.
pub(super) const fn test(lang: Lang) -> &'static str {
    match lang {
        // What a component exports has names that no linker of the machine takes.
        Lang::Rust => "cargo test --lib",
        Lang::Js => "npm test",
        // The bundler drops the types; it does not check them.
        Lang::Ts => "npm run check && npm test",
        Lang::Python => "python3 -m unittest",
        Lang::Go => "go test -v             # or `.venv/bin/go`, where `wflo build --install` got it",
        Lang::C => "make test",
    }
}
