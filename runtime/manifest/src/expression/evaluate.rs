//! The value of an expression.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::rc::Rc;

use serde_json::Value;

use super::name::{path, written};
use super::node::{Each, Function, Is, Node, Operator};
use super::operand::Operand;
use super::scope::Scope;
use super::{Decimal, Expression};

/// Why an expression has no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EvaluationError {
    /// It reads what is not there.
    #[error("`{name}` is missing")]
    Missing {
        /// The path.
        name: String,
    },
    /// It does something with a value of another kind.
    #[error("`{operation}` cannot be applied to {to}")]
    Kind {
        /// What it does.
        operation: &'static str,
        /// What it does it to, in words.
        to: String,
    },
    /// The value of a condition, or what a macro goes through, is of another kind.
    #[error("{found} is not {expected}")]
    NotA {
        /// What it has to be.
        expected: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// A list that is shorter.
    #[error("the list has no element {index}")]
    NoElement {
        /// Counted from zero.
        index: String,
    },
    /// A number is divided by zero.
    #[error("division by zero")]
    DivisionByZero,
    /// A number has more digits than are kept.
    #[error("a number has more than 38 digits")]
    OutOfRange,
    /// A text is no number.
    #[error("a text is no number")]
    NotANumber,
    /// It takes too much work.
    #[error("the expression takes more than {most} steps")]
    TooCostly {
        /// The limit.
        most: u32,
    },
}

/// Counts the work done.
pub(super) struct Meter {
    left: u32,
}

impl Meter {
    pub(super) fn charge(&mut self, units: usize) -> Result<(), EvaluationError> {
        let left = u32::try_from(units).ok().and_then(|units| self.left.checked_sub(units));
        self.left = left.ok_or(EvaluationError::TooCostly { most: Expression::COST })?;
        Ok(())
    }

    pub(super) fn charge_text(&mut self, bytes: usize) -> Result<(), EvaluationError> {
        self.charge(bytes / 16)
    }
}

pub(super) fn value(root: &Node, scope: &Scope<'_>) -> Result<Value, EvaluationError> {
    let mut evaluation = Evaluation::new(scope);
    let value = evaluation.node(root)?;
    value.into_json(&mut evaluation.meter)
}

pub(super) fn condition(root: &Node, scope: &Scope<'_>) -> Result<bool, EvaluationError> {
    let value = Evaluation::new(scope).node(root)?;
    boolean(&value)
}

pub(super) fn read(path: &[String], scope: &Scope<'_>) -> Result<Value, EvaluationError> {
    let missing = |parts: usize| EvaluationError::Missing { name: written(&path[..parts]) };
    let root = path.first().and_then(|root| scope.roots.get(root)).ok_or_else(|| missing(1))?;
    let mut value = Operand::bound(root)?;
    for (above, key) in path.iter().enumerate().skip(1) {
        value = value.field(key).ok_or_else(|| missing(above + 1))??;
    }
    value.into_json(&mut Evaluation::new(scope).meter)
}

fn boolean(value: &Operand<'_>) -> Result<bool, EvaluationError> {
    match value {
        Operand::Boolean(value) => Ok(*value),
        other => Err(EvaluationError::NotA { expected: "true or false", found: other.what() }),
    }
}

struct Evaluation<'a> {
    scope: &'a Scope<'a>,
    /// Names of macros, the innermost last.
    names: Vec<(&'a str, Operand<'a>)>,
    meter: Meter,
}

impl<'a> Evaluation<'a> {
    fn new(scope: &'a Scope<'a>) -> Self {
        Self { scope, names: Vec::new(), meter: Meter { left: Expression::COST } }
    }

