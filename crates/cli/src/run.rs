//! From arguments to exit code.

use crate::args::{Cli, Command};
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::{
    cluster, completion, image, lambda, network, node, output, pod, replicaset, status, usage, version, workload,
};
use clap::FromArgMatches as _;
use clap::error::ErrorKind;
use eru_types::Build;
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

/// Runs the command line of a build. The first argument is the name it was called by, which help and errors repeat.
pub fn run(args: Vec<OsString>, build: &Build) -> ExitCode {
    match execute(args, build) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            if !error.is_closed() {
                eprintln!("{error}");
            }
            ExitCode::from(error.exit() as u8)
        }
    }
}

/// Checks arguments without running anything: the message and exit code of what is wrong with them.
///
/// # Errors
/// What a user would read, and the exit code.
pub fn check(args: Vec<OsString>) -> Result<(), (String, Exit)> {
    match parse(args) {
        Ok(_) => Ok(()),
        Err(error) => Err((error.to_string(), error.exit())),
    }
}

enum Parsed {
    Cli(Box<Cli>),
    /// Help, to be printed.
    Text(String),
    /// The version, to be printed.
    Version,
}

fn execute(args: Vec<OsString>, build: &Build) -> Result<u8, CliError> {
    let called = if args.first().is_some_and(|name| called(name) == "eru") { "eru" } else { "eru-cli" };
    let cli = match parse(args)? {
        Parsed::Text(text) => return output::print(&text).map(good),
        Parsed::Version => return output::print(&version::text(build)).map(good),
        Parsed::Cli(cli) => *cli,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::Failed(format!("cannot start: {error}")))?;
    let result = runtime.block_on(dispatch(cli, called));
    // A read of standard input that is under way would be waited for.
    runtime.shutdown_background();
    result
}

/// The exit code when everything went well.
fn good((): ()) -> u8 {
    Exit::Good as u8
}

fn parse(mut args: Vec<OsString>) -> Result<Parsed, CliError> {
    if args.is_empty() {
        args.push("eru-cli".into());
    }
    if let Some(position) = args.iter().position(|arg| arg.to_str().is_none()) {
        return Err(CliError::Usage(format!("argument {position} is not valid UTF-8")));
    }
    // `eru-cli help pod add` is what many type first.
    if args.get(1).is_some_and(|word| word == "help") {
        args.remove(1);
        args.push("--help".into());
    }
    let mut command = named(crate::args::command(), &args[0]);
    let words: Vec<String> = args.iter().map(|arg| arg.to_string_lossy().into_owned()).collect();
    let parsed = command.try_get_matches_from_mut(&args).and_then(|matches| Cli::from_arg_matches(&matches));
    parsed.map(|cli| Parsed::Cli(Box::new(cli))).or_else(|error| match error.kind() {
        ErrorKind::DisplayHelp => Ok(Parsed::Text(error.render().to_string())),
        ErrorKind::DisplayVersion => Ok(Parsed::Version),
        _ => {
            let wrong = CliError::Usage(usage::message(&command, &words, &error));
            Err(if runs_a_command(&words) { wrong.not_the_command() } else { wrong })
        }
    })
}

/// Whether the words name a command that ends with the exit code of another one.
fn runs_a_command(words: &[String]) -> bool {
    let mut words = words.iter().skip(1).map(String::as_str).filter(|word| !word.starts_with('-'));
    words.any(|word| word == "lambda" || word == "exec")
}

/// The command under the name it was called by: as `eru` it is part of a larger one.
fn named(command: clap::Command, called: &OsString) -> clap::Command {
    if self::called(called) != "eru" {
        return command;
    }
    renamed(command).name("eru").bin_name("eru")
}

/// The name without its folder.
fn called(name: &OsString) -> String {
    Path::new(name).file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn renamed(mut command: clap::Command) -> clap::Command {
    let rename = |text: &clap::builder::StyledStr| text.to_string().replace("eru-cli", "eru");
    if let Some(text) = command.get_after_help().map(rename) {
        command = command.after_help(text);
    }
    if let Some(text) = command.get_after_long_help().map(rename) {
        command = command.after_long_help(text);
    }
    command.mut_subcommands(renamed)
}

async fn dispatch(cli: Cli, called: &'static str) -> Result<u8, CliError> {
    let context = Context::new(cli.globals, called)?;
    let context = &context;
    let done = match cli.command {
        Command::Core(command) => cluster::run(context, command).await,
        Command::Pod(command) => pod::run(context, command).await,
        Command::Node(command) => node::run(context, command).await,
        Command::Workload(workload::Command::Exec(args)) => return workload::exec(context, args).await,
        Command::Workload(command) => workload::run(context, command).await,
        Command::Image(command) => image::run(context, command).await,
        Command::Network(command) => network::run(context, command).await,
        Command::Lambda(args) => return lambda::run(context, *args).await,
        Command::Status(args) => output::while_read(status::run(context, args)).await,
        Command::Replicaset(command) => replicaset::run(context, command).await,
        Command::Completion(args) => completion::run(called, args),
    };
    done.map(good)
}
