//! kill -9 of the shim, of the command, and of us, in every order: nothing is lost, nothing is doubled.

use crate::{
    subject::{Plain, is_alive, kill, kill_if_there, plain},
    tests,
};
use eru_runtime::{Action, Error, Process, Runtime, State, conformance::within};
use eru_types::{EngineId, Labels};
use futures::StreamExt;
use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

pub const TESTS: &[crate::Test] = tests![
    a_death_is_seen_at_once,
    we_are_killed,
    a_killed_shim_is_replaced,
    the_command_dies_after_its_shim,
    shim_and_command_die_while_we_are_gone,
    every_order_of_deaths,
    a_shim_killed_at_any_moment_of_a_start,
    an_exit_code_of_a_time_without_us_is_found,
    output_goes_on_after_the_shim_was_killed,
    a_folder_is_opened_once,
    stop_works_after_the_shim_was_killed,
    the_group_and_its_orphans_end_with_the_command,
    starting_again_after_everything_died,
    a_start_that_was_given_up_is_found,
    another_process_of_the_same_id_is_left_alone,
    a_restarted_machine_is_told_from_a_killed_shim,
    what_runs_without_a_shim_can_be_stopped,
    a_broken_folder_does_not_hide_the_others,
];

const SCRIPT: &str = "echo here; exec sleep 1000";

async fn a_death_is_seen_at_once() {
    let plain = Plain::new().await;
    let mut slowest = Duration::ZERO;
    for n in 0..20 {
        let begun = Instant::now();
        let id = plain.started(&format!("a_b_0000{n:02}"), &["sleep", "1000"]).await;
        let started = begun.elapsed();
        let mut events = plain.runtime.events().await.unwrap();
        let begun = Instant::now();
        kill(plain.inspect(&id).await.pid);
        let event = events.next().await.unwrap();
        assert_eq!((event.action, &event.id), (Action::Died, &id));
        println!("  created and started in {started:?}, death seen in {:?}", begun.elapsed());
        slowest = slowest.max(begun.elapsed());
    }
    // Some milliseconds; the bound only tells them from a poll by the second, on a machine busy with other tests.
    assert!(slowest < Duration::from_millis(500), "{slowest:?}");
    plain.clear().await;
}

async fn we_are_killed() {
    let folder = tempfile::tempdir().unwrap();
    let us = crate::subject::workload(&["us", folder.path().to_str().unwrap()]);
    let mut us = Command::new(&us[0]).args(&us[1..]).stdout(Stdio::piped()).spawn().unwrap();
    let mut id = String::new();
    BufReader::new(us.stdout.take().unwrap()).read_line(&mut id).unwrap();
    let id = EngineId::new(id.trim()).unwrap();
    us.kill().unwrap();
    us.wait().unwrap();
    let plain = Plain::reopen(folder).await;
    let (seen, shim) = (plain.inspect(&id).await, plain.shim(&id));
    assert!(seen.state == State::Running && is_alive(seen.pid) && is_alive(shim), "{seen:?}");
    assert_eq!(plain.runtime.create(&self::plain("a_b_000001", &["sleep", "1000"])).await.unwrap(), id);
    let mut events = plain.runtime.events().await.unwrap();
    kill(seen.pid);
    assert_eq!(events.next().await.unwrap().action, Action::Died);
    assert_eq!(plain.inspect(&id).await.exit.unwrap().signal, 9, "its shim is the same, and saw it");
    plain.clear().await;
}

async fn a_killed_shim_is_replaced() {
    let plain = Plain::new().await;
    let id = plain.started("a_b_000001", &["sh", "-c", SCRIPT]).await;
    let before = plain.inspect(&id).await;
    for _ in 0..3 {
        let shim = plain.shim(&id);
        kill(shim);
        within("another shim", async || (plain.shim(&id) != shim && is_alive(plain.shim(&id))).then_some(())).await;
        assert_eq!(plain.inspect(&id).await, before, "the workload does not notice");
    }
    assert!(is_alive(before.pid));
    plain.clear().await;
}

async fn the_command_dies_after_its_shim() {
    let plain = Plain::new().await;
    let id = plain.started("a_b_000001", &["sh", "-c", SCRIPT]).await;
    let mut events = plain.runtime.events().await.unwrap();
    let pid = plain.inspect(&id).await.pid;
    kill(plain.shim(&id));
    kill(pid);
    assert_eq!(events.next().await.unwrap().action, Action::Died);
    let seen = plain.inspect(&id).await;
    let exit = seen.exit.unwrap();
    // The kernel may still know; where it does not, the reason says so.
    assert!(exit.signal == 9 || (exit.code == -1 && seen.reason.contains("its shim was killed")), "{seen:?}");
    assert_eq!(plain.runtime.list(&Labels::default()).await.unwrap().len(), 1);
    plain.clear().await;
}

