//! Daemons that are not as they should be.

use crate::scripted::{Daemon, ID, Reply, VERSION, WITHIN, container, head, id, json};
use eru_runtime::{Docker, DockerOptions, Error, Runtime, State};
use eru_types::Labels;
use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

#[tokio::test]
async fn none_is_there() {
    let docker = Docker::connect(DockerOptions::new("unix:///nosuch/docker.sock")).unwrap();
    let error = docker.ping().await.unwrap_err();
    assert!(
        matches!(&error, Error::Unavailable { endpoint, .. } if endpoint == "unix:///nosuch/docker.sock"),
        "{error:?}"
    );
    let text = "runtime unix:///nosuch/docker.sock does not answer: No such file or directory (os error 2)";
    assert_eq!(error.to_string(), text);
    let docker = Docker::connect(DockerOptions::new("tcp://127.0.0.1:1")).unwrap();
    assert!(docker.info().await.unwrap_err().to_string().contains("refused"));
}

#[tokio::test]
async fn one_that_hangs_is_given_up() {
    let before_the_head = Daemon::new(|_| Reply::Stalled(vec![]));
    let in_the_body = Daemon::new(|_| Reply::Stalled([head("200 OK"), b"{\"Id\":".to_vec()].concat()));
    let at_the_version = Daemon::with_version(|_| Reply::Stalled(vec![]));
    for daemon in [before_the_head, in_the_body, at_the_version] {
        let begun = Instant::now();
        let error = daemon.docker.inspect(&id()).await.unwrap_err();
        assert!(begun.elapsed() < WITHIN * 10, "{:?}", begun.elapsed());
        assert!(matches!(&error, Error::Unavailable { cause, .. } if cause == "no answer within 0.3 s"), "{error:?}");
    }
}

#[tokio::test]
async fn one_that_is_late_is_waited_for() {
    let daemon = Daemon::new(|_| Reply::Late(WITHIN / 2, 200, container(ID, "a_b_cdefgh", "running")));
    daemon.docker.inspect(&id()).await.unwrap();
    // A change may take longer than a question.
    let daemon = Daemon::new(|_| Reply::Late(WITHIN * 2, 204, String::new()));
    daemon.docker.start(&id()).await.unwrap();
    // Of a stop the grace time counts too.
    let daemon = Daemon::new(|line| {
        assert!(line.ends_with("/stop?t=1"), "{line}");
        Reply::Late(WITHIN * 5, 204, String::new())
    });
    daemon.docker.stop(&id(), Duration::from_millis(900)).await.unwrap();
}

#[tokio::test]
async fn nonsense_is_called_so() {
    for nonsense in ["", "{", "[]", "<html>", r#"{"Id":1}"#, "{\"Id\":\"\u{1b}[31m\""] {
        let daemon = Daemon::new(move |_| json(nonsense));
        let error = daemon.docker.inspect(&id()).await.unwrap_err();
        // `[]` reads as a container without an id, which is no workload.
        let told =
            matches!(&error, Error::Failed(text) if text.contains("nonsense")) || matches!(error, Error::NotFound(_));
        assert!(told && !error.to_string().contains('\u{1b}'), "{nonsense:?}: {error:?}");
    }
    let daemon = Daemon::new(|_| Reply::Pieces(vec![b"SSH-2.0-x\r\n".to_vec()]));
    assert!(matches!(daemon.docker.ping().await.unwrap_err(), Error::Unavailable { .. }));
    let daemon = Daemon::new(|_| Reply::Full(500, format!("<html>\u{7}{}", "x".repeat(50_000))));
    let error = daemon.docker.ping().await.unwrap_err();
    assert!(
        matches!(&error, Error::Failed(text) if text.starts_with("<html>\\u{7}") && text.len() < 5_000),
        "{error:?}"
    );
}

#[tokio::test]
async fn too_much_is_not_read() {
    let daemon = Daemon::new(|_| {
        let endless = vec![b' '; 1024 * 1024];
        Reply::Pieces([vec![head("200 OK")], vec![endless; 70]].concat())
    });
    let error = Docker::connect(DockerOptions::new(daemon.docker.endpoint())).unwrap().info().await.unwrap_err();
    assert!(error.to_string().contains("more than 67108864 bytes"), "{error}");
}

