//! The changes of past revisions, for watches and for compaction.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::port::Event;

/// What an event costs beyond its key and value, in bytes: the structs that hold it.
const EVENT_OVERHEAD_BYTES: usize = 192;

/// All changes of one revision.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) revision: i64,
    pub(super) events: Events,
    bytes: usize,
}

/// Nearly always one, which needs no list of its own.
#[derive(Debug)]
pub(super) enum Events {
    One(Event),
    Many(Vec<Event>),
}

impl std::ops::Deref for Events {
    type Target = [Event];

    fn deref(&self) -> &[Event] {
        match self {
            Self::One(event) => std::slice::from_ref(event),
            Self::Many(events) => events,
        }
    }
}

/// Entries by ascending revision; revisions without changes have none.
#[derive(Debug)]
pub(super) struct History {
    entries: VecDeque<Arc<Entry>>,
    /// The first revision whose changes are known.
    pub(super) horizon: i64,
    pub(super) bytes: usize,
}

impl History {
    pub(super) fn beginning_at(horizon: i64) -> Self {
        Self { entries: VecDeque::new(), horizon, bytes: 0 }
    }

    pub(super) fn push(&mut self, revision: i64, events: Events) {
        let bytes = events.iter().map(event_bytes).sum();
        self.bytes += bytes;
        self.entries.push_back(Arc::new(Entry { revision, events, bytes }));
    }

    /// Takes back everything after `revision`.
    pub(super) fn truncate(&mut self, revision: i64) {
        while self.entries.back().is_some_and(|entry| entry.revision > revision) {
            self.bytes -= self.entries.pop_back().map_or(0, |entry| entry.bytes);
        }
    }

    pub(super) fn first(&self) -> Option<&Arc<Entry>> {
        self.entries.front()
    }

    pub(super) fn pop_first(&mut self) -> Option<Arc<Entry>> {
        let entry = self.entries.pop_front()?;
        self.bytes -= entry.bytes;
        Some(entry)
    }

    /// Up to `count` entries from revision `from` to `to`, both included.
    pub(super) fn between(&self, from: i64, to: i64, count: usize) -> Vec<Arc<Entry>> {
        let index = self.entries.partition_point(|entry| entry.revision < from);
        self.entries.range(index..).take(count).take_while(|entry| entry.revision <= to).cloned().collect()
    }
}

fn event_bytes(event: &Event) -> usize {
    EVENT_OVERHEAD_BYTES
        + match event {
            Event::Put(kv) => kv.key.len() + kv.value.len(),
            Event::Delete { key, .. } => key.len(),
        }
}
