//! The runtime of plain commands passes the suite, and survives the death of each of its parts.
//!
//! This program is its own shim and its own workload: called with one of those words it is that, otherwise it runs the
//! tests whose names contain one of its arguments.

// The lint knows tests by their attribute, and these have a harness of their own.
#![allow(clippy::unwrap_used)]

mod deaths;
mod limits;
mod subject;
mod workload;

use futures::future::LocalBoxFuture;
use std::{env, ffi::OsString, panic::AssertUnwindSafe, process::ExitCode, thread, time::Instant};

type Test = (&'static str, fn() -> LocalBoxFuture<'static, ()>);

/// The tests of a module, by name.
#[macro_export]
macro_rules! tests {
    ($($name:ident),* $(,)?) => { &[$((stringify!($name), || Box::pin($name()) as _)),*] };
}

fn main() -> ExitCode {
    let args: Vec<OsString> = env::args_os().skip(1).collect();
    match args.split_first() {
        Some((word, rest)) if word == subject::SHIM => {
            let code = eru_runtime::process::shim::shim_main(rest);
            ExitCode::from(u8::try_from(code).unwrap_or(1))
        }
        Some((word, rest)) if word == subject::WORKLOAD => workload::main(rest),
        _ => harness(&args),
    }
}

fn harness(args: &[OsString]) -> ExitCode {
    let args: Vec<String> = args.iter().map(|a| a.to_string_lossy().into_owned()).collect();
    let tests: Vec<&Test> = [subject::TESTS, deaths::TESTS, limits::TESTS].into_iter().flatten().collect();
    if args.iter().any(|a| a == "--list") {
        tests.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    let mut names = args.iter().filter(|a| !a.starts_with('-')).peekable();
    let names: Option<Vec<&String>> = names.peek().is_some().then(|| names.collect());
    let mut failed = Vec::new();
    for (name, test) in tests {
        if names.as_ref().is_some_and(|names| !names.iter().any(|n| name.contains(n.as_str()))) {
            continue;
        }
        let begun = Instant::now();
        let run = move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
            runtime.expect("a runtime").block_on(test());
        };
        let is_ok = thread::spawn(move || std::panic::catch_unwind(AssertUnwindSafe(run)).is_ok()).join();
        let is_ok = is_ok.unwrap_or(false);
        println!("test {name} ... {} ({:.2?})", if is_ok { "ok" } else { "FAILED" }, begun.elapsed());
        if !is_ok {
            failed.push(*name);
        }
    }
    if failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("failed: {}", failed.join(", "));
    ExitCode::FAILURE
}
