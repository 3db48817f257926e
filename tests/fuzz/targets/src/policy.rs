//! The expressions of policies, `when` and `for_each`: read, printed, and evaluated against values of every kind.

use wflo_manifest::{Expression, Scope};
use wflo_model::canonical;

pub(crate) fn read(bytes: &[u8]) {
    let text = crate::text(bytes);
    let expression: Expression = match text.parse() {
        Ok(expression) => expression,
        Err(error) => {
            let error: wflo_manifest::ExpressionError = error;
            let at = error.at();
            assert!(at.start <= at.end && at.end <= text.len(), "{at:?} of {}", text.len());
            assert!(text.is_char_boundary(at.start) && text.is_char_boundary(at.end), "{at:?}");
            assert!(!error.to_string().is_empty());
            drop(error.hint());
            return;
        }
    };
    let again: Expression = expression.to_string().parse().expect("what is printed can be read");
    assert_eq!(again, expression);
    for n in 0..5 {
        let scope = scope(&expression, n);
        let value = expression.evaluate(&scope);
        if let Ok(value) = &value {
            assert!(canonical(value).is_ok(), "{value}");
        }
        // The same again: a policy must say the same to everybody who asks.
        assert_eq!(value.is_ok(), expression.evaluate(&scope).is_ok());
        drop(expression.holds(&scope));
    }
}

/// Binds the names of an expression, in one way of several; not at all in the first.
fn scope(expression: &Expression, n: usize) -> Scope<'static> {
    let mut scope = Scope::new();
    for (at, name) in expression.bare_names().enumerate() {
        match (n, at % 4) {
            (0, _) => {}
            (1, _) => _ = scope.bind(&[name], true),
            (2, _) => _ = scope.bind(&[name], u64::MAX),
            (3, 0) => _ = scope.bind(&[name], "0.30000000000000004"),
            (3, 1) => _ = scope.bind(&[name], ""),
            _ => _ = scope.bind(&[name], "\u{1f469}\u{200d}\u{1f52c} *"),
        }
    }
    scope
}
