//! Files that are put into instances: `--file SOURCE:TARGET[:MODE[:UID[:GID]]]`.

use crate::error::CliError;
use bytes::Bytes;
use eru_api::pb;
use eru_types::name::excerpt;
use std::collections::BTreeMap;
use std::io::Read as _;

/// Most bytes of all files together: the default of core's largest request, less what else is in it.
const FILES_BYTES_MAX: usize = 19 << 20;

/// A file to put into an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Where it is put, an absolute path.
    pub target: String,
    /// What is in it.
    pub content: Vec<u8>,
    /// Permission bits; 0 leaves them to core.
    pub mode: i64,
    /// Number of its user and of its group.
    pub owner: Option<(i32, i32)>,
}

/// Reads the files that the options name.
pub(crate) fn read(option: &str, items: &[String]) -> Result<Vec<File>, CliError> {
    let mut files = Vec::with_capacity(items.len());
    let mut bytes = 0;
    for item in items {
        let refuse = |why: String| CliError::Usage(format!("{option}: {why}"));
        let (source, mut file) = parse(item).map_err(refuse)?;
        if files.iter().any(|other: &File| other.target == file.target) {
            return Err(refuse(format!("target \"{}\" is given twice", excerpt(&file.target))));
        }
        file.content = content(source, FILES_BYTES_MAX - bytes)
            .map_err(|reason| refuse(format!("cannot read \"{}\": {reason}", excerpt(source))))?;
        bytes += file.content.len();
        files.push(file);
    }
    Ok(files)
}

/// Files as the wire has them: by path.
#[derive(Debug, Default)]
pub(crate) struct Wire {
    pub data: BTreeMap<String, Bytes>,
    pub modes: BTreeMap<String, pb::FileMode>,
    pub owners: BTreeMap<String, pb::FileOwner>,
}

/// Files as the wire has them.
pub(crate) fn wire(files: Vec<File>) -> Wire {
    let mut wire = Wire::default();
    for file in files {
        if file.mode != 0 {
            wire.modes.insert(file.target.clone(), pb::FileMode { mode: file.mode });
        }
        if let Some((uid, gid)) = file.owner {
            wire.owners.insert(file.target.clone(), pb::FileOwner { uid, gid });
        }
        wire.data.insert(file.target, file.content.into());
    }
    wire
}

fn content(source: &str, bytes_max: usize) -> Result<Vec<u8>, String> {
    let reason = |error: std::io::Error| eru_config::layer::io_reason(&error);
    let file = std::fs::File::open(source).map_err(reason)?;
    if file.metadata().map_err(reason)?.is_dir() {
        return Err("it is a directory".into());
    }
    let mut bytes = Vec::new();
    file.take(bytes_max as u64 + 1).read_to_end(&mut bytes).map_err(reason)?;
    if bytes.len() > bytes_max {
        return Err(format!("all files together must be at most {} MiB", FILES_BYTES_MAX >> 20));
    }
    Ok(bytes)
}

/// The source, and the file without its content.
fn parse(item: &str) -> Result<(&str, File), String> {
    let parts: Vec<&str> = item.split(':').collect();
    let (source, target) = match parts[..] {
        [source, target, ..] if !source.is_empty() && parts.len() <= 5 => (source, target),
        _ => return Err(format!("expected SOURCE:TARGET[:MODE[:UID[:GID]]], got \"{}\"", excerpt(item))),
    };
    let climbs = target.split('/').any(|part| part == "..") || target.contains('\0');
    if !target.starts_with('/') || climbs {
        return Err(format!("target must be an absolute path without \"..\", got \"{}\"", excerpt(target)));
    }
    let mode = match parts.get(2) {
        None => 0,
        Some(mode) => octal(mode).ok_or_else(|| format!("mode: not octal, got \"{}\"", excerpt(mode)))?,
    };
    let number = |name: &str, text: &str| {
        let number = text.parse::<i32>().ok().filter(|n| *n >= 0 && !text.starts_with('+'));
        number.ok_or_else(|| format!("{name}: not a number, got \"{}\"", excerpt(text)))
    };
    let owner = match parts[..] {
        // As for `docker run --user`: a user without a group is in the first one.
        [_, _, _, uid] => Some((number("uid", uid)?, 0)),
        [_, _, _, uid, gid] => Some((number("uid", uid)?, number("gid", gid)?)),
        _ => None,
    };
    Ok((source, File { target: target.to_owned(), content: Vec::new(), mode, owner }))
}

fn octal(text: &str) -> Option<i64> {
    let digits = text.bytes().all(|b| (b'0'..=b'7').contains(&b));
    i64::from_str_radix(text, 8).ok().filter(|mode| digits && *mode <= 0o7777)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notation() {
        let (source, file) = parse("a:/etc/x:0644:1000:100").unwrap();
        assert_eq!((source, file.target.as_str(), file.mode, file.owner), ("a", "/etc/x", 0o644, Some((1000, 100))));
        assert_eq!(parse("a:/x").unwrap().1.mode, 0);
        assert_eq!(parse("a:/x:0644:7").unwrap().1.owner, Some((7, 0)));
        for (bad, error) in [
            ("a:relative/path", "target must be an absolute path without \"..\", got \"relative/path\""),
            ("a:/../etc", "target must be an absolute path without \"..\", got \"/../etc\""),
            ("a:/x:999", "mode: not octal, got \"999\""),
            ("a:/x:0644:1:z", "gid: not a number, got \"z\""),
            ("a:/x:0644:-1", "uid: not a number, got \"-1\""),
            ("a:/x:0644:1:2:3", "expected SOURCE:TARGET[:MODE[:UID[:GID]]], got \"a:/x:0644:1:2:3\""),
            ("a", "expected SOURCE:TARGET[:MODE[:UID[:GID]]], got \"a\""),
            (":/x", "expected SOURCE:TARGET[:MODE[:UID[:GID]]], got \":/x\""),
        ] {
            assert_eq!(parse(bad).unwrap_err(), error);
        }
    }
}
