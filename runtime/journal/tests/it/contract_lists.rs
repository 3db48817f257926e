//! The contract of stores, second half: what is found without being asked for by name, and new generations.

use std::sync::Arc;

use wflo_journal::{
    AccountRow, Append, AppendError, CreateOutcome, CreateRun, Debit, Fate, OutboxChange, OutboxKey,
    OutboxRow, PruneError, ReadError, RunRow, Sieve, Store, Touch,
};
use wflo_model::{RunId, StepName};

use crate::support::{Bench, HoldSync, Kind, append, at, begin, contract, create, events, made, run};

contract! {
    timers_are_found_when_due,
    runs_are_listed_newest_first,
    places_of_items_are_found,
    unfinished_runs_are_listed_oldest_first,
    what_waits_to_leave_is_found_when_due,
    what_waits_to_leave_is_taken_once,
    accounts_are_debited_by_many_runs_and_never_by_what_is_refused,
    an_index_never_shows_what_is_not_durable,
    a_new_generation_holds_what_lives,
    writers_are_carried_over_to_a_new_generation,
}

async fn timers_are_found_when_due(kind: Kind) {
    let mut bench = Bench::new(kind);
    let store = bench.store();
    for n in 1..=3 {
        made(&*store, n).await;
    }
    let set = async |n, expected, due| {
        store.submit(Append { due, ..append(n, 1, expected, &["x"]) }).durable().await.unwrap();
    };
    set(1, 1, Some(Some(at(30)))).await;
    set(2, 1, Some(Some(at(10)))).await;
    set(3, 1, Some(Some(at(10)))).await;
    assert_eq!(store.due(at(9), 9).await.unwrap(), []);
    assert_eq!(store.due(at(10), 9).await.unwrap(), [(at(10), run(2)), (at(10), run(3))]);
    assert_eq!(store.due(at(10), 1).await.unwrap(), [(at(10), run(2))]);
    set(2, 2, Some(Some(at(40)))).await;
    set(3, 2, None).await;
    set(1, 2, Some(None)).await;
    assert_eq!(store.due(at(u64::MAX), 9).await.unwrap(), [(at(10), run(3)), (at(40), run(2))]);
    assert_eq!(store.run(run(2)).await.unwrap().unwrap().due, Some(at(40)));
    drop(store);
    bench.reopen();
    assert_eq!(bench.store().due(at(u64::MAX), 9).await.unwrap(), [(at(10), run(3)), (at(40), run(2))]);
}

async fn accounts_are_debited_by_many_runs_and_never_by_what_is_refused(kind: Kind) {
    let mut bench = Bench::new(kind);
    let store = bench.store();
    let debit = |window: &str, settled, held| Debit {
        account: "workflow/refunds".into(),
        window: window.into(),
        change: AccountRow { settled, held, overrun: 0 },
    };
    for n in 1..=8 {
        made(&*store, n).await;
    }
    let submit = |n, expected, debits| store.submit(Append { debits, ..append(n, 1, expected, &["x"]) });
    // All under way at once: whatever shares a sync adds up.
    let tickets: Vec<_> =
        (1..=8).map(|n| submit(n, 1, vec![debit("day 1", 0, 10), debit("day 2", 1, 0)])).collect();
    for ticket in tickets {
        ticket.durable().await.unwrap();
    }
    assert!(submit(1, 7, vec![debit("day 1", 1000, 0)]).durable().await.is_err(), "it is no append");
    submit(2, 2, vec![debit("day 1", 7, -10)]).durable().await.unwrap();
    let expect = AccountRow { settled: 7, held: 70, overrun: 0 };
    assert_eq!(store.account("workflow/refunds", "day 1").await.unwrap(), expect);
    assert_eq!(store.account("workflow/refunds", "day 2").await.unwrap().settled, 8);
    assert_eq!(store.account("workflow/other", "day 1").await.unwrap(), AccountRow::default());
    drop(store);
    bench.reopen();
    let store = bench.store();
    assert_eq!(store.account("workflow/refunds", "day 1").await.unwrap(), expect);
    // What was spent stays spent when the run has gone.
    store.prune(Box::new(Keeps)).await.unwrap();
    assert_eq!(store.account("workflow/refunds", "day 1").await.unwrap(), expect);
}

