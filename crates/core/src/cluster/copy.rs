//! Files out of workloads: a tar archive for each path, piece by piece as the engine sends it.

use super::{Cluster, Error, PIECE_BYTES_MAX, Result, exec::check_path, target::Target};
use bytes::Bytes;
use eru_api::pb;
use eru_types::limits::LIST_LEN_MAX;
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use std::{collections::BTreeMap, sync::Arc};

/// Workloads of one request that are copied from at a time.
const WORKLOADS_AT_A_TIME: usize = 8;
/// Most paths of one request: each is a call to an engine.
const PATHS_LEN_MAX: usize = 10_000;
/// Largest archive of one path, in bytes: more is no file but something that never ends.
const ARCHIVE_BYTES_MAX: u64 = 10 << 30;

/// What is to be copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyRequest {
    /// Paths by engine id.
    targets: BTreeMap<String, Vec<String>>,
    archive_bytes_max: u64,
}

/// A piece of what was copied, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyPiece {
    /// The engine id, as it was asked for.
    pub id: String,
    /// The path, as it was asked for.
    pub path: String,
    /// The next bytes of the archive.
    pub data: Bytes,
    /// Why the archive ends here, or was not begun; empty = it goes on.
    pub error: String,
}

impl CopyRequest {
    /// Proves a request. What is wrong with one path is that path's error.
    ///
    /// # Errors
    /// [`Error::Invalid`] names the field.
    pub fn from_pb(options: &pb::CopyOptions) -> Result<Self> {
        let paths: usize = options.targets.values().map(|paths| paths.paths.len()).sum();
        if paths == 0 {
            return Err(Error::Invalid("no files to copy".into()));
        }
        if options.targets.len() > LIST_LEN_MAX {
            let len = options.targets.len();
            return Err(Error::Invalid(format!("targets: {len} items (at most {LIST_LEN_MAX})")));
        }
        if paths > PATHS_LEN_MAX {
            return Err(Error::Invalid(format!("targets: {paths} paths (at most {PATHS_LEN_MAX})")));
        }
        let targets = options.targets.iter().map(|(id, paths)| (id.clone(), paths.paths.clone())).collect();
        Ok(Self { targets, archive_bytes_max: ARCHIVE_BYTES_MAX })
    }
}

impl Cluster {
    /// Copies: workloads beside each other, the paths of one in their order. Nothing is read ahead of who takes the pieces,
    /// and dropping the stream ends it.
    pub fn copy(self: &Arc<Self>, request: CopyRequest) -> BoxStream<'static, CopyPiece> {
        let cluster = self.clone();
        let max = request.archive_bytes_max;
        let workloads =
            request.targets.into_iter().map(move |(id, paths)| cluster.clone().copy_workload(id, paths, max));
        stream::iter(workloads.collect::<Vec<_>>()).flatten_unordered(WORKLOADS_AT_A_TIME).boxed()
    }

    fn copy_workload(self: Arc<Self>, id: String, paths: Vec<String>, max: u64) -> BoxStream<'static, CopyPiece> {
        stream::iter(paths)
            .then(move |path| {
                let (cluster, id) = (self.clone(), id.clone());
                async move { cluster.copy_path(id, path, max).await }
            })
            .flatten()
            .boxed()
    }

    async fn copy_path(self: Arc<Self>, id: String, path: String, max: u64) -> BoxStream<'static, CopyPiece> {
        let piece = move |outcome: Result<Bytes>| {
            let (data, error) = match outcome {
                Ok(data) => (data, String::new()),
                Err(error) => (Bytes::new(), error.to_string()),
            };
            CopyPiece { id: id.clone(), path: path.clone(), data, error }
        };
        let failed = piece.clone();
        let asked = piece(Ok(Bytes::new()));
        match self.open_archive(&asked.id, &asked.path).await {
            Ok(archive) => bounded(archive, max).map(piece).boxed(),
            Err(error) => stream::iter([failed(Err(error))]).boxed(),
        }
    }

    async fn open_archive(&self, id: &str, path: &str) -> Result<BoxStream<'static, Result<Bytes>>> {
        check_path("path", path)?;
        let Target { id, node, engine } = self.target(id).await?;
        let place = self.pools.copies.enter(&node).await;
        let archive = self.engine_call(engine.runtime.copy_from(&id, path)).await?;
        // It keeps its place until its last piece was taken.
        Ok(archive
            .map(move |piece| {
                let _place = &place;
                piece.map_err(Error::from)
            })
            .boxed())
    }
}

/// Pieces that fit a message, until an error or too many bytes.
fn bounded(archive: BoxStream<'static, Result<Bytes>>, max: u64) -> BoxStream<'static, Result<Bytes>> {
    struct Cutting {
        archive: Option<BoxStream<'static, Result<Bytes>>>,
        rest: Bytes,
        bytes: u64,
    }
    let cutting = Cutting { archive: Some(archive), rest: Bytes::new(), bytes: 0 };
    stream::unfold(cutting, move |mut cutting| async move {
        while cutting.rest.is_empty() {
            match cutting.archive.as_mut()?.next().await? {
                Ok(piece) => cutting.rest = piece,
                Err(error) => {
                    cutting.archive = None;
                    return Some((Err(error), cutting));
                }
            }
        }
        let piece = cutting.rest.split_to(PIECE_BYTES_MAX.min(cutting.rest.len()));
        cutting.bytes += piece.len() as u64;
        if cutting.bytes > max {
            (cutting.archive, cutting.rest) = (None, Bytes::new());
            let error = Error::Exhausted(format!("it is over {} MiB, which is the most that is copied", max >> 20));
            return Some((Err(error), cutting));
        }
        Some((Ok(piece), cutting))
    })
    .boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn pieces_fit_a_message_and_endless_ones_end() {
        let archive = |pieces: Vec<usize>| stream::iter(pieces).map(|len| Ok(Bytes::from(vec![7; len]))).boxed();
        let lens = async |pieces, max| {
            let all: Vec<_> = bounded(archive(pieces), max).collect().await;
            all.iter().map(|piece| piece.as_ref().map_or(0, Bytes::len)).collect::<Vec<_>>()
        };
        assert_eq!(lens(vec![10, 0, 150_000], 1 << 30).await, [10, 65_536, 65_536, 18_928]);
        assert_eq!(lens(vec![10, 10, 10, 10], 25).await, [10, 10, 0]);
        assert_eq!(lens(vec![], 25).await, [0; 0]);
    }

    #[test]
    fn nothing_and_too_much_are_refused() {
        let request = |paths: usize| {
            let paths = pb::CopyPaths { paths: vec!["/x".into(); paths] };
            CopyRequest::from_pb(&pb::CopyOptions { targets: [("a".to_owned(), paths)].into() })
        };
        assert_eq!(request(0).unwrap_err().to_string(), "no files to copy");
        assert_eq!(request(10_001).unwrap_err().to_string(), "targets: 10001 paths (at most 10000)");
        assert!(request(1).is_ok());
    }
}
