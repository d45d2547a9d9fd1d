//! `completion`.

use crate::error::CliError;
use crate::output;
use clap_complete::Shell;

/// Print a script that completes this command line in a shell.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  eru-cli completion bash > /etc/bash_completion.d/eru-cli
  eru-cli completion zsh > \"${fpath[1]}/_eru-cli\"
  eru-cli completion fish > ~/.config/fish/completions/eru-cli.fish")]
pub(crate) struct Args {
    /// bash, zsh or fish
    #[arg(value_name = "SHELL", value_parser = shell)]
    shell: Shell,
}

fn shell(text: &str) -> Result<Shell, String> {
    match text {
        "bash" => Ok(Shell::Bash),
        "zsh" => Ok(Shell::Zsh),
        "fish" => Ok(Shell::Fish),
        _ => Err(format!("must be bash, zsh or fish, got \"{}\"", eru_types::name::excerpt(text))),
    }
}

/// `called` is the name that the command line was called by.
pub(crate) fn run(called: &str, args: Args) -> Result<(), CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut crate::args::command(), called, &mut script);
    output::print_bytes(&script)
}
