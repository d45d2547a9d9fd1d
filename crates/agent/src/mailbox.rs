//! What a worker still has to look at: the latest wins.

use eru_runtime::Inspection;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// Letters for one worker. Any number of them is one.
#[derive(Default)]
pub(crate) struct Mailbox {
    letter: Mutex<Option<Letter>>,
    arrived: Notify,
}

/// What is to be done.
pub(crate) enum What {
    /// Something happened: inspect.
    Look,
    /// A list that nothing has happened since said this.
    Listed(Box<Inspection>),
}

/// The one letter in a mailbox.
pub(crate) struct Letter {
    pub(crate) what: What,
    /// Held until the letter is worked off, for those who wait for a whole round.
    pub(crate) _rounds: Vec<TaskTrackerToken>,
}

impl Mailbox {
    /// Puts a letter in. A look is newer than what a list said, in whichever order the two come.
    pub(crate) fn put(&self, what: What, round: Option<TaskTrackerToken>) {
        {
            let mut letter = self.letter.lock();
            let (what, mut rounds) = match letter.take() {
                Some(Letter { what: What::Look, _rounds }) => (What::Look, _rounds),
                Some(Letter { _rounds, .. }) => (what, _rounds),
                None => (what, Vec::new()),
            };
            rounds.extend(round);
            *letter = Some(Letter { what, _rounds: rounds });
        }
        self.arrived.notify_one();
    }

    /// Waits for a letter and takes it out.
    pub(crate) async fn take(&self) -> Letter {
        loop {
            if let Some(letter) = self.try_take() {
                return letter;
            }
            self.arrived.notified().await;
        }
    }

    /// Takes a letter out if there is one.
    pub(crate) fn try_take(&self) -> Option<Letter> {
        self.letter.lock().take()
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.letter.lock().is_none()
    }
}
