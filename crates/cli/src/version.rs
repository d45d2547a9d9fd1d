//! Which build this is.

use eru_types::Build;

/// The version of the build.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The lines of `--version`, in the form of the original.
pub(crate) fn text(build: &Build) -> String {
    let known = |text: &str| if text.is_empty() { "unknown".to_owned() } else { text.to_owned() };
    let lines = [
        ("Version:", format!("v{VERSION}")),
        ("Git hash:", known(&build.git_hash)),
        ("Built:", known(&build.built_at)),
        ("Compiler:", known(&build.compiler)),
        ("OS/Arch:", format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH)),
    ];
    lines.iter().map(|(name, value)| format!("{name:<15} {value}\n")).collect()
}
