//! From nodes and a request to a plan.

use crate::{
    Assignment, CoreRun, NodeSnapshot, Reason, Refusal, Request, Share, Strategy,
    filter::{self, candidates},
    reason::{Cause, ReasonKind, Tally},
    resource::{self, Asker},
    strategy::{self, Slot},
};
use eru_types::{Allotment, AppName, Demand, EntrypointName, NodeName};
use std::sync::Arc;

/// Where the instances of one request go, and what each holds there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// By node, in the order of their names; nodes that get nothing are not named.
    pub assignments: Vec<Assignment>,
    /// What each instance takes.
    pub demand: Arc<Demand>,
    /// How cores are cut.
    pub share: Share,
}

impl Plan {
    /// Number of instances.
    pub fn count(&self) -> u64 {
        self.assignments.iter().map(|a| u64::from(a.count)).sum()
    }

    /// What each instance of an assignment holds by name. Equal ones are one.
    pub fn allotments(&self, assignment: &Assignment) -> Vec<Arc<Allotment>> {
        assignment.allotments(&self.demand, &self.share)
    }
}

/// Decides where the instances of `request` go. `nodes` are all that may be meant, in any order.
///
/// # Errors
/// [`Refusal`] says which nodes were looked at and what they lack.
///
/// # Cost
/// n log n in the number of nodes and of their cores, whatever the number of instances. Nodes in the order of their names
/// are not sorted.
pub fn plan(nodes: &[&NodeSnapshot], request: &Request) -> Result<Plan, Refusal> {
    let mut planning = Planning::new(nodes, request)?;
    let added = planning.spread()?;
    let mut assignments = Vec::with_capacity(added.iter().filter(|count| **count > 0).count());
    for (i, count) in added.into_iter().enumerate().filter(|(_, count)| *count > 0) {
        assignments.push(planning.assign(planning.nodes[i], count));
    }
    Ok(Plan { assignments, demand: request.demand.clone(), share: request.share })
}

/// How many instances each node can take, whatever the strategy and the count. Nodes that can take none are not named.
///
/// # Errors
/// As [`plan`].
pub fn capacities(nodes: &[&NodeSnapshot], request: &Request) -> Result<Vec<(NodeName, u64)>, Refusal> {
    let planning = Planning::new(nodes, request)?;
    let named = planning.nodes.iter().zip(&planning.slots).filter(|(_, slot)| slot.capacity > 0);
    Ok(named.map(|(node, slot)| (node.name.clone(), slot.capacity)).collect())
}

/// What a node can take, and what it gets.
#[derive(Debug, Clone, PartialEq)]
pub struct Room {
    /// The node.
    pub node: NodeName,
    /// New instances that it can take.
    pub capacity: u64,
    /// Instances of the app's entrypoint that it has.
    pub existing: u64,
    /// New instances that it gets.
    pub added: u64,
    /// Which part of it is used, by what the request is about; told for GLOBAL and DRAINED, which go by it.
    pub usage: f64,
    /// Its value of the label that instances are spread over; empty = they are not spread over one.
    pub zone: String,
}

/// What a plan is made from: the nodes that can take some, by name, and why the others cannot.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// The nodes that can take some.
    pub rooms: Vec<Room>,
    /// Why the others cannot.
    pub reasons: Vec<Reason>,
}

/// Says what [`plan`] goes by: what each node can take and, if `spreads`, how many it gets.
///
/// # Errors
/// As [`plan`].
pub fn explain(nodes: &[&NodeSnapshot], request: &Request, spreads: bool) -> Result<Explanation, Refusal> {
    let mut planning = Planning::new(nodes, request)?;
    let added = if spreads { planning.spread()? } else { vec![0; planning.nodes.len()] };
    let room = |((node, slot), added): ((&&NodeSnapshot, &Slot), u64)| Room {
        node: node.name.clone(),
        capacity: slot.capacity,
        existing: slot.count,
        added,
        usage: slot.usage,
        zone: node.labels.get(&request.spread_label).unwrap_or_default().to_owned(),
    };
    let rooms = planning.nodes.iter().zip(&planning.slots).zip(added).map(room).collect();
    Ok(Explanation { rooms, reasons: planning.reasons() })
}

/// A request on its way.
struct Planning<'a> {
    asker: Asker<'a>,
    /// All that the request is about.
    all: Vec<&'a NodeSnapshot>,
    /// Those that may be used and have room (or, for FILL, have enough instances already), by name.
    nodes: Vec<&'a NodeSnapshot>,
    slots: Vec<Slot>,
    key: (AppName, EntrypointName),
}

