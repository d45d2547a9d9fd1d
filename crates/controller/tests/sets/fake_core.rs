//! A core in memory, small and with faults to order: only what a controller needs of it, over a real connection.

use eru_api::pb::core_rpc_server::{CoreRpc, CoreRpcServer};
use eru_api::pb::workload_status_stream_message::Kind;
use eru_api::pb::{self};
use futures::stream::{self, BoxStream, StreamExt};
use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Response, Status, Streaming};

type Items<T> = BoxStream<'static, Result<T, Status>>;
/// How long an instance is seen that cannot be started.
const STILLBORN_AFTER: Duration = Duration::from_millis(20);

type Reply<'a, T> = Pin<Box<dyn Future<Output = Result<Response<T>, Status>> + Send + 'a>>;

/// The core. Clones are the same one.
#[derive(Clone)]
pub struct FakeCore {
    state: Arc<Mutex<State>>,
    revision: watch::Sender<i64>,
}

#[derive(Default)]
struct State {
    workloads: BTreeMap<String, (i64, pb::Workload)>,
    tombstones: Vec<(i64, pb::Workload)>,
    nodes: BTreeMap<String, (i64, String)>,
    made: usize,
    revision: i64,
    faults: Faults,
    calls: Calls,
}

/// What a core does with the creates of one set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Poison {
    /// The call is refused with this code.
    Code(Code),
    /// The only item says no, with a text that is long and not clean.
    No,
    /// The call is never answered.
    Hang,
    /// The call is answered, and no item ever follows.
    HangOpen,
    /// The answer ends without an item.
    Empty,
    /// The answer breaks with this code.
    Torn(Code),
    /// Yes, with an id that is none; and nothing is made.
    Lie,
}

/// What goes wrong.
#[derive(Default, Clone)]
pub struct Faults {
    /// The creates of these sets, or with these commands, go wrong.
    pub poison: BTreeMap<String, Poison>,
    /// Removals of these sets are refused with this text.
    pub refuse_remove: BTreeMap<String, String>,
    /// There is no room for more workloads than this; 0 = there is.
    pub room: usize,
    /// Creates are not answered while this is so; they have happened by then.
    pub hold_creates: bool,
    /// The next status stream says nothing before the nodes were listed.
    pub nodes_first: bool,
    /// Creates are refused with this text.
    pub refuse_create: Option<String>,
    /// Creates fail on their way, before anything happens.
    pub ignore_creates: bool,
    /// So many creates happen, but their answers are lost.
    pub lose_answers: usize,
    /// New instances stay unhealthy.
    pub unhealthy: bool,
    /// New instances are not reported on.
    pub unreported: bool,
    /// New instances are seen for a moment, then they are gone and the answer is no, with this text.
    pub stillborn: Option<String>,
    /// Removals are not begun while this is so.
    pub hold_removes: bool,
}

/// What was asked.
#[derive(Default, Clone, Debug)]
pub struct Calls {
    /// The deploys, in order.
    pub creates: Vec<pb::DeployOptions>,
    /// The removals, in order.
    pub removes: Vec<pb::RemoveWorkloadOptions>,
    /// How often the nodes were listed since a status stream waits for that.
    pub node_lists: usize,
}

impl FakeCore {
    /// Serves on a free port; stops with `shutdown`.
    pub async fn start(shutdown: CancellationToken) -> (Self, SocketAddr) {
        let core = Self { state: Arc::default(), revision: watch::channel(0).0 };
        core.set_node("n1", "ready");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let server = tonic::transport::Server::builder()
            .add_service(CoreRpcServer::new(core.clone()))
            .serve_with_incoming_shutdown(TcpListenerStream::new(listener), shutdown.cancelled_owned());
        tokio::spawn(server);
        (core, address)
    }

    fn change<T>(&self, f: impl FnOnce(&mut State, i64) -> T) -> T {
        let mut state = self.state.lock().expect("no test panics with it");
        state.revision += 1;
        let revision = state.revision;
        let value = f(&mut state, revision);
        drop(state);
        self.revision.send_replace(revision);
        value
    }

    fn read<T>(&self, f: impl FnOnce(&State) -> T) -> T {
        f(&self.state.lock().expect("no test panics with it"))
    }

    /// Orders faults.
    pub fn faults(&self, f: impl FnOnce(&mut Faults)) {
        self.change(|state, _| {
            f(&mut state.faults);
            state.calls.node_lists = 0;
        });
    }

