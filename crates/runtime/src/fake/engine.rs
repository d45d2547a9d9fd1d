//! The engine's records, and the controls that only tests have.

use super::{
    endpoint::{FakeOptions, Operation},
    images::Images,
    journal::Journal,
    networks::Networks,
    record::Record,
    script::Script,
    session::Sessions,
};
use crate::{
    events::EventHub,
    port::{Action, CreateRequest, Error, Result, State, Stream},
};
use bytes::Bytes;
use eru_types::{EngineId, WorkloadName};
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};
use tokio::sync::watch;

/// How often a scripted exit is followed by a restart under an endless policy: there is no clock here to wait by, and
/// without a bound the start would never return.
const SCRIPTED_RESTARTS_MAX: u32 = 10;

/// The next address out of 10.0.0.0/8, shared by all engines of a registry.
#[derive(Default)]
pub(super) struct Addresses(AtomicU32);

impl Addresses {
    fn take(&self) -> Ipv4Addr {
        let host = self.0.fetch_add(1, Ordering::Relaxed) % 0x00ff_fffe + 1;
        Ipv4Addr::from(0x0a00_0000 | host)
    }

    fn skip(&self, taken: Ipv4Addr) {
        self.0.fetch_max(u32::from(taken) & 0x00ff_ffff, Ordering::Relaxed);
    }
}

/// What an engine holds and what it was asked to do so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Workloads that were never started.
    pub created: usize,
    /// Workloads that run.
    pub running: usize,
    /// Workloads that ended.
    pub exited: usize,
    /// Workloads made since the engine was opened; a create that found one does not count.
    pub creates: u64,
    /// Workloads set running, restarts among them.
    pub starts: u64,
    /// Workloads removed.
    pub removes: u64,
}

pub(super) struct Inner {
    pub(super) records: HashMap<EngineId, Record>,
    pub(super) names: HashMap<WorkloadName, EngineId>,
    pub(super) images: Images,
    pub(super) networks: Networks,
    options: FakeOptions,
    journal: Option<Journal>,
    totals: Counts,
}

/// A simulated engine. Cheap enough for ten thousands of workloads.
pub struct Fake {
    pub(super) inner: Arc<Mutex<Inner>>,
    pub(super) events: Arc<EventHub>,
    /// Raised whenever output came or a workload ended, for those who follow output.
    pub(super) changes: watch::Sender<u64>,
    pub(super) sessions: Arc<Sessions>,
    addresses: Arc<Addresses>,
}

impl Fake {
    /// An engine of its own, known to no registry.
    pub fn new(options: FakeOptions) -> Self {
        Self::with_journal(options, Arc::default(), None)
    }

    pub(super) fn with_journal(
        options: FakeOptions,
        addresses: Arc<Addresses>,
        journal: Option<(Journal, Vec<Record>)>,
    ) -> Self {
        let (journal, records) = journal.map_or((None, Vec::new()), |(j, r)| (Some(j), r));
        records.iter().for_each(|r| addresses.skip(r.address));
        let inner = Inner {
            names: records.iter().map(|r| (r.request.name.clone(), r.id.clone())).collect(),
            records: records.into_iter().map(|r| (r.id.clone(), r)).collect(),
            images: Images::default(),
            networks: Networks::default(),
            options,
            journal,
            totals: Counts::default(),
        };
        Self {
            inner: Arc::new(Mutex::new(inner)),
            events: Arc::default(),
            changes: watch::Sender::default(),
            sessions: Arc::default(),
            addresses,
        }
    }

    /// Replaces the options; workloads stay.
    pub fn set_options(&self, options: FakeOptions) {
        let down = options.knobs.down;
        self.inner.lock().options = options;
        self.set_down(down);
    }

    /// The options as they are now.
    pub fn options(&self) -> FakeOptions {
        self.inner.lock().options.clone()
    }

    /// Whether its endpoint said `?engine=stays`.
    pub fn engine_stays(&self) -> bool {
        self.inner.lock().options.engine_stays
    }

