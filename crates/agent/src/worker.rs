//! The one who speaks for a workload: looks, probes and reports, in order.

use crate::{
    AgentOptions,
    clock::now_ms,
    health::{Schedule, probe},
    mailbox::{Letter, Mailbox, What},
    report::Reporter,
    subject::{self, Owner, Run},
    vitals::Vitals,
};
use eru_api::agent::WorkloadReport;
use eru_client::Backoff;
use eru_runtime::{Error as RuntimeError, Inspection, Runtime, State};
use eru_types::{EngineId, ExitStatus, HealthCheck, limits::LAST_LINES_MAX};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_util::task::task_tracker::TaskTrackerToken;

/// Probes that run at once: each is a socket or two, and a node has a thousand sockets by default.
const PROBES_MAX: usize = 256;
/// Looks that are under way at once: each is a call or two, and an engine has a few threads. One that hangs holds only its own.
const LOOKS_MAX: usize = 16;
/// How long the last lines may hold up the report of a death.
const LAST_LINES_TIMEOUT: Duration = Duration::from_millis(100);
/// Waits between looks at a workload that the runtime does not answer for.
const BACKOFF_FIRST: Duration = Duration::from_millis(100);
const BACKOFF_MOST: Duration = Duration::from_secs(2);

/// What all workers share.
pub(crate) struct Workshop {
    pub(crate) owner: Arc<Owner>,
    pub(crate) runtime: Arc<dyn Runtime>,
    pub(crate) reporter: Arc<Reporter>,
    pub(crate) vitals: Arc<Vitals>,
    call_timeout: Duration,
    check_interval: Duration,
    check_timeout: Duration,
    ttl_s: i64,
    probes: Semaphore,
    looks: Semaphore,
}

impl Workshop {
    pub(crate) fn new(options: &AgentOptions, owner: Arc<Owner>, reporter: Arc<Reporter>, vitals: Arc<Vitals>) -> Self {
        Self {
            owner,
            runtime: options.runtime.clone(),
            reporter,
            vitals,
            call_timeout: options.call_timeout,
            check_interval: options.check_interval,
            check_timeout: options.check_timeout,
            ttl_s: options.ttl_s(),
            probes: Semaphore::new(PROBES_MAX),
            looks: Semaphore::new(LOOKS_MAX),
        }
    }

    /// Takes in what a list says of a workload of ours, unless its worker has spoken of it.
    pub(crate) fn listed(&self, inspection: &Inspection) {
        if self.reporter.knows(inspection.id.as_str()) {
            return;
        }
        let healthy = subject::health_check(inspection).is_empty();
        let report = subject::report(inspection, healthy, "", self.ttl_s);
        self.reporter.list(WorkloadReport { observed_at_ms: now_ms(), ..report });
    }
}

/// What is known of the workload.
struct Life {
    inspection: Inspection,
    run: Option<Run>,
    check: HealthCheck,
    schedule: Schedule,
    healthy: bool,
    /// Why the last probe failed.
    reason: String,
    last_lines: Vec<String>,
    /// When a report with a time to live is repeated.
    renew_at: Instant,
    /// It was found running, and what its health is nobody knows yet: nothing is said of it before the first probe, nor of
    /// everything in the rounds that wait for it. Core knows it as healthy, perhaps from the agent before this one.
    unproven: Option<Vec<TaskTrackerToken>>,
}

/// Works for one workload until it is gone or turns out not to be ours; answers its id.
pub(crate) async fn run(workshop: Arc<Workshop>, id: EngineId, mailbox: Arc<Mailbox>) -> EngineId {
    let mut life = None;
    while let Some(next) = turn(&workshop, &id, &mailbox, life).await {
        life = Some(next);
    }
    id
}

/// One letter or one probe.
async fn turn(workshop: &Workshop, id: &EngineId, mailbox: &Mailbox, life: Option<Life>) -> Option<Life> {
    let Some(mut life) = life else {
        let letter = mailbox.take().await;
        return look(workshop, id, mailbox, letter, None).await;
    };
    tokio::select! {
        biased;
        letter = mailbox.take() => look(workshop, id, mailbox, letter, Some(life)).await,
        verdict = life.probe(workshop) => {
            life.judge(workshop, verdict);
            Some(life)
        }
        () = life.renewal(workshop) => {
            life.renew_at = Instant::now() + workshop.check_interval;
            workshop.reporter.renew(life.report(workshop));
            Some(life)
        }
    }
}

