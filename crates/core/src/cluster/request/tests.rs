//! What is accepted and what is refused, and how.

use super::*;
use eru_api::pb;
use eru_scheduler::Content;
use eru_types::Resources;

fn good() -> pb::DeployOptions {
    pb::DeployOptions {
        name: "a".into(),
        podname: "p".into(),
        image: "nginx".into(),
        count: 1,
        entrypoint: Some(pb::EntrypointOptions {
            name: "web".into(),
            command: "serve --port 80".into(),
            ..pb::EntrypointOptions::default()
        }),
        ..pb::DeployOptions::default()
    }
}

fn refused(change: impl FnOnce(&mut pb::DeployOptions)) -> String {
    let mut options = good();
    change(&mut options);
    DeployRequest::from_pb(&options).expect_err("it was to be refused").to_string()
}

fn entry(options: &mut pb::DeployOptions) -> &mut pb::EntrypointOptions {
    options.entrypoint.as_mut().expect("`good` has one")
}

fn resource(options: &mut pb::DeployOptions) -> &mut pb::ResourceOptions {
    options.resource_opts.get_or_insert_default()
}

fn hook(options: &mut pb::DeployOptions) -> &mut pb::HookOptions {
    entry(options).hook.get_or_insert_default()
}

fn log(options: &mut pb::DeployOptions) -> &mut pb::LogOptions {
    entry(options).log.get_or_insert_default()
}

fn file(options: &mut pb::DeployOptions, path: &str, mode: i64) {
    options.data.insert(path.to_owned(), "x".into());
    options.modes.insert(path.to_owned(), pb::FileMode { mode });
}

