//! What is refused, and with which words.

use std::time::Duration;

use super::{Store, get, put};
use crate::limits::{KEY_BYTES_MAX, LEASE_TTL_S_MAX, TXN_BYTES_MAX, TXN_OPS_MAX};
use crate::port::{Durability, Error, Guard, GuardedPut, KeyRange, LeaseId, Op, RangeOptions, Result, Revision, Txn};

fn refused<T: std::fmt::Debug>(result: Result<T>, text: &str) {
    match result {
        Err(Error::Invalid(said)) => assert_eq!(said, text),
        other => panic!("expected \"{text}\", got {other:?}"),
    }
}

async fn txn(store: &Store, txn: Txn) -> Result<crate::TxnReply> {
    store.txn(txn, Durability::Durable).await
}

pub(super) async fn a_transaction_has_bounds(store: Store) {
    let before = store.revision().await.unwrap();
    let ops = |count: usize| (0..count).map(|index| Op::put(format!("k{index}"), "")).collect::<Vec<_>>();
    let guards: Vec<Guard> = (0..=TXN_OPS_MAX).map(|_| Guard::Absent("k".into())).collect();
    let too_many = "a transaction must have at most 128 operations in a branch, got 129";
    refused(txn(&store, Txn { then: ops(TXN_OPS_MAX + 1), ..Txn::default() }).await, too_many);
    refused(txn(&store, Txn { or_else: ops(TXN_OPS_MAX + 1), ..Txn::default() }).await, too_many);
    let text = "a transaction must have at most 128 guards, got 129";
    refused(txn(&store, Txn { guards, ..Txn::default() }).await, text);
    let large = vec![Op::put("k", vec![0; TXN_BYTES_MAX])];
    let text = "a transaction must have at most 1400000 bytes, got 1400001";
    refused(txn(&store, Txn { then: large, ..Txn::default() }).await, text);
    let put =
        |value: usize| GuardedPut { guards: vec![], key: "k".into(), value: vec![0; value].into(), lease: LeaseId(0) };
    refused(store.put_each(vec![put(TXN_BYTES_MAX)], Durability::Durable).await, text);
    assert_eq!(store.revision().await.unwrap(), before);
}

pub(super) async fn keys_have_bounds(store: Store) {
    let empty = "a key must not be empty";
    refused(txn(&store, Txn { then: vec![Op::put("", "")], ..Txn::default() }).await, empty);
    refused(txn(&store, Txn { guards: vec![Guard::Exists("".into())], ..Txn::default() }).await, empty);
    refused(txn(&store, Txn { then: vec![Op::delete("")], ..Txn::default() }).await, empty);
    refused(store.range(&KeyRange::key(""), RangeOptions::default()).await, empty);
    refused(store.watch(KeyRange::key(""), Revision(1)).await.map(|_| ()), empty);
    let long = "k".repeat(KEY_BYTES_MAX + 1);
    let text = format!("a key must have at most 1024 bytes, \"{}..\" has 1025", "k".repeat(64));
    refused(txn(&store, Txn { then: vec![Op::put(long.clone(), "")], ..Txn::default() }).await, &text);
    refused(store.range(&KeyRange::key(long.clone()), RangeOptions::default()).await, &text);
    put(&store, &long[1..], "v").await;
    assert!(get(&store, &long[1..]).await.is_some());
}

pub(super) async fn a_key_is_written_once(store: Store) {
    let text = "key \"a\\x00\" is written twice in one transaction";
    let twice = vec![Op::put("a\0", "1"), Op::put("b", ""), Op::put("a\0", "2")];
    refused(txn(&store, Txn { then: twice, ..Txn::default() }).await, text);
    let removed = vec![Op::Delete(KeyRange::prefix("a")), Op::put("a\0", "2")];
    refused(txn(&store, Txn { or_else: removed, ..Txn::default() }).await, text);
    let branches = Txn { guards: vec![], then: vec![Op::put("a", "1")], or_else: vec![Op::put("a", "2")] };
    txn(&store, branches).await.expect("only one branch runs");
}

pub(super) async fn a_key_is_put_once_in_a_list(store: Store) {
    let put = || GuardedPut { guards: vec![], key: "a".into(), value: "".into(), lease: LeaseId(0) };
    refused(
        store.put_each(vec![put(), put()], Durability::Observed).await,
        "key \"a\" is named twice in one list of puts",
    );
    assert!(get(&store, "a").await.is_none());
}

pub(super) async fn leases_have_bounds(store: Store) {
    let text =
        |got: &str| format!("the time to live of a lease must be whole seconds between 2 and 9000000000, got {got}");
    refused(store.lease_grant(Duration::ZERO).await, &text("0ns"));
    refused(store.lease_grant(Duration::from_secs(1)).await, &text("1s"));
    refused(store.lease_grant(Duration::from_millis(2500)).await, &text("2.5s"));
    refused(store.lease_grant(Duration::from_secs(LEASE_TTL_S_MAX + 1)).await, &text("9000000001s"));
    let longest = store.lease_grant(Duration::from_secs(LEASE_TTL_S_MAX)).await.unwrap();
    store.lease_revoke(longest).await.unwrap();
}

pub(super) async fn the_largest_transaction_fits(store: Store) {
    let key = |index: usize| format!("{index:04}");
    let value = TXN_BYTES_MAX / TXN_OPS_MAX - 8;
    let guards = (0..TXN_OPS_MAX).map(|index| Guard::Absent(key(index).into())).collect();
    let then = (0..TXN_OPS_MAX).map(|index| Op::put(key(index), vec![0xff; value])).collect();
    let or_else = (0..TXN_OPS_MAX).map(|_| Op::Get(KeyRange::key("none"))).collect::<Vec<_>>();
    let sized = Txn { guards, then, or_else: or_else.into_iter().take(0).collect() };
    assert!(txn(&store, sized).await.unwrap().succeeded);
}

pub(super) async fn revision_zero_is_no_place(store: Store) {
    let at = RangeOptions { at: Some(Revision(0)), limit: 0 };
    refused(store.range(&KeyRange::key("k"), at).await, "a range must be at revision 1 or later, got 0");
    let watch = store.watch(KeyRange::key("k"), Revision(0)).await;
    refused(watch.map(|_| ()), "a watch must be at revision 1 or later, got 0");
}
