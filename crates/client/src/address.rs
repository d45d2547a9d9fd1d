//! Where a core is reached.

use eru_types::name::excerpt;
use std::{fmt, sync::Arc};

/// Most addresses of one client: far more cores than a cluster has, and a bound on what a list can open.
pub const ADDRESSES_LEN_MAX: usize = 64;
/// Longest host name, in bytes, as the DNS allows it.
const HOST_BYTES_MAX: usize = 253;

/// Why an address was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// There is none.
    #[error("address of core is missing: give at least one host:port")]
    Missing,
    /// There are too many.
    #[error("at most {ADDRESSES_LEN_MAX} addresses of cores, got {0}")]
    TooMany(usize),
    /// One of them is not an address.
    #[error(
        "address of core must be host:port, eru://host:port or static://host:port,host:port, got \"{}\"",
        excerpt(.0)
    )]
    Malformed(String),
}

/// `host:port` of a core.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(Arc<str>);

/// Addresses, with the user and password that stand in front of one (`eru://user:password@host:port`).
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Parsed {
    pub(crate) addresses: Vec<Address>,
    pub(crate) login: Option<(String, String)>,
}

impl Address {
    /// Reads `host:port`; an IPv6 address stands in brackets.
    ///
    /// # Errors
    /// [`AddressError::Malformed`].
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let ok = text.rsplit_once(':').is_some_and(|(host, port)| {
            let port_ok = port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|p| p > 0);
            let host_ok = match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
                Some(inner) => inner.parse::<std::net::Ipv6Addr>().is_ok(),
                None => {
                    (1..=HOST_BYTES_MAX).contains(&host.len())
                        && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
                }
            };
            port_ok && host_ok
        });
        if ok { Ok(Self(text.into())) } else { Err(AddressError::Malformed(text.to_owned())) }
    }

    /// `host:port`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reads every address of `texts`; doubles are dropped, the order is kept.
pub(crate) fn parse_all<S: AsRef<str>>(texts: &[S]) -> Result<Parsed, AddressError> {
    let mut parsed = Parsed::default();
    for text in texts {
        let text = text.as_ref().trim();
        let list = text.strip_prefix("static://").or_else(|| text.strip_prefix("eru://")).unwrap_or(text);
        let (login, list) = list.rsplit_once('@').map_or((None, list), |(login, list)| (Some(login), list));
        if let Some((user, password)) = login.and_then(|l| l.split_once(':')) {
            parsed.login = Some((user.to_owned(), password.to_owned()));
        }
        for item in list.trim_end_matches('/').split(',') {
            // The error must not show the password, so it quotes the part behind it.
            let address = Address::parse(item.trim())?;
            if !parsed.addresses.contains(&address) {
                parsed.addresses.push(address);
            }
        }
    }
    match parsed.addresses.len() {
        0 => Err(AddressError::Missing),
        1..=ADDRESSES_LEN_MAX => Ok(parsed),
        n => Err(AddressError::TooMany(n)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(texts: &[&str]) -> Result<Vec<String>, String> {
        parse_all(texts).map(|p| p.addresses.iter().map(|a| a.to_string()).collect()).map_err(|e| e.to_string())
    }

    #[test]
    fn every_spelling_is_read() {
        assert_eq!(read(&["127.0.0.1:5001"]).unwrap(), ["127.0.0.1:5001"]);
        assert_eq!(read(&["eru://core.example:5001/"]).unwrap(), ["core.example:5001"]);
        assert_eq!(read(&["static://a:1, b:2", "a:1", "[::1]:3"]).unwrap(), ["a:1", "b:2", "[::1]:3"]);
        let parsed = parse_all(&["eru://me:se@cret@h:1"]).unwrap();
        assert_eq!(parsed.login, Some(("me".into(), "se@cret".into())));
    }

    #[test]
    fn malformed_ones_are_quoted_and_passwords_are_not() {
        for bad in
            ["", "a", "a:", ":1", "a:0", "a:65536", "a:+1", "a b:1", "http://a:1", "a:1,", "[x]:1", "a/b:1", "名:1"]
        {
            assert!(read(&[bad]).is_err(), "{bad:?}");
        }
        let error = read(&["eru://me:secret@h\n"]).unwrap_err();
        assert!(error.ends_with("got \"h\"") && !error.contains("secret"), "{error}");
        assert!(read(&[]).unwrap_err().contains("missing"));
        let many: Vec<String> = (1..=65).map(|p| format!("a:{p}")).collect();
        assert!(parse_all(&many).is_err());
    }
}
