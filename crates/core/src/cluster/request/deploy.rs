//! The request as a whole.

use super::{check_len, entrypoint, files, resources, spec};
use crate::{
    cluster::{
        Error, Result,
        fence::{Owner, key_name},
        image,
    },
    record::WorkloadSpec,
};
use eru_api::pb;
use eru_runtime::SentFile;
use eru_scheduler::{Content, NodeFilter, Strategy};
use eru_types::{
    Allotment, AppName, Demand, EntrypointName, Labels, NodeName, PodName, Resources, labels::LABEL_KEY_BYTES_MAX,
    limits::DEPLOY_COUNT_MAX, name::excerpt,
};
use prost::Message;
use sha1::{Digest, Sha1};
use std::{collections::BTreeSet, sync::Arc};

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
    /// Whether it has an image, a command, or (for the room alone) neither.
    pub content: Content,
    /// What each instance is made from. Its labels are the user's and `ERU_META`.
    pub spec: WorkloadSpec,
    /// What each instance takes.
    pub resources: Resources,
    /// Volumes that each instance mounts; which devices the scheduled ones are on is decided by the plan.
    pub allotment: Allotment,
    /// The same two as the scheduler takes them.
    pub demand: Arc<Demand>,
    /// The label of the nodes whose values the instances are spread over; empty = none.
    pub spread_label: String,
    /// Most instances of the app's entrypoint on one node; 0 = no limit.
    pub node_max: u32,
    /// Files that each instance gets before it is started. They are kept nowhere: who dies before they are in place leaves
    /// a workload that is undone.
    pub files: Arc<[SentFile]>,
    /// Hooks of workloads that are stopped for it are left out as well.
    pub ignores_hook: bool,
    /// Its output goes where the configuration says (`docker.log`).
    pub debug: bool,
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

    /// Proves the deploy of a replacement: the pod need not be named, no count is one, how it spreads does not matter, and
    /// resources are those of the workload that is replaced.
    ///
    /// # Errors
    /// As [`Self::from_pb`].
    pub fn for_replace(options: &pb::DeployOptions) -> Result<Self> {
        let options = pb::DeployOptions {
            deploy_strategy: pb::deploy_options::Strategy::Auto.into(),
            count: if options.count == 0 { 1 } else { options.count },
            resource_opts: None,
            ..options.clone()
        };
        Self::prove(&options, !options.podname.is_empty(), true)
    }

    fn convert(options: &pb::DeployOptions, deploys: bool) -> Result<Self> {
        Self::prove(options, deploys, deploys)
    }

    fn prove(options: &pb::DeployOptions, needs_pod: bool, deploys: bool) -> Result<Self> {
        let Some(entrypoint) = &options.entrypoint else { return Err(Error::Invalid("No entry in spec".into())) };
        let app = AppName::new(&options.name)?;
        let pod = match options.podname.as_str() {
            "" if !needs_pod => None,
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
        let entrypoint_name = entrypoint::name(&entrypoint.name)?;
        let spec = spec::spec(options, entrypoint)?;
        let demand = resources::given(options.resource_opts.as_ref())?;
        let content = match (options.image.is_empty(), spec.command.is_empty()) {
            (false, _) => Content::Image,
            (true, false) => Content::Command,
            (true, true) if deploys => {
                let text = "image is empty, and so is the entrypoint's command: give one of them".to_owned();
                return Err(Error::Invalid(text));
            }
            // As clients of the original ask for the room of a pod.
            (true, true) => Content::Any,
        };
        let nodes_limit = u32::try_from(options.nodes_limit)
            .map_err(|_| Error::Invalid(format!("nodes_limit must be 0 or more, got {}", options.nodes_limit)))?;
        let op_id = if options.op_id.is_empty() { String::new() } else { key_name("op_id", &options.op_id)? };
        Ok(Self {
            app,
            entrypoint: entrypoint_name,
            filter: node_filter(options, pod)?,
            content,
            spec,
            resources: demand.resources,
            allotment: Allotment {
                volumes_request: demand.volumes_request.clone(),
                volumes_limit: demand.volumes_limit.clone(),
                ..Allotment::default()
            },
            demand: Arc::new(demand),
            spread_label: spread_label(&options.spread_label)?,
            node_max: u32::try_from(options.max_per_node)
                .map_err(|_| Error::Invalid(format!("max_per_node must be 0 or more, got {}", options.max_per_node)))?,
            files: files::files(&options.data, &options.modes, &options.owners)?.into(),
            ignores_hook: options.ignore_hook,
            debug: options.debug,
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
    hex_digest(&plain.encode_to_vec())
}

pub(crate) fn hex_digest(bytes: &[u8]) -> String {
    Sha1::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
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

fn spread_label(key: &str) -> Result<String> {
    if !key.is_empty() {
        // What no node can carry is a slip, and would otherwise read as "no node has it".
        Labels::new([(key.to_owned(), String::new())].into()).map_err(|_| {
            Error::Invalid(format!(
                "spread_label must be the key of a label of nodes, such as \"zone\" (1 to {LABEL_KEY_BYTES_MAX} printable \
                 characters without '='), got \"{}\"",
                excerpt(key)
            ))
        })?;
    }
    Ok(key.to_owned())
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

fn node_filter(options: &pb::DeployOptions, pod: Option<PodName>) -> Result<NodeFilter> {
    let filter = options.node_filter.clone().unwrap_or_else(|| pb::NodeFilter {
        includes: options.nodenames.clone(),
        labels: options.nodelabels.clone(),
        ..pb::NodeFilter::default()
    });
    let names = |field: &str, names: &[String]| -> Result<BTreeSet<NodeName>> {
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
