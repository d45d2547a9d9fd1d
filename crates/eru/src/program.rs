//! Which program we are: by the name we were called as, or by the first word.

use std::{ffi::OsString, path::Path};

/// The first word of the re-executed parent of a plain command.
pub const SHIM_WORD: &str = "process-shim";

/// What the one binary can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// The command line.
    Cli,
    /// Everything on this machine.
    Up,
    /// Removes what `up` runs.
    Down,
    /// The scheduler.
    Core,
    /// The node's watcher.
    Agent,
    /// The ReplicaSets.
    Controller,
    /// The example server.
    Hello,
    /// The parent of a plain command. Not for people.
    Shim,
}

/// What `eru` is beyond the command line; its help begins with this.
pub const DAEMONS_HELP: &str = "\
Start here:
  eru up [SPEC..]              core, agent and controller on this machine, and the specs kept alive
  eru down                     remove everything that `eru up` runs
  eru core --config FILE       core alone, on an embedded store or etcd      (help: eru-core --help)
  eru agent --config FILE      the agent of a node that has Docker           (help: eru agent --help)
  eru controller [OPTIONS]     the controller alone                          (help: eru controller --help)
  eru hello [OPTIONS]          the small HTTP server of the examples         (help: eru hello --help)

The command line, also as eru-cli:

";

/// Whether `eru` was called for its own help.
pub fn asks_for_help(args: &[OsString]) -> bool {
    let called_eru = args.first().is_some_and(|arg| Path::new(arg).file_name().is_some_and(|name| name == "eru"));
    let word = args.get(1).and_then(|arg| arg.to_str());
    called_eru && args.len() <= 2 && matches!(word, None | Some("--help" | "-h" | "help"))
}

/// The program and its arguments, its own name first, as `clap` wants them.
pub fn choose(mut args: Vec<OsString>) -> (Program, Vec<OsString>) {
    if args.is_empty() {
        args.push("eru".into());
    }
    let called = Path::new(&args[0]).file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let by_name = match called.as_str() {
        "eru-cli" => Some(Program::Cli),
        "eru-core" => Some(Program::Core),
        "eru-agent" => Some(Program::Agent),
        "eru-controller" => Some(Program::Controller),
        "eru-hello" => Some(Program::Hello),
        _ => None,
    };
    if let Some(program) = by_name {
        return (program, args);
    }
    let by_word = match args.get(1).and_then(|word| word.to_str()) {
        Some(SHIM_WORD) => Program::Shim,
        Some("up") => Program::Up,
        Some("down") => Program::Down,
        Some("agent") => Program::Agent,
        Some("controller") => Program::Controller,
        Some("hello") => Program::Hello,
        // `eru core info` is the command line's; `eru core` and `eru core --config x` start the daemon.
        Some("core")
            if args
                .get(2)
                .is_none_or(|next| next.to_string_lossy().starts_with('-') && next != "--help" && next != "-h") =>
        {
            Program::Core
        }
        _ => return (Program::Cli, args),
    };
    args.remove(0);
    (by_word, args)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(line: &str) -> (Program, String) {
        let (program, args) = choose(line.split(' ').map(OsString::from).collect());
        (program, args.iter().map(|a| a.to_string_lossy()).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn names_and_words() {
        for (line, program, rest) in [
            ("/usr/bin/eru-cli pod list", Program::Cli, "/usr/bin/eru-cli pod list"),
            ("eru-core --config x", Program::Core, "eru-core --config x"),
            ("eru-hello --port 1", Program::Hello, "eru-hello --port 1"),
            ("eru", Program::Cli, "eru"),
            ("eru pod list", Program::Cli, "eru pod list"),
            ("eru up a.yaml", Program::Up, "up a.yaml"),
            ("eru down", Program::Down, "down"),
            ("eru core info", Program::Cli, "eru core info"),
            ("eru core --help", Program::Cli, "eru core --help"),
            ("eru core --config x", Program::Core, "core --config x"),
            ("eru core", Program::Core, "core"),
            ("/x/eru process-shim dir", Program::Shim, "process-shim dir"),
        ] {
            assert_eq!(chosen(line), (program, rest.to_owned()), "{line}");
        }
        assert_eq!(choose(Vec::new()).0, Program::Cli);
    }
}
