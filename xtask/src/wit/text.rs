//! Types and functions as WIT writes them.

use wit_parser::{Function, FunctionKind, Handle, Resolve, Type, TypeDefKind, TypeId};

/// A type where it is used: its name, if it has one.
pub(crate) fn ty(resolve: &Resolve, of: &Type) -> String {
    let simple = match of {
        Type::Bool => "bool",
        Type::U8 => "u8",
        Type::U16 => "u16",
        Type::U32 => "u32",
        Type::U64 => "u64",
        Type::S8 => "s8",
        Type::S16 => "s16",
        Type::S32 => "s32",
        Type::S64 => "s64",
        Type::F32 => "f32",
        Type::F64 => "f64",
        Type::Char => "char",
        Type::String => "string",
        Type::ErrorContext => "error-context",
        Type::Id(id) => return named(resolve, *id),
    };
    simple.to_owned()
}

fn named(resolve: &Resolve, id: TypeId) -> String {
    let def = &resolve.types[id];
    def.name.clone().unwrap_or_else(|| kind(resolve, &def.kind))
}

/// A type where it is defined: what it is made of.
pub(crate) fn kind(resolve: &Resolve, of: &TypeDefKind) -> String {
    let ty = |of: &Type| ty(resolve, of);
    let maybe = |of: &Option<Type>| of.as_ref().map_or_else(|| "_".to_owned(), ty);
    let list = |what: &str, parts: Vec<String>| format!("{what} {{ {} }}", parts.join(", "));
    match of {
        TypeDefKind::Record(of) => {
            let fields = of.fields.iter().map(|field| format!("{}: {}", field.name, ty(&field.ty)));
            list("record", fields.collect())
        }
        TypeDefKind::Variant(of) => {
            let cases = of.cases.iter().map(|case| match &case.ty {
                Some(of) => format!("{}({})", case.name, ty(of)),
                None => case.name.clone(),
            });
            list("variant", cases.collect())
        }
        TypeDefKind::Enum(of) => list("enum", of.cases.iter().map(|case| case.name.clone()).collect()),
        TypeDefKind::Flags(of) => list("flags", of.flags.iter().map(|flag| flag.name.clone()).collect()),
        TypeDefKind::Resource => "resource".to_owned(),
        TypeDefKind::Handle(Handle::Own(id)) => named(resolve, *id),
        TypeDefKind::Handle(Handle::Borrow(id)) => format!("borrow<{}>", named(resolve, *id)),
        TypeDefKind::Tuple(of) => {
            format!("tuple<{}>", of.types.iter().map(ty).collect::<Vec<_>>().join(", "))
        }
        TypeDefKind::Option(of) => format!("option<{}>", ty(of)),
        TypeDefKind::Result(of) => match (&of.ok, &of.err) {
            (None, None) => "result".to_owned(),
            (Some(ok), None) => format!("result<{}>", ty(ok)),
            (ok, err) => format!("result<{}, {}>", maybe(ok), maybe(err)),
        },
        TypeDefKind::List(of) => format!("list<{}>", ty(of)),
        TypeDefKind::Map(key, of) => format!("map<{}, {}>", ty(key), ty(of)),
        TypeDefKind::FixedLengthList(of, length) => format!("list<{}, {length}>", ty(of)),
        TypeDefKind::Future(of) => format!("future<{}>", maybe(of)),
        TypeDefKind::Stream(of) => format!("stream<{}>", maybe(of)),
        TypeDefKind::Type(of) => ty(of),
        TypeDefKind::Unknown => "unknown".to_owned(),
    }
}

/// A function, with the name by which it is called.
pub(crate) fn function(resolve: &Resolve, of: &Function) -> (String, String) {
    // `[method]reader.read`: the reader is the first parameter.
    let name = of.name.split_once(']').map_or(of.name.as_str(), |(_, name)| name).to_owned();
    let is_method = matches!(of.kind, FunctionKind::Method(_) | FunctionKind::AsyncMethod(_));
    let params = of.params.iter().skip(usize::from(is_method));
    let params: Vec<_> = params.map(|it| format!("{}: {}", it.name, ty(resolve, &it.ty))).collect();
    let how = match of.kind {
        FunctionKind::Constructor(_) => "constructor",
        FunctionKind::Static(_) => "static func",
        _ if of.kind.is_async() => "async func",
        _ => "func",
    };
    let result = of.result.as_ref().map_or_else(String::new, |of| format!(" -> {}", ty(resolve, of)));
    (name, format!("{how}({}){result}", params.join(", ")))
}
