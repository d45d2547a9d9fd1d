//! A request as what the engine makes a container from. Pure: no IO, no clock.

use super::{
    binds::binds,
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
use bollard::models::{
    ContainerCreateBody, EndpointSettings, HostConfig, HostConfigLogConfig, NetworkingConfig, PortBinding, PortMap,
    RestartPolicy as EnginePolicy, RestartPolicyNameEnum,
};
use std::{collections::HashMap, net::IpAddr};

/// The user of privileged workloads, and of those that ask for `root`: an image without `/etc/passwd` knows the number only.
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
    pub(super) body: ContainerCreateBody,
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
    let (exposed_ports, port_bindings) = ports(request, &mode);
    let mut host_config = HostConfig {
        binds: Some(binds(request)?),
        network_mode: Some(mode.clone()),
        port_bindings,
        restart_policy: Some(restart(&request.restart)?),
        log_config: log(request, facts),
        dns: some(&request.extras.dns),
        extra_hosts: some(&request.extras.hosts),
        sysctls: Some(request.extras.sysctls.clone().into_iter().collect()),
        privileged: Some(request.privileged),
        pid_mode: raw.pid_mod.clone(),
        cap_add: raw.cap_add.clone(),
        cap_drop: raw.cap_drop.clone(),
        runtime: raw.runtime.clone(),
        ..HostConfig::default()
    };
    if request.privileged {
        host_config.cap_add.get_or_insert_default().push("SYS_ADMIN".into());
    }
    limits::apply(&mut host_config, request, facts, &raw)?;
    let body = ContainerCreateBody {
        image: Some(request.image.clone()),
        cmd: some(&request.command),
        env: Some(env(request, host)),
        labels: Some(request.labels.as_map().clone().into_iter().collect()),
        working_dir: Some(request.dir.clone()).filter(|dir| !dir.is_empty()),
        user: user(request),
        tty: Some(request.extras.terminal),
        open_stdin: Some(request.extras.terminal),
        exposed_ports,
        networking_config: first
            .map(|settings| NetworkingConfig { endpoints_config: Some(HashMap::from([(mode, settings)])) }),
        host_config: Some(host_config),
        ..ContainerCreateBody::default()
    };
    Ok(Creation { body, others })
}

fn some(list: &[String]) -> Option<Vec<String>> {
    Some(list.to_vec()).filter(|list| !list.is_empty())
}

fn user(request: &CreateRequest) -> Option<String> {
    match request.user.as_str() {
        _ if request.privileged => Some(ROOT.into()),
        "" => None,
        "root" => Some(ROOT.into()),
        other => Some(other.into()),
    }
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
fn ports(request: &CreateRequest, mode: &str) -> (Option<Vec<String>>, Option<PortMap>) {
    if mode != BRIDGE || request.publish.is_empty() {
        return (None, None);
    }
    let named = |port: &u16| format!("{port}/tcp");
    let bound = |port: &u16| Some(vec![PortBinding { host_ip: None, host_port: Some(port.to_string()) }]);
    let exposed = request.publish.iter().map(named).collect();
    (Some(exposed), Some(request.publish.iter().map(|port| (named(port), bound(port))).collect()))
}

fn restart(text: &str) -> Result<EnginePolicy> {
    let policy: RestartPolicy = text.parse().map_err(|e| Error::Invalid(format!("{e}")))?;
    let (name, count) = match policy {
        RestartPolicy::No => (RestartPolicyNameEnum::NO, None),
        RestartPolicy::Always if text == "unless-stopped" => (RestartPolicyNameEnum::UNLESS_STOPPED, None),
        RestartPolicy::Always => (RestartPolicyNameEnum::ALWAYS, None),
        RestartPolicy::OnFailure(count) => (RestartPolicyNameEnum::ON_FAILURE, count.map(i64::from)),
    };
    Ok(EnginePolicy { name: Some(name), maximum_retry_count: count })
}

fn log(request: &CreateRequest, facts: &Facts) -> Option<HostConfigLogConfig> {
    let asked = request.extras.log_driver.as_str();
    let driver = if asked.is_empty() { facts.logging_driver.as_str() } else { asked };
    let mut config: HashMap<String, String> = request.extras.log_options.clone().into_iter().collect();
    let mut default = |key: &str, value: String| {
        config.entry(key.to_owned()).or_insert(value);
    };
    if TAGGING.contains(&driver) {
        default("tag", format!("{} {{{{.ID}}}}", request.name));
    }
    if REMOTE.contains(&driver) {
        default("mode", "non-blocking".into());
        default("max-buffer-size", LOG_BUFFER.into());
    }
    Some(HostConfigLogConfig { typ: Some(driver.to_owned()), config: Some(config) }).filter(|_| !driver.is_empty())
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
