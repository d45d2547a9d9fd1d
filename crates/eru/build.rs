//! How the one binary is linked, and what it knows of its origin.

use std::{
    env::var,
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
};

/// Generic code is made many times over, and every constant with a pointer needs a relocation. With one copy of equal functions, and
/// relocations in their packed form, the binary is a twentieth smaller. Both are the linker's (rust-lld, Rust's default here).
const LINKER: [&str; 2] = ["-Wl,--icf=all", "-Wl,-z,pack-relative-relocs"];
/// The time that is told instead of the commit's, in seconds since the epoch, as <https://reproducible-builds.org> has it.
const EPOCH: &str = "SOURCE_DATE_EPOCH";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed={EPOCH}");
    let is = |name: &str, value: &str| var(name).is_ok_and(|given| given == value);
    if is("PROFILE", "release") && is("TARGET", "x86_64-unknown-linux-gnu") {
        for argument in LINKER {
            println!("cargo::rustc-link-arg-bins={argument}");
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    // Of a source archive inside of another repository git would tell that one's commit.
    let git = |args: &[&str]| said("git", args, &root).filter(|_| root.join(".git").exists());
    // Not the time of the build: equal trees make equal binaries.
    let built_at = var(EPOCH).ok().or_else(|| git(&["show", "--no-patch", "--format=%ct", "HEAD"]));
    let compiler = said(var("RUSTC").as_deref().unwrap_or("rustc"), &["--version"], &root);
    for (name, value) in [
        ("ERU_GIT_HASH", git(&["rev-parse", "--short", "HEAD"])),
        ("ERU_BUILT_AT_SECONDS", built_at),
        ("ERU_COMPILER", compiler),
    ] {
        // Set to nothing it hides what the environment may have.
        println!("cargo::rustc-env={name}={}", value.unwrap_or_default());
    }
    // A commit changes the branch, a checkout HEAD, and both the log of HEAD: a branch without a file of its own has only that.
    let branch = git(&["symbolic-ref", "--quiet", "HEAD"]);
    for name in ["HEAD", "logs/HEAD"].into_iter().chain(branch.as_deref()) {
        let file = git(&["rev-parse", "--git-path", name]).map(PathBuf::from).map(|path| root.join(path));
        // One that is not there counts as changed with every build.
        if let Some(file) = file.filter(|file| file.exists()) {
            println!("cargo::rerun-if-changed={}", file.display());
        }
    }
}

/// What a program prints in a folder, if it is there and ends well.
fn said(program: impl AsRef<OsStr>, args: &[&str], folder: &Path) -> Option<String> {
    let out = Command::new(program).args(args).current_dir(folder).output().ok().filter(|out| out.status.success())?;
    Some(String::from_utf8(out.stdout).ok()?.trim().to_owned())
}
