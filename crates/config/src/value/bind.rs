//! Where a server listens.

use crate::read::{At, Read};
use eru_types::name::excerpt;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

/// Where a server listens: `host:port`, `:port` for every address of the machine, or a bare port, which means the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BindAddress(pub SocketAddr);

impl BindAddress {
    /// Every address of the machine.
    pub const fn any(port: u16) -> Self {
        Self(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port))
    }

    /// This machine only.
    pub const fn loopback(port: u16) -> Self {
        Self(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port))
    }

    /// Whether only this machine can reach it.
    pub fn is_loopback(&self) -> bool {
        self.0.ip().is_loopback()
    }
}

impl FromStr for BindAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let error = || format!("must be host:port, :port or a port, the host an IP address, got \"{}\"", excerpt(text));
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(Self(address));
        }
        let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
        let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
        let port = port.parse().ok().filter(|_| digits).ok_or_else(error)?;
        match host {
            "" => Ok(Self::any(port)),
            "localhost" => Ok(Self::loopback(port)),
            _ => Err(error()),
        }
    }
}

impl fmt::Display for BindAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Read for BindAddress {
    fn read(at: At<'_>) -> Option<Self> {
        at.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notation() {
        for (text, want) in [
            ("127.0.0.1:5001", "127.0.0.1:5001"),
            (":5001", "0.0.0.0:5001"),
            ("5001", "0.0.0.0:5001"),
            ("[::1]:5001", "[::1]:5001"),
            ("localhost:0", "127.0.0.1:0"),
        ] {
            assert_eq!(text.parse::<BindAddress>().unwrap().to_string(), want);
        }
        for bad in ["", ":", "127.0.0.1", "h:1", ":99999", "-1", "http://h:1", "[::1", ":+1", "::1:"] {
            assert!(bad.parse::<BindAddress>().is_err(), "{bad:?}");
        }
    }
}
