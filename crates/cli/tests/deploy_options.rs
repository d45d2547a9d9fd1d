//! From specs to requests, as text in `tests/expect/`.

#![allow(clippy::unwrap_used)]

mod support;

use eru_cli::{ApplyDefaults, ApplyError, DeployFlags, File, deploy_options, replicaset_spec};

const SPEC: &str = "\
appname: web
entrypoints:
  http:
    cmd: /bin/web --listen ':80' 'a b'
    publish: [80, 53/udp]
    healthcheck: {tcp_ports: [80], http_port: 80, url: /index.html, code: 200}
    hook: {after_start: [\"touch /tmp/x\"], force: true}
    restart: on-failure:3
    log: {type: json-file, config: {max-size: 10m}}
    sysctls: {net.core.somaxconn: 1024}
    dir: /srv
    privileged: true
  tick: {commands: [sleep, 10]}
labels: {team: web}
volumes: [\"AUTO:/data:rw:1G\"]
volumes_request: [\"AUTO:/data:rw:1G\"]
dns: [8.8.8.8]
extra_hosts: [\"db:10.0.0.1\"]
replicaset:
  count: 3
  pod: local
  entrypoint: http
  resources: {cpu: 0.5, memory: 64M}
  env: {A: b}
  network: bridge
  nodelabels: {zone: a}
  strategy: {min_healthy: 2s, keep: original}
";

#[test]
fn a_deploy() {
    let spec = eru_config::spec::parse("web.yaml", SPEC).unwrap().config;
    let flags = DeployFlags {
        podname: "p".into(),
        image: "web:1".into(),
        count: 2,
        nodenames: vec!["n1".into()],
        env: vec!["A=b".into()],
        files: vec![File { target: "/etc/x".into(), content: b"hi".into(), mode: 0o600, owner: Some((1, 2)) }],
        op_id: "op".into(),
        ..Default::default()
    };
    let options = deploy_options(&spec, &"http".parse().unwrap(), flags).unwrap();
    support::expect("deploy_options.json", &(eru_cli::render::json(&options) + "\n"));
    let error = deploy_options(&spec, &"nosuch".parse().unwrap(), DeployFlags::default()).unwrap_err();
    assert_eq!(error.to_string(), "entrypoint \"nosuch\" is not in the spec, which has http, tick");
}

#[test]
fn a_set() {
    let spec = eru_config::spec::parse("web.yaml", SPEC).unwrap().config;
    let set = replicaset_spec(&spec, "(the text)", &ApplyDefaults::default()).unwrap();
    support::expect("replicaset_spec.json", &(eru_cli::render::json(&set) + "\n"));
}

#[test]
fn a_set_needs_a_section_and_a_pod() {
    let parse = |text: &str| eru_config::spec::parse("x.yaml", text).unwrap().config;
    let bare = parse("{appname: a, entrypoints: {e: {cmd: x}}}");
    assert_eq!(replicaset_spec(&bare, "", &ApplyDefaults::default()), Err(ApplyError::NoSection));
    let no_pod = parse("{appname: a, entrypoints: {e: {cmd: x}}, replicaset: {count: 1}}");
    assert_eq!(replicaset_spec(&no_pod, "", &ApplyDefaults::default()), Err(ApplyError::NoPod));
    let defaults = ApplyDefaults { podname: "local".into() };
    let set = replicaset_spec(&no_pod, "", &defaults).unwrap();
    assert_eq!((set.name.as_str(), set.podname.as_str(), set.count), ("a-e", "local", 1));
    assert_eq!(set.template.unwrap().podname, "local");
}
