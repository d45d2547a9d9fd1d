//! How a client behaves.

use std::time::Duration;

/// How a client connects and how long it waits.
#[derive(Clone)]
pub struct ClientOptions {
    /// User name; empty = no login, or the one that an address carries.
    pub username: String,
    /// Password.
    pub password: String,
    /// How long a connection may take to come up: a core in the same network answers within milliseconds, and a lost
    /// first packet is sent again after one second.
    pub connect_timeout: Duration,
    /// How long a call may take until its answer (of a stream, until it is open).
    pub deadline: Duration,
    /// Silence after which a connection is asked for a sign of life, and how long that may take.
    pub keepalive: Duration,
    /// Largest message that is accepted, in bytes.
    pub message_bytes_max: usize,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            username: String::new(),
            password: String::new(),
            connect_timeout: Duration::from_secs(2),
            deadline: Duration::from_secs(30),
            keepalive: Duration::from_secs(5),
            // A list of ten thousand nodes is about 10 MB.
            message_bytes_max: 64 * 1024 * 1024,
        }
    }
}

impl std::fmt::Debug for ClientOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientOptions")
            .field("username", &self.username)
            .field("password", &"***")
            .field("connect_timeout", &self.connect_timeout)
            .field("deadline", &self.deadline)
            .field("keepalive", &self.keepalive)
            .field("message_bytes_max", &self.message_bytes_max)
            .finish()
    }
}
