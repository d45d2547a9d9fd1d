//! Files out of workloads.

use super::{
    service::CoreService,
    streams::{Answers, Place},
};
use crate::cluster::copy::{CopyPiece, CopyRequest};
use eru_api::pb;
use futures::StreamExt;
use tonic::Status;

impl CoreService {
    /// The archives, piece by piece. What prevents one is a message with an error.
    pub(super) async fn files_copy(&self, request: pb::CopyOptions) -> Result<Answers<pb::CopyMessage>, Status> {
        let request = CopyRequest::from_pb(&request)?;
        let place = Place::take(&self.stream_limits, self.stopping.clone())?;
        Ok(place.hold(self.cluster.copy(request).map(|piece| Ok(message(piece)))))
    }
}

fn message(piece: CopyPiece) -> pb::CopyMessage {
    let CopyPiece { id, path, data, error } = piece;
    // The original never says the name.
    pb::CopyMessage { id, name: String::new(), path, error, data }
}
