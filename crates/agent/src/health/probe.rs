//! One round of a health check: every port must answer.

use super::{http, tcp};
use eru_types::HealthCheck;
use futures::future::try_join_all;
use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

/// Asks everything that `check` names at `address`, all at once.
///
/// # Errors
/// One line that says what did not answer, and how.
pub async fn probe(address: IpAddr, check: &HealthCheck, deadline: Duration) -> Result<(), String> {
    let tcp = try_join_all(check.tcp_ports.iter().map(|port| async move {
        let target = SocketAddr::new(address, *port);
        within(deadline, tcp::connect(target)).await.map_err(|e| format!("tcp {target}: {e}"))
    }));
    let http = async {
        let Some(http) = &check.http else { return Ok(()) };
        let target = SocketAddr::new(address, http.port);
        let outcome = within(deadline, http::get(target, &http.path, http.code)).await;
        outcome.map_err(|e| format!("http {target}{}: {e}", eru_types::name::excerpt(&http.path)))
    };
    tokio::try_join!(http, tcp).map(|_| ())
}

async fn within(deadline: Duration, probe: impl Future<Output = Result<(), String>>) -> Result<(), String> {
    let outcome = tokio::time::timeout(deadline, probe).await;
    outcome.unwrap_or_else(|_| Err(format!("no answer within {} ms", deadline.as_millis())))
}

/// An error of the system in its own words, without the number.
pub(crate) fn in_words(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}
