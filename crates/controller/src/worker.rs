//! The loop of one set: woken by whatever concerns it, it reads all of it, asks the reconcile function, and carries out
//! the answer.
//!
//! Acts run beside the loop, so that a slow one holds nothing up. Until the stream shows what an act did, the loop knows
//! it by other means: a create by its open intent, a removal by `leaving`.

mod pause;
mod settle;
mod start;

use crate::Error;
use crate::act::{Actor, Outcome};
use crate::clock::Clock;
use crate::observe::{Observer, Sight};
use crate::record::ProgressRecord;
use crate::shown::{Desired, Shown};
use crate::store::Store;
use eru_kv::Durability;
use eru_reconcile::{Create, FAILURE_DELAY_MAX, InstancePhase, Plan, Resolve, Slot, SlowStart, View, reconcile};
use pause::Pause;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Creates of one set under way at once: enough to keep a core busy, few enough to stop early.
const CREATES_MAX: usize = 16;
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
    queue: VecDeque<Queued>,
    creating: BTreeSet<(u32, u64)>,
    pace: SlowStart,
    pause: Pause,
    leaving: HashMap<String, Leaving>,
    /// Workloads that were removed since the set is being removed.
    removed: Vec<String>,
    listing: bool,
    list_pause: Pause,
    /// The earliest time at which something of the above wants a turn.
    turn_at: Option<Instant>,
}

/// A create that is decided and on record, and waits to be sent.
struct Queued {
    create: Create,
    /// It may have been sent before, so that it may have happened.
    was_sent: bool,
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
    Removed(String, Outcome),
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
            queue: VecDeque::new(),
            creating: BTreeSet::new(),
            pace: SlowStart::new(CREATES_MAX),
            pause: Pause::new(),
            leaving: HashMap::new(),
            removed: Vec::new(),
            listing: false,
            list_pause: Pause::new(),
            turn_at: None,
        }
    }

    /// Runs until the set is removed or shutdown.
    ///
    /// # Errors
    /// [`Error::Deposed`], and what a retry does not cure.
    pub async fn run(mut self, shutdown: CancellationToken) -> Result<Ended, Error> {
        let ended = shutdown.run_until_cancelled(self.work()).await;
        // What is under way is told apart by its op id when the next worker asks again.
        self.acts.shutdown().await;
        self.tools.observer.unsubscribe(&self.uid);
        ended.unwrap_or(Ok(Ended::Stopped))
    }

    async fn work(&mut self) -> Result<Ended, Error> {
        self.remember().await?;
        let mut store_pause = Pause::new();
        loop {
            self.turn_at = Some(Instant::now() + TURN_EVERY);
            match self.turn().await {
                Ok(true) => return Ok(Ended::Removed(std::mem::take(&mut self.removed))),
                Ok(false) => store_pause.succeeded(),
                Err(Error::Store(error)) => {
                    tracing::warn!(set = %self.tools.desired.borrow().set.name, %error, "the controller's store failed");
                    store_pause.failed();
                    self.turn_by(store_pause.pending());
                }
                Err(error) => return Err(error),
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

    /// Reads what is stored. Creates that were open are sent again: core answers with what they made.
    async fn remember(&mut self) -> Result<(), Error> {
        let mut pause = Pause::new();
        let (slots, progress) = loop {
            match self.tools.store.load_slots(&self.uid).await {
                Ok(loaded) => break loaded,
                Err(error) => {
                    tracing::warn!(%error, "the slots of a set cannot be read");
                    pause.failed();
                    tokio::time::sleep_until(pause.pending().unwrap_or_else(Instant::now)).await;
                }
            }
        };
        self.progress = progress;
        let now = self.tools.clock.now();
        for mut slot in slots {
            // The system's clock may have been set back in between.
            slot.retry_at = slot.retry_at.min(now + FAILURE_DELAY_MAX);
            if let Some(intent) = &mut slot.intent {
                intent.sent_at = now;
                let create = Create {
                    slot: slot.slot,
                    epoch: intent.epoch,
                    generation: intent.generation,
                    op_id: intent.op_id.clone(),
                    reason: eru_reconcile::CreateReason::New,
                };
                self.queue.push_back(Queued { create, was_sent: true });
            }
            self.slots.insert(slot.slot, slot);
        }
        Ok(())
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
        let plan = reconcile(&desired.to_set(self.progress.stable_generation), &view, now);
        self.persist(&plan).await?;
        for create in &plan.creates {
            tracing::info!(set = %desired.set.name, slot = create.slot, epoch = create.epoch, generation = create.generation, reason = %create.reason, "creating an instance");
            self.queue.push_back(Queued { create: create.clone(), was_sent: false });
        }
        self.start_creates(&desired).await?;
        self.start_removes(&desired, plan.removes.clone());
        self.start_list(&plan.resolves);
        if plan.wake_at.0 > 0 {
            self.turn_by(Some(Instant::now() + self.tools.clock.until(plan.wake_at)));
        }
        self.publish(Shown::of(&plan, &view.instances, &sight.networks, now));
        let is_empty = view.instances.is_empty() && plan.slots.iter().all(|slot| slot.intent.is_none());
        Ok(desired.set.removing && is_empty && self.acts.is_empty())
    }

    /// Stores what the plan remembers. A create must be on disk before it is sent; the rest may follow within moments.
    async fn persist(&mut self, plan: &Plan) -> Result<(), Error> {
        let durability = if plan.creates.is_empty() { Durability::Observed } else { Durability::Durable };
        let changed: Vec<&Slot> = plan.slots.iter().filter(|slot| self.slots.get(&slot.slot) != Some(slot)).collect();
        self.tools.store.put_slots(&self.uid, &changed, durability).await?;
        for slot in changed {
            self.slots.insert(slot.slot, slot.clone());
        }
        if plan.stable_generation != self.progress.stable_generation {
            let progress =
                ProgressRecord { stable_generation: plan.stable_generation, other: self.progress.other.clone() };
            self.tools.store.put_progress(&self.uid, &progress).await?;
            self.progress = progress;
        }
        Ok(())
    }

    async fn put_slot(&mut self, slot: Slot) -> Result<(), Error> {
        self.tools.store.put_slots(&self.uid, &[&slot], Durability::Observed).await?;
        self.slots.insert(slot.slot, slot);
        Ok(())
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

    fn publish_blind(&self, desired: &Desired, problem: String) {
        let mut shown = (**self.tools.shown.borrow()).clone();
        if shown.status.phase.is_empty() {
            shown = Shown::nothing_seen(desired.set.count, String::new());
        }
        shown.status.want = i32::try_from(desired.set.count).unwrap_or(i32::MAX);
        shown.status.message = format!("nothing is done while the core is not heard: {problem}");
        shown.status.updated_at_ms = self.tools.clock.now().0;
        self.publish(shown);
    }

    fn publish(&self, shown: Shown) {
        let is_news = self.tools.shown.send_if_modified(|known| {
            let is_news = !known.says_the_same_as(&shown);
            if is_news {
                *known = Arc::new(shown);
            }
            is_news
        });
        if is_news {
            self.tools.version.send_modify(|version| *version += 1);
        }
    }
}
