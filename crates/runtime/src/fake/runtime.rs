//! The port, over the engine's records.

use super::{
    endpoint::Operation,
    engine::Fake,
    files, images, output,
    script::{Script, Step},
    session,
};
use crate::{inside::check_path, port::*, restart::RestartPolicy};
use async_trait::async_trait;
use bytes::Bytes;
use eru_types::{EngineId, Labels, WorkloadName};
use futures::stream::BoxStream;
use std::time::Duration;

const SIGKILL: i32 = 9;
const SIGTERM: i32 = 15;

#[async_trait]
impl Runtime for Fake {
    fn kind(&self) -> RuntimeKind {
        RuntimeKind::Fake
    }

    async fn info(&self) -> Result<Info> {
        self.enter(Operation::Ping).await?;
        Ok(self.inner.lock().info())
    }

    async fn ping(&self) -> Result<()> {
        self.enter(Operation::Ping).await
    }

    async fn create(&self, request: &CreateRequest) -> Result<EngineId> {
        self.enter(Operation::Create).await?;
        if request.image.is_empty() && request.command.is_empty() {
            return Err(Error::Invalid(format!("workload {} has neither image nor command", request.name)));
        }
        Script::parse(&request.command).map_err(Error::Invalid)?;
        request.restart.parse::<RestartPolicy>().map_err(|e| Error::Invalid(e.to_string()))?;
        self.insert(request)
    }

    async fn start(&self, id: &EngineId) -> Result<()> {
        self.enter(Operation::Start).await?;
        self.run(id)
    }

    async fn stop(&self, id: &EngineId, grace: Duration) -> Result<()> {
        self.enter(Operation::Stop).await?;
        let ignores_term = {
            let inner = self.inner.lock();
            let record = inner.records.get(id).ok_or_else(|| Error::NotFound(id.to_string()))?;
            let script = Script::parse(&record.request.command).unwrap_or_default();
            record.state == State::Running && script.ignores_term
        };
        if ignores_term {
            tokio::time::sleep(grace).await;
        }
        self.end(id, if ignores_term { SIGKILL } else { SIGTERM })
    }

    async fn remove(&self, id: &EngineId, force: bool) -> Result<()> {
        self.enter(Operation::Remove).await?;
        let state = self.inner.lock().records.get(id).map(|r| r.state);
        match state {
            None => return Err(Error::NotFound(id.to_string())),
            Some(State::Running) if !force => return Err(Error::Running(id.clone())),
            Some(State::Running) => self.end(id, SIGKILL)?,
            Some(_) => {}
        }
        self.take(id)
    }

    async fn inspect(&self, id: &EngineId) -> Result<Inspection> {
        self.enter(Operation::Inspect).await?;
        let inner = self.inner.lock();
        inner.records.get(id).map(|r| r.inspection()).ok_or_else(|| Error::NotFound(id.to_string()))
    }

    async fn find(&self, name: &WorkloadName) -> Result<Option<EngineId>> {
        self.enter(Operation::Inspect).await?;
        Ok(self.inner.lock().names.get(name).cloned())
    }

    async fn list(&self, labels: &Labels) -> Result<Vec<Inspection>> {
        self.enter(Operation::Inspect).await?;
        let inner = self.inner.lock();
        let matching = inner.records.values().filter(|r| r.request.labels.contains_all(labels));
        Ok(matching.map(|r| r.inspection()).collect())
    }

