//! The page on a real Docker engine: its commands, its files, its tables, byte for byte.

use crate::docker_scene::{SOON, Site, Store};
use anyhow::{Context, Result, ensure};
use eru_api::pb;
use eru_testkit::{docker::now, eventually};
use std::time::Duration;

/// `mission.md`, the first table: nobody has reported yet.
const FIRST_TABLE: &str = "\
┌────┬────────────────┬──────────┬────────────┐
│ ID │ STATUS         │ NETWORKS │ EXTENSIONS │
├────┼────────────────┼──────────┼────────────┤
│    │ Running: false │          │            │
│    │ Healthy: false │          │            │
└────┴────────────────┴──────────┴────────────┘
";

/// `mission.md`, the second table.
const SECOND_TABLE: &str = r#"┌──────────────────────────────────────────────────────────────────┬───────────────┬────────────────────┬───────────────────────────────────────────────┐
│ ID                                                               │ STATUS        │ NETWORKS           │ EXTENSIONS                                    │
├──────────────────────────────────────────────────────────────────┼───────────────┼────────────────────┼───────────────────────────────────────────────┤
│ cd7c894aa0736bdf1f884115b18416bbeeca4b23e812a986ae2d86b77a332c2c │ Running: true │ bridge: 172.17.0.7 │ ERU: 1                                        │
│                                                                  │ Healthy: true │                    │ ERU_META: {"Publish":null,"HealthCheck":null} │
└──────────────────────────────────────────────────────────────────┴───────────────┴────────────────────┴───────────────────────────────────────────────┘
"#;
const PAGE_ID: &str = "cd7c894aa0736bdf1f884115b18416bbeeca4b23e812a986ae2d86b77a332c2c";
const PAGE_ADDRESS: &str = "172.17.0.7";

/// The page's second table with another id and address; a longer address widens its column.
fn second_table(id: &str, address: &str) -> String {
    assert_eq!(id.len(), PAGE_ID.len(), "ids of containers are 64 hex digits");
    let (page, wanted) = (format!("bridge: {PAGE_ADDRESS}"), format!("bridge: {address}"));
    let mut table = SECOND_TABLE.replace(PAGE_ID, id);
    let column = |width: usize, text: &str| format!("{text:<width$}");
    for text in ["NETWORKS", ""] {
        let (was, is) = (column(page.len(), text), column(wanted.len(), text));
        table = table.replace(&format!("│ {was} │ E"), &format!("│ {is} │ E"));
    }
    let line = |width: usize| "─".repeat(width + 2);
    for (left, right) in [("┬", "┬"), ("┼", "┼"), ("┴", "┴")] {
        let (was, is) = (line(page.len()), line(wanted.len()));
        table = table.replacen(&format!("{left}{was}{right}"), &format!("{left}{is}{right}"), 1);
    }
    table.replace(&page, &wanted)
}

#[test]
fn the_second_table_of_the_page_is_the_page_s() {
    assert_eq!(second_table(PAGE_ID, PAGE_ADDRESS), SECOND_TABLE);
    for address in ["172.17.0.12", "172.17.201.212", "10.0.0.1"] {
        let table = second_table(PAGE_ID, address);
        assert!(table.contains(&format!("│ bridge: {address} │ ERU: 1 ")), "{table}");
        let widths: Vec<usize> = table.lines().map(|line| line.chars().count()).collect();
        assert!(widths.iter().all(|width| *width == widths[0]), "{table}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_on_docker() -> Result<()> {
    walk(Store::Embedded, "node1").await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_on_docker_and_etcd() -> Result<()> {
    walk(Store::Etcd, "node1-etcd").await
}

async fn walk(store: Store, node: &str) -> Result<()> {
    let Some(site) = Site::on_machine("the_page_on_docker", store, node).await? else { return Ok(()) };
    let spec = site.hello_spec("hello", "")?;
    let image = site.images.hello.clone();
    let hello = ["--image", &image, "--network", "bridge", "--entry", "web"];
    let id = site.deploy("hello", &hello, &spec).await?;
    assert_eq!(site.cli(&["workload", "get-status", &id]).await?, FIRST_TABLE);

    site.deploy_agent(false).await?;
    let wanted = second_table(&id, &site.bridge_address(&id).await?);
    let shown = eventually("the second table", SOON, || async {
        let table = site.cli(&["workload", "get-status", &id]).await?;
        ensure!(table == wanted, "{table}");
        anyhow::Ok(table)
    })
    .await;
    if let Err(error) = shown {
        panic!("{error:#}\nwanted\n{wanted}\nagent: {}\ncore: {}", site.agent_log().await, site.core.log());
    }
    // The agent is a workload like any other, and speaks for itself.
    site.healthy("eru", 1).await?;

    // Killed: the stream says so.
    let mut client = site.client().await?;
    let mut stream = client.workload_status_stream(pb::WorkloadStatusStreamOptions::default()).await?.into_inner();
    let mut events = site.docker.events().await?;
    site.docker.run(&["kill", &id]).await?;
    let seen = async {
        loop {
            let message = stream.message().await?.context("the stream ended")?;
            if message.id == id && message.status.as_ref().is_some_and(|s| !s.running) {
                return anyhow::Ok((message, now()));
            }
        }
    };
    let (message, at) = tokio::time::timeout(SOON, seen).await.context("the death was never on the stream")??;
    assert!(!message.delete && message.workload.is_some(), "{message:?}");
    let status = message.status.context("a change carries the status")?;
    assert!(!status.healthy && status.networks.is_empty(), "{status:?}");
    let died = events.wait("die", &id, SOON).await?.at;
    // The bound itself is a figure of the benchmarks: here other tests use the machine.
    println!("die event -> running=false on the stream: {:?} (to reach: 200 ms)", at.saturating_sub(died));
    assert!(at.saturating_sub(died) < Duration::from_secs(20));
    Ok(())
}
