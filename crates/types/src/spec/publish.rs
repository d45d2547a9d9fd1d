//! Published ports.

use crate::name::excerpt;
use std::fmt;
use std::str::FromStr;

/// A port that others may reach, `80`, `80/tcp` or `53/udp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PublishPort {
    /// The port.
    pub port: u16,
    /// The protocol, if it was named; TCP otherwise.
    pub protocol: Option<Protocol>,
}

/// The protocol of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// Why a port was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// Not a port number.
    #[error("port must be 1-65535, got {}", bare(.0))]
    Port(String),
    /// Not a protocol.
    #[error("protocol must be tcp or udp, got \"{}\"", excerpt(.0))]
    Protocol(String),
}

/// A number as it is, everything else quoted.
fn bare(text: &str) -> String {
    let number =
        !text.is_empty() && text.len() < 20 && text.trim_start_matches('-').bytes().all(|b| b.is_ascii_digit());
    if number { text.to_owned() } else { format!("\"{}\"", excerpt(text)) }
}

impl FromStr for PublishPort {
    type Err = PublishError;

    fn from_str(text: &str) -> Result<Self, PublishError> {
        let (port, protocol) = match text.split_once('/') {
            Some((port, "tcp")) => (port, Some(Protocol::Tcp)),
            Some((port, "udp")) => (port, Some(Protocol::Udp)),
            Some((_, other)) => return Err(PublishError::Protocol(other.to_owned())),
            None => (text, None),
        };
        let digits = port.bytes().all(|b| b.is_ascii_digit());
        match port.parse() {
            Ok(port @ 1..) if digits => Ok(Self { port, protocol }),
            _ => Err(PublishError::Port(text.to_owned())),
        }
    }
}

impl fmt::Display for PublishPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.protocol {
            None => self.port.fmt(f),
            Some(Protocol::Tcp) => write!(f, "{}/tcp", self.port),
            Some(Protocol::Udp) => write!(f, "{}/udp", self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notation() {
        for ok in ["80", "65535", "80/tcp", "53/udp"] {
            assert_eq!(ok.parse::<PublishPort>().unwrap().to_string(), ok);
        }
        for (bad, error) in [
            ("0", "port must be 1-65535, got 0"),
            ("70000", "port must be 1-65535, got 70000"),
            ("-1", "port must be 1-65535, got -1"),
            ("80-70", "port must be 1-65535, got \"80-70\""),
            ("+80", "port must be 1-65535, got \"+80\""),
            ("", "port must be 1-65535, got \"\""),
            ("8080/sctpx", "protocol must be tcp or udp, got \"sctpx\""),
        ] {
            assert_eq!(bad.parse::<PublishPort>().unwrap_err().to_string(), error);
        }
    }
}
