//! The loop of one set: woken by whatever concerns it, it reads all of it, asks the reconcile function, and carries out
//! the answer.
//!
//! Acts run beside the loop, so that a slow one holds nothing up. Until the stream shows what an act did, the loop knows
//! it by other means: a create by its open intent, a removal by `leaving`.

mod lane;
mod memory;
mod pause;
mod report;
mod settle;
mod start;

use crate::Error;
use crate::act::{Actor, Outcome};
use crate::clock::Clock;
use crate::observe::{Observer, Sight};
use crate::record::ProgressRecord;
use crate::shown::{Desired, Shown};
use crate::store::Store;
use eru_reconcile::{InstancePhase, Remove, Resolve, Slot, View, reconcile};
use lane::{Lane, Queued};
use pause::Pause;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Removals of one set under way at once; the others follow as these end.
const REMOVES_MAX: usize = 64;
/// A turn is taken at least so often, whatever was or was not heard.
const TURN_EVERY: Duration = Duration::from_secs(30);
/// How long a removed workload may still be shown before it counts as there again.
const GONE_AFTER: Duration = Duration::from_secs(10);

/// What a worker is made of.
pub struct Tools {
    /// Eyes.
    pub observer: Observer,
    /// Hands.
    pub actor: Actor,
    /// Memory.
    pub store: Store,
    /// Time.
    pub clock: Clock,
    /// What the set is to be.
    pub desired: watch::Receiver<Arc<Desired>>,
    /// How it is, for whoever asks.
    pub shown: watch::Sender<Arc<Shown>>,
    /// Raised with each change of `shown`, for those who follow all sets.
    pub version: watch::Sender<u64>,
}

/// How a worker ended.
#[derive(Debug)]
pub enum Ended {
    /// The set was removed, with these workloads.
    Removed(Vec<String>),
    /// It was told to stop.
    Stopped,
}

/// The loop of one set and what it remembers.
pub struct Worker {
    tools: Tools,
    uid: String,
    wake: Arc<Notify>,
    /// The slots as they are stored.
    slots: BTreeMap<u32, Slot>,
    progress: ProgressRecord,
    acts: JoinSet<Acted>,
    /// The creates by generation.
    lanes: BTreeMap<u64, Lane>,
    /// Creates that were refused while the set was making room, and how long they wait for that at most.
    for_room: Vec<(Instant, Queued)>,
    leaving: HashMap<String, Leaving>,
    /// When a removal ended last.
    room_made_at: Option<Instant>,
    /// Workloads that were removed since the set is being removed.
    removed: Vec<String>,
    listing: bool,
    list_pause: Pause,
    store_pause: Pause,
    progress_pause: Pause,
    /// The earliest time at which something of the above wants a turn.
    turn_at: Option<Instant>,
}

/// A workload that is on its way out.
enum Leaving {
    /// The call is under way; the waits that it had so far.
    UnderWay(Pause),
    /// Removed; what is still shown of it is old until then.
    Gone(Instant),
    /// Could not be removed; tried again then.
    Failed(Pause),
}

enum Acted {
    Created(Queued, Outcome),
    Removed(Remove, Outcome),
    Listed(Vec<Resolve>, Result<Vec<(String, String)>, eru_client::Error>),
}

impl Worker {
    /// A worker for the set that `tools.desired` tells of.
    pub fn new(tools: Tools) -> Self {
        let uid = tools.desired.borrow().set.uid.clone();
        let wake = tools.observer.subscribe(&uid);
        Self {
            tools,
            uid,
            wake,
            slots: BTreeMap::new(),
            progress: ProgressRecord::default(),
            acts: JoinSet::new(),
            lanes: BTreeMap::new(),
            for_room: Vec::new(),
            leaving: HashMap::new(),
            room_made_at: None,
            removed: Vec::new(),
            listing: false,
            list_pause: Pause::new(),
            store_pause: Pause::new(),
            progress_pause: Pause::new(),
            turn_at: None,
        }
    }

    /// Runs until the set is removed or shutdown. Whatever else goes wrong is this set's alone: it is told of in its status
    /// and tried again.
    ///
    /// # Errors
    /// [`Error::Deposed`].
    pub async fn run(mut self, shutdown: CancellationToken) -> Result<Ended, Error> {
        let ended = shutdown.run_until_cancelled(self.work()).await;
        // What is under way is told apart by its op id when the next worker asks again.
        self.acts.shutdown().await;
        self.tools.observer.unsubscribe(&self.uid);
        ended.unwrap_or(Ok(Ended::Stopped))
    }

