//! Who this core is, and which others there are.

use super::{
    service::CoreService,
    streams::{Answers, Place},
};
use crate::cluster::Result;
use eru_api::pb;
use std::time::Duration;
use tonic::Status;

impl CoreService {
    pub(super) async fn core_info(&self) -> Result<pb::CoreInfo> {
        // The revision proves that the store answers.
        self.cluster.cache.linearizable().await?;
        let identity = self.cluster.cache.identity();
        Ok(pb::CoreInfo {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            revison: option_env!("ERU_REVISION").unwrap_or_default().to_owned(),
            build_at: option_env!("ERU_BUILD_AT").unwrap_or_default().to_owned(),
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

/// A moment as RFC 3339 writes it, in UTC, to the second.
pub(super) fn rfc3339(at: std::time::SystemTime) -> String {
    let seconds = at.duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    // Howard Hinnant's civil-from-days: years begin in March, so that the leap day is the last of its year.
    let z = days + 719_468;
    let (era, of_era) = (z / 146_097, z % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    #[test]
    fn moments_are_written_in_utc() {
        for (seconds, want) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(rfc3339(UNIX_EPOCH + Duration::from_secs(seconds)), want);
        }
    }
}
