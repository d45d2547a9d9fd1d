//! What is done about an etcd that is full.
//!
//! etcd's file keeps the room of what was compacted, and its quota counts the file. Once a write met the quota, an alarm
//! refuses all puts until somebody takes it back. So room that was made helps only after every member was defragmented
//! and the alarm was taken back: this does both, in the course of a write or a compaction. If the room is not enough,
//! the next put raises the alarm again, and nothing is lost.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tonic::transport::Channel;
use tracing::{info, warn};

use super::endpoints::{Endpoints, Kind};
use super::proto::etcdserverpb::alarm_request::AlarmAction;
use super::proto::etcdserverpb::maintenance_client::MaintenanceClient;
use super::proto::etcdserverpb::{AlarmRequest, AlarmType, DefragmentRequest, StatusRequest, StatusResponse};

/// Shortest time between two attempts that writes begin: each asks every member for its sizes.
const ATTEMPT_INTERVAL: Duration = Duration::from_secs(5);
/// A member is defragmented when at most so many of 100 bytes of its file are in use: it stands still meanwhile, and what
/// is gained should keep the alarm away for a while.
const IN_USE_PERCENT_MAX: i64 = 75;
/// After a compaction the count of bytes in use lags behind, until etcd has written something else. So a member is
/// defragmented then whatever the count says, but not again for this long if it gained nothing.
const GAINLESS_PAUSE: Duration = Duration::from_secs(300);
/// Longest time that one member may take for it; etcd does some hundred megabytes a second.
const DEFRAGMENT_TIMEOUT: Duration = Duration::from_secs(60);

/// Whether etcd is full, as far as this client knows, and what was done about it.
#[derive(Debug, Default)]
pub(super) struct Space {
    is_full: AtomicBool,
    attempts: Mutex<Attempts>,
}

#[derive(Debug, Default)]
struct Attempts {
    last: Option<Instant>,
    is_under_way: bool,
    /// When defragmenting a member gained nothing.
    gainless: Option<Instant>,
    /// Room was gained and the alarm is still there; or it may be there since before this client.
    owes_disarming: Option<bool>,
}

/// The one attempt under way; it is over when this is dropped.
struct Attempt<'a> {
    space: &'a Space,
    /// Whether there may be room that is not counted yet.
    has_compacted: bool,
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        self.space.attempts.lock().is_under_way = false;
    }
}

impl Space {
    /// A put was refused for want of room.
    pub(super) fn note_full(&self) {
        self.is_full.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_full(&self) -> bool {
        self.is_full.load(Ordering::Relaxed)
    }

    /// Before a write: does what can be done, if etcd is full and the last attempt is long enough ago.
    pub(super) async fn before_write(&self, endpoints: &Endpoints) {
        if self.is_full()
            && let Some(attempt) = self.begin(Some(ATTEMPT_INTERVAL), Instant::now())
        {
            attempt.run(endpoints).await;
        }
    }

    /// After a compaction, which may have made room.
    pub(super) async fn after_compaction(&self, endpoints: &Endpoints) {
        if self.is_full()
            && let Some(attempt) = self.begin(None, Instant::now())
        {
            attempt.run(endpoints).await;
        }
    }

    fn begin(&self, interval: Option<Duration>, now: Instant) -> Option<Attempt<'_>> {
        let mut attempts = self.attempts.lock();
        let is_early = attempts.last.zip(interval).is_some_and(|(last, interval)| now < last + interval);
        if is_early || attempts.is_under_way {
            return None;
        }
        attempts.last = Some(now);
        attempts.is_under_way = true;
        let is_gainless = attempts.gainless.is_some_and(|at| now < at + GAINLESS_PAUSE);
        Some(Attempt { space: self, has_compacted: interval.is_none() && !is_gainless })
    }
}

fn maintenance(channel: Channel) -> MaintenanceClient<Channel> {
    MaintenanceClient::new(channel)
}

