//! The page's stream, read by a client made from the messages exactly as the page prints them, not from our proto file.

use crate::scene::{SOON, pid_of, three_servers};
use anyhow::{Context, Result};
use eru_testkit::up::signal;
use std::collections::HashMap;
use tonic::transport::Endpoint;
use tonic_prost::ProstCodec;

#[derive(Clone, PartialEq, prost::Message)]
struct WorkloadStatusStreamOptions {
    #[prost(string, tag = "1")]
    appname: String,
    #[prost(string, tag = "2")]
    entrypoint: String,
    #[prost(string, tag = "3")]
    nodename: String,
    #[prost(map = "string, string", tag = "4")]
    labels: HashMap<String, String>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct WorkloadStatusStreamMessage {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(message, optional, tag = "2")]
    workload: Option<Workload>,
    #[prost(message, optional, tag = "3")]
    status: Option<WorkloadStatus>,
    #[prost(string, tag = "4")]
    error: String,
    #[prost(bool, tag = "5")]
    delete: bool,
}

/// The page leaves these two to the API; the fields that it speaks of.
#[derive(Clone, PartialEq, prost::Message)]
struct Workload {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(string, tag = "3")]
    nodename: String,
    #[prost(string, tag = "4")]
    name: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct WorkloadStatus {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(bool, tag = "2")]
    running: bool,
    #[prost(bool, tag = "3")]
    healthy: bool,
    #[prost(map = "string, string", tag = "4")]
    networks: HashMap<String, String>,
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stream_as_the_page_prints_it() -> Result<()> {
    let (up, all) = three_servers().await?;
    let channel = Endpoint::from_shared(format!("http://{}", up.core))?.connect().await?;
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready().await?;
    let options =
        WorkloadStatusStreamOptions { appname: "hello".into(), entrypoint: "web".into(), ..Default::default() };
    let codec: ProstCodec<WorkloadStatusStreamOptions, WorkloadStatusStreamMessage> = ProstCodec::default();
    let path = http::uri::PathAndQuery::from_static("/pb.CoreRPC/WorkloadStatusStream");
    // The headers must come at once: a client that waits for them must not hang until the first change.
    let answer = grpc.server_streaming(tonic::Request::new(options), path, codec);
    let mut stream =
        tokio::time::timeout(SOON, answer).await.context("no headers before the first message")??.into_inner();

    signal(pid_of(&all[0]).await?, rustix::process::Signal::KILL)?;
    let (mut died, mut deleted, mut back) = (false, false, false);
    while !(died && deleted && back) {
        let message = tokio::time::timeout(SOON, stream.message())
            .await
            .with_context(|| format!("died {died}, deleted {deleted}, back {back}"))??
            .context("the stream ended")?;
        if message.id != all[0].id {
            let (Some(workload), Some(status)) = (&message.workload, &message.status) else { continue };
            assert!(workload.name.starts_with("hello_web_"), "{message:?}");
            back |= status.running && status.healthy && status.networks.contains_key("loopback");
        } else if message.delete {
            deleted = true;
            assert_eq!(message.error, format!("bad `Count` value: key: /workloads/{}", all[0].id));
        } else {
            let status = message.status.as_ref().context("a change carries the status")?;
            assert!(message.error.is_empty(), "{message:?}");
            died |= !status.running && !status.healthy;
        }
    }
    Ok(())
}
