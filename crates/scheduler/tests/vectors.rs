//! Runs the vectors: every file of `vectors/`, and of the folder that `ERU_VECTORS` names. `vectors/README.md` has the format.

#![allow(clippy::unwrap_used)]

#[path = "vectors/form.rs"]
mod form;
#[path = "vectors/judge.rs"]
mod judge;
mod support;

use std::{env, fs, path::Path};

/// Each row's complaint, as `file:line (id): what`.
fn run(folder: &Path) -> (usize, Vec<String>) {
    let listing = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = listing.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect();
    files.sort();
    let (mut rows, mut wrong) = (0, Vec::new());
    for file in files {
        if file.file_name().is_some_and(|name| name == "README.md") {
            continue;
        }
        if file.extension().is_none_or(|extension| extension != "jsonl") {
            wrong.push(format!("{}: a file of vectors ends with .jsonl", file.display()));
            continue;
        }
        let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        for (number, line) in text.lines().enumerate().map(|(i, line)| (i + 1, line.trim())) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            rows += 1;
            let (id, outcome) = judge::row(line);
            if let Err(what) = outcome {
                wrong.push(format!("{}:{number} ({id}): {what}", file.display()));
            }
        }
    }
    (rows, wrong)
}

#[test]
fn every_row_holds() {
    let (rows, wrong) = run(&Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors"));
    assert!(wrong.is_empty(), "{} of {rows} rows do not hold:\n{}", wrong.len(), wrong.join("\n"));
    assert!(rows >= 90, "only {rows} rows were found");
    if let Some(folder) = env::var_os("ERU_VECTORS").filter(|folder| !folder.is_empty()) {
        let (rows, wrong) = run(Path::new(&folder));
        assert!(wrong.is_empty(), "{} of {rows} rows do not hold:\n{}", wrong.len(), wrong.join("\n"));
        assert!(rows > 0, "ERU_VECTORS: no rows in {}", Path::new(&folder).display());
        println!("{rows} rows of ERU_VECTORS hold");
    }
}

#[test]
fn what_is_wrong_is_told_by_row() {
    for (row, part) in [
        ("{", "EOF"),
        (r#"{"id":"x"}"#, "check"),
        (r#"{"id":"x","check":"dance"}"#, "dance"),
        (r#"{"id":"x","check":"volume","volume":"/a:/b","expekt":{}}"#, "expekt"),
        (r#"{"id":"x","check":"volume","volume":"/a:/b","expect":{"is":"/a:/c"}}"#, "/a:/c"),
        (r#"{"id":"x","check":"strategy","strategy":"AUTO","capacities":[1],"need":1,"expect":{"added":[0]}}"#, "[1]"),
        (r#"{"id":"x","check":"strategy","strategy":"AUTO","capacities":[1],"need":1,"expect":{}}"#, "expects nothing"),
        (r#"{"check":"volume","volume":"/a:/b","expect":{"is":"/a:/b"}}"#, "id"),
    ] {
        let what = judge::row(row).1.unwrap_err();
        assert!(what.contains(part), "{row}: {what}");
    }
}
