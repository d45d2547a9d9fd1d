//! An etcd of our own, on free ports, in a folder that goes with it.

use crate::{eventually, port};
use anyhow::{Context, Result};
use std::{
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

/// Where Debian's package puts it.
const PROGRAM: &str = "/usr/bin/etcd";

/// A running etcd; killed when dropped.
pub struct EtcdServer {
    child: Child,
    /// `127.0.0.1:port` of its client API.
    pub endpoint: String,
    _folder: tempfile::TempDir,
}

impl EtcdServer {
    /// Whether it is installed. When it is not and `ERU_REQUIRE_ETCD` is set, that is a failure, not a skip.
    ///
    /// # Panics
    /// When it is required and missing.
    pub fn is_installed() -> bool {
        let installed = Path::new(PROGRAM).exists();
        assert!(installed || std::env::var_os("ERU_REQUIRE_ETCD").is_none(), "{PROGRAM} is required but missing");
        installed
    }

    /// Starts one and waits until it answers.
    ///
    /// # Errors
    /// When it cannot be started or does not answer in 20 s.
    pub async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let (client, peer) = (port::free()?, port::free()?);
        let url = |port: u16| format!("http://127.0.0.1:{port}");
        let child = Command::new(PROGRAM)
            .arg("--data-dir")
            .arg(folder.path().join("data"))
            .args(["--listen-client-urls", &url(client), "--advertise-client-urls", &url(client)])
            .args(["--listen-peer-urls", &url(peer), "--initial-advertise-peer-urls", &url(peer)])
            .args(["--initial-cluster", &format!("default={}", url(peer)), "--log-level", "error"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start etcd")?;
        let server = Self { child, endpoint: format!("127.0.0.1:{client}"), _folder: folder };
        eventually("etcd to listen", Duration::from_secs(20), || tokio::net::TcpStream::connect(&server.endpoint))
            .await?;
        Ok(server)
    }
}

impl Drop for EtcdServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
