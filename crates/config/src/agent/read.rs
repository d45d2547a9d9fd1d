//! Tree to [`AgentConfig`].

use super::{AgentConfig, HealthCheckConfig};
use crate::core::read::{at_least, number, one_of, positive, sub};
use crate::layer::Plan;
use crate::read::{At, Read, Section};
use crate::value::{ListOrScalar, Secret, fold_duplicates};
use eru_types::NodeName;
use std::time::Duration;

pub(super) const PLAN: Plan<AgentConfig> = Plan { prefix: "ERU_AGENT_", keys: KEYS, aliases: ALIASES, read };

const KEYS: &[&str] = &[
    "log_level",
    "pid",
    "core",
    "hostname",
    "heartbeat_interval",
    "check_only_mine",
    "store",
    "runtime",
    "auth.username",
    "auth.password",
    "docker.endpoint",
    "yavirt.endpoint",
    "yavirt.skip_guest_report_regexps",
    "metrics.step",
    "metrics.transfers",
    "api.addr",
    "log.forwards",
    "log.stdout",
    "healthcheck.interval",
    "healthcheck.timeout",
    "healthcheck.status_ttl",
    "healthcheck.cache_ttl",
    "global_connection_timeout",
];

/// The original's names of variables.
const ALIASES: &[(&str, &str)] = &[
    ("ERU_AGENT_CORE_ENDPOINT", "core"),
    ("ERU_AGENT_CORE_USERNAME", "auth.username"),
    ("ERU_AGENT_CORE_PASSWORD", "auth.password"),
    ("ERU_AGENT_PIDFILE", "pid"),
    ("ERU_AGENT_HEALTH_CHECK_INTERVAL", "healthcheck.interval"),
    ("ERU_AGENT_HEALTH_CHECK_TIMEOUT", "healthcheck.timeout"),
    ("ERU_AGENT_HEALTH_CHECK_CACHE_TTL", "healthcheck.cache_ttl"),
    ("ERU_AGENT_HEALTH_CHECK_STATUS_TTL", "healthcheck.status_ttl"),
    ("ERU_HOSTNAME", "hostname"),
];

/// Keys of the original whose work core or the protocol of our agents does: the file of a whole fleet is accepted as it is.
const UNNEEDED_KEYS: &[&str] = &["kv", "etcd", "ha_keepalive_interval"];

fn read(s: &mut Section<'_>) -> AgentConfig {
    let d = AgentConfig::default();
    let mut core = s.with("core", cores).unwrap_or_default();
    if core.is_empty() && !s.has_errors() {
        s.error("core", "at least one address, as 127.0.0.1:5001");
    }
    fold_duplicates(&mut core, |message| s.warn("core", message));
    let hostname = s.with("hostname", |at| at.name::<NodeName>()).map(|name| name.to_string());
    let (auth_username, auth_password) =
        sub(s, "auth", |s| (s.or("username", String::new()), s.or("password", Secret::default())));
    let docker_endpoint = sub(s, "docker", |s| s.with("endpoint", docker_endpoint)).unwrap_or_default();
    let (yavirt_endpoint, regexps) = sub(s, "yavirt", |s| {
        (s.or("endpoint", String::new()), s.or("skip_guest_report_regexps", ListOrScalar::<String>(Vec::new())))
    });
    let (has_step, metrics_step, metrics_transfers) = sub(s, "metrics", |s| {
        (s.has("step"), step(s, d.metrics_step), s.with("transfers", addresses).unwrap_or_default())
    });
    let (log_forwards, log_stdout) =
        sub(s, "log", |s| (s.or("forwards", ListOrScalar::<LogForward>(Vec::new())).0, s.or("stdout", d.log_stdout)));
    let api_addr = sub(s, "api", |s| s.with("addr", |at| if at.text()?.is_empty() { None } else { at.parse() }));
    let (healthcheck, healthcheck_keys) = sub(s, "healthcheck", |s| {
        let given =
            [("healthcheck.cache_ttl", s.has("cache_ttl")), ("healthcheck.enable_selfmon", s.has("enable_selfmon"))];
        (healthcheck(s), given)
    });
    let later = [
        ("yavirt", s.has("yavirt")),
        ("metrics.step", has_step),
        ("metrics.transfers", !metrics_transfers.is_empty()),
        ("log.forwards", log_forwards.iter().any(|forward| *forward != LogForward::Discard)),
        ("log.stdout", log_stdout),
    ];
    let given = |keys: &[(&str, bool)]| keys.iter().filter(|(_, given)| *given).map(|(key, _)| (*key).into()).collect();
    let later_keys = given(&later);
    let mut unneeded: Vec<(&str, bool)> = UNNEEDED_KEYS.iter().map(|key| (*key, s.has(key))).collect();
    unneeded.push(("heartbeat_interval", s.has("heartbeat_interval")));
    unneeded.extend(healthcheck_keys);
    let unneeded_keys = given(&unneeded);
    let config = AgentConfig {
        log_level: s.or("log_level", d.log_level),
        pid: s.or("pid", d.pid),
        core,
        hostname,
        heartbeat_interval: s.or("heartbeat_interval", d.heartbeat_interval),
        check_only_mine: s.or("check_only_mine", d.check_only_mine),
        store: s.with("store", |at| one_of(at, &["grpc"])).unwrap_or(d.store),
        runtime: s.with("runtime", |at| one_of(at, &["docker", "process", "yavirt", "fake"])).unwrap_or(d.runtime),
        auth_username,
        auth_password,
        docker_endpoint,
        yavirt_endpoint,
        yavirt_skip_guest_report_regexps: regexps.0,
        metrics_step,
        metrics_transfers,
        api_addr,
        log_forwards,
        log_stdout,
        healthcheck,
        global_connection_timeout: positive(s, "global_connection_timeout", d.global_connection_timeout),
        later_keys,
        unneeded_keys,
    };
    s.know(UNNEEDED_KEYS);
    config
}

