//! Text that others wrote.

use std::fmt::Write as _;

/// The text with its control characters made visible (`\x1b`, `\n`), so that it cannot move the cursor, colour the
/// screen or fake a line. Tabs become four blanks, as in the original.
pub fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' => out.push_str("    "),
            '\n' => out.push_str("\\n"),
            '\r' => {}
            c if c.is_control() => {
                let _ = write!(out, "\\x{:02x}", c as u32);
            }
            // Marks that turn the direction of writing can make a line read as another.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn control_characters_become_visible() {
        assert_eq!(super::clean("a\x1b[2Jb\nc\td\r\u{202e}é名"), "a\\x1b[2Jb\\nc    d\\u202eé名");
    }
}