    /// Waits until the state is as wanted.
    async fn until(&self, is: impl Fn(&State) -> bool) {
        let mut revision = self.revision.subscribe();
        while !is(&self.state.lock().expect("no test panics with it")) {
            revision.changed().await.expect("the core is there");
        }
    }

    /// What was asked so far.
    pub fn calls(&self) -> Calls {
        self.read(|state| state.calls.clone())
    }

    /// Everything there is.
    pub fn workloads(&self) -> Vec<pb::Workload> {
        self.read(|state| state.workloads.values().map(|(_, workload)| workload.clone()).collect())
    }

    /// Changes one workload's status, as its agent would.
    pub fn report(&self, id: &str, f: impl FnOnce(&mut pb::WorkloadStatus)) {
        self.change(|state, revision| {
            let (at, workload) = state.workloads.get_mut(id).expect("it is there");
            *at = revision;
            let status = workload.status.get_or_insert_default();
            status.id = id.to_owned();
            f(status);
        });
    }

    /// Changes the state of one workload's placement, as core would.
    pub fn set_state(&self, id: &str, word: &str) {
        self.change(|state, revision| {
            let (at, workload) = state.workloads.get_mut(id).expect("it is there");
            *at = revision;
            workload.state = word.to_owned();
        });
    }

    /// Ends a workload, as a signal would.
    pub fn kill(&self, id: &str) {
        self.report(id, |status| {
            (status.running, status.healthy) = (false, false);
            status.exit = Some(pb::ExitStatus { code: 137, signal: 9, ..Default::default() });
        });
    }

    /// Takes a workload away behind the controller's back.
    pub fn steal(&self, id: &str) {
        self.change(|state, revision| bury(state, id, revision));
    }

    /// Declares a node's state, and shows it in the statuses of its workloads.
    pub fn set_node(&self, name: &str, word: &str) {
        self.change(|state, revision| {
            state.nodes.insert(name.to_owned(), (revision, word.to_owned()));
            for (at, workload) in state.workloads.values_mut().filter(|(_, workload)| workload.nodename == name) {
                *at = revision;
                workload.status.get_or_insert_default().node_state = word.to_owned();
            }
        });
    }

    fn create(&self, options: &pb::DeployOptions) -> Result<pb::CreateWorkloadMessage, Status> {
        self.change(|state, revision| {
            state.calls.creates.push(options.clone());
            if state.faults.ignore_creates {
                return Err(Status::unavailable("it did not arrive"));
            }
            let is_full = state.faults.room > 0 && state.workloads.len() >= state.faults.room;
            if is_full && !state.workloads.values().any(|(_, workload)| workload.op_id == options.op_id) {
                return Ok(pb::CreateWorkloadMessage { error: "no room".to_owned(), ..Default::default() });
            }
            if let Some(error) = state.faults.refuse_create.clone() {
                return Ok(pb::CreateWorkloadMessage { error, ..Default::default() });
            }
            let before = state.workloads.values().find(|(_, workload)| workload.op_id == options.op_id);
            let id = match before {
                Some((_, workload)) => workload.id.clone(),
                None => make(state, options, revision),
            };
            if state.faults.lose_answers > 0 {
                state.faults.lose_answers -= 1;
                return Err(Status::unavailable("the answer is lost"));
            }
            Ok(pb::CreateWorkloadMessage { id, success: true, ..Default::default() })
        })
    }

    fn remove(&self, options: &pb::RemoveWorkloadOptions) -> pb::RemoveWorkloadMessage {
        self.change(|state, revision| {
            state.calls.removes.push(options.clone());
            let id = options.ids[0].clone();
            let failed =
                |error: &str| pb::RemoveWorkloadMessage { id: id.clone(), error: error.into(), ..Default::default() };
            let Some((_, workload)) = state.workloads.get(&id) else { return failed("not found") };
            if workload.owner != options.owner {
                return failed("of another owner");
            }
            if let Some(text) = state.faults.refuse_remove.get(&workload.labels["replicaset"]) {
                return failed(text);
            }
            if state.nodes.get(&workload.nodename).is_some_and(|(_, word)| word == "lost") {
                return failed("its node is lost");
            }
            let is_healthy = |w: &pb::Workload| w.status.as_ref().is_some_and(|status| status.healthy);
            let others =
                state.workloads.values().filter(|(_, w)| w.id != id && w.owner == options.owner && is_healthy(w));
            if others.count() < options.healthy_min as usize {
                return failed("too few healthy");
            }
            bury(state, &id, revision);
            pb::RemoveWorkloadMessage { id: id.clone(), success: true, ..Default::default() }
        })
    }

