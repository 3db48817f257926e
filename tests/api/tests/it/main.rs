//! What our libraries offer to others is what was agreed on.
//!
//! `snapshots` has a file for each, a line an item. Whoever changes one sees here what that means to those who use it;
//! `WFLO_BLESS=1` writes the files anew.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use wflo_api::Source;

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn holds(folder: &str, name: &str) {
    let root = here().join("../..");
    let source =
        Source::read(&root.join(folder), &name.replace('-', "_")).unwrap_or_else(|error| panic!("{error:#}"));
    let surface: BTreeSet<String> = source.surface().into_iter().collect();
    assert!(surface.len() > 20, "`{name}` has next to nothing: {surface:?}");
    let file = here().join("snapshots").join(format!("{name}.txt"));
    if std::env::var_os("WFLO_BLESS").is_some() {
        let text: Vec<&str> = surface.iter().map(String::as_str).collect();
        std::fs::write(&file, format!("{}\n", text.join("\n"))).expect("the snapshot is written");
        return;
    }
    let agreed = std::fs::read_to_string(&file).unwrap_or_default();
    let agreed: BTreeSet<String> = agreed.lines().map(str::to_owned).collect();
    let gone = agreed.difference(&surface).map(|line| format!("- {line}"));
    let new = surface.difference(&agreed).map(|line| format!("+ {line}"));
    let changed: Vec<_> = gone.chain(new).collect();
    assert!(
        changed.is_empty(),
        "what `{name}` offers to others has changed:\n{}\nif it is meant, `WFLO_BLESS=1 cargo test -p wflo-api` writes it down",
        changed.join("\n")
    );
}

#[test]
fn wflo() {
    holds("runtime/wflo", "wflo");
}

#[test]
fn wflo_model() {
    holds("runtime/model", "wflo-model");
}

#[test]
fn wflo_ports() {
    holds("runtime/ports", "wflo-ports");
}

#[test]
fn wflo_manifest() {
    holds("runtime/manifest", "wflo-manifest");
}

#[test]
fn wflo_journal() {
    holds("runtime/journal", "wflo-journal");
}

#[test]
fn wflo_sandbox() {
    holds("runtime/sandbox", "wflo-sandbox");
}

#[test]
fn wflo_backends() {
    holds("runtime/backends", "wflo-backends");
}

#[test]
fn wflo_host_api() {
    holds("host-api", "wflo-host-api");
}

#[test]
fn wflo_sdk() {
    holds("guest-sdk/rust", "wflo-sdk");
}

/// What the SDK is made of comes with it: from a registry there is no `wit/` beside it.
#[test]
fn the_sdk_is_whole_as_a_package() {
    let folder = here().join("../../guest-sdk/rust");
    let listed = std::process::Command::new(env!("CARGO"))
        .args(["package", "--list", "--allow-dirty", "--offline"])
        .current_dir(&folder)
        .output()
        .expect("cargo starts");
    let files = String::from_utf8_lossy(&listed.stdout);
    let said = String::from_utf8_lossy(&listed.stderr);
    let bindings = std::fs::read_to_string(folder.join("src/bindings.rs")).expect("the bindings");
    let paths: Vec<_> =
        bindings.lines().filter_map(|line| line.trim().strip_prefix('"')?.strip_suffix("\",")).collect();
    assert!(paths.len() > 10, "{paths:?}");
    for path in paths {
        assert!(
            files.lines().any(|file| file.starts_with(&format!("{path}/"))),
            "no `{path}` in\n{files}{said}"
        );
    }
}

/// What a crate of a few files offers.
fn small(lib: &str, files: &[(&str, &str)]) -> Vec<String> {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("api-{}-{number}", std::process::id()));
    for (name, text) in [("lib.rs", lib)].iter().chain(files) {
        let file = folder.join("src").join(name);
        std::fs::create_dir_all(file.parent().expect("it is in a folder")).expect("a folder");
        std::fs::write(&file, text).expect("a file");
    }
    let surface = Source::read(&folder, "small").unwrap_or_else(|error| panic!("{error:#}")).surface();
    std::fs::remove_dir_all(&folder).expect("it was made here");
    surface
}

#[test]
fn what_is_public_is_listed_where_it_can_be_named_and_nothing_else() {
    let lib = r#"
        mod hidden; pub mod open;
        pub use hidden::{One, Two as Second, free};
        pub use open::Asks as Again;
        mod all { pub struct Globbed; }
        pub use all::*;
        pub use other_crate::Thing;
        struct Own;
        pub(crate) fn inner() {}
        #[cfg(test)] mod tests { pub fn not_this() {} }
        #[doc(hidden)] pub mod __rt { pub fn nor_this() {} }
    "#;
    let hidden = r#"
        #[derive(Clone, Debug)] #[non_exhaustive]
        pub struct One { pub a: u8, b: u8 }
        pub enum Two { A, B(u8), C { c: String } }
        pub struct Unseen;
        pub fn free<T: Into<String>>(it: &T) -> Option<u8> where T: Clone { None }
        impl One { #[must_use] pub const fn a(&self) -> u8 { self.a } fn b(&self) -> u8 { self.b } }
        mod more { use super::One; impl From<u8> for One { fn from(a: u8) -> Self { Self { a, b: 0 } } } }
    "#;
    let open = "pub trait Asks: Send { type Out; fn ask(&self) -> u8; fn more(&self) -> u8 { 1 } }";
    let surface = small(lib, &[("hidden.rs", hidden), ("open/mod.rs", open)]);
    let expected = [
        "impl Clone for small::One",
        "impl Debug for small::One",
        "impl From<u8> for small::One",
        "pub const fn small::One::a(&self) -> u8 #[must_use]",
        "pub enum small::Second",
        "pub fn small::free<T: Into<String>>(it: &T) -> Option<u8> where T: Clone",
        "pub fn small::open::Asks::ask(&self) -> u8",
        "pub fn small::open::Asks::more(&self) -> u8 { .. }",
        "pub mod small::open",
        "pub small::One::a: u8",
        "pub small::Second::A",
        "pub small::Second::B",
        "pub small::Second::B::0: u8",
        "pub small::Second::C",
        "pub small::Second::C::c: String",
        "pub struct small::Globbed",
        "pub struct small::One #[non_exhaustive]",
        "pub trait small::open::Asks: Send",
        "pub type small::open::Asks::Out",
        "pub use small::Again = small::open::Asks",
        "pub use small::Thing = other_crate::Thing",
    ];
    assert_eq!(surface, expected, "{surface:#?}");
}

#[test]
fn what_a_macro_makes_is_listed_by_the_macro() {
    let names = r#"
        macro_rules! names { ($($name:ident),*) => { $(
            #[derive(Clone)] pub struct $name(String);
            impl $name { pub fn as_str(&self) -> &str { &self.0 } }
        )* } }
        names!(Label);
    "#;
    let surface = small("mod names; pub use names::Label;", &[("names.rs", names)]);
    assert_eq!(
        surface,
        [
            "macro names! of names makes impl $name",
            "macro names! of names makes pub fn as_str(&self) -> &str",
            "macro names! of names makes pub struct $name(String)",
            "pub small::Label, made by a macro",
        ]
    );
}
