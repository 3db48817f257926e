//! Everything in a package that has a comment and a version of its own.

use wit_parser::{Docs, Interface, Stability, Type, TypeDef, TypeDefKind, TypeOwner, WorldItem, WorldKey};

use super::{Package, text};

/// One thing that somebody may use.
pub(crate) struct Item<'a> {
    /// Its package, and the interface it is in: `wflo:llm/chat`.
    pub(crate) place: String,
    pub(crate) name: String,
    /// What it is, in one line.
    pub(crate) is: String,
    pub(crate) docs: Option<&'a str>,
    /// None of a part of something, which is as old as that.
    pub(crate) since: Option<&'a Stability>,
    /// Its fields or cases.
    pub(crate) parts: Vec<Part<'a>>,
}

/// A field, a case or a flag.
pub(crate) struct Part<'a> {
    pub(crate) name: &'a str,
    pub(crate) ty: String,
    pub(crate) docs: Option<&'a str>,
}

impl Item<'_> {
    /// What the rules for items want of it.
    pub(crate) fn lacks(&self) -> Option<String> {
        let mut lacks = Vec::new();
        if self.docs.is_none() {
            lacks.push("no comment".to_owned());
        }
        if self.since.is_some_and(Stability::is_unknown) {
            lacks.push("no `@since`".to_owned());
        }
        let silent = self.parts.iter().filter(|part| part.docs.is_none());
        lacks.extend(silent.map(|part| format!("no comment at `{}`", part.name)));
        (!lacks.is_empty()).then(|| format!("`{}` of `{}`: {}", self.name, self.place, lacks.join(", ")))
    }

    /// The version that it is there since.
    pub(crate) fn version(&self) -> Option<String> {
        match self.since? {
            Stability::Stable { since, .. } => Some(since.to_string()),
            _ => None,
        }
    }
}

/// The items of a package, in the order of its text.
pub(crate) fn all(package: &Package) -> Vec<Item<'_>> {
    let Package { resolve, id, .. } = package;
    let of = &resolve.packages[*id];
    let package_name = format!("{}:{}", of.name.namespace, of.name.name);
    let mut all = vec![Item {
        place: package_name.clone(),
        name: of.name.to_string(),
        is: "package".to_owned(),
        docs: docs(&of.docs),
        since: None,
        parts: Vec::new(),
    }];
    for (name, id) in &of.interfaces {
        let interface = &resolve.interfaces[*id];
        let place = format!("{package_name}/{name}");
        all.push(Item {
            place: place.clone(),
            name: name.clone(),
            is: "interface".to_owned(),
            docs: docs(&interface.docs),
            since: Some(&interface.stability),
            parts: Vec::new(),
        });
        all.extend(within(package, &place, interface));
    }
    for (name, id) in &of.worlds {
        let world = &resolve.worlds[*id];
        let place = format!("{package_name}/{name}");
        all.push(Item {
            place: place.clone(),
            name: name.clone(),
            is: "world".to_owned(),
            docs: docs(&world.docs),
            since: Some(&world.stability),
            parts: Vec::new(),
        });
        let ways = [("import", &world.imports), ("export", &world.exports)];
        for (way, (key, item)) in ways.iter().flat_map(|(way, all)| all.iter().map(move |it| (*way, it))) {
            let (WorldKey::Interface(id), WorldItem::Interface { stability, .. }) = (key, item) else {
                continue;
            };
            let name = resolve.id_of(*id).unwrap_or_default();
            // What an interface says of itself is said there.
            let docs = Some("");
            let parts = Vec::new();
            // Those that only come along with one that is imported are nobody's word.
            let since = (!stability.is_unknown() || way == "export").then_some(stability);
            let place = place.clone();
            all.push(Item { place, name, is: way.to_owned(), docs, since, parts });
        }
    }
    all
}

/// The types and functions of an interface.
fn within<'a>(package: &'a Package, place: &str, interface: &'a Interface) -> Vec<Item<'a>> {
    let resolve = &package.resolve;
    let mut all = Vec::new();
    for (name, id) in &interface.types {
        let def = &resolve.types[*id];
        if !is_used(package, def) {
            all.push(Item {
                place: place.to_owned(),
                name: name.clone(),
                is: match &def.kind {
                    TypeDefKind::Type(of) => format!("type = {}", text::ty(resolve, of)),
                    TypeDefKind::Record(_)
                    | TypeDefKind::Variant(_)
                    | TypeDefKind::Enum(_)
                    | TypeDefKind::Flags(_)
                    | TypeDefKind::Resource => text::kind(resolve, &def.kind),
                    other => format!("type = {}", text::kind(resolve, other)),
                },
                docs: docs(&def.docs),
                since: Some(&def.stability),
                parts: parts(package, &def.kind),
            });
        }
    }
    for function in interface.functions.values() {
        let (name, is) = text::function(resolve, function);
        let (place, parts) = (place.to_owned(), Vec::new());
        let since = Some(&function.stability);
        all.push(Item { place, name, is, docs: docs(&function.docs), since, parts });
    }
    all
}

/// Whether a type is only taken from another interface, by `use`.
fn is_used(package: &Package, def: &TypeDef) -> bool {
    let TypeDefKind::Type(Type::Id(of)) = def.kind else { return false };
    let of = &package.resolve.types[of];
    of.name.is_some() && of.owner != def.owner && of.owner != TypeOwner::None
}

fn parts<'a>(package: &'a Package, kind: &'a TypeDefKind) -> Vec<Part<'a>> {
    let resolve = &package.resolve;
    match kind {
        TypeDefKind::Record(of) => {
            let fields = of.fields.iter();
            let part = |it: &'a wit_parser::Field| Part {
                name: &it.name,
                ty: text::ty(resolve, &it.ty),
                docs: docs(&it.docs),
            };
            fields.map(part).collect()
        }
        TypeDefKind::Variant(of) => {
            let ty =
                |it: &wit_parser::Case| it.ty.as_ref().map_or_else(String::new, |of| text::ty(resolve, of));
            of.cases.iter().map(|it| Part { name: &it.name, ty: ty(it), docs: docs(&it.docs) }).collect()
        }
        TypeDefKind::Enum(of) => {
            let cases = of.cases.iter();
            cases.map(|it| Part { name: &it.name, ty: String::new(), docs: docs(&it.docs) }).collect()
        }
        TypeDefKind::Flags(of) => {
            let flags = of.flags.iter();
            flags.map(|it| Part { name: &it.name, ty: String::new(), docs: docs(&it.docs) }).collect()
        }
        _ => Vec::new(),
    }
}

fn docs(of: &Docs) -> Option<&str> {
    of.contents.as_deref().map(str::trim).filter(|text| !text.is_empty())
}