    /// Whether a ping proves anything once the node's agent is silent: a simulated machine has no power switch, so its
    /// silence counts as death unless the endpoint says otherwise.
    pub fn answers_when_silent(&self) -> bool {
        let inner = self.inner.lock();
        inner.options.engine_stays && !inner.options.knobs.down
    }

    /// While down, every call is answered by [`Error::Unavailable`] and every stream has ended.
    pub fn set_down(&self, down: bool) {
        self.inner.lock().options.knobs.down = down;
        if down {
            self.events.disconnect();
            self.changes.send_modify(|n| *n += 1);
        }
    }

    /// The next `count` calls of `operation` fail.
    pub fn fail_next(&self, operation: Operation, count: u64) {
        self.inner.lock().options.knobs.failures.insert(operation, count);
    }

    /// Ends a running workload with this exit code, as if its process had died; above 128 it is a signal. Its restart
    /// policy applies. Answers whether it ran.
    pub fn kill(&self, id: &EngineId, code: i32) -> bool {
        die(&self.inner, &self.events, &self.changes, id, code)
    }

    /// Makes a workload disappear without a word, as if its record was lost. Answers whether it was there.
    pub fn vanish(&self, id: &EngineId) -> bool {
        let forgotten = self.inner.lock().forget(id);
        self.changes.send_modify(|n| *n += 1);
        matches!(forgotten, Ok(Some(_)))
    }

    /// Writes a line to the output of a workload.
    pub fn write_line(&self, id: &EngineId, stream: Stream, line: &str) {
        if let Some(record) = self.inner.lock().records.get_mut(id) {
            record.write(stream, Bytes::from(line.to_owned()), false);
        }
        self.changes.send_modify(|n| *n += 1);
    }

    /// What it holds and did.
    pub fn counts(&self) -> Counts {
        let inner = self.inner.lock();
        let mut counts = inner.totals;
        for record in inner.records.values() {
            match record.state {
                State::Created => counts.created += 1,
                State::Running => counts.running += 1,
                State::Exited => counts.exited += 1,
            }
        }
        counts
    }

    /// Waits as long as the knobs say, then answers whether the operation may go on.
    pub(super) async fn enter(&self, operation: Operation) -> Result<()> {
        let latency = self.inner.lock().options.knobs.latency.get(&operation).copied().unwrap_or_default();
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        let mut inner = self.inner.lock();
        if inner.options.knobs.down {
            return Err(inner.unavailable());
        }
        if let Some(left) = inner.options.knobs.failures.get_mut(&operation).filter(|left| **left > 0) {
            *left -= 1;
            return Err(Error::Failed(format!("{} fails, as the engine's options say", operation.as_str())));
        }
        Ok(())
    }

    pub(super) fn insert(&self, request: &CreateRequest) -> Result<EngineId> {
        let mut inner = self.inner.lock();
        if let Some(id) = inner.names.get(&request.name) {
            return Ok(id.clone());
        }
        let id = random_id();
        inner.names.insert(request.name.clone(), id.clone());
        inner.records.insert(id.clone(), Record::new(id.clone(), request.clone(), self.addresses.take()));
        inner.totals.creates += 1;
        inner.save(&id)?;
        self.events.publish(&id, Action::Created);
        Ok(id)
    }

    /// Sets a workload running and plays its script, restarts included.
    pub(super) fn run(&self, id: &EngineId) -> Result<()> {
        let mut guard = self.inner.lock();
        let inner = &mut *guard;
        let record = inner.records.get_mut(id).ok_or_else(|| Error::NotFound(id.to_string()))?;
        if record.state == State::Running {
            return Ok(());
        }
        let name = record.request.name.clone();
        let script = Script::parse(&record.request.command).map_err(Error::Invalid)?;
        if script.cannot_execute {
            let cause = "cannot execute \"eru-fake\": No such file or directory".to_owned();
            record.end(127, 0, &cause);
            inner.save(id)?;
            self.events.publish(id, Action::Died);
            return Err(Error::Start { name: name.to_string(), cause });
        }
        record.restarts = 0;
        let mut starts = 0;
        loop {
            record.run(&script);
            starts += 1;
            self.events.publish(id, Action::Started);
            let reads = script.reads_input && record.request.extras.has_input();
            let Some(code) = script.exit_code.filter(|_| !reads) else { break };
            record.end(code, signal_of(code), "");
            self.events.publish(id, Action::Died);
            if record.restarts >= SCRIPTED_RESTARTS_MAX || !record.policy().restarts_after(code, record.restarts) {
                break;
            }
            record.restarts += 1;
        }
        inner.totals.starts += starts;
        inner.save(id)?;
        drop(guard);
        self.changes.send_modify(|n| *n += 1);
        Ok(())
    }

