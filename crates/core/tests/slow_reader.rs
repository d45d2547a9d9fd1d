//! A subscriber that stops reading: it costs nothing, and gets the newest of everything when it reads again.
//! Alone in its file, because it measures the memory of its process.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

use eru_api::pb::{self, core_rpc_client::CoreRpcClient, workload_status_stream_message::Kind};
use eru_kv::{Embedded, EmbeddedOptions};
use futures::future::join_all;
use prost::Message as _;
use std::collections::HashSet;
use support::{PATIENCE, TestCore, deploy, start_with};
use tonic::{Streaming, transport::Channel};

const WORKLOADS: usize = 10_000;
/// Most instances of one call.
const CALL: usize = 1000;
/// After these the store, the cache and the allocator have what they need for every workload and its report.
const WARM_UP_ROUNDS: usize = 2;
/// Rounds of reports that are measured, first without and then with readers that do not read.
const ROUNDS: usize = 4;
const READERS: usize = 4;
/// Of each report: a message is about two kilobytes, and the backlog of one reader, were it kept, eighty megabytes.
const REASON_BYTES: usize = 500;
/// The store's own history, in memory: less than a warm-up writes, so that it grows no more when it is measured.
const HISTORY_BYTES_MAX: usize = 16 * 1024 * 1024;
/// What readers that do not read may cost, beside what the same reports cost without them.
const COST_MAX_BYTES: usize = 16 * 1024 * 1024;
/// HTTP/2's own default: what a client that does not read still takes.
const WINDOW_BYTES: u32 = 64 * 1024 - 1;
/// What is on its way when a reader stops is delivered as it was: a window, and what the server's side of a stream has
/// made ready to send, which was measured to be as much again.
const OUTDATED_BYTES_MAX: usize = 4 * WINDOW_BYTES as usize;

/// The memory of this process, in bytes.
fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

fn reason(round: usize) -> String {
    format!("{round:0REASON_BYTES$}")
}

async fn report_all(core: &TestCore, ids: &[String], round: usize) {
    let calls = ids.chunks(500).map(|ids| {
        let status = ids
            .iter()
            .map(|id| pb::WorkloadStatus {
                id: id.clone(),
                running: true,
                healthy: round.is_multiple_of(2),
                reason: reason(round),
                ..Default::default()
            })
            .collect();
        let mut client = core.client.clone();
        async move { client.set_workloads_status(pb::SetWorkloadsStatusOptions { status }).await.map(drop) }
    });
    join_all(calls).await.into_iter().for_each(|stored| stored.unwrap());
}

/// A stream on a connection of its own, with the smallest windows and with the snapshot read.
async fn subscribed(core: &TestCore) -> Streaming<pb::WorkloadStatusStreamMessage> {
    let endpoint = Channel::from_shared(format!("http://{}", core.handle.address)).unwrap();
    let endpoint = endpoint.initial_stream_window_size(WINDOW_BYTES).initial_connection_window_size(WINDOW_BYTES);
    let channel = endpoint.connect().await.unwrap();
    let wanted = pb::WorkloadStatusStreamOptions { snapshot: true, ..Default::default() };
    let mut stream = CoreRpcClient::new(channel).workload_status_stream(wanted).await.unwrap().into_inner();
    let mut listed = 0;
    loop {
        let message = stream.message().await.unwrap().unwrap();
        match message.kind() {
            Kind::Snapshot => listed += 1,
            Kind::Synced => break,
            other => panic!("{other:?} within the snapshot"),
        }
    }
    assert_eq!(listed, WORKLOADS);
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_stops_costs_nothing_and_gets_the_newest() {
    let folder = tempfile::tempdir().unwrap();
    let small_history = EmbeddedOptions { history_bytes_max: HISTORY_BYTES_MAX, ..EmbeddedOptions::default() };
    let store = Embedded::open(folder.path(), small_history).unwrap();
    let mut core = start_with(|options| options.kv = store).await.with_nodes(&["n1", "n2", "n3", "n4"]).await;
    let mut ids = Vec::new();
    for _ in 0..WORKLOADS / CALL {
        let mut options = deploy("app", i32::try_from(CALL).unwrap());
        options.resource_opts = Some(pb::ResourceOptions { memory_limit: 4 << 20, ..Default::default() });
        ids.extend(core.deployed(options).await);
    }
    let mut rounds = 0..;
    grown_by_reports(&core, &ids, rounds.by_ref().take(WARM_UP_ROUNDS)).await;
    let without = grown_by_reports(&core, &ids, rounds.by_ref().take(ROUNDS)).await;
    let mut streams = Vec::new();
    for _ in 0..READERS {
        streams.push(subscribed(&core).await);
    }
    // From here on nobody polls the streams.
    let with = grown_by_reports(&core, &ids, rounds.by_ref().take(ROUNDS)).await;
    println!(
        "{WORKLOADS} workloads, {ROUNDS} rounds: {without} bytes without, {with} bytes with {READERS} stalled readers"
    );
    let cost = with.saturating_sub(without);
    assert!(cost < COST_MAX_BYTES, "{READERS} readers cost {cost} bytes: {with} with them, {without} without");

    // What is told is what the cache has, which may lag behind what was acknowledged.
    core.handle.cluster.cache.linearizable().await.unwrap();
    let newest = reason(rounds.start - 1);
    for stream in streams {
        read_again(stream, &ids, &newest).await;
    }
    core.stop().await;
}

/// Reports in so many rounds, and answers by how many bytes the process has grown.
async fn grown_by_reports(core: &TestCore, ids: &[String], rounds: impl Iterator<Item = usize>) -> usize {
    let before = resident_bytes();
    for round in rounds {
        report_all(core, ids, round).await;
    }
    resident_bytes().saturating_sub(before)
}

/// Reads until every workload was told as it is now: each once like that, and hardly any as it was before.
async fn read_again(mut stream: Streaming<pb::WorkloadStatusStreamMessage>, ids: &[String], newest: &str) {
    let mut waiting: HashSet<&str> = ids.iter().map(String::as_str).collect();
    let mut outdated_bytes = 0;
    let reading = async {
        while !waiting.is_empty() {
            let message = stream.message().await.unwrap().expect("a slow reader is not cut off");
            match message.kind() {
                Kind::Bookmark => continue,
                Kind::Change => {}
                other => panic!("{other:?}: a slow reader has missed nothing"),
            }
            let message_bytes = message.encoded_len();
            let status = message.status.unwrap();
            if status.reason == newest {
                assert!(waiting.remove(message.id.as_str()), "{} is told twice", message.id);
            } else {
                assert!(waiting.contains(message.id.as_str()), "{} goes back in time", message.id);
                outdated_bytes += message_bytes;
            }
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.expect("everything arrives in time");
    assert!(outdated_bytes <= OUTDATED_BYTES_MAX, "{outdated_bytes} bytes of before, for {WORKLOADS} workloads");
    println!("{outdated_bytes} bytes of before were on their way");
}
