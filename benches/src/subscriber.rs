//! A subscriber that reads only what a latency needs: the time that the reporter put into the extension.

use crate::cluster::connect;
use anyhow::Result;
use eru_api::pb;
use futures::StreamExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tonic::{codec::Streaming, transport::Channel};
use tonic_prost::ProstCodec;

/// The few fields of `WorkloadStatusStreamMessage` that are read; prost skips the others.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Light {
    /// The status.
    #[prost(message, optional, tag = "3")]
    pub status: Option<LightStatus>,
}

/// The few fields of `WorkloadStatus`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct LightStatus {
    /// The reporter's time, nanoseconds since the epoch, as decimal text.
    #[prost(bytes = "bytes", tag = "5")]
    pub extension: bytes::Bytes,
}

/// Nanoseconds since the epoch.
///
/// # Panics
/// When the clock is before it.
pub fn now_ns() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos()).expect("before 2554")
}

impl Light {
    /// How long ago the reporter wrote it.
    pub fn age(&self) -> Option<Duration> {
        let text = std::str::from_utf8(&self.status.as_ref()?.extension).ok()?;
        Some(Duration::from_nanos(now_ns().saturating_sub(text.parse().ok()?)))
    }
}

/// Streams of one connection.
pub const STREAMS_A_CONNECTION: usize = 100;

/// Opens `count` plain streams, [`STREAMS_A_CONNECTION`] a connection.
///
/// # Errors
/// When one cannot be opened.
pub async fn open(address: &str, count: usize) -> Result<Vec<Streaming<Light>>> {
    let mut streams = Vec::with_capacity(count);
    while streams.len() < count {
        let channel = connect(address).await?;
        let opens = (0..(count - streams.len()).min(STREAMS_A_CONNECTION)).map(|_| subscribe(channel.clone()));
        for stream in futures::stream::iter(opens).buffer_unordered(16).collect::<Vec<_>>().await {
            streams.push(stream?);
        }
    }
    Ok(streams)
}

async fn subscribe(channel: Channel) -> Result<Streaming<Light>> {
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready().await?;
    let path = http::uri::PathAndQuery::from_static("/pb.CoreRPC/WorkloadStatusStream");
    let request = tonic::Request::new(pb::WorkloadStatusStreamOptions::default());
    let codec: ProstCodec<pb::WorkloadStatusStreamOptions, Light> = ProstCodec::default();
    Ok(grpc.server_streaming(request, path, codec).await?.into_inner())
}
