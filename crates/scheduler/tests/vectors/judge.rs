//! Whether a row holds.

use super::{form::*, support};
use eru_scheduler::{
    Free, NodeSnapshot, PartsUsed, Plan, Readiness, Request, Share, Strategy, capacities, realloc,
    realloc::{Bind, Change, Holding, changed, keep},
    strategy::{Slot, spread},
};
use eru_types::{Allotment, CpuQuota, Demand, MemoryBytes, ResourceError, Resources, Volume, volume::VolumeDelta};
use serde::de::DeserializeOwned;
use std::{collections::BTreeMap, fmt::Debug, sync::Arc};

type Held = Result<(), String>;

/// The row's id, and what is wrong with it.
pub fn row(line: &str) -> (String, Held) {
    let mut row: serde_json::Map<String, serde_json::Value> = match serde_json::from_str(line) {
        Ok(row) => row,
        Err(error) => return ("?".into(), Err(error.to_string())),
    };
    let Some(serde_json::Value::String(id)) = row.remove("id") else { return ("?".into(), Err("it has no id".into())) };
    for free_text in ["note", "source", "differs"] {
        if row.remove(free_text).is_some_and(|text| !text.is_string()) {
            return (id, Err(format!("{free_text} must be a text")));
        }
    }
    let check = row.remove("check");
    let row = serde_json::Value::Object(row);
    let outcome = match check.as_ref().and_then(serde_json::Value::as_str) {
        Some("strategy") => read(row).and_then(strategy),
        Some("plan") => read(row).and_then(plan),
        Some("keep") => read(row).and_then(keeps),
        Some("realloc") => read(row).and_then(reallocs),
        Some("volume") => read(row).and_then(volume),
        Some("demand") => read(row).and_then(demand),
        other => Err(format!("check must be strategy, plan, keep, realloc, volume or demand, got {other:?}")),
    };
    (id, outcome)
}

fn read<T: DeserializeOwned>(row: serde_json::Value) -> Result<T, String> {
    serde_json::from_value(row).map_err(|error| error.to_string())
}

fn same<T: PartialEq + Debug>(what: &str, got: &T, want: Option<&T>, seen: &mut bool) -> Held {
    let Some(want) = want else { return Ok(()) };
    *seen = true;
    if got == want { Ok(()) } else { Err(format!("{what}: got {got:?}, expected {want:?}")) }
}

/// An error is as expected when it holds the text.
fn failed<T: Debug>(outcome: Result<T, String>, want: Option<&str>) -> Result<Option<T>, String> {
    match (outcome, want) {
        (Ok(value), None) => Ok(Some(value)),
        (Err(got), Some(want)) if got.contains(want) => Ok(None),
        (Err(got), Some(want)) => Err(format!("refused with \"{got}\", expected \"{want}\"")),
        (Err(got), None) => Err(format!("refused with \"{got}\"")),
        (Ok(got), Some(want)) => Err(format!("got {got:?}, expected the error \"{want}\"")),
    }
}

fn expected(seen: bool) -> Held {
    if seen { Ok(()) } else { Err("it expects nothing".into()) }
}

fn strategy(row: StrategyRow) -> Held {
    let number = |list: &[f64], i: usize| list.get(i).copied().unwrap_or(0.0);
    let slots: Vec<Slot> = row
        .capacities
        .iter()
        .enumerate()
        .map(|(i, capacity)| Slot {
            capacity: *capacity,
            count: row.counts.get(i).copied().unwrap_or(0),
            usage: number(&row.usages, i),
            rate: number(&row.rates, i),
        })
        .collect();
    let outcome = row.strategy.parse::<Strategy>().and_then(|strategy| spread(strategy, &slots, row.need, row.limit));
    let expect = row.expect;
    let Some(added) = failed(outcome.map_err(|e| e.to_string()), expect.error.as_deref())? else { return Ok(()) };
    let mut finals: Vec<u64> = slots.iter().zip(&added).map(|(slot, added)| slot.count + added).collect();
    finals.sort_unstable();
    let mut seen = false;
    same("added", &added, expect.added.as_ref(), &mut seen)?;
    same("finals", &finals, expect.finals.as_ref(), &mut seen)?;
    expected(seen)
}