#[test]
fn a_good_one_passes_and_absent_resources_are_zero() {
    let request = DeployRequest::from_pb(&good()).unwrap();
    assert_eq!(request.spec.command, ["serve", "--port", "80"]);
    assert_eq!(request.resources, Resources::default());
    assert_eq!(request.spec.labels.get("ERU_META"), Some(r#"{"Publish":null,"HealthCheck":null}"#));
    let with_op = pb::DeployOptions { op_id: "op".into(), ..good() };
    assert_eq!(DeployRequest::from_pb(&with_op).unwrap().digest, request.digest);
    let other = pb::DeployOptions { count: 2, ..good() };
    assert_ne!(DeployRequest::from_pb(&other).unwrap().digest, request.digest);
}

#[test]
fn room_is_asked_for_without_an_image() {
    let mut options = pb::DeployOptions { image: String::new(), ..good() };
    let content = |options: &pb::DeployOptions| DeployRequest::for_capacity(options).unwrap().content;
    assert_eq!(content(&options), Content::Command);
    entry(&mut options).command.clear();
    assert_eq!(content(&options), Content::Any, "as clients of the original ask");
    let deploy = DeployRequest::from_pb(&options).unwrap_err().to_string();
    assert!(deploy.starts_with("image is empty, and so is the entrypoint's command"), "{deploy}");
    options.image = "nginx".into();
    assert_eq!(content(&options), Content::Image);
}

#[test]
fn the_original_texts() {
    assert_eq!(refused(|o| o.entrypoint = None), "No entry in spec");
    assert_eq!(refused(|o| o.name.clear()), "app name is empty");
    assert_eq!(refused(|o| o.podname.clear()), "pod name is empty");
    assert_eq!(refused(|o| o.count = 0), "count is 0");
    assert_eq!(refused(|o| o.count = -1), "bad `Count` value: -1");
    assert_eq!(refused(|o| entry(o).name.clear()), "entrypoint name is empty");
    assert!(refused(|o| entry(o).name = "a_b".into()).starts_with("entrypoint name has '_' character"));
    assert_eq!(refused(|o| o.deploy_strategy = 99), "deploy method not support yet");
    let memory = refused(|o| resource(o).memory_limit = -1);
    assert_eq!(memory, "limit or request less than 0: bad `Memory` value: -1");
    assert!(refused(|o| *o = pb::DeployOptions::default()).starts_with("No entry in spec"));
}

#[test]
fn bounds_are_named_and_values_quoted() {
    type Change = fn(&mut pb::DeployOptions);
    let cases: [(Change, &str); 57] = [
        (|o| o.count = 10_001, "count must be between 1 and 10000, got 10001"),
        (|o| o.name = "../x".into(), "app name must be"),
        (|o| o.image = "A/B".into(), "image: \"A/B\""),
        (|o| o.nodes_limit = -1, "nodes_limit must be 0 or more, got -1"),
        (|o| o.env = vec!["NOVALUE".into()], "env: must be NAME=VALUE without NUL, got \"NOVALUE\""),
        (|o| o.env = vec!["A=\0".into()], "env: must be NAME=VALUE without NUL, got \"A=\\0\""),
        (|o| o.env = vec!["A=1".into(); 10_001], "env: 10001 items (at most 10000)"),
        (|o| drop(o.labels.insert("ERU".into(), "1".into())), "key \"ERU\" is reserved"),
        (|o| entry(o).dir = "x/y".into(), "entrypoint.dir must be an absolute path, got \"x/y\""),
        (|o| entry(o).publish = vec!["http".into()], "entrypoint.publish: must be a port"),
        (|o| entry(o).restart = "often".into(), "entrypoint.restart:"),
        (|o| entry(o).command = "a 'b".into(), "quote ' is not closed"),
        (|o| o.user = "a b".into(), "user must be"),
        (|o| drop(o.networks.insert("n".into(), "999.1.1.1".into())), "bad IP address: 999.1.1.1"),
        (|o| o.nodenames = vec!["a/b".into()], "node name must be"),
        (|o| o.op_id = "a/b".into(), "op_id must be"),
        (|o| o.owner_epoch = 1, "owner_epoch needs owner"),
        (|o| o.deploy_strategy = 7, "deploy method not support yet"),
        (|o| resource(o).cpu_quota_limit = f64::NAN, "resource_opts.cpu_quota_limit must be 0 to 4096 cores"),
        (|o| resource(o).storage_request = -1, "bad `Storage` value"),
        (|o| resource(o).cpu_bind = true, "unlimited request with bind: bad `CPU` value"),
        (|o| o.max_per_node = -1, "max_per_node must be 0 or more, got -1"),
        (|o| o.spread_label = "a=b".into(), "spread_label must be the key of a label of nodes, such as \"zone\""),
        (|o| o.spread_label = "z\0".into(), "without '='), got \"z\\0\""),
        (
            |o| resource(o).volumes_limit = vec!["AUTO:/d:rwm".into()],
            "volumes_limit: invalid volume, monopoly volume must",
        ),
        (|o| resource(o).volumes_limit = vec!["/a:b".into()], "volumes_limit: invalid volume, dest must be provided"),
        (|o| resource(o).volumes_limit = vec!["/a:/b".into(), "/c:/b".into()], "volumes: target \"/b\" is given twice"),
        (
            |o| resource(o).volumes_limit = (0..33).map(|i| format!("/a:/b{i}")).collect(),
            "volumes_limit: at most 32 volumes, got 33",
        ),
        (
            |o| resource(o).volumes_request = vec!["/a:/b".into()],
            "different length of request and limit: bad `Volume` value: 1 requests, 0 limits",
        ),
        (
            |o| {
                resource(o).volumes_request = vec!["/a:/b:ro".into()];
                resource(o).volumes_limit = vec!["/a:/b:rw".into()];
            },
            "request and limit not match: \"/a:/b:ro:0\" and \"/a:/b:rw:0\" must have",
        ),
        (
            |o| {
                resource(o).storage_limit = i64::MAX;
                resource(o).volumes_limit = vec!["/a:/b:rw:1".into()];
            },
            "storage: 9223372036854775807 bytes and the sizes of the volumes are together more than",
        ),
        (
            |o| hook(o).after_start = vec!["echo 'x".into()],
            "entrypoint.hook.after_start: command: quote ' is not closed",
        ),
        (|o| hook(o).before_stop = vec![" ".into()], "entrypoint.hook.before_stop: a command is empty"),
        (|o| hook(o).before_stop = vec!["a\0".into()], "bytes without NUL, got \"a\\0\" of 2"),
        (|o| o.after_create = vec!["true".into(); 65], "after_create: 65 commands (at most 64)"),
        (
            |o| log(o).r#type = "json file".into(),
            "entrypoint.log.type must be the name of a log driver, got \"json file\"",
        ),
        (
            |o| {
                log(o).r#type = "json-file".into();
                log(o).config.insert("a".into(), "\0".into());
            },
            "entrypoint.log.config: names are not empty",
        ),
        (
            |o| drop(entry(o).sysctls.insert("kernel.panic".into(), "1".into())),
            "entrypoint.sysctls: \"kernel.panic\" is not a setting that a workload can have of its own",
        ),
        (|o| drop(entry(o).sysctls.insert("net.x".into(), "1\0".into())), "entrypoint.sysctls: names are not empty"),
        (|o| file(o, "x/y", 0), "data: must be the absolute path of a file, without \"..\""),
        (|o| file(o, "/x/../y", 0), "got \"/x/../y\""),
        (|o| file(o, "/x/", 0), "got \"/x/\""),
        (|o| file(o, "/x\0", 0), "got \"/x\\0\""),
        (|o| file(o, "/x", 0o10000), "modes: /x must be 0 to 07777, got 10000"),
        (|o| file(o, "/x", -1), "modes: /x must be 0 to 07777"),
        (
            |o| {
                file(o, "/x", 0);
                o.owners.insert("/x".into(), pb::FileOwner { uid: 0, gid: -1 });
            },
            "owners: gid of /x is -1, below 0",
        ),
        (
            |o| drop(o.data.insert("/x".into(), vec![0; (20 << 20) + 1].into())),
            "data: 1 files of 20971521 bytes (at most",
        ),
        (|o| (0..1001).for_each(|i| file(o, &format!("/x{i}"), 0)), "data: 1001 files of 1001 bytes (at most 1000 of"),
        (|o| o.dns = vec!["resolver".into()], "dns: must be an IP address, got \"resolver\""),
        (|o| o.dns = vec!["1.1.1.1".into(); 17], "dns: 17 servers (at most 16)"),
        (|o| o.extra_hosts = vec!["db".into()], "extra_hosts: must be NAME:ADDRESS, got \"db\""),
        (|o| o.extra_hosts = vec!["db:1.2.3".into()], "extra_hosts: must be NAME:ADDRESS, got \"db:1.2.3\""),
        (|o| o.extra_hosts = vec!["db:1.2.3.4".into(); 1001], "extra_hosts: 1001 lines (at most 1000)"),
        (|o| o.raw_args = "{".into(), "raw_args is not JSON: EOF"),
        (|o| o.raw_args = "[]".into(), "raw_args must be a JSON object"),
        (|o| o.raw_args = vec![b' '; 65537].into(), "raw_args: 65537 bytes (at most 65536)"),
        (|o| o.user = "x".repeat(65), "user must be at most 64"),
    ];
    for (change, part) in cases {
        let text = refused(change);
        assert!(text.contains(part), "{text:?} lacks {part:?}");
    }
    let nothing = refused(|o| {
        o.image.clear();
        entry(o).command.clear();
    });
    assert!(nothing.starts_with("image is empty"), "{nothing}");
}

#[test]
fn what_containers_can_have_is_taken_over() {
    let mut options = good();
    hook(&mut options).after_start = vec!["touch '/a b'".into()];
    hook(&mut options).force = true;
    log(&mut options).r#type = "json-file".into();
    log(&mut options).config.insert("max-size".into(), "1m".into());
    entry(&mut options).sysctls.insert("net.core.somaxconn".into(), "1024".into());
    options.after_create = vec!["true".into()];
    file(&mut options, "/etc/a", 0o600);
    file(&mut options, "/etc/b", 0);
    file(&mut options, "/etc/c", 0);
    options.owners.insert("/etc/c".into(), pb::FileOwner { uid: 0, gid: 7 });
    options.dns = vec!["1.1.1.1".into(), "::1".into()];
    options.extra_hosts = vec!["a.b:1.2.3.4".into(), "six:::1".into(), "gw:host-gateway".into()];
    options.raw_args = r#"{"cap_add":["NET_ADMIN"]}"#.into();
    options.open_stdin = true;
    let request = DeployRequest::from_pb(&options).unwrap();
    let extras = &request.spec.extras;
    assert_eq!((extras.dns.len(), extras.hosts.len(), extras.terminal), (2, 3, true));
    assert_eq!(extras.raw, r#"{"cap_add":["NET_ADMIN"]}"#);
    assert_eq!((extras.log_driver.as_str(), extras.log_options["max-size"].as_str()), ("json-file", "1m"));
    assert_eq!(extras.sysctls["net.core.somaxconn"], "1024");
    let hook = &request.spec.hook;
    assert_eq!(
        (&hook.after_create[..], &hook.after_start[..], hook.force),
        (&["true".into()][..], &["touch '/a b'".into()][..], true)
    );
    assert_eq!(command_lines(&hook.after_start).collect::<Vec<_>>(), [["touch", "/a b"]]);
    let files: Vec<_> = request.files.iter().map(|f| (f.path.as_str(), f.mode, f.gid)).collect();
    assert_eq!(files, [("/etc/a", 0o600, 0), ("/etc/b", 0o755, 0), ("/etc/c", 0, 7)]);
    options.ignore_hook = true;
    options.raw_args = "null".into();
    let request = DeployRequest::from_pb(&options).unwrap();
    assert_eq!((request.spec.hook.after_start.len(), request.spec.hook.after_create.len()), (0, 1));
    assert_eq!(request.spec.extras.raw, "");
}

#[test]
fn volumes_are_paired_and_count_as_storage() {
    let mut options = good();
    resource(&mut options).storage_limit = 5;
    resource(&mut options).volumes_limit = vec!["/b:/y:ro:20".into(), "/a:/x".into(), "data:/z:rw:1".into()];
    let request = DeployRequest::from_pb(&options).unwrap();
    let spelled = |volumes: &[eru_types::Volume]| volumes.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(spelled(&request.allotment.volumes_limit), ["/a:/x", "/b:/y:ro:20", "data:/z:rw:1"]);
    assert_eq!(request.allotment.volumes_request, request.allotment.volumes_limit);
    assert_eq!((request.resources.storage_request.0, request.resources.storage_limit.0), (26, 26));
    resource(&mut options).volumes_request = vec!["data:/z:rw:7".into(), "/b:/y:ro:9".into(), "/a:/x".into()];
    let request = DeployRequest::from_pb(&options).unwrap();
    assert_eq!(spelled(&request.allotment.volumes_limit), ["/a:/x", "/b:/y:ro:20", "data:/z:rw:7"]);
    assert_eq!(spelled(&request.allotment.volumes_request), ["/a:/x", "/b:/y:ro:9", "data:/z:rw:7"]);
    assert_eq!((request.resources.storage_request.0, request.resources.storage_limit.0), (16, 32));
}

#[test]
fn a_replacement_names_no_pod_and_takes_no_resources() {
    let mut options = pb::DeployOptions { podname: String::new(), count: 0, deploy_strategy: 99, ..good() };
    resource(&mut options).cpu_bind = true;
    options.op_id = "op".into();
    let request = DeployRequest::for_replace(&options).unwrap();
    assert_eq!((request.count, request.resources, request.op_id.as_str()), (1, Resources::default(), "op"));
}

#[test]
fn capacity_needs_less() {
    let options =
        pb::DeployOptions { podname: String::new(), image: String::new(), deploy_strategy: 99, count: 0, ..good() };
    assert_eq!(DeployRequest::for_capacity(&options).unwrap().spread, Spread::Dummy);
    let options = pb::DeployOptions { deploy_strategy: 0, count: 0, ..good() };
    assert!(DeployRequest::for_capacity(&options).is_err());
}
