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
    #[error("missing, give at least one host:port")]
    Missing,
    /// There are too many.
    #[error("at most {ADDRESSES_LEN_MAX} are possible, got {0}")]
    TooMany(usize),
    /// One of them is not an address.
    #[error("{fault}, got \"{}\"", excerpt(.text))]
    Malformed {
        /// The address.
        text: String,
        /// What is wrong with it.
        fault: Fault,
    },
}

/// What is wrong with an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A scheme that is neither `eru` nor `static`.
    #[error("unknown scheme, expected host:port, eru://host:port or static://host:port,host:port")]
    Scheme,
    /// A host alone.
    #[error("missing port, expected host:port")]
    NoPort,
    /// No host, or one that no machine can have.
    #[error("missing or malformed host, expected host:port")]
    Host,
    /// An IPv6 address that does not stand in brackets: where it ends and the port begins cannot be told.
    #[error("an IPv6 address needs brackets, as [::1]:5001")]
    BareIpv6,
    /// A bracket that is not closed.
    #[error("missing \"]\"")]
    OpenBracket,
    /// A port that is not a number, or no possible one.
    #[error("port must be 1-65535")]
    Port,
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
        match fault(text) {
            None => Ok(Self(text.into())),
            Some(fault) => Err(AddressError::Malformed { text: text.to_owned(), fault }),
        }
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

/// What keeps `text` from being a `host:port`.
fn fault(text: &str) -> Option<Fault> {
    let (host_ok, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let Some((host, rest)) = rest.split_once(']') else { return Some(Fault::OpenBracket) };
            (host.parse::<std::net::Ipv6Addr>().is_ok(), rest.strip_prefix(':'))
        }
        None => match text.rsplit_once(':') {
            Some((host, _)) if host.contains(':') => return Some(Fault::BareIpv6),
            Some((host, port)) => (is_host(host), Some(port)),
            None => (true, None),
        },
    };
    let Some(port) = port else { return Some(Fault::NoPort) };
    let port_ok = port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|p| p > 0);
    match (host_ok, port_ok) {
        (false, _) => Some(Fault::Host),
        (true, false) => Some(Fault::Port),
        (true, true) => None,
    }
}

fn is_host(host: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    (1..=HOST_BYTES_MAX).contains(&host.len()) && host.bytes().all(plain)
}

/// Reads every address of `texts`; doubles are dropped, the order is kept.
pub(crate) fn parse_all<S: AsRef<str>>(texts: &[S]) -> Result<Parsed, AddressError> {
    let mut parsed = Parsed::default();
    for text in texts {
        let text = text.as_ref().trim();
        let list = text.strip_prefix("static://").or_else(|| text.strip_prefix("eru://")).unwrap_or(text);
        if list.contains("://") {
            // Without what may be a login.
            let shown = list.rsplit_once('@').map_or(list, |(_, rest)| rest);
            return Err(AddressError::Malformed { text: shown.to_owned(), fault: Fault::Scheme });
        }
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
    fn malformed_ones_say_what_is_wrong() {
        for (bad, error) in [
            ("", "missing port, expected host:port, got \"\""),
            ("127.0.0.1", "missing port, expected host:port, got \"127.0.0.1\""),
            (":5001", "missing or malformed host, expected host:port, got \":5001\""),
            ("h/x:1", "missing or malformed host, expected host:port, got \"h/x:1\""),
            ("a b:1", "missing or malformed host, expected host:port, got \"a b:1\""),
            ("[x]:1", "missing or malformed host, expected host:port, got \"[x]:1\""),
            ("名:1", "missing or malformed host, expected host:port, got \"名:1\""),
            ("[::1", "missing \"]\", got \"[::1\""),
            ("::1", "an IPv6 address needs brackets, as [::1]:5001, got \"::1\""),
            ("h:", "port must be 1-65535, got \"h:\""),
            ("h:0", "port must be 1-65535, got \"h:0\""),
            ("h:65536", "port must be 1-65535, got \"h:65536\""),
            ("h:+1", "port must be 1-65535, got \"h:+1\""),
            ("static://a:1,b", "missing port, expected host:port, got \"b\""),
            ("a:1,", "missing port, expected host:port, got \"\""),
        ] {
            assert_eq!(read(&[bad]).unwrap_err(), error);
        }
        let error = read(&["http://a:1"]).unwrap_err();
        assert!(error.starts_with("unknown scheme") && error.ends_with("got \"http://a:1\""), "{error}");
        assert!(read(&[]).unwrap_err().contains("missing"));
        let many: Vec<String> = (1..=65).map(|p| format!("a:{p}")).collect();
        assert!(read(&[&many.join(",")]).unwrap_err().contains("at most 64"));
    }

    #[test]
    fn passwords_are_not_quoted() {
        for bad in ["eru://me:secret@h\n", "http://me:secret@h:1"] {
            let error = read(&[bad]).unwrap_err();
            assert!(error.contains("got \"h") && !error.contains("secret"), "{error}");
        }
    }
}
