//! The command line as a process of its own, with pipes and terminals, against a core that does as a test says.
//!
//! Called with [`AS_COMMAND_LINE`] this program is the command line; otherwise it runs the tests, or those whose name
//! holds its first argument.

#![allow(clippy::unwrap_used, missing_docs)]

mod changes;
mod child;
mod copy;
mod core;
mod exec;
mod lambda;
mod pods;
mod recorded;
mod terminal;

use std::process::ExitCode;

/// What makes this program the command line.
pub const AS_COMMAND_LINE: &str = "--as-eru-cli";

type Test = (&'static str, fn());

const TESTS: &[Test] = &[
    ("exec::a_pipe_to_its_end", || run(exec::a_pipe_to_its_end())),
    ("exec::an_original_core", || run(exec::an_original_core())),
    ("exec::what_is_not_the_command", || run(exec::what_is_not_the_command())),
    ("exec::ctrl_c", || run(exec::ctrl_c())),
    ("exec::nobody_reads", || run(exec::nobody_reads())),
    ("exec::a_reader_that_is_slow", || run(exec::a_reader_that_is_slow())),
    ("lambda::two_workloads", || run(lambda::two_workloads())),
    ("lambda::a_pipe_gets_no_terminal", || run(lambda::a_pipe_gets_no_terminal())),
    ("lambda::left_to_run", || run(lambda::left_to_run())),
    ("lambda::one_is_not_made", || run(lambda::one_is_not_made())),
    ("copy::what_is_whole_is_kept", || run(copy::what_is_whole_is_kept())),
    ("copy::a_broken_stream_leaves_nothing", || run(copy::a_broken_stream_leaves_nothing())),
    ("changes::ctrl_c", || run(changes::ctrl_c())),
    ("changes::a_node_whose_engine_answers_is_not_down", || {
        run(changes::a_node_whose_engine_answers_is_not_down());
    }),
    ("changes::a_node_whose_engine_does_not_answer_is_down", || {
        run(changes::a_node_whose_engine_does_not_answer_is_down());
    }),
    ("pods::one_that_is_not_there", || run(pods::one_that_is_not_there())),
    ("recorded::sent_files", || run(recorded::sent_files())),
    ("recorded::replacements", || run(recorded::replacements())),
    ("recorded::removals", || run(recorded::removals())),
    ("recorded::images", || run(recorded::images())),
    ("recorded::networks", || run(recorded::networks())),
    ("terminal::raw_and_back", || run(terminal::raw_and_back())),
    ("terminal::ended_by_a_signal", || run(terminal::ended_by_a_signal())),
    ("terminal::left_by_the_key", || run(terminal::left_by_the_key())),
    ("terminal::refused_by_core", || run(terminal::refused_by_core())),
];

fn main() -> ExitCode {
    let mut args: Vec<_> = std::env::args_os().collect();
    if args.get(1).is_some_and(|arg| arg == AS_COMMAND_LINE) {
        args.splice(..2, ["eru-cli".into()]);
        return eru_cli::run(args, &eru_types::Build::default());
    }
    let wanted = args.into_iter().skip(1).find_map(|arg| arg.into_string().ok().filter(|arg| !arg.starts_with('-')));
    let mut failed = 0;
    for (name, test) in TESTS.iter().filter(|(name, _)| wanted.as_ref().is_none_or(|wanted| name.contains(wanted))) {
        let good = std::panic::catch_unwind(test).is_ok();
        println!("test {name} ... {}", if good { "ok" } else { "FAILED" });
        failed += usize::from(!good);
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(test);
    runtime.shutdown_background();
}