    /// What changed after `cursor`, and the new cursor.
    fn changes(&self, cursor: i64) -> (Vec<pb::WorkloadStatusStreamMessage>, i64) {
        let state = self.state.lock().expect("no test panics with it");
        let mut messages: Vec<pb::WorkloadStatusStreamMessage> = Vec::new();
        for (revision, workload) in state.workloads.values().filter(|(revision, _)| *revision > cursor) {
            messages.push(message(workload, *revision));
        }
        for (revision, workload) in state.tombstones.iter().filter(|(revision, _)| *revision > cursor) {
            let gone = pb::WorkloadStatusStreamMessage {
                delete: true,
                error: "removed".into(),
                ..message(workload, *revision)
            };
            messages.push(gone);
        }
        messages.sort_by_key(|message| message.revision);
        (messages, state.revision)
    }
}

fn make(state: &mut State, options: &pb::DeployOptions, revision: i64) -> String {
    state.made += 1;
    let id = format!("id{}", state.made);
    let node =
        state.nodes.iter().find(|(_, (_, word))| word == "ready").map(|(name, _)| name.clone()).unwrap_or_default();
    let status = pb::WorkloadStatus {
        id: id.clone(),
        running: state.faults.stillborn.is_none(),
        healthy: !state.faults.unhealthy && state.faults.stillborn.is_none(),
        node_state: "ready".into(),
        networks: [("loopback".to_owned(), format!("127.64.0.{}", state.made))].into(),
        started_at_ms: revision,
        ..Default::default()
    };
    let workload = pb::Workload {
        id: id.clone(),
        name: format!("{}_{}_ident{}", options.name, options.entrypoint.clone().unwrap_or_default().name, state.made),
        nodename: node,
        podname: options.podname.clone(),
        labels: options.labels.clone(),
        state: if state.faults.stillborn.is_some() { "created" } else { "running" }.into(),
        op_id: options.op_id.clone(),
        owner: options.owner.clone(),
        status: (!state.faults.unreported).then_some(status),
        ..Default::default()
    };
    state.workloads.insert(id.clone(), (revision, workload));
    id
}

fn bury(state: &mut State, id: &str, revision: i64) {
    if let Some((_, workload)) = state.workloads.remove(id) {
        state.tombstones.push((revision, workload));
    }
}

fn message(workload: &pb::Workload, revision: i64) -> pb::WorkloadStatusStreamMessage {
    pb::WorkloadStatusStreamMessage {
        id: workload.id.clone(),
        workload: Some(workload.clone()),
        status: workload.status.clone(),
        revision,
        ..Default::default()
    }
}

fn one<T: Send + 'static>(item: Result<T, Status>) -> Response<Items<T>> {
    Response::new(stream::iter([item]).boxed())
}

