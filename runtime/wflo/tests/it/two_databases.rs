//! A step that writes to SQLite and to PostgreSQL, cut off at each side of each commit.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use async_trait::async_trait;
use serde_json::{Map, json};
use wflo::{Host, NotRollable, Outside, Resolution, RunStatus, RunView, RuntimeError, Start, Verdict, Voter};
use wflo_backends::db::postgres::{Postgres, PostgresOptions, Preparation};
use wflo_backends::db::sqlite::{Sqlite, SqliteOptions};
use wflo_engine::{AttemptEnd, Event, Recorded};
use wflo_journal::FaultSync;
use wflo_manifest::{ApprovalAt, ApprovalRule, Approver, PlanStep, Quorum};
use wflo_model::{ChangeSet, DbAccess, Grants, RunId, SqlRows, TableAccess, Undone};
use wflo_ports::{
    Begun, Capture, ChangeLimits, Database, DbError, Executed, Marker, QueryLimits, Statement, Transaction,
    Uncapturable,
};

use crate::support::{COMPONENT, Process, World, effects, grants};
use crate::sweep::{plan, step};

/// Where a process is killed: before or after a commit. Or not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Killed {
    Before,
    After,
    /// It lives, and its database asks for another try at the first undo, and at the first commit.
    Interrupted,
}

/// A database whose first commit is the last thing that its process does.
struct Last {
    inner: Arc<dyn Database>,
    killed: Killed,
    is_dead: Arc<AtomicBool>,
    /// How often something was undone in it.
    tries: Arc<AtomicU32>,
}

fn dead() -> DbError {
    DbError::Unavailable("the process was killed".into())
}

#[async_trait]
impl Database for Last {
    async fn query(&self, it: &Statement, to: &DbAccess, limits: QueryLimits) -> Result<SqlRows, DbError> {
        self.inner.query(it, to, limits).await
    }

    async fn begin(&self, marker: &Marker, capture: Capture) -> Result<Begun, DbError> {
        Ok(match self.inner.begin(marker, capture).await? {
            Begun::AlreadyCommitted => Begun::AlreadyCommitted,
            Begun::Open(inner) => {
                let (is_dead, tries) = (Arc::clone(&self.is_dead), Arc::clone(&self.tries));
                Begun::Open(Box::new(LastTransaction { inner, killed: self.killed, is_dead, tries }))
            }
        })
    }

    async fn committed(&self, marker: &Marker) -> Result<bool, DbError> {
        if self.is_dead.load(Ordering::SeqCst) { Err(dead()) } else { self.inner.committed(marker).await }
    }

    async fn uncapturable(&self, tables: &[String]) -> Result<Vec<Uncapturable>, DbError> {
        self.inner.uncapturable(tables).await
    }
}

struct LastTransaction {
    inner: Box<dyn Transaction>,
    killed: Killed,
    is_dead: Arc<AtomicBool>,
    tries: Arc<AtomicU32>,
}

#[async_trait]
impl Transaction for LastTransaction {
    async fn query(
        &mut self,
        it: &Statement,
        to: &DbAccess,
        limits: QueryLimits,
    ) -> Result<SqlRows, DbError> {
        self.inner.query(it, to, limits).await
    }

    async fn execute(&mut self, it: &Statement, to: &DbAccess) -> Result<Executed, DbError> {
        self.inner.execute(it, to).await
    }

    async fn changes(&mut self, limits: ChangeLimits) -> Result<ChangeSet, DbError> {
        self.inner.changes(limits).await
    }

    async fn undo(&mut self, changes: &ChangeSet) -> Result<Undone, DbError> {
        if self.killed == Killed::Interrupted && self.tries.fetch_add(1, Ordering::SeqCst) == 0 {
            return Err(DbError::Interrupted("others have written there".into()));
        }
        self.inner.undo(changes).await
    }

    async fn ready(&mut self) -> Result<(), DbError> {
        self.inner.ready().await
    }

    async fn commit(self: Box<Self>) -> Result<(), DbError> {
        if self.killed == Killed::Interrupted {
            return match self.tries.load(Ordering::SeqCst) {
                2 => Err(DbError::Interrupted("others have written there".into())),
                _ => self.inner.commit().await,
            };
        }
        self.is_dead.store(true, Ordering::SeqCst);
        if self.killed == Killed::After {
            self.inner.commit().await?;
        }
        Err(dead())
    }

