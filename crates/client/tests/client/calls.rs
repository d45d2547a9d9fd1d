//! Calls over several cores: failover, deadlines, and errors in words.

use crate::support::FakeCore;
use eru_api::pb;
use eru_client::{Client, ClientOptions, Error};
use std::{sync::atomic::Ordering, time::Duration};
use tokio::{io::AsyncReadExt, net::TcpListener};

fn client(addresses: &[&str]) -> Client {
    Client::connect(addresses, ClientOptions::default()).unwrap()
}

async fn pods(client: &Client) -> Result<pb::Pods, Error> {
    client.read(|mut core| async move { core.list_pods(pb::Empty {}).await }).await
}

async fn add_pod(client: &Client, name: &str) -> Result<pb::Pod, Error> {
    let request = pb::AddPodOptions { name: name.into(), ..Default::default() };
    client
        .write(|mut core| {
            let request = request.clone();
            async move { core.add_pod(request).await }
        })
        .await
}

/// An address that nobody listens on.
async fn nobody() -> String {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string()
}

/// A server that takes every connection and drops it when the first bytes have come.
async fn rude() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let mut bytes = [0; 1024];
            while let Ok(1..) = connection.read(&mut bytes).await {
                if bytes.windows(4).any(|w| w == b"CoreRPC".first_chunk::<4>().unwrap()) {
                    break;
                }
                // The preface of the connection is let through, the request behind it is not answered.
                if tokio::time::timeout(Duration::from_millis(50), connection.readable()).await.is_err() {
                    break;
                }
            }
        }
    });
    address
}

#[tokio::test]
async fn the_error_says_which_core_cannot_be_reached_and_why() {
    let (a, b) = (nobody().await, nobody().await);
    for outcome in [pods(&client(&[&a])).await.map(drop), add_pod(&client(&[&a]), "x").await.map(drop)] {
        assert_eq!(outcome.unwrap_err().to_string(), format!("cannot reach core {a}: connection refused"));
    }
    let error = pods(&client(&[&a, &b])).await.unwrap_err();
    assert_eq!(error.to_string(), format!("cannot reach core {a}: connection refused; {b}: connection refused"));
    assert!(error.is_transient());
}

#[tokio::test]
async fn calls_go_to_the_core_that_answers() {
    let (dead, core) = (nobody().await, FakeCore::start().await);
    let client = client(&[&dead, &core.address]);
    assert_eq!(pods(&client).await.unwrap().pods[0].name, "pod1");
    assert_eq!(add_pod(&client, "p").await.unwrap().name, "p");
    assert_eq!(client.route().address().as_str(), core.address);
}

#[tokio::test]
async fn a_write_that_may_have_arrived_is_not_sent_again_and_a_read_is() {
    let (rude, core) = (rude().await, FakeCore::start().await);
    let error = add_pod(&client(&[&rude, &core.address]), "p").await.unwrap_err();
    assert!(matches!(error, Error::Broken { .. }), "{error:?}");
    assert!(error.to_string().starts_with(&format!("connection to core {rude} broke: ")), "{error}");
    assert_eq!(core.calls.load(Ordering::SeqCst), 0);
    assert!(pods(&client(&[&rude, &core.address])).await.is_ok());
}

#[tokio::test]
async fn a_core_that_hangs_costs_the_deadline_and_answers_keep_their_text() {
    let core = FakeCore::start().await;
    let client = client(&[&core.address]).with_deadline(Duration::from_millis(100));
    let error = add_pod(&client, "hang").await.unwrap_err();
    assert_eq!(error.to_string(), format!("core {} did not answer within 100 ms", core.address));
    let error = add_pod(&client, "bad").await.unwrap_err();
    assert_eq!((error.to_string().as_str(), error.code()), ("pod name is bad", tonic::Code::InvalidArgument));
}

#[tokio::test]
async fn a_core_that_was_started_again_is_found_by_the_next_call() {
    let core = FakeCore::start().await;
    let client = client(&[&core.address]);
    assert!(pods(&client).await.is_ok());
    let address = core.address.parse().unwrap();
    drop(core);
    let deadline = tokio::time::Instant::now() + crate::support::PATIENCE;
    while pods(&client).await.is_ok() {
        assert!(tokio::time::Instant::now() < deadline, "the core is gone");
    }
    let _core = FakeCore::start_at(address).await;
    assert!(pods(&client).await.is_ok());
}

#[tokio::test]
async fn the_login_goes_along() {
    let core = FakeCore::start().await;
    let address = format!("eru://me:secret@{}", core.address);
    assert_eq!(pods(&client(&[&address])).await.unwrap().pods[0].desc, "secret");
}
