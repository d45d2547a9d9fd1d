//! What keeps failing for a set, for whoever asks how it is.

use eru_api::controller::Condition;
use eru_reconcile::Millis;
use eru_types::limits::REASON_BYTES_MAX;
use std::time::Duration;

/// Something that fails, and when it is tried again.
#[derive(Debug, Clone, PartialEq)]
pub struct Trouble {
    /// What went wrong last, one line.
    pub text: String,
    /// Failures in a row.
    pub failures: u32,
    /// When it began.
    pub since: Millis,
    /// When it is tried again.
    pub retry_at: Millis,
}

impl Trouble {
    /// One more failure after `before`; the next try is `wait` from now.
    pub fn again(before: Option<&Self>, text: &str, now: Millis, wait: Duration) -> Self {
        Self {
            text: one_line(text),
            failures: before.map_or(0, |before| before.failures).saturating_add(1),
            since: before.map_or(now, |before| before.since),
            retry_at: now + Millis(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX)),
        }
    }

    /// As the API shows it.
    pub fn condition(&self, reason: &str, what: &str) -> Condition {
        Condition {
            reason: reason.to_owned(),
            text: format!("{what}: {}", self.text),
            failures: i32::try_from(self.failures).unwrap_or(i32::MAX),
            since_ms: self.since.0,
            retry_at_ms: self.retry_at.0,
        }
    }
}

/// A text of others as one bounded line.
pub fn one_line(text: &str) -> String {
    let mut line = String::new();
    for c in text.chars().flat_map(|c| if c.is_control() { c.escape_debug().collect() } else { vec![c] }) {
        if line.len() + c.len_utf8() > REASON_BYTES_MAX {
            break;
        }
        line.push(c);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_add_up_and_the_first_one_is_remembered() {
        let first = Trouble::again(None, "full", Millis(10), Duration::from_millis(100));
        let second = Trouble::again(Some(&first), "still full", Millis(200), Duration::from_millis(300));
        let expected = Trouble { text: "still full".into(), failures: 2, since: Millis(10), retry_at: Millis(500) };
        assert_eq!(second, expected);
        let shown = second.condition("store-failed", "the store");
        assert_eq!((shown.text.as_str(), shown.failures, shown.retry_at_ms), ("the store: still full", 2, 500));
    }

    #[test]
    fn texts_of_others_are_one_bounded_line() {
        assert_eq!(one_line("a\nb\u{1b}[31m é"), "a\\nb\\u{1b}[31m é");
        let long = one_line(&"é\n".repeat(REASON_BYTES_MAX));
        assert!(long.len() <= REASON_BYTES_MAX && long.len() > REASON_BYTES_MAX - 4, "{}", long.len());
    }
}
