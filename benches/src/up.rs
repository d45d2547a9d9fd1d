//! What `eru up` costs.

use crate::{
    cluster::up_with,
    process::{cpu_percent, mib, resident_bytes},
    table::Table,
};
use anyhow::Result;
use eru_testkit::{Docker, Percentiles, Up};
use std::{
    path::Path,
    time::{Duration, Instant},
};

/// Measures.
///
/// # Errors
/// When it does not start.
pub async fn run(binary: &Path) -> Result<()> {
    let mut table = Table::new("eru up")?;
    table.row("start -> ready, empty folder, 10 starts", "<= 200 ms", starts(binary, "off").await?.to_string());
    if let Some(docker) = Docker::of_machine("bench up, with Docker") {
        let samples = starts(binary, &docker.host).await?;
        table.row("the same with a Docker engine as second node", "<= 200 ms", samples.to_string());
        let up = Up::start(binary, &["--docker", &docker.host]).await?;
        tokio::time::sleep(Duration::from_secs(10)).await;
        table.row("memory with a Docker engine, after 10 s", "<= 40 MiB", mib(resident_bytes(up.pid())?));
    }
    let up = up_with(binary, "hello.yaml", 3).await?;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let cpu = cpu_percent(up.pid(), Duration::from_secs(30)).await?;
    table.row("memory with three servers, after 40 s", "<= 40 MiB", mib(resident_bytes(up.pid())?));
    table.row("CPU with three servers, 30 s", "<= 1 % of a core", format!("{cpu:.2} %"));
    table.row("size of the binary", "<= 20 MiB", mib(std::fs::metadata(binary)?.len()));
    table.print();
    Ok(())
}

async fn starts(binary: &Path, docker: &str) -> Result<Percentiles> {
    let mut samples = Vec::new();
    for _ in 0..10 {
        let begin = Instant::now();
        let up = Up::start(binary, &["--docker", docker]).await?;
        samples.push(begin.elapsed());
        drop(up);
    }
    Ok(Percentiles::new(samples))
}
