//! The modules of a crate, and what names in them mean.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use syn::{Attribute, Item, UseTree, Visibility};

/// The path of a module within its crate; empty for the crate itself.
pub(crate) type ModulePath = Vec<String>;

/// The source of a crate.
///
/// ```no_run
/// let source = wflo_api::Source::read(std::path::Path::new("runtime/ports"), "wflo_ports").unwrap();
/// assert!(source.surface().iter().any(|line| line.starts_with("pub trait wflo_ports::Clock")));
/// ```
pub struct Source {
    pub(crate) name: String,
    pub(crate) modules: BTreeMap<ModulePath, Module>,
}

/// A module: its items, without the modules in it.
pub(crate) struct Module {
    pub(crate) items: Vec<Item>,
    /// Whether it can be named from where it is declared.
    pub(crate) is_public: bool,
    pub(crate) uses: Vec<Use>,
}

/// One name that a `use` brings in, or all that a module has.
#[derive(Clone, Debug)]
pub(crate) struct Use {
    pub(crate) path: Vec<String>,
    /// The name here; none for a glob.
    pub(crate) name: Option<String>,
    pub(crate) is_public: bool,
}

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Meaning {
    Module(ModulePath),
    /// An item, or several of one name, of a module.
    Item(ModulePath, String),
    /// Something of another crate.
    Elsewhere(String),
}

impl Source {
    /// Reads a crate from its folder. `name` is what it is called in code.
    ///
    /// # Errors
    /// When a file is not there, or is no Rust.
    pub fn read(folder: &Path, name: &str) -> Result<Self> {
        let mut source = Self { name: name.to_owned(), modules: BTreeMap::new() };
        let file = folder.join("src/lib.rs");
        source.file(&file, &folder.join("src"), Vec::new(), true)?;
        Ok(source)
    }

    fn file(&mut self, file: &Path, children: &Path, path: ModulePath, is_public: bool) -> Result<()> {
        let shown = || format!("`{}`", file.display());
        let text = std::fs::read_to_string(file).with_context(shown)?;
        let parsed = syn::parse_file(&text).with_context(shown)?;
        self.module(parsed.items, children, path, is_public)
    }

    fn module(&mut self, all: Vec<Item>, children: &Path, path: ModulePath, is_public: bool) -> Result<()> {
        let (mut items, mut uses) = (Vec::new(), Vec::new());
        for item in all {
            match item {
                Item::Mod(inner) => {
                    if is_only_for_tests(&inner.attrs) || is_hidden(&inner.attrs) {
                        continue;
                    }
                    let name = inner.ident.to_string();
                    let inner_path = [path.as_slice(), std::slice::from_ref(&name)].concat();
                    let is_public = is_pub(&inner.vis);
                    match inner.content {
                        Some((_, items)) => {
                            self.module(items, &children.join(&name), inner_path, is_public)?;
                        }
                        None => {
                            let (file, folder) = file_of(children, &name)?;
                            self.file(&file, &folder, inner_path, is_public)?;
                        }
                    }
                }
                Item::Use(it) => {
                    if !is_hidden(&it.attrs) && !is_only_for_tests(&it.attrs) {
                        flatten(&it.tree, Vec::new(), is_pub(&it.vis), &mut uses);
                    }
                }
                other => items.push(other),
            }
        }
        self.modules.insert(path, Module { items, is_public, uses });
        Ok(())
    }

    /// What a path means in a module: a type, a function and a module may have one name.
    pub(crate) fn resolve(&self, module: &ModulePath, path: &[String]) -> Vec<Meaning> {
        self.resolve_within(module, path, 0)
    }

    fn resolve_within(&self, module: &ModulePath, path: &[String], depth: usize) -> Vec<Meaning> {
        let Some((first, rest)) = path.split_first().filter(|_| depth < 16) else { return Vec::new() };
        let starts = match first.as_str() {
            "crate" => vec![Meaning::Module(Vec::new())],
            "self" => vec![Meaning::Module(module.clone())],
            "super" => vec![Meaning::Module(module[..module.len().saturating_sub(1)].to_vec())],
            name => self.lookup(module, name, depth),
        };
        if starts.is_empty() {
            return vec![Meaning::Elsewhere(path.join("::"))];
        }
        starts.into_iter().flat_map(|start| self.follow(start, rest, depth)).collect()
    }

