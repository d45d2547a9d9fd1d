//! Hostile YAML: refused by name, fast, and without much memory.

#![allow(clippy::unwrap_used)]

use eru_config::yaml::parse;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

fn refused(text: &str) -> String {
    let start = Instant::now();
    let problem = parse("x.yaml", text).unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(2), "took {:?}", start.elapsed());
    problem.to_string()
}

#[test]
fn alias_bomb() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for level in 1..9 {
        let items = vec![format!("*a{}", level - 1); 9].join(", ");
        writeln!(text, "a{level}: &a{level} [{items}]").unwrap();
    }
    assert!(refused(&text).contains("exceeds 10000 values (aliases count each time)"));
}

#[test]
fn alias_of_a_large_text() {
    let aliases = "- *big\n".repeat(5000);
    let text = format!("big: &big {}\nlist:\n{aliases}", "x".repeat(500_000));
    assert!(refused(&text).contains("exceeds 1 MiB by its aliases"));
}

#[test]
fn deep_nesting() {
    assert!(refused(&"[".repeat(100_000)).contains("exceeds depth 32"));
    assert!(refused(&"{a: ".repeat(100_000)).contains("exceeds depth 32"));
    let block: String = (0..200).map(|i| format!("{}a:\n", " ".repeat(i))).collect();
    assert!(refused(&block).contains("exceeds depth 32"));
}

#[test]
fn deep_alias() {
    let mut text = String::new();
    for level in 0..40 {
        let inner = if level == 0 { "x".into() } else { format!("*a{}", level - 1) };
        writeln!(text, "a{level}: &a{level} [{inner}]").unwrap();
    }
    assert!(refused(&text).contains("exceeds depth 32"));
}

#[test]
fn large_and_wide() {
    assert!(refused(&"# x\n".repeat(300_000)).contains("exceeds 1 MiB, has 1200000 bytes"));
    assert!(refused(&"- x\n".repeat(20_000)).contains("exceeds 10000 values"));
}

#[test]
fn alias_of_itself() {
    assert_eq!(refused("a: &a [*a]\n"), "x.yaml:1:8: alias of a value that holds the alias itself");
}
