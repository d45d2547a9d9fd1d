//! Tells core what the queue holds, one call at a time.

use super::queue::{Batch, Counts, Queue};
use crate::{AgentOptions, session::Registration, vitals::Vitals};
use eru_api::agent::{ReportRequest, WorkloadReport, outcome::Result as Outcome};
use eru_client::{Backoff, Client, Retry};
use parking_lot::Mutex;
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

/// How long core may take for one call; it stores each within a few disk syncs.
const REPORT_DEADLINE: Duration = Duration::from_secs(10);
/// Waits between calls that fail.
const BACKOFF_FIRST: Duration = Duration::from_millis(100);
const BACKOFF_MOST: Duration = Duration::from_secs(2);
/// How long an agent that ends goes on telling what it knows.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// The queue and those who wait for it.
pub(crate) struct Reporter {
    nodename: String,
    core: Client,
    vitals: Arc<Vitals>,
    queue: Mutex<Queue>,
    /// There is something to send.
    filled: Notify,
    /// A list is wanted, for a full report.
    list: Notify,
    /// A call was refused: the session must find out why.
    doubt: Notify,
}

impl Reporter {
    pub(crate) fn new(options: &AgentOptions, vitals: Arc<Vitals>) -> Self {
        Self {
            nodename: options.nodename.to_string(),
            core: options.core.with_deadline(REPORT_DEADLINE),
            vitals,
            queue: Mutex::default(),
            filled: Notify::new(),
            list: Notify::new(),
            doubt: Notify::new(),
        }
    }

    /// Reports this as soon as possible, unless core has been told so already.
    pub(crate) fn push(&self, report: WorkloadReport) {
        if self.queue.lock().push(report) {
            self.filled.notify_one();
        }
    }

    /// Reports this in any case.
    pub(crate) fn renew(&self, report: WorkloadReport) {
        self.queue.lock().renew(report);
        self.filled.notify_one();
    }

    /// Reports this with everything else, when everything is reported.
    pub(crate) fn learn(&self, report: WorkloadReport) {
        self.queue.lock().learn(report);
        self.filled.notify_one();
    }

    /// See [`Queue::knows`].
    pub(crate) fn knows(&self, id: &str) -> bool {
        self.queue.lock().knows(id)
    }

    /// See [`Queue::list`].
    pub(crate) fn list(&self, report: WorkloadReport) {
        self.queue.lock().list(report);
    }

    /// See [`Queue::gone`].
    pub(crate) fn gone(&self, id: &str, at_ms: i64) {
        self.queue.lock().gone(id, at_ms);
        self.filled.notify_one();
    }

    /// Says nothing of this workload any more.
    pub(crate) fn forget(&self, id: &str) {
        self.queue.lock().forget(id);
    }

    /// What is known, in numbers.
    pub(crate) fn counts(&self) -> Counts {
        self.queue.lock().counts()
    }

    /// Reports everything, after the next list.
    pub(crate) fn want_full(&self, registered: bool) {
        self.queue.lock().want_full(registered);
        self.list.notify_one();
    }

    /// Reports everything, unless that is about to happen.
    pub(crate) fn want_full_once(&self) {
        self.queue.lock().want_full_once();
        self.list.notify_one();
    }

    /// See [`Queue::full_ticket`].
    pub(crate) fn full_ticket(&self) -> u64 {
        self.queue.lock().full_ticket()
    }

    /// Waits until a list is wanted.
    pub(crate) async fn list_wanted(&self) {
        while !self.queue.lock().is_list_wanted() {
            self.list.notified().await;
        }
    }

    /// A list is complete, see [`Queue::listed`].
    pub(crate) fn listed(&self, ticket: u64) {
        self.queue.lock().listed(ticket);
        self.filled.notify_one();
    }

    /// Waits until a call was refused.
    pub(crate) async fn doubted(&self) {
        self.doubt.notified().await;
    }

    /// Runs until `stop`, and a little longer if there is something left to tell.
    pub(crate) async fn run(&self, mut registrations: watch::Receiver<Option<Registration>>, stop: &CancellationToken) {
        stop.run_until_cancelled(self.tell(&mut registrations, false)).await;
        self.queue.lock().failed();
        // Who is not registered has nobody to tell.
        if registrations.borrow().is_some() {
            let _ = timeout(FLUSH_TIMEOUT, self.tell(&mut registrations, true)).await;
        }
    }

    /// Tells core everything; for ever, or until nothing is left.
    async fn tell(&self, registrations: &mut watch::Receiver<Option<Registration>>, only_what_is_left: bool) {
        let mut backoff = Backoff::new(BACKOFF_FIRST, BACKOFF_MOST);
        loop {
            let registration = *registrations.borrow_and_update();
            let Some(Registration { incarnation, .. }) = registration else {
                // An error means that the session is over, and then `stop` ends this.
                if registrations.changed().await.is_err() {
                    return;
                }
                continue;
            };
            let (batch, next_due) = {
                let mut queue = self.queue.lock();
                (queue.take(Instant::now()), queue.next_due())
            };
            let Some(batch) = batch else {
                if only_what_is_left {
                    return;
                }
                tokio::select! {
                    () = self.filled.notified() => {}
                    () = sleep_until(next_due.unwrap_or_else(Instant::now)), if next_due.is_some() => {}
                }
                continue;
            };
            match self.send(incarnation, batch).await {
                Ok(()) => backoff.reset(),
                Err(error) => {
                    tracing::debug!(%error, "cannot report to core, trying again");
                    self.vitals.calls_failed.up();
                    self.queue.lock().failed();
                    if !error.is_transient() {
                        self.doubt.notify_one();
                    }
                    tokio::select! {
                        () = sleep(backoff.next_bound()) => {}
                        // A new registration is a new beginning.
                        _ = registrations.changed() => backoff.reset(),
                    }
                }
            }
        }
    }

    async fn send(&self, incarnation: i64, batch: Batch) -> Result<(), eru_client::Error> {
        let nodename = self.nodename.clone();
        let request = ReportRequest { nodename, incarnation, full: batch.full, seq: batch.seq, reports: batch.reports };
        // Sequence numbers make a repeated report harmless.
        let call = self.core.call(Retry::Idempotent, |route| {
            let request = request.clone();
            async move { route.agent().report(request).await }
        });
        let begun = Instant::now();
        let reply = call.await?;
        self.vitals.called(reply.outcomes.len(), begun.elapsed());
        for refused in reply.outcomes.iter().filter(|o| o.result() == Outcome::Refused) {
            self.vitals.reports_refused.up();
            tracing::warn!(workload = %refused.id, error = %refused.error, "core refused a report");
        }
        let outcomes: Vec<Outcome> = reply.outcomes.iter().map(|o| o.result()).collect();
        self.queue.lock().answered(&outcomes, Instant::now());
        Ok(())
    }
}