#[tokio::test]
async fn a_new_word_and_a_vanished_one_spoil_no_list() {
    let ids: Vec<String> = (0..4).map(|n| format!("{n}").repeat(64)).collect();
    let daemon = Daemon::new(move |line| {
        if line.starts_with("GET /v1.41/containers/json?all=1&filters=%7B%22label%22%3A%5B%22ERU%3D1%22%5D%7D") {
            return json(
                &serde_json::to_string(&ids.iter().map(|id| serde_json::json!({"Id": id})).collect::<Vec<_>>())
                    .unwrap(),
            );
        }
        match &line["GET /v1.41/containers/".len()..][..1] {
            "0" => json(&container(&ids[0], "a_b_cdefgh", "levitating")),
            "1" => Reply::Full(404, r#"{"message":"No such container: 1"}"#.into()),
            "2" => json(&container(&ids[2], "someone-elses", "running")),
            _ => json(&container(&ids[3], "a_b_cdefgi", "running")),
        }
    });
    let labels = Labels::new([("ERU".to_owned(), "1".to_owned())].into()).unwrap();
    let all = daemon.docker.list(&labels).await.unwrap();
    assert_eq!(all.iter().map(|seen| seen.name.to_string()).collect::<Vec<_>>(), ["a_b_cdefgh", "a_b_cdefgi"]);
}

#[tokio::test]
async fn one_that_cannot_be_described_spoils_no_list() {
    let broken = |id: &str, name: &str, state: &str, status: &str| serde_json::json!({"Id": id.repeat(64), "Names": [format!("/{name}")], "Labels": {"ERU": "1"}, "State": state, "Status": status});
    let all = serde_json::json!([
        broken("1", "a_b_cdefga", "running", "Up 2 hours"),
        broken("2", "a_b_cdefgb", "exited", "Exited (137) 2 hours ago"),
        broken("3", "a_b_cdefgc", "dead", "Dead"),
        broken("4", "a_b_cdefgd", "created", "Created"),
        {"Id": "5".repeat(64), "Names": null, "NetworkSettings": null},
    ]);
    let daemon = Daemon::new(move |line| match &line["GET /v1.41/containers/".len()..][..1] {
        "j" => json(&all.to_string()),
        "4" => json(r#"{"Id":4}"#),
        _ => Reply::Full(500, r#"{"message":"RWLayer of container is unexpectedly nil"}"#.into()),
    });
    let all = daemon.docker.list(&Labels::default()).await.unwrap();
    let seen: Vec<_> = all.iter().map(|seen| (seen.state, seen.exit.map(|exit| exit.code))).collect();
    assert_eq!(
        seen,
        [(State::Running, None), (State::Exited, Some(137)), (State::Exited, Some(255)), (State::Created, None)]
    );
    assert!(all[1].reason.contains("unexpectedly nil") && all[1].labels.get("ERU") == Some("1"), "{:?}", all[1]);
}

#[tokio::test]
async fn output_that_does_not_come_holds_nothing_up() {
    let description = format!(
        r#"{{"Id":"{ID}","Name":"/a_b_cdefgh","State":{{"Status":"exited","ExitCode":3}},"Config":{{}},"NetworkSettings":{{}}}}"#
    );
    let daemon = Daemon::new(move |line| match line {
        line if line.ends_with("/json") => json(&description),
        _ => Reply::Stalled(head("200 OK")),
    });
    let begun = Instant::now();
    let seen = daemon.docker.inspect(&id()).await.unwrap();
    assert_eq!((seen.exit.unwrap().code, seen.reason.as_str()), (3, ""));
    let error = daemon.docker.last_lines(&id(), 3).await.unwrap_err();
    assert!(matches!(&error, Error::Unavailable { cause, .. } if cause == "no answer within 0.3 s"), "{error:?}");
    assert!(begun.elapsed() < WITHIN * 20, "{:?}", begun.elapsed());
    // However patient we are with the daemon, an agent waits five seconds for all that there is to say of a workload.
    let patient = Docker::connect(DockerOptions::new(daemon.docker.endpoint())).unwrap();
    let seen = tokio::time::timeout(Duration::from_secs(5), patient.inspect(&id())).await.expect("in time").unwrap();
    assert_eq!((seen.exit.unwrap().code, seen.reason.as_str()), (3, ""));
}

#[tokio::test]
async fn versions_are_agreed_upon_once() {
    let daemon = Daemon::new(|line| {
        assert_eq!(line, "GET /v1.41/_ping");
        json("OK")
    });
    for _ in 0..5 {
        daemon.docker.ping().await.unwrap();
    }
    assert_eq!(daemon.asked.load(Ordering::SeqCst), 6);
    for (version, part) in [
        (r#"{"ApiVersion":"1.99","MinAPIVersion":"1.90"}"#, "1.90 to 1.99, and we"),
        (r#"{"ApiVersion":"1.18","MinAPIVersion":"1.12"}"#, "1.12 to 1.18, and we"),
    ] {
        let daemon = Daemon::with_version(move |line| {
            assert_eq!(line, "GET /version");
            json(version)
        });
        let error = daemon.docker.ping().await.unwrap_err();
        assert!(matches!(&error, Error::Unavailable { cause, .. } if cause.contains(part)), "{error:?}");
    }
}

#[tokio::test]
async fn a_daemon_that_was_replaced_is_asked_again() {
    static REPLACED: AtomicBool = AtomicBool::new(false);
    let daemon = Daemon::with_version(|line| match (line, REPLACED.load(Ordering::SeqCst)) {
        ("GET /version", false) => json(VERSION),
        ("GET /version", true) => json(r#"{"ApiVersion":"1.52","MinAPIVersion":"1.44"}"#),
        ("GET /v1.41/_ping", false) | ("GET /v1.44/_ping", true) => json("OK"),
        _ => Reply::Full(
            400,
            r#"{"message":"client version 1.41 is too old. Minimum supported API version is 1.44"}"#.into(),
        ),
    });
    daemon.docker.ping().await.unwrap();
    REPLACED.store(true, Ordering::SeqCst);
    daemon.docker.ping().await.unwrap();
}
