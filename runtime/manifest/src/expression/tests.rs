use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Decimal, EvaluationError, Expression, ExpressionError, Scope, ValueKind};

fn parse(source: &str) -> Expression {
    source.parse().unwrap_or_else(|error| panic!("{source}: {error}"))
}

/// Everything that the tables below read.
fn world() -> Value {
    json!({
        "inputs": { "limit": 100, "tags": ["a", "b"], "name": "Zoë", "fetch-all": true, "nothing": null },
        "steps": { "look": { "output": { "n": 3, "papers": [{ "id": 1, "year": 2019 }, { "id": 2, "year": 2024 }] } } },
        "confidence": 0.96,
        "verdict": "safe",
        "refund_amount": { "decimal": "150.00" },
        "big": { "integer": "9007199254740993" },
        "flag": true,
    })
}

fn evaluate(source: &str) -> Result<Value, EvaluationError> {
    let world = world();
    let mut scope = Scope::new();
    for (name, value) in world.as_object().unwrap() {
        scope.bind(&[name], value);
    }
    parse(source).evaluate(&scope)
}

#[test]
fn evaluates_to_what_cel_says() {
    for (source, expect) in [
        ("confidence > 0.95 AND verdict == 'safe'", json!(true)),
        ("confidence < 0.80", json!(false)),
        ("refund_amount > 100", json!(true)),
        ("NOT flag OR confidence >= 0.96", json!(true)),
        ("*", json!(true)),
        ("(*) AND flag", json!(true)),
        ("NOT *", json!(false)),
        ("2 * 3 == 6", json!(true)),
        // Precedence, and words in quotes.
        ("1 + 2 * 3 - 4 / 2", json!(5)),
        ("flag || flag && false", json!(true)),
        ("'A AND B * NOT' == \"A AND B * NOT\"", json!(true)),
        (r"'it\'s' + ' \u00e9' == 'it' + '\x27' + 's é'", json!(true)),
        ("inputs.name == 'Zoë' && size(inputs.name) == 3", json!(true)),
        ("flag ? 'yes' : 'no'", json!("yes")),
        ("false ? 1 : flag ? 2 : 3", json!(2)),
        ("-5 + 3 == -2 && -(2 + 3) == -5 && - 1.5 < 0", json!(true)),
        ("7 / 2", json!(3.5)),
        ("7 % 4 == 3 && !(-7 % 4 == 1)", json!(true)),
        ("0.1 + 0.2 == 0.3", json!(true)),
        ("1 == 1.0", json!(true)),
        ("1e3 == 1000", json!(true)),
        ("big == 9007199254740993 && big != 9007199254740992", json!(true)),
        ("123456789012345678901234567890 - 123456789012345678901234567889", json!(1)),
        ("big", json!(9_007_199_254_740_993_u64)),
        ("18446744073709551615", json!(u64::MAX)),
        ("-9223372036854775808", json!(i64::MIN)),
        ("18446744073709551616", json!({ "integer": "18446744073709551616" })),
        ("0.12345678901234567890", json!({ "decimal": "0.1234567890123456789" })),
        ("refund_amount", json!(150)),
        // Equality of everything; order of numbers and of texts.
        ("null == inputs.nothing && inputs.nothing != 1", json!(true)),
        ("[1, 'a', {'k': [true]}] == [1.0, 'a', {'k': [true]}]", json!(true)),
        ("steps.look.output.papers[0] == {'year': 2019, 'id': 1}", json!(true)),
        ("'a' < 'b' && !('a' >= 'b')", json!(true)),
        // Paths, lists, macros.
        ("steps.look.output.papers", json!([{ "id": 1, "year": 2019 }, { "id": 2, "year": 2024 }])),
        ("inputs['fetch-all']", json!(true)),
        ("steps.look.output.papers[1].id + inputs.limit", json!(102)),
        ("steps.look.output.papers.filter(p, p.year > 2020).map(p, p.id)", json!([2])),
        (
            "steps.look.output.papers.map(p, p.year > 2020, {'id': p.id, 'of': inputs.name})",
            json!([{ "id": 2, "of": "Zoë" }]),
        ),
        (
            "steps.look.output.papers.all(p, p.id > 0) && steps.look.output.papers.exists_one(p, p.id == 2)",
            json!(true),
        ),
        ("[1, 2].exists(x, [x, 3].all(x, x > 1))", json!(true)),
        ("inputs.tags + ['c']", json!(["a", "b", "c"])),
        ("'a' in inputs.tags && !('z' in inputs.tags) && 'limit' in inputs", json!(true)),
        ("has(inputs.limit) && !has(inputs.nope) && !has(steps.nope.output.x)", json!(true)),
        ("size(inputs.tags) + inputs.tags.size() + size(inputs)", json!(9)),
        ("verdict.contains('af') && verdict.startsWith('s') && verdict.endsWith('fe')", json!(true)),
        ("int(7.9) == 7 && int('12') == 12 && double('1.5') + decimal('0.5') == 2", json!(true)),
        ("string(1.50) + string(true)", json!("1.5true")),
        // One side that decides is enough.
        ("false && nope > 1", json!(false)),
        ("nope > 1 || true", json!(true)),
        ("[1, 0].exists(x, 1 / x == 1)", json!(true)),
        ("[0, 1].all(x, 1 / x == 2)", json!(false)),
    ] {
        assert_eq!(evaluate(source), Ok(expect), "{source}");
    }
}

