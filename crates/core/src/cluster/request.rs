//! A deploy as it was asked for, with everything about it proven.

use super::{
    Error, Result, command_line,
    fence::{Owner, key_name},
    image,
};
use crate::record::{Hook, WorkloadSpec};
use eru_api::pb;
use eru_runtime::RestartPolicy;
use eru_scheduler::{Content, NodeFilter, Strategy};
use eru_types::{
    Allotment, AppName, CpuQuota, EntrypointName, Labels, MemoryBytes, NodeName, PodName, Resources, labels,
    limits::{DEPLOY_COUNT_MAX, LIST_LEN_MAX},
    meta::{Meta, MetaHealthCheck},
    name::excerpt,
};
use prost::Message;
use sha1::{Digest, Sha1};
use std::collections::BTreeMap;

/// Most networks of one workload.
const NETWORKS_LEN_MAX: usize = 32;
/// Longest user name, as Linux has it.
const USER_BYTES_MAX: usize = 64;

/// How instances are spread, or whether only the room for them is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spread {
    /// By a strategy.
    By(Strategy),
    /// Nowhere: CalculateCapacity answers each node's capacity.
    Dummy,
}

/// A deploy as it was asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct DeployRequest {
    /// The app.
    pub app: AppName,
    /// What of the app runs.
    pub entrypoint: EntrypointName,
    /// Which nodes may be used; a deploy has a pod, CalculateCapacity need not.
    pub filter: NodeFilter,
    /// Whether it has an image.
    pub content: Content,
    /// What each instance is made from. Its labels are the user's and `ERU_META`.
    pub spec: WorkloadSpec,
    /// What each instance takes.
    pub resources: Resources,
    /// Volumes that each instance mounts; nothing of them is chosen by the scheduler.
    pub allotment: Allotment,
    /// Number of instances; for EACH and FILL on each node.
    pub count: u32,
    /// AUTO: most instances a node; FILL and EACH: number of nodes; 0 = no limit.
    pub nodes_limit: u32,
    /// How they are spread.
    pub spread: Spread,
    /// Names the deploy; empty = no name.
    pub op_id: String,
    /// On whose behalf.
    pub owner: Option<Owner>,
    /// Of the request, without op id and epoch.
    pub digest: String,
}

impl DeployRequest {
    /// Proves a deploy.
    ///
    /// # Errors
    /// [`Error::Invalid`] names the field and says what is allowed; [`Error::Unimplemented`] names a field that this
    /// version cannot do, rather than leaving it out silently.
    pub fn from_pb(options: &pb::DeployOptions) -> Result<Self> {
        Self::convert(options, true)
    }

    /// Proves the request of CalculateCapacity, which needs neither pod, image nor (for DUMMY) a count.
    ///
    /// # Errors
    /// As [`Self::from_pb`].
    pub fn for_capacity(options: &pb::DeployOptions) -> Result<Self> {
        Self::convert(options, false)
    }

    fn convert(options: &pb::DeployOptions, deploys: bool) -> Result<Self> {
        let Some(entrypoint) = &options.entrypoint else { return Err(Error::Invalid("No entry in spec".into())) };
        let app = AppName::new(&options.name)?;
        let pod = match options.podname.as_str() {
            "" if !deploys => None,
            name => Some(PodName::new(name)?),
        };
        if !options.image.is_empty() {
            image::check(&options.image)?;
        }
        let spread = spread(options.deploy_strategy)?;
        if deploys && spread == Spread::Dummy {
            return Err(Error::Invalid("deploy method not support yet".into()));
        }
        let count = if spread == Spread::Dummy { 1 } else { count(options.count)? };
        let entrypoint_name = entrypoint_name(&entrypoint.name)?;
        refuse_unavailable(options, entrypoint)?;
        let spec = spec(options, entrypoint)?;
        let content = if options.image.is_empty() { Content::Command } else { Content::Image };
        if deploys && content == Content::Command && spec.command.is_empty() {
            let text = "image is empty, and so is the entrypoint's command: give one of them".to_owned();
            return Err(Error::Invalid(text));
        }
        let nodes_limit = u32::try_from(options.nodes_limit)
            .map_err(|_| Error::Invalid(format!("nodes_limit must be 0 or more, got {}", options.nodes_limit)))?;
        let op_id = if options.op_id.is_empty() { String::new() } else { key_name("op_id", &options.op_id)? };
        Ok(Self {
            app,
            entrypoint: entrypoint_name,
            filter: node_filter(options, pod)?,
            content,
            spec,
            resources: resources(options.resource_opts.as_ref())?,
            allotment: Allotment::default(),
            count,
            nodes_limit,
            spread,
            op_id,
            owner: Owner::from_wire(&options.owner, options.owner_epoch)?,
            digest: digest(options),
        })
    }
}

