//! The options of the programs that are not the command line: what is wrong with them is said as the command line says it.

use clap::{CommandFactory, Error, FromArgMatches};
use std::{ffi::OsString, process::ExitCode};

/// Wrong arguments, as in the command line.
pub const EXIT_USAGE: u8 = 2;

/// The options that `args` give `program`. Help and version are printed here, and what is wrong.
///
/// # Errors
/// The exit code, when there is nothing more to do.
pub fn parse<T: CommandFactory + FromArgMatches>(program: &str, args: Vec<OsString>) -> Result<T, ExitCode> {
    options(args).map_err(|refusal| match refusal {
        Refusal::Wrong(message) => {
            eprintln!("{program}: {message}");
            ExitCode::from(EXIT_USAGE)
        }
        Refusal::Asked(text) => {
            // Where standard output is closed nobody reads.
            let _ = text.print();
            ExitCode::SUCCESS
        }
    })
}

enum Refusal {
    /// What is wrong, in a line.
    Wrong(String),
    /// Help or version.
    Asked(Error),
}

fn options<T: CommandFactory + FromArgMatches>(args: Vec<OsString>) -> Result<T, Refusal> {
    let mut command = T::command();
    let words: Vec<String> = args.iter().map(|arg| arg.to_string_lossy().into_owned()).collect();
    let parsed = command.try_get_matches_from_mut(args).and_then(|matches| T::from_arg_matches(&matches));
    parsed.map_err(|error| match error.use_stderr() {
        true => Refusal::Wrong(eru_cli::usage_message(&command, &words, &error)),
        false => Refusal::Asked(error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use std::net::SocketAddr;

    #[derive(Debug, Parser)]
    #[command(name = "eru-x", version)]
    struct Options {
        #[arg(long, value_name = "HOST:PORT")]
        listen: Option<SocketAddr>,
        #[arg(long, value_name = "DIR", required_unless_present = "listen")]
        data_dir: Option<String>,
    }

    fn refused(line: &str) -> String {
        match options::<Options>(line.split(' ').map(OsString::from).collect()) {
            Err(Refusal::Wrong(message)) => message,
            Err(Refusal::Asked(_)) => "asked".to_owned(),
            Ok(options) => panic!("{options:?}"),
        }
    }

    #[test]
    fn what_is_wrong_is_one_line() {
        for (line, want) in [
            ("eru-x --frob", "unknown option \"--frob\"; see --help"),
            ("eru-x --listen 0.0.0.0", "--listen: invalid socket address syntax, got \"0.0.0.0\""),
            ("eru-x --listen", "--listen: needs a value"),
            ("eru-x", "missing --data-dir; see --help"),
            ("eru-x --data-dir d more", "unexpected argument \"more\"; see --help"),
            ("eru-x --help", "asked"),
            ("eru-x --version", "asked"),
        ] {
            assert_eq!(refused(line), want, "{line}");
        }
    }
}
