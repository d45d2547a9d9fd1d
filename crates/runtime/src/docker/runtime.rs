//! The port on a Docker daemon.

use super::options::{DockerOptions, Endpoint};
use crate::port::Result;

/// A Docker daemon. Cheap to make: the first call connects.
#[derive(Debug)]
pub struct Docker {
    endpoint: Endpoint,
    options: DockerOptions,
}

impl Docker {
    /// The daemon that `options` name. No IO.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) for an endpoint or certificates that are none, by name.
    pub fn connect(options: DockerOptions) -> Result<Self> {
        Ok(Self { endpoint: Endpoint::new(&options)?, options })
    }

    /// Where it is.
    pub fn endpoint(&self) -> &str {
        &self.options.endpoint
    }
}

#[async_trait::async_trait]
impl crate::port::Runtime for Docker {
    fn kind(&self) -> crate::RuntimeKind {
        crate::RuntimeKind::Docker
    }
    async fn info(&self) -> Result<crate::Info> {
        Err(self.cannot("info"))
    }
    async fn ping(&self) -> Result<()> {
        Err(self.cannot("ping"))
    }
    async fn create(&self, _: &crate::CreateRequest) -> Result<eru_types::EngineId> {
        Err(self.cannot("create"))
    }
    async fn start(&self, _: &eru_types::EngineId) -> Result<()> {
        Err(self.cannot("start"))
    }
    async fn stop(&self, _: &eru_types::EngineId, _: std::time::Duration) -> Result<()> {
        Err(self.cannot("stop"))
    }
    async fn remove(&self, _: &eru_types::EngineId, _: bool) -> Result<()> {
        Err(self.cannot("remove"))
    }
    async fn inspect(&self, _: &eru_types::EngineId) -> Result<crate::Inspection> {
        Err(self.cannot("inspect"))
    }
    async fn find(&self, _: &eru_types::WorkloadName) -> Result<Option<eru_types::EngineId>> {
        Err(self.cannot("find"))
    }
    async fn list(&self, _: &eru_types::Labels) -> Result<Vec<crate::Inspection>> {
        Err(self.cannot("list"))
    }
    async fn events(&self) -> Result<futures::stream::BoxStream<'static, crate::Event>> {
        Err(self.cannot("events"))
    }
    async fn logs(
        &self,
        _: &eru_types::EngineId,
        _: crate::LogOptions,
    ) -> Result<futures::stream::BoxStream<'static, Result<crate::LogLine>>> {
        Err(self.cannot("logs"))
    }
    async fn last_lines(&self, _: &eru_types::EngineId, _: usize) -> Result<Vec<String>> {
        Err(self.cannot("logs"))
    }
}