async fn look(
    workshop: &Workshop,
    id: &EngineId,
    mailbox: &Mailbox,
    letter: Letter,
    mut life: Option<Life>,
) -> Option<Life> {
    let Letter { what, died, rounds } = letter;
    if let (Some(exit), Some(life)) = (died, &mut life) {
        life.died(workshop, exit);
    }
    let is_found = life.is_none() && matches!(what, What::Listed(_));
    let inspection = match what {
        What::Listed(inspection) => Some(*inspection),
        What::Look => inspect(workshop, id, mailbox, &mut life).await,
    };
    match (inspection, life) {
        (None, Some(life)) => {
            workshop.reporter.push(gone(&life));
            None
        }
        (Some(inspection), life) if workshop.owner.owns(&inspection) => {
            let mut life = Life::seen(workshop, inspection, life, is_found).await;
            if let Some(waiting) = &mut life.unproven {
                waiting.extend(rounds);
            }
            Some(life)
        }
        (Some(_), _) => {
            // Another's, who reports it himself: nothing is said of it, not even that it is gone.
            workshop.reporter.forget(id.as_str());
            None
        }
        (None, None) => {
            // It was in a list at most, which is all that there is to say of it.
            workshop.reporter.gone(id.as_str(), now_ms());
            None
        }
    }
}

/// Asks the runtime until it answers; nothing when it does not know the workload. An end that is told of meanwhile is
/// reported at once.
async fn inspect(workshop: &Workshop, id: &EngineId, mailbox: &Mailbox, life: &mut Option<Life>) -> Option<Inspection> {
    let mut backoff = Backoff::new(BACKOFF_FIRST, BACKOFF_MOST);
    loop {
        let permit = workshop.looks.acquire().await.expect("the semaphore is never closed");
        let answer = timeout(workshop.call_timeout, workshop.runtime.inspect(id)).await;
        drop(permit);
        match answer {
            Ok(Ok(inspection)) => return Some(inspection),
            Ok(Err(RuntimeError::NotFound(_))) => return None,
            Ok(Err(error)) => tracing::debug!(workload = %id, %error, "cannot inspect, trying again"),
            Err(_) => tracing::debug!(workload = %id, "the runtime is silent, trying again"),
        }
        tokio::select! {
            () = sleep(backoff.next_bound()) => {}
            letter = mailbox.take() => {
                if let (Some(exit), Some(life)) = (letter.died, life.as_mut()) {
                    life.died(workshop, exit);
                }
                // What a list said just now is as good.
                if let What::Listed(inspection) = letter.what {
                    return Some(*inspection);
                }
            }
        }
    }
}

fn gone(life: &Life) -> WorkloadReport {
    let report = subject::report(&life.inspection, false, "it is gone from the runtime", 0);
    WorkloadReport {
        running: false,
        networks: Default::default(),
        gone: true,
        unstarted: false,
        last_lines: life.last_lines.clone(),
        observed_at_ms: now_ms(),
        ..report
    }
}