#[test]
fn what_has_no_value_says_why() {
    for (source, expect) in [
        ("nope > 1", "`nope` is missing"),
        ("steps.look.output.m > 1", "`steps.look.output.m` is missing"),
        ("inputs['no-such']", "`inputs[\"no-such\"]` is missing"),
        ("true && nope", "`nope` is missing"),
        ("'150.00' > 100", "`>` cannot be applied to a text and a number"),
        ("verdict.x", "`.` cannot be applied to a text, which has no `x`"),
        ("verdict && true", "a text is not true or false"),
        ("!verdict", "`!` cannot be applied to a text"),
        ("verdict + 1", "`+` cannot be applied to a text and a number"),
        ("size(1)", "`size` cannot be applied to a number"),
        ("inputs.tags[2]", "the list has no element 2"),
        ("inputs.tags[-1]", "the list has no element -1"),
        ("inputs.tags[0.5]", "the list has no element 0.5"),
        ("verdict.all(x, true)", "a text is not a list"),
        ("1 / 0", "division by zero"),
        ("1 % 0", "division by zero"),
        ("1.5 % 1", "`%` cannot be applied to a number and a number"),
        ("99999999999999999999999999999999999999 * 99", "a number has more than 38 digits"),
        ("int('1.5')", "a text is no number"),
        ("[1, 2].map(x, x + nope)", "`nope` is missing"),
    ] {
        assert_eq!(evaluate(source).unwrap_err().to_string(), expect, "{source}");
    }
    assert_eq!(parse("1").holds(&Scope::new()).unwrap_err().to_string(), "a number is not true or false");
}

