//! A table on standard output, in Markdown, so that it can be pasted into README.

use anyhow::Result;
use eru_testkit::disk;

/// Syncs that a disk figure is taken from.
const ROUNDS: usize = 300;

/// Rows of (what, target, measured).
pub struct Table(Vec<[String; 3]>);

impl Table {
    /// A table with a title, and under it what this disk costs right now: every store figure stands beside it.
    ///
    /// # Errors
    /// Of the file system.
    pub fn new(title: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        println!(
            "\n### {title}\n\nfdatasync of this disk, 4 KiB appended: {}\n",
            disk::fdatasync(folder.path(), ROUNDS)?
        );
        Ok(Self(vec![["what".into(), "to reach".into(), "measured".into()]]))
    }

    /// One row; shown on standard error at once, as progress.
    pub fn row(&mut self, what: impl Into<String>, target: impl Into<String>, measured: impl Into<String>) {
        let row = [what.into(), target.into(), measured.into()];
        eprintln!("   {} : {}", row[0], row[2]);
        self.0.push(row);
    }

    /// Prints it.
    pub fn print(self) {
        for (index, row) in self.0.iter().enumerate() {
            println!("| {} | {} | {} |", row[0], row[1], row[2]);
            if index == 0 {
                println!("| --- | --- | --- |");
            }
        }
    }
}
