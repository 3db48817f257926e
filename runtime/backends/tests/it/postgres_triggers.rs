//! Undoing rows on PostgreSQL of tables whose owner's triggers write on.

use wflo_model::SqlValue;
use wflo_ports::{Begun, Capture, Database as _, Marker, MarkerPurpose, Transaction};

use crate::postgres::{Bank, bank};
use crate::postgres_changes::{changed, dump, undo};
use crate::sqlite::marker;

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

/// Begins the transaction of a rollback.
async fn undoing(bank: &Bank, run: u8) -> Box<dyn Transaction> {
    let marker = Marker { purpose: MarkerPurpose::Undo { rollback: 9 }, ..marker(run) };
    match bank.db.begin(&marker, Capture::Off).await.unwrap() {
        Begun::Open(transaction) => transaction,
        Begun::AlreadyCommitted => panic!("it is undone already"),
    }
}

#[tokio::test]
async fn a_row_that_two_steps_have_changed_is_undone_by_both() {
    let only_changes =
        "IF NEW.* IS DISTINCT FROM OLD.* THEN NEW.version := OLD.version + 1; NEW.touched := now(); END IF";
    for does in EVERY.into_iter().chain([only_changes]) {
        for at_once in [true, false] {
            let bank = accounts("BEFORE UPDATE", does).await;
            let before = state(&bank);
            let first =
                ["UPDATE acc SET bal = bal - 10 WHERE id < 3", "INSERT INTO acc (id, bal) VALUES (9, 9)"];
            let first = changed(&bank, 1, &["acc"], &first).await;
            let second = ["UPDATE acc SET state = 'ok' WHERE id <> 2", "UPDATE acc SET bal = 7 WHERE id = 2"];
            let second = changed(&bank, 2, &["acc"], &second).await;
            let mut transaction = undoing(&bank, 1).await;
            let newer = transaction.undo(&second).await.unwrap();
            if !at_once {
                transaction.commit().await.unwrap();
                // Whoever writes to the row and chooses nothing of it changes no more than wflo does.
                bank.pg.sql("UPDATE acc SET state = state WHERE id = 1");
                transaction = undoing(&bank, 2).await;
            }
            let older = transaction.undo(&first).await.unwrap();
            transaction.commit().await.unwrap();
            assert_eq!((newer.rows, newer.conflicts), (6, vec![]), "{does}");
            assert_eq!((older.rows, older.conflicts), (3, vec![]), "{does}");
            assert_eq!(state(&bank), before, "{does}");
        }
    }
}

#[tokio::test]
async fn what_somebody_may_have_chosen_since_is_never_taken_for_a_triggers() {
    for (does, since) in [
        // What the trigger sets with other columns can be chosen as well.
        (
            "IF NEW.bal <> OLD.bal THEN NEW.state := 'review' || NEW.version; END IF; NEW.version := OLD.version + 1",
            "UPDATE acc SET state = 'approved' WHERE id = 1",
        ),
        ("NEW.touched := now(); NEW.bal := least(NEW.bal, OLD.bal)", "UPDATE acc SET bal = 5 WHERE id = 1"),
        (
            "NEW.touched := now(); NEW.bal := greatest(NEW.bal, OLD.bal - 10)",
            "UPDATE acc SET bal = bal - 10 WHERE id = 1",
        ),
        ("NEW.touched := now()", "UPDATE acc SET day = current_date, by_whom = current_user WHERE id = 1"),
        ("NEW.version := OLD.version + 1", "UPDATE acc SET touched = now() WHERE id = 1"),
    ] {
        let bank = accounts("BEFORE UPDATE", does).await;
        let changes = changed(&bank, 1, &["acc"], &["UPDATE acc SET bal = bal - 10 WHERE id < 3"]).await;
        bank.pg.sql(since);
        let as_found = bank.pg.sql("SELECT acc::text FROM acc WHERE id = 1");
        let undone = undo(&bank, 1, &changes).await;
        let left: Vec<_> =
            undone.conflicts.iter().map(|it| format!("{}: {}", it.key[0], it.reason)).collect();
        assert!(left.contains(&"1: it has changed since".to_owned()), "{does}: {left:?}");
        assert_eq!(bank.pg.sql("SELECT acc::text FROM acc WHERE id = 1"), as_found, "{does}");
    }
}

#[tokio::test]
async fn rows_that_need_a_made_up_value_for_a_moment_are_undone_under_triggers() {
    let exchanged = [
        "UPDATE acc SET bal = -1 WHERE id = 1",
        "UPDATE acc SET bal = 100 WHERE id = 2",
        "UPDATE acc SET bal = 200 WHERE id = 1",
    ];
    let given = ["UPDATE acc SET bal = 7 WHERE id = 1", "INSERT INTO acc (id, bal) VALUES (9, 100)"];
    for does in EVERY {
        for (statements, rows) in [(&exchanged[..], 2), (&given, 2)] {
            let bank = accounts("BEFORE UPDATE", does).await;
            bank.pg.sql("ALTER TABLE acc ADD UNIQUE (bal)");
            let before = state(&bank);
            let changes = changed(&bank, 1, &["acc"], statements).await;
            let undone = undo(&bank, 1, &changes).await;
            assert_eq!((undone.rows, undone.conflicts), (rows, vec![]), "{does}");
            assert_eq!(state(&bank), before, "{does}");
        }
    }
}
