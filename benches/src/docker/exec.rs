//! Commands inside: how long a keystroke takes to come back, beside what the engine takes for the same.

use super::{engine::Engine, site::Site, size::Size};
use crate::table::Table;
use anyhow::{Context, Result};
use eru_api::pb;
use eru_testkit::{Docker, Percentiles};
use std::{
    path::Path,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    sync::mpsc,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

/// What runs in the terminal: whatever is typed, the terminal echoes.
const COMMAND: [&str; 1] = ["/bin/cat"];
const KEY: u8 = b'x';
/// Longest wait for one echo.
const PATIENCE: Duration = Duration::from_secs(20);

/// Measures.
///
/// # Errors
/// When an echo does not come.
pub async fn run(binary: &Path, size: Size) -> Result<()> {
    let Some(docker) = Docker::of_machine("bench docker-exec") else { return Ok(()) };
    let mut table = Table::new("Commands inside a container")?;
    let engine = Engine::new(&docker.host);
    let site = Site::start(binary, docker).await?;
    let image = site.images.busybox.clone();
    let ids = site.deploy("exec", &image, "/bin/sleep 86400", "none", 1).await?;
    let (mut ours, mut theirs) = (Ours::open(&site, &ids[0]).await?, engine.terminal(&ids[0], &COMMAND).await?);
    let (mut through_eru, mut of_engine) = (Vec::new(), Vec::new());
    for _ in 0..size.keystrokes {
        through_eru.push(tokio::time::timeout(PATIENCE, ours.keystroke()).await.context("no echo through Eru")??);
        of_engine.push(tokio::time::timeout(PATIENCE, keystroke(&mut theirs)).await.context("no echo")??);
    }
    let (through_eru, of_engine) = (Percentiles::new(through_eru), Percentiles::new(of_engine));
    let over = through_eru.at(50.0).saturating_sub(of_engine.at(50.0));
    table.row(format!("keystroke -> echo, Docker's own, {} times", of_engine.count()), "", of_engine.to_string());
    table.row("keystroke -> echo, through Eru", "", through_eru.to_string());
    table.row("through Eru over Docker's own, median", "<= 2 ms", format!("{:.2} ms", over.as_secs_f64() * 1e3));
    table.print();
    Ok(())
}

async fn keystroke(terminal: &mut UnixStream) -> Result<Duration> {
    let begin = Instant::now();
    terminal.write_all(&[KEY]).await?;
    while terminal.read_u8().await? != KEY {}
    Ok(begin.elapsed())
}

/// A terminal through core.
struct Ours {
    input: mpsc::Sender<pb::ExecuteWorkloadOptions>,
    output: Streaming<pb::AttachWorkloadMessage>,
}

impl Ours {
    async fn open(site: &Site, id: &str) -> Result<Self> {
        let (input, requests) = mpsc::channel(4);
        let first = pb::ExecuteWorkloadOptions {
            workload_id: id.to_owned(),
            commands: COMMAND.map(String::from).to_vec(),
            open_stdin: true,
            raw: true,
            ..Default::default()
        };
        input.send(first).await?;
        let output = site.client().await?.execute_workload(ReceiverStream::new(requests)).await?.into_inner();
        Ok(Self { input, output })
    }

    async fn keystroke(&mut self) -> Result<Duration> {
        let begin = Instant::now();
        self.input.send(pb::ExecuteWorkloadOptions { input: vec![KEY].into(), ..Default::default() }).await?;
        loop {
            let message = self.output.message().await?.context("the terminal ended")?;
            anyhow::ensure!(!message.exited, "the terminal ended: {message:?}");
            if message.data.contains(&KEY) {
                return Ok(begin.elapsed());
            }
        }
    }
}