    async fn work(&mut self) -> Result<Ended, Error> {
        self.remember().await;
        loop {
            self.turn_at = Some(Instant::now() + TURN_EVERY);
            if let Some(until) = self.store_pause.pending() {
                // What would be decided now could not be stored.
                self.turn_by(Some(until));
            } else {
                match self.turn().await {
                    Ok(true) => return Ok(Ended::Removed(std::mem::take(&mut self.removed))),
                    Ok(false) => self.store_pause.succeeded(),
                    Err(error) => self.store_failed(error)?,
                }
            }
            if !self.wait().await? {
                return Ok(Ended::Stopped);
            }
        }
    }

    /// Waits for a reason to take a turn; `false` = nobody wants the set any more.
    async fn wait(&mut self) -> Result<bool, Error> {
        let at = self.turn_at.unwrap_or_else(|| Instant::now() + TURN_EVERY);
        tokio::select! {
            biased;
            Some(acted) = self.acts.join_next() => self.settle_or_wait(acted).await?,
            changed = self.tools.desired.changed() => return Ok(changed.is_ok()),
            () = self.wake.notified() => {}
            () = tokio::time::sleep_until(at) => {}
        }
        while let Some(acted) = self.acts.try_join_next() {
            self.settle_or_wait(acted).await?;
        }
        Ok(true)
    }

    fn lane(&mut self, generation: u64) -> &mut Lane {
        self.lanes.entry(generation).or_insert_with(Lane::new)
    }

    /// Decides and starts what was decided; `true` = the set is gone.
    async fn turn(&mut self) -> Result<bool, Error> {
        let desired = self.tools.desired.borrow_and_update().clone();
        let Some(mut sight) = self.tools.observer.sight(&self.uid) else {
            let problem = self.tools.observer.problem().unwrap_or_else(|| "the core has not been heard yet".to_owned());
            self.publish_blind(&desired, problem);
            return Ok(false);
        };
        self.mark_leaving(&mut sight);
        let now = self.tools.clock.now();
        let slots = self.slots.values().cloned().collect();
        let view =
            View { slots, instances: std::mem::take(&mut sight.instances), nodes: std::mem::take(&mut sight.nodes) };
        let newest = self.lanes.get(&desired.set.template_generation);
        let in_doubt = newest.is_some_and(|lane| lane.is_in_doubt(Instant::now()));
        let plan = reconcile(&desired.to_set(self.progress.stable_generation, in_doubt), &view, now);
        self.persist(&plan).await?;
        for create in &plan.creates {
            let error = self.slots.get(&create.slot).map(|slot| slot.reason.as_str()).filter(|text| !text.is_empty());
            tracing::info!(set = %desired.set.name, slot = create.slot, epoch = create.epoch, generation = create.generation, reason = %create.reason, error, "creating an instance");
            self.lane(create.generation).push(Queued::new(create.clone(), false));
        }
        self.start_creates(&desired).await?;
        self.start_removes(&desired, &plan.removes);
        self.start_list(&plan.resolves);
        // No act waits for this one.
        self.persist_progress(&plan).await?;
        if plan.wake_at.0 > 0 {
            self.turn_by(Some(Instant::now() + self.tools.clock.until(plan.wake_at)));
        }
        self.publish(Shown::of(&plan, &view.instances, &sight.networks, desired.set.generation, now));
        // As they are now: creates that nobody waits for any more were dropped since.
        let is_empty = view.instances.is_empty() && self.slots.values().all(|slot| slot.intent.is_none());
        Ok(desired.set.removing && is_empty && self.acts.is_empty())
    }

    /// What is being removed, or was and is still shown, is not there to be counted on.
    fn mark_leaving(&mut self, sight: &mut Sight) {
        let now = Instant::now();
        let shown: BTreeSet<&str> = sight.instances.iter().map(|instance| instance.id.as_str()).collect();
        self.leaving.retain(|id, leaving| match leaving {
            Leaving::UnderWay(_) => true,
            Leaving::Gone(until) => *until > now && shown.contains(id.as_str()),
            Leaving::Failed(_) => shown.contains(id.as_str()),
        });
        for instance in &mut sight.instances {
            if let Some(Leaving::UnderWay(_) | Leaving::Gone(_)) = self.leaving.get(&instance.id) {
                instance.phase = InstancePhase::Removing;
                instance.healthy = false;
            }
        }
        let until = self.leaving.values().filter_map(|leaving| match leaving {
            Leaving::Gone(until) => Some(*until),
            Leaving::UnderWay(_) | Leaving::Failed(_) => None,
        });
        self.turn_by(until.min());
    }

    fn turn_by(&mut self, at: Option<Instant>) {
        self.turn_at = match (self.turn_at, at) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }
}
