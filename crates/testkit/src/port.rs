//! Ports that are free now, and stay so while nobody listens on them.

use anyhow::{Result, bail};
use std::{
    net::TcpListener,
    sync::atomic::{AtomicU16, Ordering::Relaxed},
};

/// Below what Linux gives to outgoing connections (32768 and up, `net.ipv4.ip_local_port_range`): a server that was
/// killed would not get a port of those back while one of the machine's connections uses it as its own.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// How many were tried in this process. Each process begins elsewhere.
static TRIED: AtomicU16 = AtomicU16::new(0);

/// A port that nobody listens on, on any address; no two calls of a process give the same one before 12 000 were tried.
/// Another process may take it before the caller does; a test that loses that race fails with the address in its message.
///
/// # Errors
/// When none is free.
pub fn free() -> Result<u16> {
    let begin = std::process::id().wrapping_mul(101) % u32::from(COUNT);
    for _ in 0..COUNT {
        let step = u32::from(TRIED.fetch_add(1, Relaxed) % COUNT);
        let offset = u16::try_from((begin + step) % u32::from(COUNT))?;
        if TcpListener::bind(("0.0.0.0", FIRST + offset)).is_ok() {
            return Ok(FIRST + offset);
        }
    }
    bail!("no port from {FIRST} to {} is free", FIRST + COUNT - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_are_the_same_and_none_is_of_outgoing_connections() {
        let ports: std::collections::BTreeSet<u16> = (0..200).map(|_| free().unwrap()).collect();
        assert_eq!(ports.len(), 200);
        assert!(ports.iter().all(|port| (FIRST..FIRST + COUNT).contains(port)), "{ports:?}");
    }
}
