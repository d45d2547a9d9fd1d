//! Tables of ours, and tables of the original's form that no recording holds.

#![allow(clippy::unwrap_used)]

mod support;

use eru_api::{controller, pb};
use eru_cli::render;
use support::expect;

#[test]
fn a_workload_that_ended() {
    let workload = pb::Workload {
        id: "f".repeat(64),
        name: "web_http_AAAAAA".into(),
        podname: "local".into(),
        nodename: "node1".into(),
        state: "created".into(),
        isolation: "none".into(),
        status: Some(pb::WorkloadStatus {
            exit: Some(pb::ExitStatus { code: 137, signal: 9, oom_killed: true, at_ms: 1 }),
            restarts: 3,
            reason: "killed".into(),
            last_lines: vec!["listening".into(), "\x1b[2Jcannot bind\n".into()],
            ..Default::default()
        }),
        ..Default::default()
    };
    expect("ours_workload_ended.txt", &render::workload_details(std::slice::from_ref(&workload)));
    expect("ours_workload_ended_list.txt", &render::workloads(&[workload]));
}

#[test]
fn volumes_and_several_addresses() {
    let plan = || -> std::collections::BTreeMap<String, pb::Volume> {
        let volume = pb::Volume { volume: [("/data0".into(), 1_000_000_000)].into() };
        [("AUTO:/data:rw:1000000000".into(), volume)].into()
    };
    let volumes = || vec!["/tmp:/tmp".to_owned(), "AUTO:/data:rw:1000000000".to_owned()];
    let workload = pb::Workload {
        id: "38078e63".into(),
        name: "zc_zc_cuQhQH".into(),
        podname: "testpod".into(),
        nodename: "node1".into(),
        publish: [("bridge".into(), "172.17.0.7:80,172.17.0.7:81".into())].into(),
        status: Some(pb::WorkloadStatus {
            networks: [("bridge".into(), "172.17.0.7".into()), ("none".into(), String::new())].into(),
            ..Default::default()
        }),
        resource: Some(pb::Resource {
            cpu_quota_limit: 1.0,
            cpu: [("1".into(), 100), ("10".into(), 50), ("2".into(), 1)].into(),
            volumes_limit: volumes(),
            volumes_request: volumes(),
            volume_plan_limit: plan(),
            volume_plan_request: plan(),
            ..Default::default()
        }),
        ..Default::default()
    };
    expect("ours_workload_volumes.txt", &render::workloads(&[workload]));
}

#[test]
fn text_of_others_cannot_draw() {
    let pod = pb::Pod { name: "名前".into(), desc: "\x1b[31mred\n│ fake │\ttab".into() };
    let node = pb::NodeResource {
        name: "node1".into(),
        cpu_percent: f64::NAN,
        memory_percent: 0.0857,
        diffs: vec!["line 1".into(), "line\n2".into()],
        ..Default::default()
    };
    let status = pb::WorkloadStatus { extension: b"\xff not JSON".as_slice().into(), ..Default::default() };
    let text = [render::pods(&[pod]), render::resources(&[node]), render::statuses(&[status])].concat();
    expect("ours_odd_text.txt", &text);
}

#[test]
fn core_of_ours_and_lost_nodes() {
    let info = pb::CoreInfo {
        version: "v0.1.0".into(),
        store: "embedded".into(),
        store_id: "s1".into(),
        store_epoch: 2,
        revision: 77,
        started_at: "2026-11-24T18:25:20Z".into(),
        ..Default::default()
    };
    let node = pb::Node { name: "node1".into(), state: "lost".into(), bypass: true, ..Default::default() };
    let labels = [("zone".to_owned(), "a".to_owned()), ("disk".to_owned(), "ssd\u{1b}[2J".to_owned())].into();
    let labelled = pb::Node { labels, info: "{}".into(), ..node.clone() };
    expect("ours_node_labels.txt", &render::nodes(&[labelled], true));
    expect("ours_core_and_nodes.txt", &(render::core_info(&info) + &render::nodes(&[node], false)));
}

#[test]
fn replicasets() {
    let set = controller::ReplicaSet {
        spec: Some(controller::ReplicaSetSpec {
            name: "web-http".into(),
            appname: "web".into(),
            entrypoint: "http".into(),
            podname: "local".into(),
            image: "nginx:1".into(),
            count: 3,
            ..Default::default()
        }),
        status: Some(controller::Status {
            want: 3,
            running: 2,
            healthy: 1,
            updated: 2,
            phase: "degraded".into(),
            message: "1 of 3 healthy".into(),
            ..Default::default()
        }),
        slots: vec![
            controller::Slot {
                slot: 0,
                workload_id: "f".repeat(64),
                nodename: "node1".into(),
                state: "running".into(),
                healthy: true,
                networks: [("loopback".into(), "127.64.0.2".into())].into(),
                ..Default::default()
            },
            controller::Slot {
                slot: 1,
                state: "waiting".into(),
                failures: 4,
                reason: "exit code 1".into(),
                ..Default::default()
            },
        ],
        ..Default::default()
    };
    let text = [render::replicasets(&[]), render::replicasets(std::slice::from_ref(&set)), render::replicaset(&set)];
    expect("ours_replicasets.txt", &text.join("\n"));
}

#[test]
fn images() {
    let image = |id: &str, tags: &[&str]| pb::ImageItem {
        id: id.into(),
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
    };
    let node = |nodename: &str, images: Vec<pb::ImageItem>| pb::ListImageMessage {
        nodename: nodename.into(),
        images,
        err: String::new(),
    };
    let aaa = image("sha256:aaa…", &["alpine:latest", "alpine:3.15"]);
    let node1 = node("node1", vec![aaa.clone(), image("sha256:bbb…", &["bash:latest"])]);
    let node2 = node("node2", vec![aaa, image("sha256:ccc…", &[])]);
    let tables = [vec![], vec![node1.clone()], vec![node1, node2]].map(|nodes| render::images(&nodes));
    expect("images.txt", &tables.join("\n"));
}
