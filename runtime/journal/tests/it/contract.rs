//! The contract of stores: one suite, every kind of store.

use std::sync::Arc;
use std::task::Poll;

use wflo_journal::{
    Append, AppendError, Barrier, CreateOutcome, CreateRun, FaultSync, MAX_APPEND, MAX_RUN_KEY, ReadError,
};

use crate::support::{Bench, HoldSync, Kind, append, at, begin, contract, create, events, made, run};

/// Largest payload of a record: the checksum takes four bytes.
const MAX_PAYLOAD: usize = 4092;

contract! {
    sequences_are_dense_and_survive,
    edges_of_ranges,
    of_64_racing_appends_one_wins,
    of_16_racing_claims_the_last_one_writes,
    a_stale_fence_is_refused,
    a_stale_fence_is_refused_in_the_middle_of_a_group,
    appends_of_a_run_share_a_group,
    a_refused_append_changes_nothing,
    a_dropped_ticket_cancels_nothing,
    a_key_makes_one_run,
    too_large_is_refused_and_the_largest_survives,
    reads_never_show_what_is_not_durable,
    a_failed_sync_poisons,
    a_failed_barrier_poisons_and_writes_nothing,
    values_are_kept,
    what_is_not_there_is_said,
}

async fn sequences_are_dense_and_survive(kind: Kind) {
    let mut bench = Bench::new(kind);
    let store = bench.store();
    let id = store.id();
    made(&*store, 1).await;
    for head in 1..20 {
        store.submit(append(1, 1, head, &[&format!("{}", head + 1)])).durable().await.unwrap();
    }
    let expect = (1..=20).map(|n: u64| n.to_string()).collect::<Vec<_>>();
    assert_eq!(events(&*store, 1).await, expect);
    drop(store);
    bench.reopen();
    let store = bench.store();
    assert_eq!(store.id(), id);
    assert_eq!(events(&*store, 1).await, expect);
    let row = store.run(run(1)).await.unwrap().unwrap();
    assert_eq!((row.head, row.fence, &row.state[..]), (20, 1, &b"after 19"[..]));
}

async fn edges_of_ranges(kind: Kind) {
    let bench = Bench::new(kind);
    let store = bench.store();
    // Neighbours, whose events must not leak in.
    for n in [0, 1, 2, 0xff] {
        store.create_run(create(n, None, &["a", "b", "c"])).await.unwrap();
    }
    for n in [0, 1, 0xff] {
        for (from, limit, expect) in [
            (0, 9, &[b"a", b"b", b"c"][..]),
            (1, 2, &[b"a", b"b"]),
            (2, 1, &[b"b"]),
            (3, usize::MAX, &[b"c"]),
            (4, 9, &[]),
            (u64::MAX, usize::MAX, &[]),
            (1, 0, &[]),
        ] {
            assert_eq!(store.read(run(n), from, limit).await.unwrap(), expect, "from {from} limit {limit}");
        }
    }
}

async fn of_64_racing_appends_one_wins(kind: Kind) {
    let bench = Bench::new(kind);
    let store = bench.store();
    made(&*store, 1).await;
    let racing = (0..64).map(|n| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.submit(append(1, 1, 1, &[&format!("racer {n}")])).durable().await })
    });
    let mut won = 0;
    for racer in racing.collect::<Vec<_>>() {
        match racer.await.unwrap() {
            Ok(()) => won += 1,
            Err(AppendError::Conflict { head }) => assert_eq!(head, 2),
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(won, 1);
    assert_eq!(events(&*store, 1).await.len(), 2);
}

async fn of_16_racing_claims_the_last_one_writes(kind: Kind) {
    let bench = Bench::new(kind);
    let store = bench.store();
    made(&*store, 1).await;
    let racing = (0..16).map(|_| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.claim(run(1)).await.unwrap().fence })
    });
    let mut fences = Vec::new();
    for racer in racing.collect::<Vec<_>>() {
        fences.push(racer.await.unwrap());
    }
    fences.sort_unstable();
    assert_eq!(fences, (2..=17).collect::<Vec<_>>(), "each has a number of its own");
    for fence in 1..=17 {
        let appended = store.submit(append(1, fence, 1, &["x"])).durable().await;
        assert_eq!(appended.is_ok(), fence == 17, "{fence}: {appended:?}");
    }
}

