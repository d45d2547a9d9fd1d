//! `eru agent`: watches the engine of a node, in a process of its own.

mod args;
mod pid_file;
mod run;

use crate::{
    arguments::{self, EXIT_USAGE},
    logging,
};
use args::Args;
use std::{ffi::OsString, process::ExitCode};

/// Runs `eru agent`.
pub fn main(args: Vec<OsString>) -> ExitCode {
    let args: Args = match arguments::parse("eru agent", args) {
        Ok(args) => args,
        Err(code) => return code,
    };
    let loaded = match args.load() {
        Ok(loaded) => loaded,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(EXIT_USAGE);
        }
    };
    let plan = match run::Plan::of(&loaded.config) {
        Ok(plan) => plan,
        Err(error) => {
            eprintln!("eru agent: {error:#}");
            return ExitCode::from(EXIT_USAGE);
        }
    };
    logging::to_stderr(Some(&loaded.config.log_level.to_string().to_lowercase()));
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    if let Some(notice) = loaded.config.later_notice() {
        tracing::info!("{notice}");
    }
    if args.selfmon {
        tracing::info!("--selfmon is not needed: core itself watches the nodes");
    }
    tracing::info!("configuration:\n{}", indented(&loaded.config.dump()));
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("eru agent: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run::run(&loaded.config, plan)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}
