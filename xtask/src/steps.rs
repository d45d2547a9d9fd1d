//! The steps of each chore, in order; the first that fails ends it.

use anyhow::{Context, Result, ensure};
use std::{process::Command, time::Instant};

/// Runs one command, its output on ours, and says how long it took.
pub fn run(title: &str, command: &mut Command) -> Result<()> {
    eprintln!("── {title}");
    let begin = Instant::now();
    let status = command.status().with_context(|| format!("cannot run {command:?}"))?;
    ensure!(status.success(), "{title}: {command:?} ended with {status}");
    eprintln!("── {title}: done in {:.1} s", begin.elapsed().as_secs_f64());
    Ok(())
}

fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args);
    command
}

/// fmt, clippy, tests. With `required`, a test that misses etcd fails instead of being skipped.
pub fn test(required: bool) -> Result<()> {
    run("fmt", &mut cargo(&["fmt", "--all", "--check"]))?;
    run("clippy", &mut cargo(&["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]))?;
    let mut tests = cargo(&["test", "--workspace", "--no-fail-fast"]);
    if required {
        tests.env("ERU_REQUIRE_ETCD", "1");
    }
    run("test", &mut tests)
}

/// Builds in release and runs the benchmarks.
pub fn bench(names: &[&str]) -> Result<()> {
    run("build", &mut cargo(&["build", "--release", "--package", "eru"]))?;
    let mut args = vec!["run", "--release", "--quiet", "--package", "eru-benches", "--"];
    args.extend(names);
    run("bench", &mut cargo(&args))
}
