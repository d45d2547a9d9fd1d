//! Forgetting old history: the holder of liveness compacts, once a minute, what is older than five minutes.

use eru_kv::Revision;
use std::{collections::VecDeque, time::Duration};

/// How long history is kept: a core or a client that was away for less resumes where it was.
pub(super) const KEEP: Duration = Duration::from_secs(300);
/// How often it is compacted.
pub(super) const INTERVAL: Duration = Duration::from_secs(60);

/// Which revision was the store's at which time.
#[derive(Debug, Default)]
pub(super) struct Compaction(VecDeque<(Duration, Revision)>);

impl Compaction {
    /// Notes the store's revision. Answers up to where history may be forgotten, at most once an interval.
    pub(super) fn note(&mut self, now: Duration, revision: Revision) -> Option<Revision> {
        if self.0.back().is_some_and(|(last, _)| now < *last + INTERVAL) {
            return None;
        }
        self.0.push_back((now, revision));
        let mut old = None;
        while let Some((at, then)) = self.0.front().copied()
            && at + KEEP <= now
        {
            old = Some(then);
            self.0.pop_front();
        }
        // The newest revision stays: compacting at it would be no gain and at a revision ahead an error.
        old.filter(|old| *old > Revision(0) && *old < revision)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_younger_than_five_minutes_stays() {
        let mut compaction = Compaction::default();
        let mut forgotten = Vec::new();
        for second in 0..600_u64 {
            if let Some(revision) = compaction.note(Duration::from_secs(second), Revision(second as i64 + 1)) {
                forgotten.push((second, revision.0));
            }
        }
        assert_eq!(forgotten, [(300, 1), (360, 61), (420, 121), (480, 181), (540, 241)]);
    }

    #[test]
    fn a_quiet_store_is_left_alone() {
        let mut compaction = Compaction::default();
        assert!((0..60).all(|minute| compaction.note(INTERVAL * minute, Revision(7)).is_none()));
    }
}
