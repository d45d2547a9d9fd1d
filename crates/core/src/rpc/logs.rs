//! Output of workloads.

use super::{service::CoreService, streams::Answers};
use crate::cluster::{Error, Result};
use eru_api::pb;

impl CoreService {
    pub(super) async fn logs(&self, _: pb::LogStreamOptions) -> Result<Answers<pb::LogStreamMessage>> {
        Err(Error::Unimplemented("logs".into()))
    }
}
