//! A core that records what it is told.

use eru_api::agent::{
    BeatReply, BeatRequest, LeaveReply, LeaveRequest, Outcome, RegisterReply, RegisterRequest, ReportReply,
    ReportRequest, WorkloadReport,
    agent_server::{Agent, AgentServer},
    outcome,
};
use futures::StreamExt;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};
use tokio::{
    net::TcpListener,
    runtime::{Builder, Runtime},
};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, transport::Server};

/// What a core was told, and how it answers.
#[derive(Default)]
pub struct Book {
    pub registers: u32,
    pub incarnation: i64,
    pub beats: Vec<BeatRequest>,
    pub leaves: Vec<LeaveRequest>,
    pub calls: Vec<ReportRequest>,
    /// Every report with its arrival, in order.
    pub reports: Vec<(Instant, WorkloadReport)>,
    /// The newest report of each workload.
    pub newest: BTreeMap<String, WorkloadReport>,
    /// Workloads that core does not know yet.
    pub unknown: BTreeSet<String>,
    pub report_all: bool,
    pub superseded: bool,
    /// Who the cluster says it is.
    pub core_id: String,
    /// The node is not there.
    pub refuse_register: bool,
    /// Reports are not answered before this is false.
    pub hold_reports: bool,
}

impl Book {
    /// What was reported of one workload, in short: `running healthy`, `running`, `dead CODE`, `gone`.
    pub fn story(&self, id: &str) -> Vec<String> {
        self.reports.iter().filter(|(_, r)| r.id == id).map(|(_, r)| word(r)).collect()
    }

    /// The newest of it.
    pub fn now(&self, id: &str) -> String {
        self.newest.get(id).map(word).unwrap_or_default()
    }

    pub fn full_calls(&self) -> usize {
        self.calls.iter().filter(|c| c.full).count()
    }
}

fn word(report: &WorkloadReport) -> String {
    match report {
        r if r.gone => "gone".into(),
        r if r.running && r.healthy => "running healthy".into(),
        r if r.running => "running".into(),
        r => format!("dead {}", r.exit.map_or("?".into(), |e| e.code.to_string())),
    }
}

/// A core on a port of its own, until it is dropped. Its book outlives it.
pub struct FakeCore {
    pub address: String,
    runtime: Option<Runtime>,
}

impl FakeCore {
    pub async fn start(book: Arc<Mutex<Book>>) -> Self {
        Self::start_at("127.0.0.1:0".into(), book).await
    }

    pub async fn start_at(address: String, book: Arc<Mutex<Book>>) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (bound, address_of) = tokio::sync::oneshot::channel();
        runtime.spawn(async move {
            // The port may still be held by the core that it was taken over from.
            let listener = loop {
                match TcpListener::bind(&address).await {
                    Ok(listener) => break listener,
                    Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            };
            bound.send(listener.local_addr().unwrap().to_string()).unwrap();
            let service = AgentServer::new(Rpc(book));
            // As core does: an answer must not wait for the acknowledgement of the one before.
            let incoming = TcpListenerStream::new(listener).inspect(|c| {
                c.as_ref().unwrap().set_nodelay(true).unwrap();
            });
            Server::builder().add_service(service).serve_with_incoming(incoming).await
        });
        let address = tokio::time::timeout(Duration::from_secs(20), address_of).await.expect("the port is free");
        Self { address: address.unwrap(), runtime: Some(runtime) }
    }
}

impl Drop for FakeCore {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

struct Rpc(Arc<Mutex<Book>>);

impl Rpc {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap()
    }
}

#[tonic::async_trait]
impl Agent for Rpc {
    async fn register(&self, _: Request<RegisterRequest>) -> Result<Response<RegisterReply>, Status> {
        let mut book = self.book();
        book.registers += 1;
        if book.refuse_register {
            return Err(Status::not_found("node n1 is not there"));
        }
        book.incarnation += 1;
        let incarnation = book.incarnation;
        let core_id = book.core_id.clone();
        let reply =
            RegisterReply { incarnation, core_id, beat_interval_ms: 50, lease_ttl_ms: 200, ..Default::default() };
        Ok(Response::new(reply))
    }

    async fn beat(&self, request: Request<BeatRequest>) -> Result<Response<BeatReply>, Status> {
        let mut book = self.book();
        let request = request.into_inner();
        if request.incarnation != book.incarnation {
            return Err(Status::not_found("registration is not known"));
        }
        book.beats.push(request);
        let report_all = std::mem::take(&mut book.report_all);
        Ok(Response::new(BeatReply { report_all, superseded: book.superseded, ..Default::default() }))
    }

    async fn report(&self, request: Request<ReportRequest>) -> Result<Response<ReportReply>, Status> {
        let request = request.into_inner();
        while self.book().hold_reports {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let mut book = self.book();
        if request.incarnation != book.incarnation || book.superseded {
            return Err(Status::failed_precondition("an older incarnation"));
        }
        let mut outcomes = Vec::new();
        for report in &request.reports {
            let result = if book.unknown.contains(&report.id) {
                outcome::Result::UnknownWorkload
            } else {
                book.newest.insert(report.id.clone(), report.clone());
                outcome::Result::Stored
            };
            book.reports.push((Instant::now(), report.clone()));
            outcomes.push(Outcome { id: report.id.clone(), result: result.into(), ..Default::default() });
        }
        book.calls.push(request);
        Ok(Response::new(ReportReply { outcomes }))
    }

    async fn leave(&self, request: Request<LeaveRequest>) -> Result<Response<LeaveReply>, Status> {
        self.book().leaves.push(request.into_inner());
        Ok(Response::new(LeaveReply {}))
    }
}