impl Attempt<'_> {
    async fn run(self, endpoints: &Endpoints) {
        if let Err(error) = self.try_run(endpoints).await {
            warn!(error = %error, "etcd is full, and making room failed; it is tried again with a later write");
        }
    }

    async fn try_run(&self, endpoints: &Endpoints) -> crate::Result<()> {
        let request = AlarmRequest { action: AlarmAction::Get.into(), member_id: 0, alarm: AlarmType::Nospace.into() };
        let reply =
            endpoints.call(Kind::Read, |channel| async move { maintenance(channel).alarm(request).await }).await?;
        let alarms = reply.into_inner().alarms;
        let members = alarms.iter().filter(|alarm| alarm.alarm() == AlarmType::Nospace).map(|alarm| alarm.member_id);
        // One after another, so that the others go on.
        for (_, uri, channel) in endpoints.in_order() {
            self.defragment(endpoints, uri, channel).await;
        }
        // An alarm from before this client's time may have outlived its cause, so the first attempt always takes it back.
        if !self.space.attempts.lock().owes_disarming.unwrap_or(true) {
            return Ok(());
        }
        for member_id in members {
            let request =
                AlarmRequest { action: AlarmAction::Deactivate.into(), member_id, alarm: AlarmType::Nospace.into() };
            // Repeating it does no harm.
            endpoints.call(Kind::Read, |channel| async move { maintenance(channel).alarm(request).await }).await?;
            info!(member = format!("{member_id:x}"), "took back etcd's alarm that its space is used up");
        }
        self.space.attempts.lock().owes_disarming = Some(false);
        self.space.is_full.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Of a member that does not answer nothing is known; its alarm comes again if it is full.
    async fn defragment(&self, endpoints: &Endpoints, uri: &str, channel: Channel) {
        let mut client = maintenance(channel.clone());
        let Some(StatusResponse { db_size, db_size_in_use, .. }) = status(endpoints, channel.clone()).await else {
            return;
        };
        if !is_worth_it(db_size, db_size_in_use) && !self.has_compacted {
            return;
        }
        // Noted before: it happens also when nobody waits for the answer.
        self.space.attempts.lock().owes_disarming = Some(true);
        info!(endpoint = uri, db_size, db_size_in_use, "etcd is full; defragmenting the member");
        match tokio::time::timeout(DEFRAGMENT_TIMEOUT, client.defragment(DefragmentRequest {})).await {
            Ok(Ok(_)) => {
                let after = status(endpoints, channel).await.map_or(0, |status| status.db_size);
                if !is_worth_it(db_size, after) {
                    self.space.attempts.lock().gainless = Some(Instant::now());
                }
            }
            Ok(Err(status)) => warn!(endpoint = uri, error = %status, "defragmenting an etcd member failed"),
            Err(_) => warn!(endpoint = uri, "defragmenting an etcd member takes longer than {DEFRAGMENT_TIMEOUT:?}"),
        }
    }
}

async fn status(endpoints: &Endpoints, channel: Channel) -> Option<StatusResponse> {
    let mut client = maintenance(channel);
    let reply = tokio::time::timeout(endpoints.request_timeout, client.status(StatusRequest {})).await;
    Some(reply.ok()?.ok()?.into_inner())
}

fn is_worth_it(db_bytes: i64, in_use_bytes: i64) -> bool {
    in_use_bytes.saturating_mul(100) <= db_bytes.saturating_mul(IN_USE_PERCENT_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_are_one_at_a_time_and_not_too_many() {
        let (space, start) = (Space::default(), Instant::now());
        let first = space.begin(Some(ATTEMPT_INTERVAL), start).expect("nothing was tried yet");
        assert!(space.begin(None, start).is_none(), "one is under way");
        drop(first);
        assert!(space.begin(Some(ATTEMPT_INTERVAL), start).is_none(), "one was a moment ago");
        assert!(space.begin(None, start).is_some(), "a compaction need not wait");
        assert!(space.begin(Some(ATTEMPT_INTERVAL), start + ATTEMPT_INTERVAL).is_some());
    }

    #[test]
    fn a_file_in_full_use_is_left_alone() {
        assert!(is_worth_it(4_000_000, 3_000_000) && is_worth_it(4_000_000, 0));
        assert!(!is_worth_it(4_000_000, 3_000_001) && !is_worth_it(4_000_000, 4_000_000));
    }
}
