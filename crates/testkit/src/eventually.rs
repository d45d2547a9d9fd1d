//! Waiting for a condition with a deadline, instead of sleeping.

use anyhow::{Result, bail};
use std::{
    fmt::Debug,
    time::{Duration, Instant},
};

/// How often the condition is looked at.
const PERIOD: Duration = Duration::from_millis(10);

/// Asks `probe` until it answers `Ok`, at most for `deadline`; the last refusal is the error.
///
/// # Errors
/// Says what was waited for, how long, and the last refusal.
pub async fn eventually<T, E: Debug, F>(what: &str, deadline: Duration, mut probe: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<T, E>>,
{
    let begin = Instant::now();
    loop {
        let refusal = match probe().await {
            Ok(value) => return Ok(value),
            Err(refusal) => refusal,
        };
        if begin.elapsed() > deadline {
            bail!("waited {:.1} s for {what}: {refusal:?}", begin.elapsed().as_secs_f64());
        }
        tokio::time::sleep(PERIOD).await;
    }
}
