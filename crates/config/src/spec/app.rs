//! The whole spec.

use super::{entrypoint, replicaset};
use crate::read::{At, Section};
use eru_types::spec::{AppSpec, Entrypoint};
use eru_types::volume::Volume;
use eru_types::{AppName, EntrypointName, Labels};
use std::collections::BTreeMap;
use std::net::IpAddr;

pub(super) fn read(s: &mut Section<'_>) -> Option<AppSpec> {
    let appname = s.with("appname", |at| at.name::<AppName>());
    if !s.has("appname") {
        s.error("appname", "is missing: every spec names its app");
    }
    let entrypoints = s.with("entrypoints", entrypoints);
    if !s.has("entrypoints") {
        s.error("entrypoints", "is missing: at least one entrypoint is needed");
    }
    let volumes = s.with("volumes", |at| at.one_or_more(volume)).unwrap_or_default();
    let volumes_request = s.with("volumes_request", |at| at.one_or_more(volume)).unwrap_or_default();
    if !volumes_request.is_empty() && volumes_request.len() != volumes.len() {
        let entries = if volumes_request.len() == 1 { "entry" } else { "entries" };
        let (request_len, volumes_len) = (volumes_request.len(), volumes.len());
        s.error("volumes_request", format!("{request_len} {entries}, volumes: {volumes_len}; lists must pair up"));
    }
    let labels = s.with("labels", labels).unwrap_or_default();
    let dns = s.with("dns", |at| at.one_or_more(name_server)).unwrap_or_default();
    let extra_hosts = s.with("extra_hosts", |at| at.one_or_more(extra_host)).unwrap_or_default();
    // A key of old specs that means nothing to anyone.
    s.know(&["log_config"]);
    let names: Vec<EntrypointName> = entrypoints.iter().flat_map(|e| e.keys().cloned()).collect();
    let whole = entrypoints.is_some();
    let set = s.with("replicaset", |at| replicaset::read(at, &names, whole));
    Some(AppSpec {
        appname: appname?,
        entrypoints: entrypoints?,
        volumes,
        volumes_request,
        labels,
        dns,
        extra_hosts,
        replicaset: set,
    })
}

fn entrypoints(at: At<'_>) -> Option<BTreeMap<EntrypointName, Entrypoint>> {
    let mut names_good = true;
    let pairs = at.pairs(|entry, value| {
        if entry.key.contains('_') {
            let name = eru_types::name::excerpt(&entry.key);
            at.refuse_at::<()>(&entry.origin, format!("name \"{name}\" must not contain \"_\""));
            names_good = false;
        } else if let Err(error) = EntrypointName::new(&entry.key) {
            at.refuse_at::<()>(&entry.origin, error.to_string());
            names_good = false;
        }
        entrypoint::read(value)
    })?;
    if pairs.is_empty() {
        return at.refuse("at least one entrypoint is needed");
    }
    if !names_good {
        return None;
    }
    pairs.into_iter().map(|(name, entrypoint)| Some((EntrypointName::new(name).ok()?, entrypoint))).collect()
}

fn volume(at: At<'_>) -> Option<Volume> {
    super::volume(at.text()?).map_or_else(|message| at.refuse(message), Some)
}

pub(super) fn labels(at: At<'_>) -> Option<Labels> {
    let map = <BTreeMap<String, String> as crate::read::Read>::read(at)?;
    Labels::from_user(map).map_err(|error| at.refuse::<()>(strip(&error.to_string()))).ok()
}

/// The message without the field that the path names already.
fn strip(message: &str) -> String {
    message.strip_prefix("labels: ").unwrap_or(message).to_owned()
}

fn name_server(at: At<'_>) -> Option<String> {
    let text = at.text()?;
    if text.parse::<IpAddr>().is_ok() { Some(text.to_owned()) } else { at.refuse_kind("an IP address") }
}

fn extra_host(at: At<'_>) -> Option<String> {
    let text = at.text()?;
    let good = text.split_once(':').is_some_and(|(name, address)| {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        !name.is_empty() && name.chars().all(plain) && (address == "host-gateway" || address.parse::<IpAddr>().is_ok())
    });
    if good { Some(text.to_owned()) } else { at.refuse_kind("NAME:ADDRESS") }
}
