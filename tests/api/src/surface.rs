//! Every public item at every path at which it can be named.

use std::collections::BTreeSet;

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Attribute, Fields, ImplItem, Item, ItemImpl, ReturnType, Signature, TraitItem, Type};

use crate::source::{Meaning, ModulePath, Source, is_hidden, is_pub, name_of};
use crate::tidy::{text, tidy};

impl Source {
    /// What the crate offers, a line an item, in the order of the alphabet.
    #[must_use]
    pub fn surface(&self) -> Vec<String> {
        let mut surface = Surface { source: self, lines: BTreeSet::new(), seen: BTreeSet::new() };
        surface.module(&Vec::new(), &self.name);
        surface.lines.into_iter().collect()
    }
}

struct Surface<'a> {
    source: &'a Source,
    lines: BTreeSet<String>,
    /// Modules and items that are listed at a path already.
    seen: BTreeSet<(Meaning, String)>,
}

impl Surface<'_> {
    fn line(&mut self, line: String) {
        self.lines.insert(line);
    }

    /// Lists what a module offers, as seen at a path.
    fn module(&mut self, module: &ModulePath, at: &str) {
        if !self.seen.insert((Meaning::Module(module.clone()), at.to_owned())) {
            return;
        }
        let Some(here) = self.source.modules.get(module) else { return };
        let names = here.items.iter().filter(|item| is_offered(item)).filter_map(name_of);
        let names: BTreeSet<String> = names.map(ToString::to_string).collect();
        for name in names {
            self.item(module, &name, &format!("{at}::{name}"));
        }
        // A macro that is exported is at the root of the crate, wherever it stands.
        if module.is_empty() {
            self.macros(at);
        }
        for (path, child) in &self.source.modules {
            if path.len() == module.len() + 1 && path.starts_with(module) && child.is_public {
                let at = format!("{at}::{}", path.last().map_or("", String::as_str));
                self.line(format!("pub mod {at}"));
                self.module(path, &at);
            }
        }
        for used in here.uses.iter().filter(|used| used.is_public) {
            for meaning in self.source.resolve(module, &used.path) {
                match (&used.name, meaning) {
                    (None, Meaning::Module(of)) => self.module(&of, at),
                    (Some(name), Meaning::Module(of)) => {
                        // A module that is private where it stands is no more public for a name that it shares.
                        if let Some(known) = self.public_path(&of) {
                            self.line(format!("pub use {at}::{name} = {known}"));
                        }
                    }
                    (Some(name), Meaning::Item(of, item)) => {
                        let at = format!("{at}::{name}");
                        match self.public_path(&of).filter(|known| format!("{known}::{item}") != at) {
                            Some(known) => self.line(format!("pub use {at} = {known}::{item}")),
                            None => self.item(&of, &item, &at),
                        }
                    }
                    (name, Meaning::Elsewhere(path)) => {
                        let name = name.as_deref().unwrap_or("*");
                        self.line(format!("pub use {at}::{name} = {path}"));
                    }
                    (None, Meaning::Item(..)) => {}
                }
            }
        }
    }

    /// Where a module can be named by others, if it can.
    fn public_path(&self, module: &ModulePath) -> Option<String> {
        let mut steps = (1..=module.len()).map(|upto| self.source.modules.get(&module[..upto]));
        let is_public = steps.all(|step| step.is_some_and(|step| step.is_public));
        let path = std::iter::once(&self.source.name).chain(module);
        is_public.then(|| path.cloned().collect::<Vec<_>>().join("::"))
    }

    fn macros(&mut self, at: &str) {
        for module in self.source.modules.values() {
            for item in &module.items {
                if let Item::Macro(it) = item
                    && it.attrs.iter().any(|attr| attr.path().is_ident("macro_export"))
                    && !is_hidden(&it.attrs)
                    && let Some(name) = &it.ident
                {
                    self.line(format!("macro {at}::{name}!"));
                }
            }
        }
    }

    /// Lists the items of one name of a module, as seen at a path.
    fn item(&mut self, module: &ModulePath, name: &str, at: &str) {
        if !self.seen.insert((Meaning::Item(module.clone(), name.to_owned()), at.to_owned())) {
            return;
        }
        let Some(here) = self.source.modules.get(module) else { return };
        let of_name = |item: &&Item| name_of(item).is_some_and(|ident| ident == name);
        let items: Vec<&Item> = here.items.iter().filter(of_name).collect();
        if items.is_empty() {
            self.made_by_macros(module, at);
        }
        for item in items {
            self.one(item, at);
            if matches!(item, Item::Struct(_) | Item::Enum(_) | Item::Union(_)) {
                self.impls(module, name, at);
            }
        }
    }

    fn one(&mut self, item: &Item, at: &str) {
        match item {
            Item::Const(it) => self.line(format!("pub const {at}: {}", tidy(&it.ty))),
            Item::Static(it) => self.line(format!("pub static {at}: {}", tidy(&it.ty))),
            Item::Fn(it) => self.line(format!("pub {}", signature(&it.sig, at))),
            Item::Type(it) => {
                self.line(format!("pub type {at}{} = {}", tidy(&it.generics), tidy(&it.ty)));
            }
            Item::Struct(it) => {
                self.line(format!("pub struct {at}{}{}", tidy(&it.generics), marks(&it.attrs)));
                self.fields(&it.fields, at, false);
                self.derived(&it.attrs, at);
            }
            Item::Enum(it) => {
                self.line(format!("pub enum {at}{}{}", tidy(&it.generics), marks(&it.attrs)));
                for variant in it.variants.iter().filter(|variant| !is_hidden(&variant.attrs)) {
                    let at = format!("{at}::{}", variant.ident);
                    self.line(format!("pub {at}{}", marks(&variant.attrs)));
                    self.fields(&variant.fields, &at, true);
                }
                self.derived(&it.attrs, at);
            }
            Item::Trait(it) => {
                let bounds = if it.supertraits.is_empty() { "" } else { ": " };
                let (generics, supertraits) = (tidy(&it.generics), tidy(&it.supertraits));
                self.line(format!("pub trait {at}{generics}{bounds}{supertraits}"));
                it.items.iter().for_each(|item| self.of_trait(item, at));
            }
            _ => {}
        }
    }

    fn fields(&mut self, fields: &Fields, at: &str, all: bool) {
        for (number, field) in fields.iter().enumerate() {
            if (all || is_pub(&field.vis)) && !is_hidden(&field.attrs) {
                let name = field.ident.as_ref().map_or_else(|| number.to_string(), ToString::to_string);
                self.line(format!("pub {at}::{name}: {}", tidy(&field.ty)));
            }
        }
    }

    fn derived(&mut self, attrs: &[Attribute], at: &str) {
        for attr in attrs.iter().filter(|attr| attr.path().is_ident("derive")) {
            let syn::Meta::List(list) = &attr.meta else { continue };
            for name in list.tokens.to_string().split(',') {
                let name = text(name);
                if !name.is_empty() {
                    self.line(format!("impl {} for {at}", name.rsplit("::").next().unwrap_or(&name)));
                }
            }
        }
    }

    fn of_trait(&mut self, item: &TraitItem, at: &str) {
        match item {
            TraitItem::Fn(it) if !is_hidden(&it.attrs) => {
                let at = format!("{at}::{}", it.sig.ident);
                let may = if it.default.is_some() { " { .. }" } else { "" };
                self.line(format!("pub {}{may}", signature(&it.sig, &at)));
            }
            TraitItem::Const(it) => self.line(format!("pub const {at}::{}: {}", it.ident, tidy(&it.ty))),
            TraitItem::Type(it) => {
                let bounds = if it.bounds.is_empty() { "" } else { ": " };
                self.line(format!("pub type {at}::{}{bounds}{}", it.ident, tidy(&it.bounds)));
            }
            _ => {}
        }
    }

    /// Lists what is implemented for a type, wherever in the crate.
    fn impls(&mut self, module: &ModulePath, name: &str, at: &str) {
        let meant = Meaning::Item(module.clone(), name.to_owned());
        let source = self.source;
        for (path, other) in &source.modules {
            for item in &other.items {
                if let Item::Impl(it) = item
                    && let Some(target) = target(it)
                    && source.resolve(path, &target).contains(&meant)
                {
                    self.implementation(it, at);
                }
            }
        }
    }

    fn implementation(&mut self, it: &ItemImpl, at: &str) {
        if let Some((not, of, _)) = &it.trait_ {
            let not = if not.is_some() { "!" } else { "" };
            let generics = tidy(&it.generics.params);
            let generics = if generics.is_empty() { generics } else { format!("<{generics}>") };
            return self.line(format!("impl{generics} {not}{} for {at}", tidy(of)));
        }
        for item in &it.items {
            match item {
                ImplItem::Fn(it) if is_pub(&it.vis) && !is_hidden(&it.attrs) => {
                    let at = format!("{at}::{}", it.sig.ident);
                    self.line(format!("pub {}{}", signature(&it.sig, &at), marks(&it.attrs)));
                }
                ImplItem::Const(it) if is_pub(&it.vis) => {
                    self.line(format!("pub const {at}::{}: {}", it.ident, tidy(&it.ty)));
                }
                _ => {}
            }
        }
    }

    /// Lists a name that no item has: a macro of the module makes it, and what else it makes is in the macro.
    fn made_by_macros(&mut self, module: &ModulePath, at: &str) {
        self.line(format!("pub {at}, made by a macro"));
        let Some(here) = self.source.modules.get(module) else { return };
        let within = module.join("::");
        for item in &here.items {
            let Item::Macro(it) = item else { continue };
            if let Some(name) = &it.ident {
                let mut heads = Vec::new();
                heads_of(it.mac.tokens.clone(), &mut heads);
                for head in heads {
                    self.line(format!("macro {name}! of {within} makes {head}"));
                }
            }
        }
    }
}

