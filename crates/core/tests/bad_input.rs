//! Whatever protobuf can carry gets an answer: every method with an all-default request, and every field with values
//! that nobody should send.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

use bytes::{Buf, BufMut, Bytes};
use eru_api::{agent, pb};
use futures::StreamExt;
use prost::Message;
use std::{collections::BTreeMap, time::Duration};
use support::{TestCore, node, start};
use tonic::{
    Code, Request, Status,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    codegen::http::uri::PathAndQuery,
};

/// Sends and receives messages as bytes, so that one function can call every method.
#[derive(Clone, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;
    fn encoder(&mut self) -> Self {
        Self
    }
    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;
    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;
    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

/// What a method answered: its first messages, and how it ended; `None` = it is still open after a while.
async fn call(core: &TestCore, path: &'static str, request: Bytes) -> (Vec<Bytes>, Option<Status>) {
    let mut grpc = tonic::client::Grpc::new(core.channel.clone());
    grpc.ready().await.unwrap();
    let request = Request::new(futures::stream::iter([request]));
    let answer = async {
        let mut messages = Vec::new();
        let mut stream = match grpc.streaming(request, PathAndQuery::from_static(path), Raw).await {
            Ok(answer) => answer.into_inner(),
            Err(status) => return (messages, Some(status)),
        };
        loop {
            match tokio::time::timeout(Duration::from_millis(200), stream.next()).await {
                Err(_) => return (messages, None),
                Ok(None) => return (messages, Some(Status::ok(""))),
                Ok(Some(Err(status))) => return (messages, Some(status)),
                Ok(Some(Ok(message))) => messages.push(message),
            }
        }
    };
    tokio::time::timeout(support::PATIENCE, answer).await.unwrap_or_else(|_| panic!("{path} does not answer"))
}

async fn lives(core: &TestCore) {
    core.client.clone().info(pb::Empty {}).await.expect("core lives");
}

/// Every method: its name, and what an all-default request gets. An empty text = no error.
const METHODS: &[(&str, &str)] = &[
    ("Info", ""),
    ("WatchServiceStatus", ""),
    ("ListNetworks", "pod name is empty"),
    ("ConnectNetwork", "network name is empty"),
    ("DisconnectNetwork", "network name is empty"),
    ("AddPod", "pod name is empty"),
    ("RemovePod", "pod name is empty"),
    ("GetPod", "pod name is empty"),
    ("ListPods", ""),
    ("GetPodResource", ""),
    ("PodResourceStream", ""),
    ("AddNode", "node name is empty"),
    ("RemoveNode", "node name is empty"),
    ("ListPodNodes", ""),
    ("PodNodesStream", ""),
    ("GetNode", "node name is empty"),
    ("SetNode", "node name is empty"),
    ("SetNodeStatus", "node name is empty"),
    ("GetNodeStatus", "node name is empty"),
    ("NodeStatusStream", ""),
    ("GetNodeResource", "node name is empty"),
    ("GetNodeEngine", "node name is empty"),
    ("CalculateCapacity", "No entry in spec"),
    ("GetWorkload", "workload id is empty"),
    ("GetWorkloads", ""),
    ("ListWorkloads", ""),
    ("ListNodeWorkloads", "node name is empty"),
    ("GetWorkloadsStatus", ""),
    ("SetWorkloadsStatus", ""),
    ("WorkloadStatusStream", ""),
    ("Copy", "no files to copy"),
    ("Send", "No workload ids given"),
    ("BuildImage", "cannot do it yet"),
    ("CacheImage", "pod name is empty"),
    ("RemoveImage", "pod name is empty"),
    ("ListImage", ""),
    ("CreateWorkload", "No entry in spec"),
    ("ReplaceWorkload", "No deploy options"),
    ("RemoveWorkload", "No workload ids given"),
    ("DissociateWorkload", "No workload ids given"),
    ("ControlWorkload", "No workload ids given"),
    ("ExecuteWorkload", "workload id is empty"),
    ("ReallocResource", "cannot do it yet"),
    ("LogStream", "workload id is empty"),
    ("RunAndWait", "No deploy options"),
];

fn path(service: &str, method: &str) -> &'static str {
    Box::leak(format!("/{service}/{method}").into_boxed_str())
}

