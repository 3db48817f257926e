//! Makes components of the core modules in `tests/programs/wat`: what no compiler would emit.
//!
//! A file is the inside of a module in text form. A first line of `;;` says what is evil about it; a line
//! `;;! import NAME;` has its world import that interface; `;;! component` says that the text is a whole component
//! and no module. What every module of a step needs and the file does not bring is added: memory, an allocator that
//! never frees, and functions that do nothing.

use std::path::{Path, PathBuf};

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// What is exported, and how it looks where a file has nothing to say about it.
const DEFAULTS: &[(&str, &str)] = &[
    ("\"memory\"", r#"(memory (export "memory") 2)"#),
    (
        "\"cabi_realloc\"",
        r#"(global $free (mut i32) (i32.const 65536))
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
            (global.set $free (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
            (global.get $free)
            (global.set $free (i32.add (global.get $free) (local.get 3))))"#,
    ),
    (
        "handler@0.1.0#describe\"",
        r#"(func (export "wflo:step/handler@0.1.0#describe") (result i32) (i32.const 512))"#,
    ),
    (
        "\"wflo:step/handler@0.1.0#run\"",
        r#"(data (i32.const 600) "null")
        (func (export "wflo:step/handler@0.1.0#run") (param i32 i32) (result i32)
            (i32.store8 (i32.const 512) (i32.const 0))
            (i32.store (i32.const 516) (i32.const 600))
            (i32.store (i32.const 520) (i32.const 4))
            (i32.const 512))"#,
    ),
    (
        "handler@0.1.0#compensate\"",
        r#"(func (export "wflo:step/handler@0.1.0#compensate")
            (param i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) (i32.const 512))"#,
    ),
];

/// Interfaces that are not in `wit/`.
const STRANGERS: &str = r"
    package wasi:cli@0.2.12 {
        interface stdout {
            use wasi:io/streams@0.2.12.{output-stream};
            get-stdout: func() -> output-stream;
        }
    }
    package evil:corp { interface spy { tell: func(secret: string); } }
";

/// The files, by name, in order.
pub(crate) fn names() -> Vec<String> {
    let entries = folder().read_dir().expect("the folder is there");
    let mut names: Vec<_> = entries
        .map(|entry| entry.expect("an entry of the folder").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "wat"))
        .map(|path| path.file_stem().expect("a file has a name").to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// The component of a file.
pub(crate) fn component(name: &str) -> Vec<u8> {
    let path = folder().join(format!("{name}.wat"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("`{}`: {error}", path.display()));
    let orders = || text.lines().filter_map(|line| line.strip_prefix(";;! "));
    if orders().any(|order| order == "component") {
        return wat::parse_str(&text).unwrap_or_else(|error| panic!("`{name}`: {error}"));
    }
    let added: Vec<&str> =
        DEFAULTS.iter().filter(|(export, _)| !text.contains(export)).map(|(_, text)| *text).collect();
    let module = format!("(module\n{text}\n{})", added.join("\n"));
    let mut module = wat::parse_str(module).unwrap_or_else(|error| panic!("`{name}`: {error}"));

    let imports: String = orders().collect();
    let world = format!(
        "package test:forge; {STRANGERS} world forge {{ {imports} export wflo:step/handler@0.1.0; }}"
    );
    let mut resolve = Resolve::default();
    for package in ["deps/logging", "deps/io", "deps/clocks", "step"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit").join(package);
        resolve.push_path(path).unwrap_or_else(|error| panic!("`{package}`: {error:#}"));
    }
    let package = resolve.push_str("forge.wit", &world).unwrap_or_else(|error| panic!("`{name}`: {error:#}"));
    let world = resolve.select_world(&[package], Some("forge")).expect("the package has that world");
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)
        .expect("the world has a form");
    let encoder = ComponentEncoder::default().validate(false).module(&module);
    encoder.and_then(|mut encoder| encoder.encode()).unwrap_or_else(|error| panic!("`{name}`: {error:#}"))
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/programs/wat")
}
