//! A container is killed; how long until its replacement runs. Beside it, round by round: what `docker run` of the same
//! image takes, how late the engine itself notices, and what Docker Swarm takes.

use super::{
    engine::Engine,
    proxy::{Call, Proxy},
    site::healthy_up,
    size::Size,
    swarm::Swarm,
};
use crate::table::Table;
use anyhow::{Context, Result};
use eru_api::pb;
use eru_images::TestImages;
use eru_testkit::{
    Docker, Percentiles, Up,
    docker::{Events, now},
};
use std::{
    path::Path,
    time::{Duration, Instant},
};
use tonic::Streaming;

/// Longest wait for one replacement.
const PATIENCE: Duration = Duration::from_secs(90);
const LABEL: &str = "eru.bench=run";

/// Each server is killed once, since a slot that fails twice within a minute waits on purpose. Without a limit on processor
/// time, as `docker run` and Swarm have it: a small one would slow down the engine's own steps inside the container.
fn spec(image: &str, count: usize) -> String {
    format!(
        "appname: bench\nentrypoints:\n  web:\n    cmd: /usr/bin/eru-hello --port 8080\nreplicaset:\n  count: {count}\n  \
         entrypoint: web\n  image: {image}\n  network: bridge\n  resources:\n    memory: 32M\n"
    )
}

#[derive(Default)]
struct Samples {
    dead: Vec<Duration>,
    replaced: Vec<Duration>,
    before_create: Vec<Duration>,
    after_start: Vec<Duration>,
    own: Vec<Duration>,
    create: Vec<Duration>,
    between: Vec<Duration>,
    start: Vec<Duration>,
    run: Vec<Duration>,
    notice: Vec<Duration>,
    swarm: Vec<Duration>,
}

/// Measures.
///
/// # Errors
/// When a replacement does not come.
pub async fn run(binary: &Path, size: Size) -> Result<()> {
    let Some(docker) = Docker::of_machine("bench docker") else { return Ok(()) };
    let mut table = Table::new("A container is killed")?;
    let images = TestImages::ensure(binary, None)?;
    let folder = tempfile::tempdir()?;
    let proxy = Proxy::start(&folder.path().join("docker.sock"), &docker.host)?;
    let file = folder.path().join("bench.yaml");
    std::fs::write(&file, spec(&images.hello, size.kills))?;
    let up = Up::start(binary, &["--docker", &proxy.endpoint, &file.display().to_string()]).await?;
    let first = healthy_up(&up, size.kills).await?;
    let swarm = Swarm::start(&docker, &images.hello).await;
    let engine = Engine::new(&docker.host);
    let mut client = up.client().await?;
    let mut stream = client.workload_status_stream(pb::WorkloadStatusStreamOptions::default()).await?.into_inner();
    let mut events = docker.events().await?;
    let mut samples = Samples::default();
    for victim in &first {
        let all = healthy_up(&up, size.kills).await?;
        ours(&engine, &proxy, &mut stream, &mut events, victim, &all, &mut samples).await?;
        docker_run(&docker, &engine, &mut events, &images.hello, &mut samples).await?;
        if let Ok(swarm) = &swarm {
            let task = swarm.task().await?;
            let begin = engine.kill(&task).await?;
            samples.swarm.push(swarm.started(&mut events).await?.saturating_sub(begin));
        }
    }
    rows(&mut table, size.kills, samples, swarm.as_ref().err());
    table.print();
    drop(swarm);
    Ok(())
}

