//! Figures of deploys, for a release build: `cargo test --release -p eru-core --lib figures -- --ignored --nocapture`.

use super::rig::*;
use std::time::{Duration, Instant};

/// What this disk takes for an fdatasync of a small write: median and 99th percentile.
fn fdatasync() -> (Duration, Duration) {
    use std::io::Write;
    let mut file = tempfile::tempfile().unwrap();
    let mut times: Vec<Duration> = (0..200)
        .map(|_| {
            file.write_all(&[0; 512]).unwrap();
            let began = Instant::now();
            file.sync_data().unwrap();
            began.elapsed()
        })
        .collect();
    times.sort_unstable();
    (times[100], times[198])
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it measures; run it alone, in a release build"]
async fn figures() {
    let world = World::new();
    let cluster = world.core("c1").await;
    nodes(&cluster, 100, 100_000 * GIB).await;
    println!("fdatasync p50, p99: {:?}", fdatasync());
    let began = Instant::now();
    for _ in 0..200 {
        assert_eq!(succeeded(&deploy(&cluster, &options(1)).await).len(), 1);
    }
    println!("one after another: {:?} each", began.elapsed() / 200);
    for _ in 0..3 {
        let began = Instant::now();
        assert_eq!(succeeded(&deploy(&cluster, &options(1000)).await).len(), 1000);
        println!("1000 in one call: {:?}", began.elapsed());
    }
    for each in [1, 5, 25, 125] {
        let began = Instant::now();
        let clients = (0..8).map(|_| {
            let cluster = cluster.clone();
            tokio::spawn(async move {
                for _ in 0..(125 / each) {
                    assert_eq!(succeeded(&deploy(&cluster, &options(each)).await).len(), each as usize);
                }
            })
        });
        for client in futures::future::join_all(clients).await {
            client.unwrap();
        }
        println!("1000 by 8 clients, {each} a call: {:.0}/s", 1000.0 / began.elapsed().as_secs_f64());
    }
    println!("fdatasync p50, p99: {:?}", fdatasync());
}
