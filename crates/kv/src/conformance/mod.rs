//! The one suite that every implementation of [`Kv`](crate::Kv) passes.
//!
//! A case gets a store of its own (or a prefix of its own in one), asserts what the port promises, and may compact.
//! The cases run one after another, because in etcd a compaction concerns all prefixes.

#![allow(clippy::unwrap_used, reason = "a broken promise is reported by a panic, which is what the suite is for")]

mod leases;
mod limits;
mod ranges;
mod txns;
mod watches;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};

use crate::port::{Durability, Event, Kv, Op, Revision, Txn, TxnReply, Watch, WatchItem};

/// How long anything may take that has to happen: a bound for broken implementations, not a target.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// A store, shared.
pub type Store = Arc<dyn Kv>;

/// One promise of the port.
pub struct Case {
    /// What is promised.
    pub name: &'static str,
    run: fn(Store) -> BoxFuture<'static, ()>,
}

macro_rules! cases {
    ($($module:ident::{$($case:ident),* $(,)?})*) => {
        /// Every case.
        pub const CASES: &[Case] = &[$($(Case {
            name: concat!(stringify!($module), "::", stringify!($case)),
            run: |store| Box::pin($module::$case(store)),
        }),*),*];
    };
}

cases! {
    ranges::{
        a_write_raises_the_revision_and_a_read_does_not,
        a_key_knows_its_revisions_and_its_version,
        a_range_is_sorted_and_ends_before_its_end,
        a_limit_cuts_a_range_and_says_so,
        a_large_range_comes_in_pages,
        a_range_at_a_revision_shows_the_past,
        the_future_is_refused,
        a_compacted_revision_is_reported_with_the_first_that_is_there,
        values_are_any_bytes,
    }
    txns::{
        guards_hold_exactly_when_they_should,
        guards_are_a_conjunction_and_may_name_one_key_twice,
        the_other_branch_runs_when_a_guard_fails,
        a_transaction_has_one_revision,
        a_refused_transaction_changes_nothing,
        deletes_count_what_they_removed,
        a_get_sees_the_writes_before_it,
        overlapping_deletes_are_allowed,
        of_many_writers_at_once_exactly_one_wins,
        put_each_gives_every_put_its_own_outcome,
        put_each_sees_the_puts_before_it,
        put_each_takes_any_number,
        put_each_takes_puts_with_many_guards,
        put_each_of_nothing_is_nothing,
        observed_and_durable_writes_keep_their_order,
    }
    leases::{
        an_expired_lease_takes_its_keys_at_one_revision,
        keeping_alive_keeps_alive_and_writes_nothing,
        a_revoked_lease_takes_its_keys_at_once,
        a_put_decides_its_lease_anew,
        a_lease_that_is_gone_is_refused,
        time_to_live_counts_down,
    }
    watches::{
        a_watch_delivers_from_its_revision_without_gap_or_double,
        a_revision_comes_whole,
        a_prefix_ends_where_it_should,
        one_key_is_watched_alone,
        a_watch_of_the_future_waits_for_it,
        progress_comes_when_asked_for,
        progress_is_never_ahead_of_events,
        a_compacted_watch_says_so_and_ends,
        a_watch_from_the_compacted_revision_is_complete,
        a_slow_watcher_gets_everything_and_holds_up_nobody,
        many_watchers_see_the_same,
    }
    limits::{
        a_transaction_has_bounds,
        keys_have_bounds,
        a_key_is_written_once,
        a_key_is_put_once_in_a_list,
        leases_have_bounds,
        the_largest_transaction_fits,
        revision_zero_is_no_place,
    }
}

/// Runs every case on stores from `make`, which gets the case's name.
///
/// # Panics
/// At the end, with the names of all cases that failed.
pub async fn run_all<F, Fut>(make: F)
where
    F: Fn(&'static str) -> Fut,
    Fut: Future<Output = Store>,
{
    let only = std::env::var("ERU_CONFORMANCE_ONLY").ok();
    let mut failed = Vec::new();
    for case in CASES.iter().filter(|case| only.as_ref().is_none_or(|only| case.name.contains(only.as_str()))) {
        let begun = Instant::now();
        let store = make(case.name).await;
        let bounded = tokio::time::timeout(4 * PATIENCE, (case.run)(store.clone()));
        let verdict = match AssertUnwindSafe(bounded).catch_unwind().await {
            Ok(Ok(())) => "ok",
            Ok(Err(_)) => "HANGS",
            Err(_) => "FAILED",
        };
        println!("{verdict:>6} {} ({} ms)", case.name, begun.elapsed().as_millis());
        if verdict != "ok" {
            failed.push(case.name);
        }
    }
    assert!(failed.is_empty(), "{} of {} cases failed: {failed:#?}", failed.len(), CASES.len());
}

// What the cases are written with.

/// One durable put.
async fn put(store: &Store, key: &str, value: &str) -> Revision {
    write(store, vec![Op::put(key.to_string(), value.to_string())]).await.revision
}

async fn write(store: &Store, then: Vec<Op>) -> TxnReply {
    store.txn(Txn { then, ..Txn::default() }, Durability::Durable).await.expect("a plain write succeeds")
}

async fn get(store: &Store, key: &str) -> Option<crate::KeyValue> {
    let range = crate::KeyRange::key(key.to_string());
    store.range(&range, crate::RangeOptions::default()).await.expect("a plain read succeeds").kvs.pop()
}

fn text(bytes: &Bytes) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// `PUT key=value` or `DELETE key`, with the revision.
fn line(event: &Event) -> (i64, String) {
    match event {
        Event::Put(kv) => (kv.mod_revision.0, format!("PUT {}={}", text(&kv.key), text(&kv.value))),
        Event::Delete { key, revision } => (revision.0, format!("DELETE {}", text(key))),
    }
}

/// The next item that is not progress.
async fn item(watch: &mut Watch) -> WatchItem {
    let next = async {
        loop {
            match watch.next().await.expect("a watch does not end by itself").expect("a watch does not fail by itself")
            {
                WatchItem::Progress(_) => {}
                item => return item,
            }
        }
    };
    tokio::time::timeout(PATIENCE, next).await.expect("the watch yields in time")
}

/// Exactly `count` events, checked to come in order and whole.
async fn events(watch: &mut Watch, count: usize) -> Vec<(i64, String)> {
    let mut lines = Vec::new();
    let mut up_to = 0;
    while lines.len() < count {
        let WatchItem::Events { revision, events } = item(watch).await else {
            panic!("the watch ended after {lines:?}");
        };
        let batch: Vec<_> = events.iter().map(line).collect();
        assert!(batch.is_sorted_by_key(|(at, _)| *at), "out of order: {batch:?}");
        assert!(batch.first().is_some_and(|(at, _)| *at > up_to), "{batch:?} repeats or splits revision {up_to}");
        assert_eq!(batch.last().map(|(at, _)| *at), Some(revision.0), "the item's revision is its last event's");
        up_to = revision.0;
        lines.extend(batch);
    }
    assert_eq!(lines.len(), count, "{lines:?}");
    lines
}

/// Waits until `holds`, asking again and again.
async fn eventually<F, Fut>(what: &str, mut holds: F)
where
    F: FnMut() -> Fut,
    Fut: Future<Output = bool>,
{
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
