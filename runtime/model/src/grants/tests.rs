//! Grants are a lattice: what covers is reflexive and transitive, wider grants allow all that narrower ones do.

use std::collections::BTreeSet;

use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;

use super::{FileGrant, Grants, HostPath, MailPattern, TerraformVerb};
use crate::{DbAccess, HttpGrant, HttpMethod, HttpUrl, TableAccess};

const HTTP: &[&str] = &[
    "* https://*/*",
    "GET https://*/*",
    "GET https://*.a.example/*",
    "* https://*.a.example/api/*",
    "GET https://b.a.example/api/*",
    "GET https://b.a.example/api/x",
    "GET https://b.a.example:*/api/*",
    "POST https://b.a.example/*/x",
];
const URLS: &[&str] = &[
    "https://b.a.example/api/x",
    "https://a.example/api/x",
    "https://c.b.a.example/x",
    "https://b.a.example:8443/api/x",
];
const FOLDERS: &[&str] = &["data", "data/a", "data/a/b", "database", "/srv", "/srv/data", "srv"];
const MAIL: &[&str] =
    &["*@*", "pi@*", "*@*.b.example", "*@a.b.example", "pi@a.b.example", "pi@*.b.example", "*@b.example"];
const ADDRESSES: &[&str] = &["pi@a.b.example", "pi@b.example", "al@c.a.b.example", "pi@c.net"];

fn some<T: std::str::FromStr + Ord + std::fmt::Debug>(
    texts: &'static [&'static str],
) -> impl Strategy<Value = BTreeSet<T>>
where
    T::Err: std::fmt::Debug,
{
    btree_set(select(texts).prop_map(|text| text.parse().unwrap()), 0..3)
}

/// Conditions of row filters. Any of them may hold of a row, or not.
const CONDITIONS: [&str; 3] = ["id = :inputs.id", "name <> 'x'", "sum IN (1, 2)"];

fn table() -> impl Strategy<Value = TableAccess> {
    let columns = btree_set(select(vec!["id", "name", "sum"]).prop_map(str::to_owned), 1..3);
    let filter = btree_set(select(&CONDITIONS[..]), 1..=3).prop_map(|all| {
        let all: Vec<_> = all.into_iter().collect();
        all.join(" AND ").parse().unwrap()
    });
    (option::of(columns), option::of(filter)).prop_map(|(columns, filter)| TableAccess::new(columns, filter))
}

/// Whether a row of which these conditions hold, by their number, is one that is granted.
fn has_row(access: &TableAccess, holds: u8) -> bool {
    let held = |condition: String| {
        let number = CONDITIONS.iter().position(|it| *it == condition).unwrap();
        holds & (1 << number) != 0
    };
    access.filter().is_none_or(|filter| filter.conditions().all(|it| held(it.to_string())))
}

fn access() -> impl Strategy<Value = DbAccess> {
    let tables = || vec((select(vec!["t", "u"]).prop_map(str::to_owned), table()), 0..3);
    (tables(), tables(), some(&["pay", "refund"])).prop_map(|(read, write, call)| DbAccess {
        read: read.into_iter().collect(),
        write: write.into_iter().collect(),
        call,
        whole: false,
    })
}

fn grants() -> impl Strategy<Value = Grants> {
    let http = btree_set(select(HTTP).prop_map(|text| HttpGrant::new(text.parse().unwrap())), 0..3);
    let files = btree_set(
        (select(FOLDERS), select(vec!["/a", "/b"])).prop_map(|(host, guest)| FileGrant {
            host: host.parse().unwrap(),
            guest: guest.parse().unwrap(),
        }),
        0..3,
    );
    let db = vec((select(vec!["bank", "shop"]), access()), 0..3);
    let first = (db, some(&["gpt-4", "other"]), http, files, some(&["slack://a", "slack://b"]));
    let labels = &["one", "two", "three"];
    let own = vec(select(vec![json!({"ward": "3"}), json!({"ward": "4"}), json!(null)]), 0..3);
    let verbs = btree_set(select(TerraformVerb::ALL.map(|(_, verb)| verb).to_vec()), 0..3);
    let terraform =
        btree_map(select(vec!["one", "two"]).prop_map(|label| label.parse().unwrap()), verbs, 0..3);
    (first, some(MAIL), some(labels), terraform, some(labels), own).prop_map(
        |((db, llm, http, files, notify), mail, knowledge, terraform, secrets, own)| Grants {
            interfaces: [("clinic:ehr/records".parse().unwrap(), own)].into(),
            db: db.into_iter().map(|(label, access)| (label.parse().unwrap(), access)).collect(),
            llm,
            http,
            files,
            notify,
            mail,
            knowledge,
            terraform,
            secrets,
        },
    )
}

