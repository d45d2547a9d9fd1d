//! Ports that are free now.

use anyhow::Result;
use std::net::TcpListener;

/// A port of 127.0.0.1 that nobody listens on. Another process may take it before the caller does; a test that loses
/// that race fails with the address in its message.
///
/// # Errors
/// When the system gives none.
pub fn free() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
