//! A core with simulated nodes and workloads, as a real process.

use anyhow::{Context, Result, ensure};
use eru_api::pb::{self, core_rpc_client::CoreRpcClient};
use eru_testkit::{Up, etcd::EtcdServer, eventually, port};
use futures::{StreamExt, TryStreamExt};
use std::{
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};
use tonic::transport::{Channel, Endpoint};

/// Which store the core keeps its state in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    /// A folder.
    Embedded,
    /// etcd, started for the purpose.
    Etcd,
}

impl std::fmt::Display for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Embedded => "embedded",
            Self::Etcd => "etcd",
        })
    }
}

/// The pod that everything is in.
pub const POD: &str = "bench";
/// The app that is deployed.
pub const APP: &str = "app";

/// A running core; ended when dropped.
pub struct Cluster {
    /// `127.0.0.1:port`.
    pub address: String,
    /// Its process.
    pub pid: u32,
    child: Child,
    _etcd: Option<EtcdServer>,
    _folder: tempfile::TempDir,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Cluster {
    /// Starts a core that accepts simulated nodes, with `nodes` of them in one pod.
    ///
    /// # Errors
    /// When anything does not start.
    pub async fn start(binary: &Path, store: Store, nodes: usize) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let etcd = match store {
            Store::Etcd => Some(EtcdServer::start().await?),
            Store::Embedded => None,
        };
        let address = format!("127.0.0.1:{}", port::free()?);
        let config = folder.path().join("core.yaml");
        let kept = match &etcd {
            Some(etcd) => format!("store: etcd\netcd:\n  machines:\n    - {}\n", etcd.endpoint),
            None => format!("store: embedded\ndata_dir: {}\n", folder.path().join("store").display()),
        };
        std::fs::write(&config, format!("bind: {address}\nallow_fake: true\nlog_level: WARN\n{kept}"))?;
        let child = Command::new(binary)
            .args(["core", "--config"])
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {}", binary.display()))?;
        let cluster = Self { address, pid: child.id(), child, _etcd: etcd, _folder: folder };
        let mut client = eventually("core to answer", Duration::from_secs(20), || cluster.client()).await?;
        client.add_pod(pb::AddPodOptions { name: POD.into(), desc: String::new() }).await?;
        let adds = (0..nodes).map(|n| {
            let mut client = client.clone();
            async move {
                let options = pb::AddNodeOptions {
                    nodename: format!("n{n}"),
                    endpoint: format!("fake://n{n}?engine=stays"),
                    podname: POD.into(),
                    memory: 1 << 40,
                    cpu: 64,
                    ..Default::default()
                };
                client.add_node(options).await?;
                // As an agent would, so that the nodes count as available.
                client.set_node_status(pb::SetNodeStatusOptions { nodename: format!("n{n}"), ttl: 3600 }).await?;
                anyhow::Ok(())
            }
        });
        futures::stream::iter(adds).buffer_unordered(16).try_collect::<()>().await?;
        Ok(cluster)
    }

    /// A client on a connection of its own.
    ///
    /// # Errors
    /// When core cannot be reached.
    pub async fn client(&self) -> Result<CoreRpcClient<Channel>> {
        Ok(CoreRpcClient::new(connect(&self.address).await?).max_decoding_message_size(256 << 20))
    }

    /// Deploys `count` instances in calls of at most 1 000; their ids.
    ///
    /// # Errors
    /// When one of them fails.
    pub async fn deploy(&self, count: usize) -> Result<Vec<String>> {
        let mut client = self.client().await?;
        let mut ids = Vec::with_capacity(count);
        while ids.len() < count {
            ids.extend(deploy(&mut client, (count - ids.len()).min(1000)).await?);
        }
        Ok(ids)
    }
}

/// A connection of its own.
///
/// # Errors
/// When the address cannot be reached.
pub async fn connect(address: &str) -> Result<Channel> {
    Ok(Endpoint::from_shared(format!("http://{address}"))?.tcp_nodelay(true).connect().await?)
}

/// One CreateWorkload call; the ids.
///
/// # Errors
/// When an instance fails.
pub async fn deploy(client: &mut CoreRpcClient<Channel>, count: usize) -> Result<Vec<String>> {
    let options = pb::DeployOptions {
        name: APP.into(),
        entrypoint: Some(pb::EntrypointOptions { name: "web".into(), command: "serve".into(), ..Default::default() }),
        podname: POD.into(),
        image: "bench/image:1".into(),
        count: i32::try_from(count)?,
        resource_opts: Some(pb::ResourceOptions {
            memory_limit: 1 << 20,
            cpu_quota_limit: 0.001,
            ..Default::default()
        }),
        ..Default::default()
    };
    let messages: Vec<_> = client.create_workload(options).await?.into_inner().try_collect().await?;
    if let Some(failed) = messages.iter().find(|m| !m.success) {
        anyhow::bail!("an instance failed: {}", failed.error);
    }
    ensure!(messages.len() == count, "{} of {count} instances", messages.len());
    Ok(messages.into_iter().map(|m| m.id).collect())
}

/// `eru up` with a spec of `examples/`, when its `count` servers are healthy.
///
/// # Errors
/// When they do not become healthy.
pub async fn up_with(binary: &Path, spec: &str, count: usize) -> Result<Up> {
    let spec = format!("{}/../examples/{spec}", env!("CARGO_MANIFEST_DIR"));
    let up = Up::start(binary, &[&spec]).await?;
    let mut client = up.client().await?;
    eventually("healthy servers", Duration::from_secs(120), || {
        let mut client = client.clone();
        async move {
            let stream = client.list_workloads(pb::ListWorkloadsOptions::default()).await?.into_inner();
            let all: Vec<pb::Workload> = stream.try_collect().await?;
            let healthy = all.iter().filter(|w| w.status.as_ref().is_some_and(|s| s.healthy)).count();
            ensure!(healthy == count, "{healthy} healthy");
            anyhow::Ok(())
        }
    })
    .await?;
    client.info(pb::Empty {}).await?;
    Ok(up)
}
