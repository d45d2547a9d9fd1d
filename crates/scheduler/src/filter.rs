//! Which nodes may be used at all.

use crate::{
    Content, NodeFilter, NodeSnapshot, Readiness, Refusal, RefusalKind, Request,
    reason::{Cause, ReasonKind, Tally},
};
use eru_types::NodeName;
use std::collections::HashMap;

/// The nodes that the request is about, and those of them that it may use, by name.
pub(crate) struct Candidates<'a> {
    /// Those of the pod, or those that are named.
    pub(crate) all: Vec<&'a NodeSnapshot>,
    /// Those that may be used.
    pub(crate) usable: Vec<&'a NodeSnapshot>,
}

/// Finds them.
pub(crate) fn candidates<'a>(nodes: &[&'a NodeSnapshot], request: &Request) -> Result<Candidates<'a>, Refusal> {
    let filter = &request.filter;
    if let Some(both) = filter.includes.intersection(&filter.excludes).next() {
        let text = format!("node_filter: \"{both}\" is both included and excluded");
        return Err(Refusal::new(RefusalKind::Invalid, text));
    }
    let mut all = if filter.includes.is_empty() { of_pod(nodes, filter) } else { by_name(nodes, filter)? };
    let in_order = |pair: &[&NodeSnapshot]| pair[0].name < pair[1].name;
    if !all.windows(2).all(in_order) {
        all.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        all.dedup_by(|a, b| a.name == b.name);
    }
    let usable: Vec<&NodeSnapshot> = all.iter().filter(|node| obstacle(node, request).is_none()).copied().collect();
    if usable.is_empty() {
        return Err(nothing_usable(&all, request));
    }
    Ok(Candidates { all, usable })
}

/// Why the request may not use `node`, whatever it has left.
pub(crate) fn obstacle(node: &NodeSnapshot, request: &Request) -> Option<ReasonKind> {
    let filter = &request.filter;
    let runs = match request.content {
        Content::Image => node.runs_images,
        Content::Command => node.runs_commands,
        Content::Any => node.runs_images || node.runs_commands,
    };
    if filter.includes.is_empty() {
        if filter.excludes.contains(&node.name) {
            return Some(ReasonKind::Excluded);
        }
        if !node.labels.contains_all(&filter.labels) {
            return Some(ReasonKind::Labels);
        }
        match node.readiness {
            Readiness::Ready => {}
            _ if filter.all => {}
            Readiness::Bypassed => return Some(ReasonKind::Bypassed),
            Readiness::Suspect => return Some(ReasonKind::Suspect),
            Readiness::Unwatched => return Some(ReasonKind::Unwatched),
            Readiness::Lost => return Some(ReasonKind::Lost),
        }
    }
    if !runs {
        let some = node.runs_images || node.runs_commands;
        return Some(if some { ReasonKind::Content } else { ReasonKind::NoRuntime });
    }
    if !request.spread_label.is_empty() && node.labels.get(&request.spread_label).is_none() {
        return Some(ReasonKind::SpreadLabel);
    }
    None
}

/// The same in words.
pub(crate) fn cause(node: &NodeSnapshot, request: &Request) -> Option<Cause> {
    let kind = obstacle(node, request)?;
    let text = match kind {
        ReasonKind::Labels => "without the wanted labels".to_owned(),
        ReasonKind::SpreadLabel => format!("without the label \"{}\"", request.spread_label.escape_debug()),
        ReasonKind::NoRuntime => "no runtime".to_owned(),
        ReasonKind::Content if request.content == Content::Image => "runs plain commands, not images".to_owned(),
        ReasonKind::Content => "runs images, not plain commands".to_owned(),
        _ => kind.as_str().to_owned(),
    };
    Some(Cause::new(kind, text))
}

fn by_name<'a>(nodes: &[&'a NodeSnapshot], filter: &NodeFilter) -> Result<Vec<&'a NodeSnapshot>, Refusal> {
    let named = nodes.iter().filter(|node| filter.includes.contains(&node.name));
    let known: HashMap<&NodeName, &NodeSnapshot> = named.map(|node| (&node.name, *node)).collect();
    let mut chosen = Vec::with_capacity(filter.includes.len());
    for name in &filter.includes {
        let Some(node) = known.get(name).copied() else {
            return Err(Refusal::new(RefusalKind::UnknownNode, format!("node \"{name}\" does not exist")));
        };
        if let Some(pod) = filter.pod.as_ref().filter(|p| **p != node.pod) {
            let text = format!("node \"{name}\" is in pod \"{}\", not in pod \"{pod}\"", node.pod);
            return Err(Refusal::new(RefusalKind::NoNode, text));
        }
        chosen.push(node);
    }
    Ok(chosen)
}

fn of_pod<'a>(nodes: &[&'a NodeSnapshot], filter: &NodeFilter) -> Vec<&'a NodeSnapshot> {
    nodes.iter().filter(|n| filter.pod.as_ref().is_none_or(|p| *p == n.pod)).copied().collect()
}

fn nothing_usable(all: &[&NodeSnapshot], request: &Request) -> Refusal {
    let place = request.filter.pod.as_ref().map_or_else(|| "the cluster".to_owned(), |p| format!("pod \"{p}\""));
    if all.is_empty() {
        return Refusal::new(RefusalKind::NoNode, format!("not enough nodes: {place} has no nodes"));
    }
    let mut tally = Tally::default();
    all.iter().filter_map(|node| cause(node, request)).for_each(|cause| tally.add(cause));
    let hint = if all.iter().all(|node| obstacle(node, request) == Some(ReasonKind::Content)) {
        match request.content {
            Content::Image => " (leave the image out to run a plain command)",
            Content::Command => " (give an image)",
            Content::Any => "",
        }
    } else {
        ""
    };
    let text = format!("not enough nodes: no node of {place} may be used{hint}");
    Refusal::new(RefusalKind::NoNode, text).because(tally.reasons())
}
