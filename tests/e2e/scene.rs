//! What several tests do on the way to their point.

use anyhow::{Context, Result, ensure};
use eru_api::pb;
use eru_testkit::{Up, eventually};
use futures::TryStreamExt;
use std::{sync::LazyLock, time::Duration};

/// The binary under test.
pub const ERU: &str = env!("CARGO_BIN_EXE_eru");
/// Longest wait for anything that should take milliseconds: the machine may be busy.
pub const SOON: Duration = Duration::from_secs(20);

/// The port of the servers in `examples/`, or another where something of the machine listens on that one everywhere:
/// then no address has it free.
pub static PORT: LazyLock<u16> = LazyLock::new(|| {
    let taken = || eru_testkit::port::free().expect("the system has a free port");
    std::net::TcpListener::bind("0.0.0.0:8080").map_or_else(|_| taken(), |_| 8080)
});

/// A spec of `examples/`, its port [`PORT`].
pub fn example(name: &str) -> String {
    let from = format!("{}/../../examples/{name}", env!("CARGO_MANIFEST_DIR"));
    if *PORT == 8080 {
        return from;
    }
    let to = format!("{}/{}-{name}", env!("CARGO_TARGET_TMPDIR"), *PORT);
    let text = std::fs::read_to_string(&from).expect("an example is readable");
    std::fs::write(&to, text.replace("8080", &PORT.to_string())).expect("the build's folder is writable");
    to
}

/// `eru up` with three servers.
pub async fn three_servers() -> Result<(Up, Vec<pb::Workload>)> {
    let up = Up::start(ERU, &[&example("hello.yaml")]).await?;
    let all = healthy(&up, 3).await?;
    Ok((up, all))
}

/// Every workload.
pub async fn workloads(up: &Up) -> Result<Vec<pb::Workload>> {
    let stream = up.client().await?.list_workloads(pb::ListWorkloadsOptions::default()).await?.into_inner();
    Ok(stream.try_collect().await?)
}

/// Waits until there are exactly `count` workloads, all healthy.
pub async fn healthy(up: &Up, count: usize) -> Result<Vec<pb::Workload>> {
    eventually(&format!("{count} healthy workloads"), SOON, || async move {
        let all = workloads(up).await?;
        let healthy = all.iter().filter(|w| w.status.as_ref().is_some_and(|s| s.healthy)).count();
        ensure!(healthy == count && all.len() == count, "{healthy} healthy of {}: {all:?}", all.len());
        anyhow::Ok(all)
    })
    .await
    .with_context(|| up.log())
}

/// What the server of a workload answers, and so its process id.
pub async fn pid_of(workload: &pb::Workload) -> Result<u32> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let status = workload.status.as_ref().context("no status")?;
    let address = status.networks.values().next().context("no address")?;
    let mut stream = tokio::net::TcpStream::connect((address.as_str(), *PORT)).await?;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: hello\r\nconnection: close\r\n\r\n").await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    let pid = text.split_whitespace().skip_while(|word| *word != "pid").nth(1).context("no pid in the answer")?;
    Ok(pid.parse()?)
}

/// Processes of `folder`'s commands and shims, by their command line: nothing of them may be doubled or left.
pub fn servers_running(address: &str) -> usize {
    let Ok(processes) = std::fs::read_dir("/proc") else { return 0 };
    let wanted = format!("ERU_IP={address}\0");
    processes
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().bytes().all(|b| b.is_ascii_digit()))
        .filter(|entry| {
            let hello = std::fs::read(entry.path().join("cmdline")).is_ok_and(|c| c.starts_with(b"eru-hello\0"));
            hello && std::fs::read(entry.path().join("environ")).is_ok_and(|e| find(&e, wanted.as_bytes()))
        })
        .count()
}

fn find(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
