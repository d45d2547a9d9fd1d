//! Files into workloads.

use super::{Cluster, Error, Result, request::files, workload::distinct};
use eru_api::pb;
use eru_runtime::SentFile;
use eru_types::name::excerpt;
use futures::{StreamExt, stream};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Workloads of one request that are sent to at a time.
const WORKLOADS_AT_A_TIME: usize = 16;
/// Most outcomes of one request: files times workloads.
const OUTCOMES_LEN_MAX: usize = 100_000;
/// Outcomes that wait for a client that reads slowly.
const OUTCOMES_WAITING_MAX: usize = 64;

/// What is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendRequest {
    /// Engine ids.
    pub ids: Vec<String>,
    /// The files.
    pub files: Vec<SentFile>,
}

/// What became of one file in one workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendOutcome {
    /// The engine id, as it was asked for.
    pub id: String,
    /// The path; empty = none of the files could be sent.
    pub path: String,
    /// Why it failed; empty = it is there.
    pub error: String,
}

impl SendRequest {
    /// Proves a request.
    ///
    /// # Errors
    /// [`Error::Invalid`] names the field and quotes the value.
    pub fn from_pb(options: &pb::SendOptions) -> Result<Self> {
        let ids = distinct(&options.ids)?;
        if options.data.is_empty() {
            return Err(Error::Invalid("no files to send".into()));
        }
        let files = files(&options.data, &options.modes, &options.owners)?;
        let outcomes = ids.len() * options.data.len();
        if outcomes > OUTCOMES_LEN_MAX {
            let text = format!("{} files to {} workloads", options.data.len(), ids.len());
            return Err(Error::Invalid(format!("{text} are {outcomes} (at most {OUTCOMES_LEN_MAX}): send in parts")));
        }
        let without = options.modes.keys().chain(options.owners.keys()).find(|path| !options.data.contains_key(*path));
        if let Some(path) = without {
            return Err(Error::Invalid(format!("modes and owners: \"{}\" is not among the data", excerpt(path))));
        }
        Ok(Self { ids, files })
    }
}

impl Cluster {
    /// Sends: workloads beside each other, each under its lock, the files of one in their order; one outcome for each file
    /// in each workload. It goes on when the caller leaves.
    ///
    /// # Errors
    /// When the core is stopping; what concerns one workload is in its outcomes.
    pub fn send(self: &Arc<Self>, request: SendRequest) -> Result<mpsc::Receiver<SendOutcome>> {
        let (outcomes, receiver) = mpsc::channel(OUTCOMES_WAITING_MAX);
        let cluster = self.clone();
        self.tasks.spawn(async move {
            let SendRequest { ids, files } = request;
            let sent = ids.into_iter().map(|id| cluster.send_to(id, &files, &outcomes));
            stream::iter(sent).buffer_unordered(WORKLOADS_AT_A_TIME).collect::<()>().await;
        })?;
        Ok(receiver)
    }

    async fn send_to(&self, id: String, files: &[SentFile], outcomes: &mpsc::Sender<SendOutcome>) {
        let tell = async |path: String, error: String| {
            // A caller that left does not stop it.
            let _ = outcomes.send(SendOutcome { id: id.clone(), path, error }).await;
        };
        let held = async {
            let (current, held) = self.hold_workload(&id).await?;
            let engine_id = current.placement.engine_id.clone().ok_or_else(|| Error::no_workload(&id))?;
            let engine = self.engine_of(&current.placement.node)?;
            Ok::<_, Error>((engine_id, current.placement.node.clone(), engine, held))
        };
        let (engine_id, node, engine, _held) = match held.await {
            Ok(found) => found,
            Err(error) => return tell(String::new(), error.to_string()).await,
        };
        for file in files {
            let place = self.pools.sends.enter(&node).await;
            let sent = self.engine_call(engine.runtime.send_files(&engine_id, std::slice::from_ref(file))).await;
            drop(place);
            tell(file.path.clone(), sent.err().map(|error| error.to_string()).unwrap_or_default()).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> pb::SendOptions {
        pb::SendOptions {
            ids: vec!["a".into(), "a".into()],
            data: [("/x".to_owned(), "one".into()), ("/y".to_owned(), "two".into())].into(),
            modes: [("/y".to_owned(), pb::FileMode { mode: 0o640 })].into(),
            owners: [("/y".to_owned(), pb::FileOwner { uid: 5, gid: 6 })].into(),
        }
    }

    #[test]
    fn a_file_without_rights_can_be_run() {
        let request = SendRequest::from_pb(&good()).unwrap();
        assert_eq!(request.ids, ["a"], "named twice is meant once");
        let rights: Vec<_> = request.files.iter().map(|f| (f.path.as_str(), f.mode, f.uid, f.gid)).collect();
        assert_eq!(rights, [("/x", 0o755, 0, 0), ("/y", 0o640, 5, 6)]);
    }

    #[test]
    fn bad_requests_name_the_field() {
        type Change = fn(&mut pb::SendOptions);
        let cases: [(Change, &str); 9] = [
            (|o| o.ids.clear(), "No workload ids given"),
            (|o| o.data.clear(), "no files to send"),
            (|o| drop(o.data.insert("x/y".into(), "".into())), "data: must be the absolute path of a file"),
            (|o| drop(o.data.insert("/etc/../x".into(), "".into())), "got \"/etc/../x\""),
            (|o| o.modes.extend([("/z".into(), Default::default())]), "modes and owners: \"/z\" is not among the data"),
            (|o| o.modes.extend([("/x".into(), pb::FileMode { mode: -1 })]), "modes: /x must be 0 to 07777"),
            (|o| o.owners.extend([("/x".into(), pb::FileOwner { uid: -1, gid: 0 })]), "uid of /x is -1, below 0"),
            (|o| o.data.extend((0..1000).map(|n| (format!("/{n}"), "".into()))), "data: 1002 files of"),
            (
                |o| {
                    o.data.extend((0..900).map(|n| (format!("/{n}"), "".into())));
                    o.ids.extend((0..200).map(|n| n.to_string()));
                },
                "902 files to 201 workloads are 181302 (at most 100000)",
            ),
        ];
        for (change, part) in cases {
            let mut options = good();
            change(&mut options);
            let text = SendRequest::from_pb(&options).unwrap_err().to_string();
            assert!(text.contains(part), "{text:?} lacks {part:?}");
        }
    }
}
