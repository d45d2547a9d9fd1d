//! The simulated engine passes the suite, and its controls do what they say.

use async_trait::async_trait;
use eru_runtime::{
    Action, Error, Fake, FakeOptions, FakeRegistry, LogOptions, Runtime, State,
    conformance::{Abilities, Behaviour, Inside, Subject, cases, request},
    fake::{Operation, script::PROGRAM},
};
use eru_types::{EngineId, Labels, NodeName};
use futures::StreamExt;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

struct Simulated(Arc<Fake>);

#[async_trait]
impl Subject for Simulated {
    fn runtime(&self) -> Arc<dyn Runtime> {
        self.0.clone()
    }

    fn image(&self) -> String {
        "image".into()
    }

    fn command(&self, behaviour: &Behaviour) -> Vec<String> {
        let words = match behaviour {
            Behaviour::Runs(lines) => lines.iter().map(|l| format!("print:{l}")).collect(),
            Behaviour::Exits(lines, code) => {
                lines.iter().map(|l| format!("eprint:{l}")).chain([format!("exit:{code}")]).collect()
            }
            Behaviour::IgnoresTerm => vec!["print:ready".into(), "ignore-term".into()],
            Behaviour::CannotExecute => vec!["cannot-execute".to_owned()],
        };
        [PROGRAM.to_owned()].into_iter().chain(words).collect()
    }

    fn abilities(&self) -> Abilities {
        Abilities { inside: true, files: true, images: true, network: Some("net1".into()) }
    }

    fn inside(&self, what: &Inside) -> Vec<String> {
        let words = match what {
            Inside::Says(out, err, code) => {
                vec![format!("print:{out}"), format!("eprint:{err}"), format!("exit:{code}")]
            }
            Inside::Echoes => vec!["cat".to_owned()],
            Inside::TellsSize => vec!["await-size".to_owned()],
            Inside::Floods(bytes) => vec![format!("bytes:{bytes}")],
        };
        [PROGRAM.to_owned()].into_iter().chain(words).collect()
    }

    async fn kill(&self, id: &EngineId) {
        assert!(self.0.kill(id, 137));
    }
}

fn engine() -> Arc<Fake> {
    Arc::new(Fake::new(FakeOptions::new(NodeName::new("n1").expect("a name"))))
}

#[tokio::test]
async fn conformance() {
    for (name, case) in cases() {
        println!("case {name}");
        let engine = engine();
        engine.add_network("net1", "overlay", "172.30.0.0/24");
        let steps: Vec<_> = engine.pull("image", None).await.unwrap().collect().await;
        assert!(steps.iter().all(Result::is_ok), "{steps:?}");
        case(&Simulated(engine)).await;
    }
}

#[tokio::test]
async fn a_killed_workload_under_always_runs_again() {
    let engine = engine();
    let mut wanted = request("a_b_000001", &["x"]);
    wanted.restart = "always".into();
    let id = engine.create(&wanted).await.unwrap();
    engine.start(&id).await.unwrap();
    let mut events = engine.events().await.unwrap();
    assert!(engine.kill(&id, 1));
    assert_eq!(events.next().await.unwrap().action, Action::Died);
    assert_eq!(events.next().await.unwrap().action, Action::Started);
    assert_eq!(engine.inspect(&id).await.unwrap().restarts, 1);
}

#[tokio::test]
async fn a_vanished_workload_is_gone_without_a_word() {
    let engine = engine();
    let id = engine.create(&request("a_b_000001", &["x"])).await.unwrap();
    engine.start(&id).await.unwrap();
    let mut events = engine.events().await.unwrap();
    assert!(engine.vanish(&id) && !engine.vanish(&id));
    assert!(matches!(engine.inspect(&id).await, Err(Error::NotFound(_))));
    let next = engine.create(&request("a_b_000001", &["x"])).await.unwrap();
    assert_eq!(events.next().await.unwrap().id, next);
    assert_eq!(engine.counts().created, 1);
}

#[tokio::test]
async fn a_down_engine_answers_nothing_and_ends_streams() {
    let engine = engine();
    let id = engine.create(&request("a_b_000001", &["x"])).await.unwrap();
    engine.start(&id).await.unwrap();
    let mut events = engine.events().await.unwrap();
    let mut logs = engine.logs(&id, LogOptions { follow: true, ..LogOptions::default() }).await.unwrap();
    engine.set_down(true);
    assert!(events.next().await.is_none() && logs.next().await.is_none());
    for error in [engine.ping().await.unwrap_err(), engine.events().await.map(drop).unwrap_err()] {
        assert_eq!(error.to_string(), "runtime fake://n1 does not answer: the engine was set down");
    }
    assert!(matches!(engine.create(&request("a_b_000002", &["x"])).await, Err(Error::Unavailable { .. })));
    engine.set_down(false);
    assert_eq!(engine.inspect(&id).await.unwrap().state, State::Running);
}

#[tokio::test]
async fn knobs_come_from_the_endpoint() {
    let registry = FakeRegistry::new(None);
    let engine = registry.open("fake://n1?create_ms=30&start_fail=1&engine=stays").unwrap();
    assert!(engine.answers_when_silent());
    let begun = Instant::now();
    let id = engine.create(&request("a_b_000001", &["x"])).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(30));
    assert!(engine.start(&id).await.unwrap_err().to_string().contains("start fails"));
    engine.start(&id).await.unwrap();
    engine.fail_next(Operation::Remove, 1);
    assert!(engine.remove(&id, true).await.is_err());
    engine.remove(&id, true).await.unwrap();
    assert!(!registry.open("fake://n2").unwrap().answers_when_silent());
}

#[tokio::test]
async fn ten_thousand_workloads_are_cheap() {
    let engine = engine();
    let begun = Instant::now();
    for n in 0..10_000 {
        let id = engine.create(&request(&format!("a_b_{n:06}"), &["x"])).await.unwrap();
        engine.start(&id).await.unwrap();
    }
    let elapsed = begun.elapsed();
    assert_eq!(engine.list(&Labels::default()).await.unwrap().len(), 10_000);
    assert_eq!(engine.counts().running, 10_000);
    assert!(elapsed < Duration::from_secs(2), "10 000 creates and starts took {elapsed:?}");
}
