//! The state machine between the stream and the store: messages in, the whole and its changes out.
//!
//! | state | SNAPSHOT, CHANGE | SYNCED | BOOKMARK | RESYNC | disconnect |
//! | --- | --- | --- | --- | --- | --- |
//! | live (resumed, or after SYNCED) | into the store | token | token | -> aside | stays |
//! | aside (a snapshot is being read) | into the copy aside | the copy becomes the store -> live | ignored | copy emptied | copy dropped |
//!
//! # Invariants
//! - The store changes at once from one whole to the next while a snapshot is read.
//! - A token is kept only while the store holds all that it stands for.

use super::{
    changes::Change,
    entry::{Entry, Snapshot},
};
use bytes::Bytes;
use eru_api::pb::{self, workload_status_stream_message::Kind};
use std::{collections::BTreeMap, sync::Arc};

/// Where the next stream begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// With everything.
    Snapshot,
    /// After this token.
    Token(Bytes),
}

/// The store of an informer, and what it needs to know to go on.
#[derive(Debug, Default)]
pub struct Fold {
    store: Arc<Snapshot>,
    /// The snapshot that is being read; the store stays what it was.
    aside: Option<Snapshot>,
    token: Option<Bytes>,
    /// Workloads removed since the token, with the revision of the removal. A core that is a little behind sends their last
    /// states again after a resume, and must not bring them back.
    removed: BTreeMap<Arc<str>, i64>,
    revision: i64,
    synced: bool,
    live: bool,
}

impl Fold {
    /// Nothing is known yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A new stream begins; the answer says what it has to ask for.
    pub fn connect(&mut self) -> Start {
        self.live = false;
        match &self.token {
            Some(token) => Start::Token(token.clone()),
            None => {
                self.aside = Some(Snapshot::new());
                Start::Snapshot
            }
        }
    }

    /// The stream broke.
    pub fn disconnect(&mut self) {
        self.aside = None;
        self.live = false;
    }

    /// The core refused the token: the next stream begins with everything.
    pub fn forget_token(&mut self) {
        self.token = None;
    }

    /// Takes one message in, and says what changed by it.
    pub fn apply(&mut self, message: pb::WorkloadStatusStreamMessage) -> Vec<Change> {
        match message.kind() {
            Kind::Snapshot | Kind::Change => {
                let token = message.resume_token.clone();
                let changes = self.update(message);
                self.take_token(token);
                changes
            }
            Kind::Synced => self.complete(message),
            Kind::Bookmark => {
                self.take_token(message.resume_token);
                self.revision = self.revision.max(message.revision);
                Vec::new()
            }
            Kind::Resync => {
                self.aside = Some(Snapshot::new());
                self.token = None;
                self.live = false;
                Vec::new()
            }
        }
    }

    /// Everything, as of the last whole and what changed since.
    pub fn store(&self) -> &Arc<Snapshot> {
        &self.store
    }

    /// Whether there was a whole at all.
    pub fn is_synced(&self) -> bool {
        self.synced
    }

    /// Whether the stream has caught up since it last began.
    pub fn is_live(&self) -> bool {
        self.live
    }

    /// The newest revision that was seen.
    pub fn revision(&self) -> i64 {
        self.revision
    }

    fn take_token(&mut self, token: Bytes) {
        if self.aside.is_none() && !token.is_empty() {
            self.token = Some(token);
            self.removed.clear();
        }
    }

    fn complete(&mut self, message: pb::WorkloadStatusStreamMessage) -> Vec<Change> {
        let mut changes = match self.aside.take() {
            Some(next) => {
                let changes = difference(&self.store, &next);
                self.store = Arc::new(next);
                self.revision = message.revision;
                changes
            }
            None => Vec::new(),
        };
        self.take_token(message.resume_token);
        self.revision = self.revision.max(message.revision);
        self.synced = true;
        self.live = true;
        changes.push(Change::Synced);
        changes
    }

    fn update(&mut self, message: pb::WorkloadStatusStreamMessage) -> Vec<Change> {
        let id: Arc<str> = message.id.as_str().into();
        if let Some(aside) = &mut self.aside {
            match next_entry(aside.get(&id), message) {
                Next::Removed => drop(aside.remove(&id)),
                Next::Entry(entry) => drop(aside.insert(id, entry)),
                Next::Unusable => {}
            }
            return Vec::new();
        }
        let revision = message.revision;
        let old = self.store.get(&id);
        let seen = old.map(|e| e.revision).max(self.removed.get(&id).copied()).unwrap_or(0);
        if revision > 0 && revision < seen {
            return Vec::new();
        }
        self.revision = self.revision.max(revision);
        match next_entry(old, message) {
            Next::Unusable => Vec::new(),
            Next::Removed => {
                self.removed.insert(id.clone(), revision);
                let old = Arc::make_mut(&mut self.store).remove(&id);
                old.into_iter().map(Change::Removed).collect()
            }
            Next::Entry(entry) => {
                self.removed.remove(&id);
                let old = Arc::make_mut(&mut self.store).insert(id, entry.clone());
                change(old.as_ref(), &entry).into_iter().collect()
            }
        }
    }
}

enum Next {
    Entry(Arc<Entry>),
    Removed,
    /// A message about a workload that is not known and does not say what it is.
    Unusable,
}

fn next_entry(old: Option<&Arc<Entry>>, message: pb::WorkloadStatusStreamMessage) -> Next {
    // A removal has an error text, an expiry has none.
    if message.delete && !message.error.is_empty() {
        return Next::Removed;
    }
    let Some(mut workload) = message.workload.or_else(|| old.map(|e| e.workload.clone())) else {
        return Next::Unusable;
    };
    let own_status = workload.status.take();
    let last_known = || old.filter(|_| message.delete).and_then(|e| e.status.clone());
    let status = message.status.or(own_status).or_else(last_known);
    let expired = message.delete || status.as_ref().is_some_and(|s| s.expired);
    Next::Entry(Arc::new(Entry { workload, status, expired, revision: message.revision }))
}

fn change(old: Option<&Arc<Entry>>, new: &Arc<Entry>) -> Option<Change> {
    match old {
        None => Some(Change::Added(new.clone())),
        Some(old) if old.says_the_same_as(new) => None,
        Some(old) if new.expired && !old.expired => Some(Change::Expired(new.clone())),
        Some(old) => Some(Change::Updated { old: old.clone(), new: new.clone() }),
    }
}

/// What turns `old` into `new`.
pub(super) fn difference(old: &Snapshot, new: &Snapshot) -> Vec<Change> {
    let gone = old.iter().filter(|(id, _)| !new.contains_key(*id)).map(|(_, e)| Change::Removed(e.clone()));
    gone.chain(new.iter().filter_map(|(id, entry)| change(old.get(id), entry))).collect()
}
