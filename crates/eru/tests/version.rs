//! Every part of the one binary says which build it is.

use anyhow::{Context, Result, ensure};
use eru_api::pb;
use eru_testkit::Up;
use std::{path::Path, process::Command};

const ERU: &str = env!("CARGO_BIN_EXE_eru");

fn printed(program: &str, args: &[&str]) -> Result<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let out = Command::new(program).args(args).env("TZ", "UTC").current_dir(root).output()?;
    ensure!(out.status.success(), "{program} {args:?}: {out:?}");
    Ok(String::from_utf8(out.stdout)?.trim().to_owned())
}

#[tokio::test]
async fn the_command_line_and_core_tell_the_same_build() -> Result<()> {
    let text = printed(ERU, &["--version"])?;
    let line = |name: &str| -> Result<String> {
        let found = text.lines().find_map(|line| line.strip_prefix(name)).with_context(|| text.clone())?;
        Ok(found.trim().to_owned())
    };
    let (hash, built, compiler) = (line("Git hash:")?, line("Built:")?, line("Compiler:")?);
    assert!(compiler.starts_with("rustc "), "{text}");
    if Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.git").exists() {
        // Of that commit: another may have come since the build.
        let format = "--date=format-local:%Y-%m-%dT%H:%M:%SZ";
        assert_eq!(
            printed("git", &["show", "--no-patch", format, "--format=%h %cd", &hash])?,
            format!("{hash} {built}")
        );
    } else {
        assert_eq!((hash.as_str(), built.as_str()), ("unknown", "unknown"), "a source archive");
    }
    let up = Up::start(ERU, &[]).await?;
    let info = up.client().await?.info(pb::Empty {}).await?.into_inner();
    let known = |text: &str| if text == "unknown" { String::new() } else { text.to_owned() };
    assert_eq!((info.revison, info.build_at), (known(&hash), known(&built)));
    Ok(())
}
