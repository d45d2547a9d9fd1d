//! What happens in the runtime: subscribe first, list second, list again after every break.

use crate::{
    mailbox::{Mailbox, What},
    session::Registration,
    worker::{Workshop, run},
};
use eru_client::Backoff;
use eru_runtime::{Action, Event, Inspection};
use eru_types::EngineId;
use futures::{StreamExt, future::BoxFuture, stream::BoxStream};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Waits between attempts to subscribe or to list: an engine that restarts is back within seconds.
const BACKOFF_FIRST: Duration = Duration::from_millis(100);
const BACKOFF_MOST: Duration = Duration::from_secs(2);
/// A subscription that lasts this long is a good one; after one that did not the next waits longer, as it costs a list.
const STEADY: Duration = Duration::from_secs(2);
/// How long one list may take before it is tried again: ten thousand workloads take less.
const LIST_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a full report waits for the workers: engines are known to hang on one workload and to answer for all others.
const ROUND_TIMEOUT: Duration = Duration::from_secs(5);

/// Sees to it that there is a worker for every workload of ours, and that it knows when to look.
pub(crate) struct Observer {
    workshop: Arc<Workshop>,
    list_interval: Duration,
}

/// The workers, and what the current list has missed.
struct Floor {
    workshop: Arc<Workshop>,
    mailboxes: HashMap<EngineId, Arc<Mailbox>>,
    workers: JoinSet<EngineId>,
    /// What something happened to since the current list began: newer than what the list says. `None` = no list is made.
    touched: Option<HashSet<EngineId>>,
}

impl Observer {
    pub(crate) fn new(workshop: Arc<Workshop>, list_interval: Duration) -> Self {
        Self { workshop, list_interval }
    }

    /// Runs until `stop`; the workers end with it.
    pub(crate) async fn run(self, mut registrations: watch::Receiver<Option<Registration>>, stop: &CancellationToken) {
        let mut floor = Floor {
            workshop: self.workshop.clone(),
            mailboxes: HashMap::new(),
            workers: JoinSet::new(),
            touched: None,
        };
        stop.run_until_cancelled(async {
            if self.workshop.owner.asks_core() {
                // An error means that the session is over, and then `stop` ends this.
                let _ = registrations.wait_for(Option::is_some).await;
            }
            let vitals = &self.workshop.vitals;
            let mut backoff = Backoff::new(BACKOFF_FIRST, BACKOFF_MOST);
            let (mut is_silent, mut keeps_breaking) = (false, false);
            loop {
                match self.workshop.runtime.events().await {
                    Ok(events) => {
                        vitals.subscriptions.up();
                        vitals.runtime_answered();
                        if std::mem::take(&mut is_silent) {
                            tracing::info!("the runtime answers again");
                        }
                        let begun = Instant::now();
                        self.watch(events, &mut floor).await;
                        let is_steady = begun.elapsed() >= STEADY;
                        if is_steady {
                            backoff.reset();
                        }
                        if is_steady || !keeps_breaking {
                            tracing::info!("event stream of the runtime broke, subscribing again");
                        }
                        keeps_breaking = !is_steady;
                    }
                    Err(error) => {
                        vitals.runtime_failed(error.to_string());
                        if !std::mem::replace(&mut is_silent, true) {
                            tracing::warn!(%error, "cannot subscribe to the events of the runtime, trying again");
                        }
                    }
                }
                sleep(backoff.next_wait()).await;
            }
        })
        .await;
        floor.workers.shutdown().await;
    }

    /// Handles one subscription until it breaks. Begins with a list.
    async fn watch(&self, mut events: BoxStream<'static, Event>, floor: &mut Floor) {
        let Workshop { reporter, vitals, .. } = &*self.workshop;
        let mut backoff = Backoff::new(BACKOFF_FIRST, BACKOFF_MOST);
        // The wait before the next list, and whether a wish for one cuts it short.
        let (mut wait, mut is_patient) = (Duration::ZERO, true);
        loop {
            // Between lists: events are followed until the next one is due.
            let due = async {
                tokio::select! {
                    () = sleep(wait) => {}
                    () = reporter.list_wanted(), if is_patient => {}
                }
            };
            if floor.follow(&mut events, due).await.is_none() {
                return;
            }
            floor.touched = Some(HashSet::new());
            let ticket = reporter.full_ticket();
            let Some(listed) = floor.follow(&mut events, self.list()).await else { return };
            match listed {
                Ok(inspections) => {
                    vitals.lists.up();
                    vitals.runtime_answered();
                    backoff.reset();
                    (wait, is_patient) = (self.list_interval, true);
                    let round = floor.hand_out(inspections);
                    // The round is over when every worker has reported what the list said, or one is stuck.
                    let over = async move {
                        round.close();
                        // Stuck or not, what is known then is what there is to report.
                        let _ = timeout(ROUND_TIMEOUT, round.wait()).await;
                    };
                    if floor.follow(&mut events, over).await.is_none() {
                        return;
                    }
                    reporter.listed(ticket);
                }
                Err(error) => {
                    vitals.lists_failed.up();
                    tracing::warn!(%error, "cannot list the workloads of the runtime, trying again");
                    vitals.runtime_failed(error);
                    (wait, is_patient) = (backoff.next_bound(), false);
                }
            }
        }
    }

