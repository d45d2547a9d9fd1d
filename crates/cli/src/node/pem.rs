//! Certificates and keys, from files.

use crate::error::CliError;
use crate::log::Log;
use std::path::{Path, PathBuf};

/// Where Docker's certificates usually are. Only taken for an endpoint of Docker over TCP, and said then.
const DEFAULT_DIR: &str = "/etc/docker/tls";

/// Where the certificates of an engine are.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Files {
    /// Certificate authority of the engine, PEM
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Certificate for the engine, PEM
    #[arg(long, value_name = "FILE")]
    cert: Option<PathBuf>,
    /// Private key for the engine, PEM
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
}

/// What was in them; empty without a file.
#[derive(Debug, Default)]
pub(super) struct Pems {
    pub ca: String,
    pub cert: String,
    pub key: String,
}

impl Files {
    /// Reads the files that were named.
    pub fn read(&self) -> Result<Pems, CliError> {
        let given = [&self.ca, &self.cert, &self.key].iter().filter(|file| file.is_some()).count();
        if given != 0 && given != 3 {
            return Err(CliError::Usage("give all of --ca, --cert and --key, or none".into()));
        }
        Ok(Pems {
            ca: read("--ca", self.ca.as_deref())?,
            cert: read("--cert", self.cert.as_deref())?,
            key: read("--key", self.key.as_deref())?,
        })
    }

    /// As [`Files::read`], or else this machine's own files, if all are there.
    pub fn read_or_default(&self, log: &Log) -> Result<Pems, CliError> {
        let named = self.read()?;
        let file = |name: &str| Path::new(DEFAULT_DIR).join(name);
        let own = Files { ca: Some(file("ca.crt")), cert: Some(file("client.crt")), key: Some(file("client.key")) };
        let there = [&own.ca, &own.cert, &own.key].iter().all(|file| file.as_ref().is_some_and(|file| file.exists()));
        if !named.ca.is_empty() || !there {
            return Ok(named);
        }
        log.info(format!(
            "[AddNode] taking the certificates of {DEFAULT_DIR}; name others with --ca, --cert and --key"
        ));
        own.read()
    }
}

fn read(option: &str, file: Option<&Path>) -> Result<String, CliError> {
    let Some(file) = file else { return Ok(String::new()) };
    let name = file.display();
    let text = eru_config::layer::read_file(file)
        .map_err(|reason| CliError::Usage(format!("{option}: cannot read \"{name}\": {reason}")))?;
    if !text.contains("-----BEGIN ") {
        return Err(CliError::Usage(format!("{option}: \"{name}\" is not PEM")));
    }
    Ok(text)
}
