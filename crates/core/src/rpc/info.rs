//! Who this core is, and which others there are.

use super::{
    service::CoreService,
    streams::{Answers, Place},
};
use crate::cluster::Result;
use eru_api::pb;
use std::time::Duration;
use tonic::Status;

/// How long the store may take to say its revision.
const INFO_PATIENCE: Duration = Duration::from_secs(1);

impl CoreService {
    pub(super) async fn core_info(&self) -> Result<pb::CoreInfo> {
        // It never fails: who asks wants to know what is wrong, perhaps that the revision stands still.
        let _ = tokio::time::timeout(INFO_PATIENCE, self.cluster.cache.linearizable()).await;
        let identity = self.cluster.cache.identity();
        Ok(pb::CoreInfo {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            revison: self.build.git_hash.clone(),
            build_at: self.build.built_at.clone(),
            golang_version: String::new(),
            os_arch: format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
            identifier: self.cluster.core_id.clone(),
            store_id: identity.id.clone(),
            store_epoch: identity.epoch,
            revision: self.cluster.cache.revision().0,
            store: self.store.as_str().to_owned(),
            started_at: self.started_at.clone(),
        })
    }

    /// The addresses at once, with every change, and at a steady interval.
    pub(super) fn service_status(&self) -> Result<Answers<pb::ServiceStatus>, Status> {
        let place = Place::take(&self.stream_limits, self.stopping.clone())?;
        let interval = self.cluster.settings.service_interval.max(Duration::from_secs(1));
        let cluster = self.cluster.clone();
        let changed = cluster.cache.cores_changed();
        let answers = futures::stream::unfold((true, changed, None), move |(first, mut changed, last)| {
            let cluster = cluster.clone();
            async move {
                if !first {
                    let next = tokio::time::Instant::now() + interval;
                    loop {
                        tokio::select! {
                            woken = changed.changed() => if woken.is_err() { return None },
                            () = tokio::time::sleep_until(next) => break,
                        }
                        if Some(addresses(&cluster)) != last {
                            break;
                        }
                    }
                }
                changed.mark_unchanged();
                let now = addresses(&cluster);
                // A client that hears nothing for twice the interval looks for another core.
                let status = pb::ServiceStatus {
                    addresses: now.clone(),
                    interval_in_second: i64::try_from(2 * interval.as_secs()).unwrap_or(i64::MAX),
                };
                Some((Ok(status), (false, changed, Some(now))))
            }
        });
        Ok(place.hold(answers))
    }
}

fn addresses(cluster: &crate::cluster::Cluster) -> Vec<String> {
    let mut addresses: Vec<String> = cluster.cache.cores().iter().map(|core| core.address.clone()).collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}
