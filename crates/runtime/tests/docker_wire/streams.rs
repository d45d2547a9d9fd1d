//! Streams that are split and cut anywhere.

use crate::scripted::{Daemon, ID, Reply, handed_over, head, id, json};
use eru_runtime::{Action, Error, ExecRequest, LogOptions, Runtime, Session, Stream};
use futures::StreamExt;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

const TIME: &str = "2026-11-24T18:30:40.144618099Z ";

fn frame(kind: u8, data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).expect("short").to_be_bytes();
    [&[kind, 0, 0, 0], &length[..], data].concat()
}

fn in_pieces(bytes: &[u8], size: usize) -> Vec<Vec<u8>> {
    bytes.chunks(size).map(<[u8]>::to_vec).collect()
}

fn event(action: &str, nanos: i64) -> String {
    format!(
        r#"{{"Type":"container","Action":"{action}","Actor":{{"ID":"{ID}","Attributes":{{"ERU":"1","name":"a_b_cdefgh"}}}},"timeNano":{nanos}}}"#
    ) + "\n"
}

#[tokio::test]
async fn events_go_on_where_they_broke() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = asked.clone();
    let daemon = Daemon::new(move |line| {
        let mut asked = seen.lock().unwrap();
        asked.push(line.to_owned());
        let mut bytes = head("200 OK");
        if asked.len() == 1 {
            bytes.extend(event("start", 1_700_000_000_000_000_001).into_bytes());
            bytes.extend(event("die", 1_700_000_000_000_000_002).into_bytes());
            bytes.extend(b"{\"Action\":");
            return Reply::Pieces(in_pieces(&bytes, 7));
        }
        bytes.extend(event("destroy", 1_700_000_000_000_000_003).into_bytes());
        bytes.extend(b"nonsense\n");
        Reply::Stalled(bytes)
    });
    let mut events = daemon.docker.events().await.unwrap();
    let mut actions = Vec::new();
    while let Some(event) = events.next().await {
        actions.push(event.action);
    }
    assert_eq!(actions, [Action::Started, Action::Died]);
    let mut events = daemon.docker.events().await.unwrap();
    assert_eq!(events.next().await.unwrap().action, Action::Removed);
    assert!(events.next().await.is_none(), "nonsense ends it");
    let asked = asked.lock().unwrap();
    assert!(asked[0].contains("filters=%7B%22") && asked[0].contains("network"), "{}", asked[0]);
    assert!(asked[1].contains("since=1700000000.000000003"), "{}", asked[1]);
}

#[tokio::test]
async fn a_subscription_is_there_when_the_call_returns() {
    let daemon = Daemon::new(|_| Reply::Stalled(head("200 OK")));
    let mut events = tokio::time::timeout(Duration::from_secs(20), daemon.docker.events()).await.unwrap().unwrap();
    assert!(
        tokio::time::timeout(Duration::from_millis(400), events.next()).await.is_err(),
        "no deadline on a silent stream"
    );
    let daemon = Daemon::new(|_| Reply::Stalled(vec![]));
    assert!(daemon.docker.events().await.is_err());
}

async fn outputs(mut session: Session) -> Result<(Vec<u8>, Vec<u8>), String> {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    while let Some(piece) = session.output.next().await {
        let (stream, data) = piece.map_err(|e| e.to_string())?;
        if stream == Stream::Stdout { &mut out } else { &mut err }.extend_from_slice(&data);
    }
    Ok((out, err))
}

