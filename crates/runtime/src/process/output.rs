//! The output of a workload as a stream.

use super::{entry::Entry, files::plain, log::Reader, open::Shared};
use crate::{
    clock::now_ms,
    port::{Error, LogLine, LogOptions, Result},
};
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use std::{collections::VecDeque, io, sync::Arc};
use tokio::sync::watch;

struct Follower {
    shared: Arc<Shared>,
    entry: Arc<Entry>,
    options: LogOptions,
    /// Taken while a thread reads.
    reader: Option<Reader>,
    output: watch::Receiver<u64>,
    view: watch::Receiver<super::entry::View>,
    pending: VecDeque<LogLine>,
    follows: bool,
    is_over: bool,
}

/// The lines that `options` ask for.
pub(super) async fn read(
    shared: Arc<Shared>,
    entry: Arc<Entry>,
    options: LogOptions,
) -> Result<BoxStream<'static, Result<LogLine>>> {
    let failed = |e: io::Error| Error::Failed(format!("output of {}: {}", entry.spec.request.name, plain(&e)));
    let reader = entry.reader().map_err(failed)?;
    let mut follower = Follower {
        output: entry.output.subscribe(),
        view: entry.view.subscribe(),
        pending: VecDeque::new(),
        follows: false,
        is_over: false,
        reader: Some(reader),
        shared,
        entry: entry.clone(),
        options,
    };
    if follower.options.follow {
        follower.follow().map_err(failed)?;
    }
    if let Some(tail) = follower.options.tail {
        follower.tail(tail).await.map_err(failed)?;
    }
    let lines = stream::unfold(follower, |mut follower| async move {
        let line = follower.next().await.transpose()?;
        let name = &follower.entry.spec.request.name;
        Some((line.map_err(|e| Error::Failed(format!("output of {name}: {}", plain(&e)))), follower))
    });
    Ok(lines.boxed())
}

impl Follower {
    fn follow(&mut self) -> io::Result<()> {
        self.follows = true;
        // The lock is held over the call, so that the watch is what the last count says.
        let mut followers = self.entry.followers.lock();
        *followers += 1;
        if *followers == 1 { self.shared.inotify.watch(&self.entry, true) } else { Ok(()) }
    }

    /// Reads all that is there now and keeps the last lines of it.
    async fn tail(&mut self, tail: usize) -> io::Result<()> {
        let mut kept = VecDeque::new();
        loop {
            let (count, lines) = self.read().await?;
            if count == 0 {
                break;
            }
            kept.extend(lines);
            kept.drain(..kept.len().saturating_sub(tail));
        }
        self.pending = kept;
        Ok(())
    }

    async fn next(&mut self) -> io::Result<Option<LogLine>> {
        loop {
            if let Some(line) = self.pending.pop_front() {
                return Ok(Some(line));
            }
            // Looked at before reading: what is read after the end is all there is.
            let was_over = self.is_over;
            self.is_over = !self.options.follow || self.view.borrow_and_update().is_over() || self.is_overdue();
            self.output.mark_unchanged();
            let (count, lines) = self.read().await?;
            self.pending.extend(lines);
            if count > 0 {
                continue;
            }
            if self.is_over && (was_over || !self.options.follow) {
                return Ok(None);
            }
            if self.is_over {
                continue;
            }
            tokio::select! {
                changed = self.output.changed() => if changed.is_err() { self.is_over = true },
                changed = self.view.changed() => if changed.is_err() { self.is_over = true },
                () = self.shared.stop.cancelled() => return Ok(None),
            }
        }
    }

    fn is_overdue(&self) -> bool {
        self.options.until_ms.is_some_and(|until| now_ms() >= until)
    }

    /// The next records: how many there were, and those that are wanted.
    async fn read(&mut self) -> io::Result<(usize, Vec<LogLine>)> {
        let Some(mut reader) = self.reader.take() else { return Ok((0, Vec::new())) };
        let read = move || {
            let lines = reader.next();
            (reader, lines)
        };
        let (reader, lines) = tokio::task::spawn_blocking(read).await.map_err(io::Error::other)?;
        self.reader = Some(reader);
        let mut lines = lines?;
        let count = lines.len();
        let (since, until) = (self.options.since_ms, self.options.until_ms);
        lines.retain(|line| since.is_none_or(|t| line.at_ms >= t) && until.is_none_or(|t| line.at_ms < t));
        Ok((count, lines))
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        if !self.follows {
            return;
        }
        let mut followers = self.entry.followers.lock();
        *followers -= 1;
        if *followers == 0
            && !self.view.borrow().removed
            && let Err(error) = self.shared.inotify.watch(&self.entry, false)
        {
            tracing::debug!(%error, "the watch on output stays");
        }
    }
}