#[tokio::test]
async fn every_method_answers_an_all_default_request() {
    let core = start().await.with_nodes(&["n1"]).await;
    for (method, want) in METHODS {
        let (_, status) = call(&core, path("pb.CoreRPC", method), Bytes::new()).await;
        let text = status.as_ref().map(|s| s.message().to_owned()).unwrap_or_default();
        let code = status.map_or(Code::Ok, |s| s.code());
        assert!(text.contains(want) && (code == Code::Ok) == want.is_empty(), "{method}: {code:?} {text:?}");
        assert!(!matches!(code, Code::Internal | Code::Unknown), "{method}: {code:?} {text:?}");
        if want.contains("yet") {
            assert_eq!(code, Code::Unimplemented, "{method}");
        } else if !want.is_empty() {
            assert_eq!(code, Code::InvalidArgument, "{method}");
        }
        lives(&core).await;
    }
    for method in ["Register", "Beat", "Report", "Leave"] {
        let (_, status) = call(&core, path("eru.agent.v1.Agent", method), Bytes::new()).await;
        let status = status.unwrap();
        assert_eq!((status.code(), status.message()), (Code::InvalidArgument, "node name is empty"), "{method}");
    }
    core.stop().await;
}

/// The list above is the whole service, or the test above proves less than it says.
#[test]
fn the_table_names_every_method() {
    let set = prost_types::FileDescriptorSet::decode(eru_api::FILE_DESCRIPTOR_SET).unwrap();
    let service = set.file.iter().flat_map(|f| &f.service).find(|s| s.name() == "CoreRPC").unwrap();
    let mut there: Vec<&str> = service.method.iter().map(|m| m.name()).collect();
    let mut here: Vec<&str> = METHODS.iter().map(|(name, _)| *name).collect();
    there.sort_unstable();
    here.sort_unstable();
    assert_eq!(here, there);
}

#[tokio::test]
async fn garbage_is_refused_and_core_lives() {
    let core = start().await.with_nodes(&["n1"]).await;
    for (method, _) in METHODS {
        for garbage in [&b"\xff\xff\xff\xff"[..], b"\x0a\x7fshort", b"\x0a\x02\xc3\x28", &[0x08; 64]] {
            let (_, status) = call(&core, path("pb.CoreRPC", method), Bytes::copy_from_slice(garbage)).await;
            assert!(status.is_none_or(|s| s.code() != Code::Unknown), "{method} {garbage:?}");
        }
    }
    let (_, status) = call(&core, "/pb.CoreRPC/NoSuchMethod", Bytes::new()).await;
    assert_eq!(status.unwrap().code(), Code::Unimplemented);
    lives(&core).await;
    core.stop().await;
}

const NAMES: &[&str] = &["", "a/b", "../x", ".", "%2e%2e", "a\0b", "a\nb", "\u{202e}x", "e\u{301}", "-v", " ", "名"];
const INTS: &[i64] = &[-1, i32::MIN as i64, i32::MAX as i64, i64::MIN, i64::MAX];
const DOUBLES: &[f64] = &[-1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e308, -0.001];

/// Calls `method` with `request`: it must be refused with INVALID_ARGUMENT in words that hold `part`, and core must live.
async fn refused(core: &TestCore, method: &'static str, request: impl Message + std::fmt::Debug, part: &str) {
    let shown = format!("{request:?}").chars().take(200).collect::<String>();
    let (messages, status) = call(core, path("pb.CoreRPC", method), request.encode_to_vec().into()).await;
    let status = status.unwrap_or_else(|| panic!("{method} {shown}: not refused"));
    let text = status.message();
    assert_eq!(status.code(), Code::InvalidArgument, "{method} {shown}: {text:?} {messages:?}");
    assert!(text.contains(part), "{method} {shown}: {text:?} does not say {part:?}");
    assert!(!text.chars().any(char::is_control), "{method}: {text:?} would act on a terminal");
    assert!(text.len() < 1000, "{method}: the error is {} bytes long", text.len());
}