fn node(row: &NodeRow, number: usize) -> Result<NodeSnapshot, String> {
    let bytes = |map: &BTreeMap<String, Bytes>| -> Result<BTreeMap<String, u64>, String> {
        map.iter().map(|(name, bytes)| Ok((name.clone(), amount(*bytes)?))).collect()
    };
    let pieces = |cores: &Cores| -> Result<BTreeMap<String, u32>, String> {
        let pieces = |p: i64| u32::try_from(p).map_err(|_| format!("{p} pieces of a core"));
        cores.0.iter().map(|(core, p)| Ok((core.clone(), pieces(*p)?))).collect()
    };
    let mut made = support::Node { name: row.name.clone().unwrap_or(format!("n{}", number + 1)), ..Default::default() };
    if let Some(cores) = &row.cores {
        made.cores = pieces(cores)?;
    }
    made.numa.clone_from(&row.numa);
    made.numa_memory = bytes(&row.numa_memory)?;
    made.volumes = bytes(&row.volumes)?;
    made.memory = row.memory.map_or(Ok(made.memory), amount)?;
    made.memory_used = row.memory_free.map_or(Ok(0), |free| Ok::<_, String>(made.memory - amount(free)?))?;
    made.storage = row.storage.map_or(Ok(made.storage), amount)?;
    made.labels.clone_from(&row.labels);
    made.count = row.count;
    made.readiness = match row.state.as_deref() {
        None | Some("ready" | "no runtime") => Readiness::Ready,
        Some("bypassed") => Readiness::Bypassed,
        Some("suspect") => Readiness::Suspect,
        Some("unwatched") => Readiness::Unwatched,
        Some("lost") => Readiness::Lost,
        Some(other) => return Err(format!("no state of a node: {other}")),
    };
    made.images = row.state.as_deref() != Some("no runtime");
    let mut snapshot = made.snapshot();
    let mut free = Free::new(&snapshot.parts, &PartsUsed::default());
    if let Some(cores) = &row.cores_free {
        for (name, pieces) in &cores.0 {
            let core = snapshot.parts.core(name).ok_or_else(|| format!("no core {name}"))?;
            free.cores[core] = i32::try_from(*pieces).map_err(|_| format!("{pieces} pieces of a core"))?;
        }
    }
    for (name, bytes) in &row.volumes_free {
        let device = snapshot.parts.device(name).ok_or_else(|| format!("no device {name}"))?;
        free.devices[device].bytes = bytes.0;
        free.devices[device].users = 1;
    }
    snapshot.free = Arc::new(free);
    Ok(snapshot)
}

fn amount(bytes: Bytes) -> Result<u64, String> {
    u64::try_from(bytes.0).map_err(|_| format!("{} bytes", bytes.0))
}

fn make_demand(row: &RequestRow) -> Result<Demand, String> {
    let volumes = |texts: &[String]| -> Result<Vec<Volume>, String> {
        texts.iter().map(|text| text.parse::<Volume>().map_err(|e| e.to_string())).collect()
    };
    let memory = |bytes: Option<Bytes>| MemoryBytes::from_wire("Memory", bytes.unwrap_or_default().0);
    let amounts = || -> Result<Resources, ResourceError> {
        Ok(Resources {
            memory_request: memory(row.memory)?,
            memory_limit: memory(row.memory_limit)?,
            cpu_request: CpuQuota::from_cores("cpu", row.cpu)?,
            cpu_limit: CpuQuota::from_cores("cpu", row.cpu_limit)?,
            storage_request: MemoryBytes::from_wire("Storage", row.storage.unwrap_or_default().0)?,
            storage_limit: MemoryBytes(0),
        })
    };
    let resources = amounts().map_err(|e| e.to_string())?;
    let (requests, mut limits) = (volumes(&row.volumes)?, volumes(&row.volumes_limit)?);
    if limits.is_empty() {
        limits.clone_from(&requests);
    }
    Demand::new(resources, row.bind, requests, limits).map_err(|e| e.to_string())
}

fn make_request(row: &RequestRow) -> Result<Request, String> {
    let plain = support::request(row.count, &support::Asked::default());
    Ok(Request {
        demand: Arc::new(make_demand(row)?),
        share: Share { base: row.base.unwrap_or(100), cores_max: row.maxshare.and_then(|max| u32::try_from(max).ok()) },
        nodes_limit: row.limit,
        node_max: row.max_per_node,
        spread_label: row.spread.clone(),
        strategy: row
            .strategy
            .as_deref()
            .unwrap_or("AUTO")
            .parse()
            .map_err(|e: eru_scheduler::Refusal| e.to_string())?,
        ..plain
    })
}

fn place(nodes: &mut [NodeSnapshot], request: &Request) -> Result<Plan, String> {
    let plan = support::run(nodes, request).map_err(|e| e.to_string())?;
    for assignment in &plan.assignments {
        let node = nodes.iter_mut().find(|node| node.name == assignment.node).unwrap();
        node.apply(request, assignment);
    }
    Ok(plan)
}

