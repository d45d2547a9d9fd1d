//! From an app spec to the deploy request: the one place where this is done.

use crate::workload::{Wire, wire};
use eru_api::pb;
use eru_types::spec::{AppSpec, Entrypoint};
use eru_types::{EntrypointName, HealthCheck};
use std::collections::BTreeMap;

/// What a deploy needs beyond the spec. The parts are as the wire has them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DeployFlags {
    /// Pod to deploy to.
    pub podname: String,
    /// Image to run; empty for plain commands.
    pub image: String,
    /// Number of instances.
    pub count: i32,
    /// Only these nodes; empty = all of the pod.
    pub nodenames: Vec<String>,
    /// Labels that the nodes must all have.
    pub nodelabels: BTreeMap<String, String>,
    /// Networks to join, with the wanted address or nothing.
    pub networks: BTreeMap<String, String>,
    /// What each instance asks for; the volumes come from the spec.
    pub resources: pb::ResourceOptions,
    /// Environment, `NAME=VALUE`.
    pub env: Vec<String>,
    /// How instances are spread over nodes.
    pub strategy: pb::deploy_options::Strategy,
    /// Most instances a node, or number of nodes; 0 = no limit.
    pub nodes_limit: i32,
    /// Most instances of the app's entrypoint on one node; 0 = no limit.
    pub max_per_node: i32,
    /// The label of the nodes whose values instances are spread over; empty = none.
    pub spread_label: String,
    /// User to run as.
    pub user: String,
    /// Files to put into each instance, by path.
    pub files: Vec<crate::workload::File>,
    /// Commands to run inside an instance when it has been created.
    pub after_create: Vec<String>,
    /// Send logs where core's configuration says for debugging.
    pub debug: bool,
    /// Do not run hooks.
    pub ignore_hook: bool,
    /// Settings that only the engine knows, JSON.
    pub raw_args: Vec<u8>,
    /// Name of the deploy.
    pub op_id: String,
}

/// The spec has no entrypoint of this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("entrypoint \"{name}\" is not in the spec, which has {}", .there.join(", "))]
pub struct MissingEntrypoint {
    /// The entrypoint that was asked for.
    pub name: String,
    /// The ones that are there.
    pub there: Vec<String>,
}

/// The request that deploys `entry` of `spec` as `flags` say.
///
/// # Errors
/// [`MissingEntrypoint`].
pub fn deploy_options(
    spec: &AppSpec,
    entry: &EntrypointName,
    flags: DeployFlags,
) -> Result<pb::DeployOptions, MissingEntrypoint> {
    let entrypoint = spec.entrypoints.get(entry).ok_or_else(|| MissingEntrypoint {
        name: entry.to_string(),
        there: spec.entrypoints.keys().map(ToString::to_string).collect(),
    })?;
    let texts = |volumes: &[eru_types::volume::Volume]| volumes.iter().map(ToString::to_string).collect();
    let Wire { data, modes, owners } = wire(flags.files);
    Ok(pb::DeployOptions {
        name: spec.appname.to_string(),
        entrypoint: Some(entrypoint_options(entry, entrypoint)),
        podname: flags.podname,
        image: flags.image,
        count: flags.count,
        env: flags.env,
        dns: spec.dns.clone(),
        extra_hosts: spec.extra_hosts.clone(),
        networks: flags.networks,
        user: flags.user,
        debug: flags.debug,
        labels: spec.labels.as_map().clone(),
        deploy_strategy: flags.strategy as i32,
        nodes_limit: flags.nodes_limit,
        max_per_node: flags.max_per_node,
        spread_label: flags.spread_label,
        ignore_hook: flags.ignore_hook,
        after_create: flags.after_create,
        raw_args: flags.raw_args.into(),
        resource_opts: Some(pb::ResourceOptions {
            volumes_limit: texts(&spec.volumes),
            volumes_request: texts(&spec.volumes_request),
            ..flags.resources
        }),
        node_filter: Some(pb::NodeFilter { includes: flags.nodenames, labels: flags.nodelabels, ..Default::default() }),
        data,
        modes,
        owners,
        op_id: flags.op_id,
        ..Default::default()
    })
}

fn entrypoint_options(name: &EntrypointName, entrypoint: &Entrypoint) -> pb::EntrypointOptions {
    pb::EntrypointOptions {
        name: name.to_string(),
        // Split already: `commands` wins over `command`.
        commands: entrypoint.command.clone(),
        command: String::new(),
        privileged: entrypoint.privileged,
        dir: entrypoint.dir.clone(),
        log: entrypoint
            .log
            .as_ref()
            .map(|log| pb::LogOptions { r#type: log.driver.clone(), config: log.config.clone() }),
        publish: entrypoint.publish.iter().map(ToString::to_string).collect(),
        healthcheck: entrypoint.healthcheck.as_ref().map(healthcheck_options),
        hook: Some(pb::HookOptions {
            after_start: entrypoint.hook.after_start.clone(),
            before_stop: entrypoint.hook.before_stop.clone(),
            force: entrypoint.hook.force,
        }),
        restart: entrypoint.restart.map(|policy| policy.to_string()).unwrap_or_default(),
        sysctls: entrypoint.sysctls.clone(),
    }
}

fn healthcheck_options(check: &HealthCheck) -> pb::HealthCheckOptions {
    let http = check.http.as_ref();
    pb::HealthCheckOptions {
        tcp_ports: check.tcp_ports.iter().map(ToString::to_string).collect(),
        http_port: http.map(|http| http.port.to_string()).unwrap_or_default(),
        url: http.map(|http| http.path.clone()).unwrap_or_default(),
        code: http.map(|http| i32::from(http.code)).unwrap_or_default(),
    }
}