fn waits(due: u64, id: u8) -> OutboxRow {
    OutboxRow { key: OutboxKey { due: at(due), id: [id; 16] }, value: vec![id] }
}

async fn what_waits_to_leave_is_found_when_due(kind: Kind) {
    let mut bench = Bench::new(kind);
    let store = bench.store();
    made(&*store, 1).await;
    let outbox = vec![waits(30, 1), waits(10, 2), waits(10, 0xff)];
    store.submit(Append { outbox, ..append(1, 1, 1, &["x"]) }).durable().await.unwrap();
    // What is refused promises nothing.
    let refused = Append { outbox: vec![waits(5, 9)], ..append(1, 1, 1, &["x"]) };
    store.submit(refused).durable().await.unwrap_err();
    let large = OutboxRow { value: vec![0; 4093], ..waits(1, 1) };
    let refused = Append { outbox: vec![large], ..append(1, 1, 2, &["x"]) };
    let error = store.submit(refused).durable().await.unwrap_err();
    assert!(matches!(error, AppendError::TooLarge { .. }), "{error}");
    drop(store);
    bench.reopen();
    let store = bench.store();
    let list = async |after, until, limit| store.outbox(after, at(until), limit).await.unwrap();
    assert_eq!(list(None, 9, 9).await, []);
    assert_eq!(list(None, 10, 9).await, [waits(10, 2), waits(10, 0xff)]);
    assert_eq!(list(None, 10, 1).await, [waits(10, 2)]);
    assert_eq!(list(Some(waits(10, 2).key), u64::MAX, 9).await, [waits(10, 0xff), waits(30, 1)]);
    assert_eq!(list(Some(waits(30, 1).key), u64::MAX, 9).await, []);
    assert_eq!(list(Some(waits(30, 1).key), 10, 9).await, []);
    // A new generation keeps it.
    store.prune(Box::new(Keeps)).await.unwrap();
    assert_eq!(list(None, 30, 9).await.len(), 3);
}

struct Keeps;

impl Sieve for Keeps {
    fn run(&mut self, _: RunId, _: &RunRow) -> Result<Fate, PruneError> {
        Ok(Fate::Drop)
    }

    fn event(&mut self, _: RunId, _: u64, record: Vec<u8>) -> Result<Vec<u8>, PruneError> {
        Ok(record)
    }
}

async fn what_waits_to_leave_is_taken_once(kind: Kind) {
    let hook = Arc::new(HoldSync::default());
    let bench = Bench::with_hook(kind, Arc::clone(&hook) as Arc<_>);
    let store = bench.store();
    let put = |rows: &[OutboxRow]| OutboxChange { put: rows.to_vec(), ..OutboxChange::default() };
    store.change_outbox(put(&[waits(10, 1), waits(20, 2)])).durable().await.unwrap();
    let later = OutboxChange { remove: vec![waits(10, 1).key], put: vec![waits(40, 1)] };
    let now = async || store.outbox(None, at(99), 9).await.unwrap();
    {
        let _held = hook.hold();
        let ticket = store.change_outbox(later.clone());
        hook.until_waiting();
        assert_eq!(now().await, [waits(10, 1), waits(20, 2)], "it is not durable yet");
        hook.release();
        ticket.durable().await.unwrap();
    }
    assert_eq!(now().await, [waits(20, 2), waits(40, 1)]);
    let error = store.change_outbox(later).durable().await.unwrap_err();
    assert!(matches!(error, AppendError::Gone), "{error}");
    let both = OutboxChange { remove: vec![waits(20, 2).key, waits(10, 1).key], put: vec![waits(7, 7)] };
    store.change_outbox(both).durable().await.unwrap_err();
    assert_eq!(now().await, [waits(20, 2), waits(40, 1)], "all or nothing");
    let taken = || store.change_outbox(OutboxChange { remove: vec![waits(20, 2).key], put: Vec::new() });
    let (one, other) = tokio::join!(taken().durable(), taken().durable());
    assert!(one.is_ok() != other.is_ok(), "one of two takes it: {one:?} {other:?}");
}

