//! The files that were put into a simulated workload.

use super::engine::Inner;
use crate::{
    inside::check_file,
    port::{Result, SentFile},
};
use bytes::Bytes;
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use parking_lot::Mutex;
use std::{collections::BTreeMap, sync::Arc};

/// How much of an archive comes at a time, in bytes: what an engine sends at most in one piece, so that readers must cut.
const PIECE_BYTES: usize = 256 * 1024;

/// A file of a simulated workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FakeFile {
    data: Bytes,
    mode: u32,
    uid: u32,
    gid: u32,
}

/// Puts files in; a folder stands in the way of nothing, as there are none.
pub(super) fn put(tree: &mut BTreeMap<String, FakeFile>, files: &[SentFile]) -> Result<()> {
    files.iter().try_for_each(check_file)?;
    for file in files {
        let SentFile { path, data, mode, uid, gid } = file.clone();
        tree.insert(path, FakeFile { data, mode, uid, gid });
    }
    Ok(())
}

/// A file, or all below a folder, as a tar archive; `None` = there is nothing.
pub(super) fn archive(tree: &BTreeMap<String, FakeFile>, path: &str) -> Option<Bytes> {
    let path = path.trim_end_matches('/');
    let parent = path.rfind('/').map_or(0, |at| at + 1);
    let folder = format!("{path}/");
    let found = tree.iter().filter(|(name, _)| *name == path || name.starts_with(&folder));
    let mut builder = tar::Builder::new(Vec::new());
    let mut count = 0;
    for (name, file) in found {
        let mut header = tar::Header::new_gnu();
        header.set_size(file.data.len() as u64);
        header.set_mode(file.mode);
        header.set_uid(file.uid.into());
        header.set_gid(file.gid.into());
        builder.append_data(&mut header, name.get(parent..)?, &file.data[..]).ok()?;
        count += 1;
    }
    let archive = builder.into_inner().ok()?;
    (count > 0).then(|| archive.into())
}

/// The archive in pieces. It breaks off with an error when the engine is set down.
pub(super) fn pieces(archive: Bytes, inner: Arc<Mutex<Inner>>) -> BoxStream<'static, Result<Bytes>> {
    stream::unfold(archive, move |mut archive| {
        let inner = inner.clone();
        async move {
            if archive.is_empty() {
                return None;
            }
            let inner = inner.lock();
            if inner.is_down() {
                return Some((Err(inner.unavailable()), Bytes::new()));
            }
            let piece = archive.split_to(PIECE_BYTES.min(archive.len()));
            Some((Ok(piece), archive))
        }
    })
    .boxed()
}
