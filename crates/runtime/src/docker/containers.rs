//! Containers from create to remove.

use super::{
    bodies::EndpointSettings,
    call::Call,
    create::{Creation, creation},
    facts::Facts,
    fault::Fault,
    inspect::{Container, Summary},
    lines::JsonLines,
    reason,
    runtime::Docker,
    target::Target,
};
use crate::port::*;
use eru_types::{EngineId, ExitStatus, Labels, WorkloadName, name::excerpt};
use futures::{StreamExt, TryStreamExt, stream};
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::json;
use std::time::{Duration, Instant};

/// How many containers of a list are looked at at once: the daemon has locks of its own, more is not faster.
const INSPECTS_AT_ONCE: usize = 16;
/// How long a name may be taken by a container that is not there: a create that was begun before, by somebody who died.
const NAMED_WITHIN: Duration = Duration::from_secs(20);
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// How many of the last lines are searched for one of standard error.
const REASON_LINES: usize = 10;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Made {
    pub(super) id: String,
}

impl Docker {
    /// # Cost
    /// One round trip, one to look for networks that somebody made, and one for each network beyond the first. The first call
    /// to a daemon asks what it can.
    pub(super) async fn create_container(&self, request: &CreateRequest) -> Result<EngineId> {
        let begun = Instant::now();
        self.check_networks(request).await?;
        let target = Target::new(&["containers", "create"]).with("name", request.name.to_string());
        loop {
            let facts = self.facts().await?;
            let Creation { body, others } = creation(request, &facts, &self.options, self.host_address())?;
            let storage = request.resources.storage_limit.0;
            if storage > 0 && !facts.limits_storage {
                tracing::debug!(workload = %request.name, bytes = storage, "the storage driver enforces no limit");
            }
            match self.transport.json::<Made>(Call::post(target.clone()).json(&body)).await {
                Ok(made) => return self.made(request, made, &others).await,
                // It has the right file system, but without project quotas.
                Err(Fault::Refused { message, .. }) if facts.limits_storage && message.contains("storage-opt") => {
                    self.learn(Facts { limits_storage: false, ..(*facts).clone() });
                }
                Err(fault) if fault.says(StatusCode::CONFLICT, "is already in use by container") => {
                    if let Some(id) = self.made_before(request, &others).await? {
                        return Ok(id);
                    }
                    if begun.elapsed() > NAMED_WITHIN {
                        return Err(self.error(fault));
                    }
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
                Err(fault) if fault.says(StatusCode::NOT_FOUND, "No such image") => {
                    return Err(Error::NoImage(request.image.clone()));
                }
                Err(fault) => return Err(self.error(fault)),
            }
        }
    }

    /// A new container joins its other networks, or is no more: a bad request makes nothing.
    async fn made(
        &self,
        request: &CreateRequest,
        made: Made,
        others: &[(String, EndpointSettings)],
    ) -> Result<EngineId> {
        let id = self.engine_id(made.id)?;
        for (network, settings) in others {
            if let Err(error) = self.join(network, &id, settings).await {
                if let Err(left) = self.remove_container(&id, true).await {
                    tracing::warn!(workload = %request.name, error = %left, "a container that was not wanted is left");
                }
                return Err(error);
            }
        }
        Ok(id)
    }

    /// The container that has the name already; whoever made it may have died before it had joined all networks. `None` = the
    /// engine has given the name away, but shows nobody under it yet.
    async fn made_before(
        &self,
        request: &CreateRequest,
        others: &[(String, EndpointSettings)],
    ) -> Result<Option<EngineId>> {
        let found = match self.look(&request.name.to_string()).await {
            Err(fault) if fault.is(StatusCode::NOT_FOUND) => return Ok(None),
            other => other.map_err(|fault| self.error(fault))?,
        };
        let id = self.engine_id(found.id)?;
        let joined = found.network_settings.networks.unwrap_or_default();
        for (network, settings) in others.iter().filter(|(network, _)| !joined.contains_key(network)) {
            self.join(network, &id, settings).await?;
        }
        Ok(Some(id))
    }

    fn engine_id(&self, text: String) -> Result<EngineId> {
        EngineId::new(&text)
            .map_err(|_| self.error(Fault::Nonsense(format!("a container of the id \"{}\"", excerpt(&text)))))
    }

    pub(super) async fn start_container(&self, id: &EngineId) -> Result<()> {
        let call = Call::post(Target::new(&["containers", id.as_str(), "start"]));
        match self.transport.done(call).await {
            Ok(()) => Ok(()),
            Err(fault) if fault.says(StatusCode::NOT_FOUND, "No such container") => {
                Err(Error::NotFound(id.to_string()))
            }
            Err(Fault::Refused { message, .. }) => {
                let found = self.look(id.as_str()).await.map_err(self.error_of(id))?;
                let name = found.name.trim_start_matches('/').to_owned();
                Err(Error::Start { name, cause: reason::plain(&message, &found.rights) })
            }
            Err(fault) => Err(self.error(fault)),
        }
    }

    pub(super) async fn stop_container(&self, id: &EngineId, grace: Duration) -> Result<()> {
        // The engine counts in seconds; the time that was promised is not cut.
        let seconds = grace.as_secs() + u64::from(grace.subsec_nanos() > 0);
        let target = Target::new(&["containers", id.as_str(), "stop"]).with("t", seconds.to_string());
        let call = Call::post(target).longer(Duration::from_secs(seconds));
        self.transport.done(call).await.map_err(self.error_of(id))
    }

    pub(super) async fn remove_container(&self, id: &EngineId, force: bool) -> Result<()> {
        let target =
            Target::new(&["containers", id.as_str()]).with("v", "1").with("force", if force { "1" } else { "0" });
        match self.transport.done(Call::new(Method::DELETE, target)).await {
            Err(fault) if fault.says(StatusCode::CONFLICT, "already in progress") => self.removed(id).await,
            // In words that every version of the engine changes.
            Err(fault) if !force && fault.is(StatusCode::CONFLICT) => Err(Error::Running(id.clone())),
            other => other.map_err(self.error_of(id)),
        }
    }

    /// Waits for the end of a removal that somebody else began.
    async fn removed(&self, id: &EngineId) -> Result<()> {
        let target = Target::new(&["containers", id.as_str(), "wait"]).with("condition", "removed");
        match self.transport.done(Call::post(target)).await {
            // The wait ends with a removal that failed as well.
            Ok(()) => match self.look(id.as_str()).await {
                Err(fault) if fault.is(StatusCode::NOT_FOUND) => Ok(()),
                Err(fault) => Err(self.error(fault)),
                Ok(_) => Err(Error::Failed(format!("workload {id} is still there: its removal failed, try again"))),
            },
            Err(fault) if fault.is(StatusCode::NOT_FOUND) => Ok(()),
            Err(fault) => Err(self.error(fault)),
        }
    }

    /// # Cost
    /// One round trip; for one that ended badly by itself a second, for the last line of its standard error.
    pub(super) async fn inspect_container(&self, id: &EngineId) -> Result<Inspection> {
        let found = self.look(id.as_str()).await.map_err(self.error_of(id))?;
        self.inspection(&found).await.ok_or_else(|| Error::NotFound(id.to_string()))
    }

    /// Its description, by id or by name.
    pub(super) async fn look(&self, id: &str) -> Result<Container, Fault> {
        self.transport.json(Call::get(Target::new(&["containers", id, "json"]))).await
    }

    async fn inspection(&self, found: &Container) -> Option<Inspection> {
        let mut seen = found.inspection(self.host_address())?;
        if seen.reason.is_empty() && seen.exit.is_some_and(|exit| exit.code != 0 && exit.signal == 0) {
            seen.reason = self.last_error_line(found, REASON_LINES).await;
        }
        Some(seen)
    }

    pub(super) async fn find_container(&self, name: &WorkloadName) -> Result<Option<EngineId>> {
        match self.look(&name.to_string()).await {
            Ok(found) => self.engine_id(found.id).map(Some),
            Err(fault) if fault.is(StatusCode::NOT_FOUND) => Ok(None),
            Err(fault) => Err(self.error(fault)),
        }
    }

    /// # Cost
    /// One round trip for all, and one for each: how it ended and how often it was restarted only that one says.
    pub(super) async fn list_containers(&self, labels: &Labels) -> Result<Vec<Inspection>> {
        let wanted: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let target = Target::new(&["containers", "json"]).with("all", "1");
        let target =
            if wanted.is_empty() { target } else { target.with("filters", json!({"label": wanted}).to_string()) };
        let all: Vec<Summary> = self.transport.json(Call::get(target)).await.map_err(|fault| self.error(fault))?;
        stream::iter(all)
            .map(|summary| async move {
                match self.look(&summary.id).await {
                    Ok(found) => Ok(self.inspection(&found).await),
                    // It went while we were looking.
                    Err(fault) if fault.is(StatusCode::NOT_FOUND) => Ok(None),
                    // One whose files are broken, that is described in another way, or that the engine hangs on, hides no
                    // other one.
                    Err(fault @ (Fault::Refused { .. } | Fault::Nonsense(_) | Fault::Late(_))) => {
                        Ok(self.inspection(&summary.description(fault.to_string())).await)
                    }
                    Err(fault) => Err(self.error(fault)),
                }
            })
            .buffered(INSPECTS_AT_ONCE)
            .try_filter_map(async |seen| Ok(seen))
            .try_collect()
            .await
    }

    pub(super) async fn wait_container(&self, id: &EngineId) -> Result<ExitStatus> {
        loop {
            let target = Target::new(&["containers", id.as_str(), "wait"]).with("condition", "not-running");
            let answer = self.transport.open(Call::post(target)).await.map_err(self.error_of(id))?;
            // The head comes at once, the body with the end.
            let mut answer = JsonLines::new(answer.into_body());
            let _: Option<serde_json::Value> = answer.next().await.map_err(|fault| self.error(fault))?;
            let seen = self.inspect_container(id).await?;
            match (seen.state, seen.exit) {
                (_, Some(exit)) => return Ok(exit),
                (State::Created, None) => return Err(Error::Invalid(format!("workload {id} was never started"))),
                // Its policy started it again in between.
                (_, None) => {}
            }
        }
    }
}
