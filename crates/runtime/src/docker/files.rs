//! Files into and out of containers.

use super::{
    call::Call,
    fault::{Fault, chain},
    runtime::Docker,
    target::Target,
};
use crate::{
    inside::{check_file, check_path},
    port::*,
};
use bytes::Bytes;
use eru_types::{EngineId, name::excerpt};
use futures::{StreamExt, TryStreamExt, stream, stream::BoxStream};
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use std::{io, path::Path, time::Duration};

/// How much longer than any other change a copy may take for each of these many bytes: a slow disk.
const SECOND_PER_BYTES: u64 = 4 * 1024 * 1024;
/// Permission bits that a file may have.
const MODE_BITS: u32 = 0o7777;

impl Docker {
    pub(super) async fn put_files(&self, id: &EngineId, files: &[SentFile]) -> Result<()> {
        files.iter().try_for_each(check_file)?;
        let bytes: u64 = files.iter().map(|file| file.data.len() as u64).sum();
        let files = files.to_vec();
        let end = io::Result::Ok(Bytes::from_static(&[0; 1024]));
        // One file at a time is copied into its part of the archive.
        let pieces = stream::iter(files).map(|file| packed(&file)).chain(stream::iter([end]));
        let target =
            Target::new(&["containers", id.as_str(), "archive"]).with("path", "/").with("noOverwriteDirNonDir", "1");
        let call = Call::new(Method::PUT, target).archive(pieces).longer(Duration::from_secs(bytes / SECOND_PER_BYTES));
        self.transport.done(call).await.map_err(self.error_of(id))
    }

    pub(super) async fn get_files(&self, id: &EngineId, path: &str) -> Result<BoxStream<'static, Result<Bytes>>> {
        check_path("path", path)?;
        let target = Target::new(&["containers", id.as_str(), "archive"]).with("path", path);
        let answer = self.transport.open(Call::get(target)).await.map_err(|fault| match fault {
            fault if fault.says(StatusCode::NOT_FOUND, "Could not find the file") => {
                Error::Invalid(format!("no file \"{}\" in workload {id}", excerpt(path)))
            }
            other => Fault::of_workload(other, &self.options.endpoint, id),
        })?;
        Ok(answer
            .into_body()
            .into_data_stream()
            .map_err(|e| Error::Failed(format!("the archive broke: {}", chain(&e))))
            .boxed())
    }
}

/// A file as its part of an archive, without the archive's end.
fn packed(file: &SentFile) -> io::Result<Bytes> {
    let mut header = tar::Header::new_gnu();
    header.set_size(file.data.len() as u64);
    header.set_mode(file.mode & MODE_BITS);
    header.set_uid(file.uid.into());
    header.set_gid(file.gid.into());
    let mut archive = tar::Builder::new(Vec::with_capacity(file.data.len() + 2048));
    archive.append_data(&mut header, Path::new(file.path.trim_start_matches('/')), &file.data[..])?;
    let mut bytes = archive.into_inner()?;
    bytes.truncate(bytes.len() - 1024);
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn parts_make_an_archive() {
        let long = format!("/{}/b", "a".repeat(200));
        let files = [
            SentFile { path: "/etc/one".into(), data: Bytes::from_static(b"1"), mode: 0o100_640, uid: 7, gid: 8 },
            SentFile { path: long.clone(), data: Bytes::new(), mode: 0, uid: 0, gid: 0 },
        ];
        let mut wire: Vec<u8> = files.iter().flat_map(|f| packed(f).unwrap()).collect();
        wire.extend([0; 1024]);
        let mut archive = tar::Archive::new(&wire[..]);
        let mut seen = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            let header = entry.header();
            seen.push((
                entry.path().unwrap().display().to_string(),
                text,
                header.mode().unwrap(),
                header.uid().unwrap(),
                header.gid().unwrap(),
            ));
        }
        assert_eq!(seen, [("etc/one".into(), "1".into(), 0o640, 7, 8), (long[1..].into(), String::new(), 0, 0, 0)]);
    }
}
