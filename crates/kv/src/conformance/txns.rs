//! Guarded transactions and `put_each`.

use std::sync::Arc;

use futures::future::join_all;

use super::{Store, get, put, text, write};
use crate::port::{Durability, Error, Guard, GuardedPut, KeyRange, LeaseId, Op, OpReply, PutOutcome, Revision, Txn};

const DURABLE: Durability = Durability::Durable;

fn guarded(guards: Vec<Guard>, key: &str, value: &str) -> GuardedPut {
    GuardedPut { guards, key: key.to_string().into(), value: value.to_string().into(), lease: LeaseId(0) }
}

async fn holds(store: &Store, guards: Vec<Guard>) -> bool {
    store.txn(Txn { guards, ..Txn::default() }, DURABLE).await.unwrap().succeeded
}

pub(super) async fn guards_hold_exactly_when_they_should(store: Store) {
    let made = put(&store, "k", "old").await;
    let written = put(&store, "k", "v").await;
    let key = || "k".into();
    let none = || "none".into();
    let zero = Revision(0);
    let cases = [
        (Guard::ModRevision(key(), written), true),
        (Guard::ModRevision(key(), made), false),
        (Guard::ModRevision(key(), zero), false),
        (Guard::ModRevision(none(), zero), true),
        (Guard::ModRevision(none(), made), false),
        (Guard::CreateRevision(key(), made), true),
        (Guard::CreateRevision(key(), written), false),
        (Guard::CreateRevision(key(), zero), false),
        (Guard::CreateRevision(none(), zero), true),
        (Guard::Exists(key()), true),
        (Guard::Exists(none()), false),
        (Guard::Absent(key()), false),
        (Guard::Absent(none()), true),
        (Guard::Value(key(), "v".into()), true),
        (Guard::Value(key(), "old".into()), false),
        (Guard::Value(key(), "".into()), false),
        (Guard::Value(none(), "".into()), false),
    ];
    for (guard, expected) in cases {
        assert_eq!(holds(&store, vec![guard.clone()]).await, expected, "{guard:?}");
    }
    write(&store, vec![Op::delete("k")]).await;
    assert!(holds(&store, vec![Guard::Absent(key()), Guard::ModRevision(key(), zero)]).await);
    assert!(!holds(&store, vec![Guard::Exists(key())]).await);
}

pub(super) async fn guards_are_a_conjunction_and_may_name_one_key_twice(store: Store) {
    let at = put(&store, "k", "v").await;
    let both = |value: &str| {
        vec![
            Guard::ModRevision("k".into(), at),
            Guard::Value("k".into(), value.to_string().into()),
            Guard::Absent("n".into()),
        ]
    };
    assert!(holds(&store, both("v")).await);
    assert!(!holds(&store, both("w")).await);
    assert!(holds(&store, vec![]).await);
}

pub(super) async fn the_other_branch_runs_when_a_guard_fails(store: Store) {
    let txn = Txn {
        guards: vec![Guard::Exists("k".into())],
        then: vec![Op::put("then", "1")],
        or_else: vec![Op::put("else", "1"), Op::Get(KeyRange::key("else"))],
    };
    let reply = store.txn(txn.clone(), DURABLE).await.unwrap();
    assert!(!reply.succeeded);
    assert_eq!(reply.replies.len(), 2);
    assert!(get(&store, "then").await.is_none() && get(&store, "else").await.is_some());
    put(&store, "k", "").await;
    let reply = store.txn(txn, DURABLE).await.unwrap();
    assert!(reply.succeeded && reply.replies.len() == 1);
    assert!(get(&store, "then").await.is_some());
}

pub(super) async fn a_transaction_has_one_revision(store: Store) {
    put(&store, "gone", "").await;
    let reply = write(&store, vec![Op::put("a", "1"), Op::put("b", "2"), Op::delete("gone")]).await;
    let (a, b) = (get(&store, "a").await.unwrap(), get(&store, "b").await.unwrap());
    assert_eq!((a.mod_revision, b.mod_revision), (reply.revision, reply.revision));
    assert_eq!(store.revision().await.unwrap(), reply.revision);
}

pub(super) async fn a_refused_transaction_changes_nothing(store: Store) {
    let before = put(&store, "a", "1").await;
    let dead = LeaseId(0x0dead);
    let txn = Txn {
        then: vec![Op::put("a", "2"), Op::delete("a2"), Op::Put { key: "b".into(), value: "".into(), lease: dead }],
        ..Txn::default()
    };
    match store.txn(txn, DURABLE).await {
        Err(Error::LeaseGone(lease)) => assert_eq!(lease, dead),
        other => panic!("{other:?}"),
    }
    assert_eq!(text(&get(&store, "a").await.unwrap().value), "1");
    assert_eq!(store.revision().await.unwrap(), before);
}

pub(super) async fn deletes_count_what_they_removed(store: Store) {
    write(&store, vec![Op::put("d/1", ""), Op::put("d/2", ""), Op::put("d0", "")]).await;
    let reply = write(&store, vec![Op::Delete(KeyRange::prefix("d/")), Op::delete("none")]).await;
    assert!(matches!(reply.replies[..], [OpReply::Delete(2), OpReply::Delete(0)]), "{:?}", reply.replies);
    assert!(get(&store, "d/1").await.is_none() && get(&store, "d0").await.is_some());
}

pub(super) async fn a_get_sees_the_writes_before_it(store: Store) {
    put(&store, "k", "old").await;
    let range = || Op::Get(KeyRange::prefix("k"));
    let reply = write(&store, vec![range(), Op::put("k", "new"), range(), Op::put("k2", "x"), range()]).await;
    let values: Vec<Vec<String>> = reply
        .replies
        .iter()
        .filter_map(|reply| match reply {
            OpReply::Get(kvs) => Some(kvs.iter().map(|kv| text(&kv.value)).collect()),
            _ => None,
        })
        .collect();
    assert_eq!(values, [vec!["old"], vec!["new"], vec!["new", "x"]]);
}