    async fn rollback(self: Box<Self>) {
        self.inner.rollback().await;
    }
}

/// The world of other tests, with a bank in PostgreSQL.
pub(crate) struct Both {
    world: World,
    bank: wflo_test_postgres::Database,
}

impl Both {
    pub(crate) async fn new() -> Self {
        let bank = wflo_test_postgres::database();
        bank.sql("CREATE TABLE tally (id int PRIMARY KEY, n int NOT NULL); INSERT INTO tally VALUES (1, 0)");
        let (read, write) = (format!("{}_read", bank.name()), format!("{}_write", bank.name()));
        let mut preparation = Preparation::new(&read, Some(&write));
        preparation.grant(&tally());
        preparation.run(&bank.url("owner")).await.unwrap();
        Self { world: World::new(), bank }
    }

    /// A process that finds no server where the bank should be.
    pub(crate) async fn without_bank(&self) -> Process {
        let nowhere = "postgres://nobody@127.0.0.1:1/bank";
        self.process_at(None, [nowhere.to_owned(), nowhere.to_owned()]).await
    }

    /// A process that is killed at the commit of a database, if one is named.
    pub(crate) async fn process(&self, killed: Option<(&str, Killed)>) -> Process {
        self.process_at(killed, [self.bank.url("read"), self.bank.url("write")]).await
    }

    async fn process_at(&self, killed: Option<(&str, Killed)>, [read, write]: [String; 2]) -> Process {
        let process = self.world.process(Arc::new(FaultSync::at(0))).await.unwrap();
        let bank = Postgres::new(&read, Some(&write), PostgresOptions::default()).unwrap();
        let ledger = Sqlite::open(self.world.database(), SqliteOptions::default()).unwrap();
        let lend = |name: &str, inner: Arc<dyn Database>| match killed {
            Some((at, killed)) if at == name => {
                Arc::new(Last { inner, killed, is_dead: Arc::default(), tries: Arc::default() })
            }
            _ => inner,
        };
        let outside = Outside::default()
            .with_database("bank".parse().unwrap(), lend("bank", Arc::new(bank)))
            .with_database("ledger".parse().unwrap(), lend("ledger", Arc::new(ledger)));
        let host = Host { outside: Arc::new(outside), ..process.host };
        Process { host, ..process }
    }

    /// Runs the step in a process that is killed: the run, which has not ended.
    async fn cut_off(&self, at: &str, killed: Killed) -> RunId {
        self.cut_off_in(PlanStep { rollback: true, ..step("both", &[]) }, at, killed).await
    }

    /// As [`cut_off`](Self::cut_off), in a step of which people approve what it commits, if they are asked.
    async fn cut_off_in(&self, step: PlanStep, at: &str, killed: Killed) -> RunId {
        let process = self.process(Some((at, killed))).await;
        let run = started(&process, step).await;
        let mut died = process.runtime.drive(run, &process.host, None).await;
        if let Ok(view) = &died {
            approve(&process, view).await;
            died = process.runtime.drive(run, &process.host, None).await;
        }
        assert!(matches!(died, Err(RuntimeError::Attempt(_))), "{died:?}");
        run
    }

    /// Goes on with it in another process.
    pub(crate) async fn go_on(&self, run: RunId) -> RunView {
        let process = self.process(None).await;
        let view = process.runtime.drive(run, &process.host, None).await.unwrap();
        assert!(process.runtime.replay(run).await.unwrap().identical, "{view:?}");
        view
    }

    /// What both databases hold.
    pub(crate) fn counts(&self) -> (i64, String) {
        (effects(&self.world.database()).0, self.bank.sql("SELECT n FROM tally"))
    }
}

/// A step of which people approve what it commits.
pub(crate) fn gated(name: &str) -> PlanStep {
    let rule = ApprovalRule::new(vec![Approver::new("red")], Quorum::EachListed);
    let rule = ApprovalRule { at: ApprovalAt::Commit, ..rule };
    PlanStep { approval: Some(rule), ..step(name, &[]) }
}