    async fn events(&self) -> Result<BoxStream<'static, Event>> {
        let inner = self.inner.lock();
        if inner.is_down() {
            return Err(inner.unavailable());
        }
        Ok(self.events.subscribe())
    }

    async fn logs(&self, id: &EngineId, options: LogOptions) -> Result<BoxStream<'static, Result<LogLine>>> {
        self.enter(Operation::Inspect).await?;
        // Subscribed before the first look, so that nothing falls between the two.
        let changes = self.changes.subscribe();
        if !self.inner.lock().records.contains_key(id) {
            return Err(Error::NotFound(id.to_string()));
        }
        Ok(output::read(self.inner.clone(), changes, id.clone(), options, false))
    }

    async fn last_lines(&self, id: &EngineId, lines: usize) -> Result<Vec<String>> {
        self.enter(Operation::Inspect).await?;
        let inner = self.inner.lock();
        let record = inner.records.get(id).ok_or_else(|| Error::NotFound(id.to_string()))?;
        let skipped = record.lines.len().saturating_sub(lines);
        Ok(record.lines.iter().skip(skipped).map(|l| String::from_utf8_lossy(&l.data).into_owned()).collect())
    }

    async fn send_files(&self, id: &EngineId, files: &[SentFile]) -> Result<()> {
        self.enter(Operation::Files).await?;
        let mut inner = self.inner.lock();
        let record = inner.records.get_mut(id).ok_or_else(|| Error::NotFound(id.to_string()))?;
        files::put(&mut record.files, files)
    }

    async fn copy_from(&self, id: &EngineId, path: &str) -> Result<BoxStream<'static, Result<Bytes>>> {
        self.enter(Operation::Files).await?;
        check_path("path", path)?;
        let inner = self.inner.lock();
        let record = inner.records.get(id).ok_or_else(|| Error::NotFound(id.to_string()))?;
        let archive = files::archive(&record.files, path).ok_or_else(|| {
            Error::Invalid(format!("no path \"{}\" in workload {id}", eru_types::name::excerpt(path)))
        })?;
        Ok(files::pieces(archive, self.inner.clone()))
    }

    async fn exec(&self, id: &EngineId, request: &ExecRequest) -> Result<Session> {
        self.enter(Operation::Exec).await?;
        let changes = self.changes.subscribe();
        let name = {
            let inner = self.inner.lock();
            let record = inner.records.get(id).ok_or_else(|| Error::NotFound(id.to_string()))?;
            if record.state != State::Running {
                return Err(Error::Invalid(format!("workload {id} is not running")));
            }
            record.request.name.to_string()
        };
        let steps = Step::parse(&request.command).map_err(|cause| Error::Start { name, cause })?;
        Ok(session::exec(self, changes, id, request, steps))
    }

    async fn attach(&self, id: &EngineId) -> Result<Session> {
        self.enter(Operation::Exec).await?;
        session::attach(self, self.changes.subscribe(), id)
    }

    async fn image(&self, name: &str) -> Result<Option<Image>> {
        self.enter(Operation::Images).await?;
        Ok(self.inner.lock().images.get(name))
    }

    async fn images(&self, filter: &str) -> Result<Vec<Image>> {
        self.enter(Operation::Images).await?;
        Ok(self.inner.lock().images.matching(filter))
    }

    async fn pull(
        &self,
        name: &str,
        _login: Option<&RegistryLogin>,
    ) -> Result<BoxStream<'static, Result<PullProgress>>> {
        self.enter(Operation::Pull).await?;
        Ok(images::pull(self.inner.clone(), name.to_owned()))
    }

    async fn remove_image(&self, name: &str) -> Result<Vec<String>> {
        self.enter(Operation::Images).await?;
        self.inner.lock().images.remove(name).ok_or_else(|| Error::NoImage(name.to_owned()))
    }

    async fn prune_images(&self) -> Result<()> {
        self.enter(Operation::Images).await?;
        self.inner.lock().images.prunes += 1;
        Ok(())
    }

    async fn networks(&self, driver: &str) -> Result<Vec<Network>> {
        self.enter(Operation::Networks).await?;
        Ok(self.inner.lock().networks.of_driver(driver))
    }

    async fn connect(&self, network: &str, id: &EngineId, ipv4: &str, ipv6: &str) -> Result<Vec<String>> {
        self.enter(Operation::Networks).await?;
        self.join(network, id, ipv4, ipv6)
    }

    async fn disconnect(&self, network: &str, id: &EngineId, _force: bool) -> Result<()> {
        self.enter(Operation::Networks).await?;
        self.leave(network, id)
    }
}
