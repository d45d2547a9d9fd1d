//! Everything of Eru killed and upgraded on Docker: what runs is adopted, and nobody who watches sees it flap.

use crate::{
    docker_loop::three,
    docker_scene::{SOON, Site, Store},
    docker_watch::Watcher,
};
use anyhow::{Context, Result, ensure};
use eru_api::pb;
use eru_testkit::{Docker, OwnDockerd, eventually};

/// A process id of the engine's view; 0 while it does not run.
async fn pid(docker: &Docker, id: &str) -> Result<u32> {
    Ok(docker.run(&["inspect", "--format", "{{.State.Pid}}", id]).await?.parse()?)
}

/// An agent lives and watches: a workload that is killed behind our back is shown so.
async fn the_agent_sees_deaths(site: &Site, app: &str) -> Result<()> {
    let spec = site.hello_spec(app, "")?;
    let image = site.images.hello.clone();
    let small = ["--image", &image, "--network", "none", "--entry", "web", "--cpu", "0.1", "--memory", "64M"];
    let id = site.deploy(app, &small, &spec).await?;
    let shown = |running: bool| {
        let id = id.clone();
        eventually(if running { "running" } else { "not running" }, SOON * 2, move || {
            let id = id.clone();
            async move {
                let all = site.workloads(app).await?;
                let status = all.iter().find(|w| w.id == id).and_then(|w| w.status.clone()).context("no status")?;
                ensure!(!status.id.is_empty() && status.running == running, "{status:?}");
                anyhow::Ok(())
            }
        })
    };
    shown(true).await?;
    site.docker.run(&["kill", &id]).await?;
    shown(false).await?;
    site.cli(&["workload", "remove", "--force", &id]).await?;
    Ok(())
}

async fn same_three(site: &Site, app: &str, ids: &[String]) -> Result<()> {
    let now: Vec<pb::Workload> = site.healthy(app, 3).await?;
    ensure!(ids.iter().all(|id| now.iter().any(|w| w.id == *id)), "adopted, not replaced: {ids:?}, now {now:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn docker_kill9_of_agent_core_and_controller_adopts_all() -> Result<()> {
    let test = "docker_kill9_of_agent_core_and_controller_adopts_all";
    let Some(mut site) = Site::on_machine(test, Store::Embedded, "kill9").await? else { return Ok(()) };
    let ids = three(&mut site, "kill9", "bridge", "/usr/bin/eru-hello --port 8080").await?;
    let mut before = Vec::new();
    for id in &ids {
        before.push(pid(&site.docker, id).await?);
    }
    let watcher = Watcher::start(&site.address).await?;
    let steady = async |site: &Site, what: &str| -> Result<()> {
        same_three(site, "kill9", &ids).await.with_context(|| what.to_owned())?;
        watcher.assert_steady(&ids).with_context(|| what.to_owned())
    };

    let agent = site.workloads("eru").await?.first().context("the agent is a workload")?.id.clone();
    let agent_pid = pid(&site.docker, &agent).await?;
    eru_testkit::up::signal(agent_pid, rustix::process::Signal::KILL)?;
    eventually("the agent's own restart", SOON, || async {
        let now = pid(&site.docker, &agent).await?;
        ensure!(now != 0 && now != agent_pid, "process {now}");
        anyhow::Ok(())
    })
    .await?;
    the_agent_sees_deaths(&site, "after-agent").await.context("after the agent's death")?;
    steady(&site, "after the agent's death").await?;

    let snapshots = watcher.synced();
    site.core.kill9()?;
    site.core.again()?;
    site.core_answers().await?;
    watcher.synced_again(snapshots).await?;
    the_agent_sees_deaths(&site, "after-core").await.context("after core's death")?;
    steady(&site, "after core's death").await?;

    let controller = site.controller.as_mut().context("it was started")?;
    controller.kill9()?;
    controller.again()?;
    site.controller_answers().await?;
    steady(&site, "after the controller's death").await?;

    let mut after = Vec::new();
    for id in &ids {
        after.push(pid(&site.docker, id).await?);
    }
    assert_eq!(before, after, "the same processes");
    // And the loop is whole: one that dies now is replaced.
    site.docker.run(&["kill", &ids[0]]).await?;
    eventually("the killed one to be replaced", SOON, || async {
        let now = site.healthy("kill9", 3).await?;
        ensure!(now.iter().all(|w| w.id != ids[0]), "it is still there");
        anyhow::Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn docker_agent_upgraded_through_eru_flaps_nothing() -> Result<()> {
    let test = "docker_agent_upgraded_through_eru_flaps_nothing";
    let Some(mut site) = Site::on_machine(test, Store::Embedded, "upgrade").await? else { return Ok(()) };
    // The new agent knows nothing of the health that the old one has told of.
    let checked = "/usr/bin/eru-hello --port 8080\n    healthcheck:\n      http_port: \"8080\"\n      url: /health";
    let ids = three(&mut site, "upgrade", "bridge", checked).await?;
    let old = site.healthy("eru", 1).await?[0].id.clone();
    let watcher = Watcher::start(&site.address).await?;
    let newer = format!("{}-newer", site.images.agent);
    site.docker.run(&["tag", &site.images.agent, &newer]).await?;
    let spec = site.path("eru-agent.yaml").display().to_string();
    let replaced =
        site.cli(&["workload", "replace", "--pod", "testpod", "--entry", "agent", "--image", &newer, &spec]).await;
    let untagged = site.docker.run(&["rmi", &newer]).await;
    replaced?;
    let now = site.healthy("eru", 1).await?;
    ensure!(now[0].id != old && now[0].image == newer, "another agent: {now:?}");
    the_agent_sees_deaths(&site, "after-upgrade").await?;
    same_three(&site, "upgrade", &ids).await?;
    watcher.assert_steady(&ids)?;
    watcher.assert_nodes_alive()?;
    // A name that a container uses is taken away all the same; only its layers stay.
    untagged?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn docker_daemon_killed_with_live_restore_adopts_all() -> Result<()> {
    let test = "docker_daemon_killed_with_live_restore_adopts_all";
    if !OwnDockerd::is_possible(test) {
        return Ok(());
    }
    let folder = tempfile::Builder::new().prefix("eru-dockerd").tempdir()?;
    let mut dockerd = OwnDockerd::start(folder.path()).await?;
    let mut site = Site::start(dockerd.docker.clone(), Store::Embedded, "dockerd").await?;
    let ids = three(&mut site, "dockerd", "none", "/usr/bin/eru-hello --port 8080").await?;
    let mut before = Vec::new();
    for id in &ids {
        before.push(pid(&site.docker, id).await?);
    }
    let watcher = Watcher::start(&site.address).await?;
    dockerd.kill9()?;
    for pid in &before {
        ensure!(std::fs::exists(format!("/proc/{pid}"))?, "a container died with dockerd");
    }
    dockerd.again().await.with_context(|| dockerd.log())?;
    // Deploying needs core to reach the new daemon, seeing a death needs the agent to: its mount of the socket is stale,
    // so it ends after 30 s, and its restart mounts the new one. Until then the node is unwatched, which is not lost.
    the_agent_sees_deaths(&site, "after-dockerd").await.with_context(|| site.core.log())?;
    same_three(&site, "dockerd", &ids).await?;
    watcher.assert_steady(&ids)?;
    watcher.assert_nodes_alive()?;
    let mut after = Vec::new();
    for id in &ids {
        after.push(pid(&site.docker, id).await?);
    }
    assert_eq!(before, after, "the same processes");
    drop(site);
    Ok(())
}
