//! What a store does per second, beside what its disk does.
//!
//! `kv_bench [FOLDER] [--etcd HOST:PORT]`: the embedded store in a fresh folder below FOLDER (default: the folder for
//! temporary files), or the given etcd.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use eru_kv::{
    Durability, Embedded, EmbeddedOptions, Etcd, EtcdOptions, GuardedPut, KeyRange, Kv, LeaseId, Op, RangeOptions,
    Revision, Txn, WatchItem,
};
use futures::StreamExt;
use futures::future::join_all;

type Failure = Box<dyn std::error::Error>;

const VALUE_BYTES: usize = 512;
const MEASURE: Duration = Duration::from_secs(3);

fn key(index: usize) -> String {
    format!("/status/workload/{:08x}{index:056x}", index.wrapping_mul(0x9e37_79b9) as u32)
}

fn p(sorted: &[Duration], share: f64) -> Duration {
    sorted[((sorted.len() - 1) as f64 * share) as usize]
}

fn show(what: &str, mut took: Vec<Duration>) {
    if took.is_empty() {
        println!("{what:<48} nothing was measured");
        return;
    }
    took.sort_unstable();
    println!("{what:<48} p50 {:>9.1?}  p99 {:>9.1?}", p(&took, 0.5), p(&took, 0.99));
}

fn fdatasync(folder: &Path) -> Result<(), Failure> {
    let path = folder.join("fdatasync");
    let file = File::create(&path)?;
    let page = [1u8; 4096];
    let mut took = Vec::new();
    for index in 0..500 {
        let begun = Instant::now();
        file.write_all_at(&page, index * 4096)?;
        file.sync_data()?;
        took.push(begun.elapsed());
    }
    std::fs::remove_file(path)?;
    show("fdatasync of an appended page", took);
    Ok(())
}

async fn put(store: &Arc<dyn Kv>, key: String, durability: Durability) -> Result<Revision, eru_kv::Error> {
    let txn = Txn { then: vec![Op::put(key, vec![b'v'; VALUE_BYTES])], ..Txn::default() };
    Ok(store.txn(txn, durability).await?.revision)
}

async fn latency(store: &Arc<dyn Kv>, what: &str, durability: Durability) -> Result<(), Failure> {
    let mut took = Vec::new();
    for index in 0..2000 {
        let begun = Instant::now();
        put(store, key(index), durability).await?;
        took.push(begun.elapsed());
    }
    show(what, took);
    Ok(())
}

async fn in_flight(store: &Arc<dyn Kv>, writers: usize) -> Result<(), Failure> {
    let begun = Instant::now();
    let tasks = (0..writers).map(|writer| {
        let store = store.clone();
        tokio::spawn(async move {
            let mut count = 0;
            while begun.elapsed() < MEASURE {
                put(&store, key(writer * 1000 + count % 1000), Durability::Durable).await?;
                count += 1;
            }
            Ok::<_, eru_kv::Error>(count)
        })
    });
    let mut count = 0;
    for done in join_all(tasks).await {
        count += done??;
    }
    println!("{:<48} {:>9.0}/s", format!("durable, {writers} in flight"), count as f64 / begun.elapsed().as_secs_f64());
    Ok(())
}

async fn put_each(store: &Arc<dyn Kv>, callers: usize, rate: Option<usize>) -> Result<(), Failure> {
    let begun = Instant::now();
    let from = store.revision().await?.next();
    let mut watch = store.watch(KeyRange::prefix("/status/"), from).await?;
    let watcher = tokio::spawn(async move {
        let mut seen = 0usize;
        let mut late = Vec::new();
        while let Ok(Some(item)) = tokio::time::timeout(Duration::from_secs(1), watch.next()).await {
            let events = match item? {
                WatchItem::Events { events, .. } => events,
                WatchItem::Progress(_) => continue,
                WatchItem::Compacted(_) => {
                    println!("the watcher fell behind the bound of history");
                    break;
                }
            };
            let now = begun.elapsed().as_micros() as u64;
            for event in &events {
                if let eru_kv::Event::Put(kv) = event {
                    let sent = u64::from_le_bytes(kv.value[..8].try_into().expect("the writer put it there"));
                    late.push(Duration::from_micros(now.saturating_sub(sent)));
                }
            }
            seen += events.len();
        }
        Ok::<_, eru_kv::Error>((seen, late))
    });
    let tasks = (0..callers).map(|caller| {
        let store = store.clone();
        tokio::spawn(async move {
            let mut count = 0;
            let mut pace =
                rate.map(|rate| tokio::time::interval(Duration::from_secs_f64(100.0 * callers as f64 / rate as f64)));
            while begun.elapsed() < MEASURE {
                if let Some(pace) = &mut pace {
                    pace.tick().await;
                }
                let sent = (begun.elapsed().as_micros() as u64).to_le_bytes();
                let puts = (0..100).map(|index| {
                    let mut value = vec![b'v'; VALUE_BYTES];
                    value[..8].copy_from_slice(&sent);
                    let key = key(caller * 1000 + (count + index) % 1000).into();
                    GuardedPut { guards: vec![], key, value: value.into(), lease: LeaseId(0) }
                });
                store.put_each(puts.collect(), Durability::Observed).await?;
                count += 100;
            }
            Ok::<_, eru_kv::Error>(count)
        })
    });
    let mut count = 0;
    for done in join_all(tasks).await {
        count += done??;
    }
    let per_second = count as f64 / begun.elapsed().as_secs_f64();
    let (seen, late) = watcher.await??;
    let paced = rate.map_or(String::new(), |rate| format!(" paced to {rate}/s"));
    println!(
        "{:<48} {per_second:>9.0}/s, {seen} of {count} seen",
        format!("observed, {callers} x put_each of 100{paced}")
    );
    show("  put -> watcher", late);
    Ok(())
}

async fn reads(store: &Arc<dyn Kv>) -> Result<(), Failure> {
    let (mut revisions, mut gets) = (Vec::new(), Vec::new());
    for index in 0..2000 {
        let begun = Instant::now();
        store.revision().await?;
        revisions.push(begun.elapsed());
        let begun = Instant::now();
        store.range(&KeyRange::key(key(index)), RangeOptions::default()).await?;
        gets.push(begun.elapsed());
    }
    show("revision", revisions);
    show("get", gets);
    Ok(())
}

async fn run(store: Arc<dyn Kv>) -> Result<(), Failure> {
    latency(&store, "durable, one after another", Durability::Durable).await?;
    latency(&store, "observed, one after another", Durability::Observed).await?;
    reads(&store).await?;
    for writers in [8, 64, 512] {
        in_flight(&store, writers).await?;
    }
    put_each(&store, 4, Some(10_000)).await?;
    for callers in [1, 4, 64] {
        put_each(&store, callers, None).await?;
    }
    store.close().await?;
    Ok(())
}

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let (mut folder, mut etcd) = (std::env::temp_dir(), None);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--etcd" => etcd = Some(arguments.next().ok_or("--etcd needs HOST:PORT")?),
            path => folder = PathBuf::from(path),
        }
    }
    fdatasync(&folder)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        match etcd {
            Some(endpoint) => {
                let options =
                    EtcdOptions { endpoints: vec![endpoint], prefix: "/kv_bench".into(), ..EtcdOptions::default() };
                run(Etcd::connect(options).await?).await
            }
            None => {
                let folder = tempfile::tempdir_in(&folder)?;
                run(Embedded::open(folder.path(), EmbeddedOptions::default())?).await
            }
        }
    })
}