fn plan(row: PlanRow) -> Held {
    let mut nodes = row.nodes.iter().enumerate().map(|(i, n)| node(n, i)).collect::<Result<Vec<_>, _>>()?;
    for before in &row.before {
        place(&mut nodes, &make_request(before)?).map_err(|error| format!("before: {error}"))?;
    }
    let expect = &row.expect;
    let mut seen = false;
    let request = make_request(&row.request);
    if let Ok(request) = &request
        && (expect.capacities.is_some() || expect.capacity.is_some())
    {
        let refs: Vec<&NodeSnapshot> = nodes.iter().collect();
        let by_node = capacities(&refs, request).map_err(|e| e.to_string())?;
        let by_node: BTreeMap<String, u64> = by_node.into_iter().map(|(node, n)| (node.to_string(), n)).collect();
        same("capacities", &by_node, expect.capacities.as_ref(), &mut seen)?;
        same("capacity", &by_node.values().sum(), expect.capacity.as_ref(), &mut seen)?;
        let about_the_plan = expect.counts.is_some() || expect.total.is_some() || expect.cores.is_some();
        if !about_the_plan && expect.error.is_none() && expect.numa.is_none() && expect.volumes.is_none() {
            return Ok(());
        }
    }
    let outcome = request.and_then(|request| place(&mut nodes, &request));
    let Some(plan) = failed(outcome, expect.error.as_deref())? else { return Ok(()) };
    let counts: BTreeMap<String, u32> = plan.assignments.iter().map(|a| (a.node.to_string(), a.count)).collect();
    same("counts", &counts, expect.counts.as_ref(), &mut seen)?;
    same("total", &plan.count(), expect.total.as_ref(), &mut seen)?;
    if let Some([least, most]) = expect.each {
        seen = true;
        if counts.len() != nodes.len() || counts.values().any(|n| *n < least || *n > most) {
            return Err(format!("each: got {counts:?}, expected {least} to {most} on every node"));
        }
    }
    let mut held: Vec<Arc<Allotment>> = plan.assignments.iter().flat_map(|a| plan.allotments(a)).collect();
    held.sort_by_key(|allotment| format!("{allotment:?}"));
    let sorted = |list: &Option<Vec<BTreeMap<String, u32>>>| {
        list.clone().map(|mut list| {
            list.sort_by_key(|cores| format!("{cores:?}"));
            list
        })
    };
    same("cores", &held.iter().map(|a| a.cores.clone()).collect(), sorted(&expect.cores).as_ref(), &mut seen)?;
    let mut numa: Vec<String> = held.iter().map(|a| a.numa_node.clone()).collect();
    numa.sort();
    same("numa", &numa, expect.numa.as_ref(), &mut seen)?;
    let volumes = held.iter().map(|a| a.volume_plan_request.clone()).collect();
    same("volumes", &volumes, expect.volumes.as_ref(), &mut seen)?;
    let volumes = held.iter().map(|a| a.volume_plan_limit.clone()).collect();
    same("volumes_limit", &volumes, expect.volumes_limit.as_ref(), &mut seen)?;
    let first = &nodes[0];
    let names = first.parts.cores().iter().map(|core| core.name.to_string());
    let cores_free = names.zip(first.free.cores.iter().copied()).collect();
    same("cores_free", &cores_free, expect.cores_free.as_ref(), &mut seen)?;
    let names = first.parts.devices().iter().map(|device| device.name.to_string());
    let volumes_free = names.zip(first.free.devices.iter().map(|free| free.bytes)).collect();
    same("volumes_free", &volumes_free, expect.volumes_free.as_ref(), &mut seen)?;
    expected(seen)
}

fn keeps(row: KeepRow) -> Held {
    let len = row.free.keys().chain(row.held.keys()).max().map_or(0, |core| *core as usize + 1);
    let mut free = vec![0; len];
    row.free.iter().for_each(|(core, pieces)| free[*core as usize] = *pieces);
    let kept = keep(&row.held, &free, (row.cores * 100.0) as u64, 100);
    let mut seen = false;
    same("kept", &kept.cores, Some(&row.expect.kept), &mut seen)?;
    same("missing", &kept.missing, Some(&row.expect.missing), &mut seen)?;
    let after = kept.free.iter().zip(0..).map(|(pieces, core)| (core, *pieces));
    let after: BTreeMap<u32, i32> = after.filter(|(core, _)| row.expect.free.contains_key(core)).collect();
    same("free", &after, Some(&row.expect.free), &mut seen)
}

