//! Tree to [`CoreConfig`].

use super::{
    Auth, CoreConfig, Docker, Etcd, Git, Grpc, PORT, Redis, RegistryAuth, Scheduler, StoreKind, Systemd, Virt,
};
use crate::layer::Plan;
use crate::read::{At, Section};
use crate::value::{BindAddress, ByteSize, ListOrScalar, Secret, fold_duplicates};
use eru_types::name::excerpt;
use std::collections::BTreeMap;
use std::time::Duration;

pub(super) const PLAN: Plan<CoreConfig> = Plan { prefix: "ERU_CORE_", keys: KEYS, aliases: &[], read };

/// Every key that holds a value that a variable can carry.
const KEYS: &[&str] = &[
    "log_level",
    "bind",
    "lock_timeout",
    "global_timeout",
    "connection_timeout",
    "ha_keepalive_interval",
    "statsd",
    "profile",
    "sentry_dsn",
    "cert_path",
    "max_concurrency",
    "store",
    "data_dir",
    "allow_fake",
    "beat_interval",
    "lease_ttl",
    "max_streams",
    "auth.username",
    "auth.password",
    "grpc.max_concurrent_streams",
    "grpc.max_recv_msg_size",
    "grpc.service_discovery_interval",
    "grpc.service_heartbeat_interval",
    "wal_file",
    "wal_open_timeout",
    "git.scm_type",
    "git.private_key",
    "git.token",
    "git.clone_timeout",
    "etcd.machines",
    "etcd.prefix",
    "etcd.lock_prefix",
    "etcd.ca",
    "etcd.key",
    "etcd.cert",
    "etcd.auth.username",
    "etcd.auth.password",
    "redis.addr",
    "redis.db",
    "redis.lock_prefix",
    "docker.version",
    "docker.network_mode",
    "docker.hub",
    "docker.namespace",
    "docker.build_pod",
    "docker.local_dns",
    "docker.log.type",
    "scheduler.maxshare",
    "scheduler.sharebase",
    "virt.version",
    "systemd.runtime",
];

/// Top-level keys that are read and checked, and have no effect yet.
const LATER_KEYS: &[&str] = &[
    "lock_timeout",
    "statsd",
    "profile",
    "sentry_dsn",
    "cert_path",
    "wal_file",
    "wal_open_timeout",
    "git",
    "redis",
    "scheduler",
    "virt",
    "systemd",
];

/// Keys of `docker` that are read and checked, and have no effect yet: builds are to come, and the version of the API is
/// agreed upon with each daemon.
const LATER_DOCKER_KEYS: &[&str] = &["version", "hub", "namespace", "build_pod"];

/// Bounds of `max_recv_msg_size`: below, no request fits; above, one request could fill the memory.
const RECV_BYTES: std::ops::RangeInclusive<u64> = (64 << 10)..=(1 << 30);
/// The shortest lease that etcd keeps.
const LEASE_MIN: Duration = Duration::from_secs(2);

fn read(s: &mut Section<'_>) -> CoreConfig {
    let d = CoreConfig::default();
    let mut later_keys: Vec<String> = LATER_KEYS.iter().filter(|key| s.has(key)).map(|key| (*key).to_owned()).collect();
    let config = CoreConfig {
        log_level: s.or("log_level", d.log_level),
        bind: s.or("bind", BindAddress::any(PORT)),
        lock_timeout: positive(s, "lock_timeout", d.lock_timeout),
        global_timeout: positive(s, "global_timeout", d.global_timeout),
        connection_timeout: positive(s, "connection_timeout", d.connection_timeout),
        ha_keepalive_interval: at_least(s, "ha_keepalive_interval", d.ha_keepalive_interval, LEASE_MIN),
        statsd: text(s, "statsd"),
        profile: text(s, "profile"),
        sentry_dsn: s.or("sentry_dsn", Secret::default()),
        cert_path: s.get("cert_path"),
        max_concurrency: number(s, "max_concurrency", d.max_concurrency, 1..=10_000),
        store: s.with("store", store).unwrap_or(StoreKind::Etcd),
        data_dir: s.with("data_dir", data_dir).unwrap_or(d.data_dir),
        allow_fake: s.or("allow_fake", d.allow_fake),
        beat_interval: at_least(s, "beat_interval", d.beat_interval, Duration::from_millis(100)),
        lease_ttl: at_least(s, "lease_ttl", d.lease_ttl, LEASE_MIN),
        max_streams: number(s, "max_streams", d.max_streams, 1..=10_000_000),
        auth: sub(s, "auth", auth),
        grpc: sub(s, "grpc", grpc),
        wal_file: s.or("wal_file", d.wal_file),
        wal_open_timeout: positive(s, "wal_open_timeout", d.wal_open_timeout),
        git: sub(s, "git", git),
        etcd: sub(s, "etcd", etcd),
        redis: sub(s, "redis", redis),
        docker: sub(s, "docker", |s| {
            later_keys.extend(LATER_DOCKER_KEYS.iter().filter(|key| s.has(key)).map(|key| format!("docker.{key}")));
            docker(s)
        }),
        scheduler: sub(s, "scheduler", scheduler),
        virt: sub(s, "virt", |s| Virt { version: s.or("version", String::new()) }),
        systemd: sub(s, "systemd", |s| Systemd { runtime: s.or("runtime", Systemd::default().runtime) }),
        later_keys,
    };
    across(s, &config);
    config
}

