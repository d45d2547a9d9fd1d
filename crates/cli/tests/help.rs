//! Every help page.

#![allow(clippy::unwrap_used)]

mod support;

/// Columns that pages are wrapped at here, whatever the terminal.
const WIDTH: usize = 110;

fn pages(command: &mut clap::Command, out: &mut String) {
    let name = command.get_bin_name().unwrap_or(command.get_name()).to_owned();
    let help = command.render_help().to_string();
    out.push_str(&format!("$ {name} --help\n{}\n\n", help.trim_end()));
    for sub in command.get_subcommands_mut() {
        pages(sub, out);
    }
}

#[test]
fn every_page() {
    let mut command = eru_cli::command().term_width(WIDTH);
    command.build();
    let mut top = String::new();
    let help = command.render_help().to_string();
    top.push_str(help.trim_end());
    support::expect("help.txt", &(top + "\n"));
    for noun in command.get_subcommands_mut() {
        let mut text = String::new();
        pages(noun, &mut text);
        support::expect(&format!("help_{}.txt", noun.get_name()), &text);
    }
}

#[test]
fn every_command_has_an_example_that_parses() {
    fn walk(command: &clap::Command, examples: &mut Vec<String>, path: &str) {
        if command.get_subcommands().next().is_none() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let lines = help.lines().filter(|line| line.starts_with("  eru-cli ")).map(|line| line.trim().to_owned());
            let before = examples.len();
            examples.extend(lines);
            assert!(examples.len() > before, "{path} has no example");
        }
        for sub in command.get_subcommands() {
            walk(sub, examples, &format!("{path} {}", sub.get_name()));
        }
    }
    let mut examples = Vec::new();
    walk(&eru_cli::command(), &mut examples, "eru-cli");
    for example in examples {
        let line = example.split("  # ").next().unwrap().split(" > ").next().unwrap();
        let line = if example.contains("--filter 'cpu") { &example } else { line };
        let words = eru_types::spec::split_command(line).unwrap();
        let args = words.into_iter().map(Into::into).collect();
        assert_eq!(eru_cli::check(args).map_err(|(message, _)| message), Ok(()), "{example}");
    }
}
