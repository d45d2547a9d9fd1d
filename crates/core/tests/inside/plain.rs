//! Plain commands have neither images nor networks nor an inside: the answer names the kind.

use super::{script, support, within};
use async_trait::async_trait;
use eru_api::pb;
use eru_runtime::{
    CreateRequest, Event, Fake, FakeOptions, Info, Inspection, LogLine, LogOptions, Result, Runtime, RuntimeKind,
};
use eru_types::{EngineId, Labels, NodeName, WorkloadName};
use futures::stream::BoxStream;
use std::{sync::Arc, time::Duration};
use support::{deploy, start_with};
use tonic::Code;

/// A runtime that can do no more than it must.
struct Plain(Fake);

#[async_trait]
impl Runtime for Plain {
    fn kind(&self) -> RuntimeKind {
        RuntimeKind::Process
    }
    async fn info(&self) -> Result<Info> {
        self.0.info().await
    }
    async fn ping(&self) -> Result<()> {
        self.0.ping().await
    }
    async fn create(&self, request: &CreateRequest) -> Result<EngineId> {
        self.0.create(request).await
    }
    async fn start(&self, id: &EngineId) -> Result<()> {
        self.0.start(id).await
    }
    async fn stop(&self, id: &EngineId, grace: Duration) -> Result<()> {
        self.0.stop(id, grace).await
    }
    async fn remove(&self, id: &EngineId, force: bool) -> Result<()> {
        self.0.remove(id, force).await
    }
    async fn inspect(&self, id: &EngineId) -> Result<Inspection> {
        self.0.inspect(id).await
    }
    async fn find(&self, name: &WorkloadName) -> Result<Option<EngineId>> {
        self.0.find(name).await
    }
    async fn list(&self, labels: &Labels) -> Result<Vec<Inspection>> {
        self.0.list(labels).await
    }
    async fn events(&self) -> Result<BoxStream<'static, Event>> {
        self.0.events().await
    }
    async fn logs(&self, id: &EngineId, options: LogOptions) -> Result<BoxStream<'static, Result<LogLine>>> {
        self.0.logs(id, options).await
    }
    async fn last_lines(&self, id: &EngineId, lines: usize) -> Result<Vec<String>> {
        self.0.last_lines(id, lines).await
    }
}

#[tokio::test]
async fn this_machine_is_one_node_under_one_endpoint() {
    let plain = Arc::new(Plain(Fake::new(FakeOptions::new(NodeName::new("n1").unwrap()))));
    let mut core = start_with(|options| options.process = Some(plain)).await.with_nodes(&["n0"]).await;
    let local = |name: &str| pb::AddNodeOptions { endpoint: "process://local".into(), ..support::node(name) };
    for endpoint in ["process://", "process://other", "process://local/", "process://LOCAL"] {
        let refused = core.client.add_node(pb::AddNodeOptions { endpoint: endpoint.into(), ..local("n1") }).await;
        let refused = refused.unwrap_err();
        let text = format!("endpoint \"{endpoint}\": the plain commands of this machine are at process://local");
        assert_eq!((refused.code(), refused.message()), (Code::InvalidArgument, text.as_str()));
    }
    core.client.add_node(local("n1")).await.unwrap();
    let again = "this machine's plain commands are node n1 already; use that one, or remove it first";
    let second = core.client.add_node(local("n2")).await.unwrap_err();
    assert_eq!((second.code(), second.message()), (Code::FailedPrecondition, format!("node n2: {again}").as_str()));
    let set = |name: &str| {
        let endpoint = "process://local".to_owned();
        pb::SetNodeOptions { nodename: name.into(), endpoint, ..Default::default() }
    };
    let moved = core.client.set_node(set("n0")).await.unwrap_err();
    assert_eq!((moved.code(), moved.message()), (Code::FailedPrecondition, format!("node n0: {again}").as_str()));
    core.client.set_node(set("n1")).await.unwrap();
    core.client.remove_node(pb::RemoveNodeOptions { nodename: "n1".into() }).await.unwrap();
    let add = |name: &str| {
        let (mut client, node) = (core.client.clone(), local(name));
        async move { client.add_node(node).await }
    };
    let added = futures::future::join_all([add("n2"), add("n3")]).await;
    assert_eq!(added.iter().filter(|added| added.is_ok()).count(), 1, "of two at once one is added: {added:?}");
    core.stop().await;
}

#[tokio::test]
async fn what_a_kind_cannot_do_is_said_by_name() {
    let plain = Arc::new(Plain(Fake::new(FakeOptions::new(NodeName::new("n1").unwrap()))));
    let mut core = start_with(|options| options.process = Some(plain)).await.with_nodes(&[]).await;
    core.client
        .add_node(pb::AddNodeOptions { endpoint: "process://local".into(), ..support::node("n1") })
        .await
        .unwrap();
    let id = core.deployed(deploy("app", 1)).await.remove(0);
    let mut client = core.client.clone();
    let exec = pb::ExecuteWorkloadOptions { workload_id: id.clone(), commands: vec!["x".into()], ..Default::default() };
    let status = client.execute_workload(tokio_stream::once(exec)).await.unwrap_err();
    let text = "process workloads cannot do that: running a command inside";
    assert_eq!((status.code(), status.message()), (Code::Unimplemented, text));
    let images = vec!["a".to_owned()];
    let cache = pb::CacheImageOptions { podname: "p".into(), images, ..Default::default() };
    let status = client.cache_image(cache).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Unimplemented, "process workloads cannot do that: images"));
    let list = pb::ListNetworkOptions { podname: "p".into(), ..Default::default() };
    let status = client.list_networks(list).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Unimplemented, "process workloads cannot do that: networks"));
    let data = [("/a".to_owned(), "x".into())].into();
    let sent = client.send(pb::SendOptions { ids: vec![id.clone()], data, ..Default::default() }).await.unwrap();
    let sent = super::all(&mut sent.into_inner()).await;
    assert_eq!(sent[0].error, "process workloads cannot do that: files");

    // A run to the end needs none of it.
    let mut wanted = deploy("run", 1);
    wanted.entrypoint.as_mut().unwrap().commands = script(&["print:x", "exit:4"]);
    let run = pb::RunAndWaitOptions { deploy_options: Some(wanted), ..Default::default() };
    let messages = within(client.run_and_wait(tokio_stream::once(run))).await.unwrap();
    let messages = super::all(&mut messages.into_inner()).await;
    let said: Vec<_> = messages.iter().map(|m| String::from_utf8_lossy(&m.data).into_owned()).collect();
    assert_eq!(said, ["", "x\n", "[exitcode] 4"]);
    core.stop().await;
}