/// Rules that span several keys. They would blame the wrong one while a key by itself is wrong.
fn across(s: &Section<'_>, config: &CoreConfig) {
    if s.has_errors() {
        return;
    }
    if config.lease_ttl < config.beat_interval * 2 {
        let (lease, beat) = (config.lease_ttl, config.beat_interval);
        s.error(
            "lease_ttl",
            format!("{lease:?} must be at least twice beat_interval {beat:?}, or one late beat loses a node"),
        );
    }
    if config.store == StoreKind::Etcd && config.etcd.machines.is_empty() {
        s.error("etcd", "machines: at least one address, or set store: embedded");
    }
}

fn store(at: At<'_>) -> Option<StoreKind> {
    match at.text()? {
        "etcd" => Some(StoreKind::Etcd),
        "embedded" => Some(StoreKind::Embedded),
        "redis" => at.refuse("\"redis\" is not supported: it has no revisions to watch from; use etcd or embedded"),
        _ => at.refuse_kind("one of embedded, etcd"),
    }
}

fn data_dir(at: At<'_>) -> Option<std::path::PathBuf> {
    let text = at.text()?;
    if text.is_empty() || text.contains('\0') {
        return at.refuse_kind("a folder");
    }
    Some(text.into())
}

fn auth(s: &mut Section<'_>) -> Auth {
    let auth = Auth { username: s.or("username", String::new()), password: s.or("password", Secret::default()) };
    let name_ok = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.');
    if !auth.username.chars().all(name_ok) {
        let got = excerpt(&auth.username);
        s.error("username", format!("must be lower-case letters, digits, '-', '_' or '.', got \"{got}\""));
    }
    if auth.username.ends_with("-bin") {
        s.error("username", "must not end with \"-bin\", which marks binary metadata");
    }
    if auth.username.is_empty() && !auth.password.is_empty() {
        s.warn("password", "has no effect without username");
    }
    auth
}

fn grpc(s: &mut Section<'_>) -> Grpc {
    let d = Grpc::default();
    let size = s.with("max_recv_msg_size", |at| {
        let size: ByteSize = at.parse()?;
        if RECV_BYTES.contains(&size.0) {
            Some(size)
        } else {
            at.refuse_kind("64K to 1G, in bytes unless a unit is given")
        }
    });
    Grpc {
        max_concurrent_streams: number(s, "max_concurrent_streams", d.max_concurrent_streams as usize, 1..=1_000_000)
            as u32,
        max_recv_msg_size: size.map_or(d.max_recv_msg_size, |size| size.0 as usize),
        max_connections: number(s, "max_connections", d.max_connections, 1..=1_000_000),
        max_connections_per_ip: number(s, "max_connections_per_ip", d.max_connections_per_ip, 1..=1_000_000),
        handshake_timeout: at_least(s, "handshake_timeout", d.handshake_timeout, SECOND),
        service_discovery_interval: at_least(s, "service_discovery_interval", d.service_discovery_interval, SECOND),
        service_heartbeat_interval: at_least(s, "service_heartbeat_interval", d.service_heartbeat_interval, SECOND),
    }
}

const SECOND: Duration = Duration::from_secs(1);

fn git(s: &mut Section<'_>) -> Git {
    let d = Git::default();
    Git {
        scm_type: s.with("scm_type", |at| one_of(at, &["github", "gitlab"])).unwrap_or_default(),
        private_key: s.get("private_key"),
        token: s.or("token", Secret::default()),
        clone_timeout: positive(s, "clone_timeout", d.clone_timeout),
    }
}

fn etcd(s: &mut Section<'_>) -> Etcd {
    let d = Etcd::default();
    let mut machines = s.with("machines", machines).unwrap_or_default();
    fold_duplicates(&mut machines, |message| s.warn("machines", message));
    Etcd {
        machines,
        prefix: s.with("prefix", prefix).unwrap_or(d.prefix),
        lock_prefix: s.or("lock_prefix", d.lock_prefix),
        ca: s.get("ca"),
        key: s.get("key"),
        cert: s.get("cert"),
        auth: sub(s, "auth", auth),
    }
}

