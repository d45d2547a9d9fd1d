//! What is wrong with a command line, in one or two lines.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, Error};
use eru_types::name::excerpt;
use std::error::Error as _;

/// The message for a refused command line. `words` are the arguments, the program's name first.
pub fn message(command: &Command, words: &[String], error: &Error) -> String {
    match error.kind() {
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => error.render().to_string().trim_end().to_owned(),
        ErrorKind::InvalidSubcommand => {
            let word = text(error, ContextKind::InvalidSubcommand);
            let parent = deepest(command, words).get_name();
            let suggestion = suggestion(error, ContextKind::SuggestedSubcommand);
            format!("unknown command \"{}\" for \"{parent}\"{suggestion}", excerpt(&word))
        }
        ErrorKind::UnknownArgument => unknown(error),
        // What clap itself does, unless an option has its value from the environment.
        ErrorKind::MissingSubcommand => deepest(command, words).clone().render_help().to_string().trim_end().to_owned(),
        ErrorKind::MissingRequiredArgument => {
            let missing = list(error, ContextKind::InvalidArg);
            let names: Vec<&str> = missing.iter().map(|arg| name(arg)).collect();
            format!("missing {}; see --help", names.join(" and "))
        }
        ErrorKind::ValueValidation => {
            let cause = error.source().map(ToString::to_string).unwrap_or_default();
            let (arg, value) = (text(error, ContextKind::InvalidArg), excerpt(&text(error, ContextKind::InvalidValue)));
            // Parsers that are not ours do not say what they were given.
            let got = if cause.contains(&value) || cause.contains("got \"") {
                String::new()
            } else {
                format!(", got \"{value}\"")
            };
            format!("{}: {cause}{got}", name(&arg))
        }
        ErrorKind::InvalidValue => {
            let arg = text(error, ContextKind::InvalidArg);
            let (arg, value) = (name(&arg), text(error, ContextKind::InvalidValue));
            match list(error, ContextKind::ValidValue) {
                _ if value.is_empty() => format!("{arg}: needs a value"),
                valid => format!("{arg}: must be one of {}, got \"{}\"", valid.join(", "), excerpt(&value)),
            }
        }
        _ => first_line(error),
    }
}

fn unknown(error: &Error) -> String {
    let arg = text(error, ContextKind::InvalidArg);
    if arg.starts_with('-') {
        let suggestion = suggestion(error, ContextKind::SuggestedArg);
        format!("unknown option \"{}\"{suggestion}", excerpt(&arg))
    } else {
        format!("unexpected argument \"{}\"; see --help", excerpt(&arg))
    }
}

fn suggestion(error: &Error, kind: ContextKind) -> String {
    match list(error, kind).last() {
        Some(best) => format!("; did you mean \"{best}\"?"),
        None => String::from("; see --help"),
    }
}

/// The deepest command that the words name before they go wrong.
fn deepest<'a>(command: &'a Command, words: &[String]) -> &'a Command {
    words.iter().skip(1).fold(command, |at, word| at.find_subcommand(word).unwrap_or(at))
}

/// The name of an option or argument without its value: `--count <N>` is `--count`, `<SPEC>` is `SPEC`.
fn name(arg: &str) -> &str {
    if arg.starts_with('-') {
        return arg.split([' ', '=', '[']).next().unwrap_or(arg);
    }
    arg.trim_matches(['<', '>', '[', ']', '.'])
}

fn text(error: &Error, kind: ContextKind) -> String {
    list(error, kind).into_iter().next().unwrap_or_default()
}

fn list(error: &Error, kind: ContextKind) -> Vec<String> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => vec![text.clone()],
        Some(ContextValue::Strings(texts)) => texts.clone(),
        _ => Vec::new(),
    }
}

fn first_line(error: &Error) -> String {
    let text = error.render().to_string();
    let line = text.lines().next().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}
