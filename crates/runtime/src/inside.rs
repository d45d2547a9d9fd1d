//! Paths inside of workloads.

use crate::port::{Error, Result, SentFile};
use eru_types::name::excerpt;

/// Longest path, in bytes: the kernel's.
const PATH_BYTES_MAX: usize = 4096;

/// A path that means the same to everybody.
pub(crate) fn check_path(what: &str, path: &str) -> Result<()> {
    let climbs = path.split('/').any(|part| part == "..");
    if !path.starts_with('/') || climbs || path.contains('\0') || path.len() > PATH_BYTES_MAX {
        return Err(Error::Invalid(format!(
            "{what}: must be an absolute path without \"..\" of at most {PATH_BYTES_MAX} bytes, got \"{}\"",
            excerpt(path)
        )));
    }
    Ok(())
}

/// A file's path, which is not a folder's.
pub(crate) fn check_file(file: &SentFile) -> Result<()> {
    check_path("file", &file.path)?;
    if file.path.ends_with('/') {
        return Err(Error::Invalid(format!("file: must not end with '/', got \"{}\"", excerpt(&file.path))));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_checked() {
        let long = format!("/{}", "a".repeat(PATH_BYTES_MAX));
        for bad in ["", "a", "/a/../b", "/..", "/a\0", &long] {
            assert!(check_path("file", bad).is_err(), "{bad:?}");
        }
        assert!(check_path("file", "/a..b/c").is_ok());
    }
}
