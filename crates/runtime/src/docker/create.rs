//! A request as what the engine makes a container from. Pure: no IO, no clock.

use super::{
    binds::binds,
    bodies::{
        ContainerBody, EndpointSettings, HostConfig, LogConfig, NetworkingConfig, Nothing, PortBinding,
        RestartPolicyBody,
    },
    facts::Facts,
    joins::{BRIDGE, HOST, Joins, joins},
    limits,
    options::DockerOptions,
    raw::RawOptions,
};
use crate::{
    port::{CreateRequest, Error, Result},
    restart::RestartPolicy,
};
use std::{collections::BTreeMap, net::IpAddr};

/// `root`, as an image without `/etc/passwd` knows it as well.
const ROOT: &str = "0";
/// Log drivers of the engine that name entries by a tag.
const TAGGING: &[&str] = &["json-file", "journald", "syslog", "fluentd", "gelf", "awslogs", "gcplogs", "splunk"];
/// Log drivers that send to elsewhere. Elsewhere may stall, and a workload must not stall with it; what goes to a file of the
/// machine is never dropped.
const REMOTE: &[&str] = &["syslog", "fluentd", "gelf", "awslogs", "gcplogs", "splunk"];
/// How much output waits for a stalled receiver before the oldest is dropped.
const LOG_BUFFER: &str = "4m";

/// What to ask of the engine.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Creation {
    /// The container.
    pub(super) body: ContainerBody,
    /// Networks to be joined before its start.
    pub(super) others: Vec<(String, EndpointSettings)>,
}

/// The container that `request` asks for, on a daemon like this.
///
/// # Errors
/// [`Error::Invalid`] for what this engine, or this daemon, cannot give.
pub(super) fn creation(
    request: &CreateRequest,
    facts: &Facts,
    options: &DockerOptions,
    host: IpAddr,
) -> Result<Creation> {
    if request.image.is_empty() {
        return Err(Error::Invalid(format!("{}: docker workloads need an image", request.name)));
    }
    let raw = RawOptions::parse(&request.extras.raw)?;
    let Joins { mode, first, others } = joins(request, options)?;
    if let (HOST, Some(setting)) = (mode.as_str(), request.extras.sysctls.keys().find(|key| key.starts_with("net."))) {
        return Err(Error::Invalid(format!(
            "sysctls: {setting:?} would change the machine itself on network {HOST:?}"
        )));
    }
    let port_bindings = ports(request, &mode);
    let mut host_config = HostConfig {
        binds: binds(request)?,
        network_mode: mode.clone(),
        restart_policy: restart(&request.restart)?,
        log_config: log(request, facts),
        dns: request.extras.dns.clone(),
        extra_hosts: request.extras.hosts.clone(),
        sysctls: request.extras.sysctls.clone(),
        privileged: request.privileged,
        pid_mode: raw.pid_mod.clone(),
        cap_add: raw.cap_add.clone().unwrap_or_default(),
        cap_drop: raw.cap_drop.clone().unwrap_or_default(),
        runtime: raw.runtime.clone(),
        ..HostConfig::default()
    };
    if request.privileged {
        host_config.cap_add.push("SYS_ADMIN".into());
    }
    limits::apply(&mut host_config, request, facts, &raw)?;
    let body = ContainerBody {
        image: request.image.clone(),
        cmd: request.command.clone(),
        env: env(request, host),
        labels: request.labels.as_map().clone(),
        working_dir: request.dir.clone(),
        user: if request.privileged { ROOT } else { user(&request.user) }.to_owned(),
        tty: request.extras.terminal,
        open_stdin: request.extras.terminal || request.extras.pipe,
        stdin_once: request.extras.pipe,
        exposed_ports: port_bindings.keys().map(|port| (port.clone(), Nothing {})).collect(),
        networking_config: first.map(|settings| NetworkingConfig { endpoints_config: [(mode, settings)].into() }),
        host_config: HostConfig { port_bindings, ..host_config },
    };
    Ok(Creation { body, others })
}

/// A user as every image knows it.
pub(super) fn user(asked: &str) -> &str {
    if asked == "root" { ROOT } else { asked }
}

fn env(request: &CreateRequest, host: IpAddr) -> Vec<String> {
    const NODE_IP: &str = "ERU_NODE_IP";
    let mut env: Vec<String> = request.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    if !request.env.iter().any(|(name, _)| name == NODE_IP) {
        env.push(format!("{NODE_IP}={host}"));
    }
    env
}