/// Approves what a run waits for.
pub(crate) async fn approve(process: &Process, view: &RunView) {
    let id = view.waiting_for[0].id.unwrap_or_else(|| panic!("nobody is asked: {view:?}"));
    let voter = Voter { name: "alice".parse().unwrap(), groups: ["red".parse().unwrap()].into() };
    process.runtime.vote(id, &voter, Verdict::Approve, None).await.unwrap();
}

fn tally() -> DbAccess {
    let tally = || [("tally".to_owned(), TableAccess::All)].into();
    DbAccess { read: tally(), write: tally(), ..DbAccess::default() }
}

#[tokio::test]
async fn each_has_it_once_wherever_the_process_is_killed() {
    for (at, killed) in [
        ("bank", Killed::Before),
        ("bank", Killed::After),
        ("ledger", Killed::Before),
        ("ledger", Killed::After),
    ] {
        let both = Both::new().await;
        let run = both.cut_off(at, killed).await;
        let view = both.go_on(run).await;
        assert_eq!(view.status, RunStatus::Succeeded, "{at} {killed:?}");
        assert_eq!(
            (view.steps[0].attempts, &view.steps[0].output),
            (1, &Some(json!(["1", "1"]))),
            "{at} {killed:?}"
        );
        assert_eq!(both.counts(), (1, "1".to_owned()), "{at} {killed:?}");
        // What was changed in both is kept, and undone in both.
        let process = both.process(None).await;
        process.runtime.rollback(run, None, &"rita".parse().unwrap()).await.unwrap();
        let view = process.runtime.drive(run, &process.host, None).await.unwrap();
        assert_eq!(view.status, RunStatus::RolledBack, "{at} {killed:?}");
        assert_eq!(both.counts(), (0, "0".to_owned()), "{at} {killed:?}");
    }
}

#[tokio::test]
async fn what_cannot_go_forward_alone_waits_for_a_person() {
    let changed = |both: &Both| {
        let ledger = rusqlite::Connection::open(both.world.database()).unwrap();
        ledger.execute("UPDATE counter SET n = 10", []).unwrap();
    };
    // Neither has committed: it is done again, on what there is now.
    let both = Both::new().await;
    let run = both.cut_off("bank", Killed::Before).await;
    changed(&both);
    let view = both.go_on(run).await;
    assert_eq!((view.status, view.steps[0].attempts), (RunStatus::Succeeded, 2));
    assert_eq!(both.counts(), (11, "1".to_owned()));
    let interrupted = |it: &Recorded| match &it.event {
        Event::AttemptEnded { end: AttemptEnd::Interrupted { message }, .. } => Some(message.clone()),
        _ => None,
    };
    let events = both.process(None).await.runtime.events(run).await.unwrap();
    let why = events.iter().find_map(interrupted).unwrap();
    let said =
        "redone statement 3 came to something else than recorded: `SELECT n FROM counter WHERE id = 1`";
    assert!(why.starts_with(said), "{why}");
    // One has, and the other would come to something else.
    let both = Both::new().await;
    let run = both.cut_off("bank", Killed::After).await;
    changed(&both);
    let view = both.go_on(run).await;
    assert_eq!(view.status, RunStatus::Parked);
    let waits = &view.waiting_for[0];
    assert_eq!((&waits.kind[..], waits.committed[0].as_str()), ("unknown", "bank"), "{view:?}");
    let message = waits.message.as_ref().unwrap();
    let told = format!("`bank` has committed what it wrote, and `ledger` has not: {said}");
    assert!(message.starts_with(&told), "{message}");
    assert_eq!(both.counts(), (10, "1".to_owned()));
    // Given up, what one of them has is undone, and what the other has is not this run's.
    let intent = view.waiting_for[0].intent.unwrap();
    let process = both.process(None).await;
    let refused = process.runtime.rollback(run, None, &"olga".parse().unwrap()).await.unwrap_err();
    let resolves_first =
        |why: &NotRollable| matches!(why, NotRollable::Unknown { intent: it } if *it == intent);
    assert!(
        matches!(&refused, RuntimeError::NotRollable { why, .. } if resolves_first(why)),
        "whoever wants it rolled back has to resolve it first: {refused:?}"
    );
    process.runtime.resolve(run, intent, Resolution::Compensate, &"olga".parse().unwrap()).await.unwrap();
    drop(process);
    let view = both.go_on(run).await;
    assert_eq!(view.status, RunStatus::RolledBack, "{view:?}");
    assert_eq!(both.counts(), (10, "0".to_owned()));
    let undone = view.rollback.unwrap().undone;
    let rows: Vec<_> = undone.iter().map(|it| (it.database.as_str(), it.rows, it.conflicts.len())).collect();
    assert_eq!(rows, [("bank", 1, 0), ("ledger", 0, 0)]);
    let changes = both.process(None).await.runtime.changes(run).await.unwrap();
    assert_eq!(changes.iter().map(|it| it.committed).collect::<Vec<_>>(), [false, false]);
}