fn reallocs(row: ReallocRow) -> Held {
    let mut on = node(&row.node, 0)?;
    let mut held = Allotment { cores: row.held.cores.clone(), numa_node: row.held.numa.clone(), ..Default::default() };
    let mut storage = 0;
    for (text, device) in &row.held.volumes {
        let volume: Volume = text.parse().map_err(|e| format!("{text}: {e}"))?;
        let total = on.parts.device(device).map_or(0, |device| on.parts.devices()[device].bytes);
        let same_device = row.held.volumes.iter().filter(|(_, other)| *other == device);
        let all: u64 = same_device.filter_map(|(text, _)| text.parse::<Volume>().ok()).map(|v| v.size()).sum();
        let bytes = if volume.is_monopoly() { volume.size() * total / all } else { volume.size() };
        storage += volume.size();
        if !device.is_empty() {
            held.volume_plan_request.insert(volume.to_string(), [(device.clone(), bytes)].into());
        }
        held.volumes_request.push(volume);
    }
    if row.held.volumes.values().any(|device| !device.is_empty()) {
        held.volumes_limit.clone_from(&held.volumes_request);
        held.volume_plan_limit.clone_from(&held.volume_plan_request);
    }
    let resources = Resources {
        cpu_request: CpuQuota::from_cores("cpu", row.held.cpu).map_err(|e| e.to_string())?,
        memory_request: MemoryBytes(amount(row.held.memory.unwrap_or_default())?),
        storage_request: MemoryBytes(storage),
        storage_limit: MemoryBytes(storage),
        ..Resources::default()
    };
    // `cores_free` tells what is free beside what is held.
    let beside =
        if row.node.cores_free.is_some() { Allotment { cores: [].into(), ..held.clone() } } else { held.clone() };
    let (app, entrypoint) = support::key();
    on.take(&app, &entrypoint, &resources, &beside);
    let holding = Holding { resources: &resources, allotment: &held };
    let deltas = || row.change.volumes.iter().map(|text| text.parse::<VolumeDelta>()).collect::<Result<Vec<_>, _>>();
    let change = Change {
        cpu_request: (row.change.cpu * 1e6).round() as i64,
        memory_request: row.change.memory.unwrap_or_default().0,
        bind: match row.change.bind {
            None => Bind::Keep,
            Some(true) => Bind::Yes,
            Some(false) => Bind::No,
        },
        volumes_request: deltas().map_err(|e| e.to_string())?,
        volumes_limit: deltas().map_err(|e| e.to_string())?,
        ..Change::default()
    };
    let outcome = changed(holding, &change).and_then(|demand| realloc(&on, holding, &demand, Share::default()));
    let expect = row.expect;
    let Some(got) = failed(outcome.map_err(|e| e.to_string()), expect.error.as_deref())? else { return Ok(()) };
    let mut seen = false;
    same("cores", &got.cores, expect.cores.as_ref(), &mut seen)?;
    same("numa", &got.numa_node, expect.numa.as_ref(), &mut seen)?;
    same("volumes", &got.volume_plan_request, expect.volumes.as_ref(), &mut seen)?;
    expected(seen)
}

fn volume(row: VolumeRow) -> Held {
    let outcome = row.volume.parse::<Volume>().map(|volume| volume.to_string()).map_err(|error| error.to_string());
    let Some(text) = failed(outcome, row.expect.error.as_deref())? else { return Ok(()) };
    let mut seen = false;
    same("volume", &text, row.expect.is.as_ref(), &mut seen)?;
    expected(seen)
}

fn demand(row: DemandRow) -> Held {
    let expect = row.expect;
    let Some(got) = failed(make_demand(&row.request), expect.error.as_deref())? else { return Ok(()) };
    let r = &got.resources;
    let mut seen = false;
    same("cpu", &[r.cpu_request.cores(), r.cpu_limit.cores()], expect.cpu.as_ref(), &mut seen)?;
    same("memory", &[r.memory_request.0, r.memory_limit.0], expect.memory.as_ref(), &mut seen)?;
    same("storage", &[r.storage_request.0, r.storage_limit.0], expect.storage.as_ref(), &mut seen)?;
    let texts = |volumes: &[Volume]| volumes.iter().map(Volume::to_string).collect::<Vec<_>>();
    same("volumes", &texts(&got.volumes_request), expect.volumes.as_ref(), &mut seen)?;
    same("volumes_limit", &texts(&got.volumes_limit), expect.volumes_limit.as_ref(), &mut seen)?;
    expected(seen)
}
