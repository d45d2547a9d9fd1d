//! A client that knows only the five fields of the original reads our status stream, and we read what it writes.

use std::collections::BTreeMap;

use eru_api::pb;
use prost::Message;

/// `WorkloadStatusStreamMessage` exactly as the mission states it.
#[derive(Clone, PartialEq, Message)]
struct PlainMessage {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(message, optional, tag = "2")]
    workload: Option<PlainWorkload>,
    #[prost(message, optional, tag = "3")]
    status: Option<PlainStatus>,
    #[prost(string, tag = "4")]
    error: String,
    #[prost(bool, tag = "5")]
    delete: bool,
}

#[derive(Clone, PartialEq, Message)]
struct PlainWorkload {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(string, tag = "2")]
    podname: String,
    #[prost(string, tag = "3")]
    nodename: String,
    #[prost(string, tag = "4")]
    name: String,
}

#[derive(Clone, PartialEq, Message)]
struct PlainStatus {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(bool, tag = "2")]
    running: bool,
    #[prost(bool, tag = "3")]
    healthy: bool,
    #[prost(btree_map = "string, string", tag = "4")]
    networks: BTreeMap<String, String>,
    #[prost(bytes = "vec", tag = "5")]
    extension: Vec<u8>,
}

/// `WorkloadStatusStreamOptions` exactly as the mission states it.
#[derive(Clone, PartialEq, Message)]
struct PlainOptions {
    #[prost(string, tag = "1")]
    appname: String,
    #[prost(string, tag = "2")]
    entrypoint: String,
    #[prost(string, tag = "3")]
    nodename: String,
    #[prost(btree_map = "string, string", tag = "4")]
    labels: BTreeMap<String, String>,
}

fn plain() -> PlainMessage {
    PlainMessage {
        id: "cd7c894a".into(),
        workload: Some(PlainWorkload {
            id: "cd7c894a".into(),
            podname: "testpod".into(),
            nodename: "node1".into(),
            name: "eru_agent_AbCdEf".into(),
        }),
        status: Some(PlainStatus {
            id: "cd7c894a".into(),
            running: true,
            healthy: true,
            networks: [("bridge".into(), "172.17.0.7".into())].into(),
            extension: b"{\"ERU\":\"1\"}".to_vec(),
        }),
        error: "gone".into(),
        delete: true,
    }
}

fn full() -> pb::WorkloadStatusStreamMessage {
    pb::WorkloadStatusStreamMessage {
        id: "cd7c894a".into(),
        workload: Some(pb::Workload {
            id: "cd7c894a".into(),
            podname: "testpod".into(),
            nodename: "node1".into(),
            name: "eru_agent_AbCdEf".into(),
            ..Default::default()
        }),
        status: Some(pb::WorkloadStatus {
            id: "cd7c894a".into(),
            running: true,
            healthy: true,
            networks: [("bridge".into(), "172.17.0.7".into())].into(),
            extension: "{\"ERU\":\"1\"}".into(),
            ..Default::default()
        }),
        error: "gone".into(),
        delete: true,
        ..Default::default()
    }
}

#[test]
fn a_plain_message_is_byte_for_byte_the_originals() {
    assert_eq!(full().encode_to_vec(), plain().encode_to_vec());
    assert_eq!(pb::WorkloadStatusStreamMessage::decode(plain().encode_to_vec().as_slice()).unwrap(), full());
}

#[test]
fn a_plain_client_reads_an_extended_message() {
    let mut extended = full();
    extended.kind = pb::workload_status_stream_message::Kind::Resync as i32;
    extended.resume_token = "token".into();
    extended.revision = 42;
    extended.reason = "the token is of another store".into();
    let status = extended.status.get_or_insert_default();
    status.exit = Some(pb::ExitStatus { code: 1, signal: 9, oom_killed: true, at_ms: 1 });
    status.last_lines = vec!["out of memory".into()];
    status.node_state = "ready".into();
    extended.workload.get_or_insert_default().state = "running".into();

    let bytes = extended.encode_to_vec();
    assert_eq!(PlainMessage::decode(bytes.as_slice()).unwrap(), plain());
    assert_eq!(pb::WorkloadStatusStreamMessage::decode(bytes.as_slice()).unwrap(), extended);
}

#[test]
fn a_plain_request_asks_for_no_extension() {
    let plain = PlainOptions {
        appname: "eru".into(),
        entrypoint: "agent".into(),
        nodename: "node1".into(),
        labels: [("ERU".into(), "1".into())].into(),
    };
    let ours = pb::WorkloadStatusStreamOptions::decode(plain.encode_to_vec().as_slice()).unwrap();
    let expected = pb::WorkloadStatusStreamOptions {
        appname: "eru".into(),
        entrypoint: "agent".into(),
        nodename: "node1".into(),
        labels: [("ERU".into(), "1".into())].into(),
        ..Default::default()
    };
    assert_eq!(ours, expected);
}
