//! Running a command inside of a workload.

use super::{
    framing::Framing,
    output,
    service::CoreService,
    streams::{Answers, Place},
    typed::{Keyboard, Typed, pass_on},
};
use crate::cluster::{
    Cluster, Error,
    exec::{ExecRequest, Running},
};
use eru_api::pb;
use eru_runtime::{Session, SessionControl};
use futures::{StreamExt, stream};
use std::{sync::Arc, time::Duration};
use tonic::{Status, Streaming};

/// How long a client may take to say what it wants, once it has called.
pub(super) const FIRST_MESSAGE_PATIENCE: Duration = Duration::from_secs(30);

/// The first message of a client.
///
/// # Errors
/// When it does not come.
pub(super) async fn first<M>(messages: &mut Streaming<M>) -> Result<M, Status> {
    match tokio::time::timeout(FIRST_MESSAGE_PATIENCE, messages.message()).await {
        Ok(Ok(Some(message))) => Ok(message),
        Ok(Ok(None)) => Err(Status::invalid_argument("no message came: the first one says what to run")),
        Ok(Err(status)) => Err(status),
        Err(_) => {
            let text = format!("no message came in {FIRST_MESSAGE_PATIENCE:?}: the first one says what to run");
            Err(Status::deadline_exceeded(text))
        }
    }
}

impl CoreService {
    /// Runs a command. Whatever prevents it after the request was found good is a message, as in the original.
    pub(super) async fn execute(
        &self,
        mut messages: Streaming<pb::ExecuteWorkloadOptions>,
    ) -> Result<Answers<pb::AttachWorkloadMessage>, Status> {
        let place = Place::take(&self.stream_limits, self.stopping.clone())?;
        let asked = first(&mut messages).await?;
        let request = ExecRequest::from_pb(&asked)?;
        let Running { session, place: session_place } = match self.cluster.exec(&request).await {
            Ok(running) => running,
            Err(error) if output::is_status(&error) => return Err(error.into()),
            Err(error) => return Ok(stream::iter([Ok(output::failed(&request.id, error.to_string()))]).boxed()),
        };
        let Session { output, input, control } = session;
        let control: Arc<dyn SessionControl> = Arc::from(control);
        let keyboard = Keyboard { input, control: control.clone(), terminal: request.command.terminal };
        let typing = pass_on(&self.cluster, Typed::from(asked), messages, async { Some(keyboard) })?;
        let exec = Exec {
            cluster: self.cluster.clone(),
            framing: Framing::new(request.raw),
            id: request.id,
            output,
            control,
            step: Step::Reading,
            _held: (session_place, typing),
        };
        Ok(place.hold(stream::unfold(exec, |mut exec| async move {
            let message = exec.next().await?;
            Some((Ok(message), exec))
        })))
    }
}

/// A command whose output is read as fast as the client takes it. Dropping it is hanging up.
struct Exec<H> {
    cluster: Arc<Cluster>,
    id: String,
    output: stream::BoxStream<'static, eru_runtime::Result<(eru_runtime::Stream, bytes::Bytes)>>,
    control: Arc<dyn SessionControl>,
    framing: Framing,
    step: Step,
    /// Let go of when it ends.
    _held: H,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Output may come.
    Reading,
    /// The output ended, how it ended is to be told.
    Ending,
    /// Everything was told.
    Over,
}

impl<H> Exec<H> {
    async fn next(&mut self) -> Option<pb::AttachWorkloadMessage> {
        loop {
            if let Some((stream, data)) = self.framing.next() {
                return Some(output::said(&self.id, stream, data));
            }
            match self.step {
                Step::Over => return None,
                Step::Reading => match self.output.next().await {
                    Some(Ok((stream, data))) => self.framing.feed(stream, data),
                    Some(Err(error)) => {
                        self.step = Step::Over;
                        return Some(output::failed(&self.id, Error::from(error).to_string()));
                    }
                    None => {
                        self.framing.finish();
                        self.step = Step::Ending;
                    }
                },
                Step::Ending => {
                    self.step = Step::Over;
                    return Some(match self.cluster.engine_call(self.control.exit_code()).await {
                        Ok(code) => output::exited(&self.id, code),
                        Err(error) => output::failed(&self.id, error.to_string()),
                    });
                }
            }
        }
    }
}
