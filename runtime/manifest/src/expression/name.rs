//! The names an expression reads.

use std::fmt;
use std::ops::Range;

use super::node::{Is, Node};

/// What begins with one of these is read from the run; every other name is bare.
const ROOTS: [&str; 5] = ["inputs", "steps", "call", "run", "budget"];

/// A name that an expression reads, with the fields that it reads of it: `steps.a.output.b`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    path: Vec<String>,
    at: Range<usize>,
}

impl Name {
    /// Its first part.
    #[must_use]
    pub fn root(&self) -> &str {
        &self.path[0]
    }

    /// All its parts; there is at least one.
    #[must_use]
    pub fn path(&self) -> &[String] {
        &self.path
    }

    /// Where it stands first, in bytes of the source.
    #[must_use]
    pub fn at(&self) -> Range<usize> {
        self.at.clone()
    }

    /// Whether it names a fact, or what a call or an output has, and no part of the run.
    #[must_use]
    pub fn is_bare(&self) -> bool {
        !Self::is_reserved(self.root())
    }

    /// Whether `name` stands for a part of the run, so that nothing else can be called so.
    #[must_use]
    pub fn is_reserved(name: &str) -> bool {
        ROOTS.contains(&name)
    }
}

impl fmt::Display for Name {
    /// As one would write it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&written(&self.path))
    }
}

/// A path as one would write it.
pub(crate) fn written(path: &[impl AsRef<str>]) -> String {
    let mut out = String::new();
    for part in path.iter().map(AsRef::as_ref) {
        let word = part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            && !part.starts_with(|c: char| c.is_ascii_digit());
        match (word, out.is_empty()) {
            (_, true) => out += part,
            (true, false) => out = out + "." + part,
            (false, false) => out += &format!("[{part:?}]"),
        }
    }
    out
}

/// The names of an expression, each once.
pub(super) fn of(root: &Node) -> Vec<Name> {
    let mut all = Vec::new();
    collect(root, &mut Vec::new(), &mut all);
    all
}

/// The path that a node is, if it is one: `a`, `a.b`, `a["b"].c`.
pub(super) fn path(node: &Node) -> Option<Vec<String>> {
    match &node.is {
        Is::Name(name) => Some(vec![name.clone()]),
        Is::Field { of, key } => {
            let mut path = path(of)?;
            path.push(key.clone());
            Some(path)
        }
        _ => None,
    }
}

fn collect<'a>(node: &'a Node, bound: &mut Vec<&'a str>, all: &mut Vec<Name>) {
    let tested = match &node.is {
        // What is tested is read as well.
        Is::Has { of, key } => path(of).map(|path| [path, vec![key.clone()]].concat()),
        _ => path(node),
    };
    if let Some(path) = tested {
        let known = bound.contains(&path[0].as_str()) || all.iter().any(|name| name.path == path);
        if !known {
            all.push(Name { path, at: node.at.clone() });
        }
        return;
    }
    let mut each = |node| collect(node, bound, all);
    match &node.is {
        Is::Null | Is::Boolean(_) | Is::Number(_) | Is::Text(_) | Is::Name(_) => {}
        Is::List(nodes) | Is::Function { arguments: nodes, .. } => nodes.iter().for_each(each),
        Is::Map(entries) => entries.iter().for_each(|(_, node)| each(node)),
        Is::Field { of, .. } | Is::Has { of, .. } | Is::Not(of) | Is::Negative(of) => each(of),
        Is::Index { of: left, index: right }
        | Is::Both(left, right)
        | Is::Either(left, right)
        | Is::Operation { left, right, .. } => [left, right].into_iter().for_each(|node| each(node)),
        Is::If { when, then, otherwise } => [when, then, otherwise].into_iter().for_each(|node| each(node)),
        Is::Each { list, name, filter, body, .. } => {
            each(list);
            bound.push(name);
            for node in filter.iter().chain([body]) {
                collect(node, bound, all);
            }
            bound.pop();
        }
    }
}