async fn runs_are_listed_newest_first(kind: Kind) {
    let bench = Bench::new(kind);
    let store = bench.store();
    assert_eq!(store.runs(None, 9).await.unwrap(), []);
    for n in [4, 0, 0xff, 9] {
        made(&*store, n).await;
    }
    let list = async |before, limit| {
        let rows = store.runs(before, limit).await.unwrap();
        rows.into_iter().map(|(run, _)| run.as_bytes()[0]).collect::<Vec<_>>()
    };
    assert_eq!(list(None, 99).await, [0xff, 9, 4, 0]);
    assert_eq!(list(None, 2).await, [0xff, 9]);
    assert_eq!(list(Some(run(9)), 2).await, [4, 0]);
    assert_eq!(list(Some(run(5)), 1).await, [4]);
    assert!(list(Some(run(0)), 9).await.is_empty());
    assert!(list(None, 0).await.is_empty());
}

async fn places_of_items_are_found(kind: Kind) {
    let mut bench = Bench::new(kind);
    let store = bench.store();
    let step = |name: &str| name.parse::<StepName>().unwrap();
    let touch = |name, item, seq| Touch { step: step(name), item, seq };
    let touched = vec![touch("a", None, 1)];
    store.create_run(CreateRun { touched, ..create(1, None, &["1"]) }).await.unwrap();
    made(&*store, 2).await;
    let many = (2..=200).map(|n| n.to_string()).collect::<Vec<_>>();
    let many = many.iter().map(String::as_str).collect::<Vec<_>>();
    let touched = vec![
        touch("a", Some(0), 2),
        touch("a", Some(0), 33),
        touch("a", Some(0), 34),
        touch("a", Some(0), 200),
        touch("a", Some(1), 64),
        touch("ab", Some(0), 65),
    ];
    store.submit(Append { touched, ..append(1, 1, 1, &many) }).durable().await.unwrap();
    let refused = Append { touched: vec![touch("a", Some(9), 1)], ..append(1, 1, 1, &["x"]) };
    store.submit(refused).durable().await.unwrap_err();
    drop(store);
    bench.reopen();
    let store = bench.store();
    store.submit(Append { touched: vec![touch("a", Some(1), 201)], ..append(1, 1, 200, &["x"]) });
    store.submit(Append { touched: vec![touch("a", Some(1), 202)], ..append(1, 1, 201, &["x"]) });
    store.claim(run(1)).await.unwrap();
    for (n, name, item, expect) in [
        (1, "a", None, &[1..=32][..]),
        (1, "a", Some(0), &[1..=64, 193..=224]),
        (1, "a", Some(1), &[33..=64, 193..=224]),
        (1, "ab", Some(0), &[65..=96]),
        (1, "a", Some(9), &[]),
        (1, "ab", None, &[]),
        (2, "a", None, &[]),
        (3, "a", None, &[]),
    ] {
        assert_eq!(store.places(run(n), &step(name), item).await.unwrap(), expect, "{name} {item:?} of {n}");
    }
}

async fn unfinished_runs_are_listed_oldest_first(kind: Kind) {
    let mut bench = Bench::new(kind);
    let store = bench.store();
    let list = async |store: &dyn Store, after: Option<u8>, limit| {
        let runs = store.unfinished(after.map(run), limit).await.unwrap();
        runs.into_iter().map(|run| run.as_bytes()[0]).collect::<Vec<_>>()
    };
    assert!(list(&*store, None, 9).await.is_empty());
    for n in [4, 0, 0xff, 9] {
        made(&*store, n).await;
    }
    let set = async |store: &dyn Store, n, expected, ended| {
        store.submit(Append { ended, ..append(n, 1, expected, &["x"]) }).durable().await.unwrap();
    };
    assert_eq!(list(&*store, None, 9).await, [0, 4, 9, 0xff]);
    assert_eq!(list(&*store, None, 2).await, [0, 4]);
    assert_eq!(list(&*store, Some(4), 9).await, [9, 0xff]);
    assert_eq!(list(&*store, Some(5), 1).await, [9]);
    assert!(list(&*store, Some(0xff), 9).await.is_empty());
    assert!(list(&*store, None, 0).await.is_empty());
    set(&*store, 4, 1, Some(true)).await;
    set(&*store, 9, 1, Some(true)).await;
    set(&*store, 4, 2, None).await;
    set(&*store, 0, 1, Some(false)).await;
    set(&*store, 9, 2, Some(false)).await;
    let row = store.run(run(4)).await.unwrap().unwrap();
    assert!(row.ended);
    drop(store);
    bench.reopen();
    let store = bench.store();
    assert_eq!(list(&*store, None, 9).await, [0, 9, 0xff]);
    assert!(store.claim(run(4)).await.unwrap().ended, "a claim leaves it ended");
    assert_eq!(list(&*store, None, 9).await, [0, 9, 0xff]);
}

