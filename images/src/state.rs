//! What was built last, beside the binary it was built of.

use anyhow::{Context, Result};
use std::{
    fs::{self, File, Metadata},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// The record of one build; locked until dropped, so that two processes build one after the other.
pub struct State {
    path: PathBuf,
    _lock: File,
}

impl State {
    /// Opens the record of `name` beside `binary`, and waits for its lock.
    pub fn open(binary: &Path, name: &str) -> Result<Self> {
        let path = binary.with_file_name(format!("eru-images.{name}"));
        let lock = path.with_extension("lock");
        let lock = File::create(&lock).with_context(|| format!("cannot write {}", lock.display()))?;
        lock.lock()?;
        Ok(Self { path, _lock: lock })
    }

    /// The ids of the last build, in its order, if it was one of `key`.
    pub fn ids(&self, key: &str) -> Option<Vec<String>> {
        let (was, ids) = self.read()?;
        (was == key).then_some(ids)
    }

    /// The ids of the last build, whatever it was made of.
    pub fn last(&self) -> Vec<String> {
        self.read().map(|(_, ids)| ids).unwrap_or_default()
    }

    fn read(&self) -> Option<(String, Vec<String>)> {
        let text = fs::read_to_string(&self.path).ok()?;
        let mut lines = text.lines().map(str::to_owned);
        Some((lines.next()?, lines.collect()))
    }

    /// Remembers a build.
    pub fn write(&self, key: &str, ids: &[String]) -> Result<()> {
        fs::write(&self.path, format!("{key}\n{}\n", ids.join("\n")))
            .with_context(|| format!("cannot write {}", self.path.display()))
    }
}

/// What an image is made of, in one line: the binary's identity on its disk, and the text of the recipe.
pub fn key(binary: &Metadata, recipe: &str) -> String {
    let recipe = fnv1a(recipe);
    let (size, at) = (binary.size(), (binary.mtime(), binary.mtime_nsec()));
    format!("{size} {}.{:09} {} {recipe:016x}", at.0, at.1, binary.ino())
}

/// A short name for a text: FNV-1a.
pub fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_binary_or_recipe_is_another_key() {
        let dir = tempfile::tempdir().unwrap();
        let binary = dir.path().join("eru");
        fs::write(&binary, "one").unwrap();
        let first = key(&fs::metadata(&binary).unwrap(), "recipe");
        let state = State::open(&binary, "t").unwrap();
        assert_eq!(state.ids(&first), None);
        state.write(&first, &["a".into(), "b".into()]).unwrap();
        assert_eq!(state.ids(&first), Some(vec!["a".into(), "b".into()]));
        fs::write(&binary, "three").unwrap();
        let second = key(&fs::metadata(&binary).unwrap(), "recipe");
        assert_ne!(first, second);
        assert_eq!(state.ids(&second), None);
        assert_eq!(state.last(), ["a", "b"]);
        assert_ne!(second, key(&fs::metadata(&binary).unwrap(), "other"));
    }
}
