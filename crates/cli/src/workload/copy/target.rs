//! What to copy: `ID:PATH[,PATH]...`.

use eru_types::name::excerpt;

/// Paths of one workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// As it was given.
    pub id: String,
    /// Absolute, none twice.
    pub paths: Vec<String>,
}

pub(super) fn parse(text: &str) -> Result<Target, String> {
    let parts = text.split_once(':').filter(|(id, paths)| !id.is_empty() && !paths.is_empty());
    let (id, paths) = parts.ok_or_else(|| format!("expected ID:PATH[,PATH]..., got \"{}\"", excerpt(text)))?;
    let paths: Result<Vec<String>, String> = paths.split(',').map(crate::values::absolute).collect();
    Ok(Target { id: id.to_owned(), paths: paths? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notation() {
        let target = parse("web:/a,/b c:d").unwrap();
        assert_eq!((target.id.as_str(), target.paths), ("web", vec!["/a".to_owned(), "/b c:d".to_owned()]));
        for bad in ["web", "web:", ":/a", ""] {
            assert_eq!(parse(bad).unwrap_err(), format!("expected ID:PATH[,PATH]..., got \"{bad}\""));
        }
        assert_eq!(parse("web:a").unwrap_err(), "must be an absolute path, got \"a\"");
        assert_eq!(parse("web:/a,,/b").unwrap_err(), "must be an absolute path, got \"\"");
    }
}
