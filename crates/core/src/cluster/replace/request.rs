//! A replacement as it was asked for, proven.

use crate::cluster::{
    Error, Result,
    request::{DeployRequest, file_path, hex_digest},
    workload::distinct,
};
use eru_api::pb;
use eru_types::Labels;
use prost::Message;
use std::collections::BTreeMap;

/// Most paths copied from an old workload to its replacement.
const COPIES_LEN_MAX: usize = 100;

/// What is to be replaced, and by what.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplaceRequest {
    /// The replacement. Its count is the number of workloads that are replaced at a time.
    pub deploy: DeployRequest,
    /// Engine ids; empty = all of the replacement's app and entrypoint, on its nodes.
    pub ids: Vec<String>,
    /// The replacement takes over the networks of the old one.
    pub inherits_networks: bool,
    /// Only workloads that have all of them.
    pub labels: Labels,
    /// Files to be copied: source to destination.
    pub copy: BTreeMap<String, String>,
    /// Of the request, without op id and epoch.
    pub digest: String,
}

impl ReplaceRequest {
    /// Proves a request.
    ///
    /// # Errors
    /// [`Error::Invalid`] names the field.
    pub fn from_pb(options: &pb::ReplaceOptions) -> Result<Self> {
        let Some(deploy) = &options.deploy_opt else { return Err(Error::Invalid("No deploy options".into())) };
        if options.copy.len() > COPIES_LEN_MAX {
            return Err(Error::Invalid(format!("copy: {} paths (at most {COPIES_LEN_MAX})", options.copy.len())));
        }
        for (source, destination) in &options.copy {
            file_path("copy", source)?;
            file_path("copy", destination)?;
        }
        Ok(Self {
            deploy: DeployRequest::for_replace(deploy)?,
            ids: if options.ids.is_empty() { Vec::new() } else { distinct(&options.ids)? },
            inherits_networks: options.networkinherit,
            labels: Labels::new(options.filter_labels.clone())?,
            copy: options.copy.clone(),
            digest: digest(options, deploy),
        })
    }
}

/// What tells this request from another under the same op id.
fn digest(options: &pb::ReplaceOptions, deploy: &pb::DeployOptions) -> String {
    let plain = pb::DeployOptions { op_id: String::new(), owner_epoch: 0, ..deploy.clone() };
    hex_digest(&pb::ReplaceOptions { deploy_opt: Some(plain), ..options.clone() }.encode_to_vec())
}