async fn a_stale_fence_is_refused(kind: Kind) {
    let mut bench = Bench::new(kind);
    let store = bench.store();
    made(&*store, 1).await;
    let row = store.claim(run(1)).await.unwrap();
    assert_eq!((row.fence, row.head, &row.state[..]), (2, 1, &b"made"[..]));
    let refused = store.submit(append(1, 1, 1, &["stale"])).durable().await;
    assert!(matches!(refused, Err(AppendError::Fenced)));
    let refused = store.submit(append(1, 3, 1, &["from the future"])).durable().await;
    assert!(matches!(refused, Err(AppendError::Fenced)));
    store.submit(append(1, 2, 1, &["2"])).durable().await.unwrap();
    assert_eq!(events(&*store, 1).await, ["1", "2"]);
    drop(store);
    bench.reopen();
    assert_eq!(bench.store().claim(run(1)).await.unwrap().fence, 3, "a fence outlives the process");
}

async fn a_stale_fence_is_refused_in_the_middle_of_a_group(kind: Kind) {
    let hold = Arc::new(HoldSync::default());
    let bench = Bench::with_hook(kind, Arc::clone(&hold) as _);
    let store = bench.store();
    made(&*store, 1).await;
    made(&*store, 2).await;
    let _held = hold.hold();
    let first = store.submit(append(2, 1, 1, &["x"]));
    hold.until_waiting();
    // From here on all gather in one group.
    let before = store.submit(append(1, 1, 1, &["2"]));
    let mut claim = store.claim(run(1));
    begin(&mut claim).await;
    let stale = store.submit(append(1, 1, 2, &["stale"]));
    let fresh = store.submit(append(1, 2, 2, &["3"]));
    let syncs = hold.syncs();
    hold.release();
    first.durable().await.unwrap();
    before.durable().await.unwrap();
    assert_eq!(claim.await.unwrap().head, 2);
    assert!(matches!(stale.durable().await, Err(AppendError::Fenced)));
    fresh.durable().await.unwrap();
    assert_eq!(hold.syncs(), syncs + 1, "one group");
    assert_eq!(events(&*store, 1).await, ["1", "2", "3"]);
}

async fn appends_of_a_run_share_a_group(kind: Kind) {
    let hold = Arc::new(HoldSync::default());
    let mut bench = Bench::with_hook(kind, Arc::clone(&hold) as _);
    let store = bench.store();
    made(&*store, 1).await;
    made(&*store, 2).await;
    let _held = hold.hold();
    let first = store.submit(append(2, 1, 1, &["x"]));
    hold.until_waiting();
    let many = (1..=50).map(|head| store.submit(append(1, 1, head, &[&(head + 1).to_string()])));
    let many = many.collect::<Vec<_>>();
    let late = store.submit(append(1, 1, 7, &["conflict"]));
    let syncs = hold.syncs();
    hold.release();
    first.durable().await.unwrap();
    for ticket in many {
        ticket.durable().await.unwrap();
    }
    assert!(matches!(late.durable().await, Err(AppendError::Conflict { head: 51 })));
    assert_eq!(hold.syncs(), syncs + 1, "one group, one sync");
    drop(store);
    bench.reopen();
    assert_eq!(events(&*bench.store(), 1).await, (1..=51).map(|n| n.to_string()).collect::<Vec<_>>());
}

async fn a_refused_append_changes_nothing(kind: Kind) {
    let bench = Bench::new(kind);
    let store = bench.store();
    made(&*store, 1).await;
    let before = store.run(run(1)).await.unwrap();
    for (fence, expected) in [(1, 0), (1, 2), (1, u64::MAX), (2, 1), (0, 1)] {
        let refused = Append { due: Some(Some(at(5))), ..append(1, fence, expected, &["a", "b", "c"]) };
        store.submit(refused).durable().await.unwrap_err();
        assert_eq!(store.run(run(1)).await.unwrap(), before);
        assert_eq!(events(&*store, 1).await, ["1"]);
        assert_eq!(store.due(at(u64::MAX), 9).await.unwrap(), []);
    }
}

async fn a_dropped_ticket_cancels_nothing(kind: Kind) {
    let bench = Bench::new(kind);
    let store = bench.store();
    made(&*store, 1).await;
    drop(store.submit(append(1, 1, 1, &["2", "3"])));
    let mut claim = store.claim(run(1));
    let once = std::future::poll_fn(|context| Poll::Ready(claim.as_mut().poll(context).is_ready()));
    once.await;
    drop(claim);
    // What comes after waits for what came before.
    assert_eq!(store.claim(run(1)).await.unwrap().fence, 3);
    assert_eq!(events(&*store, 1).await, ["1", "2", "3"]);
}

