//! What only an engine of containers understands.

use super::check_len;
use crate::cluster::{Error, Result};
use eru_api::pb;
use eru_runtime::Extras;
use eru_types::{name::excerpt, spec::is_namespaced_sysctl};
use std::{collections::BTreeMap, net::IpAddr};

/// Most name servers: resolvers use three of them.
const DNS_LEN_MAX: usize = 16;
/// Most lines for a hosts file.
const HOSTS_LEN_MAX: usize = 1000;
/// Longest name of a host, in bytes, as DNS has it.
const HOST_BYTES_MAX: usize = 253;
/// What stands for the address of the machine in Docker's hosts lines.
const HOST_GATEWAY: &str = "host-gateway";
/// Most kernel settings of one workload.
const SYSCTLS_LEN_MAX: usize = 128;
/// Most settings of a log driver.
const LOG_OPTIONS_LEN_MAX: usize = 64;
/// Longest name or value of a setting, in bytes.
const VALUE_BYTES_MAX: usize = 4096;
/// Largest options of the engine's own, in bytes.
const RAW_BYTES_MAX: usize = 64 * 1024;

pub(super) fn extras(options: &pb::DeployOptions, entrypoint: &pb::EntrypointOptions) -> Result<Extras> {
    let (log_driver, log_options) = match entrypoint.log.as_ref().filter(|log| !log.r#type.is_empty()) {
        Some(log) => self::log(log)?,
        None => Default::default(),
    };
    Ok(Extras {
        dns: dns(&options.dns)?,
        hosts: hosts(&options.extra_hosts)?,
        sysctls: sysctls(&entrypoint.sysctls)?,
        log_driver,
        log_options,
        raw: raw(&options.raw_args)?,
        terminal: options.open_stdin,
        pipe: false,
    })
}

fn dns(servers: &[String]) -> Result<Vec<String>> {
    if servers.len() > DNS_LEN_MAX {
        return Err(Error::Invalid(format!("dns: {} servers (at most {DNS_LEN_MAX})", servers.len())));
    }
    match servers.iter().find(|server| server.parse::<IpAddr>().is_err()) {
        Some(server) => Err(Error::Invalid(format!("dns: must be an IP address, got \"{}\"", excerpt(server)))),
        None => Ok(servers.to_vec()),
    }
}

fn hosts(hosts: &[String]) -> Result<Vec<String>> {
    check_len("extra_hosts", hosts.len())?;
    if hosts.len() > HOSTS_LEN_MAX {
        return Err(Error::Invalid(format!("extra_hosts: {} lines (at most {HOSTS_LEN_MAX})", hosts.len())));
    }
    let is_name = |name: &str| {
        (1..=HOST_BYTES_MAX).contains(&name.len())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
    };
    // An address may hold colons, a name may not.
    let is_line = |line: &str| {
        line.split_once(':').is_some_and(|(name, address)| {
            let bare = address.strip_prefix('[').and_then(|a| a.strip_suffix(']')).unwrap_or(address);
            is_name(name) && (address == HOST_GATEWAY || bare.parse::<IpAddr>().is_ok())
        })
    };
    match hosts.iter().find(|line| !is_line(line)) {
        Some(line) => Err(Error::Invalid(format!("extra_hosts: must be NAME:ADDRESS, got \"{}\"", excerpt(line)))),
        None => Ok(hosts.to_vec()),
    }
}

fn sysctls(settings: &BTreeMap<String, String>) -> Result<BTreeMap<String, String>> {
    values("entrypoint.sysctls", settings, SYSCTLS_LEN_MAX)?;
    match settings.keys().find(|name| !is_namespaced_sysctl(name)) {
        Some(name) => Err(Error::Invalid(format!(
            "entrypoint.sysctls: \"{}\" is not a setting that a workload can have of its own; those are net.*, \
             kernel.msg*, kernel.sem*, kernel.shm*, fs.mqueue.* and user.*",
            excerpt(name)
        ))),
        None => Ok(settings.clone()),
    }
}

fn log(log: &pb::LogOptions) -> Result<(String, BTreeMap<String, String>)> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | ':');
    if log.r#type.len() > HOST_BYTES_MAX || !log.r#type.chars().all(plain) {
        let text = format!("entrypoint.log.type must be the name of a log driver, got \"{}\"", excerpt(&log.r#type));
        return Err(Error::Invalid(text));
    }
    values("entrypoint.log.config", &log.config, LOG_OPTIONS_LEN_MAX)?;
    Ok((log.r#type.clone(), log.config.clone()))
}

fn values(field: &str, map: &BTreeMap<String, String>, len_max: usize) -> Result<()> {
    if map.len() > len_max {
        return Err(Error::Invalid(format!("{field}: {} settings (at most {len_max})", map.len())));
    }
    for (name, value) in map {
        if name.is_empty() || [name, value].iter().any(|t| t.len() > VALUE_BYTES_MAX || t.contains('\0')) {
            return Err(Error::Invalid(format!(
                "{field}: names are not empty, names and values at most {VALUE_BYTES_MAX} bytes without NUL, got \"{}\" with \
                 {} bytes",
                excerpt(name),
                value.len()
            )));
        }
    }
    Ok(())
}

/// JSON of the engine's own options: an object, or nothing. What is in it is the engine's business.
fn raw(raw: &[u8]) -> Result<String> {
    if raw.is_empty() {
        return Ok(String::new());
    }
    if raw.len() > RAW_BYTES_MAX {
        return Err(Error::Invalid(format!("raw_args: {} bytes (at most {RAW_BYTES_MAX})", raw.len())));
    }
    match serde_json::from_slice(raw) {
        Ok(serde_json::Value::Object(_)) => Ok(String::from_utf8_lossy(raw).into_owned()),
        Ok(serde_json::Value::Null) => Ok(String::new()),
        Ok(_) => Err(Error::Invalid("raw_args must be a JSON object such as {\"cap_add\": [\"NET_ADMIN\"]}".into())),
        Err(error) => Err(Error::Invalid(format!("raw_args is not JSON: {error}"))),
    }
}
