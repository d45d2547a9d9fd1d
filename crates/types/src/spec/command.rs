//! Command lines.

/// Why a command line cannot be split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    /// A quote has no end.
    #[error("unclosed quote at column {column}")]
    Quote {
        /// Where the quote begins, in characters from 1.
        column: usize,
    },
    /// It ends with a backslash.
    #[error("backslash at the end, column {column}")]
    Backslash {
        /// Where, in characters from 1.
        column: usize,
    },
}

/// Splits a command line at blanks. `'...'` keeps everything, `"..."` keeps all but `\"` and `\\`, outside of quotes a
/// backslash keeps the next character. Nothing is expanded: there is no shell.
///
/// # Errors
/// [`SplitError`] with the column.
pub fn split_command(line: &str) -> Result<Vec<String>, SplitError> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.chars().zip(1..);
    while let Some((c, column)) = chars.next() {
        match c {
            c if c.is_whitespace() => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next().ok_or(SplitError::Quote { column })?.0 {
                        '\'' => break,
                        c => word.push(c),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next().ok_or(SplitError::Quote { column })?.0 {
                        '"' => break,
                        '\\' => match chars.next().ok_or(SplitError::Quote { column })?.0 {
                            c @ ('"' | '\\') => word.push(c),
                            c => word.extend(['\\', c]),
                        },
                        c => word.push(c),
                    }
                }
            }
            '\\' => word.get_or_insert_default().push(chars.next().ok_or(SplitError::Backslash { column })?.0),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quotes_and_blanks() {
        for (line, want) in [
            ("", &[][..]),
            ("  ", &[]),
            ("a b  c", &["a", "b", "c"]),
            ("sh -c 'a b'", &["sh", "-c", "a b"]),
            (r#"a "b \" c" d"#, &["a", "b \" c", "d"]),
            (r#"a "b\n""#, &["a", r"b\n"]),
            (r"a\ b c", &["a b", "c"]),
            ("a '' \"\"", &["a", "", ""]),
            ("--x='1 2'y", &["--x=1 2y"]),
            ("名 'ü'", &["名", "ü"]),
        ] {
            assert_eq!(split_command(line).unwrap(), want, "{line:?}");
        }
        assert_eq!(split_command("sh -c 'a").unwrap_err().to_string(), "unclosed quote at column 7");
        assert_eq!(split_command(r#"a "b\"#), Err(SplitError::Quote { column: 3 }));
        assert_eq!(split_command(r"a\"), Err(SplitError::Backslash { column: 2 }));
    }

    proptest! {
        #[test]
        fn quoted_words_come_back(words in proptest::collection::vec("[^\0']{0,8}", 0..6)) {
            let line: Vec<String> = words.iter().map(|w| format!("'{w}'")).collect();
            prop_assert_eq!(split_command(&line.join(" ")).unwrap(), words);
        }
    }
}
