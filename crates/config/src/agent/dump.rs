//! [`AgentConfig`] as text.

use super::{AgentConfig, LogForward};
use crate::GoDuration;
use std::fmt::{Display, Write};

impl AgentConfig {
    /// The configuration as the file would have it, for a log at the start. Secrets read `***`.
    pub fn dump(&self) -> String {
        let mut text = String::with_capacity(1024);
        let mut line = |key: &str, value: &dyn Display| {
            let _ = writeln!(text, "{key}: {value}");
        };
        line("log_level", &self.log_level);
        line("pid", &plain(&self.pid.to_string_lossy()));
        line("core", &list(&self.core));
        line("hostname", &plain(self.hostname.as_deref().unwrap_or_default()));
        line("heartbeat_interval", &GoDuration(self.heartbeat_interval));
        line("check_only_mine", &self.check_only_mine);
        line("store", &self.store);
        line("runtime", &self.runtime);
        line("auth", &format!("{{username: {}, password: {}}}", plain(&self.auth_username), self.auth_password));
        line("docker", &format!("{{endpoint: {}}}", plain(&self.docker_endpoint)));
        let skipped = list(&self.yavirt_skip_guest_report_regexps);
        let step = GoDuration(self.metrics_step);
        let yavirt = format!("{{endpoint: {}, skip_guest_report_regexps: {skipped}}}", plain(&self.yavirt_endpoint));
        line("yavirt", &yavirt);
        let transfers = list(&self.metrics_transfers);
        line("metrics", &format!("{{step: {step}, transfers: {transfers}}}"));
        let address = self.api_addr.map(|address| address.to_string()).unwrap_or_default();
        line("api", &format!("{{addr: {}}}", plain(&address)));
        let forwards: Vec<String> = self.log_forwards.iter().map(LogForward::to_string).collect();
        line("log", &format!("{{forwards: {}, stdout: {}}}", list(&forwards), self.log_stdout));
        let check = &self.healthcheck;
        let [interval, timeout, status_ttl, cache_ttl] =
            [check.interval, check.timeout, check.status_ttl, check.cache_ttl].map(GoDuration);
        let check = format!("interval: {interval}, timeout: {timeout}, status_ttl: {status_ttl}");
        line("healthcheck", &format!("{{{check}, cache_ttl: {cache_ttl}}}"));
        line("global_connection_timeout", &GoDuration(self.global_connection_timeout));
        text
    }
}

impl Display for LogForward {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Discard => f.write_str("__discard__"),
            Self::Journal => f.write_str("journal://"),
            Self::Tcp(address) => write!(f, "tcp://{address}"),
            Self::Udp(address) => write!(f, "udp://{address}"),
        }
    }
}

fn list(items: &[String]) -> String {
    format!("[{}]", items.iter().map(|item| plain(item)).collect::<Vec<_>>().join(", "))
}

/// A text that YAML reads as itself; in quotes where it would not be.
fn plain(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_./:-".contains(c);
    let begins_well = text.starts_with(|c: char| c.is_ascii_alphanumeric() || "_/".contains(c));
    if begins_well && text.chars().all(is_plain) { text.to_owned() } else { format!("{text:?}") }
}
