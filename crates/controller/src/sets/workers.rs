//! The workers: one for each set, started again when one panics.

use super::{Held, Running};
use crate::Error;
use crate::act::Actor;
use crate::shown::{Desired, Shown};
use crate::trouble::Trouble;
use crate::worker::{Ended, Tools, Worker};
use eru_client::Backoff;
use eru_types::name::excerpt;
use std::any::Any;
use std::collections::BTreeMap;
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
        let seen = Shown::nothing_seen(&desired.set, "not looked at yet".to_owned());
        let held = Held {
            desired: watch::Sender::new(Arc::new(desired)),
            shown: watch::Sender::new(Arc::new(seen)),
            stop: self.shutdown.child_token(),
            backoff: Backoff::new(RESTART_FIRST, RESTART_MOST),
            trouble: None,
            removed: Vec::new(),
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
    ///
    /// # Errors
    /// [`Error::Deposed`].
    pub(super) async fn worker_ended(
        &mut self,
        ended: Result<(task::Id, Result<Ended, Error>), JoinError>,
    ) -> Result<(), Error> {
        let id = ended.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        let assignment = self.at_work.remove(&id).expect("every worker has its assignment");
        match ended {
            Ok((_, Ok(Ended::Removed(ids)))) => self.bury(assignment, ids).await?,
            Ok((_, Ok(Ended::Stopped))) => {}
            Ok((_, Err(Error::Deposed))) => return Err(Error::Deposed),
            Ok((_, Err(error))) => self.replace(assignment, "worker-failed", "its worker failed", &error.to_string()),
            Err(error) => self.replace(assignment, "worker-panicked", "its worker panicked", &cause(error)),
        }
        Ok(())
    }

    /// Forgets a set whose workloads are gone. If the store fails in that, another worker finds it as it is.
    async fn bury(&mut self, assignment: Assignment, ids: Vec<String>) -> Result<(), Error> {
        let Assignment { name, uid, .. } = &assignment;
        let Some(held) = self.sets.get_mut(name).filter(|held| held.desired.borrow().set.uid == *uid) else {
            return Ok(());
        };
        held.removed.extend(ids);
        let set = held.desired.borrow().set.clone();
        match self.term.store.delete_set(&set).await {
            Ok(()) => {
                let ids = std::mem::take(&mut held.removed);
                tracing::info!(set = %name, workloads = ids.len(), "a replicaset was removed");
                self.forget(name, uid, ids);
            }
            Err(Error::Deposed) => return Err(Error::Deposed),
            Err(error) => {
                self.replace(assignment, "store-failed", "its record could not be deleted", &error.to_string());
            }
        }
        Ok(())
    }

    /// Starts a worker in place of one that came to a bad end. Its acts ended with it; the next one finds them on record.
    fn replace(&mut self, assignment: Assignment, reason: &str, what: &str, cause: &str) {
        let Assignment { name, uid, since } = assignment;
        tracing::error!(set = %name, %cause, "{what}");
        self.term.observer.unsubscribe(&uid);
        let of_this_one = |held: &Held| held.desired.borrow().set.uid == uid && !held.stop.is_cancelled();
        let Some(mut held) = self.sets.remove(&name) else { return };
        if of_this_one(&held) {
            if since.elapsed() >= LASTED {
                held.backoff.reset();
                held.trouble = None;
            }
            let (wait, now) = (held.backoff.next_bound(), self.term.clock.now());
            let trouble = Trouble::again(held.trouble.as_ref(), cause, now, wait);
            let mut shown = (**held.shown.borrow()).clone();
            shown.plain = format!("nothing is done for {wait:?}, then it is tried again");
            shown.say(vec![trouble.condition(reason, what)], &BTreeMap::new());
            shown.status.updated_at_ms = now.0;
            held.trouble = Some(trouble);
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
