//! Every key of a spec arrives in the container.

use crate::scene::scene;
use eru_api::pb;

#[tokio::test(flavor = "multi_thread")]
async fn every_key_arrives_on_docker() {
    let Some(mut scene) = scene("keys", 1).await else { return };
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("f"), "from the node").unwrap();
    let mut options = scene.options();
    let entry = options.entrypoint.as_mut().unwrap();
    entry.dir = "/tmp".into();
    entry.restart = "on-failure:3".into();
    entry.sysctls = [("net.core.somaxconn".to_owned(), "512".to_owned())].into();
    entry.log = Some(pb::LogOptions { r#type: "json-file".into(), config: [("max-size".into(), "1m".into())].into() });
    entry.hook = Some(pb::HookOptions {
        after_start: vec!["sh -c 'echo started as $APP_NAME; id -u'".into()],
        before_stop: vec!["busybox echo bye".into(), "busybox false".into()],
        force: false,
    });
    options.after_create = vec!["busybox echo created".into()];
    options.env = vec!["COLOUR=red and blue".into()];
    options.dns = vec!["10.1.1.1".into()];
    options.extra_hosts = vec!["db:10.1.2.3".into()];
    options.labels = [("zone".to_owned(), "a".to_owned())].into();
    options.raw_args = r#"{"cap_add":["NET_ADMIN"],"ulimits":[{"Name":"nofile","Soft":512,"Hard":512}]}"#.into();
    options.data = [("/etc/app/a.conf".to_owned(), "content".into())].into();
    options.modes = [("/etc/app/a.conf".to_owned(), pb::FileMode { mode: 0o640 })].into();
    options.owners = [("/etc/app/a.conf".to_owned(), pb::FileOwner { uid: 3, gid: 4 })].into();
    let resources = options.resource_opts.as_mut().unwrap();
    resources.volumes_limit = vec![format!("{}:/mounted:ro", folder.path().display())];
    let message = scene.deploy(options).await;
    assert!(message.success, "{message:?}");
    assert_eq!(&message.hook[..], b"created\nstarted as core-test\n0\n");
    let id = message.id.as_str();

    assert_eq!(scene.inside(id, "cat /etc/app/a.conf /mounted/f").await, "contentfrom the node");
    assert_eq!(scene.inside(id, "stat -c '%a %u %g' /etc/app/a.conf").await, "640 3 4");
    assert_eq!(scene.inside(id, "cat /proc/sys/net/core/somaxconn; ulimit -n; pwd").await, "512\n512\n/tmp");
    assert!(scene.inside(id, "cat /etc/hosts").await.contains("10.1.2.3\tdb"));
    assert_eq!(scene.inspect(id, "{{.HostConfig.Dns}}").await, "[10.1.1.1]");
    let env = scene.inside(id, "env").await;
    for want in ["COLOUR=red and blue", "ERU_NODE_NAME=d1", "ERU_MEMORY=33554432", "ERU_WORKLOAD_SEQ=0", "ERU_NODE_IP="]
    {
        assert!(env.lines().any(|line| line == want), "{env} lacks {want}");
    }
    let host = scene.inspect(id, "{{.HostConfig.RestartPolicy}} {{.HostConfig.CapAdd}} {{.HostConfig.Memory}}").await;
    assert_eq!(host, "{on-failure 3} [NET_ADMIN] 33554432");
    assert!(scene.inspect(id, "{{.HostConfig.LogConfig}}").await.contains("max-size:1m"));
    assert_eq!(scene.inspect(id, "{{index .Config.Labels \"zone\"}}").await, "a");

    let get = pb::WorkloadId { id: id.to_owned() };
    let workload = scene.core.client.get_workload(get).await.unwrap().into_inner();
    let volumes = workload.resource.unwrap().volumes_limit;
    assert_eq!(volumes, [format!("{}:/mounted:ro:0", folder.path().display())]);

    let stop = pb::ControlWorkloadOptions { ids: vec![id.to_owned()], r#type: "stop".into(), ..Default::default() };
    let mut answers = scene.core.client.control_workload(stop).await.unwrap().into_inner();
    let answer = answers.message().await.unwrap().unwrap();
    let want = "bye\nbefore_stop \"busybox false\": ended with exit code 1\n";
    assert_eq!((answer.error.as_str(), std::str::from_utf8(&answer.hook).unwrap()), ("", want));
    assert_eq!(scene.inspect(id, "{{.State.Running}}").await, "false");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_engine_refuses_is_told_and_leaves_nothing_on_docker() {
    let Some(mut scene) = scene("refused", 2).await else { return };
    let mut absent = scene.options();
    absent.image = "127.0.0.1:1/eru/no-such:1".into();
    let message = scene.deploy(absent).await;
    assert!(message.error.contains("127.0.0.1:1/eru/no-such:1") && message.error.contains("refused"), "{message:?}");
    let mut bad = scene.options();
    bad.entrypoint.as_mut().unwrap().commands = vec!["/no/such/program".into()];
    let message = scene.deploy(bad).await;
    assert!(message.error.contains("/no/such/program"), "{message:?}");
    let mut strict = scene.options();
    strict.entrypoint.as_mut().unwrap().hook = Some(pb::HookOptions {
        after_start: vec!["sh -c 'echo half; exit 7'".into()],
        force: true,
        ..Default::default()
    });
    let message = scene.deploy(strict).await;
    assert!(message.error.ends_with("ended with exit code 7"), "{message:?}");
    assert_eq!(&message.hook[..], b"half\n");
    assert!(scene.containers().await.is_empty());
    let resource = pb::GetNodeResourceOptions {
        opts: Some(pb::GetNodeOptions { nodename: "d1".into(), ..Default::default() }),
        ..Default::default()
    };
    let resource = scene.core.client.get_node_resource(resource).await.unwrap().into_inner();
    assert_eq!((resource.memory_percent, resource.diffs.len()), (0.0, 0));
}
