//! A port that accepts a connection.

use super::probe::in_words;
use std::net::SocketAddr;
use tokio::net::TcpStream;

/// Connects, and lets go again.
pub(super) async fn connect(target: SocketAddr) -> Result<(), String> {
    TcpStream::connect(target).await.map(drop).map_err(|e| in_words(&e))
}
