//! Much output, of a command inside and of a log: every byte arrives, and core does not grow.

use super::{site::Site, size::Size};
use crate::{
    process::{mib, resident_bytes},
    table::Table,
};
use anyhow::{Context, Result, ensure};
use eru_api::pb::{self, StdStreamType};
use eru_testkit::Docker;
use std::{
    path::Path,
    time::{Duration, Instant},
};

/// How often core's memory is looked at.
const PERIOD: Duration = Duration::from_millis(100);
/// Bytes of one line, its end among them.
const LINE_BYTES: u64 = 1024;

/// Measures.
///
/// # Errors
/// When a byte is missing, or a stream breaks.
pub async fn run(binary: &Path, size: Size) -> Result<()> {
    let Some(docker) = Docker::of_machine("bench docker-output") else { return Ok(()) };
    let mut table = Table::new(&format!("{} of output", mib(size.output_bytes)))?;
    let site = Site::start(binary, docker).await?;
    let image = site.images.busybox.clone();
    let id = site.deploy("output", &image, "/bin/sleep 86400", "none", 1).await?.remove(0);
    let lines = format!("yes $(printf %0{}d 0) | head -c {}", LINE_BYTES - 1, size.output_bytes);

    // Once in small, so that what is measured is growth and not the first use.
    let warm = format!("yes $(printf %0{}d 0) | head -c {}", LINE_BYTES - 1, 1 << 20);
    ensure!(exec(&site, &id, &warm).await? == 1 << 20, "the first megabyte came short");

    let measured = measured(&site, exec(&site, &id, &lines)).await?;
    measured.row(&mut table, "exec, through Eru", size.output_bytes)?;
    let begin = Instant::now();
    let counted = site.docker.run(&["exec", &id, "sh", "-c", &format!("{lines} | wc -c")]).await?;
    let produced = begin.elapsed();
    ensure!(counted == size.output_bytes.to_string(), "{counted} bytes");
    let begin = Instant::now();
    docker_exec(&site, &id, &lines, size.output_bytes).await?;
    table.row("exec, Docker's own command line", "", rate(size.output_bytes, begin.elapsed()));
    table.row("the command alone, its output counted inside", "", rate(size.output_bytes, produced));

    let writer = site.docker.host.clone();
    let entrypoint = pb::EntrypointOptions {
        name: "web".into(),
        commands: vec!["/bin/sh".into(), "-c".into(), lines],
        ..Default::default()
    };
    let id = site.deploy_entrypoint("log", &image, entrypoint, "none", 1).await?.remove(0);
    site.docker.run(&["wait", &id]).await.with_context(|| writer)?;
    let measured = self::measured(&site, logs(&site, &id)).await?;
    measured.row(&mut table, "logs, through Eru", size.output_bytes)?;
    table.print();
    Ok(())
}

/// Bytes received, in what time, and how core's memory was.
struct Measured {
    bytes: u64,
    took: Duration,
    before: u64,
    peak: u64,
}

impl Measured {
    fn row(&self, table: &mut Table, what: &str, wanted: u64) -> Result<()> {
        ensure!(self.bytes == wanted, "{what}: {} of {wanted} bytes", self.bytes);
        let rate = rate(self.bytes, self.took);
        table.row(format!("{what}: bytes"), "every byte", format!("{} of {wanted}, {rate}", self.bytes));
        let (before, peak) = (mib(self.before), mib(self.peak));
        table.row(format!("{what}: memory of core, before and at most"), "no growth", format!("{before} -> {peak}"));
        Ok(())
    }
}

fn rate(bytes: u64, took: Duration) -> String {
    format!("{:.1} s, {:.0} MiB/s", took.as_secs_f64(), bytes as f64 / f64::from(1 << 20) / took.as_secs_f64())
}

async fn measured(site: &Site, reading: impl Future<Output = Result<u64>>) -> Result<Measured> {
    let pid = site.core.pid();
    let before = resident_bytes(pid)?;
    let (begin, mut peak) = (Instant::now(), before);
    let mut reading = std::pin::pin!(reading);
    let mut ticks = tokio::time::interval(PERIOD);
    let bytes = loop {
        tokio::select! {
            bytes = &mut reading => break bytes?,
            _ = ticks.tick() => peak = peak.max(resident_bytes(pid)?),
        }
    };
    Ok(Measured { bytes, took: begin.elapsed(), before, peak })
}

async fn exec(site: &Site, id: &str, line: &str) -> Result<u64> {
    let first = pb::ExecuteWorkloadOptions {
        workload_id: id.to_owned(),
        commands: vec!["/bin/sh".into(), "-c".into(), line.to_owned()],
        raw: true,
        ..Default::default()
    };
    let mut stream = site.client().await?.execute_workload(tokio_stream::iter([first])).await?.into_inner();
    let (mut bytes, mut code) = (0, None);
    while let Some(message) = stream.message().await? {
        match message.std_stream_type() {
            StdStreamType::Eruerror => anyhow::bail!("{}", String::from_utf8_lossy(&message.data)),
            _ if message.exited => code = Some(message.exit_code),
            _ => bytes += message.data.len() as u64,
        }
    }
    ensure!(code == Some(0), "exit code {code:?}");
    Ok(bytes)
}

async fn docker_exec(site: &Site, id: &str, line: &str, wanted: u64) -> Result<()> {
    use tokio::io::AsyncReadExt;
    let mut child = tokio::process::Command::new("docker")
        .args(["exec", id, "sh", "-c", line])
        .env("DOCKER_HOST", &site.docker.host)
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut output = child.stdout.take().context("its output is a pipe")?;
    let (mut buffer, mut bytes) = (vec![0; 256 << 10], 0);
    loop {
        match output.read(&mut buffer).await? {
            0 => break,
            read => bytes += read as u64,
        }
    }
    ensure!(bytes == wanted, "docker exec: {bytes} of {wanted} bytes");
    Ok(())
}

async fn logs(site: &Site, id: &str) -> Result<u64> {
    let options = pb::LogStreamOptions { id: id.to_owned(), tail: "all".into(), ..Default::default() };
    let mut stream = site.client().await?.log_stream(options).await?.into_inner();
    let mut bytes = 0;
    while let Some(message) = stream.message().await? {
        ensure!(message.error.is_empty(), "{}", message.error);
        bytes += message.data.len() as u64;
    }
    Ok(bytes)
}