/// Everything that could be asked for, and whether these grants give it.
fn allowed(grants: &Grants) -> Vec<bool> {
    let mut all = Vec::new();
    for db in ["bank", "shop"] {
        let none = DbAccess::default();
        let access = grants.db.get(db).unwrap_or(&none);
        for table in ["t", "u"] {
            all.push(access.may_write_rows(table));
            for granted in [access.read.get(table), access.write.get(table)] {
                all.extend((0..8).map(|holds| granted.is_some_and(|granted| has_row(granted, holds))));
            }
            for column in ["id", "name", "sum", "other"] {
                all.extend([access.may_read(table, column), access.may_write(table, column)]);
            }
        }
        all.extend(["pay", "refund"].map(|statement| access.may_call(statement)));
    }
    all.extend(["gpt-4", "other"].map(|model| grants.llm.contains(model)));
    for method in ["GET", "POST"] {
        let method: HttpMethod = method.parse().unwrap();
        for url in URLS {
            let url: HttpUrl = url.parse().unwrap();
            all.push(HttpGrant::find(&grants.http, &method, &url).is_some());
        }
    }
    for folder in FOLDERS {
        let folder: HostPath = folder.parse().unwrap();
        all.push(grants.files.iter().any(|grant| grant.host.holds(&folder)));
    }
    all.extend(ADDRESSES.iter().map(|address| grants.mail.iter().any(|pattern| pattern.matches(address))));
    all.extend(["slack://a", "slack://b"].map(|channel| grants.notify.contains(channel)));
    for label in ["one", "two", "three"] {
        all.extend([&grants.knowledge, &grants.secrets].map(|some| some.contains(label)));
        let verbs = grants.terraform.get(label);
        all.extend(TerraformVerb::ALL.map(|(_, verb)| verbs.is_some_and(|verbs| verbs.contains(&verb))));
    }
    all
}

fn widened(a: &Grants, b: &Grants) -> Grants {
    let mut both = a.clone();
    both.widen(b);
    both
}

proptest! {
    #[test]
    fn covering_is_reflexive_and_nothing_is_least(a in grants()) {
        prop_assert!(a.covers(&a));
        prop_assert!(a.covers(&Grants::default()));
        let is_nothing = a.capabilities().is_empty() && a.interfaces.is_empty();
        prop_assert_eq!(Grants::default().covers(&a), is_nothing);
    }

    #[test]
    fn covering_is_transitive(a in grants(), b in grants(), c in grants()) {
        if a.covers(&b) && b.covers(&c) {
            prop_assert!(a.covers(&c));
        }
        // Where chance finds no chain, one is made.
        let (ab, abc) = (widened(&a, &b), widened(&widened(&a, &b), &c));
        prop_assert!(abc.covers(&ab) && ab.covers(&a) && abc.covers(&a));
    }

    #[test]
    fn the_wider_is_the_least_that_covers_both(a in grants(), b in grants(), c in grants()) {
        let both = widened(&a, &b);
        prop_assert!(both.covers(&a) && both.covers(&b));
        if c.covers(&a) && c.covers(&b) {
            prop_assert!(c.covers(&both));
        }
        let other = widened(&b, &a);
        prop_assert!(both.covers(&other) && other.covers(&both));
    }

    #[test]
    fn who_covers_allows_all_that_the_narrower_allows(a in grants(), b in grants()) {
        for (wide, narrow) in [(&a, &b), (&widened(&a, &b), &a)] {
            if wide.covers(narrow) {
                for (wide, narrow) in allowed(wide).into_iter().zip(allowed(narrow)) {
                    prop_assert!(wide || !narrow);
                }
            }
        }
    }

    #[test]
    fn grants_survive_their_json(a in grants()) {
        let text = serde_json::to_string(&a).unwrap();
        prop_assert_eq!(serde_json::from_str::<Grants>(&text).unwrap(), a);
    }
}

/// Of a small world every triple can be asked for.
#[test]
fn single_patterns_are_transitive_all_together() {
    fn check<T: Clone>(all: &[T], covers: impl Fn(&T, &T) -> bool) {
        for a in all {
            assert!(covers(a, a));
            for b in all.iter().filter(|b| covers(a, b)) {
                assert!(all.iter().filter(|c| covers(b, c)).all(|c| covers(a, c)));
            }
        }
    }
    let http: Vec<HttpGrant> = HTTP.iter().map(|text| HttpGrant::new(text.parse().unwrap())).collect();
    check(&http, HttpGrant::covers);
    let mail: Vec<MailPattern> = MAIL.iter().map(|text| text.parse().unwrap()).collect();
    check(&mail, MailPattern::covers);
    let folders: Vec<HostPath> = FOLDERS.iter().map(|text| text.parse().unwrap()).collect();
    check(&folders, HostPath::holds);
}

#[test]
fn grants_of_a_hosts_interface_cover_what_says_the_same() {
    let of = |wards: &[&str]| {
        let grants = wards.iter().map(|ward| json!({"ward": ward})).collect();
        Grants { interfaces: [("clinic:ehr/records".parse().unwrap(), grants)].into(), ..Grants::default() }
    };
    let mut grants = of(&["3", "4"]);
    assert!(grants.covers(&grants) && grants.covers(&of(&["4"])) && grants.covers(&Grants::default()));
    assert!(!grants.covers(&of(&["5"])) && !Grants::default().covers(&of(&["3"])));
    grants.widen(&of(&["5", "3"]));
    assert_eq!(grants, of(&["3", "4", "5"]));
    assert_eq!(serde_json::from_value::<Grants>(json!(grants)).unwrap(), grants);
    assert_eq!(json!(Grants::default()), json!({}), "plans without such a grant keep their digest");
}
