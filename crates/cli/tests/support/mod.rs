//! Compares texts with files of `tests/expect/`. `UPDATE_EXPECT=1` writes what comes out now.

use std::path::PathBuf;

#[allow(dead_code)]
pub fn expect(file: &str, got: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/expect").join(file);
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, got).unwrap();
    }
    let want = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(got == want, "{file} differs; UPDATE_EXPECT=1 rewrites it\n--- got\n{got}\n--- want\n{want}");
}

/// Compares with an output that was recorded from the original, or is printed on the page: never rewritten.
#[allow(dead_code)]
pub fn recorded(file: &str, got: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/expect").join(file);
    let want = std::fs::read_to_string(&path).unwrap();
    assert!(got == want, "{file} differs from the original\n--- got\n{got}\n--- want\n{want}");
}
