//! The socket of the engine, seen from inside of a container.
//!
//! An engine that starts again makes its socket anew. A container that had the old one mounted holds a socket that nobody
//! listens to any more, for ever; only its own restart mounts the new one.

use std::{path::PathBuf, time::Duration};
use tokio::{
    net::UnixStream,
    time::{Instant, sleep, timeout},
};

/// How often it is looked at: often enough that the 30 s are 30 s, seldom enough to cost nothing.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);
/// How long the system may take to connect a local socket; only a listener that does not accept makes it wait.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// A socket that has to be listened at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineSocket {
    /// Where it is.
    pub path: PathBuf,
    /// How long it may be gone: an engine that starts again is back within seconds.
    pub patience: Duration,
}

impl EngineSocket {
    /// With the patience of an agent in a container.
    pub fn new(path: PathBuf) -> Self {
        Self { path, patience: Duration::from_secs(30) }
    }

    /// Returns when the socket has been gone for longer than the patience; why is in words.
    pub(crate) async fn gone(&self) -> String {
        let mut gone_since = None;
        let interval = LOOK_INTERVAL.min(self.patience / 4);
        loop {
            match timeout(CONNECT_TIMEOUT, UnixStream::connect(&self.path)).await {
                // Somebody listens, even if he is too busy to accept: a restart of ours would not help.
                Ok(Ok(_)) | Err(_) => gone_since = None,
                Ok(Err(error)) => {
                    let since = *gone_since.get_or_insert_with(Instant::now);
                    if since.elapsed() >= self.patience {
                        return crate::health::in_words(&error);
                    }
                }
            }
            sleep(interval).await;
        }
    }
}
