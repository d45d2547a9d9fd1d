//! The newest report of every workload, and which of them core does not have. Pure: the time is a value.
//!
//! | outcome | meaning here |
//! | --- | --- |
//! | stored, unchanged, stale, refused | done; a refusal is logged by the caller |
//! | unknown workload | again after 0.1, 0.2 .. 30 s, unless it is gone, which core then knows |
//! | the call failed | again, in the old order |

use eru_api::agent::{WorkloadReport, outcome::Result as Outcome};
use eru_types::limits::LIST_LEN_MAX;
use prost::Message;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};
use tokio::time::Instant;

/// Most reports of one call: core stores that many in one round trip or a few.
const BATCH_LEN_MAX: usize = 500;
/// Largest call, in bytes; well below the 4 MiB that gRPC servers take by default.
const BATCH_BYTES_MAX: usize = 1024 * 1024;
/// Largest full report, in bytes: below the 20 MiB that core takes. It cannot be cut, and a node with more sends ordinary
/// reports only; that is far beyond what one machine runs.
const FULL_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Waits before a report of a workload that core does not know yet is sent again.
const UNKNOWN_FIRST: Duration = Duration::from_millis(100);
const UNKNOWN_MOST: Duration = Duration::from_secs(30);

/// One call.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// It holds everything there is: absent workloads are gone.
    pub full: bool,
    /// The number of a full report itself, above all before it; 0 for others.
    pub seq: i64,
    /// The reports, with their sequence numbers.
    pub reports: Vec<WorkloadReport>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Queue {
    known: BTreeMap<String, Known>,
    /// What is to be sent now, oldest first; each at most once.
    order: VecDeque<String>,
    /// What is to be sent later, by time.
    later: BTreeSet<(Instant, String)>,
    under_way: Option<UnderWay>,
    seq: i64,
    /// Number of the newest wish for a full report, of the newest one that a list was made for, and of the last one sent.
    full_wanted: u64,
    full_listed: u64,
    full_sent: u64,
}

/// A queue in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Workloads that run and whose health checks pass.
    pub healthy: usize,
    /// Workloads that run and whose health checks do not pass.
    pub unhealthy: usize,
    /// Workloads that ended.
    pub stopped: usize,
    /// Workloads that were made and never started.
    pub created: usize,
    /// Reports that are to be sent, now or later, or are under way.
    pub queued: usize,
}

#[derive(Debug)]
struct Known {
    report: WorkloadReport,
    /// Counts up with each change.
    version: u64,
    /// It stands in `order`.
    is_due: bool,
    /// When it will be due, and the wait after that one.
    later: Option<Instant>,
    wait: Duration,
    /// It is what a list said, and nobody has spoken of the workload yet.
    is_hearsay: bool,
}

#[derive(Debug)]
struct UnderWay {
    full: Option<u64>,
    sent: Vec<(String, u64)>,
}

impl Queue {
    /// An empty queue.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a report in, to be sent as soon as possible. Answers whether it says anything new.
    pub fn push(&mut self, report: WorkloadReport) -> bool {
        if self.known.get(&report.id).is_some_and(|known| !known.is_hearsay && says_the_same(&known.report, &report)) {
            return false;
        }
        self.renew(report);
        true
    }

    /// Takes a report in, to be sent even if it says nothing new.
    pub fn renew(&mut self, report: WorkloadReport) {
        let id = report.id.clone();
        self.insert(report);
        self.set_due(&id);
    }

    /// Takes a report in that is only part of full ones, unless the workload has been reported before.
    pub fn learn(&mut self, report: WorkloadReport) {
        if self.known.get(&report.id).is_some_and(|known| !known.is_hearsay) {
            self.push(report);
        } else {
            self.insert(report);
        }
    }

    /// Takes in what a list says of a workload that nobody has spoken of yet: full ones are not without it, however long the
    /// one who is to speak of it takes.
    pub fn list(&mut self, report: WorkloadReport) {
        let id = report.id.clone();
        if self.knows(&id) {
            return;
        }
        self.insert(report);
        if let Some(known) = self.known.get_mut(&id) {
            known.is_hearsay = true;
        }
    }

