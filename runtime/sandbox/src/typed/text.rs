//! Types as WIT writes them. The names that types have in a package are no part of a component's types, so records and
//! the like stand in their place.

use super::shape::{Name, Shape};

/// The type as WIT writes it.
pub(crate) fn wit(shape: &Shape) -> String {
    let list = |name: &str, parts: Vec<String>| format!("{name} {{ {} }}", parts.join(", "));
    let names = |name: &str, names: &[Name]| list(name, names.iter().map(|name| name.wit.clone()).collect());
    match shape {
        Shape::Bool => "bool".to_owned(),
        Shape::Integer(integer) => integer.wit().to_owned(),
        Shape::Float(float) => float.wit().to_owned(),
        Shape::Char => "char".to_owned(),
        Shape::Text => "string".to_owned(),
        Shape::Bytes => "list<u8>".to_owned(),
        Shape::List(of) => format!("list<{}>", wit(of)),
        Shape::Record(fields) => {
            list("record", fields.iter().map(|(name, of)| format!("{}: {}", name.wit, wit(of))).collect())
        }
        Shape::Tuple(of) => format!("tuple<{}>", of.iter().map(wit).collect::<Vec<_>>().join(", ")),
        Shape::Variant(cases) => {
            let case = |(name, of): &(Name, Option<Shape>)| match of {
                Some(of) => format!("{}({})", name.wit, wit(of)),
                None => name.wit.clone(),
            };
            list("variant", cases.iter().map(case).collect())
        }
        Shape::Enum(of) => names("enum", of),
        Shape::Flags(of) => names("flags", of),
        Shape::Option(of) => format!("option<{}>", wit(of)),
        Shape::Result { ok, err } => match (ok, err) {
            (None, None) => "result".to_owned(),
            (Some(ok), None) => format!("result<{}>", wit(ok)),
            (ok, Some(err)) => {
                format!("result<{}, {}>", ok.as_ref().map_or_else(|| "_".to_owned(), |ok| wit(ok)), wit(err))
            }
        },
    }
}