#[test]
fn what_is_no_expression_says_where() {
    let check = |source: &str, at: &str, message: &str| {
        let error = source.parse::<Expression>().unwrap_err();
        assert_eq!((&source[error.at()], error.to_string().as_str()), (at, message), "{source}");
    };
    check("", "", "the expression is empty");
    check("  ", "", "the expression is empty");
    check("confidence >", "", "the expression ends where a value is expected");
    check("a &&", "", "the expression ends where a value is expected");
    check("(a", "", "the expression ends where a value is expected");
    check("a = 1", "=", "`=` means nothing in an expression");
    check("é > 1", "é", "`é` means nothing in an expression");
    check("a > 'x", "'x", "the text has no closing quote");
    check("a and b", "and", "`and` does not fit here");
    check("a b", "b", "`b` does not fit here");
    check("'é' == x y", "y", "`y` does not fit here");
    check("a > ) 1", ")", "`)` does not fit here");
    check("AND a", "AND", "`AND` does not fit here");
    check("r'x' == a", "r", "`r` before a quote is not supported");
    check("a > 0x10", "0x10", "`0x10` is not a number of up to 38 digits");
    check("a > 5u", "5u", "`5u` is not a number of up to 38 digits");
    check("a.matches('x')", "matches", "there is no function `matches`");
    check("now() > 1", "now", "there is no function `now`");
    check(
        "contains(a, b)",
        "contains",
        "`contains` takes a value in front of it, and one in the brackets: `name.contains(\"x\")`",
    );
    check("size()", "size", "`size` takes one value");
    check("a.all(x.y, true)", "all", "`all` takes a name and a condition");
    check("has(a)", "has", "`has` takes a path such as `inputs.x`");
    check("T{a: 1}", "{", "making a message is not supported in an expression");
    check("{1: 2}", "1", "a key that is no text is not supported in an expression");
    check("{'a': 1, 'a': 2}", "'a'", "the key `a` is there twice");
    check(".a", "a", "a name that begins with `.` is not supported in an expression");
    check("a.?b", ".", "`.` does not fit here");
    check("for > 1", "for", "`for` does not fit here");
    check(r"'\q'", r"'\q'", r"`'\q'` does not fit here");
    assert_eq!("a and b".parse::<Expression>().unwrap_err().hint().as_deref(), Some("write `AND` or `&&`"));
    assert_eq!(
        "startWith(a)".parse::<Expression>().unwrap_err().hint().as_deref(),
        Some("did you mean `startsWith`?")
    );
}

#[test]
fn names_are_what_is_read_and_where() {
    let source = "has(inputs.a) && steps['b-c'].output.d[inputs.i].e > x.y && x.y != x.z && l.all(v, v.q > w && v > 1)";
    let expression = parse(source);
    let names: Vec<_> =
        expression.names().iter().map(|name| (name.to_string(), &source[name.at()])).collect();
    let expect = [
        ("inputs.a", "inputs.a"),
        ("steps[\"b-c\"].output.d", "steps['b-c'].output.d"),
        ("inputs.i", "inputs.i"),
        ("x.y", "x.y"),
        ("x.z", "x.z"),
        ("l", "l"),
        ("w", "w"),
    ];
    assert_eq!(names, expect.map(|(name, text)| (name.to_owned(), text)));
    assert_eq!(expression.bare_names().collect::<Vec<_>>(), ["x", "l", "w"]);
    // The name of a macro is its own, inside it only.
    let names: Vec<_> =
        parse("l.exists(x, x > 1) && x > 2").names().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["l", "x"]);
}

