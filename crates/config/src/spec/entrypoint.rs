//! One entrypoint.

use crate::core::read::sub;
use crate::read::{At, Read, Section};
use crate::yaml::Value;
use eru_types::HealthCheck;
use eru_types::health::HttpCheck;
use eru_types::spec::{
    Entrypoint, HEALTH_PORTS_LEN_MAX, HOOK_COMMAND_BYTES_MAX, HOOK_COMMANDS_LEN_MAX, Hook, LogDriver, PublishPort,
    RestartPolicy, is_namespaced_sysctl, split_command,
};
use std::collections::BTreeMap;

pub(super) fn read(at: At<'_>) -> Option<Entrypoint> {
    let mut s = at.section()?;
    let entrypoint = Entrypoint {
        command: command(&mut s),
        privileged: s.or("privileged", false),
        dir: s.with("dir", dir).unwrap_or_default(),
        log: s.with("log", log),
        publish: s.with("publish", |at| at.one_or_more(|at| at.parse::<PublishPort>())).unwrap_or_default(),
        healthcheck: s.with("healthcheck", healthcheck),
        hook: sub(&mut s, "hook", hook),
        restart: s.with("restart", restart),
        sysctls: s.with("sysctls", sysctls).unwrap_or_default(),
    };
    // A key of old specs that means nothing to anyone.
    s.know(&["log_config"]);
    s.end();
    Some(entrypoint)
}

fn command(s: &mut Section<'_>) -> Vec<String> {
    if s.has("cmd") && s.has("commands") {
        s.error("cmd", "give one of cmd, commands");
    }
    let commands = s.with("commands", |at| at.items(String::read)).unwrap_or_default();
    let cmd = s.with("cmd", |at| {
        let line = String::read(at)?;
        split_command(&line).map_or_else(|error| at.refuse(error.to_string()), Some)
    });
    cmd.unwrap_or(commands)
}

/// An empty text is what many old specs have for "none given".
fn restart(at: At<'_>) -> Option<RestartPolicy> {
    if at.text()?.is_empty() { None } else { at.parse() }
}

fn dir(at: At<'_>) -> Option<String> {
    let text = String::read(at)?;
    if text.is_empty() || text.starts_with('/') { Some(text) } else { at.refuse_kind("an absolute path") }
}

fn log(at: At<'_>) -> Option<LogDriver> {
    let mut s = at.section()?;
    let driver = LogDriver { driver: s.or("type", String::new()), config: s.or("config", BTreeMap::new()) };
    s.end();
    Some(driver)
}

fn healthcheck(at: At<'_>) -> Option<HealthCheck> {
    let mut s = at.section()?;
    let tcp_ports = s.with("tcp_ports", |at| {
        let ports = at.one_or_more(port)?;
        if ports.len() > HEALTH_PORTS_LEN_MAX {
            return at.refuse(format!("at most {HEALTH_PORTS_LEN_MAX} ports, got {}", ports.len()));
        }
        Some(ports)
    });
    let http_port = s.with("http_port", |at| if at.text()?.is_empty() { None } else { port(at) });
    let url = s.with("url", url).unwrap_or_default();
    let code = s.with("code", code).unwrap_or(0);
    if !s.has("http_port") && !url.is_empty() {
        s.error("url", "needs http_port");
    }
    s.end();
    let path = if url.is_empty() { "/".to_owned() } else { url };
    let http = http_port.map(|port| HttpCheck { port, path, code });
    Some(HealthCheck { tcp_ports: tcp_ports.unwrap_or_default(), http })
}

fn port(at: At<'_>) -> Option<u16> {
    let text = at.text()?;
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    match text.parse() {
        Ok(port @ 1..) if digits => Some(port),
        _ => at.refuse_kind("a port number, 1 to 65535"),
    }
}

fn url(at: At<'_>) -> Option<String> {
    let text = at.text()?;
    if text.chars().any(|c| c.is_control() || c == ' ') {
        return at.refuse_kind("a path without blanks");
    }
    // The original joins it to the port as it is, which cannot be meant.
    Some(if text.is_empty() || text.starts_with('/') { text.to_owned() } else { format!("/{text}") })
}

fn code(at: At<'_>) -> Option<u16> {
    let number = match &at.node.value {
        Value::Text(text) => text.parse::<u16>().ok(),
        _ => None,
    };
    match number {
        Some(code @ (0 | 100..=599)) => Some(code),
        _ => at.refuse_kind("0 or 100-599"),
    }
}

fn hook(s: &mut Section<'_>) -> Hook {
    Hook {
        after_start: s.with("after_start", hook_commands).unwrap_or_default(),
        before_stop: s.with("before_stop", hook_commands).unwrap_or_default(),
        force: s.or("force", false),
    }
}

fn hook_commands(at: At<'_>) -> Option<Vec<String>> {
    let commands = at.one_or_more(String::read)?;
    let long = commands.iter().any(|command| command.len() > HOOK_COMMAND_BYTES_MAX);
    if commands.len() > HOOK_COMMANDS_LEN_MAX || long {
        return at.refuse(format!("at most {HOOK_COMMANDS_LEN_MAX} commands of {HOOK_COMMAND_BYTES_MAX} bytes"));
    }
    for (index, command) in commands.iter().enumerate() {
        if let Err(error) = split_command(command) {
            return at.refuse(format!("command {index}: {error}"));
        }
    }
    Some(commands)
}

fn sysctls(at: At<'_>) -> Option<BTreeMap<String, String>> {
    let pairs = at.pairs(|entry, value| {
        if !is_namespaced_sysctl(&entry.key) {
            let name = eru_types::name::excerpt(&entry.key);
            return at.refuse_at(&entry.origin, format!("\"{name}\" is not namespaced"));
        }
        match &value.node.value {
            Value::Text(text) => Some(text.clone()),
            _ => value.refuse("value must be text or number"),
        }
    })?;
    Some(pairs.into_iter().collect())
}