#[tokio::test]
async fn what_could_not_go_forward_does_once_it_comes_to_the_same_again() {
    let both = Both::new().await;
    let run = both.cut_off("bank", Killed::After).await;
    owner(&both, "UPDATE counter SET n = 10");
    for _ in 0..2 {
        let view = both.go_on(run).await;
        assert_eq!((view.status, &view.waiting_for[0].kind[..]), (RunStatus::Parked, "unknown"), "{view:?}");
        let intent = view.waiting_for[0].intent.unwrap();
        let process = both.process(None).await;
        process.runtime.resolve(run, intent, Resolution::NotDone, &"olga".parse().unwrap()).await.unwrap();
    }
    owner(&both, "UPDATE counter SET n = 0");
    let view = both.go_on(run).await;
    assert_eq!((view.status, view.steps[0].attempts), (RunStatus::Succeeded, 1), "{view:?}");
    assert_eq!(both.counts(), (1, "1".to_owned()));
}

#[tokio::test]
async fn others_who_write_meanwhile_do_not_stop_a_rollback() {
    let both = Both::new().await;
    let run = both.cut_off("bank", Killed::Before).await;
    both.go_on(run).await;
    let process = both.process(Some(("bank", Killed::Interrupted))).await;
    process.runtime.rollback(run, None, &"rita".parse().unwrap()).await.unwrap();
    let view = process.runtime.drive(run, &process.host, None).await.unwrap();
    assert_eq!(view.status, RunStatus::RolledBack);
    assert_eq!(both.counts(), (0, "0".to_owned()));
}

#[tokio::test]
async fn rows_that_nobody_has_approved_do_not_commit_after_a_crash() {
    let gated = gated("both-unseen");
    let changed = |both: &Both| {
        let ledger = rusqlite::Connection::open(both.world.database()).unwrap();
        ledger.execute("UPDATE counter SET n = 10", []).unwrap();
    };
    // What was approved commits, whenever the process is killed.
    let both = Both::new().await;
    let run = both.cut_off_in(gated.clone(), "bank", Killed::Before).await;
    assert_eq!(both.go_on(run).await.status, RunStatus::Succeeded);
    assert_eq!(both.counts(), (1, "1".to_owned()));
    // Neither has committed: people are asked about the rows as they are now.
    let both = Both::new().await;
    let run = both.cut_off_in(gated.clone(), "bank", Killed::Before).await;
    changed(&both);
    let view = both.go_on(run).await;
    assert_eq!((view.status, view.steps[0].attempts), (RunStatus::Waiting, 2), "{view:?}");
    assert_eq!(both.counts(), (10, "0".to_owned()));
    approve(&both.process(None).await, &view).await;
    assert_eq!(both.go_on(run).await.status, RunStatus::Succeeded);
    assert_eq!(both.counts(), (11, "1".to_owned()));
    // One has, and a person has to say what becomes of the other.
    let both = Both::new().await;
    let run = both.cut_off_in(gated, "bank", Killed::After).await;
    changed(&both);
    let view = both.go_on(run).await;
    assert_eq!((view.status, &view.waiting_for[0].kind[..]), (RunStatus::Parked, "unknown"), "{view:?}");
    assert_eq!(both.counts(), (10, "1".to_owned()));
}

