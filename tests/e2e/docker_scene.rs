//! A small cluster of separate processes on a real Docker engine, as the page builds it.

use crate::scene::ERU;
use anyhow::{Context, Result, ensure};
use eru_api::pb::{self, core_rpc_client::CoreRpcClient};
use eru_images::TestImages;
use eru_testkit::{Daemon, Docker, etcd::EtcdServer, eventually, port};
use futures::TryStreamExt;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};
use tonic::transport::Channel;

/// A container takes up to a second here, and the machine may run other tests.
pub const SOON: Duration = Duration::from_secs(60);

/// Where core keeps its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    Embedded,
    Etcd,
}

/// Core, what the command line needs to reach it, and an engine. Dropping it removes the cluster's containers.
pub struct Site {
    pub docker: Docker,
    pub images: TestImages,
    /// The node's name; the pod is `testpod`, as on the page.
    pub node: String,
    pub core: Daemon,
    pub controller: Option<Daemon>,
    pub address: String,
    pub controller_address: String,
    /// The label that all of this cluster's containers have, and no others.
    pub label: String,
    etcd: Option<EtcdServer>,
    folder: tempfile::TempDir,
}

impl Site {
    /// The machine's engine, and a core with one node. `None`: there is no engine, and the test is skipped.
    pub async fn on_machine(test: &str, store: Store, node: &str) -> Result<Option<Self>> {
        let Some(docker) = Docker::of_machine(test) else { return Ok(None) };
        if store == Store::Etcd && !EtcdServer::is_installed() {
            return Ok(None);
        }
        Self::start(docker, store, node).await.map(Some)
    }

    /// A core, the page's pod, and the engine as its node.
    pub async fn start(docker: Docker, store: Store, node: &str) -> Result<Self> {
        let host = docker.host.clone();
        let host = move || (host != eru_testkit::docker::SOCKET).then_some(host);
        let images =
            tokio::task::spawn_blocking(move || TestImages::ensure(Path::new(ERU), host().as_deref())).await??;
        let folder = tempfile::Builder::new().prefix("eru").tempdir()?;
        let bin = folder.path().join("bin");
        std::fs::create_dir_all(&bin)?;
        for name in ["eru-core", "eru-cli", "eru-controller", "eru-agent"] {
            std::os::unix::fs::symlink(ERU, bin.join(name))?;
        }
        let etcd = match store {
            Store::Etcd => Some(EtcdServer::start().await?),
            Store::Embedded => None,
        };
        let address = format!("127.0.0.1:{}", port::free()?);
        let kept = match &etcd {
            Some(etcd) => format!("store: etcd\netcd:\n  machines:\n    - {}\n", etcd.endpoint),
            None => format!("store: embedded\ndata_dir: {}\n", folder.path().join("core").display()),
        };
        let config = folder.path().join("core.yaml");
        std::fs::write(&config, format!("bind: {address}\n{kept}"))?;
        let args = ["--config".to_owned(), config.display().to_string()];
        let core = Daemon::start(&bin.join("eru-core"), args, folder.path().join("core.log"))?;
        let mut site = Self {
            docker,
            images,
            node: node.to_owned(),
            core,
            controller: None,
            address,
            controller_address: format!("127.0.0.1:{}", port::free()?),
            label: String::new(),
            etcd,
            folder,
        };
        site.core_answers().await?;
        let info = site.client().await?.info(pb::Empty {}).await?.into_inner();
        site.label = format!("eru.coreid={}", info.identifier);
        site.cli(&["pod", "add", "testpod"]).await?;
        let endpoint = site.docker.host.clone();
        site.cli(&["node", "add", "--nodename", node, "--endpoint", &endpoint, "testpod"]).await?;
        Ok(site)
    }

