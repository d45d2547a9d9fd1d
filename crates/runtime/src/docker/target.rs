//! Paths and queries of the engine's API, with every value encoded: no name of an image or a workload leaves its segment.

use std::fmt::Write;

/// A path and a query, without the version in front.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target(String);

impl Target {
    /// `/a/b/c` of these segments.
    pub(super) fn new(segments: &[&str]) -> Self {
        let mut text = String::new();
        for segment in segments {
            text.push('/');
            encode(&mut text, segment);
        }
        Self(text)
    }

    /// With one more query parameter.
    pub(super) fn with(mut self, name: &str, value: impl AsRef<str>) -> Self {
        self.0.push(if self.0.contains('?') { '&' } else { '?' });
        encode(&mut self.0, name);
        self.0.push('=');
        encode(&mut self.0, value.as_ref());
        self
    }

    /// The text that goes on the wire.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Leaves only what needs no encoding anywhere. Dots of a segment that is all dots are encoded as well.
fn encode(text: &mut String, value: &str) {
    let dots = !value.is_empty() && value.bytes().all(|b| b == b'.');
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'~' => text.push(char::from(byte)),
            b'.' if !dots => text.push('.'),
            _ => write!(text, "%{byte:02X}").expect("a string takes everything"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_its_place() {
        let target = Target::new(&["images", "../containers/x?a=b&c#d", "json"]).with("a b", "{\"x\":[\"ü\"]}");
        assert_eq!(
            target.as_str(),
            "/images/..%2Fcontainers%2Fx%3Fa%3Db%26c%23d/json?a%20b=%7B%22x%22%3A%5B%22%C3%BC%22%5D%7D"
        );
        assert_eq!(
            Target::new(&["containers", ".."]).with("a", "1").with("b", "2").as_str(),
            "/containers/%2E%2E?a=1&b=2"
        );
    }
}
