//! `workload exec`.

use crate::context::Context;
use crate::error::CliError;
use crate::session::{Expect, Input, Session, Stdin, converse};
use crate::{ids, values};
use eru_api::pb;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Our standard input is its input; with a terminal, if ours is one
    #[arg(long, short = 'i')]
    interactive: bool,
    /// A variable of its environment; repeatable
    #[arg(long, short = 'e', value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// Its working folder
    #[arg(long, short = 'w', value_name = "PATH", value_parser = values::absolute, default_value = "/")]
    workdir: String,
    /// Id of the workload: whole, a unique prefix, or the workload's name
    #[arg(value_name = "ID")]
    id: String,
    /// The command and its arguments; all that follows ID
    #[arg(value_name = "COMMAND", required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

/// Runs a command inside a workload. Returns its exit code.
pub(crate) async fn exec(context: &Context, args: Args) -> Result<u8, CliError> {
    run(context, args).await.map_err(CliError::not_the_command)
}

async fn run(context: &Context, args: Args) -> Result<u8, CliError> {
    let envs = values::env("--env", &args.env)?.iter().map(ToString::to_string).collect();
    check_command(&args.command)?;
    let workload_id = ids::resolve(context, std::slice::from_ref(&args.id)).await?.remove(0);
    let stdin = Stdin::of(args.interactive);
    let first = pb::ExecuteWorkloadOptions {
        workload_id,
        commands: args.command,
        envs,
        workdir: args.workdir,
        open_stdin: stdin != Stdin::None,
        raw: true,
        no_terminal: stdin == Stdin::Pipe,
        ..Default::default()
    };
    let session = Session { name: "ExecuteWorkload", first, wrap, stdin, expect: Expect::Ends(1), prefix: false };
    converse(context, session, async |mut core, messages| core.execute_workload(messages).await).await
}

/// A command that begins like an option is an option of ours, misspelt.
pub(crate) fn check_command(command: &[String]) -> Result<(), CliError> {
    match command.first().map(String::as_str) {
        None | Some("") => Err(CliError::Usage("COMMAND: must not be empty".into())),
        Some(word) if word.starts_with('-') => {
            Err(CliError::Usage(format!("unknown option \"{}\"; see --help", eru_types::name::excerpt(word))))
        }
        Some(_) => Ok(()),
    }
}

fn wrap(input: Input) -> pb::ExecuteWorkloadOptions {
    pb::ExecuteWorkloadOptions {
        repl_cmd: input.special,
        input: input.plain,
        close_input: input.end,
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};
    use clap::FromArgMatches as _;

    fn parse(line: &str) -> (Cli, Args) {
        let words = eru_types::spec::split_command(line).unwrap();
        let matches = crate::args::command().try_get_matches_from(words).unwrap();
        let mut cli = Cli::from_arg_matches(&matches).unwrap();
        let command = std::mem::replace(&mut cli.command, Command::Core(crate::cluster::Command::Info));
        match command {
            Command::Workload(crate::workload::Command::Exec(args)) => (cli, args),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn all_that_follows_the_id_is_the_command() {
        for (line, command) in [
            ("eru-cli workload exec -i abc sh -c 'ls -l'", &["sh", "-c", "ls -l"][..]),
            ("eru-cli workload exec abc -i sh -c x", &["sh", "-c", "x"]),
            ("eru-cli workload exec -i abc -- sh -i", &["sh", "-i"]),
            ("eru-cli workload exec -i abc -- ls -- -e", &["ls", "--", "-e"]),
            ("eru-cli workload exec -i abc ls -- -e x --eru y", &["ls", "--", "-e", "x", "--eru", "y"]),
        ] {
            let (cli, args) = parse(line);
            assert_eq!(
                (args.command.as_slice(), args.interactive),
                (&command.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>()[..], true),
                "{line}"
            );
            assert_ne!(cli.globals.eru, "y", "{line}");
        }
    }

    #[test]
    fn what_is_no_command() {
        let check = |word: &str| check_command(&[word.to_owned()]).map_err(|error| error.to_string());
        assert_eq!(check("ls"), Ok(()));
        assert_eq!(check("--cuont").unwrap_err(), "unknown option \"--cuont\"; see --help");
        assert_eq!(check("").unwrap_err(), "COMMAND: must not be empty");
    }

    #[test]
    fn its_own_short_options_are_not_the_global_ones() {
        let (cli, args) = parse("eru-cli -e h:1 workload exec -e A=1 -e B=2 abc env");
        assert_eq!((cli.globals.eru.as_str(), args.env), ("h:1", vec!["A=1".to_owned(), "B=2".to_owned()]));
        let (cli, args) = parse("eru-cli workload exec --eru h:2 -w /srv abc env");
        assert_eq!((cli.globals.eru.as_str(), args.workdir.as_str()), ("h:2", "/srv"));
    }
}