    fn node(&mut self, node: &'a Node) -> Result<Operand<'a>, EvaluationError> {
        self.meter.charge(1)?;
        Ok(match &node.is {
            Is::Null => Operand::Null,
            Is::Boolean(value) => Operand::Boolean(*value),
            Is::Number(number) => Operand::Number(*number),
            Is::Text(text) => Operand::Text(Cow::Borrowed(text)),
            Is::List(nodes) => {
                let parts = nodes.iter().map(|node| self.node(node)).collect::<Result<_, _>>()?;
                Operand::List(Rc::new(parts))
            }
            Is::Map(entries) => {
                let parts = entries.iter().map(|(key, node)| Ok((key.as_str(), self.node(node)?)));
                Operand::Map(Rc::new(parts.collect::<Result<_, EvaluationError>>()?))
            }
            Is::Name(name) => {
                if let Some((_, value)) = self.names.iter().rev().find(|(bound, _)| bound == name) {
                    return Ok(value.clone());
                }
                let bound = self.scope.roots.get(name);
                Operand::bound(bound.ok_or_else(|| EvaluationError::Missing { name: name.clone() })?)?
            }
            Is::Field { of, key } => {
                let value = self.node(of)?;
                if !value.is_object() {
                    let to = format!("{}, which has no `{key}`", value.what());
                    return Err(EvaluationError::Kind { operation: ".", to });
                }
                let missing = || EvaluationError::Missing {
                    name: path(node).map_or(key.clone(), |path| written(&path)),
                };
                value.field(key).ok_or_else(missing)??
            }
            Is::Index { of, index } => {
                let (list, index) = (self.node(of)?, self.node(index)?);
                self.index(&list, &index)?
            }
            Is::Has { of, key } => match self.node(of) {
                Ok(value) if value.is_object() => Operand::Boolean(value.field(key).is_some()),
                // `has(steps.a.output.x)` asks about the whole path.
                Ok(Operand::Null) | Err(EvaluationError::Missing { .. }) => Operand::Boolean(false),
                Ok(other) => {
                    return Err(EvaluationError::Kind { operation: "has", to: other.what().to_owned() });
                }
                Err(error) => return Err(error),
            },
            Is::Not(of) => match self.node(of)? {
                Operand::Boolean(value) => Operand::Boolean(!value),
                other => return Err(EvaluationError::Kind { operation: "!", to: other.what().to_owned() }),
            },
            Is::Negative(of) => match self.node(of)? {
                Operand::Number(n) => Operand::Number(n.checked_neg().ok_or(EvaluationError::OutOfRange)?),
                other => return Err(EvaluationError::Kind { operation: "-", to: other.what().to_owned() }),
            },
            Is::Both(left, right) => Operand::Boolean(self.logic(left, right, false)?),
            Is::Either(left, right) => Operand::Boolean(self.logic(left, right, true)?),
            Is::If { when, then, otherwise } => {
                let when = self.node(when)?;
                return self.node(if boolean(&when)? { then } else { otherwise });
            }
            Is::Operation { operator, left, right } => {
                let (left, right) = (self.node(left)?, self.node(right)?);
                self.operation(*operator, left, right)?
            }
            Is::Function { function, arguments } => {
                let mut values = Vec::with_capacity(arguments.len());
                for argument in arguments {
                    values.push(self.node(argument)?);
                }
                self.function(*function, &values)?
            }
            Is::Each { each, list, name, filter, body } => {
                let list = self.node(list)?;
                self.each(*each, &list, name, filter.as_deref(), body)?
            }
        })
    }

    /// `&&` where `decides` is false, `||` where it is true: one side that decides is enough, whatever the other is.
    fn logic(&mut self, left: &'a Node, right: &'a Node, decides: bool) -> Result<bool, EvaluationError> {
        let mut side = |node| self.node(node).and_then(|value| boolean(&value));
        let first = side(left);
        match first {
            Ok(value) if value == decides => return Ok(decides),
            // The work is over, and no other side can make up for it.
            Err(EvaluationError::TooCostly { .. }) => return first,
            _ => {}
        }
        match (first, side(right)) {
            (_, Ok(value)) if value == decides => Ok(decides),
            (_, Err(error @ EvaluationError::TooCostly { .. })) => Err(error),
            (Err(error), _) => Err(error),
            (Ok(_), second) => second,
        }
    }

    fn index(&mut self, of: &Operand<'a>, index: &Operand<'a>) -> Result<Operand<'a>, EvaluationError> {
        match index {
            Operand::Number(number) if of.len().is_some() => {
                let no_element = || EvaluationError::NoElement { index: number.to_string() };
                let at = number.to_i64().and_then(|at| usize::try_from(at).ok());
                at.and_then(|at| of.element(at)).ok_or_else(no_element)?
            }
            Operand::Text(key) if of.is_object() => {
                of.field(key).ok_or_else(|| EvaluationError::Missing { name: key.clone().into_owned() })?
            }
            _ => Err(two("[]", of, index)),
        }
    }

