//! Server streams: bounded in number, and ended with a word when the core stops.

use crate::watch::StreamLimits;
use futures::{Stream, StreamExt, stream::BoxStream};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;
use tonic::Status;

/// A stream of answers.
pub(super) type Answers<T> = BoxStream<'static, Result<T, Status>>;

/// The right to be one of the open streams.
pub(super) struct Place {
    _permit: OwnedSemaphorePermit,
    stopping: CancellationToken,
}

impl Place {
    /// A place for one more.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED.
    pub(super) fn take(limits: &StreamLimits, stopping: CancellationToken) -> Result<Self, Status> {
        Ok(Self { _permit: limits.permit()?, stopping })
    }

    /// `answers` in this place: they end with UNAVAILABLE when the core stops.
    pub(super) fn hold<T: Send + 'static>(
        self,
        answers: impl Stream<Item = Result<T, Status>> + Send + 'static,
    ) -> Answers<T> {
        let open = Some((answers.boxed(), self));
        futures::stream::unfold(open, |open| async move {
            let (mut answers, place) = open?;
            tokio::select! {
                biased;
                () = place.stopping.cancelled() => {
                    Some((Err(Status::unavailable("core is stopping; connect again")), None))
                }
                answer = answers.next() => answer.map(|answer| (answer, Some((answers, place)))),
            }
        })
        .boxed()
    }
}

/// A stream of answers that are known already.
pub(super) fn known<T, I>(answers: I) -> Answers<T>
where
    T: Send + 'static,
    I: IntoIterator<Item = T>,
    I::IntoIter: Send + 'static,
{
    futures::stream::iter(answers.into_iter().map(Ok)).boxed()
}
