//! A table on standard output, in Markdown, so that it can be pasted into README.

use anyhow::Result;
use eru_testkit::disk;

/// Rows of (what, target, measured).
pub struct Table(Vec<[String; 3]>);

impl Table {
    /// A table with a title.
    pub fn new(title: &str) -> Self {
        println!("\n### {title}\n");
        Self(vec![["what".into(), "to reach".into(), "measured".into()]])
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

    /// What this disk costs, beside which every store figure stands.
    ///
    /// # Errors
    /// Of the file system.
    pub fn disk() -> Result<()> {
        let folder = tempfile::tempdir()?;
        println!("fdatasync of this disk, 4 KiB appended, 500 rounds: {}", disk::fdatasync(folder.path(), 500)?);
        Ok(())
    }
}
