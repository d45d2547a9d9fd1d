//! Plans as text, for people: what a set does in the situations that everyone knows.

use eru_reconcile::{Instance, InstancePhase, Millis, Node, NodeState, Plan, Set, Slot, Strategy, View, reconcile};
use std::fmt::Write;

const NOW: Millis = Millis(1_000_000_000);

fn set(count: u32, generation: u64) -> Set {
    Set {
        uid: "web".into(),
        generation,
        stable_generation: 1,
        count,
        strategy: Strategy::default(),
        engine_restarts: false,
        removing: false,
        in_doubt: false,
    }
}

fn instance(slot: u32, epoch: u64, generation: u64, node: &str) -> Instance {
    Instance {
        id: format!("slot{slot}-epoch{epoch}"),
        owner: "web".into(),
        slot,
        epoch,
        generation,
        node: node.into(),
        phase: InstancePhase::Running,
        healthy: true,
        since: NOW - Millis::seconds(3600),
        started_at: NOW - Millis::seconds(3600),
        exit_known: false,
        reason: String::new(),
    }
}

fn exited(mut instance: Instance, reason: &str) -> Instance {
    (instance.phase, instance.healthy, instance.exit_known) = (InstancePhase::Exited, false, true);
    (instance.reason, instance.since) = (reason.into(), NOW);
    instance
}

fn node(name: &str, state: NodeState) -> Node {
    Node { name: name.into(), state, since: NOW - Millis::seconds(1) }
}

/// The plan, one line an item, without the remembered slots.
fn text(plan: &Plan) -> String {
    let mut out = String::new();
    let mut line = |text: String| writeln!(out, "{text}").expect("a string takes it");
    for c in &plan.creates {
        line(format!("create slot {} epoch {} generation {}: {}", c.slot, c.epoch, c.generation, c.reason));
    }
    for r in &plan.removes {
        let guard = if r.healthy_min > 0 { format!(" if {} others are healthy", r.healthy_min) } else { String::new() };
        line(format!("remove {}: {}{guard}", r.id, r.reason));
    }
    for k in &plan.keeps {
        line(format!("keep   {}: {}", k.id, k.reason));
    }
    for h in &plan.holds {
        line(format!("hold   {} for {}: {}", h.what, h.until - NOW, h.reason));
    }
    for s in &plan.status.slots {
        line(format!("slot {}: {} {:?} {:?}", s.slot, s.state, s.id, s.reason));
    }
    line(format!("{}: {}", plan.status.phase, plan.status.message));
    out
}

fn plan(set: &Set, view: &View) -> String {
    text(&reconcile(set, view, NOW))
}

#[test]
fn an_instance_was_killed() {
    let killed = exited(instance(1, 1, 1, "n1"), "killed by signal 9");
    let view = View { instances: vec![instance(0, 1, 1, "n1"), killed, instance(2, 1, 1, "n2")], ..View::default() };
    insta::assert_snapshot!(plan(&set(3, 1), &view));
}

#[test]
fn a_slot_that_keeps_failing() {
    let failing = exited(instance(0, 5, 1, "n1"), "exit code 1");
    let slot =
        Slot { slot: 0, active: true, epoch: 5, failures: 4, failed_epoch: 4, failed_generation: 1, ..Slot::default() };
    let view = View { instances: vec![failing], slots: vec![slot], ..View::default() };
    insta::assert_snapshot!(plan(&set(1, 1), &view));
}

#[test]
fn a_node_was_lost_and_comes_back() {
    let (a, b) = (instance(0, 1, 1, "n1"), instance(1, 1, 1, "n2"));
    let mut replacement = instance(1, 2, 1, "n1");
    let lost =
        View { instances: vec![a.clone(), b.clone()], nodes: vec![node("n2", NodeState::Lost)], slots: Vec::new() };
    let mut out = format!("n2 is lost\n{}", plan(&set(2, 1), &lost));
    (replacement.since, replacement.started_at) = (NOW - Millis::seconds(60), NOW - Millis::seconds(60));
    let mut back = b;
    back.since = NOW - Millis::seconds(1);
    let mut view = View { instances: vec![a, back, replacement], nodes: Vec::new(), slots: Vec::new() };
    write!(out, "\nn2 is back\n{}", plan(&set(2, 1), &view)).unwrap();
    view.instances[1].since = NOW - Millis::seconds(6);
    write!(out, "\nn2 has been back for 6 s\n{}", plan(&set(2, 1), &view)).unwrap();
    insta::assert_snapshot!(out);
}

#[test]
fn a_newer_spec_does_not_start() {
    let old = [instance(0, 1, 1, "n1"), instance(1, 1, 1, "n2")];
    let mut out = String::new();
    let mut view = View { instances: old.to_vec(), ..View::default() };
    for round in 1..=5 {
        let plan = reconcile(&set(2, 2), &view, NOW);
        write!(out, "round {round}\n{}\n", text(&plan)).unwrap();
        view.slots = plan.slots;
        view.slots.iter_mut().for_each(|slot| slot.retry_at = Millis(0));
        view.instances = old.to_vec();
        if let Some(epoch) = view.slots[0].intent.as_ref().map(|intent| intent.epoch) {
            view.instances.push(exited(instance(0, epoch, 2, "n1"), "exit code 127"));
        }
    }
    insta::assert_snapshot!(out);
}
