//! The loop around the judge: gathers facts, asks engines, writes verdicts.

use super::{
    compact::Compaction,
    holder::Holder,
    judge::{Facts, Judge, Judgement, Times},
};
use crate::{
    cache::NodeView,
    cluster::{Cluster, clock::now_ms},
    keys,
    record::{self, Verdict, VerdictRecord, Versioned},
};
use eru_kv::{Durability, Guard, Op, Result, Txn};
use eru_types::NodeName;
use futures::{StreamExt, stream};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Looks within one lease: a verdict is late by one look at most.
const LOOKS_PER_LEASE: u32 = 24;
/// Looks that may be left out before it counts as a gap, half a lease: a machine that stalls so long may have kept agents
/// waiting too.
const GAP_LOOKS: u32 = 12;
/// Part of a lease that an engine gets to show that its machine lives.
const PINGS_PER_LEASE: u32 = 8;
/// Engines that are asked at a time.
const PINGS_AT_A_TIME: usize = 64;
/// How long one round trip to the store may take before the store counts as stalled.
const STORE_STALL: Duration = Duration::from_secs(2);

/// Judges the nodes while this core holds the right to.
pub(crate) struct Liveness {
    cluster: Arc<Cluster>,
    holder: Holder,
    judge: Judge,
    compaction: Compaction,
    times: Times,
    look: Duration,
    started: Instant,
    braked: bool,
    failing: bool,
}

impl Liveness {
    pub(crate) fn new(cluster: Arc<Cluster>, alone: bool) -> Self {
        let times = cluster.settings.liveness;
        let holder = Holder::new(cluster.kv.clone(), cluster.instance.clone(), times.holder, alone);
        Self {
            cluster,
            holder,
            judge: Judge::default(),
            compaction: Compaction::default(),
            times: Times::of(times.lease),
            look: times.lease / LOOKS_PER_LEASE,
            started: Instant::now(),
            braked: false,
            failing: false,
        }
    }

    /// Works until `shutdown`.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        let mut last_look: Option<Instant> = None;
        while !shutdown.is_cancelled() {
            let looked = Instant::now();
            // A gap is told by the time between two looks, whatever held them up: the scheduler, the store, a suspended machine.
            let gap = last_look.is_none_or(|last| looked - last > self.look * GAP_LOOKS);
            last_look = match self.turn(gap).await {
                Ok(held) => {
                    self.failing = false;
                    held.then_some(looked)
                }
                Err(error) => {
                    if !self.failing {
                        tracing::warn!(%error, "liveness: the store does not do as asked; nobody is judged");
                    }
                    self.failing = true;
                    None
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(self.look) => {}
            }
        }
        self.holder.release().await;
    }

    /// One look. Answers whether the right to judge is held, so that the watch has no gap.
    async fn turn(&mut self, gap: bool) -> Result<bool> {
        let asked = Instant::now();
        if !self.holder.hold().await? {
            return Ok(false);
        }
        let now = self.started.elapsed();
        if gap || asked.elapsed() > STORE_STALL {
            self.judge.begin(now);
        }
        let nodes = self.cluster.cache.nodes(None);
        let facts: Vec<Facts> = nodes.iter().map(|node| facts(node)).collect();
        let judgement = self.judge.judge(now, &facts, self.times);
        self.show_brake(&judgement);
        if !judgement.due.is_empty() || !judgement.back.is_empty() {
            // Silence in the cache proves nothing while the cache is behind the store.
            self.cluster.cache.linearizable().await?;
            if asked.elapsed() > STORE_STALL {
                return Ok(false);
            }
            for node in &judgement.back {
                self.write(node, Verdict::Fine, "its agent is back").await?;
            }
            self.judge_due(judgement.due, now).await?;
        }
        if let Some(old) = self.compaction.note(now, self.cluster.cache.revision()) {
            self.cluster.kv.compact(old).await?;
            tracing::debug!(revision = %old, "history compacted");
        }
        Ok(true)
    }

    fn show_brake(&mut self, judgement: &Judgement) {
        let (silent, watched) = (judgement.silent, judgement.watched);
        if judgement.braked && !self.braked {
            tracing::error!(
                silent,
                watched,
                "most nodes are silent at once: none of them is declared lost until fewer are"
            );
        } else if !judgement.braked && self.braked {
            tracing::info!(silent, watched, "nodes are judged again");
        }
        self.braked = judgement.braked;
    }

    /// Asks the engines of those who are due, and writes what follows.
    async fn judge_due(&mut self, due: Vec<NodeName>, now: Duration) -> Result<()> {
        let cluster = self.cluster.clone();
        let answers: Vec<(NodeName, bool)> = stream::iter(due)
            .map(|node| {
                let cluster = cluster.clone();
                async move {
                    let vouched = vouches(&cluster, &node).await;
                    (node, vouched)
                }
            })
            .buffer_unordered(PINGS_AT_A_TIME)
            .collect()
            .await;
        for (node, vouched) in answers {
            self.judge.judged(&node, now);
            if vouched {
                self.write(&node, Verdict::Unwatched, "no agent reports, but its engine answers").await?;
            } else {
                self.write(&node, Verdict::Lost, "its lease ran out and its engine does not answer").await?;
            }
        }
        Ok(())
    }

    /// Writes a verdict, if it is a change, the facts are still those that it follows from, and the right is still held.
    async fn write(&self, node: &NodeName, verdict: Verdict, reason: &str) -> Result<()> {
        let Some(view) = self.cluster.cache.node(node) else { return Ok(()) };
        let alive = view.alive.is_some();
        if view.verdict.verdict == verdict || alive != (verdict == Verdict::Fine) {
            return Ok(());
        }
        let generation = view.verdict.generation + i64::from(verdict == Verdict::Lost);
        let record = VerdictRecord { verdict, generation, at_ms: now_ms(), reason: reason.into() };
        let life = if alive { Guard::Exists(keys::alive(node)) } else { Guard::Absent(keys::alive(node)) };
        let txn = Txn {
            guards: vec![
                self.holder.proof(),
                Guard::Exists(keys::node(node)),
                Guard::ModRevision(keys::verdict(node), view.verdict_revision),
                life,
            ],
            then: vec![Op::put(keys::verdict(node), record::encode(&Versioned::new(record)))],
            or_else: vec![],
        };
        if self.cluster.kv.txn(txn, Durability::Durable).await?.succeeded {
            let workloads = view.placements_len;
            match verdict {
                Verdict::Fine => tracing::info!(node = %node, reason, "node is back"),
                Verdict::Unwatched => tracing::error!(node = %node, workloads, reason, "node is unwatched"),
                Verdict::Lost => tracing::error!(node = %node, workloads, generation, reason, "node is lost"),
            }
        }
        // Otherwise somebody was faster, and the next look sees what they wrote.
        Ok(())
    }
}

fn facts(node: &NodeView) -> Facts {
    Facts {
        node: node.name().clone(),
        alive: node.alive.is_some(),
        known: node.agent.is_some(),
        verdict: node.verdict.verdict,
    }
}

/// Whether the engine of a node shows that its machine lives.
async fn vouches(cluster: &Cluster, node: &NodeName) -> bool {
    let Some(view) = cluster.cache.node(node) else { return false };
    match cluster.engines.open(&view.record.record) {
        Ok(engine) => engine.vouches(cluster.settings.liveness.lease / PINGS_PER_LEASE).await,
        Err(error) => {
            tracing::warn!(node = %node, %error, "the engine of a silent node cannot be asked");
            // Not being able to ask is no proof of death.
            true
        }
    }
}
