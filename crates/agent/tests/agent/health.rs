//! Probes against servers that misbehave.

use eru_agent::health::probe;
use eru_types::{HealthCheck, health::HttpCheck};
use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn http(port: u16, code: u16) -> HealthCheck {
    HealthCheck { tcp_ports: vec![], http: Some(HttpCheck { port, path: "/health".into(), code }) }
}

fn tcp(ports: &[u16]) -> HealthCheck {
    HealthCheck { tcp_ports: ports.to_vec(), http: None }
}

/// A server that writes this again and again, `times` times, and then holds the connection.
async fn says(answer: impl Into<Vec<u8>>, times: usize) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let answer = answer.into();
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let _ = connection.read(&mut [0; 1024]).await;
                for _ in 0..times {
                    if connection.write_all(&answer).await.is_err() {
                        return;
                    }
                }
                // Held until the other side lets go.
                let _ = connection.read(&mut [0; 1]).await;
            });
        }
    });
    port
}

async fn nobody() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

async fn ask(check: &HealthCheck, deadline_ms: u64) -> Result<(), String> {
    let begun = Instant::now();
    let outcome = probe(HERE, check, Duration::from_millis(deadline_ms)).await;
    assert!(begun.elapsed() < Duration::from_secs(10), "a probe ends");
    outcome
}

#[tokio::test]
async fn codes() {
    let answers = [
        (200, 0, true),
        (301, 0, true),
        (404, 0, true),
        (499, 0, true),
        (500, 0, false),
        (199, 0, false),
        (204, 204, true),
        (200, 204, false),
        (503, 503, true),
    ];
    for (answered, wanted, healthy) in answers {
        let port = says(format!("HTTP/1.1 {answered} x\r\nContent-Length: 0\r\n\r\n"), 1).await;
        assert_eq!(ask(&http(port, wanted), 5000).await.is_ok(), healthy, "{answered} for {wanted}");
    }
    let port = says("HTTP/1.1 500 x\r\n\r\n", 1).await;
    let error = ask(&http(port, 0), 5000).await.unwrap_err();
    assert_eq!(error, format!("http 127.0.0.1:{port}/health: answered 500, wanted 200 to 499"));
}

#[tokio::test]
async fn refused_and_silent() {
    let port = nobody().await;
    assert_eq!(
        ask(&http(port, 0), 5000).await.unwrap_err(),
        format!("http 127.0.0.1:{port}/health: connection refused")
    );
    assert_eq!(ask(&tcp(&[port]), 5000).await.unwrap_err(), format!("tcp 127.0.0.1:{port}: connection refused"));
    let port = says("", 1).await;
    let error = ask(&http(port, 0), 100).await.unwrap_err();
    assert_eq!(error, format!("http 127.0.0.1:{port}/health: no answer within 100 ms"));
    assert!(ask(&tcp(&[port]), 5000).await.is_ok(), "it does accept");
    assert!(ask(&tcp(&[port, nobody().await]), 5000).await.is_err(), "every port must");
    assert!(ask(&HealthCheck::default(), 5000).await.is_ok());
}

#[tokio::test]
async fn garbage_and_endless_answers() {
    let cases: [(&[u8], usize, &str); 5] = [
        (b"SSH-2.0-x\x1b[2J\r\n\r\n", 1, "answered \"SSH-2.0-x\\u{1b}[2J\", which is not HTTP"),
        (b"HTTP/1.1 200 OK\r\n", 1, "no answer within"),
        (b"HTTP/1.1 200 OK\r\nX: yyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n", 100_000, "more than 16384 bytes of headers"),
        (&[0xff; 4096], 10_000, "more than 16384 bytes of headers"),
        (b"HTTP/1.1 2OO OK\r\n\r\n", 1, "which is not HTTP"),
    ];
    for (answer, times, wanted) in cases {
        let error = ask(&http(says(answer, times).await, 0), 300).await.unwrap_err();
        assert!(error.contains(wanted), "{error}");
    }
    // The head is fine; what the body does is not our business.
    let mut endless = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    endless.extend([b'x'; 8192]);
    assert!(ask(&http(says(endless, 100_000).await, 0), 5000).await.is_ok());
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = elsewhere.local_addr().unwrap();
    let asked = Arc::new(AtomicBool::new(false));
    let seen = asked.clone();
    tokio::spawn(async move {
        while elsewhere.accept().await.is_ok() {
            seen.store(true, Ordering::SeqCst);
        }
    });
    let port = says(format!("HTTP/1.1 302 Found\r\nLocation: http://{target}/\r\nContent-Length: 0\r\n\r\n"), 1).await;
    assert!(ask(&http(port, 0), 5000).await.is_ok());
    assert!(ask(&http(port, 200), 5000).await.is_err());
    assert!(!asked.load(Ordering::SeqCst));
}

#[tokio::test]
async fn the_request_is_plain() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let request = tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 1024];
        let len = connection.read(&mut request).await.unwrap();
        connection.write_all(b"HTTP/1.0 200\n\n").await.unwrap();
        String::from_utf8(request[..len].to_vec()).unwrap()
    });
    assert!(ask(&http(port, 0), 5000).await.is_ok());
    let request = request.await.unwrap();
    assert!(request.starts_with(&format!("GET /health HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n")), "{request}");
    assert!(request.ends_with("Connection: close\r\n\r\n"));
}