/// One of ours: from the kill to its replacement on the stream, and what of it is ours.
async fn ours(
    engine: &Engine,
    proxy: &Proxy,
    stream: &mut Streaming<pb::WorkloadStatusStreamMessage>,
    events: &mut Events,
    victim: &pb::Workload,
    before: &[pb::Workload],
    samples: &mut Samples,
) -> Result<()> {
    proxy.take();
    let begin = engine.kill(&victim.id).await?;
    let mut is_dead = false;
    let running = loop {
        let message =
            tokio::time::timeout(PATIENCE, stream.message()).await?.transpose().context("the stream ended")??;
        let at = now();
        let status = message.status.unwrap_or_default();
        if message.id == victim.id && !status.running && !message.delete && !is_dead {
            is_dead = true;
            samples.dead.push(at.saturating_sub(begin));
        }
        if status.running && before.iter().all(|w| w.id != message.id) {
            break at;
        }
    };
    samples.replaced.push(running.saturating_sub(begin));
    let died = events.wait("die", &victim.id, PATIENCE).await?.at;
    let marks = proxy.take();
    let mark = |call, sent| marks.iter().find(|mark| mark.call == call && mark.sent == sent).map(|mark| mark.at);
    let create = mark(Call::Create, true).context("no create was sent")?;
    let created = mark(Call::Create, false).context("no create was answered")?;
    let start = mark(Call::Start, true).context("no start was sent")?;
    // The agent may hear of the start before core hears its answer: then nothing is left to do.
    let started = mark(Call::Start, false).unwrap_or(running);
    samples.create.push(created.saturating_sub(create));
    samples.start.push(started.saturating_sub(start));
    samples.between.push(start.saturating_sub(created));
    let (before, after) = (create.saturating_sub(died), running.saturating_sub(started));
    samples.before_create.push(before);
    samples.after_start.push(after);
    samples.own.push(before + after);
    Ok(())
}

/// The engine alone: its command line starts the same image; then the container is killed.
async fn docker_run(
    docker: &Docker,
    engine: &Engine,
    events: &mut Events,
    image: &str,
    samples: &mut Samples,
) -> Result<()> {
    let begin = Instant::now();
    let id = docker.run(&["run", "--detach", "--label", LABEL, image]).await?;
    samples.run.push(begin.elapsed());
    let begin = engine.kill(&id).await;
    let died = match begin {
        Ok(begin) => events.wait("die", &id, PATIENCE).await.map(|event| event.at.saturating_sub(begin)),
        Err(error) => Err(error),
    };
    docker.run(&["rm", "--force", &id]).await?;
    samples.notice.push(died?);
    Ok(())
}

fn rows(table: &mut Table, kills: usize, samples: Samples, no_swarm: Option<&anyhow::Error>) {
    let (run, notice) = (Percentiles::new(samples.run), Percentiles::new(samples.notice));
    let to_reach = (run.at(50.0) + notice.at(50.0)).mul_f64(1.25);
    table.row(format!("docker run -d of the same image, {kills} times"), "", run.to_string());
    table.row("the engine's own notice: kill sent -> die event", "", notice.to_string());
    table.row(
        "killed -> replacement running on the stream",
        format!("median <= {:.0} ms = 1.25 x (docker run + notice), ahead of Swarm", to_reach.as_secs_f64() * 1e3),
        Percentiles::new(samples.replaced).to_string(),
    );
    if !samples.dead.is_empty() {
        table.row("killed -> running=false on the stream", "", Percentiles::new(samples.dead).to_string());
    }
    table.row("our own part: die event -> create sent", "", Percentiles::new(samples.before_create).to_string());
    table.row("our own part: start answered -> running", "", Percentiles::new(samples.after_start).to_string());
    table.row("our own part, both", "<= 30 ms", Percentiles::new(samples.own).to_string());
    table.row("between: create answered -> start sent", "", Percentiles::new(samples.between).to_string());
    table.row("the engine's part: create sent -> answered", "", Percentiles::new(samples.create).to_string());
    table.row("the engine's part: start sent -> answered", "", Percentiles::new(samples.start).to_string());
    let swarm = match no_swarm {
        None => Percentiles::new(samples.swarm).to_string(),
        Some(error) => format!("not measured: {}", format!("{error:#}").replace('\n', " ")),
    };
    table.row("Docker Swarm, --restart-delay 0s: killed -> start event", "", swarm);
}
