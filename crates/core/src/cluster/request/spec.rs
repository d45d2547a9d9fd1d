//! What a workload is made from.

use super::{check_len, entrypoint, extras};
use crate::{
    cluster::{Error, Result, fence::key_name},
    record::WorkloadSpec,
};
use eru_api::pb;
use eru_runtime::RestartPolicy;
use eru_types::{Labels, labels, meta::Meta, name::excerpt};
use std::collections::BTreeMap;

/// Most networks of one workload.
const NETWORKS_LEN_MAX: usize = 32;
/// Longest user name, as Linux has it.
const USER_BYTES_MAX: usize = 64;

pub(super) fn spec(options: &pb::DeployOptions, entrypoint: &pb::EntrypointOptions) -> Result<WorkloadSpec> {
    Ok(WorkloadSpec {
        image: options.image.clone(),
        command: entrypoint::command(entrypoint, &options.extra_args)?,
        env: env(&options.env)?,
        labels: spec_labels(options, entrypoint)?,
        dir: dir(&entrypoint.dir)?,
        user: user(&options.user)?,
        networks: networks(&options.networks)?,
        publish: entrypoint::ports("entrypoint.publish", &entrypoint.publish)?,
        restart: restart(&entrypoint.restart)?,
        privileged: entrypoint.privileged,
        extras: extras::extras(options, entrypoint)?,
        hook: entrypoint::hook(options, entrypoint)?,
        lambda: false,
    })
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
    let health_check = entrypoint.healthcheck.as_ref().map(entrypoint::health_check).transpose()?;
    let publish = Some(entrypoint.publish.clone()).filter(|ports| !ports.is_empty());
    let mut labels = Labels::from_user(options.labels.clone().into_iter().collect())?;
    labels.set(labels::ERU_META, Meta { publish, health_check }.to_label());
    // Checked as a whole: the label of very many ports may be too long.
    Ok(Labels::new(labels.into_map())?)
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
