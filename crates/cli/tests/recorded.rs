//! Tables, JSON and YAML, byte for byte as the page prints them or as the original was recorded.

#![allow(clippy::unwrap_used)]

mod support;

use eru_api::pb;
use eru_cli::render::{self, Statistics, json, yaml};
use serde::Serialize;
use support::recorded;

const ID: &str = "76bc45a2689355b0f068da2be4b5a13499fd0b1a1017bc76f27f9bef3321259d";
const META: &str =
    r#"{"Publish":["80"],"HealthCheck":{"TCPPorts":null,"HTTPPort":"80","HTTPURL":"/index.html","HTTPCode":200}}"#;
const COREID: &str = "8b22a85572704a13ec7c61a9ceea14b4729a74f3";

/// As the command line prints them: with a line feed after JSON, and one more after YAML.
fn as_json<T: Serialize>(value: &T) -> String {
    json(value) + "\n"
}

fn as_yaml<T: Serialize>(value: &T) -> String {
    yaml(&serde_json::to_value(value).unwrap()) + "\n"
}

fn labels() -> std::collections::BTreeMap<String, String> {
    [("ERU", "1"), ("ERU_META", META), ("eru.coreid", COREID), ("eru.nodename", "node1")]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
}

fn workload() -> pb::Workload {
    pb::Workload {
        id: ID.into(),
        podname: "pod1".into(),
        nodename: "node1".into(),
        name: "web_http_JFfwYY".into(),
        labels: labels(),
        image: "127.0.0.1:5000/web:1".into(),
        status: Some(pb::WorkloadStatus::default()),
        resource: Some(pb::Resource {
            cpu_quota_limit: 0.2,
            cpu_quota_request: 0.2,
            memory_limit: 67_108_864,
            memory_request: 67_108_864,
            ..Default::default()
        }),
        create_time: 1_795_545_040,
        ..Default::default()
    }
}

fn reported() -> pb::Workload {
    pb::Workload {
        status: Some(status(true, &[("bridge", "172.17.0.2")])),
        publish: [("bridge".into(), "172.17.0.2:80".into())].into(),
        ..workload()
    }
}

fn status(running: bool, networks: &[(&str, &str)]) -> pb::WorkloadStatus {
    pb::WorkloadStatus {
        id: ID.into(),
        running,
        healthy: running,
        networks: networks.iter().map(|(name, ip)| ((*name).to_owned(), (*ip).to_owned())).collect(),
        extension: serde_json::to_vec(&labels()).unwrap().into(),
        ..Default::default()
    }
}

fn node(available: bool) -> pb::Node {
    pb::Node {
        name: "node1".into(),
        endpoint: "unix:///var/run/docker.sock".into(),
        podname: "pod1".into(),
        cpu: [("0".into(), 100), ("1".into(), 100)].into(),
        memory: 20_221_211_443,
        init_memory: 20_221_211_443,
        init_cpu: [("0".into(), 100), ("1".into(), 100)].into(),
        available,
        ..Default::default()
    }
}

#[test]
fn the_two_tables_of_the_page() {
    recorded("mission_status_unreported.txt", &render::statuses(&[pb::WorkloadStatus::default()]));
    let reported = pb::WorkloadStatus {
        id: "cd7c894aa0736bdf1f884115b18416bbeeca4b23e812a986ae2d86b77a332c2c".into(),
        running: true,
        healthy: true,
        networks: [("bridge".into(), "172.17.0.7".into())].into(),
        extension: r#"{"ERU":"1","ERU_META":"{\"Publish\":null,\"HealthCheck\":null}"}"#.into(),
        ..Default::default()
    };
    recorded("mission_status.txt", &render::statuses(&[reported]));
}

#[test]
fn core() {
    let info = pb::CoreInfo {
        version: "v23.10.11".into(),
        revison: "43d73818608ba1c89c3d9c9f8d6b50df3f04805b".into(),
        build_at: "2026-11-24T18:25:20".into(),
        golang_version: "go1.26.8".into(),
        os_arch: "linux/amd64".into(),
        identifier: COREID.into(),
        ..Default::default()
    };
    recorded("core_info.txt", &render::core_info(&info));
    recorded("core_info.yaml", &as_yaml(&info));
}

#[test]
fn pods() {
    let pods = [
        pb::Pod { name: "pod1".into(), desc: String::new() },
        pb::Pod { name: "pod2".into(), desc: "second pod".into() },
    ];
    recorded("pods_none.txt", &render::pods(&[]));
    recorded("pods.txt", &render::pods(&pods));
    recorded("pods.json", &as_json(&pods));
    recorded("pods.yaml", &as_yaml(&pods));
    recorded("resources_none.txt", &render::resources(&[]));
    let resources = ["mock1", "node1"].map(|name| pb::NodeResource { name: name.into(), ..Default::default() });
    recorded("resources.txt", &render::resources(&resources));
    recorded("capacity.txt", &render::capacity(37, &[("mock1".into(), 19), ("node1".into(), 18)]));
    let networks = [("none", vec![]), ("host", vec![]), ("bridge", vec!["172.17.0.0/16".to_owned()])];
    let networks = networks.map(|(name, subnets)| pb::Network { name: name.into(), subnets });
    recorded("networks.txt", &render::networks(&networks));
}

#[test]
fn nodes() {
    recorded("nodes_none.txt", &render::nodes(&[], false));
    recorded("node_up.txt", &render::nodes(&[node(true)], false));
    recorded("node_info.txt", &render::nodes(&[node(false)], true));
    recorded("node.json", &as_json(&node(false)));
    recorded("node.yaml", &as_yaml(&node(false)));
    let mock = pb::Node {
        name: "mock1".into(),
        endpoint: "mock://m1".into(),
        init_cpu: (0..9).map(|core| (core.to_string(), 100)).collect(),
        init_memory: 20_401_094_656,
        init_storage: 107_374_182_400,
        ..Default::default()
    };
    let node = pb::Node { cpu_used: 0.2, memory_used: 67_108_864, ..node(true) };
    recorded("nodes.txt", &render::nodes(&[mock, node], false));
}

#[test]
fn workloads() {
    recorded("workloads_none.txt", &render::workloads(&[]));
    recorded("workloads_unreported.txt", &render::workloads(&[workload()]));
    recorded("workloads.txt", &render::workloads(&[reported()]));
    recorded("workloads.txt", &render::workload_details(&[reported()]));
    recorded("workload.json", &as_json(&[workload()]));
    recorded("workload.yaml", &as_yaml(&[workload()]));
    recorded("statistics.txt", &render::statistics(&Statistics::of(&[workload()])));
}

#[test]
fn statuses() {
    let none = pb::WorkloadStatus::default();
    recorded("status_unreported.txt", &render::statuses(std::slice::from_ref(&none)));
    recorded("status_unreported.json", &as_json(&[none]));
    recorded("status_recorded.txt", &render::statuses(&[status(true, &[("bridge", "172.17.0.2")])]));
    recorded("status.yaml", &as_yaml(&[status(true, &[("bridge", "172.17.0.2")])]));
}
