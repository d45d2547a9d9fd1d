//! Files into workloads.

use super::{
    service::CoreService,
    streams::{Answers, Place},
};
use crate::cluster::send::{SendOutcome, SendRequest};
use eru_api::pb;
use futures::stream;
use tonic::Status;

impl CoreService {
    /// One message for each file in each workload.
    pub(super) async fn files_send(&self, request: pb::SendOptions) -> Result<Answers<pb::SendMessage>, Status> {
        let request = SendRequest::from_pb(&request)?;
        let place = Place::take(&self.stream_limits, self.stopping.clone())?;
        let outcomes = self.cluster.send(request)?;
        Ok(place.hold(stream::unfold(outcomes, |mut outcomes| async move {
            let SendOutcome { id, path, error } = outcomes.recv().await?;
            Some((Ok(pb::SendMessage { id, path, error }), outcomes))
        })))
    }
}
