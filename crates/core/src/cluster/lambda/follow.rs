//! Reading one instance of a run to its end.

use super::{HandOver, LOGGED_LINES_MAX, LambdaPiece, Run, seen::Seen};
use crate::cluster::{Error, PIECE_BYTES_MAX, Result, logs::written, target::Target};
use bytes::Bytes;
use eru_runtime::{Error as RuntimeError, LogLine, LogOptions, Stream};
use eru_types::{WorkloadName, name::excerpt};
use futures::{StreamExt, TryStreamExt};
use std::sync::{Arc, atomic::Ordering};

/// How many of the last lines are read again at the end, each in memory and of at most 16 KiB; then all of them, one by one.
const RESTS: [Option<usize>; 3] = [Some(64), Some(1024), None];

impl Run {
    /// Passes on what an instance says, to the last byte, and how it ends.
    pub(super) async fn follow(&self, id: &str, name: &WorkloadName, hand_over: Option<HandOver>, input: bool) {
        let ended = async {
            let target = self.cluster.target(id).await?;
            let _place = self.cluster.pools.runs.enter(&target.node).await;
            if input {
                self.pass_session(id, name, hand_over).await?;
                return Ok(target.engine.runtime.wait(&target.id).await?.code);
            }
            let seen = self.pass_lines(id, &target).await?;
            let code = target.engine.runtime.wait(&target.id).await?.code;
            match self.pass_rest(id, &target, &seen).await {
                // Somebody else removed it in between.
                Ok(()) | Err(Error::Runtime(RuntimeError::NotFound(_))) => {}
                Err(error) => self.fail(id, &error).await,
            }
            Ok::<_, Error>(code)
        };
        match ended.await {
            Ok(code) => {
                tracing::info!(workload = %name, code, "run ended");
                self.tell(LambdaPiece::Exited(id.to_owned(), code)).await;
            }
            Err(error) => self.fail(id, &error).await,
        }
    }

    async fn fail(&self, id: &str, error: &Error) {
        tracing::info!(workload = id, %error, "run failed");
        self.tell(LambdaPiece::Failed(id.to_owned(), error.to_string())).await;
    }

    /// Everything that it wrote since it was started, and on until it ends.
    async fn pass_lines(&self, id: &str, target: &Target) -> Result<Seen> {
        let mut seen = Seen::default();
        let options = LogOptions { follow: true, ..LogOptions::default() };
        let mut lines = self.cluster.engine_call(target.engine.runtime.logs(&target.id, options)).await?;
        while let Some(line) = lines.next().await {
            match line {
                Ok(line) => {
                    seen.note(&line);
                    self.pass(id, line.stream, written(line)).await;
                }
                // What is lost is said; how it ends is told all the same.
                Err(error) => {
                    self.fail(id, &error.into()).await;
                    break;
                }
            }
        }
        Ok(seen)
    }

    /// What an engine wrote down after it had ended the stream of lines: Docker may do so with the last one.
    async fn pass_rest(&self, id: &str, target: &Target, seen: &Seen) -> Result<()> {
        for tail in RESTS {
            let options = LogOptions { tail, ..LogOptions::default() };
            let mut lines = self.cluster.engine_call(target.engine.runtime.logs(&target.id, options)).await?;
            let mut again = seen.again();
            let Some(tail) = tail else {
                while let Some(line) = lines.next().await.transpose()? {
                    if again.is_new(&line) {
                        self.pass(id, line.stream, written(line)).await;
                    }
                }
                return Ok(());
            };
            let lines: Vec<LogLine> = lines.try_collect().await?;
            if lines.len() < tail || lines.first().is_some_and(|oldest| seen.reaches(oldest)) {
                for line in lines.into_iter().filter(|line| again.is_new(line)) {
                    self.pass(id, line.stream, written(line)).await;
                }
                return Ok(());
            }
        }
        Ok(())
    }

    /// What comes out of one with input, which was attached to before it was started.
    async fn pass_session(&self, id: &str, name: &WorkloadName, hand_over: Option<HandOver>) -> Result<()> {
        let session = self.cluster.runs.take(name);
        let session =
            session.ok_or_else(|| Error::Internal(format!("{name} was started without being attached to")))?;
        if let (Some(input), Some(hand_over)) = (session.input, hand_over) {
            // A client that left has nothing to type.
            let _ = hand_over.send((input, Arc::from(session.control)));
        }
        let mut output = session.output;
        while let Some(piece) = output.next().await {
            let (stream, mut data) = piece?;
            while !data.is_empty() {
                let piece = data.split_to(PIECE_BYTES_MAX.min(data.len()));
                self.pass(id, stream, piece).await;
            }
        }
        Ok(())
    }

    async fn pass(&self, id: &str, stream: Stream, data: Bytes) {
        if !self.pieces.is_closed() {
            return self.tell(LambdaPiece::Output(id.to_owned(), stream, data)).await;
        }
        match self.logged.fetch_add(1, Ordering::Relaxed) {
            0..LOGGED_LINES_MAX => {
                let text = String::from_utf8_lossy(&data);
                tracing::info!(workload = id, output = %excerpt(text.trim_end()), "run says");
            }
            LOGGED_LINES_MAX => tracing::info!(workload = id, "run says more, which is not logged"),
            _ => {}
        }
    }
}
