//! The embedded store is killed at any moment: this test runs itself as the process that is killed.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use eru_kv::{
    Durability, Embedded, EmbeddedOptions, Error, GuardedPut, KeyRange, Kv, LeaseId, Op, RangeOptions, Revision, Txn,
};

const FOLDER: &str = "ERU_KV_CRASH_FOLDER";
const MODE: &str = "ERU_KV_CRASH_MODE";
const ROUNDS: usize = 36;
const WRITERS: usize = 4;

fn open(folder: &Path) -> Result<Arc<Embedded>, Error> {
    Embedded::open(folder, EmbeddedOptions::default())
}

/// The process that is killed; without the variable it is no test.
#[test]
fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let observes = std::env::var(MODE).is_ok_and(|mode| mode == "observed");
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let store = open(Path::new(&folder)).expect("it opens");
        let start = store.revision().await.expect("a revision").0;
        say(&format!("open {start}"));
        let mut tasks = tokio::task::JoinSet::new();
        for writer in 0..WRITERS {
            tasks.spawn(write_durable(store.clone(), writer, start));
        }
        if observes {
            tasks.spawn(write_observed(store.clone(), start));
        }
        tasks.join_all().await;
    });
}

fn say(line: &str) {
    let mut stdout = std::io::stdout().lock();
    // One write, so that the last line is whole or has no end.
    stdout.write_all(format!("{line}\n").as_bytes()).and_then(|()| stdout.flush()).expect("the parent reads");
}

async fn write_durable(store: Arc<Embedded>, writer: usize, start: i64) {
    for number in 0.. {
        let value = format!("{start}-{number}");
        let then = vec![
            Op::put(format!("pair/{writer}/a"), value.clone()),
            Op::put(format!("log/{start}/{writer}/{number}"), "x".repeat(200)),
            Op::put(format!("pair/{writer}/b"), value),
        ];
        let txn = Txn { then, ..Txn::default() };
        let at = store.txn(txn, Durability::Durable).await.expect("a write").revision;
        say(&format!("durable {start}/{writer}/{number} {at}"));
    }
}

async fn write_observed(store: Arc<Embedded>, start: i64) {
    for number in 0.. {
        let put = |part: &str| GuardedPut {
            guards: vec![],
            key: format!("seen/{start}/{number:06}{part}").into(),
            value: "x".into(),
            lease: LeaseId(0),
        };
        store.put_each(vec![put("a"), put("b")], Durability::Observed).await.expect("a write");
        let at = store.revision().await.expect("a revision");
        say(&format!("observed {number} {at}"));
        tokio::time::sleep(Duration::from_micros(300)).await;
    }
}

/// What the child said before it died.
#[derive(Default)]
struct Said {
    start: i64,
    durable: Vec<String>,
    observed: bool,
    revision_max: i64,
}

fn run_and_kill(folder: &Path, mode: &str, lines_until_death: usize) -> Said {
    let mut child = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .env(MODE, mode)
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut said = Said::default();
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped"));
    let mut count = 0;
    let mut line = String::new();
    while lines.read_line(&mut line).expect("text") > 0 && line.ends_with('\n') {
        // The harness begins its line without ending it.
        let words: Vec<&str> = line.trim_start_matches("test child ... ").split_whitespace().collect();
        match words[..] {
            ["open", start] => {
                said.start = start.parse().expect("a revision");
                assert!(matches!(open(folder), Err(Error::Locked(_))), "another process holds it");
            }
            ["durable", key, at] => {
                said.durable.push(key.to_string());
                said.revision_max = said.revision_max.max(at.parse().expect("a revision"));
            }
            ["observed", _, at] => {
                said.observed = true;
                said.revision_max = said.revision_max.max(at.parse().expect("a revision"));
            }
            // The test harness says things too.
            _ => {}
        }
        line.clear();
        count += 1;
        if count == lines_until_death {
            child.kill().expect("it runs");
        }
    }
    child.wait().expect("it is ours");
    assert!(said.start > 0, "the child never opened the store");
    said
}

async fn keys(store: &Embedded, prefix: &str) -> HashMap<String, String> {
    let mut range = KeyRange::prefix(prefix.to_string());
    let mut found = HashMap::new();
    loop {
        let page = store.range(&range, RangeOptions::default()).await.expect("a read");
        for kv in &page.kvs {
            found.insert(String::from_utf8_lossy(&kv.key).into(), String::from_utf8_lossy(&kv.value).into());
        }
        let Some(last) = page.kvs.last().filter(|_| page.more) else { return found };
        range.start = [&last.key[..], b"\0"].concat().into();
    }
}

#[tokio::test]
async fn no_kill_loses_what_was_acknowledged() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut epoch = 0;
    let mut id = None;
    for round in 0..ROUNDS {
        let mode = if round % 3 == 0 { "durable" } else { "observed" };
        // From a kill during the first commits to one after some hundred.
        let said = run_and_kill(folder.path(), mode, 6 + round * round / 2);
        let store = open(folder.path()).expect("it opens after a kill");
        let identity = store.identity();
        assert_eq!(*id.get_or_insert_with(|| identity.id.clone()), identity.id);

        let logs = keys(&store, "log/").await;
        for key in &said.durable {
            assert!(logs.contains_key(&format!("log/{key}")), "round {round}: acknowledged and lost: {key}");
        }
        let pairs = keys(&store, "pair/").await;
        for writer in 0..WRITERS {
            let [a, b] = ["a", "b"].map(|half| pairs.get(&format!("pair/{writer}/{half}")));
            assert_eq!(a, b, "round {round}: half a transaction");
            let Some(value) = a else { continue };
            let (start, number) = value.split_once('-').expect("start and number");
            let number: usize = number.parse().expect("a number");
            // The last number written, and no later one, is the newest in the log: the disk is one point of history.
            assert!(logs.contains_key(&format!("log/{start}/{writer}/{number}")));
            assert!(!logs.contains_key(&format!("log/{start}/{writer}/{}", number + 1)));
        }
        let seen = keys(&store, &format!("seen/{}/", said.start)).await;
        for number in 0..seen.len() {
            let key = format!("seen/{}/{:06}{}", said.start, number / 2, ["a", "b"][number % 2]);
            assert!(seen.contains_key(&key), "round {round}: {key} is missing before later ones");
        }

        let now = store.revision().await.expect("a revision");
        assert!(now.0 >= said.revision_max, "round {round}: revision {now} was {} before", said.revision_max);
        if said.observed {
            assert_eq!(identity.epoch, epoch + 1, "round {round}: observed writes may be lost");
        } else if mode == "durable" {
            assert_eq!(identity.epoch, epoch, "round {round}: nothing can be lost");
        }
        epoch = identity.epoch;
        let txn = Txn { then: vec![Op::put("after", round.to_string())], ..Txn::default() };
        let at = store.txn(txn, Durability::Durable).await.expect("a write").revision;
        assert_eq!(at, Revision(now.0 + 1));
        if round % 2 == 0 {
            store.close().await.expect("it closes");
        }
    }
    assert!(epoch > 5, "the observed rounds were killed early: epoch {epoch}");
}
