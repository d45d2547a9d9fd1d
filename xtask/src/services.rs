//! What the tests need besides Rust: etcd, a Docker engine, a static busybox. Installed from Debian packages when
//! missing, and started when not running. What was started here is ended at the end, by its id.

use crate::{bridge, steps::run};
use anyhow::{Context, Result, bail, ensure};
use std::{
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// Debian 13 has the command line in a package of its own; before, it is part of docker.io.
const PACKAGES: [(&str, &str); 4] = [
    ("/usr/bin/etcd", "etcd-server"),
    ("/usr/sbin/dockerd", "docker.io"),
    ("/bin/busybox", "busybox-static"),
    ("/usr/sbin/ip", "iproute2"),
];
const COMMAND_LINE: (&str, &str) = ("/usr/bin/docker", "docker-cli");
/// dockerd answers within seconds; a minute means that it will not.
const DOCKERD_DEADLINE: Duration = Duration::from_secs(60);

/// What was started; ended when dropped.
pub struct Services(Option<Child>);

impl Drop for Services {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            // SIGTERM lets dockerd clean up its networks; `Child::kill` would not.
            let _ = Command::new("kill").arg(child.id().to_string()).status();
            let _ = child.wait();
        }
    }
}

/// Installs and starts.
pub fn ensure() -> Result<Services> {
    let missing: Vec<&str> =
        PACKAGES.iter().filter(|(file, _)| !Path::new(file).exists()).map(|(_, package)| *package).collect();
    if !missing.is_empty() {
        ensure!(
            is_root()?,
            "missing: {}. Install them, or run as root, or use `cargo xtask test --no-root`",
            missing.join(", ")
        );
        run("apt-get update", Command::new("apt-get").args(["-qq", "update"]))?;
        install(&missing)?;
        if !Path::new(COMMAND_LINE.0).exists() {
            install(&[COMMAND_LINE.1])?;
        }
    }
    for (file, package) in PACKAGES {
        ensure!(Path::new(file).exists(), "{file} is still missing after installing {package}");
    }
    let services = Services(dockerd()?);
    bridge::ensure()?;
    Ok(services)
}

/// What the tests need and do not find, by the word that their names have.
pub fn missing() -> Vec<&'static str> {
    let mut missing = Vec::new();
    if !Path::new(PACKAGES[0].0).exists() {
        missing.push("etcd");
    }
    if !docker_answers() {
        missing.push("docker");
    }
    missing
}

fn install(packages: &[&str]) -> Result<()> {
    run(
        "apt-get install",
        Command::new("apt-get")
            .args(["-qq", "-y", "--no-install-recommends", "install"])
            .args(packages)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdout(Stdio::null()),
    )
}

fn is_root() -> Result<bool> {
    let out = Command::new("id").arg("-u").output().context("cannot run id")?;
    Ok(out.stdout.starts_with(b"0\n"))
}

fn docker_answers() -> bool {
    Command::new("docker")
        .arg("version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn dockerd() -> Result<Option<Child>> {
    if docker_answers() {
        return Ok(None);
    }
    eprintln!("── dockerd: starting");
    match start_dockerd(&[]) {
        Ok(child) => Ok(Some(child)),
        Err(first) => {
            // A kernel without the tables of packet filters: containers reach the machine and each other all the same.
            eprintln!("── dockerd: {first:#}; once more without packet filters");
            Ok(Some(start_dockerd(&["--iptables=false", "--ip6tables=false"]).context(first)?))
        }
    }
}

fn start_dockerd(args: &[&str]) -> Result<Child> {
    let log_path = std::env::temp_dir().join("eru-dockerd.log");
    let log = std::fs::File::create(&log_path).with_context(|| format!("cannot write {}", log_path.display()))?;
    let mut child = Command::new("dockerd")
        .args(args)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("cannot start dockerd")?;
    let begin = Instant::now();
    while begin.elapsed() < DOCKERD_DEADLINE {
        if docker_answers() {
            eprintln!("── dockerd: answers after {:.1} s", begin.elapsed().as_secs_f64());
            return Ok(child);
        }
        if let Some(status) = child.try_wait()? {
            bail!("dockerd ended with {status}; see {}", log_path.display());
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    drop(Services(Some(child)));
    bail!("dockerd did not answer within {} s; see {}", DOCKERD_DEADLINE.as_secs(), log_path.display())
}
