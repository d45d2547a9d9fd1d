//! The `replicaset` section.

use super::app::labels;
use crate::core::read::sub;
use crate::read::{At, Read, Section};
use crate::value::ByteSize;
use crate::yaml::Value;
use eru_types::limits::DEPLOY_COUNT_MAX;
use eru_types::spec::{EnvVar, ReplicaSetSection, SetResources, StrategySection};
use eru_types::{CpuQuota, EntrypointName, MemoryBytes};
use std::time::Duration;

/// The least processor time that a kernel can give out: a hundredth of a core.
const CORES_MIN: f64 = 0.01;

/// `whole` says whether `names` are all of the spec's entrypoints; if not, the section is not blamed for it.
pub(super) fn read(at: At<'_>, names: &[EntrypointName], whole: bool) -> Option<ReplicaSetSection> {
    let mut s = at.section()?;
    let entrypoint = entrypoint(&mut s, names, whole);
    let section = ReplicaSetSection {
        name: s.with("name", |at| at.name()),
        count: s.with("count", |at| at.number(0..=i64::from(DEPLOY_COUNT_MAX))).map_or(1, |n| n as u32),
        pod: s.with("pod", |at| at.name()),
        image: s.with("image", image).unwrap_or_default(),
        resources: sub(&mut s, "resources", resources),
        env: s.with("env", env).unwrap_or_default(),
        network: s.with("network", |at| if at.text()?.is_empty() { None } else { at.parse() }),
        nodelabels: s.with("nodelabels", labels).unwrap_or_default(),
        strategy: sub(&mut s, "strategy", strategy),
        entrypoint: match entrypoint {
            Some(name) => name,
            None => {
                s.end();
                return None;
            }
        },
    };
    s.end();
    Some(section)
}

fn entrypoint(s: &mut Section<'_>, names: &[EntrypointName], whole: bool) -> Option<EntrypointName> {
    let list = || names.iter().map(|n| n.as_str()).collect::<Vec<_>>().join(", ");
    if !s.has("entrypoint") {
        s.know(&["entrypoint"]);
        return match names {
            [name] => Some(name.clone()),
            _ if !whole => None,
            _ => {
                s.error("entrypoint", format!("must be given when the spec has several, one of {}", list()));
                None
            }
        };
    }
    s.with("entrypoint", |at| {
        let name: EntrypointName = at.name()?;
        if whole && !names.contains(&name) {
            return at.refuse(format!("\"{name}\" is not an entrypoint of this spec, which has {}", list()));
        }
        Some(name)
    })
}

fn image(at: At<'_>) -> Option<String> {
    let text = String::read(at)?;
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) { at.refuse_kind("an image name") } else { Some(text) }
}

fn resources(s: &mut Section<'_>) -> SetResources {
    let bytes = |at: At<'_>| ByteSize::read(at).map(|size| MemoryBytes(size.0));
    SetResources {
        cpu: s.with("cpu", cpu).unwrap_or_default(),
        memory: s.with("memory", bytes).unwrap_or_default(),
        storage: s.with("storage", bytes).unwrap_or_default(),
    }
}

fn cpu(at: At<'_>) -> Option<CpuQuota> {
    let cores = match &at.node.value {
        Value::Text(text) => text.parse::<f64>().ok(),
        _ => None,
    };
    match cores.filter(|c| *c == 0.0 || *c >= CORES_MIN).map(|c| CpuQuota::from_cores("cpu", c)) {
        Some(Ok(quota)) => Some(quota),
        _ => at.refuse_kind("0 or between 0.01 and 4096 cores"),
    }
}

/// A mapping of names to values, or a list of `NAME=VALUE`.
fn env(at: At<'_>) -> Option<Vec<EnvVar>> {
    if let Value::List(_) = at.node.value {
        return at.items(|at| at.parse());
    }
    let pairs = at.pairs(|entry, value| {
        let text = match &value.node.value {
            Value::Null => String::new(),
            _ => String::read(value)?,
        };
        EnvVar::new(&entry.key, &text).map_or_else(|error| value.refuse(error.to_string()), Some)
    })?;
    Some(pairs.into_iter().map(|(_, variable)| variable).collect())
}

fn strategy(s: &mut Section<'_>) -> StrategySection {
    let deadline = |at: At<'_>| match Duration::read(at)? {
        Duration::ZERO => at.refuse_kind("more than 0s"),
        duration => Some(duration),
    };
    StrategySection {
        min_healthy: s.get("min_healthy"),
        healthy_deadline: s.with("healthy_deadline", deadline),
        unhealthy_after: s.get("unhealthy_after"),
        return_settle: s.get("return_settle"),
        keep: s.with("keep", |at| at.parse()),
    }
}