#[tokio::test]
async fn names_that_are_none_are_refused() {
    let core = start().await.with_nodes(&["n1"]).await;
    let long = "a".repeat(64);
    let huge = "a".repeat(1 << 20);
    for name in NAMES.iter().copied().chain([long.as_str(), huge.as_str()]) {
        let name = || name.to_owned();
        refused(&core, "AddPod", pb::AddPodOptions { name: name(), desc: String::new() }, "pod name").await;
        refused(&core, "GetPod", pb::GetPodOptions { name: name() }, "pod name").await;
        refused(&core, "RemovePod", pb::RemovePodOptions { name: name() }, "pod name").await;
        refused(&core, "AddNode", pb::AddNodeOptions { nodename: name(), ..node("x") }, "node name").await;
        refused(&core, "AddNode", pb::AddNodeOptions { podname: name(), ..node("x") }, "pod name").await;
        refused(&core, "RemoveNode", pb::RemoveNodeOptions { nodename: name() }, "node name").await;
        refused(&core, "GetNode", pb::GetNodeOptions { nodename: name(), ..Default::default() }, "node name").await;
        refused(&core, "GetNodeEngine", pb::GetNodeOptions { nodename: name(), ..Default::default() }, "node name")
            .await;
        refused(&core, "SetNode", pb::SetNodeOptions { nodename: name(), ..Default::default() }, "node name").await;
        refused(&core, "SetNodeStatus", pb::SetNodeStatusOptions { nodename: name(), ttl: 5 }, "node name").await;
        refused(&core, "GetNodeStatus", pb::GetNodeStatusOptions { nodename: name() }, "node name").await;
        refused(&core, "ListNodeWorkloads", pb::GetNodeOptions { nodename: name(), ..Default::default() }, "node name")
            .await;
        let opts = Some(pb::GetNodeOptions { nodename: name(), ..Default::default() });
        refused(&core, "GetNodeResource", pb::GetNodeResourceOptions { opts, fix: true }, "node name").await;
        if !name().is_empty() {
            refused(&core, "ListPodNodes", pb::ListNodesOptions { podname: name(), ..Default::default() }, "pod name")
                .await;
            refused(&core, "GetPodResource", pb::GetPodOptions { name: name() }, "pod name").await;
            let list = |f: fn(&mut pb::ListWorkloadsOptions) -> &mut String| {
                let mut list = pb::ListWorkloadsOptions::default();
                *f(&mut list) = name();
                list
            };
            refused(&core, "ListWorkloads", list(|l| &mut l.appname), "app name").await;
            refused(&core, "ListWorkloads", list(|l| &mut l.entrypoint), "entrypoint name").await;
            refused(&core, "ListWorkloads", list(|l| &mut l.nodename), "node name").await;
            refused(&core, "ListWorkloads", list(|l| &mut l.podname), "pod name").await;
        }
        if name().len() != 64 {
            refused(&core, "GetWorkload", pb::WorkloadId { id: name() }, "workload id").await;
            refused(&core, "GetWorkloads", pb::WorkloadIDs { ids: vec![name()] }, "workload id").await;
            refused(&core, "GetWorkloadsStatus", pb::WorkloadIDs { ids: vec![name()] }, "workload id").await;
            let status = vec![pb::WorkloadStatus { id: name(), ..Default::default() }];
            refused(&core, "SetWorkloadsStatus", pb::SetWorkloadsStatusOptions { status }, "workload id").await;
        }
    }
    lives(&core).await;
    core.stop().await;
}

