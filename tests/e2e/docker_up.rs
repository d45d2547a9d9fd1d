//! `eru up` and the Docker engine of the machine: its second node.

use crate::{docker_scene::SOON, scene::ERU};
use anyhow::{Context, Result, ensure};
use eru_api::pb;
use eru_images::TestImages;
use eru_testkit::{Docker, OwnDockerd, Up, eventually};
use futures::TryStreamExt;
use std::path::Path;

/// Any port will do, as nobody asks these servers anything. A port of theirs could be taken by whatever else runs on this
/// machine; they would then be replaced without end, and each be healthy for a moment.
const SPEC: &str = "\
appname: mixed
entrypoints:
  web:
    cmd: eru-hello --port 0
replicaset:
  name: NAME
  count: COUNT
  entrypoint: web
  image: \"IMAGE\"
  resources:
    cpu: 0.1
    memory: 64M
";

async fn healthy(up: &Up, count: usize) -> Result<Vec<pb::Workload>> {
    eventually(&format!("{count} healthy workloads"), SOON, || async move {
        let options = pb::ListWorkloadsOptions::default();
        let all: Vec<pb::Workload> =
            up.client().await?.list_workloads(options).await?.into_inner().try_collect().await?;
        let healthy = all.iter().filter(|w| w.status.as_ref().is_some_and(|s| s.running && s.healthy)).count();
        ensure!(healthy == count && all.len() == count, "{healthy} healthy of {}: {all:?}", all.len());
        anyhow::Ok(all)
    })
    .await
    .with_context(|| up.log())
}

fn ids(all: &[pb::Workload]) -> Vec<String> {
    let mut ids: Vec<_> = all.iter().map(|w| w.id.clone()).collect();
    ids.sort();
    ids
}

fn spec(folder: &Path, name: &str, count: usize, image: &str) -> Result<String> {
    // On the machine's own network a server that listens everywhere would be in the way of every other.
    let network = if image.is_empty() { "" } else { "  network: bridge\n" };
    let text = SPEC.to_owned() + network;
    let text = text.replace("NAME", name).replace("COUNT", &count.to_string()).replace("IMAGE", image);
    let path = folder.join(format!("{name}.yaml"));
    std::fs::write(&path, text)?;
    Ok(path.display().to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn up_runs_images_on_docker_and_commands_beside() -> Result<()> {
    let Some(docker) = Docker::of_machine("up_runs_images_on_docker_and_commands_beside") else { return Ok(()) };
    let images = tokio::task::spawn_blocking(|| TestImages::ensure(Path::new(ERU), None)).await??;
    let folder = tempfile::tempdir()?;
    let with_image = spec(folder.path(), "boxed", 1, &images.hello)?;
    let plain = spec(folder.path(), "plain", 1, "")?;
    let args = ["--docker", docker.host.as_str(), "--node", "upnode", &with_image, &plain];
    let mut up = Up::start(ERU, &args).await?;
    let all = healthy(&up, 2).await?;
    let boxed = all.iter().find(|w| w.image == images.hello).context("one has the image")?;
    let command = all.iter().find(|w| w.image.is_empty()).context("one is a command")?;
    assert_eq!((boxed.nodename.as_str(), command.nodename.as_str()), ("upnode-docker", "upnode"));
    let id = boxed.id.clone();

    // Stopped: the container goes on. Started: it is found again.
    up.stop().await?;
    assert_eq!(docker.run(&["inspect", "--format", "{{.State.Running}}", &id]).await?, "true");
    up.again(&[]).await?;
    assert_eq!(ids(&healthy(&up, 2).await?), ids(&all));

    // Killed: replaced, on Docker again.
    docker.run(&["kill", &id]).await?;
    eventually("the killed one to be replaced", SOON, || async {
        let now = healthy(&up, 2).await?;
        ensure!(now.iter().all(|w| w.id != id), "it is still there");
        ensure!(now.iter().any(|w| w.nodename == "upnode-docker"), "{now:?}");
        anyhow::Ok(())
    })
    .await?;
    let now = healthy(&up, 2).await?;
    let boxed = now.iter().find(|w| w.nodename == "upnode-docker").context("one on Docker")?.id.clone();

    // Down: both kinds are gone, whether `eru up` runs or not.
    up.stop().await?;
    let out = std::process::Command::new(ERU).arg("down").arg("--data-dir").arg(up.data_dir()).output()?;
    ensure!(out.status.success(), "{out:?}");
    for id in [&id, &boxed] {
        ensure!(docker.run(&["inspect", id]).await.is_err(), "container {id} is left");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn up_takes_a_docker_that_comes_later_and_survives_its_restart() -> Result<()> {
    let test = "up_takes_a_docker_that_comes_later_and_survives_its_restart";
    if !OwnDockerd::is_possible(test) {
        return Ok(());
    }
    let folder = tempfile::Builder::new().prefix("eru-later").tempdir()?;
    let endpoint = format!("unix://{}", folder.path().join("docker.sock").display());
    let up = Up::start(ERU, &["--docker", &endpoint, "--node", "later"]).await?;
    ensure!(up.log().contains("no Docker engine yet"), "{}", up.log());
    let nodes = up.cli_ok(&["node", "get", "later-docker"]).await;
    ensure!(nodes.is_err(), "there is no such node yet: {nodes:?}");

    let mut dockerd = OwnDockerd::start(folder.path()).await?;
    let host = endpoint.clone();
    let images = tokio::task::spawn_blocking(move || TestImages::ensure(Path::new(ERU), Some(&host))).await??;
    eventually("the node", SOON, || async { up.cli_ok(&["node", "get", "later-docker"]).await }).await?;
    let boxed = spec(folder.path(), "boxed", 1, &images.hello)?;
    up.cli_ok(&["replicaset", "apply", "--pod", "local", &boxed]).await?;
    let before = healthy(&up, 1).await?;

    dockerd.kill9()?;
    dockerd.again().await?;
    assert_eq!(ids(&healthy(&up, 1).await?), ids(&before), "it is the same");
    dockerd.docker.run(&["kill", &before[0].id]).await?;
    eventually("the killed one to be replaced", SOON, || async {
        let now = healthy(&up, 1).await?;
        ensure!(ids(&now) != ids(&before), "it is still there");
        anyhow::Ok(())
    })
    .await
    .with_context(|| up.log())?;
    // Before its engine: `eru down` removes what runs there.
    drop(up);
    Ok(())
}