async fn a_key_makes_one_run(kind: Kind) {
    let mut bench = Bench::new(kind);
    let store = bench.store();
    let racing = (0..16).map(|n| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { (n, store.create_run(create(n, Some("order-17"), &["1"])).await.unwrap()) })
    });
    let mut outcomes = Vec::new();
    for racer in racing.collect::<Vec<_>>() {
        outcomes.push(racer.await.unwrap());
    }
    let won = outcomes.iter().filter(|(_, outcome)| *outcome == CreateOutcome::New);
    let [(winner, _)] = won.collect::<Vec<_>>()[..] else { panic!("one wins: {outcomes:?}") };
    let lost = outcomes.iter().filter(|(n, _)| n != winner);
    assert!(lost.into_iter().all(|(_, outcome)| *outcome == CreateOutcome::Exists(run(*winner))));
    assert_eq!(store.runs(None, 99).await.unwrap().len(), 1);

    let again = store.create_run(create(*winner, None, &["1"])).await;
    assert!(matches!(again, Err(AppendError::RunExists { run: exists }) if exists == run(*winner)));
    assert_eq!(store.by_key(b"order-1").await.unwrap(), None, "a key is not its prefix");
    let longest = "k".repeat(MAX_RUN_KEY);
    assert_eq!(store.create_run(create(40, Some(&longest), &[])).await.unwrap(), CreateOutcome::New);
    let longer = "k".repeat(MAX_RUN_KEY + 1);
    assert!(matches!(
        store.create_run(create(41, Some(&longer), &[])).await,
        Err(AppendError::TooLarge { .. })
    ));
    let winner = *winner;
    drop(store);
    bench.reopen();
    assert_eq!(bench.store().by_key(b"order-17").await.unwrap(), Some(run(winner)));
}

async fn too_large_is_refused_and_the_largest_survives(kind: Kind) {
    let mut bench = Bench::new(kind);
    let store = bench.store();
    made(&*store, 1).await;
    let largest = vec![7; MAX_PAYLOAD];
    let most = MAX_APPEND / MAX_PAYLOAD;
    let with = |events, state: usize| Append { events, state: vec![1; state], ..append(1, 1, 1, &[]) };
    for refused in [
        with(vec![vec![7; MAX_PAYLOAD + 1]], 0),
        with(Vec::new(), MAX_PAYLOAD - 25),
        with(vec![largest.clone(); most + 1], 0),
    ] {
        assert!(matches!(store.submit(refused).durable().await, Err(AppendError::TooLarge { .. })));
    }
    let refused = CreateRun { events: vec![vec![7; MAX_PAYLOAD + 1]], ..create(2, None, &[]) };
    assert!(matches!(store.create_run(refused).await, Err(AppendError::TooLarge { .. })));
    assert!(store.put_meta("m", vec![1; MAX_PAYLOAD + 1], Vec::new()).durable().await.is_err());
    store.put_meta("m", largest.clone(), Vec::new()).durable().await.unwrap();
    store.submit(with(vec![largest.clone(); most], MAX_PAYLOAD - 26)).durable().await.unwrap();
    drop(store);
    bench.reopen();
    let store = bench.store();
    assert_eq!(store.read(run(1), 2, 9999).await.unwrap(), vec![largest.clone(); most]);
    assert_eq!(store.meta("m").await.unwrap(), Some(largest));
    if kind != Kind::Memory {
        let apart = std::fs::read_dir(bench.state().join("gen-0001/index/blobs")).unwrap().count();
        assert_eq!(apart, 0, "sled keeps no value in a file of its own, which it would never sync");
    }
}

async fn reads_never_show_what_is_not_durable(kind: Kind) {
    let hold = Arc::new(HoldSync::default());
    let bench = Bench::with_hook(kind, Arc::clone(&hold) as _);
    let store = bench.store();
    for n in [1, 3, 5] {
        made(&*store, n).await;
    }
    let timed = Append { due: Some(Some(at(10))), ..append(1, 1, 1, &["2"]) };
    store.submit(timed).durable().await.unwrap();
    store.put_meta("m", b"old".to_vec(), Vec::new()).durable().await.unwrap();
    let look = async || {
        (
            store.run(run(1)).await.unwrap().unwrap(),
            events(&*store, 1).await,
            store.runs(None, 3).await.unwrap(),
            store.due(at(99), 9).await.unwrap(),
            store.meta("m").await.unwrap(),
            store.meta("n").await.unwrap(),
            store.by_key(b"key").await.unwrap(),
            store.run(run(4)).await.unwrap(),
        )
    };
    let before = look().await;
    assert_eq!(before.3, [(at(10), run(1))]);

    let _held = hold.hold();
    let moved = Append { due: Some(Some(at(20))), ..append(1, 1, 2, &["3"]) };
    let tickets = [
        // Taken alone; the others follow in the next group, and the look is after each.
        store.submit(moved),
        store.put_meta("m", b"new".to_vec(), Vec::new()),
        store.put_meta("n", b"new".to_vec(), Vec::new()),
        store.submit(Append { due: Some(None), ..append(1, 1, 3, &["4"]) }),
    ];
    hold.until_waiting();
    assert_eq!(look().await, before);
    let mut creating = store.create_run(create(4, Some("key"), &["1"]));
    begin(&mut creating).await;
    assert_eq!(look().await, before);
    hold.release();
    for ticket in tickets {
        ticket.durable().await.unwrap();
    }
    assert_eq!(creating.await.unwrap(), CreateOutcome::New);
    let after = look().await;
    assert_eq!(after.1, ["1", "2", "3", "4"]);
    assert_eq!(after.2.iter().map(|(run, _)| *run).collect::<Vec<_>>(), [run(5), run(4), run(3)]);
    assert_eq!(after.3, []);
    assert_eq!((after.4.as_deref(), after.5.as_deref()), (Some(&b"new"[..]), Some(&b"new"[..])));
    assert_eq!(after.6, Some(run(4)));
}

