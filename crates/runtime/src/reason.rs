//! Reasons: text of workloads, shown on one line.

use eru_types::limits::REASON_BYTES_MAX;

/// `text` without control characters, and not longer than a reason may be.
pub(crate) fn one_line(text: &str) -> String {
    let mut line = String::new();
    for character in text.trim().chars() {
        let before = line.len();
        match character {
            '\t' => line.push(' '),
            c if c.is_control() => line.extend(c.escape_default()),
            c => line.push(c),
        }
        if line.len() > REASON_BYTES_MAX {
            line.truncate(before);
            break;
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_short_and_harmless() {
        assert_eq!(one_line(" a\tb\x1b[31m\u{7}名\r\n"), "a b\\u{1b}[31m\\u{7}名");
        let long = one_line(&"名".repeat(1000));
        assert!(long.len() <= REASON_BYTES_MAX && long.len() > REASON_BYTES_MAX - 4);
    }
}