    /// Waits until core answers, as after a start.
    pub async fn core_answers(&mut self) -> Result<()> {
        self.core.still_runs()?;
        let asked = eventually("core to answer", SOON, || async {
            Ok::<_, anyhow::Error>(self.client().await?.info(pb::Empty {}).await?)
        })
        .await;
        asked.map(drop).with_context(|| self.core.log())
    }

    /// Starts the controller.
    pub async fn start_controller(&mut self) -> Result<()> {
        let folder = self.path("controller").display().to_string();
        let args = ["--core", &self.address, "--listen", &self.controller_address, "--data-dir", &folder];
        self.controller = Some(Daemon::start(&self.path("bin/eru-controller"), args, self.path("controller.log"))?);
        self.controller_answers().await
    }

    /// Waits until the controller answers, as after a start.
    pub async fn controller_answers(&self) -> Result<()> {
        eventually("the controller to answer", SOON, || async { self.cli(&["replicaset", "list"]).await }).await?;
        Ok(())
    }

    /// A file of this cluster's own.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes such a file; its path as text.
    pub fn write(&self, name: &str, content: &str) -> Result<String> {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().context("a file is in a folder")?)?;
        std::fs::write(&path, content)?;
        Ok(path.display().to_string())
    }

    /// Runs `eru-cli <args>` against it; its standard output.
    pub async fn cli(&self, args: &[&str]) -> Result<String> {
        let out = tokio::process::Command::new(self.path("bin/eru-cli"))
            .args(args)
            .env("ERU", &self.address)
            .env("ERU_CONTROLLER", &self.controller_address)
            .stdin(std::process::Stdio::null())
            .kill_on_drop(true)
            .output()
            .await?;
        let (stdout, stderr) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
        ensure!(out.status.success(), "eru-cli {}: {}\n{stdout}{stderr}", args.join(" "), out.status);
        Ok(stdout.into_owned())
    }

    /// A client of core.
    pub async fn client(&self) -> Result<CoreRpcClient<Channel>> {
        Ok(CoreRpcClient::connect(format!("http://{}", self.address)).await?.max_decoding_message_size(64 << 20))
    }

    /// The workloads of an app; all with `""`.
    pub async fn workloads(&self, app: &str) -> Result<Vec<pb::Workload>> {
        let options = pb::ListWorkloadsOptions { appname: app.to_owned(), ..Default::default() };
        Ok(self.client().await?.list_workloads(options).await?.into_inner().try_collect().await?)
    }

    /// Waits until an app has exactly `count` workloads, all healthy.
    pub async fn healthy(&self, app: &str, count: usize) -> Result<Vec<pb::Workload>> {
        eventually(&format!("{count} healthy workloads of {app}"), SOON, || async move {
            let all = self.workloads(app).await?;
            let healthy = all.iter().filter(|w| w.status.as_ref().is_some_and(|s| s.running && s.healthy)).count();
            ensure!(healthy == count && all.len() == count, "{healthy} healthy of {}: {all:?}", all.len());
            anyhow::Ok(all)
        })
        .await
        .with_context(|| self.core.log())
    }

    /// Deploys one instance of a spec's entrypoint; its id.
    pub async fn deploy(&self, app: &str, args: &[&str], spec: &str) -> Result<String> {
        let before = self.workloads(app).await?;
        let mut line = vec!["workload", "deploy", "--pod", "testpod"];
        line.extend(args);
        line.push(spec);
        self.cli(&line).await?;
        let after = self.workloads(app).await?;
        let new: Vec<&pb::Workload> = after.iter().filter(|w| before.iter().all(|old| old.id != w.id)).collect();
        ensure!(new.len() == 1, "one new workload of {app}: {after:?}");
        Ok(new[0].id.clone())
    }

    /// A spec of `eru-hello` as a small HTTP server; `more` goes under its entrypoint `web`.
    pub fn hello_spec(&self, app: &str, more: &str) -> Result<String> {
        let spec = format!("appname: {app}\nentrypoints:\n  web:\n    cmd: /usr/bin/eru-hello --port 8080\n{more}");
        self.write(&format!("{app}.yaml"), &spec)
    }

    /// Whether the engine can give a container the rights of the machine: in a sandbox that lacks some of them it cannot.
    async fn runs_privileged(&self) -> bool {
        self.docker
            .run(&["run", "--rm", "--privileged", "--network", "none", &self.images.busybox, "true"])
            .await
            .is_ok()
    }

    /// The page's `eru-agent.yaml` and `agent.yaml`, adapted only in paths, addresses and the node's name, and in rights
    /// that this machine cannot give, deployed as the page does it. With `eager` it probes every two seconds.
    pub async fn deploy_agent(&self, eager: bool) -> Result<String> {
        let api = port::free()?;
        let etcd = self.etcd.as_ref().map_or("127.0.0.1:2379", |etcd| &etcd.endpoint);
        let socket = self.docker.host.trim_start_matches("unix://");
        let mut config = AGENT_CONFIG.to_owned();
        if eager {
            config = config.replace("interval: 15", "interval: 2").replace("timeout: 10", "timeout: 1");
        }
        let config = config
            .replace("127.0.0.1:5001", &self.address)
            .replace("0.0.0.0:12345", &format!("0.0.0.0:{api}"))
            .replace("127.0.0.1:2379", etcd);
        self.write("etc/eru/agent.yaml", &config)?;
        let mut spec = AGENT_SPEC.to_owned();
        if !self.runs_privileged().await {
            println!("this machine runs no privileged containers: the agent does without");
            spec = spec.replace("    privileged: true\n", "");
        }
        let spec = spec
            .replace("--hostname node1", &format!("--hostname {}", self.node))
            .replace("12345", &api.to_string())
            .replace("- /var/run/docker.sock:", &format!("- {socket}:"))
            .replace("- /etc/eru:", &format!("- {}:", self.path("etc/eru").display()));
        let spec = self.write("eru-agent.yaml", &spec)?;
        self.deploy("eru", &["--image", &self.images.agent, "--entry", "agent"], &spec).await
    }

    /// The address of a workload on the network `bridge`, as the engine says.
    pub async fn bridge_address(&self, id: &str) -> Result<String> {
        self.docker.run(&["inspect", "--format", "{{.NetworkSettings.Networks.bridge.IPAddress}}", id]).await
    }

    /// What the agent of a container printed, for the message of a failure.
    pub async fn agent_log(&self) -> String {
        let Ok(all) = self.workloads("eru").await else { return "no agent".into() };
        let Some(agent) = all.first() else { return "no agent".into() };
        self.docker.run_all(&["logs", "--tail", "50", &agent.id]).await.unwrap_or_else(|error| error.to_string())
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // The controller first, then core: neither may bring back what is removed.
        self.controller = None;
        let _ = self.core.kill9();
        if std::thread::panicking() {
            eprintln!("core:\n{}", self.core.log());
        }
        if !self.label.is_empty() {
            self.docker.remove_all(&self.label);
        }
    }
}

/// `eru-agent.yaml` of `mission.md`.
pub const AGENT_SPEC: &str = include_str!("../../examples/page/eru-agent.yaml");

/// `/etc/eru/agent.yaml` of `mission.md`.
pub const AGENT_CONFIG: &str = include_str!("../../examples/page/agent.yaml");

/// Asks an HTTP server; its status code and text.
pub async fn ask(method: &str, address: &str, path: &str) -> Result<(u16, String)> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let asked = async {
        let mut stream = tokio::net::TcpStream::connect(address).await?;
        let request =
            format!("{method} {path} HTTP/1.1\r\nhost: hello\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
        let code = text.split_whitespace().nth(1).context("no status code")?.parse()?;
        Ok((code, text))
    };
    tokio::time::timeout(SOON, asked).await.with_context(|| format!("{method} {path} at {address}"))?
}
