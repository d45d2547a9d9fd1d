//! Runs to the end.

use super::{
    exec::first,
    output,
    service::CoreService,
    streams::{Answers, Place},
    typed::{Keyboard, Typed, pass_on},
};
use crate::cluster::lambda::{Lambda, LambdaPiece};
use eru_api::pb;
use futures::stream;
use tonic::{Status, Streaming};

impl CoreService {
    /// Runs to the end. A client that leaves ends it, unless it is asynchronous.
    pub(super) async fn run_to_end(
        &self,
        mut messages: Streaming<pb::RunAndWaitOptions>,
    ) -> Result<Answers<pb::AttachWorkloadMessage>, Status> {
        let place = Place::take(&self.stream_limits, self.stopping.clone())?;
        let asked = first(&mut messages).await?;
        let request = self.cluster.lambda_request(&asked)?;
        let Lambda { pieces, input } = self.cluster.run_and_wait(request).await?;
        let terminal = !asked.no_terminal;
        let keyboard = async move {
            let (input, control) = input?.await.ok()?;
            Some(Keyboard { input: Some(input), control, terminal })
        };
        let typing = pass_on(&self.cluster, Typed::from(asked), messages, keyboard)?;
        let held = (pieces, typing);
        Ok(place.hold(stream::unfold(held, |(mut pieces, typing)| async move {
            let piece = pieces.recv().await?;
            Some((Ok(message(piece)), (pieces, typing)))
        })))
    }
}

fn message(piece: LambdaPiece) -> pb::AttachWorkloadMessage {
    match piece {
        LambdaPiece::Made(id) => output::made(&id),
        LambdaPiece::Output(id, stream, data) => output::said(&id, stream, data),
        LambdaPiece::Exited(id, code) => output::exited(&id, code),
        LambdaPiece::Failed(id, text) => output::failed(&id, text),
    }
}
