//! Replacements on a real engine.

use crate::scene::scene;
use eru_api::pb;

#[tokio::test(flavor = "multi_thread")]
async fn one_for_one_on_docker() {
    let Some(mut scene) = scene("replace", 3).await else { return };
    let mut options = scene.options();
    options.data = [("/data/a".to_owned(), "kept".into()), ("/data/sub/b".to_owned(), "too".into())].into();
    options.entrypoint.as_mut().unwrap().hook =
        Some(pb::HookOptions { before_stop: vec!["busybox echo bye".into()], ..Default::default() });
    let old = scene.deploy(options).await;
    assert!(old.success, "{old:?}");

    // The new one cannot be started: the old one runs again.
    let mut bad = scene.options();
    bad.entrypoint.as_mut().unwrap().commands = vec!["/no/such/program".into()];
    let message = scene.replace(pb::ReplaceOptions { deploy_opt: Some(bad), ..Default::default() }).await;
    let (create, removed) = (message.create.unwrap(), message.remove.unwrap());
    assert!(message.error.contains("/no/such/program") && !create.success && !removed.success, "{}", message.error);
    assert_eq!(scene.containers().await, std::slice::from_ref(&old.id));
    assert_eq!(scene.inspect(&old.id, "{{.State.Running}}").await, "true");

    let address = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    let former = scene.inspect(&old.id, address).await;
    assert!(former.starts_with("10.219.3."), "{former}");
    let options = pb::ReplaceOptions {
        deploy_opt: Some(pb::DeployOptions { networks: Default::default(), ..scene.options() }),
        networkinherit: true,
        copy: [("/data".to_owned(), "/kept".to_owned())].into(),
        ids: vec![old.id.clone()],
        ..Default::default()
    };
    let message = scene.replace(options).await;
    assert_eq!(message.error, "");
    let (create, removed) = (message.create.unwrap(), message.remove.unwrap());
    assert_eq!((removed.id.as_str(), removed.success, removed.hook.as_str()), (old.id.as_str(), true, "bye\n"));
    assert_eq!(scene.containers().await, std::slice::from_ref(&create.id));
    assert_eq!(scene.inspect(&create.id, "{{.HostConfig.NetworkMode}}").await, scene.network);
    assert_eq!(scene.inspect(&create.id, address).await, former, "the address is taken over");
    assert_eq!(scene.inside(&create.id, "cat /kept/a /kept/sub/b").await, "kepttoo");
    let ids = pb::ListWorkloadsOptions::default();
    let mut listed = scene.core.client.list_workloads(ids).await.unwrap().into_inner();
    assert_eq!(listed.message().await.unwrap().unwrap().id, create.id);
    assert!(listed.message().await.unwrap().is_none());
}