#[tokio::test]
async fn numbers_out_of_bounds_are_refused() {
    let core = start().await.with_nodes(&["n1"]).await;
    for int in INTS.iter().copied() {
        let int32 = int.clamp(i32::MIN.into(), i32::MAX.into()) as i32;
        if int < 0 {
            for (request, part) in [
                (pb::AddNodeOptions { cpu: int32, ..node("x") }, "cpu is negative"),
                (pb::AddNodeOptions { share: int32, ..node("x") }, "share is negative"),
                (pb::AddNodeOptions { memory: int, ..node("x") }, "memory is negative"),
                (pb::AddNodeOptions { storage: int, ..node("x") }, "storage is negative"),
                (
                    pb::AddNodeOptions { volume_map: [("/a".into(), int)].into(), ..node("x") },
                    "volume size is negative",
                ),
                (
                    pb::AddNodeOptions { numa_memory: [("0".into(), int)].into(), ..node("x") },
                    "numa memory is negative",
                ),
            ] {
                refused(&core, "AddNode", request, part).await;
            }
            refused(
                &core,
                "ListWorkloads",
                pb::ListWorkloadsOptions { limit: int, ..Default::default() },
                "limit must be",
            )
            .await;
            let list = pb::ListWorkloadsOptions { min_revision: int, ..Default::default() };
            refused(&core, "ListWorkloads", list, "min_revision must be").await;
        } else {
            refused(&core, "AddNode", pb::AddNodeOptions { cpu: int32, ..node("x") }, "cpu must be 0 to 4096").await;
            refused(&core, "AddNode", pb::AddNodeOptions { share: int32, ..node("x") }, "share must be").await;
        }
        let list = pb::ListNodesOptions { timeout_in_second: int32, ..Default::default() };
        refused(&core, "ListPodNodes", list, "timeout_in_second must be").await;
        let status = vec![pb::WorkloadStatus { id: "a".into(), ttl: int, ..Default::default() }];
        refused(&core, "SetWorkloadsStatus", pb::SetWorkloadsStatusOptions { status }, "ttl must be").await;
        if int > 0 {
            refused(
                &core,
                "SetNodeStatus",
                pb::SetNodeStatusOptions { nodename: "n1".into(), ttl: int },
                "ttl must be",
            )
            .await;
        }
        if int == i64::MIN || int == i64::MAX {
            let volume = [("/a".to_owned(), 1)].into();
            for set in [
                pb::SetNodeOptions { delta_memory: int, ..Default::default() },
                pb::SetNodeOptions { delta_storage: int, ..Default::default() },
                pb::SetNodeOptions { delta_storage: i64::MAX, delta_volume: volume, ..Default::default() },
                pb::SetNodeOptions { delta_cpu: [("0".into(), int32)].into(), ..Default::default() },
            ] {
                refused(&core, "SetNode", pb::SetNodeOptions { nodename: "n1".into(), ..set }, "bad `").await;
            }
        }
    }
    for bypass_opt in [-1, 3, i32::MAX, i32::MIN] {
        let set = pb::SetNodeOptions { nodename: "n1".into(), bypass_opt, ..Default::default() };
        refused(&core, "SetNode", set, "bypass_opt must be").await;
    }
    let get = pb::GetNodeOptions { nodename: "n1".into(), ..Default::default() };
    let untouched = core.client.clone().get_node(get).await.unwrap().into_inner();
    assert_eq!((untouched.init_memory, untouched.init_cpu.len(), untouched.init_volume.len()), (16 << 30, 8, 0));
    lives(&core).await;
    core.stop().await;
}

#[tokio::test]
async fn deploys_with_numbers_that_are_none_are_refused() {
    let core = start().await.with_nodes(&["n1"]).await;
    let deploy = |opts: pb::ResourceOptions| pb::DeployOptions {
        name: "app".into(),
        entrypoint: Some(pb::EntrypointOptions { name: "web".into(), command: "sleep 1".into(), ..Default::default() }),
        podname: "p".into(),
        count: 1,
        resource_opts: Some(opts),
        ..Default::default()
    };
    for double in DOUBLES.iter().copied() {
        for opts in [
            pb::ResourceOptions { cpu_quota_limit: double, ..Default::default() },
            pb::ResourceOptions { cpu_quota_request: double, ..Default::default() },
        ] {
            refused(&core, "CreateWorkload", deploy(opts.clone()), "").await;
            refused(&core, "CalculateCapacity", deploy(opts), "").await;
        }
    }
    for int in INTS.iter().copied().filter(|int| *int < 0) {
        refused(
            &core,
            "CreateWorkload",
            deploy(pb::ResourceOptions { memory_limit: int, ..Default::default() }),
            "Memory",
        )
        .await;
        let count = int.clamp(i32::MIN.into(), i32::MAX.into()) as i32;
        refused(&core, "CreateWorkload", pb::DeployOptions { count, ..deploy(Default::default()) }, "").await;
        refused(
            &core,
            "CreateWorkload",
            pb::DeployOptions { nodes_limit: count, ..deploy(Default::default()) },
            "nodes_limit",
        )
        .await;
    }
    let nothing = core.client.clone().list_workloads(pb::ListWorkloadsOptions::default()).await.unwrap().into_inner();
    assert_eq!(nothing.count().await, 0);
    core.stop().await;
}

