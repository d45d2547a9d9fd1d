//! What an informer watches, and how.

use std::{collections::BTreeMap, time::Duration};

/// Which workloads; what is empty does not restrict.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// The app.
    pub app: String,
    /// The entrypoint of the app.
    pub entrypoint: String,
    /// The node.
    pub node: String,
    /// Labels that all must be there.
    pub labels: BTreeMap<String, String>,
}

/// How an informer keeps its stream.
#[derive(Debug, Clone)]
pub struct InformerOptions {
    /// How often core sends a sign of life when nothing changes. After three missed ones the stream counts as dead.
    pub bookmark_interval: Duration,
    /// First bound of the wait between attempts; it doubles, and each wait is a random part of it.
    pub backoff_first: Duration,
    /// Largest bound of that wait.
    pub backoff_most: Duration,
}

impl Default for InformerOptions {
    fn default() -> Self {
        Self {
            bookmark_interval: Duration::from_secs(10),
            backoff_first: Duration::from_millis(100),
            backoff_most: Duration::from_secs(5),
        }
    }
}
