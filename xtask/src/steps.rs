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

/// With `required` a test that misses something fails; otherwise it skips itself, and those of what is `missing` are named
/// here. Nothing is passed to the tests: some have a harness of their own.
pub fn test(required: bool, missing: &[&str]) -> Result<()> {
    run("fmt", &mut cargo(&["fmt", "--all", "--check"]))?;
    run("clippy", &mut cargo(&["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]))?;
    // Linked before anything runs: the images are made of the same binary that the tests start.
    run("build of the tests", &mut cargo(&["test", "--workspace", "--no-run", "--quiet"]))?;
    if !missing.contains(&"docker") {
        crate::images::for_tests()?;
    }
    name_skipped(missing)?;
    let mut tests = cargo(&["test", "--workspace", "--no-fail-fast"]);
    if required {
        tests.env("ERU_REQUIRE_ETCD", "1").env("ERU_REQUIRE_DOCKER", "1");
    }
    run("test", &mut tests)
}

/// A test that needs something has its word in its name.
fn name_skipped(missing: &[&str]) -> Result<()> {
    if missing.is_empty() {
        return Ok(());
    }
    let list = cargo(&["test", "--workspace", "--test", "*", "--quiet", "--", "--list", "--format", "terse"])
        .output()
        .context("cannot list the tests")?;
    let list = String::from_utf8_lossy(&list.stdout).into_owned();
    for word in missing {
        eprintln!("── no {word}: these are skipped, and others that say so themselves");
        for name in list.lines().filter_map(|line| line.strip_suffix(": test")).filter(|name| name.contains(word)) {
            eprintln!("   {name}");
        }
    }
    Ok(())
}

/// The binary alone.
pub fn build_eru(release: bool) -> Result<()> {
    let mut build = cargo(&["build", "--package", "eru"]);
    if release {
        build.arg("--release");
    }
    run("build", &mut build)
}

/// Builds in release and runs the benchmarks.
pub fn bench(names: &[&str]) -> Result<()> {
    build_eru(true)?;
    let mut args = vec!["run", "--release", "--quiet", "--package", "eru-benches", "--"];
    args.extend(names);
    run("bench", &mut cargo(&args))
}
