//! Files of workloads: put in, and taken out of another one.

use super::{Cluster, Error, Result, engines::Engine};
use bytes::{Bytes, BytesMut};
use eru_runtime::SentFile;
use eru_types::{EngineId, name::excerpt};
use futures::StreamExt;
use std::io::Cursor;

/// What is taken out of a workload for its replacement, in bytes, all paths together: it is kept in memory in between.
pub(crate) const COPIED_BYTES_MAX: usize = 64 << 20;

impl Cluster {
    /// Puts files into a workload.
    pub(crate) async fn put_files(&self, engine: &Engine, id: &EngineId, files: &[SentFile]) -> Result<()> {
        if files.is_empty() {
            return Ok(());
        }
        let _slot = engine.slot().await;
        self.engine_call(engine.runtime.send_files(id, files)).await
    }

    /// Takes a file, or all files below a folder, out of a workload, as they are to be put in at `destination`. At most
    /// `bytes_max` of them.
    ///
    /// # Errors
    /// [`Error::Precondition`] for what is too large or no plain file; what the engine said.
    pub(crate) async fn take_files(
        &self,
        engine: &Engine,
        id: &EngineId,
        source: &str,
        destination: &str,
        bytes_max: usize,
    ) -> Result<Vec<SentFile>> {
        let archive = self.engine_call(async {
            let mut pieces = engine.runtime.copy_from(id, source).await?;
            let mut archive = BytesMut::new();
            while let Some(piece) = pieces.next().await {
                archive.extend_from_slice(&piece?);
                if archive.len() > bytes_max {
                    break;
                }
            }
            Ok(archive.freeze())
        });
        let archive = archive.await?;
        if archive.len() > bytes_max {
            return Err(Error::Precondition(format!(
                "copy: \"{}\" is larger than the {bytes_max} bytes that can be copied",
                excerpt(source)
            )));
        }
        unpack(&archive, source, destination)
    }
}

/// The files of an archive of `source`, with their paths below `destination`. Their contents stay where they are in it.
fn unpack(archive: &Bytes, source: &str, destination: &str) -> Result<Vec<SentFile>> {
    let broken = |error: std::io::Error| {
        Error::Precondition(format!("copy: the archive of \"{}\" cannot be read: {error}", excerpt(source)))
    };
    let mut tar = tar::Archive::new(Cursor::new(archive));
    let mut files = Vec::new();
    for entry in tar.entries().map_err(broken)? {
        let entry = entry.map_err(broken)?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        // The first part is the name of the source itself.
        let within = name.trim_start_matches('/').split_once('/').map_or("", |(_, within)| within);
        let kind = entry.header().entry_type();
        if kind.is_dir() {
            continue;
        }
        if !kind.is_file() || within.split('/').any(|part| part == "..") {
            return Err(Error::Precondition(format!(
                "copy: \"{}\" in \"{}\" is no plain file and cannot be copied",
                excerpt(&name),
                excerpt(source)
            )));
        }
        let path = match within {
            "" => destination.to_owned(),
            within => format!("{destination}/{within}"),
        };
        let (start, len) = (entry.raw_file_position(), entry.size());
        let end = start.saturating_add(len);
        if end > archive.len() as u64 {
            return Err(broken(std::io::ErrorKind::UnexpectedEof.into()));
        }
        let header = entry.header();
        let id =
            |id: std::io::Result<u64>| u32::try_from(id.map_err(broken)?).map_err(|e| broken(std::io::Error::other(e)));
        let (mode, uid, gid) = (header.mode().map_err(broken)? & 0o7777, id(header.uid())?, id(header.gid())?);
        files.push(SentFile { path, data: archive.slice(start as usize..end as usize), mode, uid, gid });
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(entries: &[(&str, tar::EntryType)]) -> Bytes {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, kind) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(*kind);
            header.set_mode(0o640);
            header.set_uid(3);
            header.set_gid(4);
            let data: &[u8] = if kind.is_file() { b"abc" } else { b"" };
            header.set_size(data.len() as u64);
            builder.append_data(&mut header, name, data).unwrap();
        }
        builder.into_inner().unwrap().into()
    }

    #[test]
    fn a_file_and_a_folder_get_their_new_paths() {
        use tar::EntryType::{Directory, Regular, Symlink};
        let paths = |files: Vec<SentFile>| files.into_iter().map(|file| file.path).collect::<Vec<_>>();
        let one = unpack(&archive(&[("hosts", Regular)]), "/etc/hosts", "/new/name").unwrap();
        let want = SentFile { path: "/new/name".into(), data: "abc".into(), mode: 0o640, uid: 3, gid: 4 };
        assert_eq!(one, [want]);
        let folder = archive(&[("data", Directory), ("data/a", Regular), ("data/b", Directory), ("data/b/c", Regular)]);
        assert_eq!(paths(unpack(&folder, "/data", "/kept").unwrap()), ["/kept/a", "/kept/b/c"]);
        let link = archive(&[("data/l", Symlink)]);
        let text = unpack(&link, "/data", "/x").unwrap_err().to_string();
        assert_eq!(text, "copy: \"data/l\" in \"/data\" is no plain file and cannot be copied");
        let cut = folder.slice(..700);
        assert!(unpack(&cut, "/data", "/x").unwrap_err().to_string().contains("cannot be read"));
        assert_eq!(unpack(&Bytes::new(), "/data", "/x").unwrap(), []);
    }
}
