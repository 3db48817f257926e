//! What kind of value an expression has, as far as that is known before it is evaluated.

use std::ops::Range;

use super::name::path;
use super::node::{Each, Function, Is, Node, Operator};

/// A kind of value; `Any` where it is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ValueKind {
    Any,
    Null,
    Boolean,
    Number,
    /// An integer of 64 bits, which JSON has as a text beyond 2^53: to compare the two is to compare a number and a text.
    Wide,
    Text,
    List,
    Object,
}

/// A part of an expression that can have no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mismatch {
    pub(crate) message: String,
    pub(crate) at: Range<usize>,
}

impl ValueKind {
    /// In words.
    pub(crate) fn what(self) -> &'static str {
        match self {
            Self::Any => "anything",
            Self::Null => "null",
            Self::Boolean => "true or false",
            Self::Number => "a number",
            Self::Wide => "an integer that is a text beyond 2^53 (`decimal(..)` makes it a number)",
            Self::Text => "a text",
            Self::List => "a list",
            Self::Object => "an object",
        }
    }

    /// Whether a value of this kind may be a `wanted`.
    pub(crate) fn may_be(self, wanted: Self) -> bool {
        let (wide, one) = (self == Self::Wide, matches!(wanted, Self::Number | Self::Text));
        self == wanted || self == Self::Any || wanted == Self::Any || (wide && one)
    }

    fn both(self, other: Self) -> Self {
        if self == other { self } else { Self::Any }
    }
}

/// The kind of a node. `known` gives that of a path.
pub(super) fn of(node: &Node, known: &dyn Fn(&[String]) -> ValueKind) -> Result<ValueKind, Mismatch> {
    Check { known, names: Vec::new() }.node(node)
}

struct Check<'a> {
    known: &'a dyn Fn(&[String]) -> ValueKind,
    names: Vec<&'a str>,
}

impl<'a> Check<'a> {
    fn node(&mut self, node: &'a Node) -> Result<ValueKind, Mismatch> {
        use ValueKind::{Any, Boolean, List, Null, Number, Object, Text};
        if let Some(path) = path(node) {
            let bound = self.names.contains(&path[0].as_str());
            return Ok(if bound { Any } else { (self.known)(&path) });
        }
        Ok(match &node.is {
            Is::Null => Null,
            Is::Boolean(_) => Boolean,
            Is::Number(_) => Number,
            Is::Text(_) => Text,
            Is::List(nodes) => {
                nodes.iter().try_for_each(|node| self.node(node).map(|_| ()))?;
                List
            }
            Is::Map(entries) => {
                entries.iter().try_for_each(|(_, node)| self.node(node).map(|_| ()))?;
                Object
            }
            Is::Name(_) => Any,
            Is::Field { of, .. } => {
                self.wants(of, Object, ".")?;
                Any
            }
            Is::Has { of, .. } => {
                self.wants(of, Object, "has")?;
                Boolean
            }
            Is::Index { of, index } => {
                let (list, index) = (self.node(of)?, self.node(index)?);
                let element = list.may_be(List) && index.may_be(Number);
                let field = list.may_be(Object) && index.may_be(Text);
                if !element && !field {
                    return Err(two("[]", list, index, node));
                }
                Any
            }
            Is::Not(of) => self.wants(of, Boolean, "!")?,
            Is::Negative(of) => self.wants(of, Number, "-")?,
            Is::Both(left, right) => {
                self.wants(left, Boolean, "&&")?;
                self.wants(right, Boolean, "&&")?
            }
            Is::Either(left, right) => {
                self.wants(left, Boolean, "||")?;
                self.wants(right, Boolean, "||")?
            }
            Is::If { when, then, otherwise } => {
                self.wants(when, Boolean, "?")?;
                self.node(then)?.both(self.node(otherwise)?)
            }
            Is::Operation { operator, left, right } => {
                let (left, right) = (self.node(left)?, self.node(right)?);
                return operation(*operator, left, right)
                    .ok_or_else(|| two(operator.sign(), left, right, node));
            }
            Is::Function { function, arguments } => {
                let kinds = arguments.iter().map(|node| self.node(node)).collect::<Result<Vec<_>, _>>()?;
                let all = |wanted: &[ValueKind]| {
                    kinds.iter().all(|kind| wanted.iter().any(|wanted| kind.may_be(*wanted)))
                };
                let (fits, gives) = match function {
                    Function::Size => (all(&[Text, List, Object]), Number),
                    Function::Contains | Function::StartsWith | Function::EndsWith => (all(&[Text]), Boolean),
                    Function::Int | Function::Number => (all(&[Number, Text]), Number),
                    Function::Text => (all(&[Number, Text, Boolean]), Text),
                };
                if !fits {
                    let to = kinds.iter().map(|kind| kind.what()).collect::<Vec<_>>().join(" and ");
                    let message = format!("`{}` cannot be applied to {to}", function.name());
                    return Err(Mismatch { message, at: node.at.clone() });
                }
                gives
            }
            Is::Each { each, list, name, filter, body } => {
                self.wants(list, List, name_of(*each))?;
                self.names.push(name);
                if let Some(filter) = filter {
                    self.wants(filter, Boolean, name_of(*each))?;
                }
                let gives = match each {
                    Each::Map => self.node(body).map(|_| List)?,
                    Each::Filter => self.wants(body, Boolean, "filter").map(|_| List)?,
                    Each::All | Each::Exists | Each::ExistsOne => {
                        self.wants(body, Boolean, name_of(*each))?
                    }
                };
                self.names.pop();
                gives
            }
        })
    }

