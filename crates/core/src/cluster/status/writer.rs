//! The queue that all reports go through, and the one who writes them.

use super::{
    decide::{Decision, decide},
    lease::Leases,
    report::{Outcome, Prepared, Report, Stored},
};
use crate::{
    cache::Cache,
    cluster::{Error, Result, read::read},
    keys,
    record::{self, IndexRecord, StatusRecord, Versioned},
};
use eru_kv::{Durability, Guard, GuardedPut, Kv, LeaseId, PutOutcome, Revision};
use eru_types::EngineId;
use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// Calls that may wait for the writer; more wait at the door, and their callers with them.
const QUEUE_CALLS_MAX: usize = 1024;
/// Reports of one batch: enough to fill a store's round trip, few enough that none waits long for the others.
const BATCH_REPORTS_MAX: usize = 4096;
/// How often a report is tried again when another core wrote about the same workload in between.
const CONFLICTS_MAX: usize = 4;
/// Most order marks of reports that changed nothing; beyond it they are forgotten, which costs a redundant write at most.
const SEEN_MAX: usize = 100_000;

/// Most writes that are remembered until the cache shows them; a report that misses one is refused by its guard and
/// compared again.
const WRITTEN_MAX: usize = 16_384;

struct Call {
    reports: Vec<Prepared>,
    reply: oneshot::Sender<Result<Vec<Outcome>, Arc<eru_kv::Error>>>,
}

/// Takes reports. Cheap to clone.
#[derive(Clone)]
pub struct StatusWriter {
    kv: Arc<dyn Kv>,
    cache: Arc<Cache>,
    queue: mpsc::Sender<Call>,
}

impl StatusWriter {
    /// The way in, and the service that must run for it to work.
    pub(crate) fn new(kv: Arc<dyn Kv>, cache: Arc<Cache>) -> (Self, StatusService) {
        let (queue, calls) = mpsc::channel(QUEUE_CALLS_MAX);
        let service = StatusService {
            kv: kv.clone(),
            cache: cache.clone(),
            calls,
            written: HashMap::new(),
            shown: Revision::default(),
            seen: HashMap::new(),
            leases: Leases::default(),
        };
        (Self { kv, cache, queue }, service)
    }

    /// Brings `reports` into the store; answers what became of each, in their order, when it is so.
    ///
    /// # Errors
    /// Only when the store cannot be reached: then nothing is known of any of them.
    ///
    /// # Cost
    /// None of its own when the cache knows the workloads: the batch is shared with other calls.
    pub async fn submit(&self, reports: Vec<Report>) -> Result<Vec<Outcome>> {
        let mut outcomes = vec![Outcome::Unknown; reports.len()];
        let mut prepared = Vec::with_capacity(reports.len());
        let mut places = Vec::with_capacity(reports.len());
        for (place, report) in reports.into_iter().enumerate() {
            match self.prepare(report).await? {
                Ok(report) => {
                    prepared.push(report);
                    places.push(place);
                }
                Err(outcome) => outcomes[place] = outcome,
            }
        }
        if prepared.is_empty() {
            return Ok(outcomes);
        }
        let (reply, answer) = oneshot::channel();
        let stopping = || Error::Unavailable("core is stopping; report again".into());
        self.queue.send(Call { reports: prepared, reply }).await.map_err(|_| stopping())?;
        let written = answer.await.map_err(|_| stopping())?.map_err(|error| Error::Unavailable(error.to_string()))?;
        for (place, outcome) in places.into_iter().zip(written) {
            outcomes[place] = outcome;
        }
        Ok(outcomes)
    }

    /// Finds the workload, in the cache or else in the store.
    async fn prepare(&self, report: Report) -> Result<Result<Prepared, Outcome>> {
        let (node, generation, stored) = match self.cache.workload(&report.id) {
            Some(view) if !view.removed => {
                let stored = Stored { record: view.status.clone(), revision: view.status_revision };
                (view.placement.node.clone(), view.life.generation, stored)
            }
            _ => {
                let found = read(&*self.kv, &[keys::index(&report.id)]).await?;
                let Some(index) = &found.values[0] else { return Ok(Err(Outcome::Unknown)) };
                let Ok(index) = record::decode::<IndexRecord>(&index.value) else { return Ok(Err(Outcome::Unknown)) };
                let node = index.record.node;
                let stored = stored(&*self.kv, &node, &report.id).await?;
                let generation = self.cache.node(&node).map_or(0, |view| view.verdict.generation);
                (node, generation, stored)
            }
        };
        if report.node.as_ref().is_some_and(|said| *said != node) {
            return Ok(Err(Outcome::WrongNode));
        }
        Ok(Ok(Prepared::new(report, node, generation, stored)))
    }
}

