//! One question to the store, shared by all who wait for its answer.

use eru_kv::{Error, Revision};
use futures::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use parking_lot::Mutex;
use std::sync::{Arc, Weak};

/// Asks the store.
pub(crate) type Ask = Box<dyn Fn() -> BoxFuture<'static, Result<Revision, Error>> + Send + Sync>;
type Answer = Shared<BoxFuture<'static, Result<Revision, Arc<Error>>>>;

/// Asks for the store's revision, at most one question at a time.
///
/// # Invariants
/// - An answer is only given to those who were here before its question was asked: who comes while a question is on its
///   way joins the next one. Anything else would not be linearizable.
pub(crate) struct Question {
    ask: Ask,
    turns: Mutex<Turns>,
}

#[derive(Default)]
struct Turns {
    /// The question that was asked last; perhaps it is on its way.
    asked: Option<Answer>,
    /// The question that will be asked when that one is answered.
    next: Option<Answer>,
}

impl Question {
    pub(crate) fn new(ask: Ask) -> Arc<Self> {
        Arc::new(Self { ask, turns: Mutex::default() })
    }

    /// The store's revision, as of some moment after this call.
    ///
    /// # Cancel safety
    /// Safe: those who still wait carry the question on.
    pub(crate) async fn revision(self: &Arc<Self>) -> Result<Revision, Arc<Error>> {
        let answer = {
            let mut turns = self.turns.lock();
            match &turns.next {
                Some(next) => next.clone(),
                None => {
                    let next = turn(Arc::downgrade(self), turns.asked.clone()).boxed().shared();
                    turns.next = Some(next.clone());
                    next
                }
            }
        };
        answer.await
    }
}

/// Waits for the question before, then asks. Holds the question weakly, or an abandoned turn would keep itself alive.
async fn turn(question: Weak<Question>, before: Option<Answer>) -> Result<Revision, Arc<Error>> {
    if let Some(before) = before {
        // Its outcome is another caller's; only its end matters here.
        let _ = before.await;
    }
    let answer = {
        let question = question.upgrade().ok_or_else(|| {
            Arc::new(Error::Unavailable {
                endpoint: "cache".into(),
                cause: "core is stopping".into(),
                maybe_done: false,
            })
        })?;
        let mut turns = question.turns.lock();
        turns.asked = turns.next.take();
        (question.ask)()
    };
    answer.await.map_err(Arc::new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicI64, Ordering};
    use tokio::sync::Semaphore;

    #[tokio::test]
    async fn those_who_wait_share_the_next_question_and_not_the_one_on_its_way() {
        let asked = Arc::new(AtomicI64::new(0));
        let gate = Arc::new(Semaphore::new(0));
        let question = Question::new({
            let (asked, gate) = (asked.clone(), gate.clone());
            Box::new(move || {
                let number = asked.fetch_add(1, Ordering::SeqCst) + 1;
                let gate = gate.clone();
                async move {
                    gate.acquire().await.expect("the gate stays").forget();
                    Ok(Revision(number))
                }
                .boxed()
            })
        });
        let mut first = Box::pin(question.revision());
        assert!(futures::poll!(&mut first).is_pending());
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        // These came while the first question was on its way.
        let mut late: Vec<_> = (0..100).map(|_| Box::pin(question.revision())).collect();
        for waiter in &mut late {
            assert!(futures::poll!(waiter).is_pending());
        }
        assert_eq!(asked.load(Ordering::SeqCst), 1, "one question at a time");
        // The one who asked first gives up; the others still get on.
        drop(first);
        gate.add_permits(2);
        for answer in futures::future::join_all(late).await {
            assert_eq!(answer.unwrap(), Revision(2));
        }
        assert_eq!(asked.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_failure_is_told_to_those_who_asked_and_the_next_may_succeed() {
        let asked = Arc::new(AtomicI64::new(0));
        let question = Question::new({
            let asked = asked.clone();
            Box::new(move || {
                let number = asked.fetch_add(1, Ordering::SeqCst);
                async move { if number == 0 { Err(Error::Storage("test".into())) } else { Ok(Revision(7)) } }.boxed()
            })
        });
        assert!(question.revision().await.is_err());
        assert_eq!(question.revision().await.unwrap(), Revision(7));
    }
}