pub(super) async fn overlapping_deletes_are_allowed(store: Store) {
    write(&store, vec![Op::put("o/1", ""), Op::put("o/2", "")]).await;
    let reply = write(&store, vec![Op::delete("o/1"), Op::Delete(KeyRange::prefix("o/"))]).await;
    assert!(matches!(reply.replies[..], [OpReply::Delete(1), OpReply::Delete(1)]), "{:?}", reply.replies);
}

pub(super) async fn of_many_writers_at_once_exactly_one_wins(store: Store) {
    for round in 0..5 {
        let key = format!("race/{round}");
        let writers = (0..16).map(|index| {
            let (store, key) = (Arc::clone(&store), key.clone());
            async move {
                let txn = Txn {
                    guards: vec![Guard::Absent(key.clone().into())],
                    then: vec![Op::put(key, index.to_string())],
                    or_else: vec![],
                };
                let durability = if index % 2 == 0 { DURABLE } else { Durability::Observed };
                store.txn(txn, durability).await.unwrap().succeeded.then(|| index.to_string())
            }
        });
        let winners: Vec<String> = join_all(writers).await.into_iter().flatten().collect();
        assert_eq!(winners, [text(&get(&store, &key).await.unwrap().value)]);
    }
}

pub(super) async fn put_each_gives_every_put_its_own_outcome(store: Store) {
    let at = put(&store, "have", "1").await;
    let gone = store.lease_grant(std::time::Duration::from_secs(60)).await.unwrap();
    store.lease_revoke(gone).await.unwrap();
    let puts = vec![
        guarded(vec![Guard::ModRevision("have".into(), at)], "have", "2"),
        guarded(vec![Guard::Absent("have".into())], "other", "x"),
        guarded(vec![], "free", "y"),
        GuardedPut { lease: gone, ..guarded(vec![], "leased", "z") },
        guarded(vec![Guard::Exists("have".into()), Guard::Exists("none".into())], "last", "z"),
    ];
    let outcomes = store.put_each(puts, Durability::Observed).await.unwrap();
    let [
        PutOutcome::Written(first),
        PutOutcome::Refused,
        PutOutcome::Written(third),
        PutOutcome::Refused,
        PutOutcome::Refused,
    ] = outcomes[..]
    else {
        panic!("{outcomes:?}");
    };
    assert!(first > at && third >= first);
    assert_eq!(get(&store, "have").await.unwrap().mod_revision, first);
    assert_eq!(get(&store, "free").await.unwrap().mod_revision, third);
    for refused in ["other", "leased", "last"] {
        assert_eq!(get(&store, refused).await, None, "{refused}");
    }
}

pub(super) async fn put_each_sees_the_puts_before_it(store: Store) {
    let puts = vec![
        guarded(vec![], "a", "1"),
        guarded(vec![Guard::Exists("a".into())], "b", "1"),
        guarded(vec![Guard::Absent("b".into())], "c", "1"),
    ];
    let outcomes = store.put_each(puts, DURABLE).await.unwrap();
    assert!(
        matches!(outcomes[..], [PutOutcome::Written(_), PutOutcome::Written(_), PutOutcome::Refused]),
        "{outcomes:?}"
    );
}

pub(super) async fn put_each_takes_any_number(store: Store) {
    put(&store, "n/0007", "").await;
    let puts = (0..1000).map(|index| {
        let key = format!("n/{index:04}");
        guarded(vec![Guard::Absent(key.clone().into())], &key, &"v".repeat(2000))
    });
    let outcomes = store.put_each(puts.collect(), Durability::Observed).await.unwrap();
    assert_eq!(outcomes.len(), 1000);
    for (index, outcome) in outcomes.iter().enumerate() {
        assert_eq!(matches!(outcome, PutOutcome::Written(_)), index != 7, "put {index}: {outcome:?}");
    }
    let at = store.revision().await.unwrap();
    assert!(outcomes.iter().all(|outcome| !matches!(outcome, PutOutcome::Written(written) if *written > at)));
}

pub(super) async fn put_each_takes_puts_with_many_guards(store: Store) {
    let puts = (0..200).map(|index| {
        let guards =
            (0..=index % crate::limits::TXN_OPS_MAX).map(|guard| Guard::Absent(format!("none/{guard}").into()));
        guarded(guards.collect(), &format!("g/{index:04}"), "v")
    });
    let outcomes = store.put_each(puts.collect(), DURABLE).await.unwrap();
    assert!(outcomes.iter().all(|outcome| matches!(outcome, PutOutcome::Written(_))), "{outcomes:?}");
}

pub(super) async fn put_each_of_nothing_is_nothing(store: Store) {
    let before = store.revision().await.unwrap();
    assert!(store.put_each(vec![], DURABLE).await.unwrap().is_empty());
    assert_eq!(store.revision().await.unwrap(), before);
}

pub(super) async fn observed_and_durable_writes_keep_their_order(store: Store) {
    let mut last = store.revision().await.unwrap();
    for index in 0..40 {
        let durability = if index % 3 == 0 { DURABLE } else { Durability::Observed };
        let txn = Txn { then: vec![Op::put("k", index.to_string())], ..Txn::default() };
        let at = store.txn(txn, durability).await.unwrap().revision;
        assert_eq!(at, last.next());
        assert_eq!(text(&get(&store, "k").await.unwrap().value), index.to_string(), "what is acknowledged is read");
        assert_eq!(store.revision().await.unwrap(), at);
        last = at;
    }
}