#[test]
fn kinds_are_known_before_values_are() {
    let known = |path: &[String]| match path[0].as_str() {
        "n" => ValueKind::Number,
        "t" => ValueKind::Text,
        "l" => ValueKind::List,
        "b" => ValueKind::Boolean,
        "o" => ValueKind::Object,
        "w" => ValueKind::Wide,
        _ => ValueKind::Any,
    };
    for (source, kind) in [
        ("n > 1 AND t == 'x' OR b", ValueKind::Boolean),
        ("n + 1", ValueKind::Number),
        ("any + n", ValueKind::Number),
        ("any + any", ValueKind::Any),
        ("b ? n : t", ValueKind::Any),
        ("l.map(x, x + 1)", ValueKind::List),
        ("l.all(n, n == 'a text here')", ValueKind::Boolean),
        ("t == null", ValueKind::Boolean),
        ("any.x", ValueKind::Any),
        ("'k' in o && n in l", ValueKind::Boolean),
        ("string(n)", ValueKind::Text),
        ("decimal(w) > n && w == w && w != null && string(w) == t && w == any", ValueKind::Boolean),
    ] {
        assert_eq!(parse(source).kind(&known), Ok(kind), "{source}");
    }
    for (source, at, message) in [
        ("n > 'x'", ">", "`>` cannot be applied to a number and a text"),
        ("n == 'x'", "==", "`==` cannot be applied to a number and a text"),
        ("b && n", "n", "`&&` takes true or false, and this is a number"),
        ("n.all(x, true)", "n", "`all` takes a list, and this is a number"),
        ("l.all(x, 1)", "1", "`all` takes true or false, and this is a number"),
        ("size(n)", "size", "`size` cannot be applied to a number"),
        ("l['x']", "l['x']", "`.` takes an object, and this is a list"),
        ("t - 1", "-", "`-` cannot be applied to a text and a number"),
        (
            "w == 5",
            "==",
            "`==` cannot be applied to an integer that is a text beyond 2^53 (`decimal(..)` makes it a number) and a number",
        ),
        (
            "w < w",
            "<",
            "`<` cannot be applied to an integer that is a text beyond 2^53 (`decimal(..)` makes it a number) and an \
             integer that is a text beyond 2^53 (`decimal(..)` makes it a number)",
        ),
    ] {
        let wrong = parse(source).kind(&known);
        if source == "l['x']" {
            // A path: what it leads to is for `known` to say.
            assert_eq!(wrong, Ok(ValueKind::List));
            continue;
        }
        let wrong = wrong.unwrap_err();
        assert_eq!((&source[wrong.at], wrong.message.as_str()), (at, message), "{source}");
    }
}

#[test]
fn is_its_source_in_serde() {
    let expression = parse("a  >  1 AND b");
    let json = serde_json::to_string(&expression).unwrap();
    assert_eq!(json, "\"a  >  1 AND b\"");
    assert_eq!(serde_json::from_str::<Expression>(&json).unwrap(), expression);
    assert!(serde_json::from_str::<Expression>("\"a >\"").is_err());
}

/// What a hostile manifest or a hostile output could do to the host.
#[test]
fn work_and_stack_are_bounded() {
    let deep = |open: &str, close: &str, n: usize| format!("{}1{}", open.repeat(n), close.repeat(n));
    let started = Instant::now();
    for source in [
        deep("(", ")", 2000),
        deep("[", "]", 1000),
        deep("a[", "]", 500),
        deep("f(", ")", 500),
        format!("{}1", "true ? 1 : ".repeat(60)),
        "1+".repeat(1000),
        "a".repeat(5000),
    ] {
        assert!(source.parse::<Expression>().is_err());
    }
    // As large as it may be: parsed, evaluated, and dropped on a stack of 2 MiB.
    for source in [
        deep("(", ")", 16),
        deep("[", "]", 16),
        format!("{}1", "true ? 1 : ".repeat(16)),
        format!("{}1", "1+".repeat(127)),
        format!("{}1 == 1", "!".repeat(100)).replace("1 == 1", "true"),
        format!("{}1", "- ".repeat(100)),
        format!("inputs{}", ".a".repeat(127)),
        format!("inputs{}", "[0]".repeat(80)),
        format!("{}true", "true && ".repeat(120)),
        format!("{}1", "1 < ".repeat(120)),
    ] {
        let expression = parse(&source);
        drop(expression.evaluate(&Scope::new()));
        drop(expression.kind(&|_| ValueKind::Any));
    }
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}