async fn shim_and_command_die_while_we_are_gone() {
    let plain = Plain::new().await;
    let id = plain.started("a_b_000001", &["sh", "-c", SCRIPT]).await;
    let (shim, pid) = (plain.shim(&id), plain.inspect(&id).await.pid);
    let folder = plain.die().await;
    kill(shim);
    kill(pid);
    within("both are dead", async || (!is_alive(pid) && !is_alive(shim)).then_some(())).await;
    let plain = Plain::reopen(folder).await;
    let seen = plain.exited(&id).await;
    assert_eq!(seen.exit.unwrap().code, -1);
    assert_eq!(seen.reason, "its shim was killed; the exit code is not known");
    plain.clear().await;
}

async fn every_order_of_deaths() {
    #[derive(Clone, Copy, PartialEq, Debug)]
    enum Part {
        Us,
        Shim,
        Command,
    }
    use Part::*;
    let orders = [
        [Us, Shim, Command],
        [Us, Command, Shim],
        [Shim, Us, Command],
        [Shim, Command, Us],
        [Command, Us, Shim],
        [Command, Shim, Us],
    ];
    for order in orders {
        let mut plain = Plain::new().await;
        let id = plain.started("a_b_000001", &["sh", "-c", SCRIPT]).await;
        let pid = plain.inspect(&id).await.pid;
        // What no shim has read yet is lost with the last process that holds the pipe.
        within("it printed", async || (plain.runtime.last_lines(&id, 1).await.unwrap() == ["here"]).then_some(()))
            .await;
        for (at, part) in order.into_iter().enumerate() {
            match part {
                Us => plain = Plain::reopen(plain.die().await).await,
                // The one that is in charge now; it may just have ended with its command.
                Shim => kill_if_there(plain.shim(&id)),
                Command => kill(pid),
            }
            let all = plain.runtime.list(&Labels::default()).await.unwrap();
            assert_eq!(all.len(), 1, "{order:?} after {part:?}");
            if !order[..=at].contains(&Command) {
                assert_eq!((all[0].state, all[0].pid), (State::Running, pid), "{order:?} after {part:?}");
            }
        }
        let seen = plain.exited(&id).await;
        assert!(matches!(seen.exit.unwrap().code, 137 | -1), "{order:?}: {seen:?}");
        assert!(!is_alive(pid));
        assert_eq!(plain.lines(&id, false).await, ["here"], "{order:?}");
        plain.clear().await;
    }
}

/// The shim is killed a little later each time, over the whole time that a start takes. Whatever comes of it, there is never
/// more than one command, and what is said to run is what runs.
async fn a_shim_killed_at_any_moment_of_a_start() {
    let plain = Plain::new().await;
    let mut outcomes = [0, 0];
    for n in 0..60 {
        let marker = format!("3{n:05}");
        let id = plain.runtime.create(&self::plain("a_b_000001", &["sleep", &marker])).await.unwrap();
        let killer = async {
            let shims = within("a shim", async || {
                // The command has the shim's command line until it is executed, but not its parent: us.
                let mut shims = processes(&format!("process-shim\0{}", plain.path(&id, "").display()));
                shims.retain(|pid| parent(*pid) == Some(std::process::id()));
                (!shims.is_empty()).then_some(shims)
            });
            let found = tokio::time::timeout(Duration::from_millis(50), shims).await;
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_micros(n * 100) {
                tokio::task::yield_now().await;
            }
            for pid in found.unwrap_or_default() {
                kill_if_there(pid);
            }
        };
        let (started, ()) = tokio::join!(plain.runtime.start(&id), killer);
        let command = format!("sleep\0{marker}");
        let seen = within("it is settled", async || {
            let seen = plain.inspect(&id).await;
            let running = processes(&command);
            let agrees = match seen.state {
                State::Running => running == [seen.pid],
                _ => running.is_empty(),
            };
            agrees.then_some(seen)
        })
        .await;
        outcomes[usize::from(started.is_ok())] += 1;
        if started.is_ok() {
            assert_eq!(seen.state, State::Running, "{n}: {seen:?}");
        }
        plain.runtime.remove(&id, true).await.unwrap();
        assert!(processes(&command).is_empty(), "{n}");
    }
    let [failed, begun] = outcomes;
    println!("  {failed} starts failed with their shim, {begun} were adopted");
    plain.clear().await;
}

fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(')').next()?.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// The processes whose command line begins with, or holds, these words.
fn processes(words: &str) -> Vec<u32> {
    let words = words.trim_end_matches('/').as_bytes();
    let pids = fs::read_dir("/proc").unwrap().flatten().filter_map(|e| e.file_name().to_str()?.parse().ok());
    let matching = pids.filter(|pid: &u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.windows(words.len()).any(|w| w == words)
    });
    matching.collect()
}

