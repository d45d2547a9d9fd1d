//! Output of workloads.

use super::{
    service::CoreService,
    streams::{Answers, Place},
};
use crate::cluster::logs::{LogRequest, written};
use eru_api::pb;
use eru_runtime::{LogLine, Stream};
use futures::{StreamExt, stream};
use tonic::Status;

impl CoreService {
    /// The output, line by line. What prevents it is a message with an error, as in the original.
    pub(super) async fn logs(&self, request: pb::LogStreamOptions) -> Result<Answers<pb::LogStreamMessage>, Status> {
        let id = request.id.clone();
        let failed = |id: String, error: String| pb::LogStreamMessage { id, error, ..pb::LogStreamMessage::default() };
        let request = LogRequest::from_pb(&request)?;
        let place = Place::take(&self.stream_limits, self.stopping.clone())?;
        if let Err(error) = self.cluster.cache.linearizable().await {
            return Err(crate::cluster::Error::from(error).into());
        }
        let lines = match self.cluster.logs(&request).await {
            Ok(lines) => lines,
            Err(error) => return Ok(stream::iter([Ok(failed(id, error.to_string()))]).boxed()),
        };
        let messages = lines.map(move |line| {
            Ok(match line {
                Ok(line) => message(&id, line),
                Err(error) => failed(id.clone(), error.to_string()),
            })
        });
        Ok(place.hold(messages))
    }
}

fn message(id: &str, line: LogLine) -> pb::LogStreamMessage {
    let at_ms = line.at_ms;
    let std_stream_type = match line.stream {
        Stream::Stdout => pb::StdStreamType::Stdout,
        Stream::Stderr => pb::StdStreamType::Stderr,
    };
    pb::LogStreamMessage {
        id: id.to_owned(),
        error: String::new(),
        data: written(line),
        std_stream_type: std_stream_type.into(),
        at_ms,
    }
}