async fn exec(pieces: Vec<Vec<u8>>, terminal: bool) -> Result<(Vec<u8>, Vec<u8>), String> {
    let daemon = Daemon::new(move |line| match line {
        line if line.ends_with("/exec") => json(r#"{"Id":"e"}"#),
        "POST /v1.41/exec/e/start" => Reply::Pieces(pieces.clone()),
        line => panic!("{line}"),
    });
    let request = ExecRequest { command: vec!["x".into()], terminal, ..ExecRequest::default() };
    let session = daemon.docker.exec(&id(), &request).await.map_err(|e| e.to_string())?;
    tokio::time::timeout(Duration::from_secs(20), outputs(session)).await.expect("it ends")
}

#[tokio::test]
async fn frames_in_odd_splits() {
    let frames = [frame(1, b"one\n"), frame(2, b"two\n"), frame(1, b"\x01\0\0\0")].concat();
    for size in [1, 3, 5, 8, 11, 1000] {
        let pieces = [vec![handed_over()], in_pieces(&frames, size)].concat();
        assert_eq!(exec(pieces, false).await.unwrap(), (b"one\n\x01\0\0\0".to_vec(), b"two\n".to_vec()), "{size}");
        // With the head in the same piece.
        let pieces = in_pieces(&[handed_over(), frames.clone()].concat(), size);
        assert_eq!(exec(pieces.clone(), false).await.unwrap().1, b"two\n", "{size}");
        assert_eq!(exec(pieces, true).await.unwrap(), (frames.clone(), vec![]), "{size}");
    }
    let cut = vec![handed_over(), frames[..frames.len() - 1].to_vec()];
    assert!(exec(cut, false).await.unwrap_err().contains("cut inside of a frame"));
    let nonsense = vec![handed_over(), b"hello world, no frames".to_vec()];
    assert!(exec(nonsense, false).await.unwrap_err().contains("in no frames"));
    let told = vec![handed_over(), frame(3, b"reading failed")];
    assert!(exec(told, false).await.unwrap_err().contains("reading failed"));
    let not_handed_over = vec![[head("200 OK"), frames].concat()];
    assert!(exec(not_handed_over, false).await.unwrap_err().contains("where a connection was asked for"));
}

#[tokio::test]
async fn logs_in_odd_splits_and_cut() {
    let logs = async |body: Vec<u8>, size: usize| {
        let daemon = Daemon::new(move |line| match line {
            line if line.ends_with("/json") => json(&format!(r#"{{"Id":"{ID}","Name":"/a_b_cdefgh"}}"#)),
            _ => Reply::Pieces([vec![head("200 OK")], in_pieces(&body, size)].concat()),
        });
        let lines = daemon.docker.logs(&id(), LogOptions::default()).await.unwrap();
        let lines: Vec<_> =
            lines.map(|line| line.map(|l| (l.stream, l.data.to_vec())).map_err(|e| e.to_string())).collect().await;
        lines
    };
    let body = [frame(1, format!("{TIME}one\n").as_bytes()), frame(2, format!("{TIME}two\n").as_bytes())].concat();
    for size in [1, 4, 9, 40, 1000] {
        let want = [Ok((Stream::Stdout, b"one".to_vec())), Ok((Stream::Stderr, b"two".to_vec()))];
        assert_eq!(logs(body.clone(), size).await, want, "{size}");
    }
    let cut = logs(body[..body.len() - 2].to_vec(), 1000).await;
    assert!(cut[0].is_ok() && cut[1].as_ref().unwrap_err().contains("cut inside"), "{cut:?}");
}

#[tokio::test]
async fn an_error_in_a_pull_is_an_error() {
    let progress = [
        r#"{"status":"Pulling fs layer","progressDetail":{},"id":"ab"}"#,
        r#"{"status":"Downloading","progressDetail":{"current":5,"total":9},"progress":"[=>  ]","id":"ab"}"#,
        r#"{"errorDetail":{"message":"manifest unknown"},"error":"manifest unknown"}"#,
    ];
    let body = progress.join("\r\n").into_bytes();
    let daemon = Daemon::new(move |line| {
        assert_eq!(line, "POST /v1.41/images/create?fromImage=h%3A5000%2Fa%2Fb&tag=latest");
        Reply::Pieces([vec![head("200 OK")], in_pieces(&body, 10)].concat())
    });
    let steps: Vec<_> = daemon.docker.pull("h:5000/a/b", None).await.unwrap().collect().await;
    assert_eq!(steps[1].as_ref().unwrap().bytes, (5, 9));
    assert_eq!(steps.len(), 3);
    assert!(steps[2].as_ref().unwrap_err().to_string().contains("cannot pull image \"h:5000/a/b\": manifest unknown"));
}

#[tokio::test]
async fn a_pull_that_says_nothing_more_is_given_up() {
    let begun = b"{\"status\":\"Downloading\",\"progressDetail\":{},\"id\":\"ab\"}\n".to_vec();
    let ends = |stalls: bool| {
        let bytes = [head("200 OK"), begun.clone(), b"{\"sta".to_vec()].concat();
        let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"sta\r\n".to_vec();
        Daemon::new(move |_| if stalls { Reply::Stalled(bytes.clone()) } else { Reply::Pieces(vec![chunked.clone()]) })
    };
    for (stalls, cause) in [(true, "no progress for 0.3 s"), (false, "")] {
        let daemon = ends(stalls);
        let progress = daemon.docker.pull("a/b:1", None).await.unwrap();
        let steps: Vec<_> = tokio::time::timeout(Duration::from_secs(20), progress.collect()).await.expect("it ends");
        let error = steps.into_iter().next_back().unwrap().unwrap_err();
        assert!(
            matches!(&error, Error::Unavailable { endpoint, .. } if endpoint == daemon.docker.endpoint()),
            "{error}"
        );
        let text = error.to_string();
        assert!(text.contains(cause) && text.contains("fetching image \"a/b:1\""), "{text}");
    }
}
