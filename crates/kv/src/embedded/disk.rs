//! The database file: its tables, how it is loaded, how changes are committed.

use std::fs::{DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use redb::{Builder, Database, DatabaseError, ReadableDatabase, ReadableTable, TableDefinition};

use super::state::Version;
use crate::port::{Error, LeaseId, StoreIdentity};

const KEYS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("keys");
const LEASES: TableDefinition<'_, i64, u64> = TableDefinition::new("leases");
const NUMBERS: TableDefinition<'_, &str, i64> = TableDefinition::new("numbers");
const TEXTS: TableDefinition<'_, &str, &str> = TableDefinition::new("texts");

/// The layout that this build writes. Another one is refused.
const FORMAT: i64 = 1;
/// Memory for database pages. Reads never touch the file, so this is for the pages that commits change.
const CACHE_BYTES: usize = 32 << 20;
/// Key records begin with four numbers of eight bytes: mod revision, create revision, version, lease.
const RECORD_HEAD_BYTES: usize = 32;

/// How the database file is opened; tests put a failing disk here.
pub(super) type Opener = Box<dyn Fn(&Path) -> Result<Database, DatabaseError> + Send>;

/// Why a commit failed, for everybody who waits for it.
#[derive(Debug, Clone)]
pub(super) enum Failure {
    Full(String),
    Storage(String),
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Full(cause) => Error::Full(cause),
            Failure::Storage(cause) => Error::Storage(cause),
        }
    }
}

/// The numbers of a key as they are on disk.
fn head(version: &Version) -> [u8; RECORD_HEAD_BYTES] {
    let mut head = [0; RECORD_HEAD_BYTES];
    let numbers = [version.mod_revision, version.create_revision, version.version, version.lease.0];
    for (slot, number) in head.chunks_exact_mut(8).zip(numbers) {
        slot.copy_from_slice(&number.to_le_bytes());
    }
    head
}

fn decode(record: &[u8]) -> Option<Version> {
    let (head, value) = record.split_at_checked(RECORD_HEAD_BYTES)?;
    let mut numbers = head.chunks_exact(8).filter_map(|slot| Some(i64::from_le_bytes(slot.try_into().ok()?)));
    Some(Version {
        mod_revision: numbers.next()?,
        create_revision: numbers.next()?,
        version: numbers.next()?,
        lease: LeaseId(numbers.next()?),
        value: Some(Bytes::copy_from_slice(value)),
    })
}

/// One commit.
#[derive(Debug)]
pub(super) struct Changes {
    pub(super) seq: u64,
    pub(super) revision: i64,
    pub(super) reserved: i64,
    pub(super) exposed: bool,
    /// `None` = removed. Of several entries with one key the last one counts.
    pub(super) keys: Vec<(Bytes, Option<Version>)>,
    pub(super) leases: Vec<(LeaseId, Option<u64>)>,
}

/// What the file held.
pub(super) struct Loaded {
    pub(super) identity: StoreIdentity,
    pub(super) revision: i64,
    pub(super) reserved: i64,
    pub(super) keys: Vec<(Bytes, Version)>,
    pub(super) leases: Vec<(LeaseId, u64)>,
}

/// The folder, locked, and the file in it.
pub(super) struct Disk {
    /// `None` after a failed commit: the database must be opened again before it takes another one.
    database: Option<Database>,
    file: PathBuf,
    open: Opener,
    /// Dropped after the database.
    _lock: File,
}

impl Disk {
    pub(super) fn default_opener() -> Opener {
        Box::new(|file| Builder::new().set_cache_size(CACHE_BYTES).create(file))
    }

    /// Opens or makes the store in `folder`.
    pub(super) fn open(folder: &Path, open: Opener) -> crate::Result<(Self, Loaded)> {
        let storage = |what: &str, cause: &dyn std::fmt::Display| {
            Error::Storage(format!("{what} {} failed: {cause}", folder.display()))
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|cause| storage("making the folder", &cause))?;
        let lock = lock(folder)?;
        let file = folder.join("store.redb");
        let is_new = !file.exists();
        let database = open(&file).map_err(|cause| storage("opening the database in", &cause))?;
        let loaded = load(&database).map_err(|cause| match failure(cause) {
            Failure::Full(cause) => Error::Full(cause),
            Failure::Storage(cause) => storage("reading the database in", &cause),
        })?;
        if is_new {
            // The file's name has to survive a power cut as well as its content does.
            File::open(folder).and_then(|dir| dir.sync_all()).map_err(|cause| storage("syncing", &cause))?;
        }
        Ok((Self { database: Some(database), file, open, _lock: lock }, loaded))
    }

    /// Brings `changes` onto the disk. After an error they may or may not be there.
    pub(super) fn commit(&mut self, changes: &mut Changes) -> Result<(), Failure> {
        // Neighbours share pages. Stable, for a key that is there twice.
        changes.keys.sort_by(|a, b| a.0.cmp(&b.0));
        let result = self.try_commit(changes);
        if result.is_err() {
            self.database = None;
        }
        result.map_err(failure)
    }