/// Fails each sync in turn: what was acknowledged is there, what was not is not shown, and nothing goes on.
async fn a_failed_sync_poisons(kind: Kind) {
    for fail_at in 1..=6 {
        let mut bench = Bench::with_hook(kind, Arc::new(FaultSync::at(fail_at)));
        let store = bench.store();
        let mut acknowledged = 0;
        let mut failure = store.create_run(create(1, None, &["1"])).await.err();
        while failure.is_none() {
            acknowledged += 1;
            failure = store.submit(append(1, 1, acknowledged, &["x"])).durable().await.err();
        }
        assert!(matches!(failure, Some(AppendError::Unknown { .. })), "{failure:?}");
        assert_eq!(acknowledged, fail_at - 1);
        assert!(store.poisoned().is_some_and(|message| message.contains("injected")));
        let poisoned = |result| matches!(result, Err(AppendError::Poisoned { .. }));
        assert!(poisoned(store.submit(append(1, 1, acknowledged, &["x"])).durable().await));
        assert!(poisoned(store.create_run(create(2, None, &["1"])).await.map(drop)));
        assert!(poisoned(store.claim(run(1)).await.map(drop)));
        assert!(poisoned(store.put_meta("m", Vec::new(), Vec::new()).durable().await));
        let head = store.run(run(1)).await.unwrap().map_or(0, |row| row.head);
        assert_eq!(head, acknowledged, "what may not be durable is never shown");

        drop(store);
        bench.reopen();
        let store = bench.store();
        let row = store.run(run(1)).await.unwrap();
        let head = row.as_ref().map_or(0, |row| row.head);
        assert!(head == acknowledged || head == acknowledged + 1, "the one in doubt is there or not");
        if head > 0 {
            assert_eq!(events(&*store, 1).await.len() as u64, head);
            store.submit(append(1, 1, head, &["on"])).durable().await.unwrap();
        }
    }
}

async fn a_failed_barrier_poisons_and_writes_nothing(kind: Kind) {
    let mut bench = Bench::new(kind);
    let store = bench.store();
    made(&*store, 1).await;
    let (signal, barrier) = Barrier::pair();
    signal.lift(Ok(()));
    store.submit(Append { after: vec![barrier], ..append(1, 1, 1, &["2"]) }).durable().await.unwrap();
    let (signal, barrier) = Barrier::pair();
    let ticket = store.submit(Append { after: vec![barrier], ..append(1, 1, 2, &["3"]) });
    assert!(ticket.now().is_none(), "it waits for the barrier");
    signal.lift(Err("no space".to_owned()));
    assert!(matches!(ticket.durable().await, Err(AppendError::Poisoned { .. })));
    drop(store);
    bench.reopen();
    assert_eq!(events(&*bench.store(), 1).await, ["1", "2"]);
}

async fn values_are_kept(kind: Kind) {
    let mut bench = Bench::new(kind);
    let store = bench.store();
    assert_eq!(store.meta("a").await.unwrap(), None);
    for value in ["one", "two", ""] {
        store.put_meta("a", value.into(), Vec::new()).durable().await.unwrap();
        assert_eq!(store.meta("a").await.unwrap().unwrap(), value.as_bytes());
    }
    store.put_meta("ab", b"other".to_vec(), Vec::new()).durable().await.unwrap();
    drop(store);
    bench.reopen();
    assert_eq!(bench.store().meta("a").await.unwrap().unwrap(), b"");
}

async fn what_is_not_there_is_said(kind: Kind) {
    let bench = Bench::new(kind);
    let store = bench.store();
    assert_eq!(store.run(run(1)).await.unwrap(), None);
    assert!(matches!(store.read(run(1), 1, 9).await, Err(ReadError::UnknownRun { .. })));
    assert!(matches!(store.claim(run(1)).await, Err(AppendError::UnknownRun { .. })));
    let refused = store.submit(append(1, 1, 0, &["x"])).durable().await;
    assert!(matches!(refused, Err(AppendError::UnknownRun { .. })));
}
