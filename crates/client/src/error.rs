//! Why a call failed, in words for people.

use crate::{Address, AddressError, CredentialsError};
use std::{error::Error as StdError, fmt, io, time::Duration};
use tonic::{Code, Status};

/// Why a client could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// An address is wrong.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The login is wrong.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No core could be connected to: nothing was sent.
    #[error("cannot reach core {}", Tried(.tried))]
    Unreachable {
        /// Every core that was tried, and why it could not be reached.
        tried: Vec<(Address, String)>,
    },
    /// The connection broke while the call was under way: whether it was carried out is unknown.
    #[error("connection to core {address} broke: {cause}")]
    Broken {
        /// The core.
        address: Address,
        /// What went wrong.
        cause: String,
    },
    /// The core did not answer in time: whether the call was carried out is unknown.
    #[error("core {address} did not answer within {} ms", .after.as_millis())]
    Timeout {
        /// The core.
        address: Address,
        /// The deadline.
        after: Duration,
    },
    /// The core answered with an error; the text is its own.
    #[error("{}", answer(.0))]
    Answered(Box<Status>),
}

impl Error {
    /// What the outcome `status` of a call to `address` means.
    pub fn from_status(address: &Address, status: Status) -> Self {
        match Failure::of(&status) {
            Failure::Connect(cause) => Self::Unreachable { tried: vec![(address.clone(), cause)] },
            Failure::Broken(cause) => Self::Broken { address: address.clone(), cause },
            Failure::Answered => Self::Answered(Box::new(status)),
        }
    }

    /// The gRPC code that fits.
    pub fn code(&self) -> Code {
        match self {
            Self::Unreachable { .. } | Self::Broken { .. } => Code::Unavailable,
            Self::Timeout { .. } => Code::DeadlineExceeded,
            Self::Answered(status) => status.code(),
        }
    }

    /// Whether no core was able to answer, so that the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        matches!(self.code(), Code::Unavailable | Code::DeadlineExceeded)
    }
}

/// How a call failed, as far as a retry is concerned.
pub(crate) enum Failure {
    /// No connection came up, so the call never left.
    Connect(String),
    /// The connection broke under the call.
    Broken(String),
    /// The server answered.
    Answered,
}

impl Failure {
    pub(crate) fn of(status: &Status) -> Self {
        // Only failures of our own side carry a source; what a server answers comes as numbers and text.
        let Some(source) = status.source() else { return Self::Answered };
        let is_connect = chain(source).any(|e| e.is::<tonic::ConnectError>());
        let cause = cause(source);
        if is_connect { Self::Connect(cause) } else { Self::Broken(cause) }
    }
}

fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |e: &&'a (dyn StdError + 'static)| (*e).source())
}

/// The innermost cause in the words of the system, without its error number.
fn cause(error: &(dyn StdError + 'static)) -> String {
    let io = chain(error).filter_map(|e| e.downcast_ref::<io::Error>()).last();
    match io.map(io::Error::kind) {
        Some(io::ErrorKind::ConnectionRefused) => "connection refused".into(),
        Some(io::ErrorKind::TimedOut) => "timed out".into(),
        Some(io::ErrorKind::ConnectionReset) => "connection reset".into(),
        _ => {
            let text = chain(error).last().unwrap_or(error).to_string();
            text.split(" (os error").next().unwrap_or_default().to_lowercase()
        }
    }
}

fn answer(status: &Status) -> String {
    if status.message().is_empty() { status.code().description().to_lowercase() } else { status.message().to_owned() }
}

struct Tried<'a>(&'a [(Address, String)]);

impl fmt::Display for Tried<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (address, cause)) in self.0.iter().enumerate() {
            write!(f, "{}{address}: {cause}", if i == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}
