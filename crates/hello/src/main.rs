//! `eru-hello` as a program of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    eru_hello::main(std::env::args_os())
}
