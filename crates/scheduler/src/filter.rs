//! Which nodes may be used at all.

use crate::{Content, NodeFilter, NodeSnapshot, Readiness, Refusal, RefusalKind, Request};
use std::collections::{BTreeMap, HashMap, HashSet};

/// The nodes that the request may use, by name.
pub(crate) fn candidates<'a>(nodes: &[&'a NodeSnapshot], request: &Request) -> Result<Vec<&'a NodeSnapshot>, Refusal> {
    let filter = &request.filter;
    if let Some(both) = filter.includes.iter().find(|n| filter.excludes.contains(n)) {
        let text = format!("node_filter: \"{both}\" is both included and excluded");
        return Err(Refusal::new(RefusalKind::Invalid, text));
    }
    let mut chosen = if filter.includes.is_empty() { by_labels(nodes, filter)? } else { by_name(nodes, filter)? };
    chosen.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    chosen.dedup_by(|a, b| a.name == b.name);
    let before = chosen.len();
    chosen.retain(|n| runs(n, request.content));
    if chosen.is_empty() {
        return Err(Refusal::new(RefusalKind::NoNode, wrong_kind(request.content, before)));
    }
    Ok(chosen)
}

/// Whether the node can run this at all.
fn runs(node: &NodeSnapshot, content: Content) -> bool {
    match content {
        Content::Image => node.runs_images,
        Content::Command => node.runs_commands,
    }
}

fn wrong_kind(content: Content, nodes: usize) -> String {
    match content {
        Content::Image => format!(
            "not enough nodes: a workload with an image needs a node that runs images, and none of the {nodes} nodes does; \
             leave the image out to run a plain command"
        ),
        Content::Command => format!(
            "not enough nodes: a workload without an image needs a node that runs plain commands, and none of the {nodes} \
             nodes does; give an image"
        ),
    }
}

fn by_name<'a>(nodes: &[&'a NodeSnapshot], filter: &NodeFilter) -> Result<Vec<&'a NodeSnapshot>, Refusal> {
    let known: HashMap<_, _> = nodes.iter().map(|n| (&n.name, *n)).collect();
    let mut chosen = Vec::with_capacity(filter.includes.len());
    for name in &filter.includes {
        let Some(node) = known.get(name) else {
            return Err(Refusal::new(RefusalKind::UnknownNode, format!("node \"{name}\" does not exist")));
        };
        if let Some(pod) = filter.pod.as_ref().filter(|p| **p != node.pod) {
            let text = format!("node \"{name}\" is in pod \"{}\", not in pod \"{pod}\"", node.pod);
            return Err(Refusal::new(RefusalKind::NoNode, text));
        }
        chosen.push(*node);
    }
    Ok(chosen)
}

fn by_labels<'a>(nodes: &[&'a NodeSnapshot], filter: &NodeFilter) -> Result<Vec<&'a NodeSnapshot>, Refusal> {
    let excludes: HashSet<_> = filter.excludes.iter().collect();
    let mut dropped: BTreeMap<&'static str, usize> = BTreeMap::new();
    let mut chosen = Vec::new();
    for node in nodes.iter().filter(|n| filter.pod.as_ref().is_none_or(|p| *p == n.pod)) {
        let why = if excludes.contains(&node.name) {
            "excluded"
        } else if !node.labels.contains_all(&filter.labels) {
            "without the wanted labels"
        } else if !filter.all && node.readiness != Readiness::Ready {
            node.readiness.as_str()
        } else {
            chosen.push(*node);
            continue;
        };
        *dropped.entry(why).or_default() += 1;
    }
    if !chosen.is_empty() {
        return Ok(chosen);
    }
    let place = filter.pod.as_ref().map_or_else(|| "the cluster".to_owned(), |p| format!("pod \"{p}\""));
    let reasons: Vec<_> = dropped.iter().map(|(why, n)| format!("{n} {why}")).collect();
    let text = if reasons.is_empty() {
        format!("not enough nodes: {place} has no nodes")
    } else {
        format!("not enough nodes: no node of {place} may be used: {}", reasons.join(", "))
    };
    Err(Refusal::new(RefusalKind::NoNode, text))
}
