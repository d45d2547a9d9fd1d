//! The workers: one for each set, started again when one panics.

use super::{Held, Running};
use crate::Error;
use crate::act::Actor;
use crate::shown::{Desired, Shown};
use crate::worker::{Ended, Tools, Worker};
use eru_client::Backoff;
use eru_types::name::excerpt;
use std::any::Any;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{self, JoinError};
use tokio::time::{Instant, sleep};

/// Waits before a worker that panicked is started again: what made it panic is likely to be there still.
const RESTART_FIRST: Duration = Duration::from_millis(100);
const RESTART_MOST: Duration = Duration::from_secs(30);
/// A worker that lasted so long before it panicked begins with the first wait again.
const LASTED: Duration = Duration::from_secs(60);

/// Which set a worker works for.
pub(super) struct Assignment {
    name: String,
    uid: String,
    /// When it takes its first turn.
    since: Instant,
}

impl Running<'_> {
    /// Takes a set in and gives it a worker.
    pub(super) fn start(&mut self, desired: Desired) {
        let (name, uid) = (desired.set.name.clone(), desired.set.uid.clone());
        let seen = Shown::nothing_seen(desired.set.count, "not looked at yet".to_owned());
        let held = Held {
            desired: watch::Sender::new(Arc::new(desired)),
            shown: watch::Sender::new(Arc::new(seen)),
            stop: self.shutdown.child_token(),
            backoff: Backoff::new(RESTART_FIRST, RESTART_MOST),
        };
        self.employ(&held, name.clone(), uid, Duration::ZERO);
        self.sets.insert(name, held);
    }

    fn employ(&mut self, held: &Held, name: String, uid: String, wait: Duration) {
        let worker = Worker::new(Tools {
            observer: self.term.observer.clone(),
            actor: Actor::new(&self.term.client, &name, &uid, self.term.epoch),
            store: self.term.store.clone(),
            clock: self.term.clock,
            desired: held.desired.subscribe(),
            shown: held.shown.clone(),
            version: self.version.clone(),
        });
        let stop = held.stop.clone();
        let work = async move {
            // A worker that is told to stop meanwhile finds that out by itself.
            stop.run_until_cancelled(sleep(wait)).await;
            worker.run(stop).await
        };
        let id = self.workers.spawn(work).id();
        self.at_work.insert(id, Assignment { name, uid, since: Instant::now() + wait });
    }

    /// A worker has come to its end, or was brought to it by a panic.
    pub(super) async fn worker_ended(
        &mut self,
        ended: Result<(task::Id, Result<Ended, Error>), JoinError>,
    ) -> Result<(), Error> {
        let id = ended.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        let assignment = self.at_work.remove(&id).expect("every worker has its assignment");
        match ended {
            Ok((_, ended)) => self.bury(&assignment.name, &assignment.uid, ended?).await,
            Err(error) => {
                self.replace(assignment, &cause(error));
                Ok(())
            }
        }
    }

    /// Starts a worker in place of one that panicked. Its acts ended with it; the next one finds them on record.
    fn replace(&mut self, assignment: Assignment, cause: &str) {
        let Assignment { name, uid, since } = assignment;
        tracing::error!(set = %name, %cause, "the worker of a set panicked");
        self.term.observer.unsubscribe(&uid);
        let of_this_one = |held: &Held| held.desired.borrow().set.uid == uid && !held.stop.is_cancelled();
        let Some(mut held) = self.sets.remove(&name) else { return };
        if of_this_one(&held) {
            if since.elapsed() >= LASTED {
                held.backoff.reset();
            }
            let wait = held.backoff.next_bound();
            let mut shown = (**held.shown.borrow()).clone();
            shown.status.message =
                format!("nothing is done for {wait:?}: its worker panicked, and is started again then: {cause}");
            shown.status.updated_at_ms = self.term.clock.now().0;
            held.shown.send_replace(Arc::new(shown));
            self.employ(&held, name.clone(), uid, wait);
            self.version.send_modify(|version| *version += 1);
        }
        self.sets.insert(name, held);
    }
}

/// What a panic said, on one line.
fn cause(error: JoinError) -> String {
    let Ok(panic) = error.try_into_panic() else { return "it was aborted".to_owned() };
    excerpt(said(&*panic))
}

fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it did not say why")
}
