//! The health check of an entrypoint.

use serde::{Deserialize, Serialize};

/// How the health of a workload is probed. Both kinds are probed when both are given; with no port it is healthy while
/// it runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthCheck {
    /// Ports that must accept a connection.
    pub tcp_ports: Vec<u16>,
    /// The HTTP probe.
    pub http: Option<HttpCheck>,
}

/// One GET that must answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpCheck {
    /// The port.
    pub port: u16,
    /// Path and query; begins with `/`.
    pub path: String,
    /// The status code that means healthy; 0 takes 200 to 499.
    pub code: u16,
}

impl HealthCheck {
    /// Whether anything is probed at all.
    pub fn is_empty(&self) -> bool {
        self.tcp_ports.is_empty() && self.http.is_none()
    }
}
