//! Which build this is.

/// The version of the build.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The lines of `--version`, in the form of the original.
pub(crate) fn text() -> String {
    let lines = [
        ("Version:", format!("v{VERSION}")),
        ("Git hash:", option_env!("ERU_GIT_HASH").unwrap_or("unknown").to_owned()),
        ("Built:", option_env!("ERU_BUILT_AT").unwrap_or("unknown").to_owned()),
        ("Compiler:", option_env!("ERU_COMPILER").unwrap_or("rustc").to_owned()),
        ("OS/Arch:", format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH)),
    ];
    lines.iter().map(|(name, value)| format!("{name:<15} {value}\n")).collect()
}
