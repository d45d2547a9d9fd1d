//! Commands that are run inside of a workload, one after the other, by its own user and in its own environment.

use super::{Cluster, Error, Result, engines::Engine, request::command_lines};
use crate::record::Placement;
use eru_runtime::ExecRequest;
use eru_types::{EngineId, name::excerpt};
use futures::StreamExt;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

/// Output that is kept of the hooks of one workload, in bytes; what comes after it is read and dropped.
const OUTPUT_BYTES_MAX: usize = 64 * 1024;
/// The same of all workloads of one request together: it is in memory until the client has read it, however slowly that
/// reads. That is 800 bytes for each of ten thousand workloads.
const REQUEST_OUTPUT_BYTES_MAX: usize = 8 << 20;

/// Commands to be run, and what they said.
pub(crate) struct Hooks<'a> {
    /// What they are, as the spec calls them.
    pub(crate) what: &'static str,
    /// The commands.
    pub(crate) commands: &'a [String],
    /// Whether a failure ends the operation.
    pub(crate) force: bool,
}

/// What the hooks of all workloads of one request may still say.
#[derive(Debug, Clone)]
pub(crate) struct OutputRoom(Arc<AtomicUsize>);

impl Default for OutputRoom {
    fn default() -> Self {
        Self(Arc::new(AtomicUsize::new(REQUEST_OUTPUT_BYTES_MAX)))
    }
}

impl OutputRoom {
    /// Takes room for `wanted` bytes, or as much as there is; answers how much.
    fn take(&self, wanted: usize) -> usize {
        let rest = |left: usize| Some(left.saturating_sub(wanted));
        let left = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, rest).expect("it always gives a number");
        left.min(wanted)
    }
}

/// What the hooks of one workload say, as far as it is kept.
#[derive(Debug, Default)]
pub(crate) struct Output {
    kept: Vec<u8>,
    room: OutputRoom,
    /// Why nothing more is kept.
    cut: Option<String>,
}

impl Output {
    /// Of one workload of a request.
    pub(crate) fn new(room: &OutputRoom) -> Self {
        Self { room: room.clone(), ..Self::default() }
    }

    fn keep(&mut self, data: &[u8]) {
        if self.cut.is_some() {
            return;
        }
        let fits = data.len().min(OUTPUT_BYTES_MAX - self.kept.len());
        let taken = self.room.take(fits);
        self.kept.extend_from_slice(&data[..taken]);
        self.cut = if taken < fits {
            Some(format!("of all hooks of one request at most {REQUEST_OUTPUT_BYTES_MAX} bytes are kept"))
        } else if fits < data.len() {
            Some(format!("of the hooks of one workload at most {OUTPUT_BYTES_MAX} bytes are kept"))
        } else {
            None
        };
    }

    /// All that is kept, and that it is not everything.
    pub(crate) fn into_bytes(mut self) -> Vec<u8> {
        if let Some(why) = &self.cut {
            let line = if self.kept.last().is_none_or(|last| *last == b'\n') { "" } else { "\n" };
            self.kept.extend_from_slice(format!("{line}[cut: {why}]\n").as_bytes());
        }
        self.kept
    }
}

impl Cluster {
    /// Runs commands inside. What they say, and how they failed if that is not the end of it, is added to `output`.
    ///
    /// # Errors
    /// Of a command that failed, when that ends the operation: those after it are not run.
    pub(crate) async fn run_hooks(
        &self,
        engine: &Engine,
        placement: &Placement,
        id: &EngineId,
        hooks: Hooks<'_>,
        output: &mut Output,
    ) -> Result<()> {
        for (command, line) in command_lines(hooks.commands).zip(hooks.commands) {
            let request = ExecRequest {
                command,
                env: placement.spec.env.clone(),
                user: placement.spec.user.clone(),
                privileged: placement.spec.privileged,
                ..ExecRequest::default()
            };
            let Err(error) = self.run_hook(engine, id, &request, output).await else { continue };
            let text = format!("{} \"{}\": {error}", hooks.what, excerpt(line));
            tracing::info!(workload = %placement.name, node = %placement.node, hook = hooks.what, %error, "hook failed");
            if hooks.force {
                // An engine that does not answer is one that recovery waits for.
                return Err(if super::is_silence(&error) { error } else { Error::Precondition(text) });
            }
            output.keep(format!("{text}\n").as_bytes());
        }
        Ok(())
    }

    async fn run_hook(&self, engine: &Engine, id: &EngineId, request: &ExecRequest, output: &mut Output) -> Result<()> {
        let patience = self.settings.global_timeout;
        let running = async {
            let mut session = engine.runtime.exec(id, request).await?;
            while let Some(piece) = session.output.next().await {
                let (_, data) = piece?;
                output.keep(&data);
            }
            Ok(session.control.exit_code().await?)
        };
        match tokio::time::timeout(patience, running).await {
            Ok(Ok(0)) => Ok(()),
            Ok(Ok(code)) => Err(Error::Precondition(format!("ended with exit code {code}"))),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(slow(patience)),
        }
    }
}

fn slow(patience: Duration) -> Error {
    Error::Precondition(format!("did not end in {patience:?}"))
}
