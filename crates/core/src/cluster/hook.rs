//! Commands that are run inside of a workload, one after the other, by its own user and in its own environment.

use super::{Cluster, Error, Result, engines::Engine, request::command_lines};
use crate::record::Placement;
use eru_runtime::ExecRequest;
use eru_types::{EngineId, name::excerpt};
use futures::StreamExt;
use std::time::Duration;

/// Output that is kept of the hooks of one workload, in bytes; what comes after it is read and dropped.
const OUTPUT_BYTES_MAX: usize = 64 * 1024;

/// Commands to be run, and what they said.
pub(crate) struct Hooks<'a> {
    /// What they are, as the spec calls them.
    pub(crate) what: &'static str,
    /// The commands.
    pub(crate) commands: &'a [String],
    /// Whether a failure ends the operation.
    pub(crate) force: bool,
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
        output: &mut Vec<u8>,
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
            keep(output, text.as_bytes());
            keep(output, b"\n");
        }
        Ok(())
    }

    async fn run_hook(
        &self,
        engine: &Engine,
        id: &EngineId,
        request: &ExecRequest,
        output: &mut Vec<u8>,
    ) -> Result<()> {
        let patience = self.settings.global_timeout;
        let running = async {
            let mut session = engine.runtime.exec(id, request).await?;
            while let Some(piece) = session.output.next().await {
                let (_, data) = piece?;
                keep(output, &data);
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

fn keep(output: &mut Vec<u8>, data: &[u8]) {
    let room = OUTPUT_BYTES_MAX.saturating_sub(output.len());
    output.extend_from_slice(&data[..data.len().min(room)]);
}