impl Life {
    /// Takes in what the runtime says and reports it at once, unless it `is_found` with a health check: then with its health.
    async fn seen(workshop: &Workshop, mut inspection: Inspection, before: Option<Life>, is_found: bool) -> Self {
        if let Some(before) = before.as_ref().filter(|before| before.knows_more_than(&inspection)) {
            inspection = before.inspection.clone();
        }
        if let Some(told) = before.as_ref().and_then(|before| before.end_of(&inspection))
            && let Some(exit) = &mut inspection.exit
        {
            exit.at_ms = told.at_ms;
        }
        let run = Run::of(&inspection);
        let mut life = match before {
            // An end that is not the one we knew is the end of a run that nobody saw.
            Some(before) if before.run == run && before.inspection.exit == inspection.exit => {
                Life { inspection, ..before }
            }
            _ => {
                let check = subject::health_check(&inspection);
                // Without a check it is healthy while it runs; with one that is found out.
                let healthy = run.is_some() && check.is_empty();
                Life {
                    schedule: Schedule::new(workshop.check_interval, rand::random(), Instant::now()),
                    last_lines: Vec::new(),
                    reason: String::new(),
                    renew_at: Instant::now() + workshop.check_interval,
                    unproven: (is_found && run.is_some() && !check.is_empty()).then(Vec::new),
                    inspection,
                    run,
                    check,
                    healthy,
                }
            }
        };
        match life.inspection.state {
            State::Running if life.unproven.is_some() => {}
            State::Created => workshop.reporter.learn(life.report(workshop)),
            State::Running => {
                life.last_lines.clear();
                workshop.reporter.push(life.report(workshop));
            }
            State::Exited => {
                life.unproven = None;
                if life.last_lines.is_empty() {
                    let _permit = workshop.looks.acquire().await.expect("the semaphore is never closed");
                    let lines = workshop.runtime.last_lines(&life.inspection.id, LAST_LINES_MAX);
                    let lines = timeout(LAST_LINES_TIMEOUT, lines).await;
                    life.last_lines = subject::last_lines(lines.ok().and_then(Result::ok).unwrap_or_default());
                }
                workshop.reporter.push(life.report(workshop));
            }
        }
        life
    }

    /// Whether `inspection` adds nothing: of a workload that the engine hangs on, a list has the state alone.
    fn knows_more_than(&self, inspection: &Inspection) -> bool {
        let is_bare = inspection.started_at_ms == 0 && inspection.pid == 0;
        is_bare && self.inspection.started_at_ms != 0 && self.inspection.state == inspection.state
    }

    /// The end that was reported of the run that the inspection shows ended.
    fn end_of(&self, inspection: &Inspection) -> Option<ExitStatus> {
        self.inspection.exit.filter(|_| self.run.is_none() && self.inspection.started_at_ms == inspection.started_at_ms)
    }

    /// The runtime says that it ended, and with what: reported at once, for it may take long until it can be inspected. All
    /// else that there is to say of the end comes with the look that follows.
    fn died(&mut self, workshop: &Workshop, exit: ExitStatus) {
        // An event that comes again may be of a run before this one.
        if self.run.is_none() || exit.at_ms < self.inspection.started_at_ms {
            return;
        }
        self.run = None;
        self.inspection.state = State::Exited;
        self.inspection.exit = Some(exit);
        self.healthy = false;
        self.unproven = None;
        self.reason.clear();
        workshop.reporter.push(self.report(workshop));
    }

    /// Waits until a probe is due and makes it; never ends when there is nothing to probe.
    async fn probe(&self, workshop: &Workshop) -> Result<(), String> {
        if self.run.is_none() || self.check.is_empty() {
            return std::future::pending().await;
        }
        sleep_until(self.schedule.due()).await;
        let Some(address) = self.inspection.probe_address else {
            return Err("it has no address that could be probed".into());
        };
        let _permit = workshop.probes.acquire().await.expect("the semaphore is never closed");
        probe(address, &self.check, workshop.check_timeout).await
    }

    /// Waits until the report has to be repeated; never ends when it counts for ever.
    async fn renewal(&self, workshop: &Workshop) {
        if workshop.ttl_s == 0 { std::future::pending().await } else { sleep_until(self.renew_at).await }
    }

    fn judge(&mut self, workshop: &Workshop, verdict: Result<(), String>) {
        workshop.vitals.probed(verdict.is_ok());
        self.schedule.probed(verdict.is_ok(), Instant::now());
        self.healthy = verdict.is_ok();
        self.reason = verdict.err().unwrap_or_default();
        workshop.reporter.push(self.report(workshop));
        self.unproven = None;
    }

    fn report(&self, workshop: &Workshop) -> WorkloadReport {
        let report = subject::report(&self.inspection, self.healthy, &self.reason, workshop.ttl_s);
        WorkloadReport { last_lines: self.last_lines.clone(), observed_at_ms: now_ms(), ..report }
    }
}