    /// Ends a workload on request: no restart.
    pub(super) fn end(&self, id: &EngineId, signal: i32) -> Result<()> {
        let mut inner = self.inner.lock();
        let record = inner.records.get_mut(id).ok_or_else(|| Error::NotFound(id.to_string()))?;
        if record.state == State::Running {
            record.end(128 + signal, signal, "");
            // It did as it was told: what it said before is no reason.
            record.reason.clear();
            inner.save(id)?;
            self.events.publish(id, Action::Died);
        }
        drop(inner);
        self.changes.send_modify(|n| *n += 1);
        Ok(())
    }

    pub(super) fn take(&self, id: &EngineId) -> Result<()> {
        let mut inner = self.inner.lock();
        inner.forget(id)?.ok_or_else(|| Error::NotFound(id.to_string()))?;
        inner.totals.removes += 1;
        drop(inner);
        self.events.publish(id, Action::Removed);
        self.changes.send_modify(|n| *n += 1);
        Ok(())
    }
}

impl Inner {
    pub(super) fn is_down(&self) -> bool {
        self.options.knobs.down
    }

    pub(super) fn unavailable(&self) -> Error {
        let endpoint = format!("{}{}", FakeOptions::SCHEME, self.options.name);
        Error::Unavailable { endpoint, cause: "the engine was set down".into() }
    }

    pub(super) fn info(&self) -> crate::port::Info {
        let o = &self.options;
        crate::port::Info {
            id: format!("{}{}", FakeOptions::SCHEME, o.name),
            cores: o.cores,
            memory_bytes: o.memory_bytes,
            storage_bytes: o.storage_bytes,
        }
    }

    fn save(&mut self, id: &EngineId) -> Result<()> {
        match (&mut self.journal, self.records.get(id)) {
            (Some(journal), Some(record)) => journal.put(record).map_err(|e| Error::Failed(format!("journal: {e}"))),
            _ => Ok(()),
        }
    }

    fn forget(&mut self, id: &EngineId) -> Result<Option<Record>> {
        let Some(record) = self.records.remove(id) else { return Ok(None) };
        self.names.remove(&record.request.name);
        if let Some(journal) = &mut self.journal {
            journal.remove(id).map_err(|e| Error::Failed(format!("journal: {e}")))?;
        }
        Ok(Some(record))
    }
}

/// A process ends by itself; its restart policy applies. Answers whether it ran.
pub(super) fn die(
    inner: &Mutex<Inner>,
    events: &EventHub,
    changes: &watch::Sender<u64>,
    id: &EngineId,
    code: i32,
) -> bool {
    let mut guard = inner.lock();
    let inner = &mut *guard;
    let Some(record) = inner.records.get_mut(id).filter(|r| r.state == State::Running) else { return false };
    record.end(code, signal_of(code), "");
    let again = record.policy().restarts_after(code, record.restarts);
    events.publish(id, Action::Died);
    if again {
        record.restarts += 1;
        record.run(&Script::parse(&record.request.command).unwrap_or_default());
        inner.totals.starts += 1;
        events.publish(id, Action::Started);
    }
    let saved = inner.save(id);
    drop(guard);
    changes.send_modify(|n| *n += 1);
    saved.is_ok()
}

/// 64 hex digits, as Docker's ids have.
fn random_id() -> EngineId {
    let text: String = rand::random::<[u8; 32]>().iter().map(|b| format!("{b:02x}")).collect();
    EngineId::new(text).expect("hex digits are a workload id")
}

fn signal_of(code: i32) -> i32 {
    if (129..=192).contains(&code) { code - 128 } else { 0 }
}