fn machines(at: At<'_>) -> Option<Vec<String>> {
    let list = <ListOrScalar<Machine> as crate::read::Read>::read(at)?;
    if list.0.is_empty() { at.refuse("at least one address") } else { Some(list.0.into_iter().map(|m| m.0).collect()) }
}

/// An address of an etcd member.
struct Machine(String);

impl crate::read::Read for Machine {
    fn read(at: At<'_>) -> Option<Self> {
        let text = at.text()?;
        let bare = text.strip_prefix("http://").or(text.strip_prefix("https://")).unwrap_or(text);
        let bare = bare.strip_suffix('/').unwrap_or(bare);
        let good = bare.rsplit_once(':').is_some_and(|(host, port)| {
            !host.is_empty() && !host.contains(['/', '@', ' ']) && port.parse::<u16>().is_ok_and(|port| port > 0)
        });
        if good { Some(Self(text.to_owned())) } else { at.refuse_kind("host:port or http(s)://host:port") }
    }
}

fn prefix(at: At<'_>) -> Option<String> {
    let text = at.text()?;
    let good = text.strip_prefix('/').is_some_and(|rest| {
        let segment = |s: &str| !matches!(s, "" | "." | "..") && !s.chars().any(|c| c.is_control() || c == ' ');
        rest.strip_suffix('/').unwrap_or(rest).split('/').all(segment)
    });
    if good { Some(text.trim_end_matches('/').to_owned()) } else { at.refuse_kind("/segment[/segment], no \"..\"") }
}

fn redis(s: &mut Section<'_>) -> Redis {
    let d = Redis::default();
    Redis {
        addr: s.or("addr", d.addr),
        db: s.with("db", |at| at.number(0..=1_000_000)).unwrap_or(d.db),
        lock_prefix: s.or("lock_prefix", d.lock_prefix),
    }
}

fn docker(s: &mut Section<'_>) -> Docker {
    let d = Docker::default();
    let (log_type, log_config) = sub(s, "log", |s| (s.or("type", d.log_type.clone()), s.or("config", BTreeMap::new())));
    Docker {
        version: s.or("version", d.version),
        network_mode: s.or("network_mode", d.network_mode),
        hub: s.or("hub", d.hub),
        namespace: s.or("namespace", d.namespace),
        build_pod: s.or("build_pod", d.build_pod),
        local_dns: s.or("local_dns", d.local_dns),
        log_type,
        log_config,
        auths: s.with("auths", registries).unwrap_or_default(),
    }
}

fn registries(at: At<'_>) -> Option<BTreeMap<String, RegistryAuth>> {
    let pairs = at.pairs(|_, at| {
        let mut s = at.section()?;
        let login =
            RegistryAuth { username: s.or("username", String::new()), password: s.or("password", Secret::default()) };
        s.end();
        Some(login)
    })?;
    Some(pairs.into_iter().collect())
}

fn scheduler(s: &mut Section<'_>) -> Scheduler {
    let d = Scheduler::default();
    Scheduler {
        maxshare: s.with("maxshare", |at| at.number(-1..=4096)).unwrap_or(d.maxshare),
        sharebase: s.with("sharebase", |at| at.number(1..=1_000_000)).unwrap_or(d.sharebase),
    }
}

/// Reads a group of keys to its end.
pub(crate) fn sub<T>(s: &mut Section<'_>, key: &'static str, read: impl FnOnce(&mut Section<'_>) -> T) -> T {
    let mut section = s.section(key);
    let value = read(&mut section);
    section.end();
    value
}

/// A text that is not empty.
pub(crate) fn text(s: &mut Section<'_>, key: &'static str) -> Option<String> {
    s.get::<String>(key).filter(|text| !text.is_empty())
}

pub(crate) fn number(
    s: &mut Section<'_>,
    key: &'static str,
    default: usize,
    bounds: std::ops::RangeInclusive<i64>,
) -> usize {
    s.with(key, |at| at.number(bounds)).map_or(default, |n| n as usize)
}

pub(crate) fn positive(s: &mut Section<'_>, key: &'static str, default: Duration) -> Duration {
    at_least(s, key, default, Duration::from_millis(1))
}

pub(crate) fn at_least(s: &mut Section<'_>, key: &'static str, default: Duration, min: Duration) -> Duration {
    let read = |at: At<'_>| {
        let duration = <Duration as crate::read::Read>::read(at)?;
        if duration < min { at.refuse_kind(&format!("at least {}", crate::GoDuration(min))) } else { Some(duration) }
    };
    s.with(key, read).unwrap_or(default)
}

pub(crate) fn one_of(at: At<'_>, allowed: &[&str]) -> Option<String> {
    let text = at.text()?;
    if allowed.contains(&text) {
        Some(text.to_owned())
    } else {
        at.refuse_kind(&format!("one of {}", allowed.join(", ")))
    }
}
