//! Readers that stop reading, beside one that goes on.

use crate::{
    cluster::{Cluster, Store},
    fanout,
    process::{mib, resident_bytes},
    subscriber,
    table::Table,
};
use anyhow::Result;
use eru_testkit::Percentiles;
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

const STALLED: usize = 100;
const RATE: usize = 200;
const SPAN: Duration = Duration::from_secs(20);

/// Measures.
///
/// # Errors
/// When a stream or a report fails.
pub async fn run(binary: &Path) -> Result<()> {
    let mut table =
        Table::new(&format!("{STALLED} stalled readers beside a live one, {RATE} reports/s, {} s", SPAN.as_secs()))?;
    let cluster = Cluster::start(binary, Store::Embedded, 10).await?;
    let ids = cluster.deploy(10_000).await?;
    let stalled = subscriber::open(&cluster.address, STALLED).await?;
    let mut live = subscriber::open(&cluster.address, 1).await?.remove(0);
    let counted = Arc::new(AtomicBool::new(false));
    let flag = counted.clone();
    let reader = tokio::spawn(async move {
        let mut ages = Vec::new();
        while let Ok(Ok(Some(message))) = tokio::time::timeout(Duration::from_secs(1), live.message()).await {
            ages.extend(message.age().filter(|_| flag.load(Ordering::Relaxed)));
        }
        ages
    });
    // The first reports fill whatever windows there are; growth is counted from then on.
    fanout::write(&cluster, &ids, RATE, Duration::from_secs(10)).await?;
    counted.store(true, Ordering::Relaxed);
    let before = resident_bytes(cluster.pid)?;
    fanout::write(&cluster, &ids, RATE, SPAN).await?;
    let after = resident_bytes(cluster.pid)?;
    drop(stalled);
    table.row(
        "memory of core, before and after",
        "no growth (+500 MB there)",
        format!("{} -> {}", mib(before), mib(after)),
    );
    table.row("the live reader", "unmoved (4.4 s there)", Percentiles::new(reader.await?).to_string());
    table.print();
    Ok(())
}
