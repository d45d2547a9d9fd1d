//! The agent's standing with core: register, beat, leave.

use crate::{AgentOptions, report::Reporter, subject::Owner, vitals::Vitals};
use eru_api::agent::{BeatReply, BeatRequest, LeaveRequest, RegisterRequest};
use eru_client::{Backoff, Client, Error, Retry};
use eru_types::NodeName;
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;
use tonic::Code;

/// Waits between attempts to register; an unknown node may be added any moment.
const BACKOFF_FIRST: Duration = Duration::from_millis(100);
const BACKOFF_MOST: Duration = Duration::from_secs(2);
/// How often it is said again what is waited for.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(30);
/// First wait after a beat that was not answered; it doubles up to the beat's interval, so that a restarted core hears
/// from us at once.
const BEAT_BACKOFF_FIRST: Duration = Duration::from_millis(50);
/// Bounds of the interval that core may ask for.
const BEAT_INTERVAL_MIN: Duration = Duration::from_millis(50);
const BEAT_INTERVAL_MAX: Duration = Duration::from_secs(60);
/// How long the runtime may take to say that it is there; less where beats are faster.
const PING_TIMEOUT: Duration = Duration::from_secs(1);
/// How long the good-bye may take: the caller wants to end.
const LEAVE_DEADLINE: Duration = Duration::from_secs(2);
/// How long core may take to register us.
const REGISTER_DEADLINE: Duration = Duration::from_secs(10);

/// What core said when it took us for the agent of the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Registration {
    pub(crate) incarnation: i64,
    pub(crate) beat_interval: Duration,
    pub(crate) generation: i64,
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    Shutdown,
    Superseded,
}

/// Why the beats of one registration ended.
enum BeatsEnded {
    Superseded,
    /// Core does not know the registration any more.
    Unknown,
}

/// What is said while core cannot be registered with: what is new at once, and what is not now and then.
struct Wait {
    begun: Instant,
    told: String,
    told_at: Instant,
}

impl Wait {
    fn new() -> Self {
        let now = Instant::now();
        Self { begun: now, told: String::new(), told_at: now }
    }

    fn tell(&mut self, node: &NodeName, error: &Error) {
        let text = error.to_string();
        if text == self.told && self.told_at.elapsed() < PROGRESS_INTERVAL {
            return;
        }
        let waited_s = self.begun.elapsed().as_secs();
        if error.code() == Code::NotFound {
            tracing::warn!(%node, error = %text, waited_s, "waiting for the node to be added: eru-cli node add");
        } else {
            tracing::warn!(%node, error = %text, waited_s, "cannot register with core, trying again");
        }
        (self.told, self.told_at) = (text, Instant::now());
    }
}

/// See the module.
pub(crate) struct Session {
    options: AgentOptions,
    owner: Arc<Owner>,
    reporter: Arc<Reporter>,
    vitals: Arc<Vitals>,
    registration: watch::Sender<Option<Registration>>,
}

impl Session {
    pub(crate) fn new(options: &AgentOptions, owner: Arc<Owner>, reporter: Arc<Reporter>, vitals: Arc<Vitals>) -> Self {
        Self { options: options.clone(), owner, reporter, vitals, registration: watch::Sender::new(None) }
    }

    pub(crate) fn nodename(&self) -> &NodeName {
        &self.options.nodename
    }

    /// The current registration, and every later one.
    pub(crate) fn registrations(&self) -> watch::Receiver<Option<Registration>> {
        self.registration.subscribe()
    }

    /// Registers and beats until `stop`, or until another agent has taken over.
    pub(crate) async fn run(&self, stop: &CancellationToken) -> Ended {
        let all = async {
            loop {
                let registration = self.register().await;
                self.registration.send_replace(Some(registration));
                self.reporter.want_full(true);
                match self.beat_on(registration).await {
                    BeatsEnded::Superseded => return Ended::Superseded,
                    BeatsEnded::Unknown => drop(self.registration.send_replace(None)),
                }
            }
        };
        let ended = stop.run_until_cancelled(all).await.unwrap_or(Ended::Shutdown);
        if ended == Ended::Superseded {
            // The other one speaks for the node now.
            self.registration.send_replace(None);
        }
        ended
    }

    async fn register(&self) -> Registration {
        let AgentOptions { nodename, core, boot_id, version, agent_id, .. } = &self.options;
        let core = core.with_deadline(REGISTER_DEADLINE);
        let request = RegisterRequest {
            nodename: nodename.to_string(),
            boot_id: boot_id.clone(),
            version: version.clone(),
            agent_id: agent_id.clone(),
        };
        let mut backoff = Backoff::new(BACKOFF_FIRST, BACKOFF_MOST);
        let mut wait = Wait::new();
        loop {
            // Registering twice only costs an incarnation.
            let outcome = core.call(Retry::Idempotent, |route| {
                let request = request.clone();
                async move { route.agent().register(request).await }
            });
            match outcome.await {
                Ok(reply) => {
                    tracing::info!(node = %nodename, incarnation = reply.incarnation, "registered with core");
                    self.vitals.core_answered();
                    self.owner.learn(&reply.core_id);
                    let asked = Duration::from_millis(u64::try_from(reply.beat_interval_ms).unwrap_or(0));
                    return Registration {
                        incarnation: reply.incarnation,
                        beat_interval: asked.clamp(BEAT_INTERVAL_MIN, BEAT_INTERVAL_MAX),
                        generation: reply.generation,
                    };
                }
                Err(error) => {
                    wait.tell(nodename, &error);
                    self.vitals.core_failed(error.to_string());
                }
            }
            sleep(backoff.next_wait()).await;
        }
    }