    fn wants(&mut self, node: &'a Node, wanted: ValueKind, operation: &str) -> Result<ValueKind, Mismatch> {
        let kind = self.node(node)?;
        if kind.may_be(wanted) {
            return Ok(wanted);
        }
        let message = format!("`{operation}` takes {}, and this is {}", wanted.what(), kind.what());
        Err(Mismatch { message, at: node.at.clone() })
    }
}

fn name_of(each: Each) -> &'static str {
    match each {
        Each::All => "all",
        Each::Exists => "exists",
        Each::ExistsOne => "exists_one",
        Each::Map => "map",
        Each::Filter => "filter",
    }
}

/// What an operation gives, unless it can have no value.
fn operation(operator: Operator, left: ValueKind, right: ValueKind) -> Option<ValueKind> {
    use ValueKind::{Any, Boolean, List, Null, Number, Object, Text, Wide};
    if (left == Wide || right == Wide) && operator != Operator::In {
        let same = left == right || [left, right].iter().any(|kind| matches!(kind, Any | Null));
        return (same && matches!(operator, Operator::Equal | Operator::NotEqual)).then_some(Boolean);
    }
    let both = |wanted: ValueKind| left.may_be(wanted) && right.may_be(wanted);
    match operator {
        // Values of different kinds are never equal: to ask is a mistake, except for null.
        Operator::Equal | Operator::NotEqual => {
            (left.may_be(right) || left == Null || right == Null).then_some(Boolean)
        }
        Operator::Less | Operator::AtMost | Operator::More | Operator::AtLeast => {
            (both(Number) || both(Text)).then_some(Boolean)
        }
        Operator::Add if left == Any && right == Any => Some(Any),
        Operator::Add => [Number, Text, List].into_iter().find(|kind| both(*kind)),
        Operator::Subtract | Operator::Multiply | Operator::Divide | Operator::Remainder => {
            both(Number).then_some(Number)
        }
        Operator::In => {
            let object = right.may_be(Object) && left.may_be(Text);
            (right.may_be(List) || object).then_some(Boolean)
        }
    }
}

fn two(operation: &str, left: ValueKind, right: ValueKind, node: &Node) -> Mismatch {
    let message = format!("`{operation}` cannot be applied to {} and {}", left.what(), right.what());
    Mismatch { message, at: node.at.clone() }
}
