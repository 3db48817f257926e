//! Logging: a message with fields, which wflo keeps with the step.
//!
//! ```no_run
//! # let (n, account) = (3, "A-0007");
//! wflo::info!("blocked", count = n, account);
//! wflo::warn!("{n} accounts have no holder");
//! ```

use serde_json::{Map, Value};

use crate::bindings::wasi::logging::logging as host;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Flow within a step.
    Trace,
    /// For someone debugging.
    Debug,
    /// For someone watching.
    Info,
    /// Hazardous.
    Warn,
    /// Serious.
    Error,
}

/// Logs a message with fields at a level; the macros [`info!`](crate::info) and so on are shorter.
pub fn log(level: Level, context: &str, message: &str, fields: Vec<(&str, Value)>) {
    let level = match level {
        Level::Trace => host::Level::Trace,
        Level::Debug => host::Level::Debug,
        Level::Info => host::Level::Info,
        Level::Warn => host::Level::Warn,
        Level::Error => host::Level::Error,
    };
    host::log(level, context, &line(message, fields));
}

/// One JSON object: the message first, then the fields as they were given.
fn line(message: &str, fields: Vec<(&str, Value)>) -> String {
    let mut line = Map::with_capacity(fields.len() + 1);
    line.insert("message".to_owned(), message.into());
    for (name, value) in fields {
        // A field of that name must not take the place of the message.
        let name = if name == "message" { "message_" } else { name };
        line.insert(name.to_owned(), value);
    }
    Value::Object(line).to_string()
}

/// A field's value; one that has no JSON form says why instead of failing the step.
#[doc(hidden)]
pub fn field(value: impl serde::Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_else(|error| Value::String(error.to_string()))
}

/// Logs at a level given first; see [`info!`](crate::info).
#[macro_export]
macro_rules! log {
    ($level:expr, $message:literal $(, $name:ident $(= $value:expr)?)* $(,)?) => {
        $crate::log::log(
            $level,
            ::core::module_path!(),
            &::std::format!($message),
            ::std::vec![$((::core::stringify!($name), $crate::log!(@field $name $(= $value)?))),*],
        )
    };
    ($level:expr, $message:expr $(, $name:ident $(= $value:expr)?)* $(,)?) => {
        $crate::log!($level, "{}", @expr $message $(, $name $(= $value)?)*)
    };
    ($level:expr, "{}", @expr $message:expr $(, $name:ident $(= $value:expr)?)*) => {
        $crate::log::log(
            $level,
            ::core::module_path!(),
            &::std::string::ToString::to_string(&$message),
            ::std::vec![$((::core::stringify!($name), $crate::log!(@field $name $(= $value)?))),*],
        )
    };
    (@field $name:ident = $value:expr) => { $crate::log::field(&$value) };
    (@field $name:ident) => { $crate::log::field(&$name) };
}

macro_rules! levels {
    ($dollar:tt $($name:ident $level:ident $doc:literal;)*) => {$(
        #[doc = $doc]
        ///
        /// A message, which may name variables in braces, then fields: `name = value`, or a variable alone.
        ///
        /// ```no_run
        #[doc = concat!("wflo::", stringify!($name), "!(\"looked at the accounts\", count = 3, kind = \"all\");")]
        /// ```
        #[macro_export]
        macro_rules! $name {
            ($dollar($dollar arguments:tt)+) => {
                $dollar crate::log!($dollar crate::log::Level::$level, $dollar($dollar arguments)+)
            };
        }
    )*};
}

levels! { $
    trace Trace "Logs the flow within a step.";
    debug Debug "Logs for someone debugging.";
    info Info "Logs for someone watching.";
    warn Warn "Logs what is hazardous.";
    error Error "Logs what is serious.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_object_in_order() {
        let fields = vec![("count", field(2)), ("accounts", field(["A-1", "A-2"])), ("message", field("x"))];
        assert_eq!(
            line("blocked \"two\"", fields),
            r#"{"message":"blocked \"two\"","count":2,"accounts":["A-1","A-2"],"message_":"x"}"#
        );
    }

    #[test]
    fn a_field_without_json_does_not_fail() {
        let map = std::collections::BTreeMap::from([(vec![1], 2)]);
        assert_eq!(field(map), Value::String("key must be a string".into()));
    }
}