    fn follow(&self, start: Meaning, rest: &[String], depth: usize) -> Vec<Meaning> {
        match (start, rest) {
            (start, []) => vec![start],
            (Meaning::Module(module), [name, more @ ..]) => {
                let found = match name.as_str() {
                    "super" => vec![Meaning::Module(module[..module.len().saturating_sub(1)].to_vec())],
                    name => self.lookup(&module, name, depth + 1),
                };
                let found = match found.is_empty() {
                    // A macro makes it, or will not have it.
                    true if more.is_empty() => vec![Meaning::Item(module, name.clone())],
                    _ => found,
                };
                found.into_iter().flat_map(|found| self.follow(found, more, depth + 1)).collect()
            }
            (Meaning::Elsewhere(path), rest) => {
                vec![Meaning::Elsewhere(format!("{path}::{}", rest.join("::")))]
            }
            // A variant, or an associated item.
            (Meaning::Item(..), _) => Vec::new(),
        }
    }

    /// What a name in a module means; nothing if it has none.
    fn lookup(&self, module: &ModulePath, name: &str, depth: usize) -> Vec<Meaning> {
        let mut found = Vec::new();
        let Some(here) = self.modules.get(module).filter(|_| depth < 16) else { return found };
        let child = [module.as_slice(), &[name.to_owned()]].concat();
        if self.modules.contains_key(&child) {
            found.push(Meaning::Module(child));
        }
        if here.items.iter().any(|item| name_of(item).is_some_and(|ident| ident == name)) {
            found.push(Meaning::Item(module.clone(), name.to_owned()));
        }
        for used in here.uses.iter().filter(|used| used.name.as_deref() == Some(name)) {
            // `use db::db` in the module that has `db` is not about itself.
            let found_there = self.resolve_within(module, &used.path, depth + 1);
            found.extend(
                found_there.into_iter().filter(|it| !matches!(it, Meaning::Module(path) if path == module)),
            );
        }
        if found.is_empty() {
            for glob in here.uses.iter().filter(|used| used.name.is_none()) {
                for meaning in self.resolve_within(module, &glob.path, depth + 1) {
                    if let Meaning::Module(of) = meaning
                        && of != *module
                    {
                        found.extend(self.lookup(&of, name, depth + 1));
                    }
                }
            }
        }
        found.sort();
        found.dedup();
        found
    }
}

/// The name of an item that has one.
pub(crate) fn name_of(item: &Item) -> Option<&syn::Ident> {
    match item {
        Item::Const(it) => Some(&it.ident),
        Item::Enum(it) => Some(&it.ident),
        Item::Fn(it) => Some(&it.sig.ident),
        Item::Macro(it) => it.ident.as_ref(),
        Item::Static(it) => Some(&it.ident),
        Item::Struct(it) => Some(&it.ident),
        Item::Trait(it) => Some(&it.ident),
        Item::Type(it) => Some(&it.ident),
        Item::Union(it) => Some(&it.ident),
        _ => None,
    }
}

/// The file of a module that is declared in a folder's file, and the folder of its own modules.
fn file_of(folder: &Path, name: &str) -> Result<(PathBuf, PathBuf)> {
    let (flat, own) = (folder.join(format!("{name}.rs")), folder.join(name));
    if flat.is_file() {
        return Ok((flat, own));
    }
    let nested = own.join("mod.rs");
    if nested.is_file() {
        return Ok((nested, own));
    }
    bail!("there is neither `{}` nor `{}`", flat.display(), nested.display())
}

fn flatten(tree: &UseTree, path: Vec<String>, is_public: bool, uses: &mut Vec<Use>) {
    let with = |name: String| [path.as_slice(), &[name]].concat();
    match tree {
        UseTree::Path(it) => flatten(&it.tree, with(it.ident.to_string()), is_public, uses),
        UseTree::Group(it) => it.items.iter().for_each(|tree| flatten(tree, path.clone(), is_public, uses)),
        UseTree::Glob(_) => uses.push(Use { path, name: None, is_public }),
        UseTree::Name(it) if it.ident == "self" => {
            let name = path.last().cloned();
            uses.push(Use { path, name, is_public });
        }
        UseTree::Name(it) => {
            let name = it.ident.to_string();
            uses.push(Use { path: with(name.clone()), name: Some(name), is_public });
        }
        UseTree::Rename(it) => {
            let name = Some(it.rename.to_string());
            let path = if it.ident == "self" { path } else { with(it.ident.to_string()) };
            uses.push(Use { path, name, is_public });
        }
    }
}

pub(crate) const fn is_pub(vis: &Visibility) -> bool {
    matches!(vis, Visibility::Public(_))
}

pub(crate) fn is_hidden(attrs: &[Attribute]) -> bool {
    has(attrs, "doc", "hidden")
}

fn is_only_for_tests(attrs: &[Attribute]) -> bool {
    has(attrs, "cfg", "test")
}

/// Whether an attribute in brackets has just that word.
fn has(attrs: &[Attribute], name: &str, word: &str) -> bool {
    attrs.iter().any(|attr| match &attr.meta {
        syn::Meta::List(list) => attr.path().is_ident(name) && list.tokens.to_string() == word,
        _ => false,
    })
}