/// Timers and unfinished runs come and go in indexes: pages are full and in order while a group that takes some
/// out and puts others in is not durable.
async fn an_index_never_shows_what_is_not_durable(kind: Kind) {
    let hold = Arc::new(HoldSync::default());
    let bench = Bench::with_hook(kind, Arc::clone(&hold) as _);
    let store = bench.store();
    for n in [2, 4, 6, 8] {
        made(&*store, n).await;
        let due = Some(Some(at(u64::from(n))));
        store.submit(Append { due, ..append(n, 1, 1, &["2"]) }).durable().await.unwrap();
    }
    let look = async || {
        let mut out = Vec::new();
        for limit in 0..6 {
            out.push(store.unfinished(None, limit).await.unwrap());
            out.push(store.due(at(99), limit).await.unwrap().into_iter().map(|(_, run)| run).collect());
        }
        out.push(store.unfinished(Some(run(4)), 9).await.unwrap());
        out
    };
    let before = look().await;
    assert_eq!(before[6], [run(2), run(4), run(6)]);
    let _held = hold.hold();
    let first = store.submit(append(2, 1, 2, &["alone"]));
    hold.until_waiting();
    let mut tickets = vec![first];
    let mut creating = Vec::new();
    for n in [1, 3, 5] {
        let mut made = store.create_run(create(n, None, &["1"]));
        begin(&mut made).await;
        creating.push(made);
        tickets.push(store.submit(Append { due: Some(Some(at(3))), ..append(n, 1, 1, &["2"]) }));
    }
    for n in [4, 6] {
        tickets.push(store.submit(Append { due: Some(None), ended: Some(true), ..append(n, 1, 2, &["3"]) }));
    }
    hold.next();
    assert_eq!(look().await, before);
    hold.release();
    for ticket in tickets {
        ticket.durable().await.unwrap();
    }
    let after = [1, 2, 3, 5, 8].map(run);
    assert_eq!(store.unfinished(None, 9).await.unwrap(), after);
    let due = store.due(at(99), 9).await.unwrap().into_iter().map(|(_, run)| run).collect::<Vec<_>>();
    assert_eq!(due, [2, 1, 3, 5, 8].map(run));
}

/// Lets the runs through that are not named.
struct Without(Vec<RunId>);

impl Sieve for Without {
    fn run(&mut self, run: RunId, _: &RunRow) -> Result<Fate, PruneError> {
        Ok(if self.0.contains(&run) { Fate::Drop } else { Fate::Keep })
    }

    fn event(&mut self, _: RunId, _: u64, _: Vec<u8>) -> Result<Vec<u8>, PruneError> {
        unreachable!("no run is rewritten")
    }
}