async fn stored(kv: &dyn Kv, node: &eru_types::NodeName, id: &EngineId) -> eru_kv::Result<Stored> {
    let found = read(kv, &[keys::status(node, id)]).await?;
    Ok(match &found.values[0] {
        // A value that does not decode is written over.
        Some(kv) => Stored { record: record::decode(&kv.value).ok().map(Arc::new), revision: kv.mod_revision },
        None => Stored::default(),
    })
}

/// A report of a batch that is to be written, and who waits for it.
struct Pending {
    report: Prepared,
    base: Revision,
    /// Who waits for it: (call, place in the call). Nearly always one.
    first: (usize, usize),
    others: Vec<(usize, usize)>,
    lease: LeaseId,
}

impl Pending {
    fn tell(&self, outcome: Outcome, outcomes: &mut [Vec<Outcome>]) {
        for (call, place) in std::iter::once(&self.first).chain(&self.others) {
            outcomes[*call][*place] = outcome;
        }
    }
}

/// Writes the reports of all calls.
pub(crate) struct StatusService {
    kv: Arc<dyn Kv>,
    cache: Arc<Cache>,
    calls: mpsc::Receiver<Call>,
    /// What was written and those who prepare reports may not have seen yet.
    written: HashMap<EngineId, Stored>,
    /// What the cache showed when [`Self::written`] was tidied last.
    shown: Revision,
    /// Newest (incarnation, sequence) of reports that changed nothing.
    seen: HashMap<EngineId, (i64, i64)>,
    leases: Leases,
}