    fn list(&self) -> BoxFuture<'static, Result<Vec<Inspection>, String>> {
        let (runtime, ours) = (self.workshop.runtime.clone(), self.workshop.owner.labels());
        Box::pin(async move {
            match timeout(LIST_TIMEOUT, runtime.list(&ours)).await {
                Ok(outcome) => outcome.map_err(|e| e.to_string()),
                Err(_) => Err(format!("no answer within {} s", LIST_TIMEOUT.as_secs())),
            }
        })
    }
}

impl Floor {
    /// Follows events until `until` is ready; nothing when the stream of events breaks before.
    async fn follow<T>(&mut self, events: &mut BoxStream<'static, Event>, until: impl Future<Output = T>) -> Option<T> {
        tokio::pin!(until);
        loop {
            tokio::select! {
                biased;
                event = events.next() => self.happened(event?),
                Some(ended) = self.workers.join_next() => self.ended(ended),
                outcome = &mut until => return Some(outcome),
            }
        }
    }

    fn happened(&mut self, event: Event) {
        self.workshop.vitals.happened(event.action);
        // A workload that was only made says nothing yet; it is told when it starts, and lists have it.
        if event.action == Action::Created {
            return;
        }
        if let Some(touched) = &mut self.touched {
            touched.insert(event.id.clone());
        }
        if let Some(exit) = event.exit {
            return self.mailbox(event.id).put_died(exit);
        }
        // What is gone and has no worker was never reported. What changed may be anybody's.
        let is_news = ![Action::Removed, Action::Changed].contains(&event.action);
        if is_news || self.mailboxes.contains_key(&event.id) {
            self.mailbox(event.id).put(What::Look, None);
        }
    }

    /// Tells every worker what the list said; those whose workload is not in it look for themselves.
    fn hand_out(&mut self, inspections: Vec<Inspection>) -> TaskTracker {
        let round = TaskTracker::new();
        let touched = self.touched.take().unwrap_or_default();
        let mut listed = HashSet::with_capacity(inspections.len());
        for inspection in inspections {
            listed.insert(inspection.id.clone());
            if !self.workshop.owner.owns(&inspection) {
                // It was ours as long as we did not know core.
                if let Some(mailbox) = self.mailboxes.get(&inspection.id) {
                    mailbox.put(What::Look, None);
                }
                continue;
            }
            self.workshop.listed(&inspection);
            let is_touched = touched.contains(&inspection.id);
            let mailbox = self.mailbox(inspection.id.clone());
            let what = if is_touched { What::Look } else { What::Listed(Box::new(inspection)) };
            mailbox.put(what, Some(round.token()));
        }
        for mailbox in self.mailboxes.iter().filter(|(id, _)| !listed.contains(*id)).map(|(_, m)| m) {
            mailbox.put(What::Look, Some(round.token()));
        }
        round
    }

    fn mailbox(&mut self, id: EngineId) -> Arc<Mailbox> {
        let Self { mailboxes, workers, workshop, .. } = self;
        let mailbox = mailboxes.entry(id.clone()).or_insert_with(|| {
            let mailbox = Arc::new(Mailbox::default());
            workers.spawn(run(workshop.clone(), id, mailbox.clone()));
            mailbox
        });
        mailbox.clone()
    }

    fn ended(&mut self, ended: Result<EngineId, tokio::task::JoinError>) {
        let id = match ended {
            Ok(id) => id,
            Err(error) => {
                // Which one it was is not known: look at all of them, with new workers for those that are no more.
                tracing::error!(%error, "a worker panicked");
                return self.replace_dead_workers();
            }
        };
        let Some(mailbox) = self.mailboxes.remove(&id) else { return };
        if !mailbox.is_empty() {
            // A letter came while the worker was leaving.
            self.mailbox(id).put(What::Look, None);
        }
    }

    fn replace_dead_workers(&mut self) {
        // A worker holds its mailbox, so a mailbox that only the map holds has lost its worker.
        let dead: Vec<_> =
            self.mailboxes.iter().filter(|(_, m)| Arc::strong_count(m) == 1).map(|(id, _)| id.clone()).collect();
        for id in dead {
            self.mailboxes.remove(&id);
            self.mailbox(id).put(What::Look, None);
        }
    }
}
