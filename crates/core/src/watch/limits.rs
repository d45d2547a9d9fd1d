//! What streams are limited to.

use std::{sync::Arc, time::Duration};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;

/// Largest request, in bytes, whatever else is configured: the most and longest labels, and a token.
const REQUEST_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Streams of one core unless configured: ten thousand watch applications with two streams each.
const STREAMS_MAX: usize = 20_000;
/// A `BOOKMARK` at least this often unless the client says otherwise: a stream that is quiet for two of these is dead.
const BOOKMARK_DEFAULT: Duration = Duration::from_secs(10);
/// Ten messages a second tell nothing that one does not.
const BOOKMARK_MIN: Duration = Duration::from_millis(100);
/// Beyond this no client would notice a dead stream in time.
const BOOKMARK_MAX: Duration = Duration::from_secs(600);

/// Most messages that are read from the index at a time, and so the most that a subscriber who stops reading still gets
/// as they were then.
const READ_MESSAGES_MAX: usize = 16;
/// Most workloads that are looked at for one subscriber while the feeder waits: about 50 µs.
const READ_SCAN_MAX: usize = 1024;

/// The limits of a core's status streams. Clones share one count of open streams.
#[derive(Debug, Clone)]
pub struct StreamLimits {
    streams_max: usize,
    permits: Arc<Semaphore>,
    /// How often a `BOOKMARK` is sent when the client does not say.
    pub bookmark_default: Duration,
    /// The shortest interval that a client may ask for.
    pub bookmark_min: Duration,
    /// The longest.
    pub bookmark_max: Duration,
    /// Largest request for a stream or a list, in bytes.
    pub(crate) request_bytes_max: usize,
    /// Most messages of one read of the index.
    pub(crate) read_messages_max: usize,
    /// Most workloads that one read of the index looks at.
    pub(crate) read_scan_max: usize,
}

impl Default for StreamLimits {
    fn default() -> Self {
        Self::new(STREAMS_MAX)
    }
}

impl StreamLimits {
    /// At most `streams_max` streams at a time.
    pub fn new(streams_max: usize) -> Self {
        Self {
            streams_max,
            permits: Arc::new(Semaphore::new(streams_max.min(Semaphore::MAX_PERMITS))),
            bookmark_default: BOOKMARK_DEFAULT,
            bookmark_min: BOOKMARK_MIN,
            bookmark_max: BOOKMARK_MAX,
            request_bytes_max: REQUEST_BYTES_MAX,
            read_messages_max: READ_MESSAGES_MAX,
            read_scan_max: READ_SCAN_MAX,
        }
    }

    /// The same with requests of at most `bytes_max` bytes, if that is less than what they may have anyway.
    #[must_use]
    pub fn with_request_bytes_max(self, bytes_max: usize) -> Self {
        Self { request_bytes_max: self.request_bytes_max.min(bytes_max), ..self }
    }

    /// How many streams are open.
    pub fn open_len(&self) -> usize {
        self.streams_max.saturating_sub(self.permits.available_permits())
    }

    /// Room for one stream, given back when it is dropped.
    pub(crate) fn permit(&self) -> Result<OwnedSemaphorePermit, Status> {
        self.permits.clone().try_acquire_owned().map_err(|_| {
            Status::resource_exhausted(format!(
                "this core serves at most {} streams (max_streams) and all are in use; try another core, or raise it",
                self.streams_max
            ))
        })
    }
}
