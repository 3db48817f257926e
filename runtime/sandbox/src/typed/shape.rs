//! A type of WIT, as far as its JSON depends on it.

use wasmtime::component::types::Type;

/// Types that one function may be made of, those within others counted: schemas and messages are as large as this.
const MOST_TYPES: usize = 10_000;

/// A type of WIT.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Shape {
    Bool,
    Integer(Integer),
    Float(Float),
    Char,
    Text,
    /// `list<u8>`.
    Bytes,
    List(Box<Self>),
    Record(Vec<(Name, Self)>),
    Tuple(Vec<Self>),
    Variant(Vec<(Name, Option<Self>)>),
    Enum(Vec<Name>),
    Flags(Vec<Name>),
    Option(Box<Self>),
    Result {
        ok: Option<Box<Self>>,
        err: Option<Box<Self>>,
    },
}

/// The whole numbers of WIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Integer {
    S8,
    U8,
    S16,
    U16,
    S32,
    U32,
    S64,
    U64,
}

/// The floating point numbers of WIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Float {
    F32,
    F64,
}

/// The name of a field, a case or a flag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    /// As WIT has it.
    pub(crate) wit: String,
    /// As JSON has it, where it can be a word of an expression: with `_` for `-`, which WIT has in no name.
    pub(crate) json: String,
}

impl Name {
    pub(crate) fn new(wit: &str) -> Self {
        Self { wit: wit.to_owned(), json: wit.replace('-', "_") }
    }
}

impl Integer {
    pub(crate) const fn wit(self) -> &'static str {
        match self {
            Self::S8 => "s8",
            Self::U8 => "u8",
            Self::S16 => "s16",
            Self::U16 => "u16",
            Self::S32 => "s32",
            Self::U32 => "u32",
            Self::S64 => "s64",
            Self::U64 => "u64",
        }
    }

    /// The least and the greatest.
    pub(crate) const fn bounds(self) -> (i128, i128) {
        match self {
            Self::S8 => (i8::MIN as i128, i8::MAX as i128),
            Self::U8 => (0, u8::MAX as i128),
            Self::S16 => (i16::MIN as i128, i16::MAX as i128),
            Self::U16 => (0, u16::MAX as i128),
            Self::S32 => (i32::MIN as i128, i32::MAX as i128),
            Self::U32 => (0, u32::MAX as i128),
            Self::S64 => (i64::MIN as i128, i64::MAX as i128),
            Self::U64 => (0, u64::MAX as i128),
        }
    }

    /// Whether it has values that a number of JSON may not keep.
    pub(crate) const fn is_wide(self) -> bool {
        matches!(self, Self::S64 | Self::U64)
    }
}

impl Float {
    pub(crate) const fn wit(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F64 => "f64",
        }
    }
}

/// Counts types while shapes are made of them.
#[derive(Default)]
pub(crate) struct Shapes {
    made: usize,
}

impl Shapes {
    /// The shape of a type.
    ///
    /// # Errors
    /// What it is made of that no JSON can be: in words that follow "has".
    pub(crate) fn of(&mut self, ty: &Type) -> Result<Shape, &'static str> {
        self.made += 1;
        if self.made > MOST_TYPES {
            return Err("more types within types than a step may have");
        }
        Ok(match ty {
            Type::Bool => Shape::Bool,
            Type::S8 => Shape::Integer(Integer::S8),
            Type::U8 => Shape::Integer(Integer::U8),
            Type::S16 => Shape::Integer(Integer::S16),
            Type::U16 => Shape::Integer(Integer::U16),
            Type::S32 => Shape::Integer(Integer::S32),
            Type::U32 => Shape::Integer(Integer::U32),
            Type::S64 => Shape::Integer(Integer::S64),
            Type::U64 => Shape::Integer(Integer::U64),
            Type::Float32 => Shape::Float(Float::F32),
            Type::Float64 => Shape::Float(Float::F64),
            Type::Char => Shape::Char,
            Type::String => Shape::Text,
            Type::List(list) => match self.of(&list.ty())? {
                Shape::Integer(Integer::U8) => Shape::Bytes,
                of => Shape::List(Box::new(of)),
            },
            Type::Record(record) => {
                let mut fields = Vec::new();
                for field in record.fields() {
                    fields.push((Name::new(field.name), self.of(&field.ty)?));
                }
                Shape::Record(fields)
            }
            Type::Tuple(tuple) => {
                Shape::Tuple(tuple.types().map(|ty| self.of(&ty)).collect::<Result<_, _>>()?)
            }
            Type::Variant(variant) => {
                let mut cases = Vec::new();
                for case in variant.cases() {
                    cases.push((Name::new(case.name), self.maybe(case.ty.as_ref())?));
                }
                Shape::Variant(cases)
            }
            Type::Enum(names) => Shape::Enum(names.names().map(Name::new).collect()),
            Type::Flags(names) => Shape::Flags(names.names().map(Name::new).collect()),
            Type::Option(option) => Shape::Option(Box::new(self.of(&option.ty())?)),
            Type::Result(result) => Shape::Result {
                ok: self.maybe(result.ok().as_ref())?.map(Box::new),
                err: self.maybe(result.err().as_ref())?.map(Box::new),
            },
            Type::Own(_) | Type::Borrow(_) => return Err("a resource: a handle means nothing outside"),
            Type::Future(_) | Type::Stream(_) => return Err("a future or stream, which is no value yet"),
            Type::ErrorContext => return Err("an error context, which is no value"),
            Type::Map(_) => return Err("a map, which this version of wflo does not know"),
            Type::FixedLengthList(_) => {
                return Err("a list of fixed length, which this version of wflo does not know");
            }
        })
    }

    fn maybe(&mut self, ty: Option<&Type>) -> Result<Option<Shape>, &'static str> {
        ty.map(|ty| self.of(ty)).transpose()
    }
}

impl Shape {
    /// Whether a value of it may be null in JSON, so that an option of it needs more than null to be none.
    pub(crate) const fn may_be_null(&self) -> bool {
        matches!(self, Self::Option(_))
    }
}
