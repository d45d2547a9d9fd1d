//! A daemon under test: started, killed, started again, with everything it printed kept.

use anyhow::{Context, Result, ensure};
use std::{
    fs::OpenOptions,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// A program and its arguments, running or not. Dropping it ends it with SIGKILL.
pub struct Daemon {
    program: PathBuf,
    args: Vec<String>,
    log: PathBuf,
    child: Option<Child>,
}

impl Daemon {
    /// Starts it; its output goes to `log`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start<S: Into<String>>(program: &Path, args: impl IntoIterator<Item = S>, log: PathBuf) -> Result<Self> {
        let args = args.into_iter().map(Into::into).collect();
        let mut daemon = Self { program: program.to_owned(), args, log, child: None };
        daemon.again()?;
        Ok(daemon)
    }

    /// Starts it again as before.
    ///
    /// # Errors
    /// When it still runs, or cannot be started.
    pub fn again(&mut self) -> Result<()> {
        ensure!(self.child.is_none(), "{} still runs", self.program.display());
        let log = OpenOptions::new().create(true).append(true).open(&self.log)?;
        let child = Command::new(&self.program)
            .args(&self.args)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {}", self.program.display()))?;
        self.child = Some(child);
        Ok(())
    }

    /// Its process id.
    ///
    /// # Panics
    /// When it does not run.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("the daemon runs").id()
    }

    /// Fails with what it printed when it has ended by itself.
    ///
    /// # Errors
    /// When it has ended.
    pub fn still_runs(&mut self) -> Result<()> {
        let child = self.child.as_mut().context("it was not started")?;
        if let Some(status) = child.try_wait()? {
            self.child = None;
            anyhow::bail!("{} ended with {status}:\n{}", self.program.display(), self.log());
        }
        Ok(())
    }

    /// Ends it with SIGKILL.
    ///
    /// # Errors
    /// When it does not run.
    pub fn kill9(&mut self) -> Result<()> {
        let mut child = self.child.take().context("it does not run")?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Everything that it printed.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