async fn an_exit_code_of_a_time_without_us_is_found() {
    let plain = Plain::new().await;
    let go = plain.folder.path().join("go");
    let script = format!("while ! test -e {}; do sleep 0.01; done; echo gone >&2; exit 7", go.display());
    let id = plain.started("a_b_000001", &["sh", "-c", &script]).await;
    let pid = plain.inspect(&id).await.pid;
    let folder = plain.die().await;
    fs::write(go, "").unwrap();
    within("it ends", async || (!is_alive(pid)).then_some(())).await;
    let plain = Plain::reopen(folder).await;
    let seen = plain.exited(&id).await;
    assert_eq!((seen.exit.unwrap().code, seen.reason.as_str()), (7, "gone"));
    assert_eq!(plain.lines(&id, true).await, ["gone"]);
    plain.clear().await;
}

async fn output_goes_on_after_the_shim_was_killed() {
    let plain = Plain::new().await;
    let go = plain.folder.path().join("go");
    // More than a pipe holds, printed when nobody reads: it must neither kill the command nor be lost.
    let script = format!(
        "echo before; while ! test -e {}; do sleep 0.01; done; seq 1 20000; echo after >&2; exec sleep 1000",
        go.display()
    );
    let id = plain.started("a_b_000001", &["sh", "-c", &script]).await;
    within("the first line", async || (plain.runtime.last_lines(&id, 1).await.unwrap() == ["before"]).then_some(()))
        .await;
    let pid = plain.inspect(&id).await.pid;
    let shim = plain.shim(&id);
    let folder = plain.die().await;
    kill(shim);
    within("the shim is dead", async || (!is_alive(shim)).then_some(())).await;
    fs::write(&go, "").unwrap();
    let plain = Plain::reopen(folder).await;
    within("the last line", async || (plain.runtime.last_lines(&id, 1).await.unwrap() == ["after"]).then_some(()))
        .await;
    assert_eq!(plain.inspect(&id).await.pid, pid);
    let lines = plain.lines(&id, false).await;
    assert_eq!((lines.len(), lines[0].as_str(), lines[20_000].as_str()), (20_002, "before", "20000"));
    plain.clear().await;
}

async fn a_folder_is_opened_once() {
    let plain = Plain::new().await;
    let error = Process::open(crate::subject::options(&plain.folder)).await.map(drop).unwrap_err().to_string();
    assert!(error.contains("is in use by another Eru process"), "{error}");
    plain.clear().await;
}

async fn stop_works_after_the_shim_was_killed() {
    let plain = Plain::new().await;
    let id = plain
        .started("a_b_000001", &["sh", "-c", "trap 'exit 3' TERM; echo ready; while :; do sleep 0.05; done"])
        .await;
    within("ready", async || (plain.runtime.last_lines(&id, 1).await.unwrap() == ["ready"]).then_some(())).await;
    let pid = plain.inspect(&id).await.pid;
    kill(plain.shim(&id));
    plain.runtime.stop(&id, Duration::from_secs(10)).await.unwrap();
    let seen = plain.inspect(&id).await;
    assert!(!is_alive(pid) && matches!(seen.exit.unwrap().code, 3 | -1), "{seen:?}");
    plain.clear().await;
}

async fn the_group_and_its_orphans_end_with_the_command() {
    let plain = Plain::new().await;
    // One in the group, one in a session of its own whose parent ends at once.
    let script = "sleep 1000 & echo $!; (setsid sh -c 'echo $$; exec sleep 1000' &); wait";
    for (n, force) in [(1, false), (2, true)] {
        let id = plain.started(&format!("a_b_00000{n}"), &["sh", "-c", script]).await;
        let pids = within("both are there", async || {
            let lines = plain.runtime.last_lines(&id, 2).await.unwrap();
            let pids: Vec<u32> = lines.iter().map(|l| l.parse().unwrap()).collect();
            (pids.len() == 2).then_some(pids)
        })
        .await;
        assert!(pids.iter().all(|pid| is_alive(*pid)));
        let main = plain.inspect(&id).await.pid;
        if force {
            plain.runtime.remove(&id, true).await.unwrap();
        } else {
            kill(main);
            plain.exited(&id).await;
        }
        within("all are dead", async || (!pids.iter().any(|pid| is_alive(*pid))).then_some(())).await;
    }
    plain.clear().await;
}