async fn a_new_generation_holds_what_lives(kind: Kind) {
    let mut bench = Bench::new(kind);
    let store = bench.store();
    let step = "a".parse::<StepName>().unwrap();
    for n in 1..=5 {
        let key = format!("key {n}");
        let touched = vec![Touch { step: step.clone(), item: None, seq: 1 }];
        store.create_run(CreateRun { touched, ..create(n, Some(&key), &["1"]) }).await.unwrap();
        let (due, ended) = (Some(Some(at(u64::from(n)))), Some(n == 4));
        store.submit(Append { due, ended, ..append(n, 1, 1, &["2", "3"]) }).durable().await.unwrap();
    }
    store.put_meta("m", b"value".to_vec(), Vec::new()).durable().await.unwrap();
    let gone = [2, 3, 9].map(run);
    let look = async |store: &dyn Store| {
        let mut out = Vec::new();
        for n in [1, 4, 5] {
            out.push(format!("{:?}", store.run(run(n)).await.unwrap().unwrap()));
            out.push(format!("{:?}", store.read(run(n), 1, 99).await.unwrap()));
            out.push(format!("{:?}", store.by_key(format!("key {n}").as_bytes()).await.unwrap()));
            out.push(format!("{:?}", store.places(run(n), &step, None).await.unwrap()));
        }
        let others =
            |runs: Vec<RunId>| runs.into_iter().filter(|run| !gone.contains(run)).collect::<Vec<_>>();
        out.push(format!("{:?}", others(store.unfinished(None, 9).await.unwrap())));
        let due = store.due(at(9), 9).await.unwrap().into_iter().map(|(_, run)| run);
        out.push(format!("{:?}", others(due.collect())));
        out.push(format!(
            "{:?}",
            others(store.runs(None, 9).await.unwrap().into_iter().map(|it| it.0).collect())
        ));
        out.push(format!("{:?}", store.meta("m").await.unwrap()));
        out
    };
    let before = look(&*store).await;
    let (id, sifted) = (store.id(), store.prune(Box::new(Without(gone.to_vec()))).await.unwrap());
    assert_eq!((sifted.runs, sifted.events), (2, 6));
    drop(store);
    for _ in 0..2 {
        let store = bench.store();
        assert_eq!(look(&*store).await, before);
        assert_eq!(store.id(), id);
        assert_eq!(store.runs(None, 9).await.unwrap().len(), 3);
        assert_eq!(store.unfinished(None, 9).await.unwrap(), [run(1), run(5)]);
        assert_eq!(store.due(at(9), 9).await.unwrap().len(), 3);
        for n in [2, 3] {
            assert_eq!(store.run(run(n)).await.unwrap(), None);
            assert!(matches!(store.read(run(n), 1, 9).await, Err(ReadError::UnknownRun { .. })));
            assert_eq!(store.by_key(format!("key {n}").as_bytes()).await.unwrap(), None);
            assert!(store.places(run(n), &step, None).await.unwrap().is_empty());
            let refused = store.submit(append(n, 1, 3, &["x"])).durable().await;
            assert!(matches!(refused, Err(AppendError::UnknownRun { .. })));
        }
        drop(store);
        bench.reopen();
    }
    // Its key makes a run again, and another generation follows.
    let store = bench.store();
    assert_eq!(store.create_run(create(6, Some("key 2"), &["1"])).await.unwrap(), CreateOutcome::New);
    assert_eq!(store.prune(Box::new(Without(vec![run(1)]))).await.unwrap().runs, 1);
    assert_eq!(events(&*store, 6).await, ["1"]);
    if kind == Kind::Sled {
        let generations = std::fs::read_dir(bench.state()).unwrap().map(|entry| entry.unwrap().file_name());
        let mut generations = generations.filter(|name| name.to_string_lossy().starts_with("gen-"));
        assert_eq!(generations.next().unwrap(), "gen-0003");
        assert!(generations.next().is_none(), "the old ones are gone");
    }
}

/// Appends that were handed over before a new generation is made are in it, and those after it go on in it.
async fn writers_are_carried_over_to_a_new_generation(kind: Kind) {
    let hold = Arc::new(HoldSync::default());
    let mut bench = Bench::with_hook(kind, Arc::clone(&hold) as _);
    let store = bench.store();
    for n in 1..=3 {
        made(&*store, n).await;
    }
    let _held = hold.hold();
    let first = store.submit(append(1, 1, 1, &["2"]));
    hold.until_waiting();
    let second = store.submit(append(1, 1, 2, &["3"]));
    let mut pruning = store.prune(Box::new(Without(vec![run(2)])));
    begin(&mut pruning).await;
    let third = store.submit(append(1, 1, 3, &["4"]));
    let gone = store.submit(append(2, 1, 1, &["x"]));
    let mut claim = store.claim(run(3));
    begin(&mut claim).await;
    hold.release();
    for ticket in [first, second, third] {
        ticket.durable().await.unwrap();
    }
    assert_eq!(pruning.await.unwrap().runs, 1);
    assert!(matches!(gone.durable().await, Err(AppendError::UnknownRun { .. })));
    assert_eq!(claim.await.unwrap().fence, 2);
    for head in 4..30 {
        store.submit(append(1, 1, head, &["x"])).durable().await.unwrap();
    }
    drop(store);
    bench.reopen();
    let store = bench.store();
    assert_eq!(events(&*store, 1).await.len(), 30);
    assert_eq!(store.claim(run(3)).await.unwrap().fence, 3);
}
