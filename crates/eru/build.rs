//! How the one binary is linked.

use std::env::var;

/// Generic code is made many times over, and every constant with a pointer needs a relocation. With one copy of equal functions, and
/// relocations in their packed form, the binary is a twentieth smaller. Both are the linker's (rust-lld, Rust's default here).
const LINKER: [&str; 2] = ["-Wl,--icf=all", "-Wl,-z,pack-relative-relocs"];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is = |name: &str, value: &str| var(name).is_ok_and(|given| given == value);
    if is("PROFILE", "release") && is("TARGET", "x86_64-unknown-linux-gnu") {
        for argument in LINKER {
            println!("cargo::rustc-link-arg-bins={argument}");
        }
    }
}