#[tokio::test]
async fn lists_and_texts_that_are_too_long_are_refused() {
    let core = start().await.with_nodes(&["n1"]).await;
    let many = || (0..20_000).map(|i| i.to_string());
    let map = || -> BTreeMap<String, String> { many().map(|i| (i, "v".into())).collect() };
    refused(&core, "GetWorkloads", pb::WorkloadIDs { ids: many().collect() }, "ids: 20000 items (at most").await;
    refused(&core, "RemoveWorkload", pb::RemoveWorkloadOptions { ids: many().collect(), ..Default::default() }, "")
        .await;
    let status = vec![pb::WorkloadStatus { id: "a".into(), ..Default::default() }; 20_000];
    refused(&core, "SetWorkloadsStatus", pb::SetWorkloadsStatusOptions { status }, "status: 20000 items").await;
    let one = |status: pb::WorkloadStatus| pb::SetWorkloadsStatusOptions { status: vec![status] };
    let big = pb::WorkloadStatus { id: "a".into(), extension: vec![b'x'; 65_537].into(), ..Default::default() };
    refused(&core, "SetWorkloadsStatus", one(big), "extension: 65537 bytes (at most 65536)").await;
    let wide = pb::WorkloadStatus { id: "a".into(), networks: map(), ..Default::default() };
    refused(&core, "SetWorkloadsStatus", one(wide), "networks: 20000 items (at most 32)").await;
    refused(&core, "ListWorkloads", pb::ListWorkloadsOptions { labels: map(), ..Default::default() }, "labels").await;
    refused(&core, "AddNode", pb::AddNodeOptions { labels: map(), ..node("x") }, "labels").await;
    refused(&core, "AddNode", pb::AddNodeOptions { numa: map(), ..node("x") }, "numa: 20000 items").await;
    refused(
        &core,
        "AddNode",
        pb::AddNodeOptions { endpoint: "x".repeat(20_000), ..node("x") },
        "endpoint: 20000 bytes",
    )
    .await;
    refused(&core, "AddNode", pb::AddNodeOptions { endpoint: "fake://[2J".into(), ..node("x") }, "endpoint must not")
        .await;
    refused(&core, "AddNode", pb::AddNodeOptions { key: "secret".into(), ..node("x") }, "key: not in PEM form").await;
    let dots = pb::AddNodeOptions { volume_map: [("/a/../etc".to_owned(), 1)].into(), ..node("x") };
    refused(&core, "AddNode", dots, "absolute path").await;
    refused(&core, "AddPod", pb::AddPodOptions { name: "x".into(), desc: "d".repeat(5000) }, "desc: 5000 bytes").await;
    for endpoint in ["ftp://x", "nonsense", "file:///etc/passwd"] {
        refused(&core, "AddNode", pb::AddNodeOptions { endpoint: endpoint.into(), ..node("x") }, "endpoint").await;
    }
    lives(&core).await;
    core.stop().await;
}

#[tokio::test]
async fn agents_that_lie_are_refused() {
    let mut core = start().await.with_nodes(&["n1"]).await;
    let register = agent::RegisterRequest { nodename: "n1".into(), ..Default::default() };
    let incarnation = core.agent.register(register).await.unwrap().into_inner().incarnation;
    let reports = vec![
        agent::WorkloadReport { id: "../x".into(), ..Default::default() },
        agent::WorkloadReport { id: "a".into(), name: "nonsense".into(), ..Default::default() },
        agent::WorkloadReport { id: "a".into(), seq: -1, ..Default::default() },
        agent::WorkloadReport { id: "a".into(), ttl_s: i64::MAX, ..Default::default() },
        agent::WorkloadReport { id: "a".into(), extension: vec![0; 70_000].into(), ..Default::default() },
        agent::WorkloadReport { id: "nobody".into(), ..Default::default() },
    ];
    let report = agent::ReportRequest { nodename: "n1".into(), incarnation, full: false, seq: 0, reports };
    let outcomes = core.agent.report(report).await.unwrap().into_inner().outcomes;
    let results: Vec<agent::outcome::Result> = outcomes.iter().map(|o| o.result()).collect();
    use agent::outcome::Result::{Refused, UnknownWorkload};
    assert_eq!(results, [Refused, Refused, Refused, Refused, Refused, UnknownWorkload]);
    assert!(outcomes[..5].iter().all(|o| !o.error.is_empty()));
    for lease_ttl_ms in [-1, i64::MIN, i64::MAX] {
        let beat = agent::BeatRequest { nodename: "n1".into(), incarnation, runtime_ok: true, lease_ttl_ms };
        assert_eq!(core.agent.beat(beat).await.unwrap_err().code(), Code::InvalidArgument);
    }
    for incarnation in [0, -1, i64::MIN] {
        let beat = agent::BeatRequest { nodename: "n1".into(), incarnation, ..Default::default() };
        assert_eq!(core.agent.beat(beat).await.unwrap_err().code(), Code::InvalidArgument);
    }
    lives(&core).await;
    core.stop().await;
}