/// Has each write to the counter of a ledger in SQLite leave a row whose foreign key no commit lets pass.
const DANGLES: &str = "
    CREATE TABLE cards (id INTEGER PRIMARY KEY, twin INTEGER REFERENCES cards DEFERRABLE INITIALLY DEFERRED);
    CREATE TRIGGER dangles AFTER UPDATE ON counter BEGIN INSERT INTO cards (twin) VALUES (99); END;";

fn owner(both: &Both, sql: &str) {
    rusqlite::Connection::open(both.world.database()).unwrap().execute_batch(sql).unwrap();
}

/// Starts a run of one step that writes to both.
pub(crate) async fn started(process: &Process, step: PlanStep) -> RunId {
    let access =
        [("bank".parse().unwrap(), tally()), ("ledger".parse().unwrap(), grants().db["ledger"].clone())];
    let grants = Grants { db: access.into(), ..Grants::default() };
    let start = Start {
        plan: plan(vec![PlanStep { grants, ..step }], None),
        components: vec![COMPONENT.into()],
        inputs: Map::new(),
        requester: "rita".parse().unwrap(),
        key: None,
    };
    process.runtime.start(start).await.unwrap()
}

#[tokio::test]
async fn what_the_last_database_would_not_commit_is_committed_in_none() {
    let both = Both::new().await;
    owner(&both, DANGLES);
    let process = both.process(None).await;
    let run = started(&process, step("both-unseen", &[])).await;
    let view = process.runtime.drive(run, &process.host, None).await.unwrap();
    assert_eq!((view.status, view.steps[0].attempts), (RunStatus::Failed, 1), "{view:?}");
    let error = view.steps[0].error.clone().unwrap();
    assert!(error.contains("FOREIGN KEY constraint failed"), "{error}");
    assert_eq!(both.counts(), (0, "0".to_owned()));
    assert!(process.runtime.replay(run).await.unwrap().identical);
}

#[tokio::test]
async fn a_commit_that_can_never_be_is_no_run_that_nobody_can_move() {
    // Neither has committed: the step fails, as it would have.
    let both = Both::new().await;
    let run = both.cut_off_in(step("both-unseen", &[]), "bank", Killed::Before).await;
    owner(&both, DANGLES);
    let view = both.go_on(run).await;
    assert_eq!((view.status, view.steps[0].attempts), (RunStatus::Failed, 1), "{view:?}");
    assert_eq!(both.counts(), (0, "0".to_owned()));
    // One has: a person says what becomes of the other, and it commits when it can.
    let both = Both::new().await;
    let run = both.cut_off_in(step("both-unseen", &[]), "bank", Killed::After).await;
    owner(&both, DANGLES);
    let rita = "rita".parse().unwrap();
    for _ in 0..2 {
        let view = both.go_on(run).await;
        assert_eq!((view.status, &view.waiting_for[0].kind[..]), (RunStatus::Parked, "unknown"), "{view:?}");
        assert_eq!(both.counts(), (0, "1".to_owned()));
        let process = both.process(None).await;
        let intent = view.waiting_for[0].intent.unwrap();
        process.runtime.resolve(run, intent, Resolution::NotDone, &rita).await.unwrap();
    }
    owner(&both, "DROP TRIGGER dangles");
    assert_eq!(both.go_on(run).await.status, RunStatus::Succeeded);
    assert_eq!(both.counts(), (1, "1".to_owned()));
}

