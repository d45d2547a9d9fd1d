//! Chores that are more than one command: `cargo xtask test` and `cargo xtask bench`.

mod services;
mod steps;

use anyhow::{Result, bail};

const HELP: &str = "\
usage: cargo xtask <chore>

  test            install what the tests need (as root, from Debian packages), start what does not run,
                  then fmt, clippy with warnings as errors, and every test
  test --no-root  the same without installing or starting anything: tests that need etcd are skipped by name
  bench [NAME..]  build in release and print the tables that README quotes (all of them without a name)
";

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["test"] => {
            let services = services::ensure()?;
            steps::test(true)?;
            drop(services);
            Ok(())
        }
        ["test", "--no-root"] => steps::test(false),
        ["bench", names @ ..] => steps::bench(names),
        [] | ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            Ok(())
        }
        other => bail!("unknown chore {:?}\n\n{HELP}", other.join(" ")),
    }
}
