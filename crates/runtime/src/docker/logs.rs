//! Output that the engine has kept.

use super::{
    call::Call,
    events::seconds,
    fault::{Fault, chain},
    inspect::Container,
    reading::log_lines,
    runtime::Docker,
    session::decoded,
    target::Target,
};
use crate::{port::*, reason::one_line};
use eru_types::{EngineId, limits::LAST_LINE_BYTES_MAX};
use futures::{StreamExt, TryStreamExt, future, stream, stream::BoxStream};
use http_body_util::BodyExt;
use std::{collections::VecDeque, time::Duration};

/// How long the reason of an end is looked for. It is told beside the end, and must not hold it up: who looks at a workload
/// waits some seconds for all of it.
const REASON_WITHIN: Duration = Duration::from_secs(1);

impl Docker {
    /// # Cost
    /// Two round trips: whether there is a terminal must be known.
    pub(super) async fn container_logs(
        &self,
        id: &EngineId,
        options: LogOptions,
    ) -> Result<BoxStream<'static, Result<LogLine>>> {
        let found = self.look(id.as_str()).await.map_err(self.error_of(id))?;
        self.kept(&found, &options, true).await.map_err(self.error_of(id))
    }

    async fn kept(
        &self,
        found: &Container,
        options: &LogOptions,
        stdout: bool,
    ) -> Result<BoxStream<'static, Result<LogLine>>, Fault> {
        if options.until_ms.is_some_and(|until| until <= 0) {
            return Ok(stream::empty().boxed());
        }
        let time = |ms: i64| seconds(ms.saturating_mul(1_000_000));
        let mut target = Target::new(&["containers", &found.id, "logs"]).with("stderr", "1").with("timestamps", "1");
        if stdout {
            target = target.with("stdout", "1");
        }
        // What is not a number of its own is "all" for the engine.
        target = target
            .with("tail", options.tail.and_then(|n| i32::try_from(n).ok()).map_or("all".into(), |n| n.to_string()));
        // 0 would be "no bound" for the engine, as it is for us.
        if let Some(since) = options.since_ms.filter(|ms| *ms > 0) {
            target = target.with("since", time(since));
        }
        if let Some(until) = options.until_ms {
            target = target.with("until", time(until));
        }
        if options.follow {
            target = target.with("follow", "1");
        }
        let answer = self.transport.open(Call::get(target)).await?;
        let chunks = answer
            .into_body()
            .into_data_stream()
            .map_err(|e| Error::Failed(format!("the output broke: {}", chain(&e))));
        let terminal = found.config.tty;
        let lines = log_lines(decoded(chunks.boxed(), terminal).boxed(), terminal);
        let (since, until) = (options.since_ms.unwrap_or(i64::MIN), options.until_ms.unwrap_or(i64::MAX));
        // The engine's bounds are both inclusive, and finer than ours.
        let within = move |line: &LogLine| (since..until).contains(&line.at_ms);
        Ok(lines.try_filter(move |line| future::ready(within(line))).boxed())
    }

    pub(super) async fn last_log_lines(&self, id: &EngineId, lines: usize) -> Result<Vec<String>> {
        let found = self.look(id.as_str()).await.map_err(self.error_of(id))?;
        let last = async {
            let mut all = self.kept(&found, &tail(lines), true).await.map_err(self.error_of(id))?;
            let mut last = VecDeque::new();
            while let Some(line) = all.try_next().await? {
                last.push_back(shown(&line.data));
                if last.len() > lines {
                    last.pop_front();
                }
            }
            Ok(last.into())
        };
        let within = self.options.answer_within;
        tokio::time::timeout(within, last).await.unwrap_or_else(|_| Err(self.error(Fault::Late(within))))
    }

    /// The last line of standard error, looked for in the last `lines`; empty when there is none, or none can be read. A
    /// terminal has one output only, so that nothing in it is known to be an error.
    pub(super) async fn last_error_line(&self, found: &Container, lines: usize) -> String {
        if found.config.tty {
            return String::new();
        }
        let mut last = String::new();
        let read = async {
            let Ok(mut all) = self.kept(found, &tail(lines), false).await else { return };
            while let Ok(Some(line)) = all.try_next().await {
                if line.stream == Stream::Stderr && !line.data.trim_ascii().is_empty() {
                    last = one_line(&String::from_utf8_lossy(&line.data));
                }
            }
        };
        // What was read in time is better than nothing.
        let _ = tokio::time::timeout(self.options.answer_within.min(REASON_WITHIN), read).await;
        last
    }
}

fn tail(lines: usize) -> LogOptions {
    LogOptions { tail: Some(lines), ..LogOptions::default() }
}

/// A line for people, not longer than a status may carry.
fn shown(data: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(data.strip_suffix(b"\r").unwrap_or(data)).into_owned();
    if text.len() > LAST_LINE_BYTES_MAX {
        text.truncate(text.floor_char_boundary(LAST_LINE_BYTES_MAX));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_lines_are_short() {
        assert_eq!(shown(b"one\r"), "one");
        assert!(shown("名".repeat(1000).as_bytes()).len() <= LAST_LINE_BYTES_MAX);
    }
}
