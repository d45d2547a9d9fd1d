//! What a store does per second, beside what its disk does.
//!
//! `kv_bench [FOLDER] [--etcd HOST:PORT] [--put-each | --durable COUNT]`: the embedded store in a fresh folder below
//! FOLDER (default: the folder for temporary files), or the given etcd; everything, only lists of observed puts, or
//! COUNT durable puts one after another (for a tracer).

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use eru_kv::{
    Durability, Embedded, EmbeddedOptions, Etcd, EtcdOptions, Guard, GuardedPut, KeyRange, Kv, LeaseId, Op, PutOutcome,
    RangeOptions, Revision, Txn, WatchItem,
};
use futures::StreamExt;
use futures::future::join_all;

type Failure = Box<dyn std::error::Error>;

/// What is measured.
#[derive(Clone, Copy)]
enum Only {
    Everything,
    PutEach,
    Durable(usize),
}

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

async fn run(store: Arc<dyn Kv>, only: Only) -> Result<(), Failure> {
    match only {
        Only::PutEach => return put_each_of_many(&store).await,
        Only::Durable(count) => {
            for index in 0..count {
                put(&store, key(index), Durability::Durable).await?;
            }
            return Ok(store.close().await?);
        }
        Only::Everything => {}
    }
    latency(&store, "durable, one after another", Durability::Durable).await?;
    latency(&store, "observed, one after another", Durability::Observed).await?;
    reads(&store).await?;
    for writers in [8, 64, 512] {
        in_flight(&store, writers).await?;
    }
    put_each(&store, 4, Some(10_000)).await?;
    put_each_of_many(&store).await
}

/// CPU time of this process's threads of that name, in seconds; the kernel counts in hundredths.
fn thread_seconds(name: &str) -> f64 {
    let stats = std::fs::read_dir("/proc/self/task").into_iter().flatten().filter_map(|task| {
        let stat = std::fs::read_to_string(task.ok()?.path().join("stat")).ok()?;
        let (head, tail) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = tail.split_whitespace().collect();
        let ticks = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
        head.ends_with(&format!("({name}")).then_some(ticks)
    });
    stats.sum::<u64>() as f64 / 100.0
}

/// As a core's one writer of reports does it: long lists over the same keys, each put guarded. `rate` = puts per second.
async fn reports(store: &Arc<dyn Kv>, rate: Option<usize>) -> Result<(), Failure> {
    const LIST: usize = 4096;
    const WORKLOADS: usize = 10_000;
    let index = |at: usize| format!("/index/{:08x}{at:056x}", at.wrapping_mul(0x9e37_79b9) as u32);
    for first in (0..WORKLOADS).step_by(100) {
        let then = (first..first + 100).map(|at| Op::put(index(at), "node")).collect();
        store.txn(Txn { then, ..Txn::default() }, Durability::Durable).await?;
    }
    let mut bases = vec![Revision(0); WORKLOADS];
    store
        .txn(Txn { then: vec![Op::Delete(KeyRange::prefix("/status/report/"))], ..Txn::default() }, Durability::Durable)
        .await?;
    let mut watch = store.watch(KeyRange::prefix("/status/report/"), store.revision().await?.next()).await?;
    let watcher = tokio::spawn(async move {
        let mut seen = 0;
        while let Ok(Some(item)) = tokio::time::timeout(Duration::from_secs(1), watch.next()).await {
            if let WatchItem::Events { events, .. } = item? {
                seen += events.len();
            }
        }
        Ok::<_, eru_kv::Error>(seen)
    });
    let (begun, cpu) = (Instant::now(), thread_seconds("eru-store"));
    let mut pace = rate.map(|rate| tokio::time::interval(Duration::from_secs_f64(LIST as f64 / rate as f64)));
    let (mut next, mut longest) = (0, Duration::ZERO);
    while begun.elapsed() < MEASURE {
        if let Some(pace) = &mut pace {
            pace.tick().await;
        }
        let chosen: Vec<usize> = (next..next + LIST).map(|at| at % WORKLOADS).collect();
        next += LIST;
        let puts = chosen.iter().map(|at| {
            let key = format!("/status/report/{:08x}{at:056x}", at.wrapping_mul(0x9e37_79b9) as u32);
            let guards = vec![Guard::Exists(index(*at).into()), Guard::ModRevision(key.clone().into(), bases[*at])];
            GuardedPut { guards, key: key.into(), value: vec![b'v'; VALUE_BYTES].into(), lease: LeaseId(0) }
        });
        let puts = puts.collect();
        let asked = Instant::now();
        let outcomes = store.put_each(puts, Durability::Observed).await?;
        longest = longest.max(asked.elapsed());
        for (at, outcome) in chosen.into_iter().zip(outcomes) {
            let PutOutcome::Written(revision) = outcome else { return Err("a report was refused".into()) };
            bases[at] = revision;
        }
    }
    let took = begun.elapsed().as_secs_f64();
    let cpu = (thread_seconds("eru-store") - cpu) * 1e6 / next as f64;
    println!(
        "{:<48} {:>9.0}/s, {} of {next} seen, longest list {longest:.1?}, {cpu:.1} us CPU of eru-store a put",
        format!("reports, lists of {LIST}, {}", rate.map_or("as fast as it goes".into(), |rate| format!("{rate}/s"))),
        next as f64 / took,
        watcher.await??
    );
    Ok(())
}

async fn put_each_of_many(store: &Arc<dyn Kv>) -> Result<(), Failure> {
    reports(store, Some(40_000)).await?;
    reports(store, None).await?;
    for callers in [1, 4, 16, 64] {
        put_each(store, callers, None).await?;
    }
    store.close().await?;
    Ok(())
}

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let (mut folder, mut etcd, mut only) = (std::env::temp_dir(), None, Only::Everything);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--etcd" => etcd = Some(arguments.next().ok_or("--etcd needs HOST:PORT")?),
            "--put-each" => only = Only::PutEach,
            "--durable" => only = Only::Durable(arguments.next().ok_or("--durable needs COUNT")?.parse()?),
            path => folder = PathBuf::from(path),
        }
    }
    if matches!(only, Only::Everything) {
        fdatasync(&folder)?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        match etcd {
            Some(endpoint) => {
                let options =
                    EtcdOptions { endpoints: vec![endpoint], prefix: "/kv_bench".into(), ..EtcdOptions::default() };
                run(Etcd::connect(options).await?, only).await
            }
            None => {
                let folder = tempfile::tempdir_in(&folder)?;
                run(Embedded::open(folder.path(), EmbeddedOptions::default())?, only).await
            }
        }
    })
}