#[test]
fn an_evaluation_that_takes_too_long_ends() {
    let list = json!(vec![1; 2000]);
    let text = json!("x".repeat(4_000_000));
    let object = json!({ "list": list });
    let mut scope = Scope::new();
    scope.bind(&["l"], &list).bind(&["t"], &text).bind(&["o"], &object);
    let too_costly = Err(EvaluationError::TooCostly { most: Expression::COST });
    for source in [
        "l.all(a, l.all(b, l.all(c, a + b + c > 0)))",
        "l.map(a, l)",
        "l.map(a, l.map(b, o))",
        "l.exists(a, l.exists(b, a != b))",
        "l.all(a, o == o)",
        "l.map(a, t + t)",
        "t == t",
        "t.contains('xy')",
        "l.exists(a, o.list.exists(b, b > 1)) || true",
    ] {
        let started = Instant::now();
        assert_eq!(parse(source).evaluate(&scope), too_costly, "{source}");
        assert!(started.elapsed() < Duration::from_secs(5), "{source}: {:?}", started.elapsed());
    }
    // What is handed on in one piece is no work, however long.
    let long = json!(vec![0; 1_000_000]);
    scope.bind(&["steps", "a", "output"], &long);
    assert_eq!(parse("steps.a.output").evaluate(&scope).unwrap().as_array().unwrap().len(), 1_000_000);
}

#[test]
fn numbers_of_the_host_are_bound_as_they_are() {
    let mut scope = Scope::new();
    scope.bind(&["budget", "spent"], "0.000000000001".parse::<wflo_model::PicoUsd>().unwrap());
    scope.bind(&["n"], u64::MAX).bind(&["d"], "0.10".parse::<Decimal>().unwrap()).bind(&["who"], "alice");
    assert_eq!(
        parse("budget.spent * 1000000000000 == 1 && n > 18446744073709551614 && d == 0.1 && who == 'alice'")
            .holds(&scope),
        Ok(true)
    );
}

