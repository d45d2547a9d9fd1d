//! How many instances a node can take, one file a resource.
//!
//! Each resource answers for one node by itself; the node's capacity is the least of the answers. Bound cores answer
//! together with the memory, because the memory of a NUMA group limits the cores of that group.

pub(crate) mod cores;
pub(crate) mod cpu;
pub(crate) mod memory;
pub(crate) mod numa;
mod ratio;
pub(crate) mod storage;
pub(crate) mod volumes;

use crate::{NodeSnapshot, Refusal, RefusalKind, Request, reason::Cause};
use cores::Cut;
use volumes::Wanted;

pub(crate) use ratio::{rate, usage};

/// What a node can take of something that is not counted: the original's number.
pub const UNLIMITED: u64 = i32::MAX as u64;

/// How many times `request` goes into what is left.
pub(crate) fn share(free: u64, request: u64) -> u64 {
    free.checked_div(request).map_or(UNLIMITED, |times| times.min(UNLIMITED))
}

/// A request, taken apart once for all nodes, with the room to work in.
pub(crate) struct Asker<'a> {
    pub(crate) request: &'a Request,
    /// Set when cores are bound.
    pub(crate) cut: Option<Cut>,
    /// Set when devices are to be chosen.
    pub(crate) wanted: Option<Wanted>,
    pub(crate) cores: numa::Planner,
}

impl<'a> Asker<'a> {
    pub(crate) fn new(request: &'a Request) -> Result<Self, Refusal> {
        let cut = request.demand.bind.then(|| Cut::new(request.demand.resources.cpu_request, request.share));
        let cut = cut.transpose().map_err(|text| Refusal::new(RefusalKind::Invalid, text))?;
        Ok(Self { request, cut, wanted: Wanted::of(&request.demand), cores: numa::Planner::default() })
    }

    /// How many instances `node` can take; 0 = none.
    pub(crate) fn capacity(&mut self, node: &NodeSnapshot) -> u64 {
        let resources = &self.request.demand.resources;
        let mut least = storage::capacity(node, resources);
        if least > 0 {
            least = least.min(self.time_and_memory(node));
        }
        match &self.wanted {
            Some(wanted) if least > 0 => volumes::plan(node, wanted, least).0,
            _ => least,
        }
    }

    fn time_and_memory(&mut self, node: &NodeSnapshot) -> u64 {
        let resources = &self.request.demand.resources;
        match &self.cut {
            Some(cut) => self.cores.plan(node, cut, resources.memory_request.0, None, |_| {}),
            None => cpu::capacity(node, resources).min(memory::capacity(node, resources)),
        }
    }

    /// Why `node` cannot take any instance, if it cannot.
    pub(crate) fn cause(&mut self, node: &NodeSnapshot) -> Option<Cause> {
        let resources = &self.request.demand.resources;
        let plain = [
            cpu::cause(node, resources).filter(|_| self.cut.is_none()),
            memory::cause(node, resources),
            storage::cause(node, resources),
        ];
        if let Some(cause) = plain.into_iter().flatten().next() {
            return Some(cause);
        }
        if self.cut.is_some() && self.time_and_memory(node) == 0 {
            return Some(numa::cause(node, resources));
        }
        let wanted = self.wanted.as_ref()?;
        (volumes::plan(node, wanted, 1).0 == 0).then(|| volumes::cause(node, wanted))
    }

    /// What is said when no node can take any: the text of the first resource that none has enough of.
    pub(crate) fn refusal(&mut self, nodes: &[&NodeSnapshot]) -> Refusal {
        let resources = self.request.demand.resources;
        let none = |fits: &mut dyn FnMut(&NodeSnapshot) -> bool| !nodes.iter().any(|node| fits(node));
        let text = if self.cut.is_some() && none(&mut |node| self.time_and_memory(node) > 0) {
            numa::nothing_left(&resources)
        } else if self.cut.is_none() && none(&mut |node| cpu::capacity(node, &resources) > 0) {
            cpu::nothing_left(&resources)
        } else if self.cut.is_none() && none(&mut |node| memory::capacity(node, &resources) > 0) {
            memory::nothing_left(&resources)
        } else if none(&mut |node| storage::capacity(node, &resources) > 0) {
            storage::nothing_left(&resources)
        } else if let Some(wanted) = &self.wanted
            && none(&mut |node| volumes::plan(node, wanted, 1).0 > 0)
        {
            volumes::nothing_left(&self.request.demand)
        } else {
            "no node meets all the resource requirements at the same time: not enough resource".to_owned()
        };
        Refusal::not_enough(text)
    }
}
