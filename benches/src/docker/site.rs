//! A core whose one node is a Docker engine, and what is asked of it.

use anyhow::{Context, Result, ensure};
use eru_api::pb::{self, core_rpc_client::CoreRpcClient};
use eru_images::TestImages;
use eru_testkit::{Daemon, Docker, Up, eventually, port};
use futures::TryStreamExt;
use std::{path::Path, time::Duration};
use tonic::transport::Channel;

/// Longest wait for many containers.
const PATIENCE: Duration = Duration::from_secs(300);
const POD: &str = "bench";
/// The node.
pub const NODE: &str = "bench-docker";

/// A running core. Dropping it removes its containers.
pub struct Site {
    /// The engine.
    pub docker: Docker,
    /// Images of the measured binary.
    pub images: TestImages,
    /// `127.0.0.1:port`.
    pub address: String,
    /// The process.
    pub core: Daemon,
    label: String,
    /// Files of this run.
    pub folder: tempfile::TempDir,
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = self.core.kill9();
        self.docker.remove_all(&self.label);
    }
}

impl Site {
    /// Starts core on a folder, with the machine's engine as its node.
    ///
    /// # Errors
    /// When anything does not start.
    pub async fn start(binary: &Path, docker: Docker) -> Result<Self> {
        let images = TestImages::ensure(binary, None)?;
        let folder = tempfile::tempdir()?;
        let address = format!("127.0.0.1:{}", port::free()?);
        let config = folder.path().join("core.yaml");
        let data = folder.path().join("core");
        let text = format!("bind: {address}\nstore: embedded\ndata_dir: {}\nlog_level: WARN\n", data.display());
        std::fs::write(&config, text)?;
        let args = ["core".to_owned(), "--config".to_owned(), config.display().to_string()];
        let core = Daemon::start(binary, args, folder.path().join("core.log"))?;
        let mut site = Self { docker, images, address, core, label: String::new(), folder };
        let mut client = eventually("core to answer", PATIENCE, || site.client()).await?;
        site.label = format!("eru.coreid={}", client.info(pb::Empty {}).await?.into_inner().identifier);
        client.add_pod(pb::AddPodOptions { name: POD.into(), desc: String::new() }).await?;
        let node = pb::AddNodeOptions {
            nodename: NODE.into(),
            endpoint: site.docker.host.clone(),
            podname: POD.into(),
            cpu: 64,
            memory: 1 << 40,
            ..Default::default()
        };
        client.add_node(node).await?;
        Ok(site)
    }

    /// A client of core.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub async fn client(&self) -> Result<CoreRpcClient<Channel>> {
        let channel = crate::cluster::connect(&self.address).await?;
        Ok(CoreRpcClient::new(channel).max_decoding_message_size(64 << 20))
    }

    /// Deploys `count` instances of a command in an image; their ids.
    ///
    /// # Errors
    /// When one of them fails.
    pub async fn deploy(
        &self,
        app: &str,
        image: &str,
        command: &str,
        network: &str,
        count: usize,
    ) -> Result<Vec<String>> {
        let entrypoint = pb::EntrypointOptions {
            name: "web".into(),
            commands: command.split(' ').map(str::to_owned).collect(),
            ..Default::default()
        };
        self.deploy_entrypoint(app, image, entrypoint, network, count).await
    }

    /// The same with everything that an entrypoint may have.
    ///
    /// # Errors
    /// When one of them fails.
    pub async fn deploy_entrypoint(
        &self,
        app: &str,
        image: &str,
        entrypoint: pb::EntrypointOptions,
        network: &str,
        count: usize,
    ) -> Result<Vec<String>> {
        let options = pb::DeployOptions {
            name: app.into(),
            entrypoint: Some(entrypoint),
            podname: POD.into(),
            image: image.into(),
            count: i32::try_from(count)?,
            networks: [(network.to_owned(), String::new())].into(),
            resource_opts: Some(pb::ResourceOptions {
                memory_limit: 64 << 20,
                cpu_quota_limit: 0.5,
                ..Default::default()
            }),
            ..Default::default()
        };
        let mut client = self.client().await?;
        let messages: Vec<_> = client.create_workload(options).await?.into_inner().try_collect().await?;
        if let Some(failed) = messages.iter().find(|m| !m.success) {
            anyhow::bail!("an instance failed: {}", failed.error);
        }
        ensure!(messages.len() == count, "{} of {count} instances", messages.len());
        Ok(messages.into_iter().map(|m| m.id).collect())
    }

    /// Starts an agent as a process of its own, its probes as far apart as the page has them.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn agent(&self, binary: &Path) -> Result<Daemon> {
        let config = self.folder.path().join("agent.yaml");
        let text = format!(
            "core: {}\nhealthcheck:\n  interval: 15\n  timeout: 10\ndocker:\n  endpoint: {}\napi:\n  addr: 127.0.0.1:{}\n",
            self.address,
            self.docker.host,
            port::free()?
        );
        std::fs::write(&config, text)?;
        let args = ["agent", "--hostname", NODE, "--check-only-mine", "--config", &config.display().to_string()]
            .map(String::from);
        Daemon::start(binary, args, self.folder.path().join("agent.log"))
    }
}

/// Waits until `eru up` has exactly `count` workloads, all healthy.
///
/// # Errors
/// When that does not happen.
pub async fn healthy_up(up: &Up, count: usize) -> Result<Vec<pb::Workload>> {
    let client = up.client().await?;
    eventually("all healthy", PATIENCE, || {
        let mut client = client.clone();
        async move {
            let stream = client.list_workloads(pb::ListWorkloadsOptions::default()).await?.into_inner();
            let all: Vec<pb::Workload> = stream.try_collect().await?;
            let healthy = all.iter().filter(|w| w.status.as_ref().is_some_and(|s| s.running && s.healthy)).count();
            ensure!(healthy == count && all.len() == count, "{healthy} healthy of {}", all.len());
            anyhow::Ok(all)
        }
    })
    .await
    .with_context(|| up.log())
}
