//! A command line as specs write it, split into program and arguments.

use super::{Error, Result};
use eru_types::name::excerpt;

/// Splits at spaces. A word that begins with a quote goes on to the word that ends with the same quote; there are no
/// escapes, and other quotes within are plain text: `sh -c 'echo "a b"'` has three parts.
///
/// # Errors
/// [`Error::Invalid`] for a quote that is not closed.
pub(crate) fn split(line: &str) -> Result<Vec<String>> {
    let mut parts = Vec::new();
    let mut words = line.split(' ').peekable();
    while let Some(word) = words.next() {
        let Some(quote) = word.chars().next().filter(|c| matches!(c, '\'' | '"')) else {
            if !word.is_empty() {
                parts.push(word.to_owned());
            }
            continue;
        };
        let mut part = word[1..].to_owned();
        while !part.ends_with(quote) {
            let Some(more) = words.next() else {
                return Err(Error::Invalid(format!("command: quote {quote} is not closed in \"{}\"", excerpt(line))));
            };
            part.push(' ');
            part.push_str(more);
        }
        part.pop();
        parts.push(part);
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_split() {
        for (line, want) in [
            ("", vec![]),
            ("  a   b ", vec!["a", "b"]),
            (r#"/bin/bash -l -c 'echo "foo bar bah bin"'"#, vec!["/bin/bash", "-l", "-c", r#"echo "foo bar bah bin""#]),
            ("a 'b' \"\" c", vec!["a", "b", "", "c"]),
            ("say it's", vec!["say", "it's"]),
            ("a ' b' c", vec!["a", " b", "c"]),
        ] {
            assert_eq!(split(line).unwrap(), want, "{line}");
        }
        assert!(split("a 'b c").unwrap_err().to_string().contains("quote ' is not closed in"));
        assert!(split("'").is_err());
    }

    proptest! {
        #[test]
        fn no_line_panics(line in ".*") {
            let _ = split(&line);
        }
    }
}