    async fn beat_on(&self, registration: Registration) -> BeatsEnded {
        let Registration { beat_interval, mut generation, .. } = registration;
        let mut backoff = Backoff::new(BEAT_BACKOFF_FIRST, beat_interval);
        let mut next = Instant::now();
        let mut was_silent = false;
        let mut has_runtime_lease = false;
        loop {
            tokio::select! {
                () = sleep_until(next) => {}
                // A report was refused: whether we are still the agent is asked right now.
                () = self.reporter.doubted() => {}
            }
            let begun = Instant::now();
            match self.beat(registration, &mut has_runtime_lease).await {
                Ok(reply) if reply.superseded => return BeatsEnded::Superseded,
                Ok(reply) => {
                    self.vitals.beats.up();
                    self.vitals.core_answered();
                    // After a silence core may have lost the newest of what it was told, or the node may have been lost.
                    if was_silent || reply.generation != generation {
                        self.reporter.want_full(false);
                    } else if reply.report_all {
                        self.reporter.want_full_once();
                    }
                    if was_silent {
                        tracing::info!(node = %self.options.nodename, "core answers again");
                    }
                    generation = reply.generation;
                    was_silent = false;
                    backoff.reset();
                    next = begun + beat_interval;
                }
                Err(error) if error.is_transient() => {
                    self.vitals.beats_failed.up();
                    self.vitals.core_failed(error.to_string());
                    if !was_silent {
                        tracing::warn!(node = %self.options.nodename, %error, "core does not hear the beat");
                    }
                    was_silent = true;
                    next = Instant::now() + backoff.next_wait();
                }
                Err(error) => {
                    self.vitals.beats_failed.up();
                    self.vitals.core_failed(error.to_string());
                    tracing::warn!(node = %self.options.nodename, %error, "beat refused, registering again");
                    return BeatsEnded::Unknown;
                }
            }
        }
    }

    /// `has_runtime_lease`: core has been asked to do without the runtime for a while.
    async fn beat(&self, registration: Registration, has_runtime_lease: &mut bool) -> Result<BeatReply, Error> {
        let interval = registration.beat_interval;
        // An engine that hangs must not stop the beat: it is what the beat says.
        let patience = (interval / 2).min(PING_TIMEOUT);
        let ping = match timeout(patience, self.options.runtime.ping()).await {
            Ok(answer) => answer.map_err(|error| error.to_string()),
            Err(_) => Err(format!("no answer within {} ms", patience.as_millis())),
        };
        let runtime_ok = ping.is_ok();
        match ping {
            Ok(()) => self.vitals.runtime_answered(),
            Err(complaint) => self.vitals.runtime_failed(complaint),
        }
        let request = BeatRequest {
            nodename: self.options.nodename.to_string(),
            incarnation: registration.incarnation,
            runtime_ok,
            lease_ttl_ms: if runtime_ok || *has_runtime_lease { 0 } else { self.runtime_lease_ms() },
        };
        // A lost beat is followed by the next one; waiting longer would only make it late.
        let core = self.options.core.with_deadline(interval.max(Duration::from_secs(1)));
        let reply = core.call(Retry::Idempotent, |route| {
            let request = request.clone();
            async move { route.agent().beat(request).await }
        });
        let reply = reply.await?;
        *has_runtime_lease = !runtime_ok;
        Ok(reply)
    }

    /// What is left of the time that the node is kept without its runtime; 0 = nothing.
    fn runtime_lease_ms(&self) -> i64 {
        let runtime = self.vitals.runtime();
        let silent = runtime.last_answer.unwrap_or(runtime.since).elapsed();
        i64::try_from(self.options.runtime_lease.saturating_sub(silent).as_millis()).unwrap_or(0)
    }

    /// Tells core that this agent ends, so that the node keeps its lease for a while.
    pub(crate) async fn leave(&self) {
        let Some(Registration { incarnation, .. }) = *self.registration.borrow() else { return };
        let lease_ttl_ms = i64::try_from(self.options.leave_lease.as_millis()).unwrap_or(i64::MAX);
        let request = LeaveRequest { nodename: self.options.nodename.to_string(), incarnation, lease_ttl_ms };
        let core: Client = self.options.core.with_deadline(LEAVE_DEADLINE);
        let outcome = core.call(Retry::Idempotent, |route| {
            let request = request.clone();
            async move { route.agent().leave(request).await }
        });
        if let Err(error) = outcome.await {
            tracing::warn!(node = %self.options.nodename, %error, "could not say good-bye to core");
        }
    }
}
