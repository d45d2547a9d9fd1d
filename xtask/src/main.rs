//! Chores that are more than one command: `cargo xtask test`, `cargo xtask images` and `cargo xtask bench`.

mod bridge;
mod disk;
mod images;
mod services;
mod steps;

use anyhow::{Result, bail};

const HELP: &str = "\
usage: cargo xtask <chore>

  test            install what the tests need (as root, from Debian packages), start what does not run, then fmt,
                  clippy with warnings as errors, the images of the tests, and every test
  test --no-root  the same without installing or starting anything: the tests that need etcd or a Docker engine, and
                  find none, are named and skipped
  images          build in release, and of the binary the images projecteru2/core, projecteru2/agent, projecteru2/cli
                  and eru-hello in the Docker engine of the environment; nothing is fetched
  images --debug  the same of the debug build
  bench [NAME..]  build in release and print the tables that README quotes (all of them without a name)
";

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["test"] => {
            disk::tell()?;
            let services = services::ensure()?;
            steps::test(true, &[])?;
            drop(services);
            Ok(())
        }
        ["test", "--no-root"] => {
            disk::tell()?;
            steps::test(false, &services::missing())
        }
        ["images"] => images::run(images::Profile::Release),
        ["images", "--debug"] => images::run(images::Profile::Debug),
        ["bench", names @ ..] => steps::bench(names),
        [] | ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            Ok(())
        }
        other => bail!("unknown chore {:?}\n\n{HELP}", other.join(" ")),
    }
}
