//! Undoing rows on PostgreSQL of tables whose owner's triggers write on.

use wflo_model::SqlValue;

use crate::postgres::{Bank, bank};
use crate::postgres_changes::{changed, dump, undo};

/// A table of accounts with a trigger that does something to `NEW`.
async fn accounts(when: &str, does: &str) -> Bank {
    let schema = format!(
        "CREATE TABLE acc (id int PRIMARY KEY, bal numeric NOT NULL, state text NOT NULL DEFAULT 'open', version int NOT NULL DEFAULT 1,
             touched timestamptz NOT NULL DEFAULT '2020-01-01', day date NOT NULL DEFAULT '2020-01-01', by_whom text NOT NULL DEFAULT 'ann');
         INSERT INTO acc (id, bal) SELECT n, n * 100 FROM generate_series(1, 5) n;
         CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {does}; RETURN NEW; END $$;
         CREATE TRIGGER touch {when} ON acc FOR EACH ROW EXECUTE FUNCTION touch();"
    );
    bank(&schema, &["acc"]).await
}

fn state(bank: &Bank) -> String {
    bank.pg.sql("SELECT string_agg(id || ' ' || bal || ' ' || state, ', ' ORDER BY id) FROM acc")
}

const EVERY: [&str; 6] = [
    "NEW.touched := clock_timestamp()",
    "NEW.touched := now()",
    "NEW.touched := date_trunc('milliseconds', now())",
    "NEW.version := OLD.version + 1",
    "NEW.by_whom := current_user; NEW.day := current_date",
    "NEW.touched := statement_timestamp(); NEW.version := OLD.version + 1; NEW.by_whom := session_user",
];

#[tokio::test]
async fn a_column_that_a_trigger_sets_on_every_write_keeps_no_row_from_being_undone() {
    for when in ["BEFORE UPDATE", "BEFORE UPDATE OF bal", "BEFORE UPDATE"] {
        for does in EVERY {
            let bank = accounts(when, does).await;
            let before = state(&bank);
            let changes = changed(&bank, 1, &["acc"], &["UPDATE acc SET bal = bal - 10 WHERE id < 4"]).await;
            let undone = undo(&bank, 1, &changes).await;
            assert_eq!((undone.rows, undone.conflicts), (3, vec![]), "{when}: {does}");
            assert_eq!(state(&bank), before);
            // What is undone is found so by another rollback, which does nothing more.
            let as_left = dump(&bank, "acc");
            let again = undo(&bank, 2, &changes).await;
            assert_eq!((again.rows, again.conflicts), (3, vec![]), "{when}: {does}");
            assert_eq!(dump(&bank, "acc"), as_left);
        }
    }
}

#[tokio::test]
async fn nor_one_that_comes_back() {
    for does in [
        "NEW.touched := clock_timestamp()",
        "NEW.touched := now()",
        "NEW.by_whom := current_user; NEW.day := current_date",
    ] {
        for when in ["BEFORE INSERT OR UPDATE", "BEFORE INSERT"] {
            let bank = accounts(when, does).await;
            let (before, whole) = (state(&bank), dump(&bank, "acc"));
            let changes = changed(&bank, 1, &["acc"], &["DELETE FROM acc WHERE id < 4"]).await;
            let undone = undo(&bank, 1, &changes).await;
            assert_eq!((undone.rows, undone.conflicts), (3, vec![]), "{when}: {does}");
            assert_eq!(state(&bank), before);
            // What a trigger does only to new rows is set right.
            if when == "BEFORE INSERT" && does.contains("clock") {
                assert_eq!(dump(&bank, "acc"), whole);
            }
        }
    }
}

#[tokio::test]
async fn a_row_that_a_trigger_keeps_from_going_back_is_left_as_it_is() {
    for (does, why) in [
        (
            "NEW.touched := now(); NEW.bal := least(NEW.bal, OLD.bal)",
            "a trigger of the database changes it again",
        ),
        (
            "NEW.touched := now(); IF OLD.state = 'closed' THEN NEW.state := 'closed'; END IF",
            "a trigger of the database changes it again",
        ),
        (
            "IF OLD.state = 'closed' THEN RETURN NULL; END IF; NEW.touched := now()",
            "a trigger of the database changes it again",
        ),
        ("IF OLD.state = 'closed' THEN RAISE 'it is closed'; END IF; NEW.touched := now()", "it is closed"),
    ] {
        let bank = accounts("BEFORE UPDATE", does).await;
        let statements = [
            "UPDATE acc SET bal = bal - 10, state = 'closed' WHERE id = 2",
            "UPDATE acc SET state = 'ok' WHERE id = 3",
        ];
        let changes = changed(&bank, 1, &["acc"], &statements).await;
        let second = bank.pg.sql("SELECT acc::text FROM acc WHERE id = 2");
        let undone = undo(&bank, 1, &changes).await;
        let left: Vec<_> =
            undone.conflicts.iter().map(|it| (it.key[0].clone(), it.reason.to_string())).collect();
        assert_eq!((undone.rows, left), (1, vec![(SqlValue::Integer(2), why.to_owned())]), "{does}");
        assert_eq!(bank.pg.sql("SELECT acc::text FROM acc WHERE id = 2"), second, "{does}");
        assert_eq!(undone.conflicts[0].found, undone.conflicts[0].expected);
        assert_eq!(bank.pg.sql("SELECT state FROM acc WHERE id = 3"), "open");
    }
}

#[tokio::test]
async fn one_that_somebody_has_changed_since_is_no_row_that_was_put_back() {
    let bank = accounts("BEFORE UPDATE", EVERY[0]).await;
    let changes = changed(&bank, 1, &["acc"], &["UPDATE acc SET bal = bal - 10 WHERE id < 4"]).await;
    bank.pg.sql("UPDATE acc SET bal = 7 WHERE id = 1; UPDATE acc SET version = 2 WHERE id = 2");
    let as_found = bank.pg.sql("SELECT string_agg(acc::text, ' ' ORDER BY id) FROM acc WHERE id < 3");
    let undone = undo(&bank, 1, &changes).await;
    let left: Vec<_> = undone.conflicts.iter().map(|it| format!("{}: {}", it.key[0], it.reason)).collect();
    assert_eq!(left, ["1: it has changed since", "2: it has changed since"]);
    assert_eq!(bank.pg.sql("SELECT string_agg(acc::text, ' ' ORDER BY id) FROM acc WHERE id < 3"), as_found);
}
