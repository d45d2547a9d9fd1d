//! The queue of reports: tables, and any interleaving of changes, outcomes and failures.

use eru_agent::report::Queue;
use eru_api::agent::{WorkloadReport, outcome::Result as Outcome};
use proptest::prelude::*;
use std::{collections::BTreeMap, time::Duration};
use tokio::time::Instant;

fn report(id: &str, restarts: u32) -> WorkloadReport {
    WorkloadReport { id: id.into(), running: true, restarts, ..Default::default() }
}

fn gone(id: &str) -> WorkloadReport {
    WorkloadReport { id: id.into(), gone: true, ..Default::default() }
}

fn take(queue: &mut Queue, now: Instant) -> Vec<(String, u32, i64)> {
    let reports = queue.take(now).map(|b| b.reports).unwrap_or_default();
    reports.into_iter().map(|r| (r.id, r.restarts, r.seq)).collect()
}

#[test]
fn newest_per_workload_in_order_one_call_at_a_time() {
    let now = Instant::now();
    let mut queue = Queue::new();
    assert!(queue.push(report("b", 0)) && queue.push(report("a", 0)) && queue.push(report("b", 1)));
    assert!(!queue.push(report("b", 1)), "nothing new");
    assert_eq!(take(&mut queue, now), [("b".into(), 1, 1), ("a".into(), 0, 2)]);
    queue.push(report("a", 1));
    assert!(queue.take(now).is_none(), "a call is under way");
    queue.answered(&[Outcome::Stored, Outcome::Stored], now);
    assert_eq!(take(&mut queue, now), [("a".into(), 1, 3)]);
    queue.failed();
    queue.push(report("c", 0));
    assert_eq!(take(&mut queue, now), [("a".into(), 1, 4), ("c".into(), 0, 5)], "the failed one keeps its place");
    queue.answered(&[Outcome::Stale, Outcome::Refused], now);
    assert!(queue.is_idle() && queue.next_due().is_none() && queue.take(now).is_none());
    queue.renew(report("c", 0));
    assert_eq!(take(&mut queue, now).len(), 1, "a renewal is sent although it says nothing new");
}

#[test]
fn unknown_ones_come_back_ever_later_until_something_happens() {
    let mut now = Instant::now();
    let mut queue = Queue::new();
    queue.push(report("a", 0));
    let mut waits = Vec::new();
    for _ in 0..11 {
        assert_eq!(take(&mut queue, now).len(), 1);
        queue.answered(&[Outcome::UnknownWorkload], now);
        let due = queue.next_due().unwrap();
        assert!(queue.take(due - Duration::from_millis(1)).is_none());
        waits.push((due - now).as_millis());
        now = due;
    }
    assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000]);
    take(&mut queue, now);
    queue.answered(&[Outcome::UnknownWorkload], now);
    queue.push(report("a", 1));
    assert_eq!(take(&mut queue, now), [("a".into(), 1, 13)], "news does not wait");
    queue.answered(&[Outcome::UnknownWorkload], now);
    queue.push(gone("a"));
    take(&mut queue, now);
    queue.answered(&[Outcome::UnknownWorkload], now);
    assert!(queue.is_empty() && queue.next_due().is_none());
}

#[test]
fn a_full_report_waits_for_a_list_that_began_after_the_wish() {
    let now = Instant::now();
    let mut queue = Queue::new();
    let early = queue.full_ticket();
    queue.learn(report("made", 0));
    queue.push(report("a", 0));
    queue.want_full(true);
    queue.listed(early);
    let batch = queue.take(now).unwrap();
    assert!(!batch.full && batch.reports.len() == 1 && queue.is_list_wanted());
    queue.answered(&[Outcome::Stored], now);
    let ticket = queue.full_ticket();
    queue.listed(ticket);
    let batch = queue.take(now).unwrap();
    assert!(batch.full && batch.reports.len() == 2);
    queue.failed();
    let batch = queue.take(now).unwrap();
    assert!(batch.full, "a full report that failed is made again");
    queue.answered(&[Outcome::Unchanged, Outcome::Stored], now);
    assert!(queue.take(now).is_none());
    queue.want_full(true);
    queue.listed(queue.full_ticket());
    assert_eq!(queue.take(now).unwrap().reports[0].seq, 1, "a registration begins a new sequence");
}

#[test]
fn what_is_about_to_be_sent_anyhow_is_not_wanted_twice() {
    let now = Instant::now();
    let mut queue = Queue::new();
    queue.want_full(true);
    let ticket = queue.full_ticket();
    queue.want_full_once();
    queue.listed(ticket);
    assert!(queue.take(now).unwrap().full);
    // Not acknowledged yet.
    queue.want_full_once();
    queue.answered(&[], now);
    assert!(queue.take(now).is_none() && !queue.is_list_wanted());
    queue.want_full_once();
    assert!(queue.is_list_wanted());
}

#[test]
fn what_is_another_agents_is_forgotten_wherever_it_waits() {
    let now = Instant::now();
    let mut queue = Queue::new();
    for id in ["a", "b", "c"] {
        queue.push(report(id, 0));
    }
    assert_eq!(queue.counts().unhealthy, 3);
    queue.forget("a");
    assert_eq!(take(&mut queue, now).len(), 2);
    queue.forget("b");
    queue.answered(&[Outcome::Stored, Outcome::UnknownWorkload], now);
    queue.forget("c");
    assert_eq!((queue.next_due(), queue.counts()), (None, Default::default()));
    assert!(queue.take(now + Duration::from_secs(60)).is_none() && queue.is_empty());
}

