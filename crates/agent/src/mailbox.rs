//! What a worker still has to look at: the latest wins.

use eru_runtime::Inspection;
use eru_types::ExitStatus;
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
    /// An end that the runtime told of with the event itself.
    pub(crate) died: Option<ExitStatus>,
    /// Held until the letter is worked off, for those who wait for a whole round.
    pub(crate) rounds: Vec<TaskTrackerToken>,
}

impl Mailbox {
    /// Puts a letter in. A look is newer than what a list said, in whichever order the two come.
    pub(crate) fn put(&self, what: What, round: Option<TaskTrackerToken>) {
        self.put_all(what, None, round);
    }

    /// Puts in that it ended, as the runtime says.
    pub(crate) fn put_died(&self, exit: ExitStatus) {
        self.put_all(What::Look, Some(exit), None);
    }

    fn put_all(&self, what: What, died: Option<ExitStatus>, round: Option<TaskTrackerToken>) {
        {
            let mut letter = self.letter.lock();
            let (what, before, mut rounds) = match letter.take() {
                Some(Letter { what: What::Look, died, rounds }) => (What::Look, died, rounds),
                Some(Letter { died, rounds, .. }) => (what, died, rounds),
                None => (what, None, Vec::new()),
            };
            rounds.extend(round);
            *letter = Some(Letter { what, died: died.or(before), rounds });
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
