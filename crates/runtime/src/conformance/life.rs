//! Cases of every runtime: from create to remove.

use super::{
    Case,
    subject::{Behaviour, Subject, exited, started, wanted, within},
};
use crate::port::*;
use eru_types::{EngineId, Labels, WorkloadName};
use futures::{FutureExt, StreamExt, stream::BoxStream};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// Long enough for any stop to be over before.
const GRACE: Duration = Duration::from_secs(10);
const SIGKILL: i32 = 9;
const SIGTERM: i32 = 15;

/// These cases.
pub(super) const CASES: &[Case] = cases![
    info_says_what_the_machine_has,
    create_by_a_known_name_finds_it,
    a_bad_request_makes_nothing,
    start_and_stop_can_be_repeated,
    an_exit_code_is_seen,
    a_death_by_signal_is_seen,
    what_cannot_be_executed_is_an_error,
    events_come_in_order,
    labels_select,
    remove_needs_force_while_it_runs,
    the_removed_is_not_found,
    addresses_differ,
    logs_have_tail_and_stream,
    logs_are_cut_by_time,
    logs_follow_until_the_end,
    stop_ends_what_ignores_it,
    a_policy_restarts_and_counts,
    a_stop_is_not_answered_by_a_restart,
    starts_at_once_start_once,
    many_at_once,
];

