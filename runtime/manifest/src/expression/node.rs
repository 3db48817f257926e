//! An expression as it is evaluated: the tree that CEL's parser made, with exact numbers and nothing that is not
//! supported.

use std::ops::Range;

use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue, SourceInfo, operators};

use super::token::{Kind, Token};
use super::{Decimal, ExpressionError};
use crate::near::did_you_mean;

/// A part of an expression and the place it is named by.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) is: Is,
    pub(crate) at: Range<usize>,
}

#[derive(Clone, Debug)]
pub(crate) enum Is {
    Null,
    Boolean(bool),
    Number(Decimal),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
    /// A name of the scope, or of a macro around it.
    Name(String),
    /// `of.key`, and `of["key"]`.
    Field {
        of: Box<Node>,
        key: String,
    },
    /// `of[index]`.
    Index {
        of: Box<Node>,
        index: Box<Node>,
    },
    /// `has(of.key)`.
    Has {
        of: Box<Node>,
        key: String,
    },
    Not(Box<Node>),
    Negative(Box<Node>),
    Both(Box<Node>, Box<Node>),
    Either(Box<Node>, Box<Node>),
    If {
        when: Box<Node>,
        then: Box<Node>,
        otherwise: Box<Node>,
    },
    Operation {
        operator: Operator,
        left: Box<Node>,
        right: Box<Node>,
    },
    Function {
        function: Function,
        arguments: Vec<Node>,
    },
    /// `list.all(name, body)` and its like.
    Each {
        each: Each,
        list: Box<Node>,
        name: String,
        filter: Option<Box<Node>>,
        body: Box<Node>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Equal,
    NotEqual,
    Less,
    AtMost,
    More,
    AtLeast,
    In,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Function {
    Size,
    Contains,
    StartsWith,
    EndsWith,
    /// `int(x)`: the integer towards zero.
    Int,
    /// `double(x)`, `decimal(x)`: the number that a text is.
    Number,
    /// `string(x)`.
    Text,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Each {
    All,
    Exists,
    ExistsOne,
    Map,
    Filter,
}

impl Operator {
    const ALL: [(&'static str, Self, &'static str); 12] = [
        (operators::ADD, Self::Add, "+"),
        (operators::SUBSTRACT, Self::Subtract, "-"),
        (operators::MULTIPLY, Self::Multiply, "*"),
        (operators::DIVIDE, Self::Divide, "/"),
        (operators::MODULO, Self::Remainder, "%"),
        (operators::EQUALS, Self::Equal, "=="),
        (operators::NOT_EQUALS, Self::NotEqual, "!="),
        (operators::LESS, Self::Less, "<"),
        (operators::LESS_EQUALS, Self::AtMost, "<="),
        (operators::GREATER, Self::More, ">"),
        (operators::GREATER_EQUALS, Self::AtLeast, ">="),
        (operators::IN, Self::In, "in"),
    ];

    /// As it is written.
    pub(crate) fn sign(self) -> &'static str {
        Self::ALL.iter().find(|(_, operator, _)| *operator == self).map_or("", |(.., sign)| sign)
    }
}

impl Function {
    /// Each with how many arguments it takes, the receiver of a method included.
    const ALL: [(&'static str, Self, usize); 8] = [
        ("size", Self::Size, 1),
        ("contains", Self::Contains, 2),
        ("startsWith", Self::StartsWith, 2),
        ("endsWith", Self::EndsWith, 2),
        ("int", Self::Int, 1),
        ("double", Self::Number, 1),
        ("decimal", Self::Number, 1),
        ("string", Self::Text, 1),
    ];

    /// As it is written.
    pub(crate) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, function, _)| *function == self).map_or("", |(name, ..)| name)
    }
}

/// Macros, all called on a list: `list.all(name, condition)`.
const MACROS: [(&str, Each); 6] = [
    ("all", Each::All),
    ("exists", Each::Exists),
    ("exists_one", Each::ExistsOne),
    ("existsOne", Each::ExistsOne),
    ("map", Each::Map),
    ("filter", Each::Filter),
];

/// Makes the tree of tokens.
pub(crate) fn parse(tokens: &[Token]) -> Result<Node, ExpressionError> {
    // One space between any two: what stood between them in the source is gone, and each begins at a known place.
    let mut text = String::new();
    let mut starts = Vec::new();
    for token in tokens {
        if !text.is_empty() {
            text.push(' ');
        }
        starts.push(text.len());
        text += &token.text;
    }
    let parser = cel::Env::default().with_optional_support(false).parser();
    let lower = |info| Lower { tokens, starts: &starts, info };
    match parser.parse_with_source_info(&text) {
        Ok((tree, info)) => lower(info).node(tree),
        Err(errors) => {
            let first = errors.errors.first();
            // All tokens are in one line, and columns count from one.
            let place = first.map_or(0, |error| usize::try_from(error.pos.1 - 1).unwrap_or(0));
            Err(lower(SourceInfo::default()).misfit(place))
        }
    }
}

struct Lower<'a> {
    tokens: &'a [Token],
    starts: &'a [usize],
    info: SourceInfo,
}