#[test]
fn what_only_a_list_has_said_is_in_full_reports_and_hides_nothing() {
    let now = Instant::now();
    let mut queue = Queue::new();
    queue.list(report("a", 0));
    queue.list(report("b", 0));
    assert!(queue.take(now).is_none(), "a list alone is no news");
    queue.want_full(false);
    queue.listed(queue.full_ticket());
    assert_eq!(take(&mut queue, now).len(), 2);
    queue.answered(&[Outcome::Stored, Outcome::Stored], now);
    // Who speaks of it is heard even if he says the same.
    assert!(queue.push(report("a", 0)) && !queue.push(report("a", 0)));
    queue.list(report("a", 7));
    assert_eq!(take(&mut queue, now), [("a".into(), 0, 4)]);
    queue.answered(&[Outcome::Stored], now);
    queue.gone("a", 5);
    queue.gone("c", 5);
    assert!(queue.take(now).is_none(), "whoever has spoken of it says himself that it is gone");
    queue.gone("b", 5);
    let told = queue.take(now).unwrap().reports.remove(0);
    assert_eq!((told.id.as_str(), told.gone, told.running, told.observed_at_ms), ("b", true, false, 5));
    queue.answered(&[Outcome::Stored], now);
    assert_eq!(queue.len(), 1);
}

#[test]
fn a_full_report_has_a_number_of_its_own_even_if_it_is_empty() {
    let now = Instant::now();
    let mut queue = Queue::new();
    queue.push(report("a", 0));
    let before = queue.take(now).unwrap();
    assert_eq!((before.seq, before.reports[0].seq), (0, 1));
    queue.answered(&[Outcome::Stored], now);
    queue.push(gone("a"));
    queue.take(now).unwrap();
    queue.answered(&[Outcome::UnknownWorkload], now);
    for wanted in [3, 4] {
        queue.want_full(false);
        queue.listed(queue.full_ticket());
        let batch = queue.take(now).unwrap();
        assert!(batch.full && batch.reports.is_empty());
        assert_eq!(batch.seq, wanted, "above every report before it");
        queue.answered(&[], now);
    }
    queue.push(report("b", 0));
    assert_eq!(take(&mut queue, now), [("b".into(), 0, 5)], "and below every one after it");
}

#[test]
fn calls_have_a_limit() {
    let now = Instant::now();
    let mut queue = Queue::new();
    for n in 0..1200 {
        queue.push(report(&format!("{n:04}"), 0));
    }
    for wanted in [500, 500, 200] {
        let batch = queue.take(now).unwrap();
        assert_eq!(batch.reports.len(), wanted);
        queue.answered(&vec![Outcome::Stored; wanted], now);
    }
    for n in 0..60 {
        queue.push(WorkloadReport { extension: vec![b'x'; 300_000].into(), ..report(&format!("big{n}"), 0) });
    }
    assert_eq!(queue.take(now).unwrap().reports.len(), 3);
    queue.failed();
    queue.want_full(true);
    queue.listed(queue.full_ticket());
    let batch = queue.take(now).unwrap();
    assert!(!batch.full, "too much for one message goes in parts");
}

proptest! {
    #[test]
    fn core_ends_up_with_the_newest_of_each(steps in proptest::collection::vec((0..6_u8, 0..5_u8), 0..200)) {
        let mut now = Instant::now();
        let mut queue = Queue::new();
        let mut truth = BTreeMap::new();
        let mut core: BTreeMap<String, WorkloadReport> = BTreeMap::new();
        let mut on_the_way: Option<Vec<WorkloadReport>> = None;
        let store = |core: &mut BTreeMap<String, WorkloadReport>, reports: &[WorkloadReport], known: u8| -> Vec<Outcome> {
            reports.iter().map(|r| {
                let unknown = known > 0 && r.id.ends_with(&known.to_string());
                if unknown { return Outcome::UnknownWorkload }
                let before = core.insert(r.id.clone(), r.clone());
                assert!(before.is_none_or(|b| b.seq < r.seq), "an older report came later");
                Outcome::Stored
            }).collect()
        };
        for (i, (what, n)) in steps.into_iter().enumerate() {
            let id = format!("w{n}");
            now += Duration::from_millis(50);
            match what {
                0 | 1 => {
                    let new = report(&id, i as u32);
                    truth.insert(id, new.clone());
                    queue.push(new);
                }
                2 => on_the_way = on_the_way.or(queue.take(now).map(|b| b.reports)),
                3 => if let Some(reports) = on_the_way.take() {
                    let outcomes = store(&mut core, &reports, n);
                    queue.answered(&outcomes, now);
                },
                // The answer is lost: core may or may not have stored them.
                4 => if let Some(reports) = on_the_way.take() {
                    if n % 2 == 0 { store(&mut core, &reports, 0); }
                    queue.failed();
                },
                _ => { queue.want_full(false); queue.listed(queue.full_ticket()); }
            }
        }
        if on_the_way.is_some() { queue.failed(); }
        loop {
            let Some(batch) = queue.take(now) else {
                match queue.next_due() { Some(due) => now = due, None => break }
                continue;
            };
            let outcomes = store(&mut core, &batch.reports, 0);
            queue.answered(&outcomes, now);
        }
        prop_assert_eq!(core.len(), truth.len());
        for (id, newest) in truth {
            prop_assert_eq!(core[&id].restarts, newest.restarts);
        }
    }
}
