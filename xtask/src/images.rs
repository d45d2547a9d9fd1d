//! `cargo xtask images`: the images that the page names, of the release or the debug binary.

use crate::steps;
use anyhow::{Context, Result, ensure};
use eru_images::{Made, Order, TestImages};
use std::path::PathBuf;

/// Which build of the binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Small and fast; what is given to others.
    Release,
    /// What the tests run.
    Debug,
}

impl Profile {
    fn folder(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Debug => "debug",
        }
    }
}

/// Builds the binary, and of it `projecteru2/core`, `/agent`, `/cli` and `eru-hello`, tagged `latest` and the version.
///
/// # Errors
/// Of the compiler or the engine.
pub fn run(profile: Profile) -> Result<()> {
    steps::build_eru(profile == Profile::Release)?;
    let binary = binary(profile)?;
    let made =
        eru_images::products(Order { binary: &binary, tags: &["latest", env!("CARGO_PKG_VERSION")], host: None })?;
    print(&made);
    Ok(())
}

/// The images of the binary that the tests run.
///
/// # Errors
/// When the binary is not there, or the engine refuses.
pub fn for_tests() -> Result<()> {
    let binary = binary(Profile::Debug)?;
    ensure!(binary.exists(), "{} is not there: it is built with the tests", binary.display());
    let images = TestImages::ensure(&binary, None)?;
    eprintln!("── images for tests: {}, {} and others", images.agent, images.hello);
    Ok(())
}

/// We are `<target folder>/debug/xtask`, and the binary is beside us or in the folder of its profile.
fn binary(profile: Profile) -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let target = own.ancestors().nth(2).context("xtask runs in a target folder")?;
    Ok(target.join(profile.folder()).join("eru"))
}

fn print(made: &[Made]) {
    for Made { reference, id, size_bytes, is_new } in made {
        let id = id.trim_start_matches("sha256:").get(..12).unwrap_or(id);
        let state = if *is_new { "built" } else { "unchanged" };
        println!("{reference:<28} {id}  {:>6.1} MB  {state}", *size_bytes as f64 / 1e6);
    }
}