fn step(s: &mut Section<'_>, default: Duration) -> Duration {
    let seconds = number(s, "step", default.as_secs() as usize, 1..=3600);
    Duration::from_secs(seconds as u64)
}

fn healthcheck(s: &mut Section<'_>) -> HealthCheckConfig {
    let d = HealthCheckConfig::default();
    s.know(&["enable_selfmon"]);
    let interval = at_least(s, "interval", d.interval, Duration::from_secs(1));
    let timeout = s.has("timeout").then(|| positive(s, "timeout", d.timeout));
    let config = HealthCheckConfig {
        interval,
        // A short interval alone is not an error: the default timeout gives way to it.
        timeout: timeout.unwrap_or(d.timeout.min(interval / 2)),
        status_ttl: s.or("status_ttl", d.status_ttl),
        cache_ttl: positive(s, "cache_ttl", d.cache_ttl),
    };
    if config.timeout >= config.interval {
        s.error("timeout", format!("{:?} must be below interval {:?}", config.timeout, config.interval));
    }
    if !config.status_ttl.is_zero() && config.status_ttl < config.interval * 2 {
        s.warn("status_ttl", "below twice the interval: a status may expire between two checks; 0 never expires");
    }
    config
}

fn cores(at: At<'_>) -> Option<Vec<String>> {
    let list = ListOrScalar::<CoreAddress>::read(at)?;
    if list.0.is_empty() { at.refuse("at least one address") } else { Some(list.0.into_iter().map(|a| a.0).collect()) }
}

/// An address of core, `host:port` with an optional scheme of the original's.
struct CoreAddress(String);

impl Read for CoreAddress {
    fn read(at: At<'_>) -> Option<Self> {
        let text = at.text()?;
        let bare = text.strip_prefix("eru://").or(text.strip_prefix("static://")).unwrap_or(text);
        if is_host_port(bare) { Some(Self(bare.to_owned())) } else { at.refuse_kind("host:port") }
    }
}

fn addresses(at: At<'_>) -> Option<Vec<String>> {
    let list = ListOrScalar::<String>::read(at)?.0;
    match list.iter().find(|text| !is_host_port(text)) {
        Some(bad) => at.refuse(format!("must be host:port, got \"{}\"", eru_types::name::excerpt(bad))),
        None => Some(list),
    }
}

fn is_host_port(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| {
        let bracketed = host.starts_with('[') && host.ends_with(']');
        let plain = !host.is_empty() && !host.contains([':', '/', '@', ' ', '[', ']']);
        (bracketed || plain) && port.parse::<u16>().is_ok_and(|port| port > 0)
    })
}

fn docker_endpoint(at: At<'_>) -> Option<String> {
    let text = at.text()?;
    if text.starts_with('/') {
        let text = eru_types::name::excerpt(text);
        return at.refuse(format!("missing scheme, did you mean \"unix://{text}\"?"));
    }
    let good = match text.split_once("://") {
        Some(("unix", path)) => path.starts_with('/'),
        Some(("tcp", address)) => is_host_port(address),
        _ => text.is_empty(),
    };
    if good { Some(text.to_owned()) } else { at.refuse_kind("unix:///path or tcp://host:port") }
}

/// Where logs go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogForward {
    /// Nowhere.
    Discard,
    /// To the journal of this machine.
    Journal,
    /// As JSON lines over TCP, `host:port`.
    Tcp(String),
    /// As one JSON datagram a line, `host:port`.
    Udp(String),
}

impl Read for LogForward {
    fn read(at: At<'_>) -> Option<Self> {
        let text = at.text()?;
        let got = eru_types::name::excerpt(text);
        match text.split_once("://") {
            _ if text == "__discard__" => Some(Self::Discard),
            Some(("tcp", address)) if is_host_port(address) => Some(Self::Tcp(address.to_owned())),
            Some(("udp", address)) if is_host_port(address) => Some(Self::Udp(address.to_owned())),
            Some(("journal", _)) => Some(Self::Journal),
            Some(("tcp" | "udp", _)) => at.refuse(format!("missing host:port, got \"{got}\"")),
            Some((scheme, _)) => {
                let scheme = eru_types::name::excerpt(scheme);
                at.refuse(format!("unknown scheme \"{scheme}\" (tcp, udp, journal, __discard__)"))
            }
            None => at.refuse(format!("must be tcp://, udp://, journal:// or __discard__, got \"{got}\"")),
        }
    }
}