impl<'a> Planning<'a> {
    fn new(nodes: &[&'a NodeSnapshot], request: &'a Request) -> Result<Self, Refusal> {
        let mut asker = Asker::new(request)?;
        let found = candidates(nodes, request)?;
        let key = (request.app.clone(), request.entrypoint.clone());
        let (mut nodes, mut slots) = (Vec::new(), Vec::new());
        let mut room = false;
        for node in &found.usable {
            let count = u64::from(node.count(&key));
            let capacity = asker.capacity(node).min(left(request.node_max, count));
            room |= capacity > 0;
            let filled = request.strategy == Strategy::Fill && count >= u64::from(request.count);
            if capacity > 0 || filled {
                nodes.push(*node);
                slots.push(Slot { capacity, count, ..Slot::default() });
            }
        }
        let mut planning = Self { asker, all: found.all, nodes, slots, key };
        if !room && !planning.is_filled() {
            let refusal = planning.nothing_left(&found.usable);
            let reasons = planning.reasons();
            return Err(refusal.because(reasons));
        }
        Ok(planning)
    }

    /// Whether there is nothing to do for FILL, which it says itself.
    fn is_filled(&self) -> bool {
        !self.nodes.is_empty()
    }

    fn nothing_left(&mut self, usable: &[&NodeSnapshot]) -> Refusal {
        let request = self.asker.request;
        let full = |node: &&NodeSnapshot| left(request.node_max, node.count(&self.key).into()) == 0;
        if usable.iter().all(full) {
            let text =
                format!("not enough resource: every node has the most instances that it may, {}", request.node_max);
            return Refusal::not_enough(text);
        }
        self.asker.refusal(usable)
    }

    /// Number of new instances of each node.
    fn spread(&mut self) -> Result<Vec<u64>, Refusal> {
        let request = self.asker.request;
        if matches!(request.strategy, Strategy::Global | Strategy::Drained) {
            for (node, slot) in self.nodes.iter().zip(&mut self.slots) {
                slot.usage = resource::usage(node, &self.asker);
                slot.rate = resource::rate(node, &self.asker);
            }
        }
        let spread = if request.spread_label.is_empty() {
            strategy::spread(request.strategy, &self.slots, request.count, request.nodes_limit)
        } else {
            strategy::spread_over_zones(request, &self.zones(), &self.slots)
        };
        spread.map_err(|refusal| match refusal.kind {
            crate::RefusalKind::Invalid => refusal,
            _ => refusal.because(self.reasons()),
        })
    }

    /// The zone of each node, by its number, with the instances that are there. Those on nodes that take no more count as
    /// well; those on lost nodes do not.
    fn zones(&self) -> strategy::Zones {
        let label = &self.asker.request.spread_label;
        let zone = |node: &&'a NodeSnapshot| node.labels.get(label);
        let mut zones = strategy::Zones::new(self.nodes.iter().filter_map(zone));
        let alive = self.all.iter().filter(|node| node.readiness != crate::Readiness::Lost);
        for node in alive {
            if let Some(zone) = zone(node) {
                zones.count(zone, u64::from(node.count(&self.key)));
            }
        }
        zones
    }

    /// Why nodes take nothing, counted.
    fn reasons(&mut self) -> Vec<Reason> {
        let request = self.asker.request;
        let mut tally = Tally::default();
        for node in &self.all {
            let full = || {
                // Two texts, not one for each number that nodes have: there may be thousands of nodes.
                let more = if node.count(&self.key) > request.node_max { "more than " } else { "" };
                let s = if request.node_max == 1 { "" } else { "s" };
                let text = format!("has {more}the {} instance{s} that a node may have", request.node_max);
                let none_left = left(request.node_max, node.count(&self.key).into()) == 0;
                none_left.then(|| Cause::new(ReasonKind::Full, text))
            };
            if let Some(cause) = filter::cause(node, request).or_else(|| self.asker.cause(node)).or_else(full) {
                tally.add(cause);
            }
        }
        tally.reasons()
    }

    /// Decides which cores and devices `count` instances get on `node`.
    fn assign(&mut self, node: &NodeSnapshot, count: u64) -> Assignment {
        let memory = self.asker.request.demand.resources.memory_request.0;
        let mut cores = Vec::new();
        if let Some(cut) = &self.asker.cut {
            self.asker.cores.plan(node, cut, memory, Some(count), |part| {
                cores.push(CoreRun {
                    group: part.group,
                    count: part.count as u32,
                    whole_len: part.whole_len as u32,
                    slices: part.slices.into(),
                });
            });
        }
        let wanted = self.asker.wanted.as_ref();
        let volumes = wanted.map(|wanted| resource::volumes::plan(node, wanted, count).1).unwrap_or_default();
        Assignment {
            node: node.name.clone(),
            count: u32::try_from(count).expect("a strategy adds at most `count` to a node"),
            cores: cores.into(),
            volumes: volumes.into(),
            parts: node.parts.clone(),
        }
    }
}

/// How many more instances a node may have.
fn left(node_max: u32, count: u64) -> u64 {
    if node_max == 0 { u64::MAX } else { u64::from(node_max).saturating_sub(count) }
}
