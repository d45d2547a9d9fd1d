//! A Docker daemon of a test's own, that may be killed: containers outlive it (`--live-restore`).
//!
//! It has a bridge of its own. With `--bridge=none` a daemon deletes the interface `docker0` at its start, and with it
//! the default network of the machine's own daemon.

use crate::{Daemon, docker::Docker, eventually};
use anyhow::{Context, Result, ensure};
use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

const PROGRAM: &str = "/usr/sbin/dockerd";
/// A daemon answers within seconds; its containerd is waited for on a busy machine.
const READY: Duration = Duration::from_secs(60);

/// A running dockerd with a folder and a bridge of its own. Dropping it removes its containers.
pub struct OwnDockerd {
    /// Its command line.
    pub docker: Docker,
    daemon: Daemon,
    folder: PathBuf,
    _bridge: Bridge,
}

impl OwnDockerd {
    /// Whether one can be started: by root, where it is installed. If not, a line names `test`; missing while
    /// `ERU_REQUIRE_DOCKER` is set, it is a failure.
    ///
    /// # Panics
    /// When it is required and missing.
    pub fn is_possible(test: &str) -> bool {
        let is_there = Path::new(PROGRAM).exists();
        assert!(is_there || std::env::var_os("ERU_REQUIRE_DOCKER").is_none(), "{PROGRAM} is required but missing");
        let possible = is_there && rustix::process::geteuid().is_root();
        if !possible {
            let _ = writeln!(std::io::stderr(), "skipped: {test}: it starts a {PROGRAM} of its own, as root");
        }
        possible
    }

    /// Starts one in `folder`, whose path must be short: a socket's is at most 107 bytes.
    ///
    /// # Errors
    /// When it cannot be started, as who is not root.
    pub async fn start(folder: &Path) -> Result<Self> {
        let bridge = Bridge::make()?;
        let docker = Docker { host: format!("unix://{}", folder.join("docker.sock").display()) };
        let args = [
            format!("--data-root={}", folder.join("data").display()),
            format!("--exec-root={}", folder.join("exec").display()),
            format!("--pidfile={}", folder.join("dockerd.pid").display()),
            format!("--host={}", docker.host),
            format!("--bridge={}", bridge.name),
            "--iptables=false".into(),
            "--live-restore".into(),
        ];
        let daemon = Daemon::start(Path::new(PROGRAM), args, folder.join("dockerd.log"))?;
        let mut own = Self { docker, daemon, folder: folder.to_owned(), _bridge: bridge };
        own.ready().await?;
        Ok(own)
    }

    async fn ready(&mut self) -> Result<()> {
        let (docker, daemon) = (&self.docker, std::cell::RefCell::new(&mut self.daemon));
        eventually("dockerd to answer", READY, || {
            let ended = daemon.borrow_mut().still_runs().err();
            async move {
                ensure!(ended.is_none(), "{ended:?}");
                docker.run(&["version", "--format", "{{.Server.Version}}"]).await
            }
        })
        .await?;
        Ok(())
    }

    /// Ends it with SIGKILL; its containers go on.
    ///
    /// # Errors
    /// When it does not run.
    pub fn kill9(&mut self) -> Result<()> {
        self.daemon.kill9()
    }

    /// Starts it again on the same folder.
    ///
    /// # Errors
    /// As [`OwnDockerd::start`].
    pub async fn again(&mut self) -> Result<()> {
        // Its containerd was its child and has gone with it or not; the file would be taken for a living one.
        let _ = std::fs::remove_file(self.folder.join("dockerd.pid"));
        end_containerd(&self.folder);
        self.daemon.again()?;
        self.ready().await
    }

    /// Everything that it printed.
    pub fn log(&self) -> String {
        self.daemon.log()
    }
}

/// A bridge interface; deleted when dropped.
struct Bridge {
    name: String,
}

impl Bridge {
    /// Makes one with a subnet of 10.213.0.0/16 that no interface has.
    fn make() -> Result<Self> {
        let routes = std::fs::read_to_string("/proc/net/route")?;
        // Destinations are written as the processor keeps them: little-endian.
        let is_free = |n: &u8| !routes.contains(&format!("{:08X}", u32::from_le_bytes([10, 213, *n, 0])));
        let wanted: u8 = rand::random();
        let n = (0..=u8::MAX).map(|n| n.wrapping_add(wanted)).find(is_free).context("10.213.0.0/16 is used up")?;
        let bridge = Self { name: format!("eru-test{n}") };
        bridge.ip(&["link", "add", "name", &bridge.name, "type", "bridge"])?;
        bridge.ip(&["address", "add", &format!("10.213.{n}.1/24"), "dev", &bridge.name])?;
        bridge.ip(&["link", "set", &bridge.name, "up"])?;
        Ok(bridge)
    }

    fn ip(&self, args: &[&str]) -> Result<()> {
        let out = Command::new("ip").args(args).output().context("cannot run ip")?;
        ensure!(out.status.success(), "ip {}: {}", args.join(" "), String::from_utf8_lossy(&out.stderr));
        Ok(())
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        let _ = self.ip(&["link", "delete", &self.name]);
    }
}

/// A containerd that outlived its dockerd keeps the next one waiting: it is ended by its id, with its containers going on
/// under their shims.
fn end_containerd(folder: &Path) {
    let file = folder.join("exec/containerd/containerd.pid");
    let Ok(pid) = std::fs::read_to_string(&file) else { return };
    let ours = std::fs::read_to_string(format!("/proc/{}/cmdline", pid.trim()));
    if ours.is_ok_and(|line| line.contains(&*folder.to_string_lossy())) {
        let _ = Command::new("kill").args(["-9", pid.trim()]).stderr(Stdio::null()).status();
    }
    let _ = std::fs::remove_file(file);
}

/// A daemon that was killed leaves mounts behind, and its folder could not be deleted.
fn unmount(folder: &Path) {
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
    let inside =
        mounts.lines().filter_map(|line| line.split(' ').nth(1)).filter(|path| Path::new(path).starts_with(folder));
    let inside: Vec<&str> = inside.collect();
    // What was mounted last is on top.
    for path in inside.into_iter().rev() {
        let _ = Command::new("umount").args(["--lazy", path]).stderr(Stdio::null()).status();
    }
}

impl Drop for OwnDockerd {
    fn drop(&mut self) {
        if self.docker.answers() {
            self.docker.remove_all("ERU=1");
            let stop = Command::new("kill").arg(self.daemon.pid().to_string()).status();
            if stop.is_ok_and(|status| status.success()) {
                // It ends its containerd and unmounts most of what it mounted.
                for _ in 0..500 {
                    if self.daemon.still_runs().is_err() {
                        break;
                    }
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
        }
        let _ = self.daemon.kill9();
        end_containerd(&self.folder);
        unmount(&self.folder);
    }
}
