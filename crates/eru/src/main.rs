//! The one binary and its names.
//!
//! Called as `eru-core`, `eru-agent`, `eru-controller`, `eru-cli` or `eru-hello` (links) it is that program; called as
//! `eru` it is the command line plus `up`, `down` and a way to start each daemon.

mod arguments;
mod daemon;
mod down;
mod logging;
mod program;
mod up;
mod version;

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<std::ffi::OsString> = std::env::args_os().collect();
    let (program, args) = program::choose(args);
    match program {
        program::Program::Shim => shim(&args),
        program::Program::Hello => eru_hello::main(args),
        program::Program::Cli => {
            if program::asks_for_help(&args) {
                print!("{}", program::DAEMONS_HELP);
            }
            eru_cli::run(args, &version::build())
        }
        program::Program::Up => up::main(args),
        program::Program::Down => down::main(args),
        program::Program::Core => daemon::core(args),
        program::Program::Controller => daemon::controller(args),
        program::Program::Agent => daemon::agent(args),
    }
}

fn shim(args: &[std::ffi::OsString]) -> ExitCode {
    let code = eru_runtime::process::shim::shim_main(args.get(1..).unwrap_or_default());
    u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from)
}