    /// The workload is gone, and nobody has spoken of it: if it was in a list, core may know it from there.
    pub fn gone(&mut self, id: &str, at_ms: i64) {
        let Some(known) = self.known.get(id).filter(|known| known.is_hearsay) else { return };
        let (running, healthy, gone) = (false, false, true);
        let report = WorkloadReport { running, healthy, gone, observed_at_ms: at_ms, ..known.report.clone() };
        self.renew(WorkloadReport { networks: Default::default(), ..report });
    }

    /// Nothing is to be said of this workload any more.
    pub fn forget(&mut self, id: &str) {
        let Some(known) = self.known.remove(id) else { return };
        if let Some(at) = known.later {
            self.later.remove(&(at, id.to_owned()));
        }
        if known.is_due {
            self.order.retain(|due| due != id);
        }
    }

    fn insert(&mut self, report: WorkloadReport) {
        let known = self.known.entry(report.id.clone()).or_insert_with(|| Known {
            report: WorkloadReport::default(),
            version: 0,
            is_due: false,
            later: None,
            wait: UNKNOWN_FIRST,
            is_hearsay: false,
        });
        known.is_hearsay = false;
        known.report = report;
        known.version += 1;
        known.wait = UNKNOWN_FIRST;
    }

    fn set_due(&mut self, id: &str) {
        let Some(known) = self.known.get_mut(id) else { return };
        if let Some(at) = known.later.take() {
            self.later.remove(&(at, id.to_owned()));
        }
        if !std::mem::replace(&mut known.is_due, true) {
            self.order.push_back(id.to_owned());
        }
    }

    /// Everything is to be reported, after the next list. Sequence numbers begin again with a new registration.
    pub fn want_full(&mut self, registered: bool) {
        self.full_wanted += 1;
        if registered {
            self.seq = 0;
        }
    }

    /// Core asks for everything; what it is about to get anyhow it need not get twice.
    pub fn want_full_once(&mut self) {
        if self.full_sent == self.full_wanted {
            self.want_full(false);
        }
    }

    /// The wish that a list that begins now will fulfil.
    pub fn full_ticket(&self) -> u64 {
        self.full_wanted
    }

    /// Whether a list is waited for.
    pub fn is_list_wanted(&self) -> bool {
        self.full_listed < self.full_wanted
    }

    /// A list that began with this ticket is complete.
    pub fn listed(&mut self, ticket: u64) {
        self.full_listed = self.full_listed.max(ticket);
    }

    /// The next call, if there is something to tell and none is under way.
    pub fn take(&mut self, now: Instant) -> Option<Batch> {
        if self.under_way.is_some() {
            return None;
        }
        while let Some((_, id)) = self.later.first().filter(|(at, _)| *at <= now).cloned() {
            self.set_due(&id);
        }
        if self.full_listed > self.full_sent && !self.is_list_wanted() {
            let ticket = self.full_listed;
            let bytes: usize = self.known.values().map(|known| known.report.encoded_len()).sum();
            let ids: Vec<_> = self.known.keys().cloned().collect();
            if bytes <= FULL_BYTES_MAX && ids.len() <= LIST_LEN_MAX {
                return Some(self.send(ids, Some(ticket)));
            }
            tracing::warn!(bytes, "too much for one full report, sending everything in parts");
            self.full_sent = ticket;
            ids.iter().for_each(|id| self.set_due(id));
        }
        let mut bytes = 0;
        let fits = self.order.iter().take(BATCH_LEN_MAX).take_while(|id| {
            bytes += self.known.get(*id).map_or(0, |known| known.report.encoded_len());
            bytes <= BATCH_BYTES_MAX
        });
        // One report alone is sent whatever its size: core says what it thinks of it.
        let len = fits.count().max(1).min(self.order.len());
        let ids: Vec<_> = self.order.iter().take(len).cloned().collect();
        (!ids.is_empty()).then(|| self.send(ids, None))
    }