macro_rules! not_here {
    ($($name:ident($request:ty) -> $answer:ty;)*) => {$(
        fn $name<'life0, 'async_trait>(&'life0 self, _: Request<$request>) -> Reply<'async_trait, $answer>
        where
            'life0: 'async_trait,
            Self: 'async_trait,
        {
            Box::pin(async { Err(Status::unimplemented(stringify!($name))) })
        }
    )*};
}

#[tonic::async_trait]
impl CoreRpc for FakeCore {
    type WatchServiceStatusStream = Items<pb::ServiceStatus>;
    type PodResourceStreamStream = Items<pb::NodeResource>;
    type PodNodesStreamStream = Items<pb::Node>;
    type NodeStatusStreamStream = Items<pb::NodeStatusStreamMessage>;
    type ListWorkloadsStream = Items<pb::Workload>;
    type WorkloadStatusStreamStream = Items<pb::WorkloadStatusStreamMessage>;
    type CopyStream = Items<pb::CopyMessage>;
    type SendStream = Items<pb::SendMessage>;
    type BuildImageStream = Items<pb::BuildImageMessage>;
    type CacheImageStream = Items<pb::CacheImageMessage>;
    type RemoveImageStream = Items<pb::RemoveImageMessage>;
    type ListImageStream = Items<pb::ListImageMessage>;
    type CreateWorkloadStream = Items<pb::CreateWorkloadMessage>;
    type ReplaceWorkloadStream = Items<pb::ReplaceWorkloadMessage>;
    type RemoveWorkloadStream = Items<pb::RemoveWorkloadMessage>;
    type DissociateWorkloadStream = Items<pb::DissociateWorkloadMessage>;
    type ControlWorkloadStream = Items<pb::ControlWorkloadMessage>;
    type ExecuteWorkloadStream = Items<pb::AttachWorkloadMessage>;
    type LogStreamStream = Items<pb::LogStreamMessage>;
    type RunAndWaitStream = Items<pb::AttachWorkloadMessage>;

    async fn list_pod_nodes(&self, _: Request<pb::ListNodesOptions>) -> Result<Response<pb::Nodes>, Status> {
        let node = |(name, (_, word)): (String, (i64, String))| pb::Node {
            name,
            available: word == "ready",
            state: word,
            ..Default::default()
        };
        let nodes = self.change(|state, _| {
            state.calls.node_lists += 1;
            state.nodes.clone()
        });
        Ok(Response::new(pb::Nodes { nodes: nodes.into_iter().map(node).collect() }))
    }

    async fn node_status_stream(
        &self,
        _: Request<pb::Empty>,
    ) -> Result<Response<Self::NodeStatusStreamStream>, Status> {
        let (core, mut revision) = (self.clone(), self.revision.subscribe());
        let cursor = *revision.borrow_and_update();
        let next = move |(core, mut revision, cursor): (FakeCore, watch::Receiver<i64>, i64)| async move {
            revision.changed().await.ok()?;
            let now = *revision.borrow_and_update();
            let nodes = core.state.lock().expect("no test panics with it").nodes.clone();
            let changed = nodes.into_iter().filter(move |(_, (at, _))| *at > cursor).map(|(nodename, (_, state))| {
                Ok(pb::NodeStatusStreamMessage { nodename, alive: state == "ready", state, ..Default::default() })
            });
            Some((stream::iter(changed.collect::<Vec<_>>()), (core, revision, now)))
        };
        Ok(Response::new(stream::unfold((core, revision, cursor), next).flatten().boxed()))
    }

    async fn list_workloads(
        &self,
        request: Request<pb::ListWorkloadsOptions>,
    ) -> Result<Response<Self::ListWorkloadsStream>, Status> {
        let owner = request.into_inner().owner;
        let own = self.workloads().into_iter().filter(move |workload| workload.owner == owner).map(Ok);
        Ok(Response::new(stream::iter(own.collect::<Vec<_>>()).boxed()))
    }

    async fn workload_status_stream(
        &self,
        _: Request<pb::WorkloadStatusStreamOptions>,
    ) -> Result<Response<Self::WorkloadStatusStreamStream>, Status> {
        self.until(|state| !state.faults.nodes_first || state.calls.node_lists > 0).await;
        let (core, revision) = (self.clone(), self.revision.subscribe());
        let (mut first, cursor) = core.changes(0);
        first.retain(|message| !message.delete);
        first.iter_mut().for_each(|message| message.set_kind(Kind::Snapshot));
        let mut synced = pb::WorkloadStatusStreamMessage { revision: cursor, ..Default::default() };
        synced.set_kind(Kind::Synced);
        first.push(synced);
        let next = |(core, mut revision, cursor): (FakeCore, watch::Receiver<i64>, i64)| async move {
            revision.changed().await.ok()?;
            let (messages, cursor) = core.changes(cursor);
            Some((stream::iter(messages.into_iter().map(Ok)), (core, revision, cursor)))
        };
        let changes = stream::unfold((core, revision, cursor), next).flatten();
        Ok(Response::new(stream::iter(first.into_iter().map(Ok)).chain(changes).boxed()))
    }

    async fn create_workload(
        &self,
        request: Request<pb::DeployOptions>,
    ) -> Result<Response<Self::CreateWorkloadStream>, Status> {
        let options = request.into_inner();
        let set = options.labels.get("replicaset").cloned().unwrap_or_default();
        let poison = self.change(|state, _| {
            let command = options.entrypoint.as_ref().map(|entrypoint| entrypoint.command.as_str()).unwrap_or_default();
            let poison = state.faults.poison.get(&set).or_else(|| state.faults.poison.get(command)).copied();
            if poison.is_some() {
                state.calls.creates.push(options.clone());
            }
            poison
        });
        let item = |item| Ok(one(Ok(item)));
        match poison {
            None => {
                let answer = self.create(&options);
                let stillborn = self.read(|state| state.faults.stillborn.clone());
                if let (Some(error), Ok(made)) = (stillborn, &answer) {
                    // As long as an engine takes to find out that a command cannot be executed.
                    tokio::time::sleep(STILLBORN_AFTER).await;
                    self.steal(&made.id);
                    return item(pb::CreateWorkloadMessage { error, ..Default::default() });
                }
                self.until(|state| !state.faults.hold_creates).await;
                Ok(one(answer))
            }
            Some(Poison::Code(code)) => Err(Status::new(code, format!("{set} is refused"))),
            Some(Poison::No) => {
                let error = format!("{set} is refused\n\u{1b}[31m{}", "x".repeat(1 << 20));
                item(pb::CreateWorkloadMessage { error, ..Default::default() })
            }
            Some(Poison::Hang) => std::future::pending().await,
            Some(Poison::HangOpen) => Ok(Response::new(stream::pending().boxed())),
            Some(Poison::Empty) => Ok(Response::new(stream::empty().boxed())),
            Some(Poison::Torn(code)) => Ok(one(Err(Status::new(code, format!("{set} is torn"))))),
            Some(Poison::Lie) => item(pb::CreateWorkloadMessage { success: true, ..Default::default() }),
        }
    }

    async fn remove_workload(
        &self,
        request: Request<pb::RemoveWorkloadOptions>,
    ) -> Result<Response<Self::RemoveWorkloadStream>, Status> {
        self.until(|state| !state.faults.hold_removes).await;
        Ok(one(Ok(self.remove(&request.into_inner()))))
    }

    not_here! {
        info(pb::Empty) -> pb::CoreInfo;
        list_networks(pb::ListNetworkOptions) -> pb::Networks;
        connect_network(pb::ConnectNetworkOptions) -> pb::Network;
        disconnect_network(pb::DisconnectNetworkOptions) -> pb::Empty;
        add_pod(pb::AddPodOptions) -> pb::Pod;
        remove_pod(pb::RemovePodOptions) -> pb::Empty;
        get_pod(pb::GetPodOptions) -> pb::Pod;
        list_pods(pb::Empty) -> pb::Pods;
        get_pod_resource(pb::GetPodOptions) -> pb::PodResource;
        add_node(pb::AddNodeOptions) -> pb::Node;
        remove_node(pb::RemoveNodeOptions) -> pb::Empty;
        get_node(pb::GetNodeOptions) -> pb::Node;
        set_node(pb::SetNodeOptions) -> pb::Node;
        set_node_status(pb::SetNodeStatusOptions) -> pb::Empty;
        get_node_status(pb::GetNodeStatusOptions) -> pb::NodeStatusStreamMessage;
        get_node_resource(pb::GetNodeResourceOptions) -> pb::NodeResource;
        get_node_engine(pb::GetNodeOptions) -> pb::Engine;
        calculate_capacity(pb::DeployOptions) -> pb::CapacityMessage;
        get_workload(pb::WorkloadId) -> pb::Workload;
        get_workloads(pb::WorkloadIDs) -> pb::Workloads;
        list_node_workloads(pb::GetNodeOptions) -> pb::Workloads;
        get_workloads_status(pb::WorkloadIDs) -> pb::WorkloadsStatus;
        set_workloads_status(pb::SetWorkloadsStatusOptions) -> pb::WorkloadsStatus;
        realloc_resource(pb::ReallocOptions) -> pb::ReallocResourceMessage;
        watch_service_status(pb::Empty) -> Self::WatchServiceStatusStream;
        pod_resource_stream(pb::GetPodOptions) -> Self::PodResourceStreamStream;
        pod_nodes_stream(pb::ListNodesOptions) -> Self::PodNodesStreamStream;
        copy(pb::CopyOptions) -> Self::CopyStream;
        send(pb::SendOptions) -> Self::SendStream;
        build_image(pb::BuildImageOptions) -> Self::BuildImageStream;
        cache_image(pb::CacheImageOptions) -> Self::CacheImageStream;
        remove_image(pb::RemoveImageOptions) -> Self::RemoveImageStream;
        list_image(pb::ListImageOptions) -> Self::ListImageStream;
        replace_workload(pb::ReplaceOptions) -> Self::ReplaceWorkloadStream;
        dissociate_workload(pb::DissociateWorkloadOptions) -> Self::DissociateWorkloadStream;
        control_workload(pb::ControlWorkloadOptions) -> Self::ControlWorkloadStream;
        execute_workload(Streaming<pb::ExecuteWorkloadOptions>) -> Self::ExecuteWorkloadStream;
        log_stream(pb::LogStreamOptions) -> Self::LogStreamStream;
        run_and_wait(Streaming<pb::RunAndWaitOptions>) -> Self::RunAndWaitStream;
    }
}