impl StatusService {
    /// Works until `shutdown`; then answers what is in the queue and ends.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        loop {
            let first = tokio::select! {
                biased;
                call = self.calls.recv() => call,
                () = shutdown.cancelled() => {
                    self.calls.close();
                    self.calls.recv().await
                }
            };
            let Some(first) = first else { return };
            let mut len = first.reports.len();
            let mut batch = vec![first];
            while len < BATCH_REPORTS_MAX
                && let Ok(call) = self.calls.try_recv()
            {
                len += call.reports.len();
                batch.push(call);
            }
            self.write(batch).await;
        }
    }

    async fn write(&mut self, batch: Vec<Call>) {
        let (calls, replies): (Vec<_>, Vec<_>) = batch.into_iter().map(|call| (call.reports, call.reply)).unzip();
        let mut outcomes: Vec<Vec<Outcome>> =
            calls.iter().map(|reports| vec![Outcome::Stored; reports.len()]).collect();
        let result = self.write_all(calls, &mut outcomes).await.map_err(Arc::new);
        for (reply, outcomes) in replies.into_iter().zip(outcomes) {
            // Who gave up waiting does not want to know.
            let _ = reply.send(result.clone().map(|()| outcomes));
        }
        // What waits in the queue was prepared before this moment, and what comes later is prepared with what is shown now:
        // so what was shown a queue ago can go.
        if self.calls.is_empty() || self.written.len() > WRITTEN_MAX {
            let shown = std::mem::replace(&mut self.shown, self.cache.revision());
            self.written.retain(|_, stored| stored.revision > shown);
        }
    }

    async fn write_all(&mut self, calls: Vec<Vec<Prepared>>, outcomes: &mut [Vec<Outcome>]) -> eru_kv::Result<()> {
        let mut pending: HashMap<EngineId, Pending> = HashMap::new();
        for (call, reports) in calls.into_iter().enumerate() {
            for (place, report) in reports.into_iter().enumerate() {
                outcomes[call][place] = self.sort(report, (call, place), &mut pending).await?;
            }
        }
        let mut pending: Vec<Pending> = pending.into_values().collect();
        for _ in 0..CONFLICTS_MAX {
            if pending.is_empty() {
                return Ok(());
            }
            pending = self.put(pending, outcomes).await?;
        }
        tracing::warn!(
            reports = pending.len(),
            "reports lost against another core again and again; left to be sent again"
        );
        pending.iter().for_each(|one| one.tell(Outcome::Unknown, outcomes));
        Ok(())
    }

    /// Puts one report where it belongs: into the batch, over an older one in it, or nowhere.
    async fn sort(
        &mut self,
        mut report: Prepared,
        waiter: (usize, usize),
        pending: &mut HashMap<EngineId, Pending>,
    ) -> eru_kv::Result<Outcome> {
        let prepared = std::mem::take(&mut report.stored);
        let slot = pending.entry(report.record.id.clone());
        let known = match &slot {
            Entry::Occupied(waiting) => {
                Stored { record: Some(waiting.get().report.record.clone()), revision: waiting.get().base }
            }
            Entry::Vacant(slot) => newest(&self.written, slot.key(), prepared),
        };
        // Hardly ever is there anything, and asking costs as much as the rest of this.
        let seen = if self.seen.is_empty() { None } else { self.seen.get(&report.record.id).copied() };
        match decide(&report.record, &known, seen) {
            Decision::Stale => return Ok(Outcome::Stale),
            Decision::Same => {
                if let Entry::Occupied(mut waiting) = slot {
                    waiting.get_mut().others.push(waiter);
                    return Ok(Outcome::Stored);
                }
                if report.record.ttl_s == 0 || self.leases.renew(&*self.kv, &report.record).await?.is_some() {
                    self.note_seen(&report.record);
                    return Ok(Outcome::Unchanged);
                }
                // Its lease ran out a moment ago: it is written again.
            }
            Decision::Write => {}
        }
        let lease = self.leases.for_write(&*self.kv, &report.record).await?;
        match slot {
            Entry::Occupied(mut waiting) => {
                let waiting = waiting.get_mut();
                waiting.report = report;
                waiting.lease = lease;
                waiting.others.push(waiter);
            }
            Entry::Vacant(slot) => {
                slot.insert(Pending { report, base: known.revision, first: waiter, others: Vec::new(), lease });
            }
        }
        Ok(Outcome::Stored)
    }

    fn note_seen(&mut self, record: &StatusRecord) {
        if record.incarnation == 0 {
            return;
        }
        if self.seen.len() >= SEEN_MAX {
            self.seen.clear();
        }
        self.seen.insert(record.id.clone(), (record.incarnation, record.seq));
    }

    /// Writes; returns what another core came in between of, with what it wrote as the new base.
    async fn put(&mut self, pending: Vec<Pending>, outcomes: &mut [Vec<Outcome>]) -> eru_kv::Result<Vec<Pending>> {
        let puts = pending.iter().map(guarded).collect();
        let results = self.kv.put_each(puts, Durability::Observed).await?;
        let mut again = Vec::new();
        for (mut one, result) in pending.into_iter().zip(results) {
            match result {
                PutOutcome::Written(revision) => {
                    let record = one.report.record;
                    if !self.seen.is_empty() {
                        self.seen.remove(&record.id);
                    }
                    self.written.insert(record.id.clone(), Stored { record: Some(record), revision });
                }
                PutOutcome::Refused => {
                    let outcome = self.refused(&mut one).await?;
                    match outcome {
                        None => again.push(one),
                        Some(outcome) => one.tell(outcome, outcomes),
                    }
                }
            }
        }
        Ok(again)
    }

    /// Why a put was refused: the workload is gone, or somebody else wrote about it. `None` = write it again.
    async fn refused(&mut self, one: &mut Pending) -> eru_kv::Result<Option<Outcome>> {
        let record = &one.report.record;
        self.written.remove(&record.id);
        let found = read(&*self.kv, &[keys::index(&record.id)]).await?;
        if found.values[0].is_none() {
            return Ok(Some(Outcome::Unknown));
        }
        let now = stored(&*self.kv, &record.node, &record.id).await?;
        one.base = now.revision;
        Ok(match decide(record, &now, None) {
            Decision::Stale => Some(Outcome::Stale),
            Decision::Same if record.ttl_s == 0 => Some(Outcome::Unchanged),
            Decision::Same | Decision::Write => None,
        })
    }
}

/// The newest that is known to be stored: a report that was prepared before another one of the same workload was written
/// does not know of that one.
fn newest(written: &HashMap<EngineId, Stored>, id: &EngineId, prepared: Stored) -> Stored {
    match written.get(id) {
        Some(written) if written.revision > prepared.revision => written.clone(),
        _ => prepared,
    }
}

fn guarded(one: &Pending) -> GuardedPut {
    let record: &Versioned<StatusRecord> = &one.report.record;
    let key = keys::status(&record.node, &record.id);
    let unchanged = Guard::ModRevision(key.clone(), one.base);
    GuardedPut {
        // A report that is there proves its workload: both go in one transaction.
        guards: if one.base == Revision::default() {
            vec![Guard::Exists(keys::index(&record.id)), unchanged]
        } else {
            vec![unchanged]
        },
        key,
        value: one.report.value.clone(),
        lease: one.lease,
    }
}
