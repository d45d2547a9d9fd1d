//! An answer of core that comes in pieces.

use crate::error::CliError;
use eru_client::Route;
use tonic::Streaming;

/// Messages of one core.
pub(crate) struct Stream<T> {
    messages: Streaming<T>,
    route: Route,
}

impl<T> Stream<T> {
    pub fn new(messages: Streaming<T>, route: Route) -> Self {
        Self { messages, route }
    }

    /// The next message; nothing when core has said all.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn next(&mut self) -> Result<Option<T>, CliError> {
        let outcome = self.messages.message().await;
        match outcome {
            Ok(message) => Ok(message),
            Err(status) => self.route.settle(Err(status)).map_err(|error| CliError::of_call("core", error)),
        }
    }

    /// All messages.
    pub async fn collect(mut self) -> Result<Vec<T>, CliError> {
        let mut all = Vec::new();
        while let Some(message) = self.next().await? {
            all.push(message);
        }
        Ok(all)
    }

    /// Gives it up, and lets the next call begin with another core: this one should not have stopped.
    pub fn give_up(self) {
        self.route.failed();
    }
}