/// What tells this request from another under the same op id. Maps are ordered, so equal requests encode equally.
fn digest(options: &pb::DeployOptions) -> String {
    let plain = pb::DeployOptions { op_id: String::new(), owner_epoch: 0, ..options.clone() };
    Sha1::digest(plain.encode_to_vec()).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn spread(strategy: i32) -> Result<Spread> {
    use pb::deploy_options::Strategy as Wire;
    Ok(match Wire::try_from(strategy) {
        Ok(Wire::Auto) => Spread::By(Strategy::Auto),
        Ok(Wire::Fill) => Spread::By(Strategy::Fill),
        Ok(Wire::Each) => Spread::By(Strategy::Each),
        Ok(Wire::Global) => Spread::By(Strategy::Global),
        Ok(Wire::Drained) => Spread::By(Strategy::Drained),
        Ok(Wire::Dummy) => Spread::Dummy,
        Err(_) => return Err(Error::Invalid(format!("deploy method not support yet: {strategy}"))),
    })
}

fn count(count: i32) -> Result<u32> {
    match count {
        0 => Err(Error::Invalid("count is 0".into())),
        ..0 => Err(Error::Invalid(format!("bad `Count` value: {count}"))),
        _ => u32::try_from(count)
            .ok()
            .filter(|count| *count <= DEPLOY_COUNT_MAX)
            .ok_or_else(|| Error::Invalid(format!("count must be between 1 and {DEPLOY_COUNT_MAX}, got {count}"))),
    }
}

fn entrypoint_name(name: &str) -> Result<EntrypointName> {
    if name.contains('_') {
        return Err(Error::Invalid(format!("entrypoint name has '_' character, got \"{}\"", excerpt(name))));
    }
    Ok(EntrypointName::new(name)?)
}

/// Fields that no runtime of this version understands. Each is named: what is left out silently is found out in
/// production.
fn refuse_unavailable(options: &pb::DeployOptions, entrypoint: &pb::EntrypointOptions) -> Result<()> {
    let hook = entrypoint.hook.as_ref().filter(|_| !options.ignore_hook);
    let resources = options.resource_opts.as_ref();
    let fields = [
        ("cpu_bind", resources.is_some_and(|r| r.cpu_bind)),
        ("volumes_limit", resources.is_some_and(|r| !r.volumes_limit.is_empty())),
        ("volumes_request", resources.is_some_and(|r| !r.volumes_request.is_empty())),
        ("entrypoint.hook.after_start", hook.is_some_and(|h| !h.after_start.is_empty())),
        ("entrypoint.hook.before_stop", hook.is_some_and(|h| !h.before_stop.is_empty())),
        ("entrypoint.log", entrypoint.log.as_ref().is_some_and(|log| !log.r#type.is_empty())),
        ("entrypoint.sysctls", !entrypoint.sysctls.is_empty()),
        ("after_create", !options.after_create.is_empty()),
        ("data", !options.data.is_empty()),
        ("dns", !options.dns.is_empty()),
        ("extra_hosts", !options.extra_hosts.is_empty()),
        ("raw_args", !options.raw_args.is_empty()),
        ("open_stdin", options.open_stdin),
        ("debug", options.debug),
    ];
    match fields.into_iter().find(|(_, given)| *given) {
        Some((field, _)) => Err(Error::Unimplemented(format!("{field} is not available in this version"))),
        None => Ok(()),
    }
}

fn spec(options: &pb::DeployOptions, entrypoint: &pb::EntrypointOptions) -> Result<WorkloadSpec> {
    Ok(WorkloadSpec {
        image: options.image.clone(),
        command: command(entrypoint, &options.extra_args)?,
        env: env(&options.env)?,
        labels: spec_labels(options, entrypoint)?,
        dir: dir(&entrypoint.dir)?,
        user: user(&options.user)?,
        networks: networks(&options.networks)?,
        publish: ports("entrypoint.publish", &entrypoint.publish)?,
        restart: restart(&entrypoint.restart)?,
        privileged: entrypoint.privileged,
        extras: eru_runtime::Extras::default(),
        hook: Hook::default(),
    })
}

fn command(entrypoint: &pb::EntrypointOptions, extra: &str) -> Result<Vec<String>> {
    check_len("entrypoint.commands", entrypoint.commands.len())?;
    let command = if entrypoint.commands.is_empty() {
        command_line::split(&format!("{} {extra}", entrypoint.command))?
    } else {
        entrypoint.commands.clone()
    };
    match command.iter().find(|part| part.contains('\0')) {
        Some(part) => Err(Error::Invalid(format!("entrypoint.command: \"{}\" holds a NUL", excerpt(part)))),
        None => Ok(command),
    }
}

fn env(env: &[String]) -> Result<Vec<String>> {
    check_len("env", env.len())?;
    for pair in env {
        if pair.contains('\0') || pair.split_once('=').is_none_or(|(name, _)| name.is_empty()) {
            return Err(Error::Invalid(format!("env: must be NAME=VALUE without NUL, got \"{}\"", excerpt(pair))));
        }
    }
    Ok(env.to_vec())
}

fn spec_labels(options: &pb::DeployOptions, entrypoint: &pb::EntrypointOptions) -> Result<Labels> {
    let health_check = entrypoint.healthcheck.as_ref().map(health_check).transpose()?;
    let publish = Some(entrypoint.publish.clone()).filter(|ports| !ports.is_empty());
    let mut labels = Labels::from_user(options.labels.clone().into_iter().collect())?;
    labels.set(labels::ERU_META, Meta { publish, health_check }.to_label());
    // Checked as a whole: the label of very many ports may be too long.
    Ok(Labels::new(labels.into_map())?)
}

fn health_check(check: &pb::HealthCheckOptions) -> Result<MetaHealthCheck> {
    let tcp_ports = ports("entrypoint.healthcheck.tcp_ports", &check.tcp_ports)?;
    if !check.http_port.is_empty() {
        ports("entrypoint.healthcheck.http_port", std::slice::from_ref(&check.http_port))?;
    }
    if !(check.code == 0 || (100..600).contains(&check.code)) {
        let text = format!("entrypoint.healthcheck.code must be 0 or 100 to 599, got {}", check.code);
        return Err(Error::Invalid(text));
    }
    if check.url.chars().any(char::is_control) || check.url.contains("://") {
        let text = format!("entrypoint.healthcheck.url must be a path, got \"{}\"", excerpt(&check.url));
        return Err(Error::Invalid(text));
    }
    Ok(MetaHealthCheck {
        tcp_ports: Some(tcp_ports).filter(|ports| !ports.is_empty()),
        http_port: check.http_port.clone(),
        http_url: check.url.clone(),
        http_code: check.code,
    })
}

fn ports(field: &str, ports: &[String]) -> Result<Vec<String>> {
    check_len(field, ports.len())?;
    match ports.iter().find(|port| !port.trim().parse::<u16>().is_ok_and(|port| port > 0)) {
        Some(port) => {
            Err(Error::Invalid(format!("{field}: must be a port from 1 to 65535, got \"{}\"", excerpt(port))))
        }
        None => Ok(ports.iter().map(|port| port.trim().to_owned()).collect()),
    }
}

fn dir(dir: &str) -> Result<String> {
    if dir.is_empty() || (dir.starts_with('/') && !dir.contains('\0')) {
        return Ok(dir.to_owned());
    }
    Err(Error::Invalid(format!("entrypoint.dir must be an absolute path, got \"{}\"", excerpt(dir))))
}

fn user(user: &str) -> Result<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':');
    if user.len() <= USER_BYTES_MAX && user.chars().all(plain) {
        return Ok(user.to_owned());
    }
    let text = format!(
        "user must be at most {USER_BYTES_MAX} letters, digits, '_', '-', '.' or ':', got \"{}\"",
        excerpt(user)
    );
    Err(Error::Invalid(text))
}

fn networks(networks: &BTreeMap<String, String>) -> Result<BTreeMap<String, String>> {
    if networks.len() > NETWORKS_LEN_MAX {
        return Err(Error::Invalid(format!("networks: at most {NETWORKS_LEN_MAX}, got {}", networks.len())));
    }
    for (name, address) in networks {
        key_name("networks", name)?;
        if !address.is_empty() && address.parse::<std::net::IpAddr>().is_err() {
            return Err(Error::Invalid(format!("bad IP address: {}", excerpt(address))));
        }
    }
    Ok(networks.clone())
}

fn restart(restart: &str) -> Result<String> {
    match restart.parse::<RestartPolicy>() {
        Ok(_) => Ok(restart.to_owned()),
        Err(error) => Err(Error::Invalid(format!("entrypoint.restart: {error}"))),
    }
}

fn node_filter(options: &pb::DeployOptions, pod: Option<PodName>) -> Result<NodeFilter> {
    let filter = options.node_filter.clone().unwrap_or_else(|| pb::NodeFilter {
        includes: options.nodenames.clone(),
        labels: options.nodelabels.clone(),
        ..pb::NodeFilter::default()
    });
    let names = |field: &str, names: &[String]| -> Result<Vec<NodeName>> {
        check_len(field, names.len())?;
        names.iter().map(|name| Ok(NodeName::new(name)?)).collect()
    };
    Ok(NodeFilter {
        pod,
        includes: names("nodenames", &filter.includes)?,
        excludes: names("node_filter.excludes", &filter.excludes)?,
        labels: Labels::new(filter.labels.into_iter().collect())?,
        all: filter.all,
    })
}

/// Resources as the wire carries them; absent = all zero.
pub(crate) fn resources(options: Option<&pb::ResourceOptions>) -> Result<Resources> {
    let Some(options) = options else { return Ok(Resources::default()) };
    Ok(Resources {
        memory_request: MemoryBytes::from_wire("Memory", options.memory_request)?,
        memory_limit: MemoryBytes::from_wire("Memory", options.memory_limit)?,
        cpu_request: CpuQuota::from_cores("resource_opts.cpu_quota_request", options.cpu_quota_request)?,
        cpu_limit: CpuQuota::from_cores("resource_opts.cpu_quota_limit", options.cpu_quota_limit)?,
        storage_request: MemoryBytes::from_wire("Storage", options.storage_request)?,
        storage_limit: MemoryBytes::from_wire("Storage", options.storage_limit)?,
    }
    .normalised())
}

fn check_len(field: &str, len: usize) -> Result<()> {
    if len > LIST_LEN_MAX {
        return Err(Error::Invalid(format!("{field}: {len} items (at most {LIST_LEN_MAX})")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> pb::DeployOptions {
        pb::DeployOptions {
            name: "a".into(),
            podname: "p".into(),
            image: "nginx".into(),
            count: 1,
            entrypoint: Some(pb::EntrypointOptions {
                name: "web".into(),
                command: "serve --port 80".into(),
                ..pb::EntrypointOptions::default()
            }),
            ..pb::DeployOptions::default()
        }
    }

    fn refused(change: impl FnOnce(&mut pb::DeployOptions)) -> String {
        let mut options = good();
        change(&mut options);
        DeployRequest::from_pb(&options).expect_err("it was to be refused").to_string()
    }

    fn entry(options: &mut pb::DeployOptions) -> &mut pb::EntrypointOptions {
        options.entrypoint.as_mut().expect("`good` has one")
    }

    fn resource(options: &mut pb::DeployOptions) -> &mut pb::ResourceOptions {
        options.resource_opts.get_or_insert_default()
    }

    #[test]
    fn a_good_one_passes_and_absent_resources_are_zero() {
        let request = DeployRequest::from_pb(&good()).unwrap();
        assert_eq!(request.spec.command, ["serve", "--port", "80"]);
        assert_eq!(request.resources, Resources::default());
        assert_eq!(request.spec.labels.get("ERU_META"), Some(r#"{"Publish":null,"HealthCheck":null}"#));
        let with_op = pb::DeployOptions { op_id: "op".into(), ..good() };
        assert_eq!(DeployRequest::from_pb(&with_op).unwrap().digest, request.digest);
        let other = pb::DeployOptions { count: 2, ..good() };
        assert_ne!(DeployRequest::from_pb(&other).unwrap().digest, request.digest);
    }

    #[test]
    fn the_original_texts() {
        assert_eq!(refused(|o| o.entrypoint = None), "No entry in spec");
        assert_eq!(refused(|o| o.name.clear()), "app name is empty");
        assert_eq!(refused(|o| o.podname.clear()), "pod name is empty");
        assert_eq!(refused(|o| o.count = 0), "count is 0");
        assert_eq!(refused(|o| o.count = -1), "bad `Count` value: -1");
        assert_eq!(refused(|o| entry(o).name.clear()), "entrypoint name is empty");
        assert!(refused(|o| entry(o).name = "a_b".into()).starts_with("entrypoint name has '_' character"));
        assert_eq!(refused(|o| o.deploy_strategy = 99), "deploy method not support yet");
        let memory = refused(|o| resource(o).memory_limit = -1);
        assert_eq!(memory, "limit or request less than 0: bad `Memory` value");
        assert!(refused(|o| *o = pb::DeployOptions::default()).starts_with("No entry in spec"));
    }

    #[test]
    fn bounds_are_named_and_values_quoted() {
        type Change = fn(&mut pb::DeployOptions);
        let cases: [(Change, &str); 22] = [
            (|o| o.count = 10_001, "count must be between 1 and 10000, got 10001"),
            (|o| o.name = "../x".into(), "app name must be"),
            (|o| o.image = "A/B".into(), "image: \"A/B\""),
            (|o| o.nodes_limit = -1, "nodes_limit must be 0 or more, got -1"),
            (|o| o.env = vec!["NOVALUE".into()], "env: must be NAME=VALUE without NUL, got \"NOVALUE\""),
            (|o| o.env = vec!["A=\0".into()], "env: must be NAME=VALUE without NUL, got \"A=\\0\""),
            (|o| o.env = vec!["A=1".into(); 10_001], "env: 10001 items (at most 10000)"),
            (|o| drop(o.labels.insert("ERU".into(), "1".into())), "key \"ERU\" is reserved"),
            (|o| entry(o).dir = "x/y".into(), "entrypoint.dir must be an absolute path, got \"x/y\""),
            (|o| entry(o).publish = vec!["http".into()], "entrypoint.publish: must be a port"),
            (|o| entry(o).restart = "often".into(), "entrypoint.restart:"),
            (|o| entry(o).command = "a 'b".into(), "quote ' is not closed"),
            (|o| o.user = "a b".into(), "user must be"),
            (|o| drop(o.networks.insert("n".into(), "999.1.1.1".into())), "bad IP address: 999.1.1.1"),
            (|o| o.nodenames = vec!["a/b".into()], "node name must be"),
            (|o| o.op_id = "a/b".into(), "op_id must be"),
            (|o| o.owner_epoch = 1, "owner_epoch needs owner"),
            (|o| o.deploy_strategy = 7, "deploy method not support yet"),
            (|o| resource(o).cpu_quota_limit = f64::NAN, "resource_opts.cpu_quota_limit must be 0 to 4096 cores"),
            (|o| resource(o).storage_request = -1, "bad `Storage` value"),
            (|o| resource(o).cpu_bind = true, "cpu_bind is not available in this version"),
            (|o| drop(o.data.insert("/x".into(), Default::default())), "data is not available in this version"),
        ];
        for (change, part) in cases {
            let text = refused(change);
            assert!(text.contains(part), "{text:?} lacks {part:?}");
        }
        let nothing = refused(|o| {
            o.image.clear();
            entry(o).command.clear();
        });
        assert!(nothing.starts_with("image is empty"), "{nothing}");
    }

    #[test]
    fn capacity_needs_less() {
        let options =
            pb::DeployOptions { podname: String::new(), image: String::new(), deploy_strategy: 99, count: 0, ..good() };
        assert_eq!(DeployRequest::for_capacity(&options).unwrap().spread, Spread::Dummy);
        let options = pb::DeployOptions { deploy_strategy: 0, count: 0, ..good() };
        assert!(DeployRequest::for_capacity(&options).is_err());
    }
}
