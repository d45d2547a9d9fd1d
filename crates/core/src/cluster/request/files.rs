//! Files that a workload gets.

use crate::cluster::{Error, Result};
use bytes::Bytes;
use eru_api::pb;
use eru_runtime::SentFile;
use eru_types::name::excerpt;
use std::collections::BTreeMap;

/// Most files of one request.
const FILES_LEN_MAX: usize = 1000;
/// All of them together, in bytes: a request of the default size has no more.
const FILES_BYTES_MAX: usize = 20 << 20;
/// Longest path, in bytes: the kernel's.
pub(crate) const PATH_BYTES_MAX: usize = 4096;
/// Permission bits of a file of which nothing is said.
const MODE: u32 = 0o755;
/// All permission bits there are.
const MODE_MAX: i64 = 0o7777;

/// The files of a request: contents, permissions and owners by path.
///
/// # Errors
/// [`Error::Invalid`] names the path.
pub(crate) fn files(
    data: &BTreeMap<String, Bytes>,
    modes: &BTreeMap<String, pb::FileMode>,
    owners: &BTreeMap<String, pb::FileOwner>,
) -> Result<Vec<SentFile>> {
    let bytes: usize = data.values().map(Bytes::len).sum();
    if data.len() > FILES_LEN_MAX || bytes > FILES_BYTES_MAX {
        return Err(Error::Invalid(format!(
            "data: {} files of {bytes} bytes (at most {FILES_LEN_MAX} of {FILES_BYTES_MAX} bytes together)",
            data.len()
        )));
    }
    data.iter()
        .map(|(path, data)| {
            let mode = modes.get(path).map_or(0, |mode| mode.mode);
            let owner = owners.get(path).cloned().unwrap_or_default();
            file(path, data.clone(), mode, owner)
        })
        .collect()
}

fn file(path: &str, data: Bytes, mode: i64, owner: pb::FileOwner) -> Result<SentFile> {
    self::path("data", path)?;
    if !(0..=MODE_MAX).contains(&mode) {
        return Err(Error::Invalid(format!("modes: {} must be 0 to 07777, got {mode:o}", excerpt(path))));
    }
    let id = |what: &str, id: i32| {
        u32::try_from(id).map_err(|_| Error::Invalid(format!("owners: {what} of {} is {id}, below 0", excerpt(path))))
    };
    let (uid, gid) = (id("uid", owner.uid)?, id("gid", owner.gid)?);
    let mode = mode.unsigned_abs() as u32;
    let mode = if (mode, uid, gid) == (0, 0, 0) { MODE } else { mode };
    Ok(SentFile { path: path.to_owned(), data, mode, uid, gid })
}

/// Checks the path of a file inside of a workload.
///
/// # Errors
/// [`Error::Invalid`] names the field and quotes the path.
pub(crate) fn path(field: &str, path: &str) -> Result<()> {
    if is_absolute(path) && !path.ends_with('/') {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "{field}: must be the absolute path of a file, without \"..\" and at most {PATH_BYTES_MAX} bytes, got \"{}\"",
        excerpt(path)
    )))
}

/// Whether a path is one that an engine may be given.
pub(crate) fn is_absolute(path: &str) -> bool {
    path.starts_with('/')
        && path.len() <= PATH_BYTES_MAX
        && !path.contains('\0')
        && !path.split('/').any(|part| part == "..")
}