/// Whether others can name an item where it stands.
fn is_offered(item: &Item) -> bool {
    let (vis, attrs) = match item {
        Item::Const(it) => (&it.vis, &it.attrs),
        Item::Enum(it) => (&it.vis, &it.attrs),
        Item::Fn(it) => (&it.vis, &it.attrs),
        Item::Static(it) => (&it.vis, &it.attrs),
        Item::Struct(it) => (&it.vis, &it.attrs),
        Item::Trait(it) => (&it.vis, &it.attrs),
        Item::Type(it) => (&it.vis, &it.attrs),
        Item::Union(it) => (&it.vis, &it.attrs),
        _ => return false,
    };
    is_pub(vis) && !is_hidden(attrs)
}

/// The path of the type that something is implemented for; none for a reference, a tuple, ...
fn target(it: &ItemImpl) -> Option<Vec<String>> {
    let mut of = &*it.self_ty;
    while let Type::Paren(inner) = of {
        of = &inner.elem;
    }
    let Type::Path(path) = of else { return None };
    Some(path.path.segments.iter().map(|segment| segment.ident.to_string()).collect())
}

/// A signature with the whole path in the place of its name.
fn signature(signature: &Signature, at: &str) -> String {
    let mut of = signature.clone();
    of.generics.where_clause = None;
    let mut head = String::new();
    for (is, word) in [
        (of.constness.is_some(), "const "),
        (of.asyncness.is_some(), "async "),
        (of.unsafety.is_some(), "unsafe "),
    ] {
        head.push_str(if is { word } else { "" });
    }
    let inputs = of.inputs.iter().map(tidy).collect::<Vec<_>>().join(", ");
    let output = match &of.output {
        ReturnType::Default => String::new(),
        ReturnType::Type(_, ty) => format!(" -> {}", tidy(ty)),
    };
    let clause =
        signature.generics.where_clause.as_ref().map(|it| format!(" {}", tidy(it))).unwrap_or_default();
    format!("{head}fn {at}{}({inputs}){output}{clause}", tidy(&of.generics))
}

/// What attributes say to callers.
fn marks(attrs: &[Attribute]) -> String {
    let said = ["non_exhaustive", "must_use", "deprecated"].into_iter();
    let said = said.filter(|name| attrs.iter().any(|attr| attr.path().is_ident(name)));
    said.map(|name| format!(" #[{name}]")).collect()
}

/// What in a macro begins with `pub` or `impl`, up to its body.
fn heads_of(tokens: TokenStream, heads: &mut Vec<String>) {
    let mut head: Option<TokenStream> = None;
    for token in tokens {
        let ends = match &token {
            TokenTree::Group(group) => group.delimiter() == proc_macro2::Delimiter::Brace,
            TokenTree::Punct(sign) => sign.as_char() == ';',
            _ => false,
        };
        let begins = matches!(&token, TokenTree::Ident(word) if *word == "pub" || *word == "impl");
        match &mut head {
            Some(_) if ends => heads.extend(head.take().map(|head| text(&head.to_string()))),
            Some(head) => head.extend([token.clone()]),
            None if begins => head = Some(token.to_token_stream()),
            None => {}
        }
        if let TokenTree::Group(group) = token {
            heads_of(group.stream(), heads);
        }
    }
    heads.extend(head.map(|head| text(&head.to_string())));
}