#[test]
fn a_name_can_be_read_by_itself() {
    let world = world();
    let mut scope = Scope::new();
    scope.bind(&["steps"], &world["steps"]).bind(&["refund_amount"], &world["refund_amount"]);
    let expression = parse("steps.look.output.n > 1 && refund_amount > 1 && steps.look.nope.x");
    let read: Vec<_> = expression.names().iter().map(|name| scope.read(name)).collect();
    let missing = EvaluationError::Missing { name: "steps.look.nope".to_owned() };
    assert_eq!(read, [Ok(json!(3)), Ok(json!(150)), Err(missing)]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    /// Whatever is written, it is read or refused at a place in it, and what is read can be evaluated.
    #[test]
    fn no_text_breaks_the_parser(words in proptest::collection::vec(prop_oneof![
        Just("AND"), Just("NOT"), Just("*"), Just("("), Just(")"), Just("["), Just("]"), Just("{"), Just("}"), Just("a"),
        Just("inputs"), Just("."), Just("?"), Just(":"), Just("1"), Just("1.5"), Just("'é'"), Just("\"\\\""), Just("\\"),
        Just("=="), Just("<"), Just("-"), Just("!"), Just(","), Just("all"), Just("has"), Just("size"), Just("in"),
        Just("null"), Just("true"), Just("é"), Just("\n"), Just("1e"), Just("`x`"), Just("//"), Just("@"), Just("b'x'"),
    ], 0..24), glue in prop_oneof![Just(""), Just(" ")]) {
        let source = words.join(glue);
        match source.parse::<Expression>() {
            Ok(expression) => {
                let _ = expression.evaluate(&Scope::new());
                let _ = expression.kind(&|_| ValueKind::Any);
                for name in expression.names() {
                    prop_assert!(source.get(name.at()).is_some());
                }
            }
            Err(error) => prop_assert!(source.get(error.at()).is_some(), "{error:?}"),
        }
    }

    #[test]
    fn any_text_is_read_or_refused(source in "\\PC{0,60}") {
        if let Err(error) = source.parse::<Expression>() {
            prop_assert!(source.get(error.at()).is_some(), "{error:?}");
        }
    }

    /// Where every part has a value, the rewritten words mean what their signs mean.
    #[test]
    fn words_are_signs(a: bool, b: bool, c: bool) {
        let mut scope = Scope::new();
        scope.bind(&["a"], a).bind(&["b"], b).bind(&["c"], c);
        prop_assert_eq!(parse("NOT a AND b OR c").holds(&scope), Ok((!a && b) || c));
        prop_assert_eq!(parse("NOT (a AND b) OR *").holds(&scope), Ok(true));
    }
}

/// Conditions on the numbers `a` and `b`, the list `l` and the text `t`, on which integers of CEL and ours agree.
fn any_condition() -> impl Strategy<Value = String> {
    let number = prop_oneof![
        (0_i64..5).prop_map(|n| n.to_string()),
        prop_oneof![Just("a"), Just("b"), Just("l[0]"), Just("size(l)"), Just("size(t)"), Just("-a")]
            .prop_map(str::to_owned),
    ];
    let number = number.prop_recursive(3, 12, 2, |inner| {
        (inner.clone(), prop_oneof![Just("+"), Just("-"), Just("*")], inner)
            .prop_map(|(left, sign, right)| format!("({left} {sign} {right})"))
    });
    let order = prop_oneof![Just("<"), Just("<="), Just(">"), Just(">="), Just("=="), Just("!=")];
    let leaf = prop_oneof![
        4 => (number.clone(), order, number.clone()).prop_map(|(left, sign, right)| format!("{left} {sign} {right}")),
        1 => number.prop_map(|n| format!("{n} in l")),
        1 => prop_oneof![
            Just("t == 'Zoë'"), Just("t.startsWith('Z')"), Just("t.contains('oo')"), Just("t + 'x' < 'b'"), Just("true"),
            Just("has(m.k)"), Just("has(m.no)"), Just("m.k == 1"), Just("m.no == 1"), Just("nope"), Just("'k' in m"),
            Just("l.filter(x, x > 1).map(x, x * 2) == [4]"), Just("l + [a] == [0, 1, 2, a]"), Just("l.exists_one(x, x == a)"),
        ].prop_map(str::to_owned),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(left, right)| format!("{left} && {right}")),
            (inner.clone(), inner.clone()).prop_map(|(left, right)| format!("({left} || {right})")),
            inner.clone().prop_map(|of| format!("!({of})")),
            (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(when, then, other)| format!("({when} ? {then} : {other})")),
            inner.clone().prop_map(|of| format!("l.all(a, {of})")),
            inner.prop_map(|of| format!("l.exists(b, {of})")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    /// Where integers and short texts are all there is, the interpreter of the `cel` crate says the same: the same
    /// value, or none.
    #[test]
    fn agrees_with_the_interpreter_of_cel(condition in any_condition(), a in -3_i64..4, b in -3_i64..4) {
        let Ok(expression) = condition.parse::<Expression>() else { return Ok(()) };
        let (list, map) = (json!([0, 1, 2]), json!({ "k": 1 }));
        let (x, y, text) = (json!(a), json!(b), json!("Zoë"));
        let mut scope = Scope::new();
        scope.bind(&["a"], &x).bind(&["b"], &y).bind(&["l"], &list).bind(&["t"], &text).bind(&["m"], &map);
        let mut context = cel::Context::default();
        context.add_variable_from_value("a", a);
        context.add_variable_from_value("b", b);
        context.add_variable_from_value("l", vec![0_i64, 1, 2]);
        context.add_variable_from_value("t", "Zoë".to_owned());
        context.add_variable_from_value("m", std::collections::HashMap::from([("k", 1_i64)]));
        let theirs = match cel::Program::compile(&condition).unwrap().execute(&context) {
            Ok(cel::Value::Bool(value)) => Some(value),
            _ => None,
        };
        prop_assert_eq!(expression.holds(&scope).ok(), theirs, "{}", condition);
    }
}

#[test]
fn errors_are_places_of_the_source_even_behind_wide_characters() {
    let source = "'ééé' == verdict AND 'ü' = 1";
    let error = source.parse::<Expression>().unwrap_err();
    assert!(matches!(error, ExpressionError::Sign { sign: '=', .. }));
    assert_eq!(&source[error.at()], "=");
}