async fn starting_again_after_everything_died() {
    let plain = Plain::new().await;
    let id = plain.started("a_b_000001", &["sh", "-c", SCRIPT]).await;
    let (shim, pid) = (plain.shim(&id), plain.inspect(&id).await.pid);
    let folder = plain.die().await;
    kill(shim);
    kill(pid);
    let plain = Plain::reopen(folder).await;
    plain.exited(&id).await;
    plain.runtime.start(&id).await.unwrap();
    let seen = plain.inspect(&id).await;
    assert!(seen.state == State::Running && seen.pid != pid);
    let missing = self::plain("a_b_000002", &["/no/such/program"]);
    let missing = plain.runtime.create(&missing).await.unwrap();
    for _ in 0..2 {
        let error = plain.runtime.start(&missing).await.unwrap_err();
        assert!(matches!(error, Error::Start { .. }), "{error}");
    }
    plain.clear().await;
}

/// Whoever gives up a start, at any moment, may repeat it.
async fn a_start_that_was_given_up_is_found() {
    let plain = Plain::new().await;
    for n in 0..20 {
        let marker = format!("4{n:05}");
        let id = plain.runtime.create(&self::plain("a_b_000001", &["sleep", &marker])).await.unwrap();
        let _ = tokio::time::timeout(Duration::from_micros(n * 200), plain.runtime.start(&id)).await;
        plain.runtime.start(&id).await.unwrap();
        assert_eq!(processes(&format!("sleep\0{marker}")), [plain.inspect(&id).await.pid], "{n}");
        plain.runtime.remove(&id, true).await.unwrap();
        assert!(processes(&format!("sleep\0{marker}")).is_empty(), "{n}");
    }
    plain.clear().await;
}

/// Rewrites a field of the identity in `run.json`.
fn forge(plain: &std::path::Path, field: &str, value: serde_json::Value) {
    let text = fs::read_to_string(plain).unwrap();
    let mut record: serde_json::Value = serde_json::from_str(&text).unwrap();
    record["child"][field] = value;
    fs::write(plain, record.to_string()).unwrap();
}

async fn another_process_of_the_same_id_is_left_alone() {
    let plain = Plain::new().await;
    let id = plain.started("a_b_000001", &["sh", "-c", SCRIPT]).await;
    let (shim, pid, record) = (plain.shim(&id), plain.inspect(&id).await.pid, plain.path(&id, "run.json"));
    let folder = plain.die().await;
    kill(shim);
    forge(&record, "started", 1.into());
    let plain = Plain::reopen(folder).await;
    assert_eq!(plain.exited(&id).await.exit.unwrap().code, -1);
    plain.runtime.stop(&id, Duration::ZERO).await.unwrap();
    plain.runtime.remove(&id, true).await.unwrap();
    assert!(is_alive(pid), "it is not the process that was meant");
    kill(pid);
    plain.clear().await;
}

async fn a_restarted_machine_is_told_from_a_killed_shim() {
    let plain = Plain::new().await;
    let id = plain.started("a_b_000001", &["sh", "-c", SCRIPT]).await;
    let (shim, pid, record) = (plain.shim(&id), plain.inspect(&id).await.pid, plain.path(&id, "run.json"));
    let folder = plain.die().await;
    kill(shim);
    kill(pid);
    forge(&record, "boot", "another".into());
    let plain = Plain::reopen(folder).await;
    let seen = plain.exited(&id).await;
    assert_eq!(seen.reason, "the machine was restarted; the exit code is not known");
    plain.runtime.start(&id).await.unwrap();
    assert_eq!(plain.inspect(&id).await.state, State::Running);
    plain.clear().await;
}

async fn what_runs_without_a_shim_can_be_stopped() {
    let plain = Plain::new().await;
    let id = plain.started("a_b_000001", &["sh", "-c", SCRIPT]).await;
    let (shim, pid) = (plain.shim(&id), plain.inspect(&id).await.pid);
    let folder = plain.die().await;
    kill(shim);
    let mut options = crate::subject::options(&folder);
    options.shim.program = "/no/such/shim".into();
    let runtime = within("the folder is free", async || Process::open(options.clone()).await.ok()).await;
    let plain = Plain { folder, runtime };
    assert_eq!(plain.inspect(&id).await.state, State::Running);
    plain.runtime.stop(&id, Duration::from_millis(10)).await.unwrap();
    assert!(!is_alive(pid));
    assert_eq!(plain.inspect(&id).await.state, State::Exited);
    plain.clear().await;
}

async fn a_broken_folder_does_not_hide_the_others() {
    let plain = Plain::new().await;
    let good = plain.started("a_b_000001", &["sleep", "1000"]).await;
    let bad = plain.runtime.create(&self::plain("a_b_000002", &["sleep", "1000"])).await.unwrap();
    let spec = plain.path(&bad, "spec.json");
    let folder = plain.die().await;
    fs::write(spec, "{").unwrap();
    let plain = Plain::reopen(folder).await;
    let all = plain.runtime.list(&Labels::default()).await.unwrap();
    assert_eq!((all.len(), &all[0].id, all[0].state), (1, &good, State::Running));
    plain.clear().await;
}
