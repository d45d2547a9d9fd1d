//! A watch application on Docker: three stay three, and health is what the workloads say it is.

use crate::docker_scene::{SOON, Site, Store, ask};
use anyhow::{Context, Result, ensure};
use eru_testkit::eventually;

/// A ReplicaSet of `eru-hello`.
pub const SET: &str = "\
replicaset:
  name: NAME
  count: 3
  pod: testpod
  entrypoint: web
  image: IMAGE
  network: NETWORK
  resources:
    cpu: 0.1
    memory: 64M
";

/// Core, an agent, a controller and a set of three on a network.
pub async fn three(site: &mut Site, app: &str, network: &str, cmd: &str) -> Result<Vec<String>> {
    site.deploy_agent(true).await?;
    site.start_controller().await?;
    let set = SET.replace("NAME", app).replace("IMAGE", &site.images.hello).replace("NETWORK", network);
    let spec = format!("appname: {app}\nentrypoints:\n  web:\n    cmd: {cmd}\n{set}");
    let spec = site.write("set.yaml", &spec)?;
    site.cli(&["replicaset", "apply", &spec]).await?;
    let all = site.healthy(app, 3).await?;
    Ok(all.into_iter().map(|workload| workload.id).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn docker_set_gets_its_killed_instance_back() -> Result<()> {
    let test = "docker_set_gets_its_killed_instance_back";
    let Some(mut site) = Site::on_machine(test, Store::Embedded, "loop").await? else { return Ok(()) };
    let ids = three(&mut site, "loop", "bridge", "/usr/bin/eru-hello --port 8080").await?;
    site.docker.run(&["kill", &ids[0]]).await?;
    eventually("the killed one to be replaced", SOON, || async {
        let now = site.healthy("loop", 3).await?;
        ensure!(now.iter().all(|w| w.id != ids[0]), "it is still there");
        ensure!(ids[1..].iter().all(|id| now.iter().any(|w| w.id == *id)), "the others were replaced too: {now:?}");
        anyhow::Ok(())
    })
    .await
    .with_context(|| site.core.log())?;
    let left = site
        .docker
        .run(&["ps", "--all", "--quiet", "--no-trunc", "--filter", &format!("label={}", site.label)])
        .await?;
    let left: Vec<&str> = left.split_whitespace().collect();
    ensure!(left.len() == 4 && !left.contains(&ids[0].as_str()), "an agent and three servers, not {left:?}");
    site.cli(&["replicaset", "remove", "loop"]).await?;
    site.healthy("loop", 0).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn docker_http_health_follows_the_server() -> Result<()> {
    let test = "docker_http_health_follows_the_server";
    let Some(site) = Site::on_machine(test, Store::Embedded, "http").await? else { return Ok(()) };
    site.deploy_agent(true).await?;
    // On `bridge` a port is published as the same port of the machine, so it must be free there.
    let port = eru_testkit::port::free()?;
    let spec = format!(
        "appname: http\nentrypoints:\n  web:\n    cmd: /usr/bin/eru-hello --port {port}\n    publish: [\"{port}\"]\n    \
         healthcheck:\n      http_port: \"{port}\"\n      url: /health\n      code: 200\n"
    );
    let spec = site.write("http.yaml", &spec)?;
    let image = site.images.hello.clone();
    let small = ["--image", &image, "--network", "bridge", "--entry", "web", "--cpu", "0.1", "--memory", "64M"];
    let id = site.deploy("http", &small, &spec).await?;
    let address = format!("{}:{port}", site.bridge_address(&id).await?);
    becomes(&site, &id, true).await?;
    for (path, healthy) in [("/fail", false), ("/heal", true), ("/hang", false)] {
        let (code, text) = ask("POST", &address, path).await?;
        ensure!(code == 200, "{text}");
        becomes(&site, &id, healthy).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn docker_tcp_health_follows_the_listener() -> Result<()> {
    let test = "docker_tcp_health_follows_the_listener";
    let Some(site) = Site::on_machine(test, Store::Embedded, "tcp").await? else { return Ok(()) };
    site.deploy_agent(true).await?;
    let port = eru_testkit::port::free()?.to_string();
    let spec = format!(
        "appname: tcp\nentrypoints:\n  web:\n    cmd: /bin/sleep 86400\n    publish: [\"{port}\"]\n    healthcheck:\n      \
         tcp_ports: [\"{port}\"]\n"
    );
    let spec = site.write("tcp.yaml", &spec)?;
    let image = site.images.busybox.clone();
    let small = ["--image", &image, "--network", "bridge", "--entry", "web", "--cpu", "0.1", "--memory", "64M"];
    let id = site.deploy("tcp", &small, &spec).await?;
    becomes(&site, &id, false).await?;
    for _ in 0..2 {
        site.docker.run(&["exec", "--detach", &id, "httpd", "-f", "-p", &port]).await?;
        becomes(&site, &id, true).await?;
        site.docker.run(&["exec", &id, "killall", "httpd"]).await?;
        becomes(&site, &id, false).await?;
    }
    Ok(())
}

/// Waits until a running workload is shown healthy or not.
async fn becomes(site: &Site, id: &str, healthy: bool) -> Result<()> {
    let shown = eventually(&format!("healthy={healthy}"), SOON, || async {
        let all = site.workloads("").await?;
        let status = all.iter().find(|w| w.id == id).and_then(|w| w.status.clone()).context("no status")?;
        ensure!(status.running, "it does not run: {status:?}");
        ensure!(status.healthy == healthy, "{status:?}");
        anyhow::Ok(())
    })
    .await;
    match shown {
        Ok(()) => Ok(()),
        Err(error) => Err(error.context(site.agent_log().await)),
    }
}
