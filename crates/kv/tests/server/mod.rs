//! An etcd of this test's own.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use eru_kv::{Etcd, EtcdOptions};

const ETCD: &str = "/usr/bin/etcd";

pub struct Server {
    pub endpoint: String,
    arguments: Vec<String>,
    child: Child,
    _folder: tempfile::TempDir,
}

impl Server {
    /// `None`, and a line that says so, where etcd is not installed.
    pub async fn start() -> Option<Self> {
        Self::start_with(&[]).await
    }

    pub async fn start_with(more: &[&str]) -> Option<Self> {
        if !std::path::Path::new(ETCD).exists() {
            assert!(std::env::var_os("ERU_REQUIRE_ETCD").is_none(), "{ETCD} is missing and ERU_REQUIRE_ETCD is set");
            println!("skipped: etcd is not installed");
            return None;
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        let [client, peer] = free_ports();
        let endpoint = format!("127.0.0.1:{client}");
        let mut arguments: Vec<String> = [
            "--name=test",
            &format!("--data-dir={}", folder.path().join("data").display()),
            &format!("--listen-client-urls=http://{endpoint}"),
            &format!("--advertise-client-urls=http://{endpoint}"),
            &format!("--listen-peer-urls=http://127.0.0.1:{peer}"),
            &format!("--initial-advertise-peer-urls=http://127.0.0.1:{peer}"),
            &format!("--initial-cluster=test=http://127.0.0.1:{peer}"),
            "--log-level=error",
        ]
        .map(String::from)
        .to_vec();
        arguments.extend(more.iter().map(ToString::to_string));
        let child = spawn(&arguments);
        let mut server = Self { endpoint, arguments, child, _folder: folder };
        server.wait_until_ready().await;
        Some(server)
    }

    pub fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it is ours");
    }

    pub async fn start_again(&mut self) {
        self.child = spawn(&self.arguments);
        self.wait_until_ready().await;
    }

    pub fn pause(&self) {
        self.signal("STOP");
    }

    pub fn unpause(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(status.expect("kill runs").success());
    }

    async fn wait_until_ready(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let options = EtcdOptions { endpoints: vec![self.endpoint.clone()], ..EtcdOptions::default() };
            if Etcd::connect(options).await.is_ok() {
                return;
            }
            assert!(self.child.try_wait().expect("it is ours").is_none(), "etcd ended at once");
            assert!(Instant::now() < deadline, "etcd does not answer");
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(arguments: &[String]) -> Child {
    let mut command = Command::new(ETCD);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("etcd starts")
}

fn free_ports() -> [u16; 2] {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    listeners.map(|listener| listener.local_addr().expect("its address").port())
}
