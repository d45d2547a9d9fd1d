//! The keys whose newest version the disk does not have.
//!
//! Taking all of them is one step, because it happens while nobody else can write: what the disk gets is noted with each
//! write, not looked up for the commit.

use bytes::Bytes;

use super::state::Version;

/// Where a key's newest version was noted. It counts only until the next [`Dirty::take`].
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct DirtyAt {
    generation: u64,
    index: usize,
}

/// The keys to be written, each once. A key that was forgotten in between may be there twice; its last one counts.
#[derive(Debug)]
pub(super) struct Dirty {
    generation: u64,
    keys: Vec<(Bytes, Option<Version>)>,
}

impl Default for Dirty {
    fn default() -> Self {
        // A `DirtyAt` that was never set has generation 0.
        Self { generation: 1, keys: Vec::new() }
    }
}

impl Dirty {
    /// Notes the newest version of `key`, in the place of an earlier one; `None` = removed.
    pub(super) fn note(&mut self, key: &Bytes, at: &mut DirtyAt, newest: Option<Version>) {
        if at.generation == self.generation {
            self.keys[at.index].1 = newest;
        } else {
            *at = DirtyAt { generation: self.generation, index: self.keys.len() };
            self.keys.push((key.clone(), newest));
        }
    }

    /// All of them, in the order of their first write; from here on nothing is dirty.
    pub(super) fn take(&mut self) -> Vec<(Bytes, Option<Version>)> {
        self.generation += 1;
        // The next round will need about as much room.
        let room = Vec::with_capacity(self.keys.len() / 2);
        std::mem::replace(&mut self.keys, room)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::LeaseId;

    #[test]
    fn a_key_is_noted_once_until_all_are_taken() {
        let version = |at| {
            let value = Some(Bytes::from_static(b"v"));
            Some(Version { mod_revision: at, create_revision: 1, version: at, lease: LeaseId(0), value })
        };
        let (mut dirty, mut a, mut b) = (Dirty::default(), DirtyAt::default(), DirtyAt::default());
        let taken = |dirty: &mut Dirty| {
            dirty.take().into_iter().map(|(key, newest)| (key, newest.map(|v| v.mod_revision))).collect::<Vec<_>>()
        };
        dirty.note(&"a".into(), &mut a, version(1));
        dirty.note(&"b".into(), &mut b, version(2));
        dirty.note(&"a".into(), &mut a, None);
        assert_eq!(taken(&mut dirty), [("a".into(), None), ("b".into(), Some(2))]);
        dirty.note(&"b".into(), &mut b, version(3));
        assert_eq!(taken(&mut dirty), [("b".into(), Some(3))]);
        assert!(dirty.is_empty());
    }
}