/// The next thing in its life; an engine may tell more of it in between.
async fn next_action(events: &mut BoxStream<'static, Event>, id: &EngineId) -> Action {
    let found = async {
        loop {
            let event = events.next().await.expect("the stream goes on");
            if event.id == *id && event.action != Action::Changed {
                return event.action;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), found).await.expect("an event")
}

async fn lines(s: &dyn Subject, id: &EngineId, options: LogOptions) -> Vec<(Stream, String)> {
    let lines = s.runtime().logs(id, options).await.expect("logs");
    let all = lines.map(|line| {
        let line = line.expect("line");
        (line.stream, String::from_utf8_lossy(&line.data).into_owned())
    });
    tokio::time::timeout(Duration::from_secs(20), all.collect()).await.expect("the output ends")
}

fn out(texts: &[&str]) -> Vec<(Stream, String)> {
    texts.iter().map(|t| (Stream::Stdout, (*t).to_owned())).collect()
}

async fn info_says_what_the_machine_has(s: &dyn Subject) {
    let info = s.runtime().info().await.expect("info");
    assert!(info.cores > 0 && info.memory_bytes > 0 && !info.id.is_empty(), "{info:?}");
    assert_eq!(info, s.runtime().info().await.expect("info"));
    s.runtime().ping().await.expect("ping");
}

async fn create_by_a_known_name_finds_it(s: &dyn Subject) {
    let wanted = wanted(s, "app_web_aaaaaa", &Behaviour::Runs(vec![]));
    let id = s.runtime().create(&wanted).await.expect("create");
    assert_eq!(s.runtime().create(&wanted).await.expect("create again"), id);
    assert_eq!(s.runtime().find(&wanted.name).await.expect("find"), Some(id.clone()));
    let other = WorkloadName::parse(&s.name("app_web_aaaaab")).expect("a name");
    assert_eq!(s.runtime().find(&other).await.expect("find"), None);
    let seen = s.runtime().inspect(&id).await.expect("inspect");
    assert_eq!((&seen.id, &seen.name, seen.state), (&id, &wanted.name, State::Created));
    assert_eq!((seen.exit, seen.started_at_ms, seen.restarts), (None, 0, 0));
    assert!(seen.networks.is_empty());
    assert_eq!(s.runtime().list(&s.labels()).await.expect("list").len(), 1);
    s.runtime().start(&id).await.expect("start");
    assert_eq!(s.runtime().create(&wanted).await.expect("create while it runs"), id);
    assert_eq!(s.runtime().inspect(&id).await.expect("inspect").state, State::Running);
}

async fn a_bad_request_makes_nothing(s: &dyn Subject) {
    let good = wanted(s, "app_web_aaaaaa", &Behaviour::Runs(vec![]));
    let bad = [
        CreateRequest { image: String::new(), command: Vec::new(), ..good.clone() },
        CreateRequest { restart: "sometimes".into(), ..good },
    ];
    for request in bad {
        let error = s.runtime().create(&request).await.expect_err("a bad request");
        assert!(matches!(error, Error::Invalid(_)), "{error:?}");
    }
    assert!(s.runtime().list(&s.labels()).await.expect("list").is_empty());
}

async fn start_and_stop_can_be_repeated(s: &dyn Subject) {
    let id = started(s, "app_web_aaaaaa", &Behaviour::Runs(vec![])).await;
    let first = s.runtime().inspect(&id).await.expect("inspect");
    s.runtime().start(&id).await.expect("start what runs");
    let seen = s.runtime().inspect(&id).await.expect("inspect");
    assert_eq!(seen, first, "a second start changes nothing");
    assert!(seen.state == State::Running && seen.started_at_ms > 0 && !seen.networks.is_empty());
    s.runtime().stop(&id, GRACE).await.expect("stop");
    let seen = s.runtime().inspect(&id).await.expect("inspect");
    assert_eq!((seen.state, seen.exit.map(|e| (e.code, e.signal))), (State::Exited, Some((128 + SIGTERM, SIGTERM))));
    assert!(seen.networks.is_empty() && seen.pid == 0);
    s.runtime().stop(&id, GRACE).await.expect("stop what is stopped");
    s.runtime().start(&id).await.expect("start again");
    let seen = s.runtime().inspect(&id).await.expect("inspect");
    assert_eq!((seen.state, seen.exit), (State::Running, None));
}

async fn an_exit_code_is_seen(s: &dyn Subject) {
    let id = started(s, "app_web_aaaaaa", &Behaviour::Exits(vec!["first", "out of cheese"], 3)).await;
    let seen = exited(s, &id).await;
    let exit = seen.exit.expect("an exit");
    assert_eq!((exit.code, exit.signal, exit.oom_killed), (3, 0, false));
    assert!(exit.at_ms >= seen.started_at_ms && exit.at_ms > 0);
    assert_eq!(seen.reason, "out of cheese");
    let id = started(s, "app_web_aaaaab", &Behaviour::Exits(vec!["fine"], 0)).await;
    let seen = exited(s, &id).await;
    assert_eq!((seen.exit.expect("an exit").code, seen.reason.as_str()), (0, ""));
}

async fn a_death_by_signal_is_seen(s: &dyn Subject) {
    let id = started(s, "app_web_aaaaaa", &Behaviour::Runs(vec![])).await;
    let mut events = s.runtime().events().await.expect("events");
    s.kill(&id).await;
    assert_eq!(next_action(&mut events, &id).await, Action::Died);
    // The event comes when the truth is there to be read.
    let seen = s.runtime().inspect(&id).await.expect("inspect");
    assert_eq!(seen.exit.map(|e| (e.code, e.signal)), Some((128 + SIGKILL, SIGKILL)));
    assert_eq!(seen.state, State::Exited);
}

async fn what_cannot_be_executed_is_an_error(s: &dyn Subject) {
    let wanted = wanted(s, "app_web_aaaaaa", &Behaviour::CannotExecute);
    let id = s.runtime().create(&wanted).await.expect("create");
    let error = s.runtime().start(&id).await.expect_err("no program");
    let Error::Start { name, cause } = error else { panic!("{error:?}") };
    assert_eq!(name, s.name("app_web_aaaaaa"));
    assert!(cause.contains("cannot execute"), "{cause}");
    let seen = s.runtime().inspect(&id).await.expect("inspect");
    assert_eq!((seen.state, seen.exit.map(|e| e.code)), (State::Exited, Some(127)));
    assert_eq!(seen.reason, cause);
    s.runtime().remove(&id, false).await.expect("remove");
}

async fn events_come_in_order(s: &dyn Subject) {
    let mut events = s.runtime().events().await.expect("events");
    let mut second = s.runtime().events().await.expect("events");
    let id = started(s, "app_web_aaaaaa", &Behaviour::Runs(vec![])).await;
    s.runtime().stop(&id, GRACE).await.expect("stop");
    s.runtime().remove(&id, false).await.expect("remove");
    for action in [Action::Created, Action::Started, Action::Died, Action::Removed] {
        assert_eq!(next_action(&mut events, &id).await, action);
        assert_eq!(next_action(&mut second, &id).await, action);
    }
}

async fn labels_select(s: &dyn Subject) {
    let labels = |pairs: &[(&str, &str)]| {
        let pairs = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let map: BTreeMap<_, _> = s.labels().into_map().into_iter().chain(pairs).collect();
        Labels::new(map).expect("labels")
    };
    for (name, pairs) in
        [("app_web_aaaaaa", &[("ERU", "1"), ("zone", "a")][..]), ("app_web_aaaaab", &[("ERU", "1"), ("zone", "b")])]
    {
        let request = wanted(s, name, &Behaviour::Runs(vec![]));
        s.runtime().create(&CreateRequest { labels: labels(pairs), ..request }).await.expect("create");
    }
    let count = async |pairs| s.runtime().list(&labels(pairs)).await.expect("list").len();
    assert_eq!(count(&[]).await, 2);
    assert_eq!(count(&[("ERU", "1")]).await, 2);
    assert_eq!(count(&[("ERU", "1"), ("zone", "b")]).await, 1);
    assert_eq!(count(&[("zone", "c")]).await, 0);
    let found = s.runtime().list(&labels(&[("zone", "a")])).await.expect("list");
    assert_eq!(found[0].labels, labels(&[("ERU", "1"), ("zone", "a")]));
}

async fn remove_needs_force_while_it_runs(s: &dyn Subject) {
    let id = started(s, "app_web_aaaaaa", &Behaviour::Runs(vec![])).await;
    let error = s.runtime().remove(&id, false).await.expect_err("it runs");
    assert!(matches!(&error, Error::Running(running) if *running == id), "{error:?}");
    assert_eq!(s.runtime().inspect(&id).await.expect("inspect").state, State::Running);
    s.runtime().remove(&id, true).await.expect("remove with force");
    assert!(s.runtime().list(&s.labels()).await.expect("list").is_empty());
    let again = started(s, "app_web_aaaaaa", &Behaviour::Runs(vec![])).await;
    assert_ne!(again, id, "the name is free again, for another workload");
}

async fn the_removed_is_not_found(s: &dyn Subject) {
    let runtime = s.runtime();
    let request = wanted(s, "app_web_aaaaaa", &Behaviour::Runs(vec![]));
    let id = runtime.create(&request).await.expect("create");
    runtime.remove(&id, false).await.expect("remove");
    let not_found = |error: Error| assert!(matches!(&error, Error::NotFound(what) if what == id.as_str()), "{error:?}");
    not_found(runtime.remove(&id, true).await.expect_err("remove"));
    not_found(runtime.start(&id).await.expect_err("start"));
    not_found(runtime.stop(&id, GRACE).await.expect_err("stop"));
    not_found(runtime.inspect(&id).await.expect_err("inspect"));
    not_found(runtime.last_lines(&id, 1).await.expect_err("last lines"));
    not_found(runtime.logs(&id, LogOptions::default()).await.map(drop).expect_err("logs"));
    assert_eq!(runtime.find(&request.name).await.expect("find"), None);
}

async fn addresses_differ(s: &dyn Subject) {
    let mut addresses = Vec::new();
    for name in ["app_web_aaaaaa", "app_web_aaaaab", "app_web_aaaaac"] {
        let id = started(s, name, &Behaviour::Runs(vec![])).await;
        let networks = s.runtime().inspect(&id).await.expect("inspect").networks;
        addresses.extend(networks.into_values());
    }
    let mut unique = addresses.clone();
    unique.sort();
    unique.dedup();
    assert_eq!((addresses.len(), unique.len()), (3, 3), "{addresses:?}");
}

async fn logs_have_tail_and_stream(s: &dyn Subject) {
    let id = started(s, "app_web_aaaaaa", &Behaviour::Exits(vec!["one", "two", "three"], 1)).await;
    exited(s, &id).await;
    let all: Vec<_> = ["one", "two", "three"].map(|t| (Stream::Stderr, t.to_owned())).into();
    assert_eq!(lines(s, &id, LogOptions::default()).await, all);
    let tail = |n| LogOptions { tail: Some(n), ..LogOptions::default() };
    assert_eq!(lines(s, &id, tail(2)).await, all[1..]);
    assert_eq!(lines(s, &id, tail(0)).await, []);
    assert_eq!(lines(s, &id, tail(usize::MAX)).await, all);
    assert_eq!(s.runtime().last_lines(&id, 2).await.expect("last lines"), ["two", "three"]);
    assert!(s.runtime().last_lines(&id, 0).await.expect("last lines").is_empty());
}

async fn logs_are_cut_by_time(s: &dyn Subject) {
    let id = started(s, "app_web_aaaaaa", &Behaviour::Exits(vec!["one", "two"], 1)).await;
    exited(s, &id).await;
    let stream = s.runtime().logs(&id, LogOptions::default()).await.expect("logs");
    let times: Vec<i64> = stream.map(|l| l.expect("line").at_ms).collect().await;
    let (first, last) = (times[0], times[1]);
    assert!(first <= last && first > 0);
    let count = async |since_ms, until_ms| {
        lines(s, &id, LogOptions { since_ms, until_ms, ..LogOptions::default() }).await.len()
    };
    assert_eq!(count(Some(first), Some(last + 1)).await, 2);
    assert_eq!(count(Some(last + 1), None).await, 0);
    assert_eq!(count(None, Some(first)).await, 0);
}

async fn logs_follow_until_the_end(s: &dyn Subject) {
    let id = started(s, "app_web_aaaaaa", &Behaviour::Runs(vec!["one", "two"])).await;
    let follow = LogOptions { follow: true, ..LogOptions::default() };
    let mut stream = s.runtime().logs(&id, follow.clone()).await.expect("logs");
    for text in ["one", "two"] {
        let next = tokio::time::timeout(Duration::from_secs(20), stream.next()).await.expect("output in time");
        assert_eq!(next.expect("a line").expect("no error").data, text);
    }
    assert!(stream.next().now_or_never().is_none(), "it waits while the workload runs");
    s.kill(&id).await;
    let end = tokio::time::timeout(Duration::from_secs(20), stream.next()).await.expect("the end in time");
    assert!(end.is_none(), "{end:?}");
    // Following what has ended gives what is kept, and ends.
    assert_eq!(lines(s, &id, follow).await, out(&["one", "two"]));
}

async fn stop_ends_what_ignores_it(s: &dyn Subject) {
    let id = started(s, "app_web_aaaaaa", &Behaviour::IgnoresTerm).await;
    within("it is ready", async || {
        let lines = s.runtime().last_lines(&id, 1).await.expect("last lines");
        (lines == ["ready"]).then_some(())
    })
    .await;
    let grace = Duration::from_millis(300);
    let begun = Instant::now();
    s.runtime().stop(&id, grace).await.expect("stop");
    assert!(begun.elapsed() >= grace, "the grace time was cut short: {:?}", begun.elapsed());
    let seen = s.runtime().inspect(&id).await.expect("inspect");
    assert_eq!(seen.exit.map(|e| e.signal), Some(SIGKILL));
}

async fn a_policy_restarts_and_counts(s: &dyn Subject) {
    let request = wanted(s, "app_web_aaaaaa", &Behaviour::Exits(vec!["again"], 1));
    let request = CreateRequest { restart: "on-failure:2".into(), ..request };
    let id = s.runtime().create(&request).await.expect("create");
    s.runtime().start(&id).await.expect("start");
    within("two restarts are over", async || {
        let seen = s.runtime().inspect(&id).await.expect("inspect");
        (seen.state == State::Exited && seen.restarts == 2).then_some(())
    })
    .await;
    assert_eq!(lines(s, &id, LogOptions { follow: true, ..LogOptions::default() }).await.len(), 3);
    let request = wanted(s, "app_web_aaaaab", &Behaviour::Runs(vec![]));
    let request = CreateRequest { restart: "always".into(), ..request };
    let id = s.runtime().create(&request).await.expect("create");
    s.runtime().start(&id).await.expect("start");
    s.kill(&id).await;
    within("it runs again", async || {
        let seen = s.runtime().inspect(&id).await.expect("inspect");
        (seen.state == State::Running && seen.restarts == 1).then_some(())
    })
    .await;
}

async fn a_stop_is_not_answered_by_a_restart(s: &dyn Subject) {
    let mut events = s.runtime().events().await.expect("events");
    let request = wanted(s, "app_web_aaaaaa", &Behaviour::Runs(vec![]));
    let id = s.runtime().create(&CreateRequest { restart: "always".into(), ..request }).await.expect("create");
    s.runtime().start(&id).await.expect("start");
    s.runtime().stop(&id, GRACE).await.expect("stop");
    assert_eq!(s.runtime().inspect(&id).await.expect("inspect").state, State::Exited);
    s.runtime().remove(&id, false).await.expect("remove");
    for action in [Action::Created, Action::Started, Action::Died, Action::Removed] {
        assert_eq!(next_action(&mut events, &id).await, action);
    }
}

async fn starts_at_once_start_once(s: &dyn Subject) {
    let mut events = s.runtime().events().await.expect("events");
    let id = s.runtime().create(&wanted(s, "app_web_aaaaaa", &Behaviour::Runs(vec![]))).await.expect("create");
    let runtime = s.runtime();
    let starts = futures::future::join_all((0..5).map(|_| runtime.start(&id))).await;
    assert!(starts.iter().all(Result::is_ok), "{starts:?}");
    runtime.stop(&id, GRACE).await.expect("stop");
    for action in [Action::Created, Action::Started, Action::Died] {
        assert_eq!(next_action(&mut events, &id).await, action);
    }
    assert_eq!(runtime.inspect(&id).await.expect("inspect").restarts, 0);
}

async fn many_at_once(s: &dyn Subject) {
    const MANY: usize = 20;
    let all = (0..MANY).map(|n| async move {
        let id = started(s, &format!("app_web_aaaa{n:02}"), &Behaviour::Runs(vec![])).await;
        assert_eq!(s.runtime().inspect(&id).await.expect("inspect").state, State::Running);
        s.runtime().remove(&id, true).await.expect("remove");
    });
    futures::future::join_all(all).await;
    assert!(s.runtime().list(&s.labels()).await.expect("list").is_empty());
}