/// A refusal of the COMMIT itself, by PostgreSQL: what it said is final, and nothing of the step is there.
#[tokio::test]
async fn a_commit_that_is_refused_is_not_asked_for_for_ever() {
    let refuse = |code: &str| {
        format!(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
                 $$ BEGIN RAISE 'not today' USING ERRCODE = '{code}'; END $$;
             CREATE TRIGGER refuses BEFORE DELETE ON wflo_changes FOR EACH ROW EXECUTE FUNCTION refuse()"
        )
    };
    let kept = || PlanStep { rollback: true, ..step("both-unseen", &[]) };
    for (code, attempts) in [("23514", 1), ("40001", 11)] {
        let both = Both::new().await;
        both.bank.sql(&refuse(code));
        let process = both.process(None).await;
        let run = started(&process, kept()).await;
        let view = process.runtime.drive(run, &process.host, None).await.unwrap();
        assert_eq!((view.status, view.steps[0].attempts), (RunStatus::Failed, attempts), "{code}: {view:?}");
        let error = view.steps[0].error.clone().unwrap();
        assert!(error.contains("not today"), "{code}: {error}");
        assert_eq!(both.counts(), (0, "0".to_owned()), "{code}");
        assert!(process.runtime.replay(run).await.unwrap().identical, "{code}");
    }
    // The other one has committed by then.
    for code in ["23514", "40001"] {
        let swapped = Swapped::new().await;
        swapped.ledger.sql(&refuse(code));
        let process = swapped.process().await;
        let run = started(&process, kept()).await;
        let driven = process.runtime.drive(run, &process.host, None).await;
        assert_eq!(swapped.counts(), (1, "0".to_owned()), "{code}");
        if code == "23514" {
            let view = driven.unwrap();
            let waits = &view.waiting_for[0];
            assert_eq!((view.status, &waits.kind[..]), (RunStatus::Parked, "unknown"), "{view:?}");
            swapped.ledger.sql("DROP TRIGGER refuses ON wflo_changes");
            let (intent, rita) = (waits.intent.unwrap(), "rita".parse().unwrap());
            process.runtime.resolve(run, intent, Resolution::NotDone, &rita).await.unwrap();
        } else {
            let error = driven.unwrap_err().to_string();
            assert!(error.contains("database `ledger` has not committed yet"), "{error}");
            swapped.ledger.sql("DROP TRIGGER refuses ON wflo_changes");
        }
        let process = swapped.process().await;
        let view = process.runtime.drive(run, &process.host, None).await.unwrap();
        assert_eq!(view.status, RunStatus::Succeeded, "{code}: {view:?}");
        assert_eq!(swapped.counts(), (1, "1".to_owned()), "{code}");
    }
}

/// The same the other way round: the bank, which commits first, in SQLite, and the ledger in PostgreSQL.
struct Swapped {
    world: World,
    ledger: wflo_test_postgres::Database,
}

impl Swapped {
    async fn new() -> Self {
        let world = World::new();
        rusqlite::Connection::open(world.database())
            .unwrap()
            .execute_batch("CREATE TABLE tally (id INTEGER PRIMARY KEY, n INTEGER NOT NULL); INSERT INTO tally VALUES (1, 0)")
            .unwrap();
        let ledger = wflo_test_postgres::database();
        ledger.sql(
            "CREATE TABLE counter (id int PRIMARY KEY, n int NOT NULL); INSERT INTO counter VALUES (1, 0)",
        );
        let (read, write) = (format!("{}_read", ledger.name()), format!("{}_write", ledger.name()));
        let mut preparation = Preparation::new(&read, Some(&write));
        let counter = || [("counter".to_owned(), TableAccess::All)].into();
        preparation.grant(&DbAccess { read: counter(), write: counter(), ..DbAccess::default() });
        preparation.run(&ledger.url("owner")).await.unwrap();
        Self { world, ledger }
    }

    async fn process(&self) -> Process {
        let process = self.world.process(Arc::new(FaultSync::at(0))).await.unwrap();
        let (read, write) = (self.ledger.url("read"), self.ledger.url("write"));
        let ledger = Postgres::new(&read, Some(&write), PostgresOptions::default()).unwrap();
        let bank = Sqlite::open(self.world.database(), SqliteOptions::default()).unwrap();
        let outside = Outside::default()
            .with_database("bank".parse().unwrap(), Arc::new(bank))
            .with_database("ledger".parse().unwrap(), Arc::new(ledger));
        Process { host: Host { outside: Arc::new(outside), ..process.host }, ..process }
    }

    /// What both databases hold: the bank first.
    fn counts(&self) -> (i64, String) {
        let bank = rusqlite::Connection::open(self.world.database()).unwrap();
        let tally = bank.query_row("SELECT n FROM tally", [], |row| row.get(0)).unwrap();
        (tally, self.ledger.sql("SELECT n FROM counter"))
    }
}
