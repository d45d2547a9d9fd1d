//! Text in, text out: each file of `tests/expect/` holds cases of the form
//!
//! ```text
//! === what the case is about
//! the input
//! ---
//! what comes out
//! ```
//!
//! `UPDATE_EXPECT=1 cargo test -p eru-config` writes what comes out now; the difference is then for review.

#![allow(clippy::unwrap_used)]

use eru_config::problem::Problem;
use eru_config::{AgentConfig, CoreConfig, InputError, Loaded, spec};
use std::fmt::Write as _;
use std::path::PathBuf;

fn check(file: &str, run: fn(&str) -> String) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/expect").join(file);
    let before = std::fs::read_to_string(&path).unwrap();
    let mut after = String::new();
    for case in before.split("=== ").skip(1) {
        let (title, rest) = case.split_once('\n').unwrap();
        let (input, _) = rest.split_once("\n---\n").unwrap_or((rest, ""));
        let input = input.trim_end_matches('\n');
        let output = run(input);
        assert!(!output.contains("hunter2"), "{title}: a password is printed");
        writeln!(after, "=== {title}\n{input}\n---\n{}\n", output.trim_end()).unwrap();
    }
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, &after).unwrap();
    }
    assert_eq!(after, before, "{file} differs; UPDATE_EXPECT=1 rewrites it");
}

fn outcome<T>(result: Result<Loaded<T>, InputError>, show: impl FnOnce(T) -> String) -> String {
    match result {
        Err(error) => error.to_string(),
        Ok(loaded) => {
            let warnings: Vec<String> = loaded.warnings.iter().map(|w: &Problem| format!("warning: {w}")).collect();
            [warnings.join("\n"), show(loaded.config)].join("\n").trim_start().to_owned()
        }
    }
}

fn run_spec(input: &str) -> String {
    // `\e`, `\t` and the like cannot stand in the file for all to see.
    let text = input.replace("<TAB>", "\t").replace("<CR>", "\r").replace("<BOM>", "\u{feff}").replace("<NUL>", "\\0");
    let text = if text == "<EMPTY>" { String::new() } else { text };
    outcome(spec::parse("web.yaml", &text), |_| "ok".into())
}

fn run_spec_shown(input: &str) -> String {
    outcome(spec::parse("web.yaml", input), |spec| format!("{spec:#?}"))
}

/// Lines that begin with `$` are settings from outside: `$ERU_CORE_BIND=...` or `$--bind key value`.
fn layers(input: &str) -> (String, Vec<(String, String)>, Vec<eru_config::Setting>) {
    let (mut environment, mut flags, mut text) = (Vec::new(), Vec::new(), String::new());
    for line in input.lines() {
        match line.strip_prefix('$') {
            Some(flag) if flag.starts_with("--") => {
                let mut words = flag.splitn(3, ' ');
                let mut word = || words.next().unwrap();
                flags.push(eru_config::Setting::flag(word(), word(), word()));
            }
            Some(variable) => {
                let (name, value) = variable.split_once('=').unwrap();
                environment.push((name.to_owned(), value.to_owned()));
            }
            None => writeln!(text, "{line}").unwrap(),
        }
    }
    (text, environment, flags)
}

fn run_core(input: &str) -> String {
    let (text, environment, flags) = layers(input);
    outcome(CoreConfig::parse("core.yaml", &text, environment, &flags), |config| {
        let default = CoreConfig { later_keys: Vec::new(), ..CoreConfig::default() }.dump();
        changed(&default, &config.dump()) + &config.later_notice().unwrap_or_default()
    })
}

fn run_agent(input: &str) -> String {
    let (text, environment, flags) = layers(input);
    outcome(AgentConfig::parse("agent.yaml", &text, environment, &flags), |config| {
        changed(&AgentConfig::default().dump(), &config.dump()) + &config.later_notice().unwrap_or_default()
    })
}

/// The lines of a dump that are not those of the defaults.
fn changed(default: &str, dump: &str) -> String {
    let default: Vec<&str> = default.lines().collect();
    dump.lines().filter(|line| !default.contains(line)).map(|line| format!("{}\n", line.trim_end())).collect()
}

#[test]
fn spec_errors() {
    check("spec_errors.txt", run_spec);
}

#[test]
fn specs() {
    check("specs.txt", run_spec_shown);
}

#[test]
fn core_config() {
    check("core_config.txt", run_core);
}

#[test]
fn agent_config() {
    check("agent_config.txt", run_agent);
}