    fn try_commit(&mut self, changes: &Changes) -> Result<(), redb::Error> {
        let database = match &mut self.database {
            Some(database) => database,
            none => none.insert((self.open)(&self.file)?),
        };
        let txn = database.begin_write()?;
        if !changes.keys.is_empty() {
            let mut keys = txn.open_table(KEYS)?;
            for (key, version) in &changes.keys {
                match version {
                    Some(version) => {
                        let value = version.value.as_deref().unwrap_or_default();
                        let mut slot = keys.insert_reserve(&key[..], RECORD_HEAD_BYTES + value.len())?;
                        let (head_slot, value_slot) = slot.as_mut().split_at_mut(RECORD_HEAD_BYTES);
                        head_slot.copy_from_slice(&head(version));
                        value_slot.copy_from_slice(value);
                    }
                    None => {
                        keys.remove(&key[..])?;
                    }
                }
            }
        }
        if !changes.leases.is_empty() {
            let mut leases = txn.open_table(LEASES)?;
            for (id, ttl_s) in &changes.leases {
                match ttl_s {
                    Some(ttl_s) => leases.insert(id.0, ttl_s)?,
                    None => leases.remove(id.0)?,
                };
            }
        }
        {
            let mut numbers = txn.open_table(NUMBERS)?;
            numbers.insert("revision", changes.revision)?;
            numbers.insert("reserved", changes.reserved)?;
            numbers.insert("exposed", i64::from(changes.exposed))?;
        }
        txn.commit()?;
        Ok(())
    }
}

fn lock(folder: &Path) -> crate::Result<File> {
    let path = folder.join("lock");
    let storage = |cause: io::Error| Error::Storage(format!("locking {} failed: {cause}", path.display()));
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(storage)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Locked(folder.display().to_string())),
        Err(TryLockError::Error(cause)) => Err(storage(cause)),
    }
}

/// Reads everything; makes the tables of a new file; settles what an unclean stop left.
fn load(database: &Database) -> Result<Loaded, redb::Error> {
    let txn = database.begin_write()?;
    let loaded = {
        let mut numbers = txn.open_table(NUMBERS)?;
        let mut texts = txn.open_table(TEXTS)?;
        txn.open_table(KEYS)?;
        txn.open_table(LEASES)?;
        let number = |table: &redb::Table<'_, &str, i64>, name: &str| -> Result<Option<i64>, redb::Error> {
            Ok(table.get(name)?.map(|value| value.value()))
        };
        let id = texts.get("id")?.map(|id| id.value().to_string());
        let mut changed = false;
        let id = match id {
            Some(id) => id,
            None => {
                let id = format!("{:032x}", rand::random::<u128>());
                texts.insert("id", &id[..])?;
                numbers.insert("format", FORMAT)?;
                numbers.insert("revision", 1)?;
                changed = true;
                id
            }
        };
        let format = number(&numbers, "format")?.unwrap_or(0);
        if format != FORMAT {
            return Err(redb::Error::Corrupted(format!("its format is {format}, this build reads format {FORMAT}")));
        }
        let mut revision = number(&numbers, "revision")?.unwrap_or(1);
        let reserved = number(&numbers, "reserved")?.unwrap_or(revision);
        let mut epoch = number(&numbers, "epoch")?.unwrap_or(0);
        if number(&numbers, "exposed")? == Some(1) {
            revision = revision.max(reserved);
            epoch += 1;
            numbers.insert("revision", revision)?;
            numbers.insert("epoch", epoch)?;
            numbers.insert("exposed", 0)?;
            changed = true;
        }
        (changed, StoreIdentity { id, epoch }, revision, reserved)
    };
    let (changed, identity, revision, reserved) = loaded;
    if changed {
        txn.commit()?;
    } else {
        txn.abort()?;
    }
    let txn = database.begin_read()?;
    let mut keys = Vec::new();
    for item in txn.open_table(KEYS)?.iter()? {
        let (key, record) = item?;
        let version = decode(record.value()).ok_or_else(|| {
            redb::Error::Corrupted(format!("the record of key \"{}\" is cut short", key.value().escape_ascii()))
        })?;
        keys.push((Bytes::copy_from_slice(key.value()), version));
    }
    let mut leases = Vec::new();
    for item in txn.open_table(LEASES)?.iter()? {
        let (id, ttl_s) = item?;
        leases.push((LeaseId(id.value()), ttl_s.value()));
    }
    Ok(Loaded { identity, revision, reserved, keys, leases })
}

fn failure(error: redb::Error) -> Failure {
    match &error {
        redb::Error::Io(cause)
            if matches!(
                cause.kind(),
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
            ) =>
        {
            Failure::Full(format!("{cause}; make room on its disk, it goes on by itself then"))
        }
        _ => Failure::Storage(error.to_string()),
    }
}