/// Ports are published on the engine's own network only: elsewhere a workload has an address of its own, or the machine's.
fn ports(request: &CreateRequest, mode: &str) -> BTreeMap<String, Vec<PortBinding>> {
    let published = request.publish.iter().filter(|_| mode == BRIDGE);
    published.map(|port| (format!("{port}/tcp"), vec![PortBinding { host_port: port.to_string() }])).collect()
}

fn restart(text: &str) -> Result<RestartPolicyBody> {
    let policy: RestartPolicy = text.parse().map_err(|e| Error::Invalid(format!("{e}")))?;
    let (name, maximum_retry_count) = match policy {
        // Of a count of 0 the engine makes "without bound".
        RestartPolicy::No | RestartPolicy::OnFailure(Some(0)) => ("no", None),
        RestartPolicy::Always if text == "unless-stopped" => ("unless-stopped", None),
        RestartPolicy::Always => ("always", None),
        RestartPolicy::OnFailure(count) => ("on-failure", count),
    };
    Ok(RestartPolicyBody { name, maximum_retry_count })
}

fn log(request: &CreateRequest, facts: &Facts) -> Option<LogConfig> {
    let asked = request.extras.log_driver.as_str();
    let driver = if asked.is_empty() { facts.logging_driver.as_str() } else { asked };
    if driver.is_empty() {
        return None;
    }
    let mut options = request.extras.log_options.clone();
    let mut default = |key: &str, value: String| {
        options.entry(key.to_owned()).or_insert(value);
    };
    if TAGGING.contains(&driver) {
        default("tag", format!("{} {{{{.ID}}}}", request.name));
    }
    if REMOTE.contains(&driver) {
        default("mode", "non-blocking".into());
        default("max-buffer-size", LOG_BUFFER.into());
    }
    Some(LogConfig { driver: driver.to_owned(), options })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::request;
    use serde_json::{Value, json};
    use std::net::Ipv4Addr;

    const HOST_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 1, 2, 3));

    fn of(change: impl FnOnce(&mut CreateRequest)) -> Result<Value> {
        let mut wanted = request("app_web_aaaaaa", &["sleep", "1"]);
        change(&mut wanted);
        let facts = Facts { logging_driver: "json-file".into(), ..Facts::default() };
        let creation = creation(&wanted, &facts, &DockerOptions::new("unix:///x"), HOST_ADDRESS)?;
        Ok(serde_json::to_value(&creation.body).expect("JSON"))
    }

    fn bridged(request: &mut CreateRequest) {
        request.networks.insert("bridge".into(), String::new());
    }

    /// What is asked, where it is found, and as what.
    #[test]
    fn every_field_has_its_place() {
        type Change = Box<dyn FnOnce(&mut CreateRequest)>;
        let change = |f: fn(&mut CreateRequest)| -> Change { Box::new(f) };
        for (change, place, want) in [
            (change(|_| ()), "/Image", json!("image")),
            (change(|_| ()), "/Cmd", json!(["sleep", "1"])),
            (change(|r| r.command.clear()), "/Cmd", Value::Null),
            (change(|_| ()), "/User", Value::Null),
            (change(|r| r.user = "root".into()), "/User", json!("0")),
            (change(|r| r.user = "nobody".into()), "/User", json!("nobody")),
            (
                change(|r| {
                    r.user = "nobody".into();
                    r.privileged = true
                }),
                "/User",
                json!("0"),
            ),
            (change(|r| r.privileged = true), "/HostConfig/Privileged", json!(true)),
            (change(|r| r.privileged = true), "/HostConfig/CapAdd", json!(["SYS_ADMIN"])),
            (change(|r| r.dir = "/srv".into()), "/WorkingDir", json!("/srv")),
            (change(|r| r.env = vec![("A".into(), "b=c".into())]), "/Env", json!(["A=b=c", "ERU_NODE_IP=10.1.2.3"])),
            (change(|r| r.env = vec![("ERU_NODE_IP".into(), "x".into())]), "/Env", json!(["ERU_NODE_IP=x"])),
            (change(|r| r.labels.set("ERU", "1")), "/Labels", json!({"ERU": "1"})),
            (change(|_| ()), "/HostConfig/NetworkMode", json!("host")),
            (change(|r| r.publish = vec![80]), "/HostConfig/PortBindings", Value::Null),
            (
                change(|r| {
                    bridged(r);
                    r.publish = vec![80]
                }),
                "/HostConfig/PortBindings",
                json!({"80/tcp": [{"HostPort": "80"}]}),
            ),
            (
                change(|r| {
                    bridged(r);
                    r.publish = vec![80]
                }),
                "/ExposedPorts",
                json!({"80/tcp": {}}),
            ),
            (
                change(|r| {
                    r.networks.insert("n".into(), "10.0.0.9".into());
                }),
                "/NetworkingConfig/EndpointsConfig/n/IPAMConfig/IPv4Address",
                json!("10.0.0.9"),
            ),
            (
                change(|r| r.restart = "on-failure:3".into()),
                "/HostConfig/RestartPolicy",
                json!({"Name": "on-failure", "MaximumRetryCount": 3}),
            ),
            (
                change(|r| r.restart = "unless-stopped".into()),
                "/HostConfig/RestartPolicy/Name",
                json!("unless-stopped"),
            ),
            (change(|_| ()), "/HostConfig/RestartPolicy/Name", json!("no")),
            (change(|r| r.restart = "on-failure".into()), "/HostConfig/RestartPolicy", json!({"Name": "on-failure"})),
            (change(|r| r.restart = "on-failure:0".into()), "/HostConfig/RestartPolicy", json!({"Name": "no"})),
            (
                change(|_| ()),
                "/HostConfig/LogConfig",
                json!({"Type": "json-file", "Config": {"tag": "app_web_aaaaaa {{.ID}}"}}),
            ),
            (
                change(|r| r.extras.log_driver = "local".into()),
                "/HostConfig/LogConfig",
                json!({"Type": "local", "Config": {}}),
            ),
            (
                change(|r| r.extras.log_driver = "none".into()),
                "/HostConfig/LogConfig",
                json!({"Type": "none", "Config": {}}),
            ),
            (
                change(|r| {
                    r.extras.log_driver = "syslog".into();
                    r.extras.log_options.insert("mode".into(), "blocking".into());
                }),
                "/HostConfig/LogConfig/Config",
                json!({"tag": "app_web_aaaaaa {{.ID}}", "mode": "blocking", "max-buffer-size": "4m"}),
            ),
            (change(|r| r.extras.dns = vec!["1.1.1.1".into()]), "/HostConfig/Dns", json!(["1.1.1.1"])),
            (change(|r| r.extras.hosts = vec!["a:1.1.1.1".into()]), "/HostConfig/ExtraHosts", json!(["a:1.1.1.1"])),
            (
                change(|r| {
                    bridged(r);
                    r.extras.sysctls.insert("net.x".into(), "1".into());
                }),
                "/HostConfig/Sysctls",
                json!({"net.x": "1"}),
            ),
            (change(|r| r.extras.raw = r#"{"cap_drop":["CHOWN"]}"#.into()), "/HostConfig/CapDrop", json!(["CHOWN"])),
            (
                change(|r| r.extras.raw = r#"{"pid_mod":"host","runtime":"runsc"}"#.into()),
                "/HostConfig/PidMode",
                json!("host"),
            ),
            (change(|r| r.extras.terminal = true), "/Tty", json!(true)),
            (change(|r| r.extras.terminal = true), "/OpenStdin", json!(true)),
            (change(|r| r.extras.terminal = true), "/StdinOnce", json!(false)),
            (change(|r| r.extras.pipe = true), "/Tty", json!(false)),
            (change(|r| r.extras.pipe = true), "/OpenStdin", json!(true)),
            (change(|r| r.extras.pipe = true), "/StdinOnce", json!(true)),
            (
                change(|r| r.allotment.volumes_limit = vec!["/sys:/sys:ro".parse().unwrap()]),
                "/HostConfig/Binds",
                json!(["/sys:/sys:ro"]),
            ),
        ] {
            let made = of(change).unwrap();
            assert_eq!(made.pointer(place).unwrap_or(&Value::Null), &want, "{place} in {made}");
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        type Change = fn(&mut CreateRequest);
        let cases: [(Change, &str); 5] = [
            (|r| r.image.clear(), "need an image"),
            (|r| r.restart = "sometimes".into(), "restart must be"),
            (|r| r.extras.raw = r#"{"x":1}"#.into(), "`x`"),
            (
                |r| {
                    r.extras.sysctls.insert("net.core.somaxconn".into(), "1".into());
                },
                "would change the machine",
            ),
            (
                |r| {
                    r.networks.insert("container:x".into(), String::new());
                },
                "network must be",
            ),
        ];
        for (change, part) in cases {
            let error = of(change).unwrap_err();
            assert!(matches!(&error, Error::Invalid(text) if text.contains(part)), "{error}");
        }
    }
}
