//! Reading the output of a simulated workload.

use super::engine::Inner;
use crate::port::{LogLine, LogOptions, Result, State};
use eru_types::EngineId;
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use parking_lot::Mutex;
use std::{collections::VecDeque, sync::Arc};
use tokio::sync::watch;

struct Reader {
    inner: Arc<Mutex<Inner>>,
    changes: watch::Receiver<u64>,
    id: EngineId,
    options: LogOptions,
    /// How many lines of the workload were read or skipped.
    position: usize,
    pending: VecDeque<LogLine>,
    /// A workload that was not started yet is waited for.
    awaits_start: bool,
    ended: bool,
}

/// The lines that `options` ask for; with `awaits_start` from a workload that is yet to be started. `changes` must have been subscribed before.
pub(super) fn read(
    inner: Arc<Mutex<Inner>>,
    changes: watch::Receiver<u64>,
    id: EngineId,
    options: LogOptions,
    awaits_start: bool,
) -> BoxStream<'static, Result<LogLine>> {
    let pending = VecDeque::new();
    let mut reader = Reader { inner, changes, id, options, position: 0, pending, awaits_start, ended: false };
    reader.advance();
    if let Some(tail) = reader.options.tail {
        reader.pending.drain(..reader.pending.len().saturating_sub(tail));
    }
    stream::unfold(reader, |mut reader| async move { reader.next().await.map(|line| (Ok(line), reader)) }).boxed()
}

impl Reader {
    async fn next(&mut self) -> Option<LogLine> {
        loop {
            if let Some(line) = self.pending.pop_front() {
                return Some(line);
            }
            if self.ended || self.changes.changed().await.is_err() {
                return None;
            }
            self.advance();
        }
    }

    /// Takes over what came since the last look, and notes whether nothing more can come.
    fn advance(&mut self) {
        let inner = self.inner.lock();
        let Some(record) = inner.records.get(&self.id).filter(|_| !inner.is_down()) else {
            self.ended = true;
            return;
        };
        let skipped = self.position.saturating_sub(record.lines_dropped);
        let (since, until) = (self.options.since_ms, self.options.until_ms);
        let wanted = |line: &&LogLine| since.is_none_or(|t| line.at_ms >= t) && until.is_none_or(|t| line.at_ms < t);
        let late = if self.options.follow { record.late_len } else { 0 };
        let there = record.lines.len() - late;
        self.pending.extend(record.lines.iter().take(there).skip(skipped).filter(wanted).cloned());
        self.position = record.lines_dropped + there;
        let overdue = until.is_some_and(|t| crate::clock::now_ms() >= t);
        let over = match record.state {
            State::Running => false,
            State::Created => !self.awaits_start,
            State::Exited => true,
        };
        self.ended = !self.options.follow || over || overdue;
    }
}