    fn send(&mut self, ids: Vec<String>, full: Option<u64>) -> Batch {
        let mut reports = Vec::with_capacity(ids.len());
        let mut sent = Vec::with_capacity(ids.len());
        if full.is_some() {
            self.order.clear();
            self.later.clear();
        } else {
            self.order.drain(..ids.len());
        }
        for id in ids {
            let known = self.known.get_mut(&id).expect("whatever is due is known");
            (known.is_due, known.later) = (false, None);
            self.seq += 1;
            reports.push(WorkloadReport { seq: self.seq, ..known.report.clone() });
            sent.push((id, known.version));
        }
        // An empty list too says that something is gone, and has to have its place among the reports before it.
        let seq = if full.is_some() {
            self.seq += 1;
            self.seq
        } else {
            0
        };
        self.under_way = Some(UnderWay { full, sent });
        Batch { full: full.is_some(), seq, reports }
    }

    /// The call was answered, with one outcome per report.
    pub fn answered(&mut self, outcomes: &[Outcome], now: Instant) {
        let Some(UnderWay { full, sent }) = self.under_way.take() else { return };
        self.full_sent = self.full_sent.max(full.unwrap_or(0));
        for (i, (id, version)) in sent.into_iter().enumerate() {
            let Some(known) = self.known.get_mut(&id) else { continue };
            // Something newer came meanwhile and is due already.
            if known.version != version {
                continue;
            }
            // A core that answers too little has not said that it stored the rest.
            let outcome = outcomes.get(i).copied().unwrap_or(Outcome::UnknownWorkload);
            if known.report.gone {
                self.known.remove(&id);
            } else if outcome == Outcome::UnknownWorkload {
                let at = now + known.wait;
                known.later = Some(at);
                known.wait = (known.wait * 2).min(UNKNOWN_MOST);
                self.later.insert((at, id));
            }
        }
    }

    /// The call failed: what it held goes back to the front.
    pub fn failed(&mut self) {
        let Some(UnderWay { full, sent }) = self.under_way.take() else { return };
        if full.is_some() {
            // A full report is made anew, with what is known then.
            return;
        }
        for (id, version) in sent.into_iter().rev() {
            let Some(known) = self.known.get_mut(&id).filter(|known| known.version == version) else { continue };
            if !std::mem::replace(&mut known.is_due, true) {
                self.order.push_front(id);
            }
        }
    }

    /// When the next report becomes due that is not due now.
    pub fn next_due(&self) -> Option<Instant> {
        self.later.first().map(|(at, _)| *at)
    }

    /// Whether everything that can be told has been told.
    pub fn is_idle(&self) -> bool {
        self.order.is_empty() && self.under_way.is_none()
    }

    /// What is known, in numbers.
    pub fn counts(&self) -> Counts {
        let under_way = self.under_way.as_ref().map_or(0, |call| call.sent.len());
        let mut counts = Counts { queued: self.order.len() + self.later.len() + under_way, ..Counts::default() };
        for report in self.known.values().map(|known| &known.report).filter(|report| !report.gone) {
            let count = match report {
                report if report.unstarted => &mut counts.created,
                report if !report.running => &mut counts.stopped,
                report if report.healthy => &mut counts.healthy,
                _ => &mut counts.unhealthy,
            };
            *count += 1;
        }
        counts
    }

    /// Whether there is something to say of this workload.
    pub fn knows(&self, id: &str) -> bool {
        self.known.contains_key(id)
    }

    /// How many workloads are known.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }
}

/// Equal but for sequence and time of the look.
fn says_the_same(one: &WorkloadReport, other: &WorkloadReport) -> bool {
    let bare = |report: &WorkloadReport| WorkloadReport { seq: 0, observed_at_ms: 0, ..report.clone() };
    bare(one) == bare(other)
}
