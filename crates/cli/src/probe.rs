//! What stands at an address where a call failed.

use eru_client::Address;
use std::io::{Error, ErrorKind, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

/// How long the peer may take to show what it is.
const PROBE_TIMEOUT: Duration = Duration::from_millis(500);
/// What an HTTP/2 client says first.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";

/// Why nobody of ours answers at `address`, in words. Nothing when it looks like a server of ours.
pub(crate) fn probe(address: &Address) -> Option<String> {
    let Some(address) = address.as_str().to_socket_addrs().ok().and_then(|mut list| list.next()) else {
        return Some("no such host".into());
    };
    let mut stream = match TcpStream::connect_timeout(&address, PROBE_TIMEOUT) {
        Ok(stream) => stream,
        Err(error) => return Some(connect_reason(&error)),
    };
    stream.set_read_timeout(Some(PROBE_TIMEOUT)).ok()?;
    stream.set_write_timeout(Some(PROBE_TIMEOUT)).ok()?;
    stream.write_all(PREFACE).ok()?;
    let mut answer = [0; 9];
    match stream.read(&mut answer) {
        // A TLS alert or a TLS record of any other kind.
        Ok(n) if n >= 2 && matches!(answer[0], 0x14..=0x17) && answer[1] == 3 => Some("peer expects TLS".into()),
        // The first frame of an HTTP/2 server is SETTINGS.
        Ok(9) if answer[3] == 4 => None,
        _ => Some("the peer does not speak gRPC".into()),
    }
}

fn connect_reason(error: &Error) -> String {
    match error.kind() {
        ErrorKind::ConnectionRefused => "connection refused".into(),
        ErrorKind::TimedOut => "no answer".into(),
        ErrorKind::HostUnreachable => "host unreachable".into(),
        ErrorKind::NetworkUnreachable => "network unreachable".into(),
        _ => error.to_string(),
    }
}
