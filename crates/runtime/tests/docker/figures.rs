//! Figures beside Docker's own. Run by hand: `cargo test -p eru-runtime --test docker figures -- --ignored --nocapture`.

use crate::daemon::{self, Daemon, RUNS};
use eru_runtime::{ExecRequest, LogOptions, Runtime};
use futures::StreamExt;
use std::{
    process::Command,
    time::{Duration, Instant},
};
use tokio::io::AsyncWriteExt;

fn median(mut all: Vec<Duration>) -> Duration {
    all.sort();
    all[all.len() / 2]
}

/// Create and start, beside `docker run -d` of the same image, in turn.
#[tokio::test]
#[ignore = "figures; run it by hand"]
async fn start_beside_docker_run_on_docker() {
    const TURNS: usize = 20;
    let Some(daemon) = Daemon::find("start_beside_docker_run_on_docker") else { return };
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for turn in 0..TURNS {
        let begun = Instant::now();
        let id = daemon.docker.create(&daemon.script(&format!("app_web_aaa{turn:03}"), RUNS)).await.expect("create");
        daemon.docker.start(&id).await.expect("start");
        ours.push(begun.elapsed());
        daemon.docker.remove(&id, true).await.expect("remove");
        let begun = Instant::now();
        let name = daemon.name(&format!("app_web_bbb{turn:03}"));
        let label = format!("eru-runtime-test={}", daemon.run);
        let out = Command::new("docker")
            .args(["run", "-d", "--name", &name, "--label", &label, daemon::image(), "/bin/sh", "-c", RUNS])
            .output()
            .expect("docker run");
        assert!(out.status.success(), "{out:?}");
        theirs.push(begun.elapsed());
        Command::new("docker").args(["rm", "-f", &name]).output().expect("docker rm");
    }
    println!("create and start: {:?}; docker run -d: {:?} (medians of {TURNS})", median(ours), median(theirs));
}

/// A key typed into a terminal inside, until its echo.
#[tokio::test]
#[ignore = "figures; run it by hand"]
async fn keystrokes_echo_on_docker() {
    let Some(daemon) = Daemon::find("keystrokes_echo_on_docker") else { return };
    let id = daemon.docker.create(&daemon.script("app_web_aaaaaa", RUNS)).await.expect("create");
    daemon.docker.start(&id).await.expect("start");
    let command = vec!["/bin/cat".to_owned()];
    let request = ExecRequest { command, terminal: true, stdin: true, ..ExecRequest::default() };
    let mut session = daemon.docker.exec(&id, &request).await.expect("exec");
    let mut input = session.input.take().expect("input");
    let mut all = Vec::new();
    for _ in 0..200 {
        let begun = Instant::now();
        input.write_all(b"x").await.expect("write");
        input.flush().await.expect("flush");
        session.output.next().await.expect("an echo").expect("output");
        all.push(begun.elapsed());
    }
    all.sort();
    println!("keystroke to echo: median {:?}, p99 {:?} of {}", all[100], all[198], all.len());
}

/// Every byte of a large output, through both ways, with the memory that it takes. Not run by default: it writes 1 GiB of logs.
#[tokio::test]
#[ignore = "writes 1 GiB; run it by hand"]
async fn a_gibibyte_without_growth_on_docker() {
    let bytes_wanted = std::env::var("BYTES").ok().and_then(|n| n.parse().ok()).unwrap_or(1u64 << 30);
    let Some(daemon) = Daemon::find("a_gibibyte_without_growth_on_docker") else { return };
    let request = daemon.script(
        "app_web_aaaaaa",
        &format!(
            "yes 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde | head -c {bytes_wanted}; sleep 1000"
        ),
    );
    let id = daemon.docker.create(&request).await.expect("create");
    let begun = Instant::now();
    daemon.docker.start(&id).await.expect("start");
    let before = resident();
    let mut lines = daemon.docker.logs(&id, LogOptions { follow: true, ..LogOptions::default() }).await.expect("logs");
    let mut seen = 0;
    while seen < bytes_wanted {
        let line = lines.next().await.expect("it goes on").expect("a line");
        seen += line.data.len() as u64 + u64::from(!line.partial);
    }
    assert_eq!(seen, bytes_wanted);
    println!("logs: {bytes_wanted} bytes in {:?}, memory {before} -> {} KiB", begun.elapsed(), resident());
    drop(lines);
    let command = ["/bin/sh", "-c", &format!("head -c {bytes_wanted} /dev/zero")].map(String::from).to_vec();
    let begun = Instant::now();
    let request = ExecRequest { command, ..Default::default() };
    let mut session = daemon.docker.exec(&id, &request).await.expect("exec");
    let mut seen = 0;
    while let Some(piece) = session.output.next().await {
        seen += piece.expect("output").1.len() as u64;
    }
    assert_eq!(seen, bytes_wanted);
    println!("exec: {bytes_wanted} bytes in {:?}, memory {before} -> {} KiB", begun.elapsed(), resident());
    assert!(resident() < before + 16 * 1024, "it grew");
}

/// Resident memory of this process, in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("our own status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    line.split_whitespace().next().and_then(|n| n.parse().ok()).expect("a number")
}
