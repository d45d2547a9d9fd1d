//! Containers from create to remove, and commands inside of them, of daemons that refuse and of those that do as told.

use crate::scripted::{Daemon, ID, Reply, container, handed_over, id, json};
use eru_runtime::{Error, ExecRequest, Runtime, conformance::request};
use eru_types::MemoryBytes;
use futures::StreamExt;
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

/// What a round trip costs is the daemon's; how many there are is ours.
#[tokio::test]
async fn a_life_has_few_round_trips() {
    let daemon = Daemon::new(|line| match line {
        "GET /v1.41/info" => json(r#"{"ID":"x","LoggingDriver":"json-file"}"#),
        line if line.starts_with("POST /v1.41/containers/create") => json(&format!(r#"{{"Id":"{ID}"}}"#)),
        line if line.ends_with("/exec") => json(r#"{"Id":"e"}"#),
        "POST /v1.41/exec/e/start" => Reply::Pieces(vec![handed_over()]),
        "GET /v1.41/exec/e/json" => json(r#"{"Running":false,"ExitCode":0}"#),
        _ => Reply::Full(204, String::new()),
    });
    let asked = || daemon.asked.swap(0, Ordering::SeqCst);
    let wanted = request("a_b_cdefgh", &["x"]);
    daemon.docker.create(&wanted).await.unwrap();
    assert_eq!(asked(), 3, "its version, what it can, and the create");
    daemon.docker.create(&wanted).await.unwrap();
    daemon.docker.start(&id()).await.unwrap();
    assert_eq!(asked(), 2, "create and start");
    let command = ExecRequest { command: vec!["x".into()], ..ExecRequest::default() };
    let mut session = daemon.docker.exec(&id(), &command).await.unwrap();
    assert!(session.output.next().await.is_none());
    assert_eq!(session.control.exit_code().await.unwrap(), 0);
    assert_eq!(asked(), 3, "a command is made, started and asked how it ended");
    daemon.docker.stop(&id(), Duration::ZERO).await.unwrap();
    daemon.docker.remove(&id(), false).await.unwrap();
    assert_eq!(asked(), 2, "stop and remove");
}

/// One that closed its output and runs on.
#[tokio::test]
async fn a_command_inside_is_waited_for_beyond_its_output() {
    let looks = AtomicUsize::new(0);
    let daemon = Daemon::new(move |line| match line {
        line if line.ends_with("/exec") => json(r#"{"Id":"e"}"#),
        "POST /v1.41/exec/e/start" => Reply::Pieces(vec![handed_over()]),
        _ if looks.fetch_add(1, Ordering::SeqCst) < 5 => json(r#"{"Running":true,"ExitCode":null}"#),
        _ => json(r#"{"Running":false,"ExitCode":7}"#),
    });
    let command = ExecRequest { command: vec!["x".into()], ..ExecRequest::default() };
    let session = daemon.docker.exec(&id(), &command).await.unwrap();
    assert_eq!(session.control.exit_code().await.unwrap(), 7);
}

#[tokio::test]
async fn refusals_say_what_they_are() {
    let refuses = |status, message: &'static str| {
        Daemon::new(move |line| match line {
            "GET /v1.41/info" => json(r#"{"ID":"x","LoggingDriver":"json-file"}"#),
            line if line.starts_with("GET") => json(&container(ID, "a_b_cdefgh", "created")),
            _ => Reply::Full(status, serde_json::json!({ "message": message }).to_string()),
        })
    };
    let wanted = request("a_b_cdefgh", &["x"]);
    let conflict = "Conflict. The container name \"/a_b_cdefgh\" is already in use by container \"x\".";
    assert_eq!(refuses(409, conflict).docker.create(&wanted).await.unwrap(), id());
    let error = refuses(404, "No such image: image:latest").docker.create(&wanted).await.unwrap_err();
    assert!(matches!(&error, Error::NoImage(name) if name == "image"), "{error:?}");
    let error = refuses(400, "Requested CPUs are not available").docker.create(&wanted).await.unwrap_err();
    assert!(matches!(&error, Error::Invalid(text) if text.contains("CPUs")), "{error:?}");
    let error = refuses(500, "driver failed").docker.start(&id()).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot start a_b_cdefgh: driver failed");
    let error = refuses(404, "No such container: x").docker.start(&id()).await.unwrap_err();
    assert!(matches!(error, Error::NotFound(_)), "{error:?}");
    for words in
        ["You cannot remove a running container x.", "container is running: stop the container before removing"]
    {
        let error = refuses(409, words).docker.remove(&id(), false).await.unwrap_err();
        assert!(matches!(error, Error::Running(_)), "{error:?}");
    }
}

#[tokio::test]
async fn a_name_that_is_given_away_but_not_shown_is_waited_for() {
    let looks = AtomicUsize::new(0);
    let conflict =
        r#"{"message":"Conflict. The container name \"/a_b_cdefgh\" is already in use by container \"x\"."}"#;
    let daemon = Daemon::new(move |line| match line {
        "GET /v1.41/info" => json(r#"{"ID":"x"}"#),
        "GET /v1.41/containers/a_b_cdefgh/json" if looks.fetch_add(1, Ordering::SeqCst) == 0 => {
            Reply::Full(404, r#"{"message":"No such container: a_b_cdefgh"}"#.into())
        }
        "GET /v1.41/containers/a_b_cdefgh/json" => json(&container(ID, "a_b_cdefgh", "created")),
        _ => Reply::Full(409, conflict.into()),
    });
    assert_eq!(daemon.docker.create(&request("a_b_cdefgh", &["x"])).await.unwrap(), id());
}

#[tokio::test]
async fn a_removal_that_failed_is_no_removal() {
    for there in [false, true] {
        let daemon = Daemon::new(move |line| match line {
            line if line.starts_with("DELETE") => {
                Reply::Full(409, r#"{"message":"removal of container x is already in progress"}"#.into())
            }
            line if line.ends_with("/wait?condition=removed") => {
                json(r#"{"StatusCode":0,"Error":{"Message":"device is busy"}}"#)
            }
            _ if there => json(&container(ID, "a_b_cdefgh", "dead")),
            _ => Reply::Full(404, r#"{"message":"No such container: x"}"#.into()),
        });
        let removed = daemon.docker.remove(&id(), true).await;
        assert_eq!(removed.is_err(), there, "{removed:?}");
    }
}

#[tokio::test]
async fn a_storage_limit_that_it_refuses_is_left_out_from_then_on() {
    let creates = AtomicUsize::new(0);
    let info = r#"{"ID":"x","Driver":"overlay2","DriverStatus":[["Backing Filesystem","xfs"]]}"#;
    let refusal = r#"{"message":"--storage-opt is supported only for overlay over xfs with 'pquota' mount option"}"#;
    let daemon = Daemon::new(move |line| match (line, creates.load(Ordering::SeqCst)) {
        ("GET /v1.41/info", _) => json(info),
        (_, n) => {
            creates.store(n + 1, Ordering::SeqCst);
            if n == 0 { Reply::Full(500, refusal.into()) } else { json(&format!(r#"{{"Id":"{ID}"}}"#)) }
        }
    });
    let mut wanted = request("a_b_cdefgh", &["x"]);
    wanted.resources.storage_limit = MemoryBytes(1 << 30);
    assert_eq!(daemon.docker.create(&wanted).await.unwrap(), id());
    let asked = daemon.asked.load(Ordering::SeqCst);
    daemon.docker.create(&wanted).await.unwrap();
    assert_eq!(daemon.asked.load(Ordering::SeqCst), asked + 1);
}

/// Networks of its own, and what a daemon with them says of itself; the rest of the daemon makes whatever is asked for.
fn with_networks(swarm: &'static str) -> Daemon {
    Daemon::new(move |line| match line {
        "GET /v1.41/info" => json(&format!(r#"{{"ID":"x","Swarm":{swarm}}}"#)),
        // As the engine does: parts of names are enough.
        line if line.starts_with("GET /v1.41/networks?filters=") => {
            json(r#"[{"Name":"web"},{"Name":"db"},{"Name":"dbs"}]"#)
        }
        "GET /v1.41/networks/ab12" => json(r#"{"Name":"web"}"#),
        line if line.starts_with("GET /v1.41/networks/") => {
            Reply::Full(404, r#"{"message":"network d not found"}"#.into())
        }
        line if line.starts_with("POST /v1.41/containers/create") => json(&format!(r#"{{"Id":"{ID}"}}"#)),
        _ => Reply::Full(204, String::new()),
    })
}

#[tokio::test]
async fn networks_are_looked_for_before_anything_is_made() {
    let daemon = with_networks("{}");
    let on = |networks: &[&str]| {
        let mut wanted = request("a_b_cdefgh", &["x"]);
        wanted.labels.set("eru.nodename", "n7");
        wanted.networks = networks.iter().map(|network| ((*network).to_owned(), String::new())).collect();
        wanted
    };
    daemon.docker.create(&on(&[])).await.unwrap();
    let asked = async |networks: &[&str]| {
        daemon.asked.store(0, Ordering::SeqCst);
        let made = daemon.docker.create(&on(networks)).await;
        (made.map_err(|error| error.to_string()), daemon.asked.load(Ordering::SeqCst))
    };
    for free in ["host", "none", "bridge", "default"] {
        assert_eq!(asked(&[free]).await, (Ok(id()), 1), "{free}");
    }
    assert_eq!(asked(&["web"]).await, (Ok(id()), 2), "one question and the create");
    assert_eq!(asked(&["bridge", "db", "web"]).await, (Ok(id()), 4), "one question, the create and two joins");
    assert_eq!(asked(&["ab12"]).await.0, Ok(id()), "an id");
    let error = asked(&["bridge", "d"]).await.0.unwrap_err();
    let text = format!("network \"d\" does not exist on node n7, {}: create it there", daemon.docker.endpoint());
    assert!(error.starts_with(&text) && error.contains("eru-cli pod networks"), "{error}");
    // A worker of a swarm is told of a network when it starts something on it.
    let worker = with_networks(r#"{"LocalNodeState":"active","ControlAvailable":false}"#);
    worker.docker.create(&on(&["d"])).await.unwrap();
    let leader = with_networks(r#"{"LocalNodeState":"active","ControlAvailable":true}"#);
    leader.docker.create(&on(&["d"])).await.unwrap_err();
}