impl Lower<'_> {
    /// The token at a place of the text that was parsed; `None` behind the last.
    fn token(&self, place: usize) -> Option<&Token> {
        let index = self.starts.partition_point(|start| *start <= place).checked_sub(1)?;
        let token = self.tokens.get(index)?;
        (place < self.starts[index] + token.text.len()).then_some(token)
    }

    /// The source's end, where something is missing.
    fn end(&self) -> Range<usize> {
        let end = self.tokens.last().map_or(0, |token| token.at.end);
        end..end
    }

    fn at(&self, id: u64) -> Range<usize> {
        let token = self.info.offset_for(id).and_then(|(start, _)| self.token(start as usize));
        token.map_or_else(|| self.end(), |token| token.at.clone())
    }

    /// What the parser stumbled over.
    fn misfit(&self, place: usize) -> ExpressionError {
        match self.token(place) {
            Some(token) => ExpressionError::Misfit { word: token.text.clone(), at: token.at.clone() },
            None => ExpressionError::Unfinished { at: self.end() },
        }
    }

    fn boxed(&self, of: IdedExpr) -> Result<Box<Node>, ExpressionError> {
        self.node(of).map(Box::new)
    }

    fn nodes(&self, all: Vec<IdedExpr>) -> Result<Vec<Node>, ExpressionError> {
        all.into_iter().map(|of| self.node(of)).collect()
    }

    fn node(&self, of: IdedExpr) -> Result<Node, ExpressionError> {
        let at = self.at(of.id);
        let unsupported = |what| ExpressionError::Unsupported { what, at: at.clone() };
        let is = match of.expr {
            Expr::Literal(literal) => self.literal(literal, &at)?,
            Expr::Ident(name) if name.starts_with('.') => {
                return Err(unsupported("a name that begins with `.`"));
            }
            Expr::Ident(name) => Is::Name(name),
            Expr::Select(select) if !select.test => {
                return self.field(*select.operand, select.field, &at);
            }
            Expr::List(list) => Is::List(self.nodes(list.elements)?),
            Expr::Map(map) => Is::Map(self.entries(map.entries)?),
            Expr::Call(call) => return self.call(call, at),
            Expr::Select(_) | Expr::Comprehension(_) => return Err(unsupported("this macro")),
            Expr::Struct(_) => return Err(unsupported("making a message")),
            Expr::Unspecified => return Err(ExpressionError::Unfinished { at }),
        };
        Ok(Node { is, at })
    }

    fn literal(&self, literal: LiteralValue, at: &Range<usize>) -> Result<Is, ExpressionError> {
        Ok(match literal {
            LiteralValue::Null => Is::Null,
            LiteralValue::Boolean(value) => Is::Boolean(*value.inner()),
            LiteralValue::String(text) => Is::Text(text.inner().to_owned()),
            LiteralValue::Int(n) => Is::Number(Decimal::from(*n.inner())),
            LiteralValue::UInt(n) => Is::Number(Decimal::from(*n.inner())),
            // The parser has rounded it to a double: the token is what was written. Its sign is no part of it.
            LiteralValue::Double(x) => {
                let written = self.tokens.iter().find(|token| token.at == *at && token.kind == Kind::Number);
                let number = written.and_then(|token| token.text.parse::<Decimal>().ok());
                let number = number.or_else(|| Decimal::from_f64(x.inner().abs()));
                let number = number.ok_or_else(|| ExpressionError::Unfinished { at: at.clone() })?;
                let negative = if x.inner().is_sign_negative() { number.checked_neg() } else { None };
                Is::Number(negative.unwrap_or(number))
            }
            LiteralValue::Bytes(_) => {
                return Err(ExpressionError::Unsupported { what: "bytes", at: at.clone() });
            }
        })
    }

    /// A field is named by where its path begins up to its name.
    fn field(&self, of: IdedExpr, key: String, dot: &Range<usize>) -> Result<Node, ExpressionError> {
        let of = self.boxed(of)?;
        let name = self.tokens.iter().find(|token| token.at.start >= dot.end);
        let at = of.at.start..name.map_or(dot.end, |token| token.at.end);
        Ok(Node { is: Is::Field { of, key }, at })
    }

    fn entries(
        &self,
        all: Vec<cel::common::ast::IdedEntryExpr>,
    ) -> Result<Vec<(String, Node)>, ExpressionError> {
        let mut entries: Vec<(String, Node)> = Vec::new();
        for entry in all {
            let at = self.at(entry.id);
            let EntryExpr::MapEntry(entry) = entry.expr else {
                return Err(ExpressionError::Unsupported { what: "making a message", at });
            };
            let key = self.node(entry.key)?;
            let Is::Text(name) = key.is else {
                return Err(ExpressionError::Unsupported { what: "a key that is no text", at: key.at });
            };
            if entries.iter().any(|(other, _)| *other == name) {
                return Err(ExpressionError::KeyTwice { key: name, at: key.at });
            }
            entries.push((name, self.node(entry.value)?));
        }
        Ok(entries)
    }

    fn call(&self, call: CallExpr, at: Range<usize>) -> Result<Node, ExpressionError> {
        let CallExpr { func_name: name, target, args } = call;
        if let Some((_, operator, _)) = Operator::ALL.iter().find(|(cel, ..)| *cel == name) {
            let [left, right] = self.exactly(args, &at)?;
            let is = Is::Operation { operator: *operator, left: Box::new(left), right: Box::new(right) };
            return Ok(Node { is, at });
        }
        let is = match name.as_str() {
            operators::LOGICAL_NOT => {
                let [of] = self.exactly(args, &at)?;
                Is::Not(Box::new(of))
            }
            operators::NEGATE => {
                let [of] = self.exactly(args, &at)?;
                Is::Negative(Box::new(of))
            }
            operators::LOGICAL_AND => {
                let [left, right] = self.exactly(args, &at)?;
                Is::Both(Box::new(left), Box::new(right))
            }
            operators::LOGICAL_OR => {
                let [left, right] = self.exactly(args, &at)?;
                Is::Either(Box::new(left), Box::new(right))
            }
            operators::CONDITIONAL => {
                let [when, then, otherwise] = self.exactly(args, &at)?.map(Box::new);
                Is::If { when, then, otherwise }
            }
            operators::INDEX => {
                let [of, index] = self.exactly(args, &at)?;
                // `steps["a"]` is `steps.a`, for names that are no words of CEL.
                let whole = of.at.start..self.behind(index.at.end);
                let of = Box::new(of);
                let is = match index.is {
                    Is::Text(key) => Is::Field { of, key },
                    _ => Is::Index { of, index: Box::new(index) },
                };
                return Ok(Node { is, at: whole });
            }
            _ => return self.function(&name, target.map(|target| *target), args, at),
        };
        Ok(Node { is, at })
    }

    fn exactly<const N: usize>(
        &self,
        args: Vec<IdedExpr>,
        at: &Range<usize>,
    ) -> Result<[Node; N], ExpressionError> {
        let nodes = self.nodes(args)?;
        nodes.try_into().map_err(|_| ExpressionError::Unfinished { at: at.clone() })
    }

    /// The end of the token that follows a place: the bracket behind an index.
    fn behind(&self, end: usize) -> usize {
        self.tokens.iter().find(|token| token.at.start >= end).map_or(end, |token| token.at.end)
    }

    /// `name(..)` or `target.name(..)`; `open` is where its bracket stands.
    fn function(
        &self,
        name: &str,
        target: Option<IdedExpr>,
        args: Vec<IdedExpr>,
        open: Range<usize>,
    ) -> Result<Node, ExpressionError> {
        let before = self.tokens.iter().rev().find(|token| token.at.end <= open.start);
        let at = before.map_or(open, |token| token.at.clone());
        let method = target.is_some();
        let given = args.len();
        let wrong =
            |takes: &'static str| ExpressionError::Arguments { name: name.to_owned(), takes, at: at.clone() };
        if let (Some((_, each)), true) = (MACROS.iter().find(|(other, _)| *other == name), method) {
            let takes = if *each == Each::Map {
                "a name, a condition if wanted, and a value"
            } else {
                "a name and a condition"
            };
            if given != 2 && !(given == 3 && *each == Each::Map) {
                return Err(wrong(takes));
            }
            let mut args = args.into_iter();
            let (Some(target), Some(first), Some(last)) = (target, args.next(), args.next_back()) else {
                return Err(wrong(takes));
            };
            let Expr::Ident(name) = first.expr else { return Err(wrong(takes)) };
            let filter = args.next().map(|filter| self.boxed(filter)).transpose()?;
            let (list, body) = (self.boxed(target)?, self.boxed(last)?);
            return Ok(Node { is: Is::Each { each: *each, list, name, filter, body }, at });
        }
        if name == "has" && !method {
            let [of] = self.exactly(args, &at)?;
            let Is::Field { of: object, key } = of.is else { return Err(wrong("a path such as `inputs.x`")) };
            return Ok(Node { is: Is::Has { of: object, key }, at: of.at });
        }
        let known = Function::ALL.iter().find(|(other, ..)| *other == name);
        let Some((_, function, takes)) = known else {
            let names =
                Function::ALL.iter().map(|(name, ..)| *name).chain(MACROS.iter().map(|(name, _)| *name));
            let hint = match name {
                "matches" => {
                    Some("there are no regular expressions: use `startsWith`, `contains` or `in`".to_owned())
                }
                "timestamp" | "duration" | "now" => Some("an expression has no clock".to_owned()),
                _ => did_you_mean(name, "functions are", names.chain(["has"])),
            };
            return Err(ExpressionError::Function { name: name.to_owned(), hint, at });
        };
        if given + usize::from(method) != *takes || (!method && *takes == 2) {
            let takes = match (*takes, method) {
                (1, false) => "one value",
                (1, true) => "no value in the brackets, or the value in them and nothing in front",
                _ => "a value in front of it, and one in the brackets: `name.contains(\"x\")`",
            };
            return Err(wrong(takes));
        }
        let arguments = self.nodes(target.into_iter().chain(args).collect())?;
        Ok(Node { is: Is::Function { function: *function, arguments }, at })
    }
}