    fn operation(
        &mut self,
        operator: Operator,
        left: Operand<'a>,
        right: Operand<'a>,
    ) -> Result<Operand<'a>, EvaluationError> {
        use Operand::{Number, Text};
        let whole = |number: Option<Decimal>| number.map(Number).ok_or(EvaluationError::OutOfRange);
        let zero = matches!(right, Number(Decimal::ZERO));
        match (operator, &left, &right) {
            (Operator::Equal, a, b) => a.equals(b, &mut self.meter).map(Operand::Boolean),
            (Operator::NotEqual, a, b) => a.equals(b, &mut self.meter).map(|equal| Operand::Boolean(!equal)),
            (Operator::Less | Operator::AtMost | Operator::More | Operator::AtLeast, a, b) => {
                let order = match (a, b) {
                    (Number(a), Number(b)) => a.cmp(b),
                    (Text(a), Text(b)) => {
                        self.meter.charge_text(a.len().min(b.len()))?;
                        a.cmp(b)
                    }
                    _ => return Err(two(operator.sign(), a, b)),
                };
                Ok(Operand::Boolean(match operator {
                    Operator::Less => order == Ordering::Less,
                    Operator::AtMost => order != Ordering::Greater,
                    Operator::More => order == Ordering::Greater,
                    _ => order != Ordering::Less,
                }))
            }
            (Operator::Add, Number(a), Number(b)) => whole(a.checked_add(*b)),
            (Operator::Subtract, Number(a), Number(b)) => whole(a.checked_sub(*b)),
            (Operator::Multiply, Number(a), Number(b)) => whole(a.checked_mul(*b)),
            (Operator::Divide | Operator::Remainder, Number(_), Number(_)) if zero => {
                Err(EvaluationError::DivisionByZero)
            }
            (Operator::Divide, Number(a), Number(b)) => whole(a.checked_div(*b)),
            (Operator::Remainder, Number(a), Number(b)) if a.is_integer() && b.is_integer() => {
                whole(a.checked_rem(*b))
            }
            (Operator::Add, Text(a), Text(b)) => {
                self.meter.charge_text(a.len() + b.len())?;
                Ok(Text(Cow::Owned(format!("{a}{b}"))))
            }
            (Operator::Add, a, b) if a.len().is_some() && b.len().is_some() => {
                let all = [a, b]
                    .into_iter()
                    .flat_map(|list| (0..list.len().unwrap_or(0)).filter_map(|at| list.element(at)));
                self.meter.charge(a.len().unwrap_or(0) + b.len().unwrap_or(0))?;
                Ok(Operand::List(Rc::new(all.collect::<Result<_, _>>()?)))
            }
            (Operator::In, value, list) if list.len().is_some() => {
                for index in 0..list.len().unwrap_or(0) {
                    if let Some(element) = list.element(index)
                        && value.equals(&element?, &mut self.meter)?
                    {
                        return Ok(Operand::Boolean(true));
                    }
                }
                Ok(Operand::Boolean(false))
            }
            (Operator::In, Text(key), object) if object.is_object() => {
                Ok(Operand::Boolean(object.field(key).is_some()))
            }
            (_, a, b) => Err(two(operator.sign(), a, b)),
        }
    }

    fn function(&mut self, function: Function, of: &[Operand<'a>]) -> Result<Operand<'a>, EvaluationError> {
        use Operand::{Boolean, Number, Text};
        for text in of.iter().filter_map(|value| if let Text(text) = value { Some(text) } else { None }) {
            self.meter.charge_text(text.len())?;
        }
        let number = |n: usize| Number(Decimal::from(n as u64));
        Ok(match (function, of) {
            // Characters, as CEL counts.
            (Function::Size, [Text(text)]) => number(text.chars().count()),
            (Function::Size, [other]) if other.len().or(other.fields()).is_some() => {
                number(other.len().or(other.fields()).unwrap_or(0))
            }
            (Function::Contains, [Text(text), Text(part)]) => {
                // Looking for a text takes up to the product of their lengths only in the worst libraries; the
                // standard one is linear.
                Boolean(text.contains(part.as_ref()))
            }
            (Function::StartsWith, [Text(text), Text(part)]) => Boolean(text.starts_with(part.as_ref())),
            (Function::EndsWith, [Text(text), Text(part)]) => Boolean(text.ends_with(part.as_ref())),
            (Function::Int, [Number(n)]) => Number(n.truncate()),
            (Function::Number, [Number(n)]) => Number(*n),
            (Function::Int | Function::Number, [Text(text)]) => {
                let n: Decimal = text.parse().map_err(|_| EvaluationError::NotANumber)?;
                if function == Function::Int && !n.is_integer() {
                    return Err(EvaluationError::NotANumber);
                }
                Number(n)
            }
            (Function::Text, [Text(text)]) => Text(text.clone()),
            (Function::Text, [Number(n)]) => Text(Cow::Owned(n.to_string())),
            (Function::Text, [Boolean(value)]) => Text(Cow::Borrowed(if *value { "true" } else { "false" })),
            (_, of) => {
                let all: Vec<_> = of.iter().map(Operand::what).collect();
                return Err(EvaluationError::Kind { operation: function.name(), to: all.join(" and ") });
            }
        })
    }

    fn each(
        &mut self,
        each: Each,
        list: &Operand<'a>,
        name: &'a str,
        filter: Option<&'a Node>,
        body: &'a Node,
    ) -> Result<Operand<'a>, EvaluationError> {
        let Some(len) = list.len() else {
            return Err(EvaluationError::NotA { expected: "a list", found: list.what() });
        };
        let mut made = Vec::new();
        let mut found = 0_u64;
        // As with `&&` and `||`: an element that decides does, whatever the others are.
        let mut failed = None;
        for element in (0..len).filter_map(|index| list.element(index)) {
            let element = element?;
            self.names.push((name, element.clone()));
            let value = self.element(filter, body);
            self.names.pop();
            let value = match (value, each) {
                (Ok(Some(value)), _) => value,
                (Ok(None), _) => continue,
                (Err(error @ EvaluationError::TooCostly { .. }), _) => return Err(error),
                (Err(error), Each::All | Each::Exists) => {
                    failed.get_or_insert(error);
                    continue;
                }
                (Err(error), _) => return Err(error),
            };
            match (each, value) {
                (Each::Map, value) => made.push(value),
                (Each::Filter, value) => {
                    if boolean(&value)? {
                        made.push(element);
                    }
                }
                (Each::ExistsOne, value) => found += u64::from(boolean(&value)?),
                (Each::All | Each::Exists, Operand::Boolean(value)) => {
                    if value == (each == Each::Exists) {
                        return Ok(Operand::Boolean(value));
                    }
                }
                (Each::All | Each::Exists, value) => {
                    failed.get_or_insert(boolean(&value).expect_err("a boolean is matched above"));
                }
            }
        }
        match (each, failed) {
            (_, Some(error)) => Err(error),
            (Each::All, None) => Ok(Operand::Boolean(true)),
            (Each::Exists, None) => Ok(Operand::Boolean(false)),
            (Each::ExistsOne, None) => Ok(Operand::Boolean(found == 1)),
            (Each::Map | Each::Filter, None) => Ok(Operand::List(Rc::new(made))),
        }
    }

    /// The value of a macro's body for one element; `None` if the filter leaves it out.
    fn element(
        &mut self,
        filter: Option<&'a Node>,
        body: &'a Node,
    ) -> Result<Option<Operand<'a>>, EvaluationError> {
        if let Some(filter) = filter {
            let keep = self.node(filter)?;
            if !boolean(&keep)? {
                return Ok(None);
            }
        }
        self.node(body).map(Some)
    }
}

fn two(operation: &'static str, left: &Operand<'_>, right: &Operand<'_>) -> EvaluationError {
    EvaluationError::Kind { operation, to: format!("{} and {}", left.what(), right.what()) }
}
